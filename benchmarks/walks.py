"""How many modules of Negah a photo passes on its way to a caption, and a batch to its loss.

    python benchmarks/walks.py

Counted are the modules in which a function runs, in all threads, from the call to its result, in
the order in which they are reached; the methods that dataclasses and enumerations get by
themselves are not. A walk goes back up where a module calls one that is waiting for it.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

import negah

_PACKAGE = str(Path(negah.__file__).parent)


@dataclass
class Walk:
    """What was passed.

    Attributes:
        modules: in the order in which they were reached.
        back_up: pairs of a module and the waiting one that it called.
    """

    modules: list[str] = field(default_factory=list)
    back_up: set[tuple[str, str]] = field(default_factory=set)

    def start(self) -> None:
        """Note what runs from here, in this thread and in those that it starts."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def stop(self) -> None:
        """Note nothing more."""
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        name = _module(frame) if event == "call" else None
        if name is None:
            return
        if name not in self.modules:
            self.modules.append(name)
        waiting = _waiting(frame)
        if waiting and waiting[0] != name and name in waiting:
            self.back_up.add((waiting[0], name))


def _module(frame: FrameType) -> str | None:
    file = frame.f_code.co_filename
    if not file.startswith(_PACKAGE) or frame.f_code.co_name == "<module>":
        return None
    return str(Path(file).relative_to(_PACKAGE)).removesuffix(".py")


def _waiting(frame: FrameType) -> list[str]:
    """The modules that wait for a frame, the nearest first."""
    found: list[str] = []
    above = frame.f_back
    while above is not None:
        name = _module(above)
        if name is not None and (not found or found[-1] != name):
            found.append(name)
        above = above.f_back
    return found


def photo_to_caption(photo: Path) -> Walk:
    """From :meth:`negah.Captioner.caption` to its result."""
    captioner = negah.load(threads=1)
    captioner.caption(photo)  # what is imported or opened once is no part of the walk
    walk = Walk()
    walk.start()
    captioner.caption(photo)
    walk.stop()
    return walk


def batch_to_loss(folder: Path) -> Walk:
    """From the start of an epoch of a tiny training to the loss of its first batch."""
    import torch
    from torch.nn.modules.module import register_module_forward_hook

    from negah.data import Dataset, Example, build_features
    from negah.models import load_encoder
    from negah.models.seeding import seeded
    from negah.training import Environment, Silent, load_recipe, train
    from negah.training.features import feature_key
    from negah.training.learner import Learner

    walk = Walk()

    class FirstEpoch(Silent):
        """Notes what runs from there."""

        def epoch(self, number: int, epochs: int, done: int, steps: int) -> None:
            walk.start()

    def stop(module: Any, *_: Any) -> None:
        if isinstance(module, Learner):
            walk.stop()

    changes = (
        "encoder.name=efficientnet-lite0", "encoder.weights=random", "encoder.size=64",
        "text.min_count=1", "training.epochs=1", "training.photos=3", "training.flips=false",
    )  # fmt: skip
    recipe = load_recipe("cam-rnn", changes)
    examples = []
    for number in range(8):
        path = folder / f"{number}.png"
        Image.new("RGB", (48, 48), (30 * number, 90, 200 - 20 * number)).save(path)
        part = "dev" if number > 5 else "train"
        examples.append(Example(path.name, path, ("a plain picture", f"shade {number}"), part))
    with seeded(recipe.training.seed, torch.device("cpu")):
        key = feature_key(load_encoder(recipe.encoder), "plain")
    # stored before, by numbers that no encoder gave: they are no part of the walk
    build_features(
        [example.path for example in examples],
        lambda pixels_N3HW: np.zeros((len(pixels_N3HW), *key.shape), np.float32),
        key,
        folder / "features",
    )
    environment = Environment(features=folder / "features", reporter=FirstEpoch())
    hook = register_module_forward_hook(stop)
    train(recipe, Dataset("walk", tuple(examples)), folder / "run", environment)
    hook.remove()
    return walk


def main() -> None:
    """Print the walks."""
    photos = Path(__file__).resolve().parent.parent / "examples" / "photos"
    show("a photo to its caption", photo_to_caption(min(photos.glob("*.jpg"))))
    with tempfile.TemporaryDirectory() as folder:
        show("a batch to its loss", batch_to_loss(Path(folder)))


def show(title: str, walk: Walk) -> None:
    """Print one walk."""
    print(f"{title}: {len(walk.modules)} modules")
    for number, module in enumerate(walk.modules, start=1):
        print(f"{number:4}  {module}")
    for below, above in sorted(walk.back_up):
        print(f"      back up: {below} -> {above}")


if __name__ == "__main__":
    main()
