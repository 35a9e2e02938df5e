"""Records of a caption file -> examples: find the files, check the captions.

What cannot be used is left out and recorded as a problem; only a data set of which
nothing remains is an error.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from negah.data.examples import (
    LEFT_OUT,
    OPEN,
    SPLITS,
    Dataset,
    Example,
    Missing,
    Problem,
    left_out_line,
    nouns,
    with_span,
)
from negah.data.names import FileNames, is_safe, spelling
from negah.data.records import Reading, Record, noun
from negah.errors import DataError, UsageError
from negah.textfiles import is_escaped, shown, writable

_log = logging.getLogger(__name__)

#: So many records decide which of the candidate folders holds the pictures.
_PROBES = 200


def assemble(
    name: str,
    source: Path,
    reading: Reading,
    *,
    images: Path | None,
) -> Dataset:
    """Make a data set of what a reader read; :mod:`negah.data.division` gives the open parts.

    Args:
        name: of the data set.
        source: the caption file, for messages.
        reading: its records.
        images: the folder of the photos or clips; None looks where the format usually has them.

    Raises:
        DataError: no picture can be used.
        UsageError: ``images`` is no folder.
    """
    folder = _images_folder(source, reading, images)
    problems = list(reading.problems)
    missing: dict[str, Missing] = {}
    examples: dict[str, tuple[Record, Example]] = {}
    for record in reading.records:
        made = _example(record, folder, problems, missing)
        if made is None:
            continue
        if made.name in examples:
            made = _together(source, examples[made.name], (record, made))
        examples[made.name] = record, made
    left_out = [problem for problem in problems if problem.kind in LEFT_OUT]
    if not examples:
        raise DataError(f"{source}: no {_noun(reading)} can be used. {_summary(problems)}")
    if left_out:
        _log.warning("%s", left_out_line(left_out, reading.rows))
    found = tuple(example for _, example in examples.values())
    _log.info("%s: %d %s, %d problems", name, len(found), nouns(found), len(problems))
    by_part = {split: missing[split] for split in SPLITS if split in missing}
    return Dataset(name, found, tuple(problems), by_part, rows=reading.rows)


def _together(
    source: Path, first: tuple[Record, Example], second: tuple[Record, Example]
) -> Example:
    """One example of two records of one file, if their names are spelled alike.

    Raises:
        DataError: they are not, or they are in two parts.
    """
    (record, example), (other, again) = first, second
    thing = noun(example.path.name)
    if spelling(record.names[0]) != spelling(other.names[0]):
        raise DataError(
            f"{source}: {thing} {example.name!r} is listed under two spellings of "
            f"its path ({other.names[0]!r} is one). Use one spelling."
        )
    if example.split != again.split:
        raise DataError(
            f"{source}: {thing} {example.name!r} is in two parts, {example.split or 'none named'} "
            f"and {again.split or 'none named'}. All captions of one {thing} must be in one part."
        )
    return replace(example, captions=example.captions + again.captions)


def _example(
    record: Record,
    folder: FileNames,
    problems: list[Problem],
    missing: dict[str, Missing],
) -> Example | None:
    count = len(record.captions)
    unused = f"({count} caption{'' if count == 1 else 's'} unused)"
    name = next((found for name in record.names if (found := folder.find(name))), None)
    if name is None:
        first = record.names[0]
        named = shown(with_span(first[:200], record.span))
        if not all(is_safe(name) for name in record.names):
            reason = (
                "a file must be named by its path below the images folder, without '..' "
                f"(name that folder with --images) {unused}"
            )
            problems.append(Problem("unsafe name", named, reason, count))
            return None
        if any(map(is_escaped, record.names)):
            reason = (
                f"no such file in {folder.folder}; the name is not UTF-8, and not found as "
                f"Windows-1252 either: save the table with UTF-8 encoding {unused}"
            )
            problems.append(Problem("unreadable name", named, reason, count))
            return None
        reason = f"no such file in {folder.folder} {unused}"
        problems.append(Problem(f"missing {noun(first)}", named, reason, count))
        if record.split is not None:
            before = missing.get(record.split, Missing(0, 0))
            missing[record.split] = Missing(before.files + 1, before.captions + count)
        return None
    example_name = with_span(name, record.span)
    captions = _captions(shown(example_name), record.captions, problems)
    if not captions:
        reason = f"the {noun(name)} has no caption"
        problems.append(Problem("no caption", shown(example_name), reason, 0))
        return None
    split = OPEN if record.split is None else record.split
    return Example(example_name, folder.folder / name, captions, split, record.span)


def _captions(name: str, given: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    captions = []
    for caption in given:
        text = writable(caption).strip()
        if text:
            captions.append(text)
        else:
            problems.append(Problem("empty caption", name, "a caption without any text"))
    return tuple(captions)


def _images_folder(source: Path, reading: Reading, images: Path | None) -> FileNames:
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"--images {images}: no such folder.")
        return FileNames(images)
    folders = [FileNames(folder) for folder in reading.folders if folder.is_dir()]
    step = max(1, len(reading.records) // _PROBES)
    probes = [name for record in reading.records[::step] for name in record.names]
    found = {folder: sum(folder.find(name) is not None for name in probes) for folder in folders}
    best = max(folders, key=lambda folder: found[folder], default=None)
    if best is not None and (found[best] or not probes):
        return best
    # Of a large data set a few files may be there, and none of the probes among them.
    names = [name for record in reading.records for name in record.names if is_safe(name)]
    for folder in folders:
        if not names or any(folder.find(name) is not None for name in names):
            return folder
    looked = ", ".join(dict.fromkeys(str(one.folder) for one in folders)) or str(source.parent)
    example = f" ({names[0][:200]!r}, ...)" if names else ""
    captions = sum(len(record.captions) for record in reading.records)
    left_out = [problem for problem in reading.problems if problem.kind in LEFT_OUT]
    also = f" {left_out_line(left_out, reading.rows)}." if left_out else ""
    raise DataError(
        f"{source}: none of the {_noun(reading)}s that it lists was found{example}: "
        f"{len(reading.records):,} with {captions:,} captions. Looked in: {looked}. "
        f"Name their folder with --images.{also}"
    )


def _noun(reading: Reading) -> str:
    return noun(reading.records[0].names[0]) if reading.records else "image"


def _summary(problems: Sequence[Problem]) -> str:
    if not problems:
        return "The file lists none."
    counts = Counter(problem.kind for problem in problems)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.most_common())
    return f"Problems: {kinds}. The first: {problems[0]}."
