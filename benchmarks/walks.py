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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

import negah

_PACKAGE = str(Path(negah.__file__).parent)


@dataclass
class Walk:
    """What was passed.

    Attributes:
        modules: in the order in which they were reached.
        going: whether what runs is noted.
        back_up: pairs of a module and the waiting one that it called.
    """

    modules: list[str] = field(default_factory=list)
    going: bool = True
    back_up: set[tuple[str, str]] = field(default_factory=set)


@contextmanager
def walked() -> Iterator[Walk]:
    """Note what runs inside the block, in this thread and in those that it starts."""
    walk = Walk()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not walk.going:
            return
        name = _module(frame)
        if name is None:
            return
        if name not in walk.modules:
            walk.modules.append(name)
        waiting = _waiting(frame)
        if waiting and waiting[0] != name and name in waiting:
            walk.back_up.add((waiting[0], name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


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
    with walked() as walk:
        captioner.caption(photo)
    return walk


def batch_to_loss(folder: Path) -> Walk:
    """From the start of an epoch of a tiny training to the end of its first step."""
    from negah.data import Dataset, Example
    from negah.training import Environment, Silent, load_recipe, train

    class FirstStep(Silent):
        """Notes what runs between the two."""

        def epoch(self, number: int, epochs: int, done: int, steps: int) -> None:
            walk.going = True

        def step(self, done: int, steps: int, loss: float, rate: float) -> None:
            walk.going = False

    examples = []
    for number in range(8):
        path = folder / f"{number}.png"
        Image.new("RGB", (48, 48), (30 * number, 90, 200 - 20 * number)).save(path)
        part = "dev" if number > 5 else "train"
        examples.append(Example(path.name, path, ("a plain picture", f"shade {number}"), part))
    changes = (
        "encoder.name=efficientnet-lite0", "encoder.weights=random", "encoder.size=64",
        "text.min_count=1", "training.epochs=1", "training.photos=3", "training.validation_beam=1",
    )  # fmt: skip
    environment = Environment(features=folder / "features", reporter=FirstStep())
    with walked() as walk:
        walk.going = False
        recipe = load_recipe("cam-rnn", changes)
        train(recipe, Dataset("walk", tuple(examples)), folder / "run", environment)
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
