"""Several processes learn what one learns, stop and go on together, and end together.

Axes: B photos, K captions of each, T words.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

import tiny_training
from common import PATIENCE
from negah.data import FeatureStore, build_features
from negah.data.features import gather_features, open_store
from negah.errors import UsageError
from negah.models import build_captioner, captioner_options
from negah.run_folder import BEST, CHECKPOINT
from negah.text import PAD, WordTokenizer
from negah.training import TrainingOptions
from negah.training.batches import Batches
from negah.training.checkpoint import load_checkpoint
from negah.training.features import feature_key
from negah.training.objectives import OBJECTIVES, Lesson, Loss, Setting
from negah.training.resume import RunProgress, refuse_other_processes
from tiny_training import load_encoder, noise_of, tiny_dataset, tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_photo_is_of_one_process() -> None:
    batches = Batches(
        [[[4] * (1 + photo % 5)] * 2 for photo in range(20)],
        photos=7, per_photo=2, flips=True, seed=0,
    )  # fmt: skip
    for batch in batches.epoch(0):
        shares = [batch.share(rank, 3) for rank in range(3)]
        assert [len(share.photos) for share in shares] == [3, 2, 2]
        assert set(np.concatenate([share.photos for share in shares])) == set(batch.photos)
        for name in ("photos", "flipped", "inputs_BKT", "targets_BKT"):
            parts = [getattr(share, name) for share in shares]
            assert (parts[1] == getattr(batch, name)[1::3]).all()
        assert batch.share(0, 1) is batch


@pytest.mark.parametrize(
    "objective",
    [
        {"kind": "cross-entropy"},
        {"kind": "unlikelihood"},
        {"kind": "self-critical", "min_references": 2, "cross_entropy": 0.5},
    ],
    ids=lambda options: options["kind"],
)
def test_the_mean_of_processes_is_that_of_the_whole_batch(objective: dict[str, Any]) -> None:
    """Of photos with captions of other lengths: a mean of means would be another one."""
    captions = [["a dog", "a big dog runs"], ["a cat"], ["one red ball on the grass"], ["a man"]]
    tokenizer = WordTokenizer.build([text for group in captions for text in group], min_count=1)
    options = captioner_options(
        {"kind": "show-tell", "embedding_size": 6, "hidden_size": 6, "dropout": 0.0}
    )
    torch.manual_seed(0)
    captioner = build_captioner(options, channels=5, vocabulary_size=len(tokenizer)).double()
    ids = [[tokenizer.encode(text) for text in group] for group in captions]
    (batch,) = Batches(ids, photos=4, per_photo=2, flips=False, seed=0).epoch(0)
    features_BFRC = torch.randn(4, 1, 2, 5, dtype=torch.float64)
    chosen = OBJECTIVES.build(
        OBJECTIVES.parse(objective, where="test"), Setting(captions, tokenizer, 0.1)
    )

    def loss_of(rank: int, processes: int) -> Loss:
        share = batch.share(rank, processes)
        lesson = Lesson(
            features_BFRC[rank::processes], None, torch.from_numpy(share.inputs_BKT),
            torch.from_numpy(share.targets_BKT), torch.from_numpy(share.photos),
        )  # fmt: skip
        return chosen(captioner, lesson)

    losses, whole = [loss_of(rank, 3) for rank in range(3)], loss_of(0, 1)
    words = int((batch.targets_BKT != PAD).sum())
    assert sum(loss.count for loss in losses) == whole.count == words
    if objective["kind"] == "self-critical":  # what is drawn differs: the terms are there
        assert [len(loss.parts) for loss in losses] == [1, 1, 1]
        assert sorted(loss.parts[0][1] > 0 for loss in losses) == [False, False, True]
        assert torch.equal(losses[0].of_all(lambda count: torch.tensor(1.0)), losses[0].value)
        return
    mean = sum(loss.of_all(lambda count: torch.tensor(3 * count / words)) for loss in losses) / 3
    parameters = list(captioner.parameters())
    torch.testing.assert_close(mean, whole.value)
    torch.testing.assert_close(
        torch.autograd.grad(mean, parameters), torch.autograd.grad(whole.value, parameters)
    )


def test_another_number_of_processes_is_refused() -> None:
    options = TrainingOptions(epochs=2)
    refuse_other_processes(RunProgress(epoch=1), options, 1)
    refuse_other_processes(RunProgress(epoch=1, processes=2), options, 2)
    refuse_other_processes(RunProgress(epoch=2, processes=2), options, 1)  # it is over
    with pytest.raises(UsageError, match=r"by 2 processes, .* by 1 process, .* --devices 2"):
        refuse_other_processes(RunProgress(epoch=1, processes=2), options, 1)
    with pytest.raises(UsageError, match=r"by 1 process, .* by 4 processes, .* --devices 1"):
        refuse_other_processes(RunProgress(epoch=1), options, 4)


def test_shares_of_features_are_put_together(tmp_path: Path) -> None:
    """Also those that a killed training has left, once, with failures and without repeats."""
    encoder = load_encoder(tiny_recipe().encoder)
    key = feature_key(encoder, "plain")
    paths = [example.path for example in tiny_dataset(tmp_path / "pictures").examples]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    encode, root = noise_of(key.shape), tmp_path / "features"
    build_features(paths[:2], encode, key, root)
    for rank, own in enumerate([[*paths[1:9], broken], paths[9:]]):
        build_features(own, encode, key, root / "shares" / str(rank))
    empty = tmp_path / "other"
    gather_features(key, root, [root / "shares" / "0", root / "shares" / "1", empty])
    store = FeatureStore(root, key)
    assert len(store.verify()) == len(paths)
    expected = build_features(paths, encode, key, tmp_path / "at once")
    assert np.array_equal(store.read(store.rows(paths)), expected.read(expected.rows(paths)))
    assert [failure.path for failure in store.failures] == [str(broken)]
    assert open_store(root / "shares" / "0", key) is None
    gather_features(key, root, [root / "shares" / "0"])  # nothing is left to do


# -- processes of their own --

NO_CHANCE = ("model.dropout=0", "training.scheduled_sampling=0")
# standalone: on a port that torchrun finds free itself
BY_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def start(root: Path, run: str, processes: int, *more: str, at: int = 0) -> subprocess.Popen[str]:
    """Train in ``root/run``; with ``at`` the last process stops by itself after so many steps."""
    script = [tiny_training.__file__, os.fspath(root), run, str(at), str(processes), *more]
    program = [sys.executable] if processes == 1 else BY_TORCHRUN
    return subprocess.Popen(
        [*program, *script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return errors


def report(root: Path, run: str, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{run}-{rank}.json").read_text())
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("processes")
    tiny_training.store_features(root)  # several processes would wait for each other
    return root


@pytest.mark.heavy
def test_two_processes_learn_what_one_learns(root: Path) -> None:
    """Losses, captions and weights, to rounding; the first process alone reports and writes."""
    finish(start(root, "one", 1, *NO_CHANCE))
    finish(start(root, "two", 2, *NO_CHANCE))
    one, two, silent = report(root, "one", 0), report(root, "two", 0), report(root, "two", 1)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert len(one["losses"]) == tiny_training.STEPS
    assert not silent["losses"]
    assert silent["outcome"] == two["outcome"]
    assert two["outcome"]["best_score"] == pytest.approx(one["outcome"]["best_score"])
    for name in (CHECKPOINT, BEST):
        ours, theirs = (load_checkpoint(root / run / name)[0] for run in ("two", "one"))
        assert ours.keys() - theirs.keys() <= {"random.1"}
        for key, tensor in theirs.items():
            if key != "random":
                torch.testing.assert_close(ours[key], tensor, rtol=1e-3, atol=1e-4)
    lines = [(root / run / "log.jsonl").read_text().splitlines() for run in ("one", "two")]
    assert len(lines[0]) == len(lines[1]) == 3


@pytest.mark.heavy
def test_stopped_and_resumed_by_two_is_as_uninterrupted(root: Path) -> None:
    """With dropout of each process's own: the same bits. Another number of processes is refused."""
    finish(start(root, "whole", 2))
    finish(start(root, "stopped", 2, at=5))  # asked after each step, and after the first epoch
    assert report(root, "stopped", 0)["outcome"]["finished"] is False
    tensors, facts = load_checkpoint(root / "stopped" / CHECKPOINT)
    assert facts["processes"] == 2
    assert facts["step"] == 4
    assert not torch.equal(tensors["random"], tensors["random.1"])
    before = (root / "stopped" / CHECKPOINT).read_bytes()
    alone = start(root, "stopped", 1)
    assert "--devices 2" in alone.communicate(timeout=PATIENCE)[1]
    assert (root / "stopped" / CHECKPOINT).read_bytes() == before
    finish(start(root, "stopped", 2))
    for name in (CHECKPOINT, BEST):
        ours, theirs = (load_checkpoint(root / run / name)[0] for run in ("stopped", "whole"))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["kill one", "SIGTERM", "SIGINT"])
def test_all_end_when_one_is_gone_or_asked(root: Path, how: str) -> None:
    """With a checkpoint to go on from; the same command then finishes."""
    run = how.replace(" ", "-")
    process = start(root, run, 2, "training.epochs=400")
    folder, limit = root / run, time.monotonic() + PATIENCE
    while not (folder / CHECKPOINT).exists():
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.1)
    workers = children(process.pid)
    if how == "kill one":
        os.kill(workers[-1], signal.SIGKILL)
    elif how == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert load_checkpoint(folder / CHECKPOINT)[1]["processes"] == 2
    assert not list(folder.glob(".*.tmp"))
    finish(start(root, run, 2, "training.epochs=400", at=2))


def children(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(number) for number in listed.split()]
