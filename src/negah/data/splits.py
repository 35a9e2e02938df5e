"""Leak check: no photo or clip may be in two parts.

Files are compared by content, so copies under other names or in other data sets are found, and so
are spans of the same clip, because neighbouring scenes are similar. A rescaled or recompressed
picture is a different file and is not found.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from negah.data.examples import Dataset, Example, nouns
from negah.errors import DataError
from negah.hashing import content_sha256

#: ``none`` is used neither for training nor for reporting, so it cannot leak.
_USED = frozenset({"train", "dev", "test"})
_SHOWN = 5


def same_files(examples: Iterable[Example]) -> list[tuple[Example, ...]]:
    """Groups of two or more examples whose files have the same content, in order.

    Only files of equal size are read; one that cannot be read is in no group.
    """
    given = list(examples)
    contents = _contents(dict.fromkeys(example.path for example in given))
    groups: dict[Hashable, list[Example]] = defaultdict(list)
    for example in given:
        if example.path in contents:
            groups[contents[example.path]].append(example)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def duplicates(groups: Iterable[tuple[Example, ...]]) -> list[tuple[Example, ...]]:
    """Groups of examples with equal files and equal spans."""
    by_span: list[tuple[Example, ...]] = []
    for group in groups:
        spans: dict[Hashable, list[Example]] = defaultdict(list)
        for example in group:
            spans[example.span].append(example)
        by_span += [tuple(same) for same in spans.values() if len(same) > 1]
    return by_span


def leaks(groups: Iterable[tuple[Example, ...]]) -> list[tuple[Example, ...]]:
    """Groups of equal files that are in more than one of train, dev and test."""
    return [group for group in groups if len({example.split for example in group} & _USED) > 1]


def check_no_leak(dataset: Dataset) -> None:
    """Refuse a data set with a photo or clip in more than one of train, dev and test.

    Takes a second or two for 8,000 photographs.

    Raises:
        DataError: there are such files, under one name or several; names the first few.
    """
    counts = Counter(example.name for example in dataset.examples)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        things = nouns(dataset.examples)
        raise DataError(
            f"{dataset.name}: {len(repeated)} {things} are listed more than once, such as "
            f"{', '.join(map(repr, repeated[:_SHOWN]))}. Give each one example."
        )
    used = [example for example in dataset.examples if example.split in _USED]
    leaking = leaks(same_files(used))
    if leaking:
        shown = "; ".join(_describe(group) for group in leaking[:_SHOWN])
        more = f"; and {len(leaking) - _SHOWN} more" if len(leaking) > _SHOWN else ""
        things = nouns([example for group in leaking for example in group])
        stand = f"{things.removesuffix('s')} stands" if len(leaking) == 1 else f"{things} stand"
        raise DataError(
            f"{dataset.name}: {len(leaking)} {stand} in more than one part: {shown}{more}. "
            f"{_advice(leaking)}"
        )


def _contents(paths: Iterable[Path]) -> dict[Path, Hashable]:
    """The content key of each file: its hash, or its path if no other file has the same size."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            by_size[path.stat().st_size].append(path)
        except OSError:
            continue
    found: dict[Path, Hashable] = {}
    for same_size in by_size.values():
        if len(same_size) == 1:
            found[same_size[0]] = same_size[0]
            continue
        for path in same_size:
            try:
                found[path] = content_sha256(path)
            except OSError:
                continue
    return found


def _describe(group: tuple[Example, ...]) -> str:
    return " = ".join(f"{example.name} ({example.split})" for example in group)


def _advice(groups: Sequence[tuple[Example, ...]]) -> str:
    things = nouns([example for group in groups for example in group])
    if any(example.span is not None for group in groups for example in group):
        return "Put all spans and copies of a clip into one part: its scenes are similar."
    one = "a clip" if things == "clips" else "an image"
    return f"Remove the copies, or put all copies of {one} into one part."
