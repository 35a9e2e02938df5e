"""A training stopped anywhere goes on as if it had not been: the same bits.

Axes: B photos, V vocabulary.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

import tiny_training
from common import PATIENCE
from negah.errors import CheckpointError, DataError, LockedError
from negah.export.initial import open_initial
from negah.locks import exclusive
from negah.run_folder import BEST, CHECKPOINT, RUN, TOKENIZER
from negah.training.checkpoint import load_checkpoint, save_checkpoint
from negah.training.initial import read_run
from negah.training.resume import RunProgress
from tiny_training import (
    STEPS,
    Recorder,
    dev_rows,
    interrupt,
    run_training,
    same_bits,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)

pytestmark = pytest.mark.usefixtures("one_thread")


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
    assert len(reporter.losses) == STEPS
    return reporter


@pytest.mark.parametrize("stops", [[1], [3], [4, 1, 3]], ids=str)
def test_interrupted_equals_uninterrupted(root: Path, whole: Recorder, stops: list[int]) -> None:
    """Within an epoch, at its last step, more than once."""
    run = f"stopped-{'-'.join(map(str, stops))}"
    losses: list[float] = []
    for steps in stops:
        reporter = Recorder(steps, interrupt)
        outcome = tiny_train(root, run, reporter=reporter)
        assert not outcome.finished
        losses += reporter.losses
        assert load_checkpoint(root / run / CHECKPOINT)[1]["step"] == len(losses)
    reporter = Recorder()
    assert tiny_train(root, run, reporter=reporter).finished
    assert f"resuming after step {sum(stops)} " in reporter.messages[0]
    assert losses + reporter.losses == whole.losses
    for name in (CHECKPOINT, BEST):
        same_bits(root / run / name, root / "whole" / name)
    assert dev_rows(root / run) == dev_rows(root / "whole")


def test_killed_equals_uninterrupted(root: Path, whole: Recorder) -> None:
    """kill -9 behind the fifth step, before it is saved: it is made again."""
    script = [sys.executable, tiny_training.__file__, os.fspath(root), "killed", "5", "1"]
    assert subprocess.run(script, check=False, timeout=PATIENCE).returncode == -9
    assert load_checkpoint(root / "killed" / CHECKPOINT)[1]["step"] == 4
    reporter = Recorder()
    assert tiny_train(root, "killed", reporter=reporter).finished
    assert reporter.losses == whole.losses[4:]
    for name in (CHECKPOINT, BEST):
        same_bits(root / "killed" / name, root / "whole" / name)
    assert not list((root / "killed").glob(".*.tmp"))


def test_a_finished_run_stays_as_it_is(root: Path, whole: Recorder) -> None:
    folder = root / "whole"
    before = {name: (folder / name).read_bytes() for name in (CHECKPOINT, BEST, RUN, TOKENIZER)}
    reporter = Recorder()
    outcome = tiny_train(root, "whole", reporter=reporter)
    assert outcome.finished
    assert outcome.epochs == 3
    assert not reporter.losses
    assert all((folder / name).read_bytes() == content for name, content in before.items())


class BestKeeper(Recorder):
    """The bytes of the best weights after each epoch, and of the running mean before it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.best: list[bytes] = []

    def validated(self, row: dict[str, Any]) -> None:
        super().validated(row)
        self.best.append((self.folder / BEST).read_bytes())


def test_the_best_is_a_copy(root: Path, whole: Recorder) -> None:
    """Steps behind the best epoch leave it alone; it holds the mean weights of that epoch."""
    reporter = BestKeeper(root / "best")
    outcome = tiny_train(root, "best", reporter=reporter)
    scores = [row["CIDEr-D"] for row in reporter.rows]
    assert outcome.best_score == max(scores)
    assert outcome.best_epoch == 1 + scores.index(max(scores))
    kept = reporter.best[outcome.best_epoch - 1]
    assert all(later == kept for later in reporter.best[outcome.best_epoch - 1 :])
    assert (root / "best" / BEST).read_bytes() == kept
    tensors, facts = load_checkpoint(root / "best" / BEST)
    assert facts["epoch"] == outcome.best_epoch
    assert facts["scores"]["CIDEr-D"] == outcome.best_score
    # stopped at the last step of that epoch, before validation
    tiny_train(root, "before-best", reporter=Recorder(3 * outcome.best_epoch, interrupt))
    found, _ = load_checkpoint(root / "before-best" / CHECKPOINT)
    means = {n.removeprefix("mean."): t for n, t in found.items() if n.startswith("mean.")}
    assert means.keys() <= tensors.keys()
    assert all(torch.equal(tensors[name], mean) for name, mean in means.items())
    assert any(not torch.equal(tensors[name], found[f"learner.{name}"]) for name in means)
    # the frozen statistics of the tail are there, the trunk is not
    assert any(name.endswith("running_mean") for name in tensors)
    assert {name.split(".")[0] for name in tensors} == {"tail", "captioner"}


