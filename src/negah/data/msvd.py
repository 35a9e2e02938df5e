"""MSVD, the Microsoft Research video description corpus (Chen and Dolan, ACL 2011).

It goes round in two layouts. One has a sentence file for each part (``vid7<TAB>a man
runs``) and a list that maps clips to those numbers (``-4wsuPCjDBc_5_15 vid1``). The other
is the authors' ``video_corpus.csv`` with the sentences as people typed them, in many
languages, of which the English ones are read; its parts are those of the list, if the
list lies beside it: vid1 to vid1200 train, to vid1300 dev, to vid1970 test, the division
of Venugopalan et al. (NAACL 2015) and of nearly all papers since. A clip is a file of its
own, called ``<video>_<start>_<end>``; so the times in its name are not a span of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from negah.data.cells import delimiter_of
from negah.data.examples import Problem, split_name
from negah.data.records import (
    CLIP_SUFFIXES,
    Reading,
    RecordTable,
    clip_folders,
    clip_names,
    read_utf8,
)
from negah.errors import DataError

#: The list of all clips. It stands for the sentence files beside it.
MAPPING_FILE = "youtube_video_to_id_mapping.txt"
SENTENCE_FILES = "sents_*_lc_nopunc.txt"

_SENTENCES = re.compile(r"sents_(train|val|test)_lc_nopunc\.txt")
_LAST = {"train": 1200, "dev": 1300, "test": 1970}
_COLUMNS = ("videoid", "start", "end", "description")
_SUFFIXES = (".avi", *(suffix for suffix in CLIP_SUFFIXES if suffix != ".avi"))


def is_msvd(path: Path) -> bool:
    """Whether a file has one of the names of MSVD, or the columns of its CSV."""
    if path.name == MAPPING_FILE or _SENTENCES.fullmatch(path.name):
        return True
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open("rb") as file:
            header = file.readline(1000).decode("utf-8-sig", "ignore")
    except OSError:
        return False
    return set(_COLUMNS) <= set(_lower(header.split(delimiter_of(header))))


def read_msvd(path: Path) -> Reading:
    """Read the list of clips with all sentence files beside it, one of these alone, or the CSV.

    Raises:
        DataError: the file has none of the layouts, or one clip is in two parts.
    """
    clips = _clips(path.parent / MAPPING_FILE)
    table = RecordTable(path)
    problems: list[Problem] = []
    if path.name == MAPPING_FILE:
        parts = (path.parent / f"sents_{part}_lc_nopunc.txt" for part in ("train", "val", "test"))
        files = [part for part in parts if part.is_file()]
        if not files:
            raise DataError(f"{path}: no sentences beside it. Looked for: {SENTENCE_FILES}.")
        for file in files:
            _read_sentences(file, clips, table, problems)
    elif _SENTENCES.fullmatch(path.name):
        _read_sentences(path, clips, table, problems)
    else:
        _read_corpus(path, {clip: number for number, clip in clips.items()}, table, problems)
    return Reading(table.records(), clip_folders(path.parent), problems)


def _clips(mapping: Path) -> dict[str, str]:
    """Number of a clip ("vid1") -> its name; empty where there is no list."""
    if not mapping.is_file():
        return {}
    lines = [line.split() for line in read_utf8(mapping).split("\n") if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise DataError(f"{mapping}: every line must read <clip> <number>, such as abc_5_15 vid1.")
    return {number: clip for clip, number in lines}


def _read_sentences(
    path: Path, clips: dict[str, str], table: RecordTable, problems: list[Problem]
) -> None:
    match = _SENTENCES.fullmatch(path.name)
    split = split_name(match[1]) if match else None
    names: dict[str, tuple[str, ...]] = {}
    for index, line in enumerate(read_utf8(path).split("\n"), start=1):
        number, tab, sentence = line.partition("\t")
        number = number.strip()
        if not line.strip():
            continue
        if not (tab and number):
            place = f"{path.name}, line {index}"
            problems.append(Problem("malformed line", place, "expected <number><TAB><sentence>"))
            continue
        if number not in names:
            stems = dict.fromkeys((clips.get(number, number), number))
            names[number] = clip_names(tuple(stems), _SUFFIXES)
        place = f"{path.name}, line {index}"
        table.add(number, [sentence], split, place, names=names[number])


def _read_corpus(
    path: Path, numbers: dict[str, str], table: RecordTable, problems: list[Problem]
) -> None:
    for where, cells in _english_rows(path, problems):
        clip = "_".join(cells[key].strip() for key in ("videoid", "start", "end"))
        number = numbers.get(clip)
        split = _official_split(number) if numbers else None
        names = clip_names((clip,) if number is None else (clip, number), _SUFFIXES)
        table.add(clip, [cells["description"]], split, where, names=names)


def _english_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows with their place. A few of 120,000 may be malformed; they cost no more than themselves.

    So this is not :func:`~negah.data.cells.table_cells`, which is strict with people's own tables.
    """
    text = read_utf8(path)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter_of(text.partition("\n")[0])
    )
    columns: list[str] = []
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not columns:
                columns = _lower(cells)
                if not set(_COLUMNS) <= set(columns):
                    raise DataError(
                        f"{path}: the first line must name the columns VideoID, Start, End and "
                        f"Description (found: {', '.join(map(repr, cells[:20])):.200})."
                    )
            elif len(cells) != len(columns):
                if cells:
                    count = f"{len(cells)} cells, but the header has {len(columns)}"
                    problems.append(Problem("malformed line", f"{path.name}, {where}", count))
            else:
                row = dict(zip(columns, cells, strict=True))
                if row.get("language", "English").strip().lower() == "english":
                    yield where, row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: malformed CSV: {error}.") from None


def _official_split(number: str | None) -> str:
    """The part of clip "vid7"; ``none`` for one that the list leaves out."""
    digits = (number or "").removeprefix("vid")
    if not (digits.isascii() and digits.isdigit()):
        return "none"
    return next((split for split, last in _LAST.items() if int(digits) <= last), "none")


def _lower(cells: list[str]) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in cells]
