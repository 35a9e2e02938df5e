"""Flickr8k as its authors publish it (Hodosh, Young and Hockenmaier, JAIR 2013).

``Flickr8k.token.txt`` holds ``<image>#<k><TAB><caption>`` lines, and three lists
name the pictures of the official parts. Pictures in no list get the part ``none``.
"""

from __future__ import annotations

from pathlib import Path

from negah.data.cells import tabbed_lines
from negah.data.examples import Problem
from negah.data.names import spelling
from negah.data.records import Reading, RecordTable
from negah.errors import DataError
from negah.textfiles import lines, read_utf8

TOKEN_FILE = "Flickr8k.token.txt"
IMAGE_FOLDERS = (
    "Images",
    "images",
    "Flicker8k_Dataset",  # the spelling of the original archive
    "Flickr8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
)

_LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}


def read_flickr8k(path: Path) -> Reading:
    """Read a ``Flickr8k.token.txt``.

    Raises:
        DataError: no line has the layout, or a picture is in two official lists.
    """
    splits = official_splits(path.parent)
    table = RecordTable(path)
    problems: list[Problem] = []
    rows = 0
    for number, key, caption in tabbed_lines(read_utf8(path)):
        rows += 1
        place = f"{path.name}, line {number}"
        name, hash_sign, _ = key.rpartition("#")
        if caption is None or not (hash_sign and name):
            expected = "expected <image>#<number><TAB><caption>"
            problems.append(Problem("malformed line", place, expected))
            continue
        split = splits.get(spelling(name), "none") if splits else None
        table.add(name, [caption], split, f"line {number}")
    records = table.records()
    if not records:
        raise DataError(
            f"{path}: no line reads <image>#<number><TAB><caption>, the layout of {TOKEN_FILE}."
        )
    known = {record.names[0] for record in records}
    problems.extend(unknown_names(splits, known))
    return Reading(records, image_folders(path.parent), problems, rows)


def official_splits(folder: Path) -> dict[str, str]:
    """Picture's :func:`spelling` -> part from the official lists; empty where there are none.

    Raises:
        DataError: a picture is in two lists.
    """
    splits: dict[str, str] = {}
    for split, file_name in _LISTS.items():
        path = folder / file_name
        if not path.is_file():
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


def unknown_names(splits: dict[str, str], known: set[str]) -> list[Problem]:
    """A problem for each picture that a list names and the caption file does not."""
    spelled = {spelling(name) for name in known}
    return [
        Problem("no caption", name, f"in the official {split} list, but without any caption")
        for name, split in splits.items()
        if name not in spelled
    ]


def image_folders(folder: Path) -> list[Path]:
    """Where the pictures of a caption file in ``folder`` may be, the usual names first."""
    near = [folder / name for name in IMAGE_FOLDERS]
    return [*near, folder, *(folder.parent / name for name in IMAGE_FOLDERS)]
