"""Tiny trainings: a few generated pictures, an encoder with random weights, seconds on a CPU."""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from PIL import Image
from torch import Tensor

from negah.arrays import FloatArray
from negah.data import Dataset, Example, build_features
from negah.interrupt import Interrupt
from negah.models import load_encoder
from negah.text import CharTokenizer
from negah.training import Environment, Outcome, Recipe, Silent, load_recipe, train
from negah.training.checkpoint import load_checkpoint
from negah.training.features import BLANK_FOLDER, ViewName, feature_key, views_of
from negah.training.learner import Learner
from negah.training.objectives import Loss, Setting
from negah.training.objectives.cross_entropy import CrossEntropy, CrossEntropyOptions
from tiny_clips import make_clip

COLOURS = {"red": (220, 40, 30), "green": (40, 180, 60), "blue": (40, 70, 210)}
SHAPES = ("square", "stripe")
#: Three steps an epoch: 14 photos by fours, two left out. Dropout and the model's own words, all
#: that draws by chance, are on.
CHANGES = (
    "encoder.name=test_efficientnet",
    "encoder.weights=random",
    "encoder.size=64",
    "encoder.trainable_blocks=1",
    "model.embedding_size=12",
    "model.hidden_size=12",
    "text.min_count=1",
    "training.epochs=3",
    "training.photos=4",
    "training.captions=2",
    "training.warmup_steps=4",
    "training.validation_beam=2",
    "training.scheduled_sampling=0.5",
    "training.patience=0",
    "training.checkpoint_minutes=0.000001",
)
CAM_RNN = ("model.visual_size=12", "model.attention_size=6", "model.phrase_size=6")
#: Of all three epochs.
STEPS = 9


def tiny_recipe(*changes: str, name: str = "cam-rnn") -> Recipe:
    own = CAM_RNN if name == "cam-rnn" else ()
    return load_recipe(name, [*CHANGES, *own, *changes])


def tiny_dataset(folder: Path) -> Dataset:
    """18 pictures of 6 kinds with three captions each, 4 of them in dev."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    examples = []
    for number in range(18):
        colour, shape = list(COLOURS)[number % 3], SHAPES[number // 3 % 2]
        pixels = random.integers(0, 60, (48, 48, 3), dtype=np.uint8)
        rows = slice(12, 36) if shape == "square" else slice(0, 48)
        pixels[rows, 16:32] = COLOURS[colour]
        path = folder / f"{number:02}.png"
        if not path.exists():
            Image.fromarray(pixels).save(path)
        captions = (f"a {colour} {shape}", f"the {shape} is {colour}", f"a picture of a {shape}")
        examples.append(Example(path.name, path, captions, "dev" if number >= 14 else "train"))
    return Dataset("tiny", tuple(examples))


def tiny_clips(folder: Path) -> Dataset:
    """12 clips of 1 to 9 frames with two captions each, 4 of them in dev; the colour tells all."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for number in range(12):
        colour, path = list(COLOURS)[number % 3], folder / f"{number:02}.mp4"
        if not path.exists():
            pixels_FHW3 = np.full((1 + number * 5 % 9, 32, 32, 3), COLOURS[colour], np.uint8)
            pixels_FHW3[:, :8] = 20 * np.arange(len(pixels_FHW3))[:, None, None, None] + number
            make_clip(pixels_FHW3, path=path)
        captions = (f"a {colour} clip", f"this clip is all {colour}")
        examples.append(Example(path.name, path, captions, "dev" if number >= 8 else "train"))
    return Dataset("clips", tuple(examples))


def noise_of(shape: tuple[int, ...]) -> Callable[[FloatArray], FloatArray]:
    """An encoder that gives each picture noise of its own: random weights give next to none."""

    def encode(pixels_N3HW: FloatArray) -> FloatArray:
        seeds = [zlib.crc32(pixels_3HW.tobytes()) for pixels_3HW in pixels_N3HW]
        noise = [np.random.default_rng(seed).normal(size=shape) for seed in seeds]
        return np.stack(noise).astype(np.float32)

    return encode


def store_noise(dataset: Dataset, recipe: Recipe, folder: Path) -> None:
    """All views that a training asks for, of noise: no graph has to be exported."""
    torch.manual_seed(recipe.training.seed)
    encoder = load_encoder(recipe.encoder)
    encode = noise_of(encoder.trunk_shape)
    views = views_of(
        dataset.examples, folder / BLANK_FOLDER, flips=recipe.training.flips, clips=recipe.clips
    )
    for view, parts in views.items():
        build_features(parts, encode, feature_key(encoder, view, recipe.clips), folder)


