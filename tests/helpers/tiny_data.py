"""A tiny real data set: photos of coloured shapes, with captions that say what they show."""

from __future__ import annotations

import csv
import functools
import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

from negah.cli.main import run

COLOURS = ("red", "green", "blue", "yellow", "purple")
SHAPES = ("circle", "square", "triangle", "bar")

#: The changes that make a recipe train in seconds, without pretrained weights. The encoder is
#: one that timm has for tests: its graph is exported in a tenth of the time of a real one.
TINY = (
    "encoder.name=test_efficientnet",
    "encoder.weights=random",
    "encoder.size=64",
    "text.min_count=1",
    "training.photos=4",
    "training.warmup_steps=2",
    "training.learning_rate=0.01",
    "model.embedding_size=16",
    "model.hidden_size=16",
)
TINY_CAM = (
    *TINY,
    "encoder.trainable_blocks=1",
    "model.visual_size=16",
    "model.attention_size=8",
    "model.phrase_size=8",
)


def tiny_arguments(changes: tuple[str, ...] = TINY) -> list[str]:
    """The changes as arguments of ``negah train``."""
    return [argument for change in changes for argument in ("--set", change)]


def make_shapes(folder: Path, *, splits: bool = True) -> Path:
    """Write 20 photos of 80 x 80 pixels and ``captions.csv`` with two captions of each.

    Args:
        folder: where; made if absent.
        splits: 12 photos are train, 4 dev and 4 test; without, none has a part.
    """
    (folder / "images").mkdir(parents=True)
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption", *(["split"] if splits else [])])
        for index, (colour, shape) in enumerate(product(COLOURS, SHAPES)):
            name = f"{colour}-{shape}.png"
            _draw(colour, shape).save(folder / "images" / name)
            split = {3: "dev", 4: "test"}.get(index % 5, "train")
            for caption in (
                f"a {colour} {shape} on a white ground",
                f"one {shape}, it is {colour}",
            ):
                table.writerow([name, caption, *([split] if splits else [])])
    return folder


@dataclass(frozen=True)
class Trained:
    """A training that the command line has done.

    Attributes:
        folder: of the run; the bundle is in it.
        data: the data set.
        features: the folder of the features.
        arguments: what stood behind ``negah``.
        code: the exit code.
        out: standard output.
        err: standard error.
    """

    folder: Path
    data: Path
    features: Path
    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"


@functools.cache
def trained(root: Path) -> Trained:
    """Train a tiny CAM-RNN for two epochs below ``root``; once, whichever test asks first."""
    data = make_shapes(root / "shapes")
    folder, features = root / "runs" / "tiny", root / "features"
    arguments = (
        *("train", "cam-rnn", "--data", str(data), "--output", str(folder)),
        *("--features", str(features), "--device", "cpu", "--threads", "1"),
        *tiny_arguments(TINY_CAM),
        *("--set", "training.epochs=2"),
    )
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(arguments)
    return Trained(folder, data, features, arguments, code, out.getvalue(), err.getvalue())


def _draw(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (80, 80), "white")
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse((16, 16, 64, 64), fill=colour)
    elif shape == "square":
        pen.rectangle((20, 20, 60, 60), fill=colour)
    elif shape == "triangle":
        pen.polygon(((40, 12), (12, 64), (68, 64)), fill=colour)
    else:
        pen.rectangle((6, 34, 74, 46), fill=colour)
    return image
