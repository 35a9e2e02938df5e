"""Formats of captioned data sets, and of caption files for scoring.

    flickr8k     Flickr8k.token.txt with the official lists, or the folder that holds it
    table        CSV, TSV, JSON lines or a JSON list with image (or video, clip, path, file_name or
                 an id), caption and optional split, start and end; as `negah caption` writes them
    karpathy     dataset_*.json
    coco         captions_*.json, and the results of models
    msrvtt       *_videodatainfo.json
    msvd         sents_*_lc_nopunc.txt with youtube_video_to_id_mapping.txt, or video_corpus.csv
    imagefolder  metadata.csv, .jsonl or .parquet beside the pictures, as on the Hugging Face Hub
    webdataset   tar files of key.jpg with key.txt or key.json
    parquet      Parquet files with pictures in them, or their paths, as on the Hugging Face Hub
    lines        plain text, line n belongs to image n; for scoring only

Other packages add theirs by an entry point in the group ``negah.formats``.
"""

from __future__ import annotations

from negah.data.formats.finding import (
    FORMATS,
    format_named,
    identify,
    importable,
    locate,
    own_files,
)
from negah.data.formats.protocol import Format, WritableFormat
from negah.data.formats.source import Source
from negah.data.records import Reading, Record

__all__ = [
    "FORMATS",
    "Format",
    "Reading",
    "Record",
    "Source",
    "WritableFormat",
    "format_named",
    "identify",
    "importable",
    "locate",
    "own_files",
]
