"""The folder of a training run: the names of its files, and whether it contains a run."""

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
    """The paths of the files of a run, whether or not they exist yet.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def description(self) -> Path:
        """``run.json``: the recipe, the data, and everything else that identifies this run."""
        return self.path / RUN

    @property
    def tokenizer(self) -> Path:
        """``tokenizer.json``, with the vocabulary of the training part."""
        return self.path / TOKENIZER

    @property
    def checkpoint(self) -> Path:
        """``checkpoint.safetensors``: the full state of the training, for resuming."""
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        """``best.safetensors``: the weights of the best epoch."""
        return self.path / BEST

    @property
    def log(self) -> Path:
        """``log.jsonl``: one line every twenty steps and one every epoch."""
        return self.path / LOG

    @property
    def tensorboard(self) -> Path:
        """The folder of the event files of TensorBoard."""
        return self.path / TENSORBOARD

    @property
    def lock(self) -> Path:
        """``lock``: held by the process that trains into the folder; the file is kept
        afterwards."""
        return self.path / LOCK

    @property
    def bundle(self) -> Path:
        """The folder of the bundle that ``negah train`` exports at the end."""
        return self.path / BUNDLE

    @property
    def is_run(self) -> bool:
        """Whether the folder contains a run, that is, a description."""
        return self.description.is_file()

    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``; its ``recipe``, if present, is an object.

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
            f"{self.description} is not from a Negah training run, or is damaged ({reason}); "
            "choose another folder"
        )
