"""MSR-VTT (Xu et al., CVPR 2016): ``*_videodatainfo.json`` and clips ``video0.mp4``, ....

A video's ``start time`` and ``end time`` say where it was in the film on YouTube. The
archives that are distributed (``TrainValVideo``, ``TestVideo``, and the later ones with all
10,000 videos) hold the pieces, cut already; so these times are not a span of the file, and
all of it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from negah.data.annotations import text_of
from negah.data.examples import Problem, split_name
from negah.data.records import Reading, RecordTable, clip_folders, clip_names
from negah.errors import DataError


def is_msrvtt(content: dict[str, Any]) -> bool:
    """Whether a parsed JSON file has the layout."""
    return all(isinstance(content.get(key), list) for key in ("videos", "sentences"))


def read_msrvtt(path: Path, content: dict[str, Any]) -> Reading:
    """Read a parsed ``*_videodatainfo.json``; the part ``validate`` is dev.

    Raises:
        DataError: an entry lacks a key, has an unknown part, or names a video again.
    """
    splits: dict[str, str] = {}
    table = RecordTable(path)
    for index, video in enumerate(content["videos"]):
        where = f"{path}, videos[{index}]"
        name = text_of(video, "video_id", where)
        if name in splits:
            raise DataError(f"{where}: video {name!r} is listed twice.")
        split = split_name(text_of(video, "split", where))
        if split is None:
            raise DataError(
                f"{where}: unknown split {video['split']!r}. Allowed: train, validate, test."
            )
        splits[name] = split
        table.add(name, [], split, where, names=clip_names((name,)))
    problems: list[Problem] = []
    for index, sentence in enumerate(content["sentences"]):
        where = f"sentences[{index}]"
        name = text_of(sentence, "video_id", f"{path}, {where}")
        caption = text_of(sentence, "caption", f"{path}, {where}")
        if name in splits:
            table.add(name, [caption], splits[name], where)
        else:
            problems.append(Problem("unknown name", name, f"{where} has no video"))
    rows = len(content["sentences"])
    return Reading(table.records(), clip_folders(path.parent), problems, rows)
