"""Records of a caption file -> examples: find the files, check the captions.

What cannot be used is left out and recorded as a problem; only a data set of which
nothing remains is an error.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from negah.data.examples import OPEN, SPLITS, Dataset, Example, Missing, Problem, nouns, with_span
from negah.data.records import Reading, Record, noun
from negah.errors import DataError, UsageError

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
    examples: dict[str, Example] = {}
    for record in reading.records:
        made = _example(record, folder, problems, missing)
        if made is None:
            continue
        if made.name in examples:
            raise DataError(
                f"{source}: {noun(made.path.name)} {made.name!r} is listed under two spellings of "
                f"its path ({record.names[0]!r} is one). Use one spelling."
            )
        examples[made.name] = made
    if not examples:
        raise DataError(f"{source}: no {_noun(reading)} can be used. {_summary(problems)}")
    found = tuple(examples.values())
    _log.info("%s: %d %s, %d problems", name, len(found), nouns(found), len(problems))
    by_part = {split: missing[split] for split in SPLITS if split in missing}
    return Dataset(name, found, tuple(problems), by_part)


def _example(
    record: Record,
    folder: Path,
    problems: list[Problem],
    missing: dict[str, Missing],
) -> Example | None:
    names = [safe for name in record.names if (safe := _safe_name(name)) is not None]
    if len(names) < len(record.names):
        problems.append(
            Problem(
                "unsafe name",
                _encodable(record.names[0])[:200],
                "a file must be named by its path below the images folder, without '..' "
                "(name that folder with --images)",
            )
        )
        return None
    name = next((name for name in names if _is_file(folder / name)), None)
    if name is None:
        count = len(record.captions)
        message = f"no such file in {folder} ({count} caption{'' if count == 1 else 's'} unused)"
        shown = _encodable(with_span(names[0][:200], record.span))
        problems.append(Problem(f"missing {noun(names[0])}", shown, message))
        if record.split is not None:
            before = missing.get(record.split, Missing(0, 0))
            missing[record.split] = Missing(before.files + 1, before.captions + count)
        return None
    shown = with_span(name, record.span)
    captions = _captions(shown, record.captions, problems)
    if not captions:
        problems.append(Problem("no caption", shown, f"the {noun(name)} has no caption"))
        return None
    split = OPEN if record.split is None else record.split
    return Example(shown, folder / name, captions, split, record.span)


def _captions(name: str, given: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    captions = []
    for caption in given:
        text = _encodable(caption).strip()
        if text:
            captions.append(text)
        else:
            problems.append(Problem("empty caption", name, "a caption without any text"))
    return tuple(captions)


def _encodable(text: str) -> str:
    """``text`` without halves of characters, which JSON can hold and no file can store."""
    return text.encode("utf-8", "ignore").decode("utf-8")


def _safe_name(name: str) -> str | None:
    """``name`` normalised, or None if it could lead out of the images folder."""
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or ".." in windows.parts or "\0" in name:
        return None
    normal = PurePosixPath(name).as_posix()
    return None if normal == "." else normal


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the file system, or not encodable
        return False


def _images_folder(source: Path, reading: Reading, images: Path | None) -> Path:
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"--images {images}: no such folder.")
        return images
    folders = [folder for folder in reading.folders if folder.is_dir()]
    step = max(1, len(reading.records) // _PROBES)
    probes = _safe_names(reading.records[::step])
    found = {folder: sum(_is_file(folder / name) for name in probes) for folder in folders}
    best = max(folders, key=lambda folder: found[folder], default=None)
    if best is not None and (found[best] or not probes):
        return best
    # Of a large data set a few files may be there, and none of the probes among them.
    names = _safe_names(reading.records)
    for folder in folders:
        if any(_is_file(folder / name) for name in names):
            return folder
    looked = ", ".join(map(str, dict.fromkeys(folders))) or str(source.parent)
    example = f" ({names[0][:200]!r}, ...)" if names else ""
    captions = sum(len(record.captions) for record in reading.records)
    raise DataError(
        f"{source}: none of the {_noun(reading)}s that it lists was found{example}: "
        f"{len(reading.records):,} with {captions:,} captions. Looked in: {looked}. "
        "Name their folder with --images."
    )


def _safe_names(records: Sequence[Record]) -> list[str]:
    return [safe for record in records for name in record.names if (safe := _safe_name(name))]


def _noun(reading: Reading) -> str:
    return noun(reading.records[0].names[0]) if reading.records else "image"


def _summary(problems: Sequence[Problem]) -> str:
    if not problems:
        return "The file lists none."
    counts = Counter(problem.kind for problem in problems)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.most_common())
    return f"Problems: {kinds}. The first: {problems[0]}."
