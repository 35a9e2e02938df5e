"""A dev part for a data set that comes without one, such as a few clips of a train part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from negah.data.examples import Dataset
from negah.data.hashing import content_sha256
from negah.data.readers import merge


def hold_out(dataset: Dataset, fraction: float) -> Dataset:
    """The data set with a share of its train part as dev, if nothing is dev.

    Files are chosen by the SHA-256 of their content, whole: all spans of a clip, and copies under
    other names, go together. At least one file goes, and at least one stays.

    Args:
        dataset: with or without a dev part.
        fraction: of the files of the train part; 0 changes nothing.
    """
    training = dataset.split("train")
    if dataset.split("dev") or not fraction:
        return dataset
    contents = {path: content_sha256(path) for path in {example.path for example in training}}
    ordered = sorted(set(contents.values()))
    count = min(max(1, round(fraction * len(ordered))), len(ordered) - 1)
    chosen = set(ordered[: max(0, count)])
    return replace(
        dataset,
        examples=tuple(
            replace(example, split="dev")
            if example.split == "train" and contents[example.path] in chosen
            else example
            for example in dataset.examples
        ),
    )


def hold_out_together(datasets: Sequence[Dataset], fraction: float) -> list[Dataset]:
    """Data sets that are scored one by one, divided as they would be if they were one."""
    if len(datasets) == 1:
        return [hold_out(datasets[0], fraction)]
    divided = iter(hold_out(merge(datasets), fraction).examples)
    return [
        replace(
            dataset,
            examples=tuple(
                replace(example, split=next(divided).split) for example in dataset.examples
            ),
        )
        for dataset in datasets
    ]
