"""The split of a captioned data set into parts: the policy, and its result on a data set.

A data set, the record of a training and the description of a bundle all store both, so that the
data can be split again as in the training. :mod:`negah.data.division` applies the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from negah.options import Options


class SplitPolicy(Options):
    """The shares of a data set that are held out.

    Files without a part are assigned by the hash of their content: a file keeps its part when files
    are renamed, added or reordered. If no file of the data sets that are read together is in dev
    after that, the files of the part train with the lowest hashes are moved to dev: copies of a
    file and all spans of a clip together, at least one file, and never all of them. With
    ``dev_fraction`` 0 the part train stays whole.
    """

    dev_fraction: float = Field(
        0.1, ge=0, allow_inf_nan=False, description="share that is held out as dev"
    )
    test_fraction: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="share of the files without a part: test"
    )

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.dev_fraction + self.test_fraction >= 1:
            raise ValueError("each must be 0 or more, and both together less than 1")
        return self

    def __str__(self) -> str:
        return f"--dev-fraction {self.dev_fraction:g} --test-fraction {self.test_fraction:g}"

    @property
    def rule(self) -> str:
        """The rule of the policy, as a clause."""
        return (
            f"of files without a part, {_percent(self.dev_fraction)} are held out as dev and "
            f"{_percent(self.test_fraction)} as test; where none is dev, "
            f"{_percent(self.dev_fraction)} of the part train are"
        )


class Division(Options):
    """The result of a policy on one data set; counts of photos, clips and spans of clips."""

    policy: SplitPolicy = Field(description="by which it was divided")
    things: Literal["photos", "clips", "photos and clips"] = Field(
        "photos", description="what the data set is of"
    )
    open: int = Field(0, ge=0, description="without a part")
    open_dev: int = Field(0, ge=0, description="of those, held out as dev")
    open_test: int = Field(0, ge=0, description="of those, held out as test")
    train_dev: int = Field(0, ge=0, description="of the part train, held out as dev")

    @classmethod
    def total(cls, divisions: Sequence[Division]) -> Division | None:
        """The sum over several data sets; None if there are none or their policies differ."""
        if not divisions or any(one.policy != divisions[0].policy for one in divisions):
            return None
        things = {one.things for one in divisions}
        return divisions[0].model_copy(
            update={
                "things": things.pop() if len(things) == 1 else "photos and clips",
                **{
                    count: sum(getattr(one, count) for one in divisions)
                    for count in ("open", "open_dev", "open_test", "train_dev")
                },
            }
        )

    @property
    def text(self) -> str:
        """As a clause, such as "of the part train, 10% (52 clips) were held out as dev".

        Empty if every file had a part and none was moved.
        """
        dev, test = _percent(self.policy.dev_fraction), _percent(self.policy.test_fraction)
        clauses = []
        if self.open and (self.policy.dev_fraction or self.policy.test_fraction):
            as_test = (
                f" and {test} ({self.open_test:,}) as test" if self.policy.test_fraction else ""
            )
            clauses.append(
                f"of {_count(self.open, self.things)} without a part, "
                f"{dev} ({self.open_dev:,}) were held out as dev{as_test}"
            )
        if self.train_dev:
            clauses.append(
                f"of the part train, {dev} ({_count(self.train_dev, self.things)}) "
                "were held out as dev"
            )
        return "; ".join(clauses)


class TrainingSplit(Options):
    """The record, stored with a model, of how its training data were split."""

    policy: SplitPolicy = Field(description="by which they were divided")
    train_dev: int | None = Field(
        None, ge=0, description="how many files of the part train became dev; None if unknown"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.6g}%"


def _count(number: int, things: str) -> str:
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"