class Recorder(Silent):
    """Keeps what a training tells, and does something at one of its steps.

    Args:
        at: the step of this call, counted from 1, after which ``act`` is called.
        act: what to do then.
    """

    def __init__(self, at: int = 0, act: Callable[[], None] | None = None) -> None:
        self.at = at
        self.act = act
        self.losses: list[float] = []
        self.rows: list[dict[str, Any]] = []
        self.messages: list[str] = []

    def step(self, done: int, steps: int, loss: float, rate: float) -> None:
        self.losses.append(loss)
        if len(self.losses) == self.at and self.act is not None:
            self.act()

    def validated(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def message(self, text: str) -> None:
        self.messages.append(text)


def interrupt() -> None:
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def kill() -> None:
    """No chance to save."""
    os.kill(os.getpid(), signal.SIGKILL)


@functools.cache
def store_features(root: Path) -> None:
    """Features of the pictures, by PyTorch: for so few it is quicker than an export to ONNX."""
    torch.manual_seed(0)  # as a training with this seed does before it makes random weights
    encoder = load_encoder(tiny_recipe().encoder)

    def encode(pixels_N3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(encoder.trunk(torch.from_numpy(pixels_N3HW)).numpy())

    paths = [example.path for example in tiny_dataset(root / "pictures").examples]
    views: tuple[ViewName, ...] = ("plain", "flip")
    for view in views:
        build_features(paths, encode, feature_key(encoder, view), root / "features")


def tiny_train(
    root: Path, run: str, *changes: str, reporter: Silent | None = None, **more: Any
) -> Outcome:
    """Train in ``root/run``; pictures and features are shared by all runs of ``root``."""
    recipe = more.pop("recipe", None) or tiny_recipe(*changes)
    store_features(root)
    dataset, features = tiny_dataset(root / "pictures"), root / "features"
    return run_training(recipe, dataset, root / run, features, reporter=reporter, **more)


def run_training(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    features: Path,
    *,
    reporter: Silent | None = None,
    fabric: Fabric | None = None,
    interrupt: Interrupt | None = None,
    **more: Any,
) -> Outcome:
    """Train as the command line does: the first Ctrl-C asks to stop."""
    interrupt = interrupt or Interrupt()
    environment = Environment(features, reporter=reporter or Silent(), interrupt=interrupt)
    if fabric is not None:
        environment = replace(environment, fabric=fabric)
    return train(recipe, dataset, folder, environment, **more)


def forced_loss(
    learner: Learner,
    trunk: Tensor,
    tokens: tuple[Tensor, Tensor],
    real_BF: Tensor | None = None,
    *,
    smoothing: float = 0.0,
    own_words: float = 0.0,
) -> Loss:
    """Cross-entropy of inputs and targets, at the end of a training."""
    learner.set_objective(cross_entropy(smoothing, own_words))
    photos = torch.arange(len(trunk))
    loss: Loss = learner(trunk, real_BF, *tokens, photos, (1, 1, 0, 0))
    return loss


def cross_entropy(smoothing: float = 0.0, own_words: float = 0.0) -> CrossEntropy:
    setting = Setting((), CharTokenizer.build(["a"], min_count=1), smoothing, own_words)
    return CrossEntropy(CrossEntropyOptions(), setting)


def same_bits(one: Path, other: Path) -> None:
    (ours, facts), (theirs, their_facts) = load_checkpoint(one), load_checkpoint(other)
    assert facts == their_facts
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name


def dev_rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == "dev"]


class AskedLater:
    """Asks to stop when it is looked at for the ``at``-th time; 0 is never."""

    def __init__(self, at: int) -> None:
        self.left = at

    @property
    def asked(self) -> bool:
        self.left -= 1
        return self.left == 0


class AlsoAsked(Interrupt):
    """What signals ask for, and what another request does.

    Args:
        other: the other.
    """

    def __init__(self, other: AskedLater) -> None:
        self.other, self.by_signal = other, False
        super().__init__()

    @property
    def asked(self) -> bool:
        return self.other.asked or self.by_signal

    @asked.setter
    def asked(self, value: bool) -> None:
        self.by_signal = value


def main(root: str, run: str, at: str, processes: str, *changes: str) -> None:
    """A process of its own, for tests that need one to die, or several.

    A single one is killed after its step ``at``; of several (torchrun starts this program in each)
    the last is asked to stop then.
    """
    torch.set_num_threads(1)
    recorder = Recorder(int(at) if processes == "1" else 0, kill)
    more: dict[str, Any] = {}
    if processes != "1":
        strategy = DDPStrategy(process_group_backend="gloo", find_unused_parameters=True)
        fabric = Fabric(accelerator="cpu", devices=int(processes), strategy=strategy)
        fabric.launch()
        is_last = fabric.global_rank == int(processes) - 1
        more = {"fabric": fabric, "interrupt": AlsoAsked(AskedLater(int(at) if is_last else 0))}
        run_name = f"{run}-{fabric.global_rank}"
    else:
        run_name = f"{run}-0"
    outcome = tiny_train(Path(root), run, *changes, reporter=recorder, **more)
    report = {"losses": recorder.losses, "outcome": asdict(outcome)}
    (Path(root) / f"{run_name}.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
