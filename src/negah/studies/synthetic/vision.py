"""The encoder of the study: a small network that classifies each grid cell of a frame.

It learns on clips of its own, is frozen, and gives every captioner the same features. It reads
a frame together with the one before, so that a cell can tell movement, coming and going; what
it cannot tell is which cell, frame or thing a word is about. That is left to attention.

Axes: N frames, F frames of a clip, H and W their height and width, R cells, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.data.synth import ClipPlan, SynthClip, Thing, cells_of, thing_boxes
from negah.data.synth.scene import COLOURS, SHAPES, SIZES
from negah.models.seeding import seeded
from negah.studies.synthetic.options import VisionOptions

CHANNELS = 64
#: Pixels across a cell: four convolutions with stride 2.
STRIDE = 16
_KINDS = ("scene", "noise", "blank", "other")
_CHANGES = ("moves left", "moves right", "moves up", "moves down", "appears", "disappears", "still")
#: What is asked about each cell, and the possible answers; the first of colour is "nothing here".
QUESTIONS: dict[str, tuple[str, ...]] = {
    "colour": ("none", *COLOURS),
    "shape": SHAPES,
    "size": tuple(SIZES),
    "change": _CHANGES,
    "frame": _KINDS,
}
_UNASKED = -100

Labels = dict[str, npt.NDArray[np.int64]]


class CellNetwork(nn.Module):
    """Four convolutions and one linear answer a question."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((6, 16), (16, 32), (32, 48), (48, CHANNELS)):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.trunk = nn.Sequential(*layers)
        self.answers = nn.ModuleDict(
            {name: nn.Linear(CHANNELS, len(known)) for name, known in QUESTIONS.items()}
        )

    def forward(self, pairs_N6HW: Tensor) -> Tensor:
        """Features (N, R, C) of frames, float32, each stacked on the frame before it."""
        grid_NCHW: Tensor = self.trunk(pairs_N6HW)
        return grid_NCHW.flatten(2).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Eyes:
    """A trained network, with what it got right.

    Attributes:
        network: frozen.
        scale: divides the features, so that they vary by about 1.
        accuracy: by question, the share of held-out cells that were answered rightly.
    """

    network: CellNetwork
    scale: float
    accuracy: dict[str, float]

    @torch.inference_mode()
    def see(self, pixels_FHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Features of a clip, (F, R, C)."""
        features: Tensor = self.network(frame_pairs(pixels_FHW3)) / self.scale
        return features.numpy().astype(np.float16)


def frame_pairs(pixels_FHW3: npt.NDArray[np.uint8]) -> Tensor:
    """Each frame on the one before it (the first on itself): (F, 6, H, W), -1 to 1."""
    pixels = torch.from_numpy(pixels_FHW3).permute(0, 3, 1, 2).float() / 127.5 - 1
    before = torch.cat([pixels[:1], pixels[:-1]])
    return torch.cat([pixels, before], dim=1)


def learn_to_see(
    clips: list[SynthClip],
    held_out: list[SynthClip],
    options: VisionOptions,
    grid: int,
    progress: Callable[[int, int], None],
) -> Eyes:
    """Train on the cells of ``clips``; deterministic on one machine.

    Args:
        clips: to learn from.
        held_out: to measure what was learnt.
        options: epochs, batch, rate, seed.
        grid: rows and columns.
        progress: called with the steps done and their number.
    """
    generator = torch.Generator().manual_seed(options.seed)
    with seeded(options.seed):
        network = CellNetwork()
    pairs = [frame_pairs(clip.rendered.pixels_FHW3).half() for clip in clips]
    pairs_N6HW = torch.cat(pairs)
    labels = _tensors(clips, grid)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    steps = options.epochs * -(-len(pairs_N6HW) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, steps)
    done = 0
    for _ in range(options.epochs):
        shuffled = torch.randperm(len(pairs_N6HW), generator=generator)
        for rows in torch.split(shuffled, options.batch):
            features_NRC = network(pairs_N6HW[rows].float())
            loss = torch.stack(
                [
                    F.cross_entropy(layer(features_NRC).transpose(1, 2), labels[name][rows])
                    for name, layer in network.answers.items()
                ]
            ).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            done += 1
            progress(done, steps)
    network.eval().requires_grad_(False)
    with torch.inference_mode():
        seen = torch.cat([network(frame_pairs(c.rendered.pixels_FHW3)) for c in held_out])
        accuracy = _accuracy(network, seen, _tensors(held_out, grid))
    return Eyes(network, float(seen.std()), accuracy)


def _tensors(clips: list[SynthClip], grid: int) -> dict[str, Tensor]:
    labels = [cell_labels(clip, grid) for clip in clips]
    return {
        name: torch.from_numpy(np.concatenate([one[name] for one in labels])) for name in QUESTIONS
    }


def _accuracy(
    network: CellNetwork, features_NRC: Tensor, labels: dict[str, Tensor]
) -> dict[str, float]:
    """Of the cells that hold something, and for the kind of frame of all."""
    found = {}
    for name, layer in network.answers.items():
        asked = labels[name] != _UNASKED
        if name == "colour":
            asked = labels[name] > 0
        right = layer(features_NRC).argmax(-1) == labels[name]
        found[name] = float(right[asked].float().mean())
    return found


def cell_labels(clip: SynthClip, grid: int) -> Labels:
    """The true answers for each cell, (F, R) each; -100 where there is none."""
    scene, rendered = clip.scene, clip.rendered
    frames, cells = len(scene.kinds), grid * grid
    labels = {name: np.full((frames, cells), _UNASKED, np.int64) for name in QUESTIONS}
    labels["colour"][:] = 0
    labels["frame"][:] = np.array([_KINDS.index(kind) for kind in scene.kinds])[:, None]
    for number, thing in enumerate(scene.things):
        for frame, box in enumerate(rendered.boxes[number]):
            if box is not None:
                change = _change(scene, thing, frame)
                _describe(labels, thing, frame, cells_of(box, grid), change)
        if thing.action == "disappears":
            gone, box = thing_boxes(scene, rendered, number, acting=True)[-1]
            free = [cell for cell in cells_of(box, grid) if labels["colour"][gone, cell] == 0]
            labels["change"][gone, free] = _CHANGES.index("disappears")
    for frame, boxes in rendered.decoy_boxes.items():
        for thing, box in zip(scene.decoys[frame], boxes, strict=True):
            if box is not None:
                _describe(labels, thing, frame, cells_of(box, grid), None)
    return labels


def _describe(
    labels: Labels, thing: Thing, frame: int, cells: list[int], change: str | None
) -> None:
    labels["colour"][frame, cells] = QUESTIONS["colour"].index(thing.colour)
    labels["shape"][frame, cells] = QUESTIONS["shape"].index(thing.shape)
    labels["size"][frame, cells] = QUESTIONS["size"].index(thing.size)
    labels["change"][frame, cells] = _UNASKED if change is None else _CHANGES.index(change)


def _change(scene: ClipPlan, thing: Thing, frame: int) -> str | None:
    """What the frame and the one before it show of a thing's action; None where they cannot."""
    if thing.action == "appears" and frame == thing.event[-1]:
        return "appears"
    before = frame - 1
    if before < 0 or scene.kinds[before] != "scene" or scene.shots[before] != scene.shots[frame]:
        return None
    return thing.action if thing.action.startswith("moves") else "still"
