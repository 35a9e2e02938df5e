"""The folder of a training run: what its files are called, and whether it holds a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.errors import CheckpointError

RUN = "run.json"
TOKENIZER = "tokenizer.json"
CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
LOG = "log.jsonl"
LOCK = "lock"
BUNDLE = "bundle"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the files of a run are, whether or not they are there yet.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def description(self) -> Path:
        """``run.json``: the recipe, the data, and what else makes this run another than others."""
        return self.path / RUN

    @property
    def tokenizer(self) -> Path:
        """``tokenizer.json``, with the vocabulary of the training part."""
        return self.path / TOKENIZER

    @property
    def checkpoint(self) -> Path:
        """``checkpoint.safetensors``: all that a training needs to go on."""
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        """``best.safetensors``: the weights of the best epoch."""
        return self.path / BEST

    @property
    def log(self) -> Path:
        """``log.jsonl``: a line every twenty steps, and one every epoch."""
        return self.path / LOG

    @property
    def tensorboard(self) -> Path:
        """The folder of the event files of TensorBoard."""
        return self.path / TENSORBOARD

    @property
    def lock(self) -> Path:
        """``lock``: held by the process that trains into the folder; it stays behind."""
        return self.path / LOCK

    @property
    def bundle(self) -> Path:
        """The folder of the bundle that ``negah train`` exports at the end."""
        return self.path / BUNDLE

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a run: it has a description."""
        return self.description.is_file()

    def facts(self) -> dict[str, Any]:
        """What ``run.json`` holds; its ``recipe``, if there is one, is an object.

        Raises:
            CheckpointError: it cannot be read, or is not of a training run.
        """
        try:
            facts = json.loads(self.description.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(str(error)) from None
        if not isinstance(facts, Mapping):
            raise self._damaged("it holds no object")
        if not isinstance(facts.get("recipe", {}), Mapping):
            raise self._damaged("its recipe is no object")
        return dict(facts)

    def _damaged(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"{self.description} is not of a training run of Negah, or damaged ({reason}); "
            "choose another folder"
        )
