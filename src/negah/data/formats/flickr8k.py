"""Flickr8k as its authors publish it (Hodosh, Young and Hockenmaier, JAIR 2013).

``Flickr8k.token.txt`` holds ``<image>#<k><TAB><caption>`` lines, and three lists
name the pictures of the official parts. Pictures in no list get the part ``none``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from negah.data.cells import tabbed_lines
from negah.data.examples import Problem
from negah.data.formats.places import image_folders
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.names import spelling
from negah.data.records import Reading, Record
from negah.errors import DataError
from negah.textfiles import check_utf8, lines, read_utf8

TOKEN_FILE = "Flickr8k.token.txt"

_LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_FIRST_LINE = re.compile(r"\S+#\d+\t")


class Flickr8k(Format):
    """``<image>#<number><TAB><caption>`` lines, with the official lists of parts beside them."""

    files = (TOKEN_FILE,)
    beside = ("Flickr_8k.*Images.txt",)

    def sniff(self, source: Source) -> bool:
        """By the name of the file, or by its first line."""
        return source.path.name == TOKEN_FILE or bool(_FIRST_LINE.match(source.text.lstrip("\r\n")))

    def read(self, source: Source) -> Reading:
        """Read all lines; those of another layout are left out.

        Raises:
            DataError: no line has the layout, or a picture is in two official lists.
        """
        splits = official_splits(source.folder)
        records: list[Record] = []
        problems: list[Problem] = []
        for number, key, caption in tabbed_lines(check_utf8(source.text, source.label)):
            name, hash_sign, _ = key.rpartition("#")
            if caption is None or not (hash_sign and name):
                expected = "expected <image>#<number><TAB><caption>"
                where = f"{source.short}, line {number}"
                problems.append(Problem("malformed line", where, expected))
                continue
            split = splits.get(spelling(name), "none") if splits else None
            records.append(Record(name, [caption], split=split, where=f"line {number}"))
        if not records:
            raise DataError(
                f"{source.label}: no line reads <image>#<number><TAB><caption>, the layout of "
                f"{TOKEN_FILE}."
            )
        rows = len(records) + len(problems)
        problems.extend(unknown_names(splits, (record.name for record in records)))
        return Reading(records, image_folders(source.folder), problems, rows)


def official_splits(folder: Path | None) -> dict[str, str]:
    """Picture's :func:`spelling` -> part from the official lists; empty if there are none.

    Raises:
        DataError: a picture is in two lists.
    """
    splits: dict[str, str] = {}
    for split, file_name in _LISTS.items():
        if folder is None or not (path := folder / file_name).is_file():
            continue
        for line in lines(read_utf8(path)):
            name = spelling(line)
            if not name:
                continue
            if splits.setdefault(name, split) != split:
                raise DataError(
                    f"{path}: image {name!r} is also in the {splits[name]} list. "
                    "An image may be in one part only."
                )
    return splits


def unknown_names(splits: dict[str, str], known: Iterable[str]) -> list[Problem]:
    """A problem for each picture that is in a list but not in the caption file."""
    spelled = set(map(spelling, set(known))) if splits else set()
    return [
        Problem("no caption", name, f"in the official {split} list, but without a caption")
        for name, split in splits.items()
        if name not in spelled
    ]


FLICKR8K = Flickr8k()
