"""Files of captions without pictures: what a model said, and what people said, to be scored.

What a file holds and its suffix decide how it is read:

    COCO        results ([{image_id, caption}]) and annotations ({images, annotations})
    Karpathy    dataset_*.json
    Flickr8k    <image>#<number><TAB><caption>, as in Flickr8k.token.txt
    MSVD        sents_*_lc_nopunc.txt with the list of clips beside it, or video_corpus.csv
    MSR-VTT     *_videodatainfo.json
    table       CSV, TSV or JSON lines with image and caption, as `negah caption` writes them too
    plain text  line n is image n; tabs separate several references

A file may come from anyone: it is checked before a caption of it is counted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from negah.data.annotations import read_karpathy
from negah.data.cells import tabbed_lines
from negah.data.examples import LEFT_OUT, SPLITS, Problem, left_out_line, split_name, with_span
from negah.data.flickr import official_splits, read_flickr8k
from negah.data.msvd import is_msvd, read_msvd
from negah.data.names import is_media, spelling
from negah.data.records import Reading
from negah.data.rows import (
    NAME_KEYS,
    NEEDED,
    Row,
    RowReader,
    id_text,
    is_json_lines,
    is_table,
    parse_json,
)
from negah.errors import DataError, UnknownNameError
from negah.textfiles import STDIN, check_utf8, lines, read_text

_log = logging.getLogger(__name__)

_LAYOUTS = (
    "Allowed are COCO's results ([{image_id, caption}, ...]) and annotations ({annotations: "
    "[...]}), Karpathy's dataset, JSON lines, CSV or TSV with image and caption, and plain text."
)
_TABLE_SUFFIXES = (".csv", ".tsv")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_LOOKS_LIKE_JSON = re.compile(r"\s*(?:\{\s*\"|\[\s*[{\]])")
_LOOKS_LIKE_FLICKR = re.compile(r"\S+#\d+\t")
_FIRST_CELL = re.compile(r'"?([^\t,;]+?)"?[\t,;]')
#: Halves of characters, but not the bytes of names that are no text.
_UNWRITABLE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True, slots=True)
class CaptionFile:
    """The captions of one file, or of several that were joined.

    Attributes:
        source: what was read, for messages.
        captions: of each image, in order of first appearance.
        by_line: plain text, where image n is line n and is called ``str(n)``.
        splits: the part of each image that has one.
        aliases: other names of images, such as COCO's file names where ids are the names; None
            where two images share one, which then means neither.
        left_out: rows that could not be read, with the reason.
        rows: how many lines or entries with captions were read, those left out among them.
    """

    source: str
    captions: Mapping[str, Sequence[str]]
    by_line: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str | None] = field(default_factory=dict)
    left_out: tuple[Problem, ...] = ()
    rows: int = 0


def read_hypotheses(path: str | Path) -> CaptionFile:
    """One caption for each image, in any layout.

    Args:
        path: the file; ``-`` is standard input.

    Raises:
        DataError: it cannot be read, is malformed, or has two captions of one image.
    """
    return _read(Path(path), single=True)


def read_references(paths: Sequence[str | Path], *, split: str | None = None) -> CaptionFile:
    """The captions that people gave each image, in any layout.

    Args:
        paths: files, which are joined: line by line where they are plain text (an empty line is
            no reference), by image otherwise.
        split: keep the images of this part; None keeps all.

    Raises:
        DataError: a file cannot be read or is malformed, or they do not fit together.
        UnknownNameError: ``split`` is no name of a part.
    """
    if not paths:
        raise DataError("no references are named; name at least one file")
    files = [_read(Path(path), single=False) for path in paths]
    joined = files[0] if len(files) == 1 else _join(files)
    empty = [name for name, captions in joined.captions.items() if not captions]
    if empty:
        image = f"line {empty[0]}" if joined.by_line else f"image {empty[0]!r:.80}"
        raise DataError(
            f"{joined.source}: {len(empty)} images have no reference (the first: {image}); each "
            "needs at least one."
        )
    return joined if split is None else _part(joined, split)


def _part(file: CaptionFile, split: str) -> CaptionFile:
    wanted = split_name(split)
    if wanted is None:
        raise UnknownNameError("split", split, SPLITS)
    kept = {name: given for name, given in file.captions.items() if file.splits.get(name) == wanted}
    if not kept:
        parts = ", ".join(sorted(set(file.splits.values()))) or "it names none"
        raise DataError(f"{file.source}: no image is in the part {wanted!r} (its parts: {parts}).")
    return replace(file, captions=kept)


def _join(files: Sequence[CaptionFile]) -> CaptionFile:
    source = " + ".join(file.source for file in files)
    by_line = files[0].by_line
    if any(file.by_line != by_line for file in files):
        raise DataError(
            f"{source}: some are plain text, which goes by line, and others name their images; "
            "give references of one kind."
        )
    sizes = [len(file.captions) for file in files]
    if by_line and len(set(sizes)) > 1:
        raise DataError(
            f"{source}: {', '.join(map(str, sizes))} lines. Line n of each belongs to image n, so "
            "all need as many; leave a line empty where an image has fewer references."
        )
    rows = [
        Row(file.source, (name,), list(captions), file.splits.get(name))
        for file in files
        for name, captions in file.captions.items()
    ]
    joined = _gather(RowReader(source, source), rows, single=False)
    called = {spelling(name): name for name in joined.captions}
    aliases = (
        (other, None if name is None else called.get(spelling(name), name))
        for file in files
        for other, name in file.aliases.items()
    )
    return replace(
        joined,
        by_line=by_line,
        aliases=_aliases([*aliases, *joined.aliases.items()]),
        left_out=tuple(problem for file in files for problem in file.left_out),
        rows=sum(file.rows for file in files),
    )


def _read(path: Path, *, single: bool) -> CaptionFile:
    """One file; says so where rows of it are left out."""
    source = "standard input" if path == STDIN else str(path)
    found = _read_layout(path, source, single=single)
    if found.left_out:
        _log.warning("%s", left_out_line(found.left_out, found.rows))
    return found


def _read_layout(path: Path, source: str, *, single: bool) -> CaptionFile:
    text = read_text(path, source)
    if not text.strip():
        raise DataError(f"{source}: the file is empty. {_LAYOUTS}")
    if path != STDIN and is_msvd(path, text):
        found = _of_reading(source, path, read_msvd(path), single=single)
        numbers = {Path(other).stem: name for other, name in found.aliases.items()}
        return replace(found, aliases=_aliases([*found.aliases.items(), *numbers.items()]))
    reader = RowReader(source, "standard input" if path == STDIN else path.name)
    suffix = path.suffix.lower()
    if suffix in _TABLE_SUFFIXES or (suffix not in _JSON_SUFFIXES and is_table(text)):
        found = _gather(reader, reader.table(text), single=single)
        if found.splits or path == STDIN:
            return found
        official = official_splits(path.parent)
        spelled = {name: official.get(spelling(name)) for name in found.captions}
        return replace(found, splits={name: part for name, part in spelled.items() if part})
    check_utf8(text, source)
    if suffix in _JSON_SUFFIXES or _LOOKS_LIKE_JSON.match(text):
        return _read_json(path, reader, text, single=single)
    if path != STDIN and _LOOKS_LIKE_FLICKR.match(text.lstrip("\r\n")):
        return _of_reading(source, path, read_flickr8k(path), single=single)
    found = _gather(reader, _plain_lines(source, text, single=single), single=single)
    return replace(found, by_line=True)


def _plain_lines(source: str, text: str, *, single: bool) -> Iterator[Row]:
    """The rows of plain text: line n is image n. An empty line without ``single`` is no caption.

    Raises:
        DataError: there is a tab in a line that is one caption, a caption is too long, or the
            lines are those of a table without a header.
    """
    if _is_headless_table(text, single=single):
        raise DataError(
            f"{source}: looks like a table without a first line that names its columns, such as "
            "image<TAB>caption; add one."
        )
    given = lines(text)
    for number, line in enumerate(given if given[-1] else given[:-1], start=1):
        where = f"line {number}"
        if single and "\t" in line:
            raise DataError(
                f"{source}, {where}: holds a tab. In plain text each line is one caption; a table "
                f"needs a first line that names its columns, {NEEDED}."
            )
        cells = [line] if single else [cell for cell in line.split("\t") if cell.strip()]
        row = RowReader(source, source).row(where, {"image": number, "captions": cells})
        assert row is not None, "a line has a number"
        yield row if cells else row._replace(captions=[])  # an empty line is no reference


def _is_headless_table(text: str, *, single: bool) -> bool:
    """Whether all lines begin with a photo's or clip's name; or read ``<name><TAB><caption>``.

    Of the latter, names come again: so the lines are not two references each.
    """
    given = [line for line in lines(text) if line.strip()]
    firsts = [_FIRST_CELL.match(line) for line in given]
    if all(first is not None and is_media(first[1]) for first in firsts):
        return True
    found = list(tabbed_lines(text))
    in_two = all(caption is not None and "\t" not in caption for _, _, caption in found)
    names = [name for _, name, _ in found]
    alone = not any(" " in name for name in names) and len(set(names)) < len(names)
    return not single and in_two and alone


def _read_json(path: Path, reader: RowReader, text: str, *, single: bool) -> CaptionFile:
    if is_json_lines(text):
        return _gather(reader, reader.json_lines(text), single=single)
    content = parse_json(text, reader.source)
    if isinstance(content, list):
        return _gather(reader, reader.entries(content, "entry {n1}"), single=single)
    if not isinstance(content, dict):
        raise DataError(f"{reader.source}: holds a JSON {type(content).__name__}. {_LAYOUTS}")
    images = content.get("images")
    images = images if isinstance(images, list) else []
    for key in ("annotations", "sentences"):  # COCO's and MSR-VTT's
        if isinstance(content.get(key), list):
            rows = reader.entries(content[key], f"{key}[{{n}}]")
            found = _gather(reader, rows, single=single)
            named = [*_file_names(images), *found.aliases.items()]
            return replace(found, aliases=_aliases(named))
    if images and isinstance(images[0], dict) and "sentences" in images[0]:
        return _of_reading(reader.source, path, read_karpathy(path, content), single=single)
    if any(key in content for key in NAME_KEYS):
        return _gather(reader, reader.entries([content], "line {n1}"), single=single)
    keys = ", ".join(map(repr, list(content)[:10])) or "nothing in it"
    raise DataError(f"{reader.source}: unknown layout, an object with {keys:.200}. {_LAYOUTS}")


def _file_names(images: Sequence[Any]) -> list[tuple[str, str]]:
    """COCO's file names, as other names of the ids."""
    return [
        (image["file_name"], identifier)
        for image in images
        if isinstance(image, dict)
        and isinstance(image.get("file_name"), str)
        and (identifier := id_text(image.get("id"))) is not None
    ]


