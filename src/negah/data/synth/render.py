"""Rendering of scenes to pixels, with the visible boxes of the objects.

Axes: F frames, H and W the height and width of a frame, 3 the channels of RGB.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negah.arrays import ByteArray, DoubleArray
from negah.data.synth.scene import COLOURS, ClipPlan, Point, Thing

Pixels = ByteArray
Mask = DoubleArray
#: Left, top, right, bottom, as shares of width and height.
Edges = tuple[float, float, float, float]

#: An object counts as visible in a frame if at least this share of it is not hidden.
SEEN = 0.3
_FINE = 3  # samples across a pixel, so that edges are smooth


@dataclass(frozen=True, slots=True)
class Rendered:
    """One clip as pixels.

    Attributes:
        pixels_FHW3: uint8, RGB.
        boxes: the visible box of each object in each frame; None if it is absent or hidden, or the
            frame is a distractor.
        decoy_boxes: the same for the objects of ``other`` frames, by frame.
    """

    pixels_FHW3: Pixels
    boxes: tuple[tuple[Edges | None, ...], ...]
    decoy_boxes: dict[int, tuple[Edges | None, ...]]


def render(scene: ClipPlan, size: int) -> Rendered:
    """Render every frame of ``scene``, ``size`` pixels wide and high."""
    rng = np.random.default_rng([scene.paint, size])
    grounds = [_ground(rng, size, dark=True) for _ in range(2)]
    frames: list[Pixels] = []
    boxes: list[list[Edges | None]] = [[] for _ in scene.things]
    decoy_boxes: dict[int, tuple[Edges | None, ...]] = {}
    for number, kind in enumerate(scene.kinds):
        seen: Sequence[Edges | None] = [None] * len(scene.things)
        if kind == "noise":
            canvas = rng.uniform(0, 255, (size, size, 3))
        elif kind == "blank":
            canvas = np.full((size, size, 3), rng.uniform(0, 255))
        elif kind == "other":
            canvas = _ground(rng, size, dark=False)
            decoy_boxes[number] = tuple(_paint(canvas, scene.decoys[number], number))
        else:
            canvas = grounds[scene.shots[number]].copy()
            seen = _paint(canvas, scene.things, number)
        if kind in ("scene", "other"):
            canvas += rng.normal(0, 3, canvas.shape)
        frames.append(canvas.clip(0, 255).round().astype(np.uint8))
        for thing_boxes, box in zip(boxes, seen, strict=True):
            thing_boxes.append(box)
    return Rendered(np.stack(frames), tuple(tuple(one) for one in boxes), decoy_boxes)


def _ground(rng: np.random.Generator, size: int, *, dark: bool) -> npt.NDArray[np.float64]:
    """A patchy background of one muted colour: (H, W, 3), 0 to 255."""
    light = rng.uniform(0.1, 0.3) if dark else rng.uniform(0.8, 0.95)
    colour = np.array(colorsys.hsv_to_rgb(rng.random(), 0.35 if dark else 0.15, light)) * 255
    patches = np.kron(rng.normal(0, 1, (8, 8)), np.ones((-(-size // 8),) * 2))[:size, :size]
    ground: Mask = colour * (1 + 0.12 * patches[..., None])
    return ground


def _paint(
    canvas: npt.NDArray[np.float64], things: Sequence[Thing], frame: int
) -> list[Edges | None]:
    """Paint the objects onto ``canvas``, the last in front; return their visible boxes."""
    size = len(canvas)
    masks: list[Mask | None] = []
    for thing in things:
        centre = thing.centres[frame]
        masks.append(None if centre is None else _mask(thing.shape, centre, thing.half, size))
        if masks[-1] is not None:
            cover = masks[-1][..., None]
            canvas *= 1 - cover
            canvas += cover * np.array(COLOURS[thing.colour], float)
    boxes: list[Edges | None] = []
    for number, mask in enumerate(masks):
        if mask is None:
            boxes.append(None)
            continue
        shown = mask.copy()
        for above in masks[number + 1 :]:
            if above is not None:
                shown *= 1 - above
        boxes.append(_box(shown) if shown.sum() >= SEEN * mask.sum() else None)
    return boxes


def _mask(shape: str, centre: Point, half: float, size: int) -> Mask:
    """The share of each pixel that a shape covers: (H, W), 0 to 1."""
    places = (np.arange(size * _FINE) + 0.5) / (size * _FINE)
    x = np.abs(places - centre[0])[None, :] / half
    y = (places - centre[1])[:, None] / half
    if shape == "circle":
        inside = x**2 + y**2 <= 1
    elif shape == "square":
        inside = (x <= 0.9) & (np.abs(y) <= 0.9)
    elif shape == "triangle":
        inside = (np.abs(y) <= 1) & (x <= (y + 1) / 2)
    else:
        inside = ((x <= 0.34) & (np.abs(y) <= 1)) | ((x <= 1) & (np.abs(y) <= 0.34))
    mask: Mask = inside.reshape(size, _FINE, size, _FINE).mean((1, 3))
    return mask


def _box(mask: Mask) -> Edges | None:
    rows, columns = (np.flatnonzero((mask > 0.25).any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    size = len(mask)
    left, right = columns[0] / size, (columns[-1] + 1) / size
    return float(left), float(rows[0] / size), float(right), float((rows[-1] + 1) / size)
