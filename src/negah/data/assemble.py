"""Records of a caption file -> examples: find the pictures, check the captions, give parts.

What cannot be used is left out and recorded as a problem; only a data set of which
nothing remains is an error.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from negah.data.examples import Dataset, Example, Problem
from negah.data.hashing import content_sha256
from negah.data.records import Reading, Record
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
    dev_fraction: float,
    test_fraction: float,
) -> Dataset:
    """Make a data set of what a reader read.

    Args:
        name: of the data set.
        source: the caption file, for messages.
        reading: its records.
        images: the folder of the pictures; None looks where the format usually has them.
        dev_fraction: share of the pictures without a part that goes to dev.
        test_fraction: share of the pictures without a part that goes to test.

    Raises:
        DataError: no picture can be used.
        UsageError: ``images`` is no folder, or the fractions are impossible.
    """
    check_fractions(dev_fraction, test_fraction)
    folder = _images_folder(source, reading, images)
    problems = list(reading.problems)
    examples: dict[str, Example] = {}
    for record in reading.records:
        made = _example(record, folder, dev_fraction, test_fraction, problems)
        if made is None:
            continue
        if made.name in examples:
            raise DataError(
                f"{source}: image {made.name!r} is listed under two spellings of its path "
                f"({record.names[0]!r} is one). Use one spelling."
            )
        examples[made.name] = made
    if not examples:
        raise DataError(f"{source}: no image can be used. {_summary(problems)}")
    _log.info("%s: %d images, %d problems", name, len(examples), len(problems))
    return Dataset(name, tuple(examples.values()), tuple(problems))


def check_fractions(dev_fraction: float, test_fraction: float) -> None:
    """Refuse shares that leave nothing to train on.

    Raises:
        UsageError: a fraction is negative, or both together are 1 or more.
    """
    if not (dev_fraction >= 0 and test_fraction >= 0 and dev_fraction + test_fraction < 1):
        raise UsageError(
            f"dev_fraction {dev_fraction} and test_fraction {test_fraction}: "
            "each must be 0 or more, and both together less than 1."
        )


def split_by_content(sha256: str, dev_fraction: float, test_fraction: float) -> str:
    """The part of a picture without one: a fixed function of its bytes.

    So a picture stays in its part when files are renamed, added or reordered, and a
    larger ``dev_fraction`` only adds to dev.
    """
    position = int(sha256[:16], 16) / 2**64
    if position < test_fraction:
        return "test"
    # From the other end, so that a change of one fraction does not move the other part.
    return "dev" if position >= 1 - dev_fraction else "train"


def _example(
    record: Record,
    folder: Path,
    dev_fraction: float,
    test_fraction: float,
    problems: list[Problem],
) -> Example | None:
    names = [safe for name in record.names if (safe := _safe_name(name)) is not None]
    if len(names) < len(record.names):
        problems.append(
            Problem(
                "unsafe name",
                _encodable(record.names[0])[:200],
                "an image must be named by its path below the images folder, without '..' "
                "(name that folder with --images)",
            )
        )
        return None
    name = next((name for name in names if _is_file(folder / name)), None)
    if name is None:
        count = len(record.captions)
        message = f"no such file in {folder} ({count} caption{'' if count == 1 else 's'} unused)"
        problems.append(Problem("missing image", _encodable(names[0])[:200], message))
        return None
    captions = _captions(name, record.captions, problems)
    if not captions:
        problems.append(Problem("no caption", name, "the image has no caption"))
        return None
    path = folder / name
    split = record.split
    if split is None and dev_fraction == 0 and test_fraction == 0:
        split = "train"
    elif split is None:
        try:
            split = split_by_content(content_sha256(path), dev_fraction, test_fraction)
        except OSError as error:
            problems.append(Problem("missing image", name, f"cannot be read: {error.strerror}"))
            return None
    return Example(name, path, captions, split)


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
    step = max(1, len(reading.records) // _PROBES)
    names = [
        safe
        for record in reading.records[::step]
        for name in record.names
        if (safe := _safe_name(name)) is not None
    ]
    folders = [folder for folder in reading.folders if folder.is_dir()]
    found = {folder: sum(_is_file(folder / name) for name in names) for folder in folders}
    best = max(folders, key=lambda folder: found[folder], default=None)
    if best is None or (names and found[best] == 0):
        looked = ", ".join(map(str, dict.fromkeys(folders))) or str(source.parent)
        example = f" ({names[0][:200]!r}, ...)" if names else ""
        raise DataError(
            f"{source}: none of the images that it lists was found{example}. Looked in: {looked}. "
            "Name their folder with --images."
        )
    return best


def _summary(problems: Sequence[Problem]) -> str:
    if not problems:
        return "The file lists none."
    counts = Counter(problem.kind for problem in problems)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.most_common())
    return f"Problems: {kinds}. The first: {problems[0]}."
