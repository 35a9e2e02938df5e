"""Tiny trainings: a few generated pictures, an encoder with random weights, seconds on a CPU."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from negah.data import Dataset, Example
from negah.training import Outcome, Recipe, Silent, load_recipe, train

COLOURS = {"red": (220, 40, 30), "green": (40, 180, 60), "blue": (40, 70, 210)}
SHAPES = ("square", "stripe")
#: Four steps an epoch, dropout and the model's own words included: all that draws by chance.
CHANGES = (
    "encoder.name=efficientnet-lite0",
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
STEPS = 4


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


def tiny_train(
    root: Path, run: str, *changes: str, reporter: Silent | None = None, **more: Any
) -> Outcome:
    """Train in ``root/run``; pictures and features are shared by all runs of ``root``."""
    recipe = more.pop("recipe", None) or tiny_recipe(*changes)
    return train(
        recipe,
        tiny_dataset(root / "pictures"),
        root / run,
        features=root / "features",
        reporter=reporter,
        **more,
    )


if __name__ == "__main__":  # a process of its own, for the tests that need one to die
    import sys

    import torch

    torch.set_num_threads(1)
    tiny_train(Path(sys.argv[1]), sys.argv[2], reporter=Recorder(int(sys.argv[3]), kill))