def _aliases(called: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """Other names of images; what two images share means neither."""
    found: dict[str, str | None] = {}
    for other, name in called:
        if found.setdefault(other, name) != name:
            found[other] = None
    return found


def _of_reading(source: str, path: Path, reading: Reading, *, single: bool) -> CaptionFile:
    reader = RowReader(source, path.name, count=reading.rows)
    reader.problems += [problem for problem in reading.problems if problem.kind in LEFT_OUT]
    rows = [
        Row(f"image {record.names[0]!r:.80}", tuple(record.names), record.captions, record.split)
        for record in reading.records
    ]
    return _gather(reader, rows, single=single)


def _gather(reader: RowReader, rows: Iterable[Row], *, single: bool) -> CaptionFile:
    """Bring the captions of each image together.

    Raises:
        DataError: there are none, an image has two parts or, with ``single``, two captions.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    places: dict[str, str] = {}
    aliases: list[tuple[str, str | None]] = []
    spelled: dict[str, str] = {}
    for row in rows:
        first, *others = (_name(name, row) for name in row.names)
        name = spelled.setdefault(spelling(first), first)
        given = row.captions if single else reader.without_empty(row)
        if single and (name in captions or len(given) != 1):
            count = "a second caption" if name in captions else f"{len(given)} captions"
            place = f" (the first: {places[name]})" if name in captions else ""
            raise DataError(
                f"{reader.source}, {row.where}: image {name!r:.80} has {count}{place}. Give one "
                "caption for each image; only references may be several."
            )
        places.setdefault(name, row.where)
        captions.setdefault(name, []).extend(given)
        aliases += [(other, name) for other in others]
        if row.split is not None and splits.setdefault(name, row.split) != row.split:
            raise DataError(
                f"{reader.source}, {row.where}: image {name!r:.80} is in two parts, "
                f"{splits[name]} and {row.split}."
            )
    left_out = tuple(reader.problems)
    if not captions:
        why = f" {left_out_line(left_out, reader.count)}." if left_out else ""
        raise DataError(f"{reader.source}: holds no captions.{why} {_LAYOUTS}")
    return CaptionFile(
        reader.source, captions, splits=splits, aliases=_aliases(aliases), left_out=left_out,
        rows=reader.count,
    )  # fmt: skip


def _name(name: str, row: Row) -> str:
    """The name of an image or of a span of a clip, that can be written."""
    return with_span(_UNWRITABLE.sub("\ufffd", name), row.span)