def test_what_a_run_leaves(root: Path, whole: Recorder) -> None:
    folder = root / "whole"
    names = {path.name for path in folder.iterdir()}
    assert names == {CHECKPOINT, BEST, RUN, TOKENIZER, "lock", "log.jsonl", "tensorboard"}
    rows = dev_rows(folder)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert [row["nll"] for row in rows] == whole.losses[2::3]
    assert {"BLEU-4", "ROUGE-L", "CIDEr-D", "distinct"} <= rows[0].keys()
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    assert run["recipe"] == tiny_training.tiny_recipe().model_dump(mode="json")
    assert run["training_photos"] == 14
    assert not list((folder / "tensorboard").glob("*.tmp"))


class Impatient(Recorder):
    """Asks to stop in the epoch in which patience runs out anyway."""

    def validated(self, row: dict[str, Any]) -> None:
        super().validated(row)
        if row["epoch"] > row["best"]:
            interrupt()


@pytest.mark.parametrize("kind", [Recorder, Impatient])
def test_early_stop(root: Path, kind: type[Recorder]) -> None:
    reporter = kind()
    changes = ("training.patience=1", "training.epochs=6", "training.learning_rate=1e-9")
    outcome = tiny_train(root, f"patience {kind.__name__}", *changes, reporter=reporter)
    assert outcome.finished
    assert outcome.epochs == outcome.best_epoch + 1 == len(reporter.rows) < 6


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([(0.0, 5.2), (0.0, 4.4), (0.0, 4.6)], 2),  # nothing agrees with a reference yet
        ([(0.0, 5.2), (1.0, 4.4), (0.0, 4.0)], 2),
        ([(1.0, 5.2), (1.0, 4.4)], 1),  # patience counts from the first of equal scores
        ([(1.0, 5.2), (1.5, 5.3)], 2),
    ],
)
def test_the_best_epoch(epochs: list[tuple[float, float]], best: int) -> None:
    progress = RunProgress()
    for number, (score, nll) in enumerate(epochs, 1):
        if progress.is_best(score, nll):
            progress.best_score, progress.best_epoch, progress.best_nll = score, number, nll
    assert progress.best_epoch == best


@pytest.fixture(scope="module")
def stopped(root: Path) -> Path:
    """A run that was interrupted in its second epoch."""
    tiny_train(root, "half", reporter=Recorder(4, interrupt))
    return root / "half"


def copy_of(folder: Path, name: str) -> str:
    """The files of a run in a folder of their own; gives its name."""
    target = folder.parent / name
    target.mkdir()
    for file in (CHECKPOINT, BEST, RUN, TOKENIZER):
        (target / file).write_bytes((folder / file).read_bytes())
    return name


