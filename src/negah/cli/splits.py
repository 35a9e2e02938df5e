"""The split policy of the commands, and for a model that of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from negah.cli.streams import say
from negah.data import Dataset
from negah.split import SplitPolicy, TrainingSplit

#: Defaults, unless a model was trained with other values.
_DEFAULT = SplitPolicy()
DEV_FRACTION = _DEFAULT.dev_fraction
TEST_FRACTION = _DEFAULT.test_fraction

_DEV_HELP = (
    "Share of the files without a part that becomes dev, by a hash of their content; if there is "
    "then no dev, share of the part train."
)
_TEST_HELP = "Share of the files without a part that becomes test, by the same hash."

DevFraction = Annotated[float, typer.Option(min=0.0, max=1.0, help=_DEV_HELP)]
TestFraction = Annotated[float, typer.Option(min=0.0, max=1.0, help=_TEST_HELP)]
#: Of the commands that are given a model.
DevFractionOfModel = Annotated[
    float | None,
    typer.Option(
        "--dev-fraction",
        min=0.0,
        max=1.0,
        help=_DEV_HELP,
        show_default=f"as the model was trained, else {DEV_FRACTION:g}",
    ),
]
TestFractionOfModel = Annotated[
    float | None,
    typer.Option(
        "--test-fraction",
        min=0.0,
        max=1.0,
        help=_TEST_HELP,
        show_default=f"as the model was trained, else {TEST_FRACTION:g}",
    ),
]


#: The name of a model, and what it knows of its training.
Known: TypeAlias = tuple[str, TrainingSplit | None]


@dataclass(frozen=True, slots=True)
class ModelSplit:
    """How data sets are divided for a model.

    Attributes:
        policy: by which they are.
        models: what caption together; the first one decides.
        given: whether the user chose the policy.
    """

    policy: SplitPolicy
    models: Sequence[Known]
    given: bool


def split_policy(dev_fraction: float, test_fraction: float) -> SplitPolicy:
    """The policy that two options stand for.

    Raises:
        UsageError: together they leave nothing to train on.
    """
    return SplitPolicy.parse(
        {"dev_fraction": dev_fraction, "test_fraction": test_fraction},
        where=f"--dev-fraction {dev_fraction:g} --test-fraction {test_fraction:g}",
    )


def split_of_training(
    models: Sequence[Known],
    dev_fraction: float | None = None,
    test_fraction: float | None = None,
) -> ModelSplit:
    """The policy that the first model was trained by, unless the options say otherwise.

    Args:
        models: what caption together.
        dev_fraction: as the user gave it; None if not.
        test_fraction: likewise.

    Raises:
        UsageError: the fractions together leave nothing to train on.
    """
    recorded = models[0][1] if models else None
    base = _DEFAULT if recorded is None else recorded.policy
    policy = split_policy(
        base.dev_fraction if dev_fraction is None else dev_fraction,
        base.test_fraction if test_fraction is None else test_fraction,
    )
    return ModelSplit(policy, models, given=(dev_fraction, test_fraction) != (None, None))


def tell_split(split: ModelSplit, datasets: Sequence[Dataset], part: str | None = None) -> None:
    """Say on standard error what was held out, and warn of what a model may have learned from.

    Args:
        split: how the data sets were divided.
        datasets: as they were read.
        part: the one that is looked at; None for all.
    """
    first, recorded = split.models[0]
    if split.given:
        why = ""
    elif recorded is None:
        why = f" (the default: {first} does not record how its data were divided)"
    else:
        why = f" (as {first} was trained)"
    divided = {d.name: d.division for d in datasets if d.division is not None}
    told = {
        name: division.text
        for name, division in divided.items()
        if division.open or (division.train_dev and part != "test")
    }
    for name, text in told.items():
        if text:
            say(f"{name}: {text}{why}")
    if told or split.given:
        warn_of_other_policies(split.models, split.policy)
    moved = part != "test" and any(division.train_dev for division in divided.values())
    for name, trained in split.models:
        if moved and trained == TrainingSplit(policy=split.policy, train_dev=0):
            say(
                f"warning: {name} was trained without anything held out of the part train, as it "
                "is here: it may have learned from files that are held out now; give all data "
                "sets that it was trained on together"
            )


def warn_of_other_policies(models: Sequence[Known], policy: SplitPolicy) -> None:
    """Warn on standard error of models that were trained by another policy."""
    for name, trained in models:
        if trained is not None and trained.policy != policy:
            say(
                f"warning: {name} was trained with {trained.policy}, and here it is {policy}: "
                "it may have learned from files that are held out now"
            )
