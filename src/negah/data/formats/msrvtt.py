"""MSR-VTT (Xu et al., CVPR 2016): ``*_videodatainfo.json`` and clips ``video0.mp4``, ....

A video's ``start time`` and ``end time`` are its position in the original YouTube video. The
distributed archives (``TrainValVideo``, ``TestVideo``, and the later ones with all 10,000 videos)
contain the pieces already cut, so these times are not spans of the files, and whole files are read.
"""

from __future__ import annotations

from negah.data.examples import split_name
from negah.data.formats.entries import identifier_of, text_of
from negah.data.formats.places import clip_folders, clip_names
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.records import Reading, Record
from negah.errors import DataError

LAYOUT = "MSR-VTT's layout has videos with video_id and split, and sentences with captions."


class MsrVtt(Format):
    """``videos`` with their part and ``sentences``; without videos, captions to be scored."""

    files = ("*videodatainfo*.json",)

    def sniff(self, source: Source) -> bool:
        """By the list ``sentences``."""
        return source.json_has("sentences")

    def read(self, source: Source) -> Reading:
        """Read a ``*_videodatainfo.json``; the part ``validate`` is dev.

        Raises:
            DataError: an entry lacks a key, has an unknown part, or names a video again.
        """
        if not self.sniff(source):
            raise DataError(f"{source.label}: {LAYOUT}")
        videos = source.json.get("videos")
        splits: dict[str, str] = {}
        records: list[Record] = []
        for index, video in enumerate(videos if isinstance(videos, list) else ()):
            where = f"videos[{index}]"
            name = text_of(video, "video_id", f"{source.label}, {where}")
            if name in splits:
                raise DataError(f"{source.label}, {where}: video {name!r} is listed twice.")
            split = split_name(text_of(video, "split", f"{source.label}, {where}"))
            if split is None:
                raise DataError(
                    f"{source.label}, {where}: unknown split {video['split']!r}. "
                    "Allowed: train, validate, test."
                )
            splits[name] = split
            records.append(Record(name, [], clip_names((name,)), split, where=where))
        sentences = source.json["sentences"]
        for index, sentence in enumerate(sentences):
            where = f"sentences[{index}]"
            name = identifier_of(sentence, "video_id", f"{source.label}, {where}")
            caption = text_of(sentence, "caption", f"{source.label}, {where}")
            files = clip_names((name,)) if name in splits else ()
            records.append(Record(name, [caption], files, splits.get(name), where=where))
        return Reading(records, clip_folders(source.folder), rows=len(sentences))


MSRVTT = MsrVtt()
