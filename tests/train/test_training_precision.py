"""Trainings in bfloat16: the same bits after an interruption, said in run and card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch
from lightning_fabric import Fabric

from negah.cli.compute import Device, Precision, usable_precision
from negah.errors import CheckpointError
from negah.export.run import load_run, steps_of
from negah.run_folder import BEST, CHECKPOINT, RUN
from negah.training.checkpoint import load_checkpoint
from tiny_training import Recorder, interrupt, tiny_train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("precision")


def rounded() -> Fabric:
    return Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")


@pytest.fixture(scope="module")
def whole(root: Path) -> Recorder:
    """A run in bfloat16 that nothing stopped."""
    reporter = Recorder()
    assert tiny_train(root, "whole", reporter=reporter, fabric=rounded()).finished
    return reporter


def test_interrupted_equals_uninterrupted(root: Path, whole: Recorder) -> None:
    first, rest = Recorder(4, interrupt), Recorder()
    assert not tiny_train(root, "stopped", reporter=first, fabric=rounded()).finished
    assert tiny_train(root, "stopped", reporter=rest, fabric=rounded()).finished
    assert first.losses + rest.losses == whole.losses
    for name in (CHECKPOINT, BEST):
        ours, theirs = (load_checkpoint(root / run / name) for run in ("stopped", "whole"))
        assert ours[1] == theirs[1]
        assert all(torch.equal(tensor, theirs[0][key]) for key, tensor in ours[0].items())
        kinds = {tensor.dtype for tensor in ours[0].values() if tensor.is_floating_point()}
        assert torch.bfloat16 not in kinds  # weights and moments stay as they are


def test_another_precision_is_another_run(root: Path, whole: Recorder) -> None:
    with pytest.raises(CheckpointError, match="different precision"):
        tiny_train(root, "whole")


def test_a_run_that_does_not_say_is_of_float32(root: Path) -> None:
    """As runs of before it was recorded."""
    assert not tiny_train(root, "older", reporter=Recorder(1, interrupt)).finished
    description = root / "older" / RUN
    facts = json.loads(description.read_text())
    assert facts.pop("precision") == "32-true"
    description.write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match="different precision"):
        tiny_train(root, "older", fabric=rounded())
    assert not tiny_train(root, "older", reporter=Recorder(1, interrupt)).finished


def test_run_and_card_say_it(root: Path, whole: Recorder) -> None:
    assert json.loads((root / "whole" / RUN).read_text())["precision"] == "bf16-mixed"
    assert steps_of(load_run(root / "whole")) == "precision bf16-mixed"


@pytest.mark.parametrize("there", [True, False])
def test_a_processor_without_bfloat16_trains_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    capabilities = {"avx2": True, "avx512_bf16": there, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    precision, told = usable_precision(Precision.BF16, Device.CPU)
    assert precision is (Precision.BF16 if there else Precision.FULL)
    assert ("no instructions for bfloat16" in told) is not there
    assert usable_precision(Precision.FULL, Device.CPU) == (Precision.FULL, "")
