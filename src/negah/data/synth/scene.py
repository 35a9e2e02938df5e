"""Scenes of synthetic clips: two objects, their actions, and when they are visible.

A scene depends only on a seed and the clip's number, so that clip 812 of seed 3 is the same in a
data set of 1,000 clips and in one of 5,000. A clip shows its two objects together, or in turn: a
cut ends the first shot, and the second shot shows the second object. Some frames are distractors:
noise, blank, or a frame of another scene with objects that no caption mentions.

Lengths are shares of the side of the square picture; x goes right and y goes down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from negah.options import Options

#: Colours by name, as RGB from 0 to 255.
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 39, 40),
    "yellow": (245, 230, 60),
    "green": (50, 170, 60),
    "blue": (50, 90, 230),
    "purple": (170, 70, 200),
    "white": (240, 240, 240),
}
SHAPES = ("circle", "square", "triangle", "cross")
#: Half the width of a thing.
SIZES: Mapping[str, float] = {"small": 0.08, "large": 0.15}
#: The actions of objects; for moving ones, the direction.
ACTIONS: Mapping[str, tuple[int, int]] = {
    "moves left": (-1, 0),
    "moves right": (1, 0),
    "moves up": (0, -1),
    "moves down": (0, 1),
    "appears": (0, 0),
    "disappears": (0, 0),
    "stays": (0, 0),
}

ObjectOrder = Literal["together", "in turn"]
FrameKind = Literal["scene", "noise", "blank", "other"]
Point = tuple[float, float]
_DISTRACTORS: tuple[FrameKind, ...] = ("noise", "blank", "other")


class SynthOptions(Options):
    """Options of a synthetic data set."""

    frames: int = Field(8, ge=6, le=32, description="frames of a clip")
    size: int = Field(80, ge=48, le=256, description="width and height of a frame, in pixels")
    grid: int = Field(5, ge=4, le=8, description="rows and columns of the grid of the ground truth")
    captions: int = Field(4, ge=1, le=8, description="distinct captions of a clip")
    in_turn: float = Field(
        0.5, ge=0, le=1, description="share of clips that show one object after the other"
    )
    distractors: int = Field(
        2, ge=0, le=3, description="maximum number of distractor frames of a clip"
    )


@dataclass(frozen=True, slots=True)
class Thing:
    """An object that moves, appears, disappears or stays.

    Attributes:
        colour, shape, size: its attributes, by name.
        action: one of :data:`ACTIONS`.
        centres: its centre in each frame; None if it is absent.
        event: the frames that show the action: all frames in which it moves or stays, or the two
            frames around its appearance or disappearance.
    """

    colour: str
    shape: str
    size: str
    action: str
    centres: tuple[Point | None, ...]
    event: tuple[int, ...]

    @property
    def half(self) -> float:
        """Half its width."""
        return SIZES[self.size]


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """A clip before rendering.

    Attributes:
        number: of the clip.
        layout: both objects together, or one after the other.
        things: two objects of different colours; the second is in front. In turn: in order of time.
        kinds: of each frame, ``scene`` or the kind of distractor.
        shots: of each frame, the index of its shot, from 0.
        decoys: the objects of each ``other`` frame.
        paint: seed of backgrounds and noise.
    """

    number: int
    layout: ObjectOrder
    things: tuple[Thing, Thing]
    kinds: tuple[FrameKind, ...]
    shots: tuple[int, ...]
    decoys: Mapping[int, tuple[Thing, ...]]
    paint: int


def draw_scene(seed: int, number: int, options: SynthOptions, attempt: int = 0) -> ClipPlan:
    """The scene of one clip.

    Args:
        seed: of the data set.
        number: of the clip, from 0.
        options: frames, distractors and layouts are used.
        attempt: another number gives another scene.
    """
    rng = np.random.default_rng([seed, number, attempt])
    frames = options.frames
    layout: ObjectOrder = "in turn" if rng.random() < options.in_turn else "together"
    if layout == "in turn":
        cut = int(rng.integers(3, frames - 2))
        spans = (range(cut), range(cut, frames))
    else:
        cut = frames
        spans = (range(frames), range(frames))
    colours = rng.permutation(list(COLOURS))
    first, second = (
        _draw_thing(rng, str(colour), span, frames)
        for colour, span in zip(colours[:2], spans, strict=True)
    )
    kinds = _distract(rng, (first, second), frames, options.distractors)
    decoys = {
        frame: tuple(
            _draw_thing(rng, str(colour), range(frame, frame + 1), frames, still=True)
            for colour in rng.permutation(list(COLOURS))[:2]
        )
        for frame, kind in enumerate(kinds)
        if kind == "other"
    }
    return ClipPlan(
        number=number,
        layout=layout,
        things=(first, second),
        kinds=kinds,
        shots=tuple(int(frame >= cut) for frame in range(frames)),
        decoys=decoys,
        paint=int(rng.integers(2**31)),
    )


def _draw_thing(
    rng: np.random.Generator, colour: str, span: range, frames: int, *, still: bool = False
) -> Thing:
    """Sample an object that is present within ``span``, with position and speed such that it stays
    inside the frame."""
    size = str(rng.choice(list(SIZES)))
    shape = str(rng.choice(SHAPES))
    action = "stays" if still else str(rng.choice(list(ACTIONS)))
    room = 1 - 2 * SIZES[size]
    steps = len(span) - 1
    pace = min(rng.uniform(0.05, 0.08), 0.95 * room / max(steps, 1))
    dx, dy = ACTIONS[action]
    start = [
        SIZES[size] + rng.uniform(max(0.0, -d) * pace * steps, room - max(0, d) * pace * steps)
        for d in (dx, dy)
    ]
    there = list(span)
    event = there
    if action == "appears":
        at = int(rng.integers(1, steps))
        there, event = there[at:], there[at - 1 : at + 1]
    elif action == "disappears":
        at = int(rng.integers(1, steps))
        there, event = there[: at + 1], there[at : at + 2]
    centres: list[Point | None] = [None] * frames
    for frame in there:
        passed = (frame - span[0]) * pace
        centres[frame] = (start[0] + dx * passed, start[1] + dy * passed)
    return Thing(colour, shape, size, action, tuple(centres), tuple(event))


def _distract(
    rng: np.random.Generator, things: Sequence[Thing], frames: int, most: int
) -> tuple[FrameKind, ...]:
    """Choose the distractor frames: never around an appearance or disappearance, never two in a
    row."""
    kept = {
        frame
        for thing in things
        if not thing.action.startswith(("moves", "stays"))
        for frame in thing.event
    }
    kinds: list[FrameKind] = ["scene"] * frames
    for frame in rng.permutation(frames)[: int(rng.integers(most + 1))]:
        beside = kinds[max(0, frame - 1) : frame + 2]
        if int(frame) not in kept and all(kind == "scene" for kind in beside):
            kinds[int(frame)] = _DISTRACTORS[int(rng.integers(len(_DISTRACTORS)))]
    return tuple(kinds)
