"""The record of a run's data: paths, sizes and split.

It is stored in ``run.json`` under ``data``. The model card names the data sets and their sizes,
never the paths; the verification of an export finds the dev photos through it, and commands that
read the data again use the recorded split policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from negah.bundle.schema import TrainingData
from negah.data import Dataset, Division, SplitPolicy, load_datasets
from negah.errors import UsageError
from negah.options import Options
from negah.split import TrainingSplit


class DataSource(Options):
    """One captioned data set of a run."""

    name: str = Field(description="name of the data set")
    path: str = Field(description="path, as given")
    images: str | None = Field(None, description="the folder of its photos, if one was given")
    photos: dict[str, int] = Field(description="how many, by part")
    captions: dict[str, int] = Field(description="how many, by part")
    division: Division | None = Field(
        None,
        description="what was held out; None in runs of before it was recorded, whose numbers of "
        "train and dev are those of before the part train was divided",
    )


class InitialRun(Options):
    """A run or bundle that a training uses: its initial model, or a teacher."""

    run: str = Field(description="its folder, or the name of a bundled model, as given")
    data: DataRecord | None = Field(None, description="what a run learned from")
    sha256: str = Field(
        "", description="of the file with its weights; '' in records of before it was noted"
    )
    training_data: tuple[TrainingData, ...] = Field(
        (), description="what a bundle learned from, as its card says"
    )
    split: TrainingSplit | None = Field(None, description="how the data of a bundle were split")

    @property
    def training_split(self) -> TrainingSplit | None:
        """How its data were split; None if not recorded."""
        return self.split if self.data is None else self.data.training_split


class DataRecord(Options):
    """The data of a run."""

    sources: tuple[DataSource, ...] = Field(description="in the order in which they were given")
    split: SplitPolicy = Field(description="how they were split, as a single data set")
    initial: InitialRun | None = Field(None, description="the run or bundle of the initial weights")
    teachers: tuple[InitialRun, ...] = Field(
        (), description="the teachers of a distillation: runs and bundles"
    )

    @classmethod
    def of(
        cls,
        datasets: Sequence[Dataset],
        paths: Sequence[Path],
        images: Sequence[Path],
        *,
        split: SplitPolicy,
        initial: InitialRun | None = None,
        teachers: Sequence[InitialRun] = (),
    ) -> Self:
        """Describe data sets that were just read.

        Args:
            datasets: as read.
            paths: of the data sets.
            images: the folders of their photos; empty if none was given.
            split: how they were split.
            initial: the run or bundle of the initial weights.
            teachers: the runs and bundles that are teachers.
        """
        folders: Sequence[str | None] = [str(f) for f in images] or [None] * len(paths)
        sources = tuple(
            DataSource(
                name=dataset.name,
                path=str(path),
                images=folder,
                photos=dict(Counter(e.split for e in dataset.examples)),
                captions=dict(Counter(e.split for e in dataset.examples for _ in e.captions)),
                division=dataset.division,
            )
            for dataset, path, folder in zip(datasets, paths, folders, strict=True)
        )
        return cls(sources=sources, split=split, initial=initial, teachers=tuple(teachers))

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, values: Any) -> Any:
        """Convert records of older versions, which stored only the fractions of the policy."""
        fractions = ("dev_fraction", "test_fraction")
        if not isinstance(values, Mapping) or not all(name in values for name in fractions):
            return values
        split = {name: values[name] for name in fractions}
        return {**{k: v for k, v in values.items() if k not in fractions}, "split": split}

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self | None:
        """The record in the facts of a ``run.json``.

        None if the run has another kind of record.
        """
        try:
            return cls.parse(facts["data"], where="run.json")
        except (UsageError, KeyError):
            return None

    @property
    def training_split(self) -> TrainingSplit:
        """The split record for a model trained on these data."""
        known = [source.division for source in self.sources if source.division is not None]
        complete = len(known) == len(self.sources)
        train_dev = sum(division.train_dev for division in known) if complete else None
        return TrainingSplit(policy=self.split, train_dev=train_dev)

    def load(self) -> Dataset:
        """Read the data sets again, with the same parts.

        Raises:
            DataError: they have been moved or removed.
            UsageError: the folder of the photos has been moved or removed.
        """
        return load_datasets(
            [source.path for source in self.sources],
            images=[source.images for source in self.sources],
            split=self.split,
        )


InitialRun.model_rebuild()


def same_data(then: Any, now: Any) -> bool:
    """Whether two values of ``data`` in ``run.json`` are records of the same data.

    Older records are compared without :attr:`DataSource.division`, since the same policy gives the
    same split. The hash of the initial weights is not compared: the initial run may have been
    continued. The hashes of teachers are compared elsewhere (``teachers`` in ``run.json``).
    """
    try:
        before, after = (
            _without_digests(DataRecord.parse(data, where="run.json")) for data in (then, now)
        )
    except UsageError:
        return bool(then == now)
    if None in (before.training_split.train_dev, after.training_split.train_dev):
        before, after = _undivided(before), _undivided(after)
    return before == after


def _without_digests(record: DataRecord) -> DataRecord:
    none = {"sha256": ""}
    initial = None if record.initial is None else record.initial.model_copy(update=none)
    teachers = tuple(teacher.model_copy(update=none) for teacher in record.teachers)
    return record.model_copy(update={"initial": initial, "teachers": teachers})


def _undivided(record: DataRecord) -> DataRecord:
    def whole(counts: Mapping[str, int]) -> dict[str, int]:
        joined: Counter[str] = Counter()
        for part, count in counts.items():
            joined["train" if part == "dev" else part] += count
        return dict(joined)

    sources = tuple(
        source.model_copy(
            update={
                "division": None,
                "photos": whole(source.photos),
                "captions": whole(source.captions),
            }
        )
        for source in record.sources
    )
    return record.model_copy(update={"sources": sources})
