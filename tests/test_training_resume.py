"""A training stopped anywhere goes on as if it had not been: the same bits.

Axes: B photos, V vocabulary.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import tiny_training  # noqa: E402
from lightning_fabric import Fabric  # noqa: E402
from tiny_training import (  # noqa: E402
    STEPS,
    Recorder,
    interrupt,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)
from torch import Tensor  # noqa: E402

from negah.data import Dataset, Example, FeatureStore  # noqa: E402
from negah.decoding import DecodingOptions  # noqa: E402
from negah.errors import CheckpointError, DataError, UsageError  # noqa: E402
from negah.models import Captioner, Encoder, load_encoder  # noqa: E402
from negah.text import EOS, PAD, SOS, UNK, load_tokenizer  # noqa: E402
from negah.training import BEST, CHECKPOINT, RUN, TOKENIZER, train  # noqa: E402
from negah.training.checkpoint import load_checkpoint  # noqa: E402
from negah.training.features import feature_key  # noqa: E402
from negah.training.learner import Learner  # noqa: E402
from negah.training.validation import Validation, validation_options  # noqa: E402

ALL_STEPS = 9  # three epochs of 14 photos by fours: the last two of each are left out


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in one order, and no second thread to wait for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def whole(root: Path) -> Recorder:
    """A run that nothing stopped, in ``root/whole``."""
    reporter = Recorder()
    outcome = tiny_train(root, "whole", reporter=reporter)
    assert outcome.finished
    assert outcome.epochs == 3
    assert len(reporter.losses) == ALL_STEPS
    return reporter


def contents(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return load_checkpoint(path)


def same_bits(one: Path, other: Path) -> None:
    (ours, facts), (theirs, their_facts) = contents(one), contents(other)
    assert facts == their_facts
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name


def dev_rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == "dev"]


@pytest.mark.parametrize("stops", [[1], [3], [5], [4, 1, 3]], ids=str)
def test_interrupted_equals_uninterrupted(root: Path, whole: Recorder, stops: list[int]) -> None:
    """Within an epoch, at its last step, more than once."""
    run = f"stopped-{'-'.join(map(str, stops))}"
    losses: list[float] = []
    for steps in stops:
        reporter = Recorder(steps, interrupt)
        outcome = tiny_train(root, run, reporter=reporter)
        assert not outcome.finished
        losses += reporter.losses
        assert contents(root / run / CHECKPOINT)[1]["step"] == len(losses) == sum(stops[: stops.index(steps) + 1])  # fmt: skip
    reporter = Recorder()
    assert tiny_train(root, run, reporter=reporter).finished
    assert f"resuming after step {sum(stops)} " in reporter.messages[0]
    assert losses + reporter.losses == whole.losses
    for name in (CHECKPOINT, BEST):
        same_bits(root / run / name, root / "whole" / name)
    assert dev_rows(root / run) == dev_rows(root / "whole")
