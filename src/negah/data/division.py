"""Assignment of parts to examples without one, for all readers.

Files are compared by the SHA-256 of their content, so that parts do not depend on names or order,
and copies under other names are never in two parts. A file without a part gets the part that it
has in another of the data sets, so further captions of training photos stay in the part train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from negah.data.examples import OPEN, Dataset, Example, Problem, nouns
from negah.data.records import noun
from negah.data.splits import same_files
from negah.errors import DataError
from negah.hashing import content_sha256
from negah.split import Division, SplitPolicy


def divide(datasets: Sequence[Dataset], policy: SplitPolicy | None) -> list[Dataset]:
    """Split data sets as one training would; see :class:`~negah.split.SplitPolicy`.

    A file whose content is needed but cannot be read is left out and recorded as a problem.

    Args:
        datasets: as read, with examples without a part.
        policy: None assigns all examples without a part to train.

    Raises:
        DataError: no file of a data set can be read.
    """
    datasets = _as_elsewhere(datasets)
    if policy is None:
        return [_with_parts(dataset, _else_train) for dataset in datasets]
    contents = _Contents()
    divided = [_by_content(dataset, policy, contents) for dataset in datasets]
    if policy.dev_fraction and not any(dataset.split("dev") for dataset in divided):
        divided = _from_train(divided, policy.dev_fraction, contents)
    return [
        replace(after, division=_what_was_done(before, after, policy))
        for before, after in zip(datasets, divided, strict=True)
    ]


def split_by_content(sha256: str, policy: SplitPolicy) -> str:
    """The part of a picture without one: a fixed function of its bytes.

    So a picture stays in its part when files are renamed, added or reordered, and a
    larger ``dev_fraction`` only adds to dev.
    """
    position = int(sha256[:16], 16) / 2**64
    if position < policy.test_fraction:
        return "test"
    # Counted from the other end, so that changing one fraction does not change the other part.
    return "dev" if position >= 1 - policy.dev_fraction else "train"


def _as_elsewhere(datasets: Sequence[Dataset]) -> Sequence[Dataset]:
    """Assign to files without a part the part that the same file has in another data set.

    Files with two parts are left to the leak check.
    """
    every = [example for dataset in datasets for example in dataset.examples]
    is_open = [example.split == OPEN for example in every]
    if len(datasets) < 2 or all(is_open) or not any(is_open):
        return datasets
    known: dict[Path, str] = {}
    for group in same_files(every):
        parts = {example.split for example in group} - {OPEN}
        if len(parts) == 1:
            known |= dict.fromkeys((example.path for example in group), parts.pop())

    def part(example: Example) -> str:
        return known.get(example.path, OPEN) if example.split == OPEN else example.split

    return [_with_parts(dataset, part) for dataset in datasets]


class _Contents:
    """The SHA-256 of files, each read once, and the reasons why files could not be read."""

    def __init__(self) -> None:
        self._found: dict[Path, str] = {}
        self.unread: dict[Path, str] = {}

    def __call__(self, path: Path) -> str | None:
        if path not in self._found and path not in self.unread:
            try:
                self._found[path] = content_sha256(path)
            except OSError as error:
                self.unread[path] = error.strerror or type(error).__name__
        return self._found.get(path)


def _by_content(dataset: Dataset, policy: SplitPolicy, contents: _Contents) -> Dataset:
    if policy.dev_fraction == 0 and policy.test_fraction == 0:
        return _with_parts(dataset, _else_train)
    known = _readable(dataset, (e.path for e in dataset.examples if e.split == OPEN), contents)

    def part(example: Example) -> str:
        sha256 = contents(example.path) if example.split == OPEN else None
        return example.split if sha256 is None else split_by_content(sha256, policy)

    return _with_parts(known, part)


def _from_train(datasets: list[Dataset], fraction: float, contents: _Contents) -> list[Dataset]:
    """Whole files: all spans of a clip, and copies under other names, go together."""
    paths = [e.path for dataset in datasets for e in dataset.split("train")]
    known = [_readable(dataset, paths, contents) for dataset in datasets]
    hashes = {contents(path) for path in paths}
    ordered = sorted(sha256 for sha256 in hashes if sha256 is not None)
    count = min(max(1, round(fraction * len(ordered))), len(ordered) - 1)
    chosen = set(ordered[: max(0, count)])

    def part(example: Example) -> str:
        moves = example.split == "train" and contents(example.path) in chosen
        return "dev" if moves else example.split

    return [_with_parts(dataset, part) for dataset in known]


def _readable(dataset: Dataset, paths: Iterable[Path], contents: _Contents) -> Dataset:
    """The data set without the examples of unreadable files."""
    failed = {path for path in paths if contents(path) is None}
    if not failed:
        return dataset
    lost = [example for example in dataset.examples if example.path in failed]
    problems = [
        Problem(
            f"missing {noun(example.path.name)}",
            example.name,
            f"cannot be read: {contents.unread[example.path]}",
        )
        for example in lost
    ]
    if len(lost) == len(dataset.examples):
        raise DataError(f"{dataset.name}: no file can be read. The first: {problems[0]}.")
    return replace(
        dataset,
        examples=tuple(example for example in dataset.examples if example.path not in failed),
        problems=(*dataset.problems, *problems),
    )


def _else_train(example: Example) -> str:
    return "train" if example.split == OPEN else example.split


def _with_parts(dataset: Dataset, part: Callable[[Example], str]) -> Dataset:
    examples = tuple(
        example if example.split == (split := part(example)) else replace(example, split=split)
        for example in dataset.examples
    )
    return replace(dataset, examples=examples)


def _what_was_done(before: Dataset, after: Dataset, policy: SplitPolicy) -> Division:
    given = {example.name: example.split for example in before.examples}
    moved = [(given[example.name], example.split) for example in after.examples]
    return Division.parse(
        {
            "policy": policy,
            "things": nouns(before.examples, "photo"),
            "open": sum(was == OPEN for was, _ in moved),
            "open_dev": moved.count((OPEN, "dev")),
            "open_test": moved.count((OPEN, "test")),
            "train_dev": moved.count(("train", "dev")),
        },
        where=before.name,
    )
