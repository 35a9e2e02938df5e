"""What a run remembers of its data: where it was, how much of it, and how it was divided.

It stands in ``run.json`` under ``data``. The model card names the data sets and their sizes,
never the paths; the proof of an export looks there for the dev photos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from negah.data import Dataset, load_dataset, merge
from negah.errors import UsageError
from negah.options import Options


class DataSource(Options):
    """One captioned data set of a run."""

    name: str = Field(description="what it is called")
    path: str = Field(description="where it was, as given")
    images: str | None = Field(None, description="the folder of its photos, where one was given")
    photos: dict[str, int] = Field(description="how many, by part")
    captions: dict[str, int] = Field(description="how many, by part")


class InitialRun(Options):
    """The run whose weights this one started from."""

    run: str = Field(description="its folder, as given")
    data: DataRecord | None = Field(None, description="what it learned from")


class DataRecord(Options):
    """The data of a run."""

    sources: tuple[DataSource, ...] = Field(description="in the order in which they were given")
    dev_fraction: float = Field(description="share held out as dev of photos without a part")
    test_fraction: float = Field(description="likewise as test")
    initial: InitialRun | None = Field(None, description="the run whose weights it started from")

    @classmethod
    def of(
        cls,
        datasets: Sequence[Dataset],
        paths: Sequence[Path],
        images: Sequence[Path],
        *,
        dev_fraction: float,
        test_fraction: float,
        initial: InitialRun | None = None,
    ) -> Self:
        """Describe data sets that were just read.

        Args:
            datasets: what was read.
            paths: from where.
            images: the folders of their photos; empty where none was given.
            dev_fraction: as they were read with.
            test_fraction: likewise.
            initial: the run whose weights are the start.
        """
        folders: Sequence[str | None] = [str(f) for f in images] or [None] * len(paths)
        sources = tuple(
            DataSource(
                name=dataset.name,
                path=str(path),
                images=folder,
                photos=dict(Counter(e.split for e in dataset.examples)),
                captions=dict(Counter(e.split for e in dataset.examples for _ in e.captions)),
            )
            for dataset, path, folder in zip(datasets, paths, folders, strict=True)
        )
        return cls(
            sources=sources,
            dev_fraction=dev_fraction,
            test_fraction=test_fraction,
            initial=initial,
        )

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self | None:
        """The record in the facts of a ``run.json``.

        None where whoever started that run noted something else.
        """
        try:
            return cls.parse(facts["data"], where="run.json")
        except (UsageError, KeyError):
            return None

    def load(self) -> Dataset:
        """Read the data sets again, as they were read.

        Raises:
            DataError: they are not where they were.
            UsageError: the folder of the photos is not.
        """
        parts = [
            load_dataset(
                source.path,
                images=source.images,
                dev_fraction=self.dev_fraction,
                test_fraction=self.test_fraction,
            )
            for source in self.sources
        ]
        return parts[0] if len(parts) == 1 else merge(parts)


InitialRun.model_rebuild()
