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


@contextmanager
def walked() -> Iterator[Walk]:
    """Note what runs inside the block, in this thread and in those that it starts."""
    walk = Walk()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
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


def batch_to_loss(photos: list[Path], folder: Path) -> Walk:
    """From the tokens of an epoch's captions to the loss of its first batch, cam-rnn."""
    import numpy as np
    import torch

    from negah.data import Example, build_features
    from negah.models import load_encoder
    from negah.pipeline import map_ahead
    from negah.text import WordTokenizer
    from negah.training import load_recipe
    from negah.training.batches import Batches
    from negah.training.features import feature_key
    from negah.training.learner import Learner
    from negah.training.objectives import OBJECTIVES, Setting
    from negah.training.sources import StoredSource

    changes = ["encoder.name=efficientnet-lite0", "encoder.weights=random", "encoder.size=64"]
    recipe = load_recipe("cam-rnn", changes)
    encoder = load_encoder(recipe.encoder)
    examples = [Example(photo.name, photo, ("a photo",), "train") for photo in photos]

    def encode(pixels_N3HW: Any) -> Any:
        return np.asarray(encoder.trunk(torch.from_numpy(pixels_N3HW)).numpy())

    store = build_features(photos, encode, feature_key(encoder, "plain"), folder)
    source = StoredSource({"plain": store}, examples, examples)
    tokenizer = WordTokenizer.build(["a photo"], min_count=1)
    objective = OBJECTIVES.build(recipe.training.objective, Setting(source.captions, tokenizer))
    learner = Learner(recipe.model, encoder, len(tokenizer), objective)
    ids = [[tokenizer.encode("a photo")] for _ in photos]
    batches = Batches(ids, photos=len(photos), per_photo=1, flips=False, seed=0)
    with walked() as walk:
        epoch = batches.epoch(0)
        (frames,) = map_ahead(lambda batch: source.read(batch, 0), epoch, threads=1, ahead=1)
        tokens = torch.from_numpy(epoch[0].inputs_BKT), torch.from_numpy(epoch[0].targets_BKT)
        learner(frames.trunk, frames.real_BF, *tokens, torch.arange(len(photos)), (0, 1, 0, 0))
    return walk


def main() -> None:
    """Print the walks."""
    photos = Path(__file__).resolve().parent.parent / "examples" / "photos"
    walk = photo_to_caption(min(photos.glob("*.jpg")))
    show("a photo to its caption", walk)
    with tempfile.TemporaryDirectory() as folder:
        show("a batch to its loss", batch_to_loss(sorted(photos.glob("*.jpg"))[:4], Path(folder)))


def show(title: str, walk: Walk) -> None:
    """Print one walk."""
    print(f"{title}: {len(walk.modules)} modules")
    for number, module in enumerate(walk.modules, start=1):
        print(f"{number:4}  {module}")
    for below, above in sorted(walk.back_up):
        print(f"      back up: {below} -> {above}")


if __name__ == "__main__":
    main()
