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

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from negah.data.cells import Cells, header_of, tabbed_lines, table_rows
from negah.data.examples import Problem, split_name
from negah.data.records import CLIP_SUFFIXES, Reading, RecordTable, clip_folders, clip_names
from negah.errors import DataError
from negah.textfiles import lines, read_utf8

#: The list of all clips. It stands for the sentence files beside it.
MAPPING_FILE = "youtube_video_to_id_mapping.txt"
SENTENCE_FILES = "sents_*_lc_nopunc.txt"

_SENTENCES = re.compile(r"sents_(train|val|test)_lc_nopunc\.txt")
_LAST = {"train": 1200, "dev": 1300, "test": 1970}
_COLUMNS = ("videoid", "start", "end", "description")
_SUFFIXES = (".avi", *(suffix for suffix in CLIP_SUFFIXES if suffix != ".avi"))


def is_msvd(path: Path, text: str) -> bool:
    """Whether a file has one of the names of MSVD, or its text the columns of its CSV."""
    if path.name == MAPPING_FILE or _SENTENCES.fullmatch(path.name):
        return True
    header = header_of(text, _COLUMNS)
    return header is not None and set(_COLUMNS) <= set(header.columns)


def read_msvd(path: Path) -> Reading:
    """Read the list of clips with all sentence files beside it, one of these alone, or the CSV.

    Raises:
        DataError: the file has none of the layouts, or one clip is in two parts.
    """
    clips = _clips(path.parent / MAPPING_FILE)
    table = RecordTable(path)
    problems: list[Problem] = []
    rows = 0
    if path.name == MAPPING_FILE:
        parts = (path.parent / f"sents_{part}_lc_nopunc.txt" for part in ("train", "val", "test"))
        files = [part for part in parts if part.is_file()]
        if not files:
            raise DataError(f"{path}: no sentences beside it. Looked for: {SENTENCE_FILES}.")
        for file in files:
            rows += _read_sentences(file, clips, table, problems)
    elif _SENTENCES.fullmatch(path.name):
        rows = _read_sentences(path, clips, table, problems)
    else:
        numbers = {clip: number for number, clip in clips.items()}
        rows = _read_corpus(path, numbers, table, problems)
    return Reading(table.records(), clip_folders(path.parent), problems, rows)


def _clips(mapping: Path) -> dict[str, str]:
    """Number of a clip ("vid1") -> its name; empty where there is no list."""
    if not mapping.is_file():
        return {}
    found = [line.split() for line in lines(read_utf8(mapping)) if line.strip()]
    if any(len(line) != 2 for line in found):
        raise DataError(f"{mapping}: every line must read <clip> <number>, such as abc_5_15 vid1.")
    return {number: clip for clip, number in found}


def _read_sentences(
    path: Path, clips: dict[str, str], table: RecordTable, problems: list[Problem]
) -> int:
    """Adds the sentences of one part; returns how many lines it has."""
    match = _SENTENCES.fullmatch(path.name)
    split = split_name(match[1]) if match else None
    names: dict[str, tuple[str, ...]] = {}
    rows = 0
    for index, number, sentence in tabbed_lines(read_utf8(path)):
        rows += 1
        place = f"{path.name}, line {index}"
        if sentence is None or not number:
            problems.append(Problem("malformed line", place, "expected <number><TAB><sentence>"))
            continue
        if number not in names:
            stems = dict.fromkeys((clips.get(number, number), number))
            names[number] = clip_names(tuple(stems), _SUFFIXES)
        table.add(number, [sentence], split, place, names=names[number])
    return rows


def _read_corpus(
    path: Path, numbers: dict[str, str], table: RecordTable, problems: list[Problem]
) -> int:
    """Adds the English sentences of the CSV; returns how many rows they are."""
    rows = 0
    for where, cells in _english_rows(path):
        rows += 1
        if isinstance(cells, str):
            problems.append(Problem("malformed line", f"{path.name}, {where}", cells))
            continue
        clip = "_".join(cells[key].strip() for key in ("videoid", "start", "end"))
        number = numbers.get(clip)
        split = _official_split(number) if numbers else None
        names = clip_names((clip,) if number is None else (clip, number), _SUFFIXES)
        table.add(clip, [cells["description"]], split, where, names=names)
    return rows


def _english_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str] | str]]:
    """Rows with their place, and of those that cannot be used the reason."""
    text = read_utf8(path)
    header = header_of(text, _COLUMNS)
    if header is None or not set(_COLUMNS) <= set(header.columns):
        found = ", ".join(map(repr, header.columns[:20])) if header is not None else "nothing"
        raise DataError(
            f"{path}: the first line must name the columns VideoID, Start, End and "
            f"Description (found: {found:.200})."
        )
    for row in table_rows(str(path), text, header, ("videoid",)):
        language = row.cells.get("language", "English") if isinstance(row, Cells) else "English"
        if language.strip().lower() == "english":
            yield row
        elif not language.strip():
            yield row.where, "no language is named"


def _official_split(number: str | None) -> str:
    """The part of clip "vid7"; ``none`` for one that the list leaves out."""
    digits = (number or "").removeprefix("vid")
    if not (digits.isascii() and digits.isdigit()):
        return "none"
    return next((split for split, last in _LAST.items() if int(digits) <= last), "none")
