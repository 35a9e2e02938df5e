"""No picture in two parts: the check that makes a score on held-out pictures honest.

Pictures are compared by content, so a copy under another name or in another data set
is found. A picture that was scaled or compressed again is a different file and is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from negah.data.examples import Dataset, Example
from negah.data.hashing import content_sha256
from negah.errors import DataError

#: ``none`` is neither trained on nor reported on, so it cannot leak.
_USED = frozenset({"train", "dev", "test"})
_SHOWN = 5


def duplicate_images(examples: Iterable[Example]) -> list[tuple[Example, ...]]:
    """Groups of two or more examples whose files have the same content, in order.

    Reads every file; one that cannot be read is in no group.
    """
    by_content: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        try:
            by_content[content_sha256(example.path)].append(example)
        except OSError:
            continue
    return [tuple(group) for group in by_content.values() if len(group) > 1]


def leaks(groups: Iterable[tuple[Example, ...]]) -> list[tuple[Example, ...]]:
    """Those groups of equal pictures that stand in more than one of train, dev and test."""
    return [group for group in groups if len({example.split for example in group} & _USED) > 1]


def check_no_leak(dataset: Dataset) -> None:
    """Refuse a data set of which one picture stands in two of train, dev and test.

    Takes a second or two for 8,000 photographs.

    Raises:
        DataError: some do, under one name or several; names the first few.
    """
    counts = Counter(example.name for example in dataset.examples)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise DataError(
            f"{dataset.name}: {len(repeated)} images are listed more than once, such as "
            f"{', '.join(map(repr, repeated[:_SHOWN]))}. Give each image one example."
        )
    used = [example for example in dataset.examples if example.split in _USED]
    leaking = leaks(duplicate_images(used))
    if leaking:
        shown = "; ".join(_describe(group) for group in leaking[:_SHOWN])
        more = f"; and {len(leaking) - _SHOWN} more" if len(leaking) > _SHOWN else ""
        images = "image stands" if len(leaking) == 1 else "images stand"
        raise DataError(
            f"{dataset.name}: {len(leaking)} {images} in more than one part: {shown}{more}. "
            "Remove the copies, or put all copies of an image into one part."
        )


def _describe(group: tuple[Example, ...]) -> str:
    return " = ".join(f"{example.name} ({example.split})" for example in group)
