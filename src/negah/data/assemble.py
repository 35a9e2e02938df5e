"""Records of a caption file -> examples: find the files, check the captions.

Unusable records are left out and recorded as problems; an error is raised only if nothing remains.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from negah.data.examples import (
    LEFT_OUT,
    OPEN,
    SPLITS,
    Dataset,
    Example,
    Missing,
    Problem,
    Span,
    left_out_line,
    nouns,
    with_span,
)
from negah.data.formats.source import Source
from negah.data.names import FileNames, is_safe, spelling
from negah.data.records import Reading, Record, noun
from negah.errors import DataError, UsageError
from negah.textfiles import is_escaped, printable, writable

_log = logging.getLogger(__name__)

#: Number of pictures that are looked up to choose among the candidate folders.
_PROBES = 200


@dataclass(slots=True)
class _MergedRecords:
    """The merged records of one photo, clip or span."""

    files: Sequence[str]
    captions: list[str]
    split: str | None
    span: Span


def assemble(name: str, source: Source, reading: Reading, *, images: Path | None) -> Dataset:
    """Make a data set from the records of a format; :mod:`negah.data.division` assigns open parts.

    Args:
        name: of the data set.
        source: the source, for messages.
        reading: its records.
        images: the folder of the photos or clips; None searches the usual places of the format.

    Raises:
        DataError: no picture can be used, or one is in two parts.
        UsageError: ``images`` is not a folder.
    """
    problems = list(reading.problems)
    pictures = _pictures(source, reading.records, problems)
    folder = _images_folder(source, reading, pictures, problems, images)
    missing: dict[str, Missing] = {}
    examples: dict[str, tuple[_MergedRecords, Example]] = {}
    for picture in pictures:
        made = _example(picture, folder, problems, missing)
        if made is None:
            continue
        if made.name in examples:
            made = _together(source, examples[made.name], (picture, made))
        examples[made.name] = picture, made
    left_out = [problem for problem in problems if problem.kind in LEFT_OUT]
    if not examples:
        raise DataError(f"{source.label}: no {_noun(pictures)} can be used. {_summary(problems)}")
    if left_out:
        _log.warning("%s", left_out_line(left_out, reading.rows))
    found = tuple(example for _, example in examples.values())
    _log.info("%s: %d %s, %d problems", name, len(found), nouns(found), len(problems))
    by_part = {split: missing[split] for split in SPLITS if split in missing}
    return Dataset(name, found, tuple(problems), by_part, rows=reading.rows, files=source.paths)


def _pictures(
    source: Source, records: Sequence[Record], problems: list[Problem]
) -> list[_MergedRecords]:
    """Merge records by name and span, in order of first appearance.

    Raises:
        DataError: they are in two parts.
    """
    found: dict[tuple[str, Span], _MergedRecords] = {}
    for record in records:
        captions = []
        for caption in record.captions:
            if caption.strip():
                captions.append(caption)
            else:
                place = f"{source.short}, {record.where or record.name}"
                problems.append(Problem("empty caption", place, "a caption without any text"))
        if not record.files:
            if captions:
                first = next(iter(found.values()), None)
                thing = "video" if first and noun(first.files[0]) == "clip" else "image"
                reason = f"{record.where or 'an entry'} has no {thing}"
                problems.append(Problem("unknown name", record.name, reason, len(captions)))
            continue
        key = record.name, record.span
        picture = found.get(key)
        if picture is None:
            picture = found[key] = _MergedRecords(record.files, [], record.split, record.span)
        if picture.split is None:
            picture.split = record.split
        elif record.split is not None and record.split != picture.split:
            thing = noun(picture.files[0])
            place = f"{source.label}, {record.where}" if record.where else source.label
            raise DataError(
                f"{place}: {thing} {with_span(record.name, record.span)!r} is in two parts, "
                f"{picture.split} and {record.split}. All captions of one {thing} must be in one "
                "part."
            )
        picture.captions.extend(captions)
    return list(found.values())


def _together(
    source: Source, first: tuple[_MergedRecords, Example], second: tuple[_MergedRecords, Example]
) -> Example:
    """Merge two entries for the same file, if their names are spelled alike.

    Raises:
        DataError: they are not, or they are in two parts.
    """
    (picture, example), (other, again) = first, second
    thing = noun(example.path.name)
    if spelling(picture.files[0]) != spelling(other.files[0]):
        raise DataError(
            f"{source.label}: {thing} {example.name!r} is listed under two spellings of "
            f"its path ({other.files[0]!r} is one). Use one spelling."
        )
    if example.split != again.split:
        raise DataError(
            f"{source.label}: {thing} {example.name!r} is in two parts, "
            f"{example.split or 'none named'} and {again.split or 'none named'}. "
            f"All captions of one {thing} must be in one part."
        )
    return replace(example, captions=example.captions + again.captions)


def _example(
    picture: _MergedRecords,
    folder: FileNames,
    problems: list[Problem],
    missing: dict[str, Missing],
) -> Example | None:
    count = len(picture.captions)
    unused = f"({count} caption{'' if count == 1 else 's'} unused)"
    name = next((found for name in picture.files if (found := folder.find(name))), None)
    if name is None:
        first = picture.files[0]
        named = printable(with_span(first[:200], picture.span))
        if not all(is_safe(name) for name in picture.files):
            reason = (
                "a file must be named by its path below the images folder, without '..' "
                f"(name that folder with --images) {unused}"
            )
            problems.append(Problem("unsafe name", named, reason, count))
            return None
        if any(map(is_escaped, picture.files)):
            reason = (
                f"no such file in {folder.folder}; the name is not UTF-8, and not found as "
                f"Windows-1252 either: save the table with UTF-8 encoding {unused}"
            )
            problems.append(Problem("unreadable name", named, reason, count))
            return None
        reason = f"no such file in {folder.folder} {unused}"
        problems.append(Problem(f"missing {noun(first)}", named, reason, count))
        if picture.split is not None:
            before = missing.get(picture.split, Missing(0, 0))
            missing[picture.split] = Missing(before.files + 1, before.captions + count)
        return None
    example_name = with_span(name, picture.span)
    if not picture.captions:
        reason = f"the {noun(name)} has no caption"
        problems.append(Problem("no caption", printable(example_name), reason, 0))
        return None
    captions = tuple(writable(caption).strip() for caption in picture.captions)
    split = OPEN if picture.split is None else picture.split
    return Example(example_name, folder.folder / name, captions, split, picture.span)


def _images_folder(
    source: Source,
    reading: Reading,
    pictures: Sequence[_MergedRecords],
    problems: Sequence[Problem],
    images: Path | None,
) -> FileNames:
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"--images {images}: no such folder.")
        return FileNames(images)
    if reading.unpack is not None:
        return FileNames(reading.unpack())
    folders = [FileNames(folder) for folder in reading.folders if folder.is_dir()]
    step = max(1, len(pictures) // _PROBES)
    probes = [name for picture in pictures[::step] for name in picture.files]
    found = {folder: sum(folder.find(name) is not None for name in probes) for folder in folders}
    best = max(folders, key=lambda folder: found[folder], default=None)
    if best is not None and (found[best] or not probes):
        return best
    # Of a large data set only a few files may exist, and none of the probes among them.
    names = [name for picture in pictures for name in picture.files if is_safe(name)]
    for folder in folders:
        if not names or any(folder.find(name) is not None for name in names):
            return folder
    looked = ", ".join(dict.fromkeys(str(one.folder) for one in folders)) or str(source.folder)
    example = f" ({names[0][:200]!r}, ...)" if names else ""
    captions = sum(len(picture.captions) for picture in pictures)
    left_out = [problem for problem in problems if problem.kind in LEFT_OUT]
    also = f" {left_out_line(left_out, reading.rows)}." if left_out else ""
    raise DataError(
        f"{source.label}: none of the {_noun(pictures)}s that it lists was found{example}: "
        f"{len(pictures):,} with {captions:,} captions. Looked in: {looked}. "
        f"Name their folder with --images.{also}"
    )


def _noun(pictures: Sequence[_MergedRecords]) -> str:
    return noun(pictures[0].files[0]) if pictures else "image"


def _summary(problems: Sequence[Problem]) -> str:
    if not problems:
        return "The file lists no pictures."
    counts = Counter(problem.kind for problem in problems)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.most_common())
    return f"Problems: {kinds}. The first: {problems[0]}."
