"""Caption files without pictures: hypotheses and references for scoring.

They may have any format of :mod:`negah.data.formats`, including COCO results and plain text. Files
are untrusted input and are validated before use.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from negah.data.examples import LEFT_OUT, SPLITS, Problem, left_out_line, split_name, with_span
from negah.data.formats import Reading, Record, Source, identify, locate
from negah.data.formats.lines import headless
from negah.data.image_names import images_called
from negah.data.names import spelling
from negah.data.rows import NEEDED
from negah.errors import DataError, UnknownNameError
from negah.textfiles import STDIN

_log = logging.getLogger(__name__)

_LAYOUTS = (
    "Allowed are COCO's results ([{image_id, caption}, ...]) and annotations ({annotations: "
    "[...]}), Karpathy's dataset, JSON lines, CSV or TSV with image and caption, webdataset and "
    "Parquet shards, and plain text."
)
_EMPTY = "a caption without any text"
#: Lone surrogates, except those of undecodable bytes of file names.
_UNWRITABLE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True, slots=True)
class CaptionFile:
    """The captions of one file, or of several that were joined.

    Attributes:
        source: the source, for messages.
        captions: of each image, in order of first appearance.
        by_line: whether it is plain text, where line n belongs to image ``str(n)``.
        splits: the part of each image that has one.
        aliases: other names of images, such as COCO's file names if ids are the names; None for an
            ambiguous name, which is not used.
        left_out: rows that could not be read, with the reason.
        rows: number of lines or entries with captions that were read, including those left out.
    """

    source: str
    captions: Mapping[str, Sequence[str]]
    by_line: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str | None] = field(default_factory=dict)
    left_out: tuple[Problem, ...] = ()
    rows: int = 0


def read_hypotheses(path: str | Path) -> CaptionFile:
    """Read one caption for each image, in any layout.

    Args:
        path: the file; ``-`` is standard input.

    Raises:
        DataError: it cannot be read, is malformed, or has two captions of one image.
    """
    return _read(Path(path), single=True)


def read_references(paths: Sequence[str | Path], *, split: str | None = None) -> CaptionFile:
    """Read the references of each image, in any layout.

    Args:
        paths: files, which are joined: line by line where they are plain text (an empty line is
            no reference), by image otherwise.
        split: keep the images of this part; None keeps all.

    Raises:
        DataError: a file cannot be read or is malformed, or they do not fit together.
        UnknownNameError: ``split`` is not the name of a part.
    """
    if not paths:
        raise DataError("no reference files are given; give at least one")
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
            f"{source}: some are plain text, matched by line, and others name their images; give "
            f"references of one kind."
        )
    sizes = [len(file.captions) for file in files]
    if by_line and len(set(sizes)) > 1:
        raise DataError(
            f"{source}: {', '.join(map(str, sizes))} lines. Line n of each belongs to image n, so "
            f"all need the same number of lines; leave a line empty where an image has fewer "
            f"references."
        )
    records = [
        Record(name, captions or [""], split=file.splits.get(name), where=file.source)
        for file in files
        for name, captions in file.captions.items()
    ]
    joined = _gather((source, source), Reading(records), single=False)
    called = {spelling(name): name for name in joined.captions}
    aliases = (
        (other, None if name is None else called.get(spelling(name), name))
        for file in files
        for other, name in file.aliases.items()
    )
    return replace(
        joined,
        by_line=by_line,
        aliases=images_called([*aliases, *joined.aliases.items()]),
        left_out=tuple(problem for file in files for problem in file.left_out),
        rows=sum(file.rows for file in files),
    )


def _read(path: Path, *, single: bool) -> CaptionFile:
    """Read one file, or the shards of one data set; log rows that are left out."""
    is_many = path != STDIN and (path.is_dir() or ("{" in str(path) and not path.exists()))
    source = locate(path) if is_many else Source([path])
    if not source.is_binary and not source.text.strip():
        raise DataError(f"{source.label}: the file is empty. {_LAYOUTS}")
    form = identify(source, by_line=True)
    if form is None:
        raise _unknown(source)
    reading = form.read(source)
    if reading.by_line:
        _check_lines(source, reading.records, single=single)
    found = _gather((source.label, source.short), reading, single=single)
    if found.left_out:
        _log.warning("%s", left_out_line(found.left_out, found.rows))
    return found


def _unknown(source: Source) -> DataError:
    if source.is_binary:
        return DataError(f"{source.label}: neither text nor a shard with captions. {_LAYOUTS}")
    content = source.json
    if not isinstance(content, dict):
        kind = type(content).__name__
        return DataError(f"{source.label}: holds a JSON {kind}. {_LAYOUTS}")
    keys = ", ".join(map(repr, list(content)[:10])) or "no keys"
    return DataError(f"{source.label}: unknown layout, an object with {keys:.200}. {_LAYOUTS}")


def _check_lines(source: Source, records: Sequence[Record], *, single: bool) -> None:
    """Refuse plain text that is a table without a header.

    If the first cells of ``<name><TAB><caption>`` lines repeat, they are names, not references.

    Raises:
        DataError: it is such a table or, with ``single``, a line contains a tab.
    """
    for record in records if single else ():
        if len(record.captions) > 1:
            raise DataError(
                f"{source.label}, {record.where}: holds a tab. In plain text each line is one "
                f"caption; a table needs a first line that names its columns, {NEEDED}."
            )
    said = [record.captions for record in records if any(one.strip() for one in record.captions)]
    names = [captions[0].strip() for captions in said]
    alone = not any(" " in name for name in names) and len(set(names)) < len(names)
    if not single and all(len(captions) == 2 for captions in said) and alone:
        raise headless(source.label)


def _gather(names: tuple[str, str], reading: Reading, *, single: bool) -> CaptionFile:
    """Collect the captions of each image.

    Args:
        names: of the file, in errors and in problems.
        reading: its content.
        single: whether an image has one caption, which may be empty.

    Raises:
        DataError: there are none, an image has two parts or, with ``single``, two captions.
    """
    label, short = names
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    places: dict[str, str] = {}
    aliases: list[tuple[str, str | None]] = []
    spelled: dict[str, str] = {}
    left_out = [problem for problem in reading.problems if problem.kind in LEFT_OUT]
    for record in reading.records:
        first = _name(record.name, record)
        name = spelled.setdefault(spelling(first), first)
        others = (_name(other, record) for other in record.names)
        aliases += [(other, name) for other in others if other != first]
        if not record.captions:
            continue  # listed, without a caption
        given = list(record.captions)
        if not single:
            given = [caption for caption in given if caption.strip()]
            if not reading.by_line:  # an empty line is not a reference
                left_out += [Problem("empty caption", f"{short}, {record.where}", _EMPTY)] * (
                    len(record.captions) - len(given)
                )
        if single and (name in captions or len(given) != 1):
            count = "a second caption" if name in captions else f"{len(given)} captions"
            place = f" (the first: {places[name]})" if name in captions else ""
            raise DataError(
                f"{label}, {record.where}: image {name!r:.80} has {count}{place}. Give one "
                "caption for each image; only references may be several."
            )
        places.setdefault(name, record.where)
        captions.setdefault(name, []).extend(given)
        if record.split is not None and splits.setdefault(name, record.split) != record.split:
            raise DataError(
                f"{label}, {record.where}: image {name!r:.80} is in two parts, "
                f"{splits[name]} and {record.split}."
            )
    if not captions:
        why = f" {left_out_line(left_out, reading.rows)}." if left_out else ""
        raise DataError(f"{label}: holds no captions.{why} {_LAYOUTS}")
    return CaptionFile(
        label,
        captions,
        by_line=reading.by_line,
        splits=splits,
        aliases=images_called(aliases),
        left_out=tuple(left_out),
        rows=reading.rows,
    )


def _name(name: str, record: Record) -> str:
    """The name of an image, or of a span of a clip, that can be written as UTF-8."""
    return with_span(_UNWRITABLE.sub("\ufffd", name), record.span)