@pytest.mark.parametrize("damage", ["cut", "empty", "best", "lacking", "unknown fact"])
def test_a_damaged_checkpoint_is_said_so(root: Path, stopped: Path, damage: str) -> None:
    run = copy_of(stopped, f"damaged {damage}")
    path = root / run / CHECKPOINT
    tensors, facts = load_checkpoint(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "best":
        path.write_bytes((root / run / BEST).read_bytes())
    elif damage == "lacking":
        save_checkpoint(path, {n: t for n, t in tensors.items() if "gate" not in n}, facts)
    else:
        save_checkpoint(path, tensors, {**facts, "steps": 1})
    with pytest.raises(CheckpointError, match="Delete it to train from the start"):
        tiny_train(root, run)


@pytest.mark.parametrize(
    ("changes", "more", "words"),
    [
        (["training.seed=1"], {}, "different recipe"),
        (["training.epochs=4"], {}, "different recipe"),
        ([], {"provenance": {"data": "elsewhere"}}, "different data"),
        (["model.cell=gru"], {"provenance": {"x": 1}}, "different recipe and data"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(
    root: Path, stopped: Path, changes: list[str], more: dict[str, Any], words: str
) -> None:
    before = (stopped / CHECKPOINT).read_bytes()
    stores = set((root / "features").iterdir())
    with pytest.raises(CheckpointError, match=f"{words}.*--output"):
        tiny_train(root, stopped.name, *changes, **more)
    assert (stopped / CHECKPOINT).read_bytes() == before
    assert set((root / "features").iterdir()) == stores  # no features were computed in vain


@pytest.mark.parametrize("name", [CHECKPOINT, "mine.safetensors", "log.jsonl", TOKENIZER, "lock"])
def test_a_folder_of_something_else_is_left_alone(root: Path, name: str) -> None:
    folder = root / f"not a run {name}"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(CheckpointError, match=rf"is not a training run .* and contains {name}"):
        tiny_train(root, folder.name)
    assert [file.name for file in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize(
    "content", ["", "[1]", "null", "not JSON", "{", '{"recipe": 5}', "[" * 100_000],
    ids=["empty", "list", "null", "text", "cut", "recipe", "deep"],
)  # fmt: skip
def test_a_run_json_of_something_else_is_left_alone(
    root: Path, tmp_path: Path, content: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / RUN).write_text(content)
    with pytest.raises(CheckpointError, match="is not from a Negah training run"):
        run_training(tiny_recipe(), tiny_dataset(root / "pictures"), folder, root / "features")
    assert (folder / RUN).read_text() == content


def test_two_trainings_into_one_folder(root: Path, stopped: Path, tmp_path: Path) -> None:
    """The second one computes no features, and reads nothing of a run that still changes."""
    run, reporter = copy_of(stopped, "busy"), Recorder()
    before = (root / run / CHECKPOINT).read_bytes()
    dataset, features = tiny_dataset(root / "pictures"), tmp_path / "features"
    for folder in (root / run, tmp_path / "new"):
        folder.mkdir(exist_ok=True)
        with (
            exclusive(folder / "lock", "training"),
            pytest.raises(LockedError, match=rf"already training into .*{folder.name}"),
        ):
            run_training(tiny_recipe(), dataset, folder, features, reporter=reporter)
    assert not reporter.messages
    assert not features.exists()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["lock"]
    assert (root / run / CHECKPOINT).read_bytes() == before
    assert tiny_train(root, run).finished


@pytest.mark.parametrize("content", ["", "4711\n"])
def test_a_lock_without_a_run_is_of_one_that_ended_early(root: Path, content: str) -> None:
    """Killed while features were computed, or refused for its data: the folder can be used."""
    folder = root / f"early {len(content)}"
    folder.mkdir()
    (folder / "lock").write_text(content)
    photos = tiny_dataset(root / "pictures")
    no_dev = replace(photos, examples=photos.split("train"))
    with pytest.raises(DataError, match="no photograph is in the part 'dev'"):
        run_training(tiny_recipe(), no_dev, folder, root / "features")
    assert not list(folder.iterdir())
    (folder / "lock").write_text(content)
    assert not tiny_train(root, folder.name, reporter=Recorder(1, interrupt)).finished


def test_ctrl_c_during_validation(root: Path) -> None:
    """It is answered at once, and the epoch's captions are not lost."""
    recorder = Recorder()
    recorder.validating = lambda done, total: interrupt() if done == total else None  # type: ignore[method-assign]
    outcome = tiny_train(root, "validating", reporter=recorder)
    assert (outcome.finished, outcome.epochs) == (False, 1)
    assert [row["epoch"] for row in dev_rows(root / "validating")] == [1]
    assert tiny_train(root, "validating").finished
    assert [row["epoch"] for row in dev_rows(root / "validating")] == [1, 2, 3]


def test_a_start_from_another_run(root: Path, whole: Recorder, stopped: Path) -> None:
    """Only at the start: a resumed run neither needs nor reads the other one's weights."""
    initial, change = open_initial(root / "whole"), "training.learning_rate=0.001"
    first = Recorder(2, interrupt)
    tiny_train(root, "second", change, reporter=first, initial=initial)
    assert first.messages[0].startswith(f"starting from {root / 'whole' / BEST}")
    assert first.losses[0] < whole.losses[0]
    again = Recorder()
    gone = replace(initial, read=lambda: read_run(root / "gone.safetensors"))
    outcome = tiny_train(root, "second", change, reporter=again, initial=gone)
    assert outcome.finished
    assert [text.split(" after")[0] for text in again.messages] == ["resuming"]
