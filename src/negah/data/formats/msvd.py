"""MSVD, the Microsoft Research video description corpus (Chen and Dolan, ACL 2011).

It is distributed in two layouts. One has a sentence file for each part (``vid7<TAB>a man runs``)
and a list that maps clips to those numbers (``-4wsuPCjDBc_5_15 vid1``). The other is the authors'
``video_corpus.csv`` with the original sentences in many languages, of which the English ones are
read; its parts are those of the list, if the list is in the same folder: vid1 to vid1200 train, to
vid1300 dev, to vid1970 test, the split of Venugopalan et al. (NAACL 2015) and of nearly all papers
since. A clip is a separate file named ``<video>_<start>_<end>``; so the times in its name are not a
span of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from negah.data.cells import Cells, header_of, tabbed_lines, table_rows
from negah.data.examples import Problem, split_name
from negah.data.formats.places import CLIP_SUFFIXES, clip_folders, clip_names
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.records import Reading, Record
from negah.errors import DataError
from negah.textfiles import check_utf8, lines, read_utf8

#: The list of all clips; naming it reads the sentence files beside it.
MAPPING_FILE = "youtube_video_to_id_mapping.txt"
SENTENCE_FILES = "sents_*_lc_nopunc.txt"

_SENTENCES = re.compile(r"sents_(train|val|test)_lc_nopunc\.txt")
_LAST = {"train": 1200, "dev": 1300, "test": 1970}
_COLUMNS = ("videoid", "start", "end", "description")
_SUFFIXES = (".avi", *(suffix for suffix in CLIP_SUFFIXES if suffix != ".avi"))


class Msvd(Format):
    """The list of clips with all sentence files beside it, one of these alone, or the CSV."""

    files = (MAPPING_FILE, SENTENCE_FILES, "video_corpus*.csv")
    beside = (MAPPING_FILE, SENTENCE_FILES)

    def sniff(self, source: Source) -> bool:
        """By the names of the files, or by the columns of the CSV."""
        name = source.path.name
        return bool(name == MAPPING_FILE or _SENTENCES.fullmatch(name)) or _is_corpus(source)

    def read(self, source: Source) -> Reading:
        """Read sentences, by number of the clip, or the English ones of the CSV.

        Raises:
            DataError: the file has neither layout, or a clip is in two parts.
        """
        is_mapping = source.path.name == MAPPING_FILE
        clips = _clips(source, source.text if is_mapping else None)
        reading = Reading([], clip_folders(source.folder))
        splits: dict[str, str] = {}
        if is_mapping and source.folder is not None:
            parts = (f"sents_{part}_lc_nopunc.txt" for part in ("train", "val", "test"))
            files = [path for part in parts if (path := source.folder / part).is_file()]
            if not files:
                raise DataError(
                    f"{source.label}: no sentence files beside it. Looked for: {SENTENCE_FILES}."
                )
            for file in files:
                _read_sentences(source, file.name, read_utf8(file), clips, splits, reading)
        elif _SENTENCES.fullmatch(source.path.name):
            text = check_utf8(source.text, source.label)
            _read_sentences(source, source.path.name, text, clips, splits, reading)
        else:
            _read_corpus(source, {clip: number for number, clip in clips.items()}, reading)
        return reading


def _is_corpus(source: Source) -> bool:
    header = header_of(source.text, _COLUMNS)
    return header is not None and set(_COLUMNS) <= set(header.columns)


def _clips(source: Source, text: str | None) -> dict[str, str]:
    """Number of a clip ("vid1") -> its name; empty without a list."""
    path = (source.folder or Path()) / MAPPING_FILE
    if text is None:
        if source.folder is None or not path.is_file():
            return {}
        text = read_utf8(path)
    found = [line.split() for line in lines(check_utf8(text, str(path))) if line.strip()]
    if any(len(line) != 2 for line in found):
        raise DataError(f"{path}: every line must read <clip> <number>, such as abc_5_15 vid1.")
    return {number: clip for clip, number in found}


def _read_sentences(
    source: Source,
    file_name: str,
    text: str,
    clips: Mapping[str, str],
    splits: dict[str, str],
    reading: Reading,
) -> None:
    """Add the sentences of one part.

    Raises:
        DataError: a clip is in another part, by ``splits``.
    """
    match = _SENTENCES.fullmatch(file_name)
    split = split_name(match[1]) if match else None
    files: dict[str, tuple[str, ...]] = {}
    for index, number, sentence in tabbed_lines(text):
        reading.rows += 1
        where = f"{file_name}, line {index}"
        if sentence is None or not number:
            expected = "expected <number><TAB><sentence>"
            reading.problems.append(Problem("malformed line", where, expected))
            continue
        if number not in files:
            if split is not None and splits.setdefault(number, split) != split:
                raise DataError(
                    f"{source.label}, {where}: clip {number!r} is in two parts, "
                    f"{splits[number]} and {split}. All captions of one clip must be in one part."
                )
            stems = dict.fromkeys((clips.get(number, number), number))
            files[number] = clip_names(tuple(stems), _SUFFIXES)
        # only the line, if it is in the file that was named
        place = where if file_name != source.path.name else f"line {index}"
        found = files[number]
        reading.records.append(Record(found[0], [sentence], found, split, where=place))


def _read_corpus(source: Source, numbers: Mapping[str, str], reading: Reading) -> None:
    """Add the English sentences of the CSV."""
    for where, cells in _english_rows(source):
        reading.rows += 1
        if isinstance(cells, str):
            reading.problems.append(Problem("malformed line", f"{source.short}, {where}", cells))
            continue
        clip = "_".join(cells[key].strip() for key in ("videoid", "start", "end"))
        number = numbers.get(clip)
        split = _official_split(number) if numbers else None
        files = clip_names((clip,) if number is None else (clip, number), _SUFFIXES)
        reading.records.append(Record(files[0], [cells["description"]], files, split, where=where))


def _english_rows(source: Source) -> Iterator[tuple[str, Mapping[str, str] | str]]:
    """Rows with their positions, and the reasons for unusable ones."""
    text = check_utf8(source.text, source.label)
    header = header_of(text, _COLUMNS)
    if header is None or not set(_COLUMNS) <= set(header.columns):
        found = ", ".join(map(repr, header.columns[:20])) if header is not None else "nothing"
        raise DataError(
            f"{source.label}: the first line must name the columns VideoID, Start, End and "
            f"Description (found: {found:.200})."
        )
    for row in table_rows(source.label, text, header, ("videoid",)):
        language = row.cells.get("language", "English") if isinstance(row, Cells) else "English"
        if language.strip().lower() == "english":
            yield row
        elif not language.strip():
            yield row.where, "no language is given"


def _official_split(number: str | None) -> str:
    """The part of clip "vid7"; ``none`` for one that the list leaves out."""
    digits = (number or "").removeprefix("vid")
    if not (digits.isascii() and digits.isdigit()):
        return "none"
    return next((split for split, last in _LAST.items() if int(digits) <= last), "none")


MSVD = Msvd()
