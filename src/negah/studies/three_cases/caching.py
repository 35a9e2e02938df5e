"""What it saves to cache the features below the layers that learn, and that it changes nothing.

Axes: N photos, B photos of a batch, K captions, T words.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.data import load_dataset
from negah.media.images import open_image
from negah.models import Encoder, ShowTell, flatten_words
from negah.models.seeding import seeded
from negah.studies.captioning import CaptionData, open_captions
from negah.studies.study import Paths, Progress
from negah.studies.three_cases.cells import WithTail, make_captioner, tuned_encoder, with_tail
from negah.studies.three_cases.study import ThreeCasesOptions
from negah.text import PAD
from negah.training.padding import pad_captions

#: Turns of each way, of which the median counts.
_TURNS = 3


class _Ground:
    """Photos, captions and modules that all measurements share."""

    def __init__(self, o: ThreeCasesOptions, paths: Paths, progress: Progress, photos: int) -> None:
        self.data: CaptionData = open_captions(with_tail(o), paths, progress, regions=True)
        self.encoder: Encoder = tuned_encoder(o)
        with seeded(0):
            captioner = make_captioner(o, self.encoder.channels, len(self.data.tokenizer))
        self.model = WithTail(self.encoder, captioner, self.data.standard).eval()
        self.rows = list(range(min(photos, len(self.data.train.names))))
        named = {e.name: e.path for e in load_dataset(paths.data).examples}
        files = [named[self.data.train.names[row]] for row in self.rows]
        size = self.encoder.preprocessing.size
        images = [open_image(file, target_size=size) for file in files]
        self.pixels_N3HW = torch.from_numpy(self.encoder.preprocessing.to_pixels_NCHW(images))
        self.o = o

    def words(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Inputs and targets (B, K, T)."""
        c = self.o.captioning
        captions = [
            self.data.ids(self.data.train.captions[row][: c.captions], c.max_tokens) for row in rows
        ]
        inputs, targets = pad_captions(captions)
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def compare_gradients(o: ThreeCasesOptions, paths: Paths, progress: Progress) -> dict[str, float]:
    """Gradients of the layers that learn: from cached features, and through the whole CNN.

    Recomputed means that nothing is frozen and the gradient flows from the loss to the pixels.

    Returns:
        the largest absolute difference of a gradient, as a share of the largest absolute value of
        the recomputed one, over all weights that learn: with features cached in double and in
        single precision, and with the stored ones in half precision.
    """
    ground = _Ground(o, paths, progress, o.proved_photos)
    stored = ground.data.train.features(ground.rows)
    inputs_BKT, targets_BKT = ground.words(ground.rows)
    found = {}
    for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):
        # deep copies share nothing, and a copied encoder keeps its cut
        encoder = copy.deepcopy(ground.encoder).to(dtype)
        captioner = copy.deepcopy(ground.model.captioner).to(dtype)
        model = WithTail(encoder, captioner, ground.data.standard).eval()
        pixels = ground.pixels_N3HW.to(dtype)
        learning = {n: p for n, p in model.tail.named_parameters() if p.requires_grad}
        cached = _gradients(model, encoder.trunk(pixels)[:, None], inputs_BKT, targets_BKT)
        halves = _gradients(model, stored.to(dtype), inputs_BKT, targets_BKT)
        encoder.requires_grad_(requires_grad=True)
        trunk = encoder.trunk_blocks(pixels)
        whole = _gradients(model, trunk[:, None], inputs_BKT, targets_BKT)
        found[name] = _largest(cached, whole, learning)
        if dtype == torch.float32:
            found["stored as float16"] = _largest(halves, whole, learning)
        progress("gradients", len(found), 3)
    return found


def _gradients(
    model: WithTail, trunk: Tensor, inputs_BKT: Tensor, targets_BKT: Tensor
) -> dict[str, Tensor]:
    """Of the tail's parameters, as far as they learn."""
    model.zero_grad(set_to_none=True)
    _loss(model, trunk, inputs_BKT, targets_BKT).backward()  # type: ignore[no-untyped-call]
    return {n: p.grad for n, p in model.tail.named_parameters() if p.grad is not None}


def _loss(
    model: WithTail | ShowTell, features: Tensor, inputs_BKT: Tensor, targets_BKT: Tensor
) -> Tensor:
    counts = targets_BKT != PAD
    return F.cross_entropy(model(features, inputs_BKT, counts), flatten_words(targets_BKT, counts))


def _largest(
    ours: dict[str, Tensor], theirs: dict[str, Tensor], names: dict[str, nn.Parameter]
) -> float:
    return max(
        float((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max().clamp_min(1e-30))
        for name in names
    )


def time_epochs(o: ThreeCasesOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """Seconds of processor time of an epoch in three ways, from a few batches of each in turn.

    Forward and backward of the captioner are part of all three. Reading files and decoding JPEG
    are part of none, in favour of recomputing.

    Returns:
        ``frozen``: features of the whole CNN cached; ``cached``: those below the layers that
        learn; ``recomputed``: nothing. Seconds for all training photos, one core.
    """
    ground = _Ground(o, paths, progress, o.timed_photos)
    batch = min(o.captioning.batch, len(ground.rows))
    chunks = [ground.rows[at : at + batch] for at in range(0, len(ground.rows) - batch + 1, batch)]
    words = [ground.words(rows) for rows in chunks]
    with torch.no_grad():
        regions = [ground.model.regions(ground.data.train.features(rows)) for rows in chunks]
    means = [found.mean(2, keepdim=True) for found in regions]

    def frozen(number: int) -> None:
        loss = _loss(ground.model.captioner, means[number], *words[number])
        loss.backward()  # type: ignore[no-untyped-call]

    def cached(number: int) -> None:
        features = ground.data.train.features(chunks[number])
        loss = _loss(ground.model, features, *words[number])
        loss.backward()  # type: ignore[no-untyped-call]

    def recomputed(number: int) -> None:
        rows = chunks[number]
        trunk = ground.encoder.trunk(ground.pixels_N3HW[rows[0] : rows[-1] + 1])
        loss = _loss(ground.model, trunk[:, None], *words[number])
        loss.backward()  # type: ignore[no-untyped-call]

    ways: dict[str, Callable[[int], None]] = {
        "frozen": frozen, "cached": cached, "recomputed": recomputed,
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_TURNS + 1):
        for number in range(len(chunks)):
            for name, way in ways.items():
                ground.model.zero_grad(set_to_none=True)
                started = time.process_time()
                way(number)
                if turn:  # the first turn warms up
                    seconds[name].append(time.process_time() - started)
        progress("timing", turn + 1, _TURNS + 1)
    photos = len(ground.data.train.names)
    return {name: median(found) / batch * photos for name, found in seconds.items()}
