"""What happens in a made clip: two things, what each does, and when they can be seen.

A scene is drawn from a seed and the clip's number alone, so that clip 812 of seed 3 is the same
in a data set of 1,000 clips and in one of 5,000. A clip shows its two things together, or in
turn: a cut ends the first shot, and the second shot holds the second thing. Some frames are
distractors: noise, blank, or a frame of another scene with things that no caption is about.

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
#: What a thing does; for those that move, the direction.
ACTIONS: Mapping[str, tuple[int, int]] = {
    "moves left": (-1, 0),
    "moves right": (1, 0),
    "moves up": (0, -1),
    "moves down": (0, 1),
    "appears": (0, 0),
    "disappears": (0, 0),
    "stays": (0, 0),
}

Layout = Literal["together", "in turn"]
Kind = Literal["scene", "noise", "blank", "other"]
Point = tuple[float, float]
_DISTRACTORS: tuple[Kind, ...] = ("noise", "blank", "other")


class SynthOptions(Options):
    """What the clips of a made data set are like."""

    frames: int = Field(8, ge=6, le=32, description="frames of a clip")
    size: int = Field(80, ge=48, le=256, description="width and height of a frame, in pixels")
    grid: int = Field(5, ge=4, le=8, description="rows and columns of the grid that truth states")
    captions: int = Field(4, ge=1, le=8, description="captions of a clip, all different")
    in_turn: float = Field(
        0.5, ge=0, le=1, description="share of clips that show one thing after the other"
    )
    distractors: int = Field(2, ge=0, le=3, description="most frames of a clip that distract")


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that moves, comes, goes or stays.

    Attributes:
        colour, shape, size: its looks, by name.
        action: one of :data:`ACTIONS`.
        centres: where its centre is in each frame; None where it is not there.
        event: the frames that show the action: all that it moves or stays in; the two frames
            around its coming or going.
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
class Scene:
    """One clip before it is drawn.

    Attributes:
        number: of the clip.
        layout: both things at a time, or one after the other.
        things: two, of different colours; the second lies in front. In turn: in order of time.
        kinds: of each frame, ``scene`` or what distracts.
        shots: of each frame, the number of its shot, from 0.
        decoys: of each ``other`` frame, what stands in it.
        paint: seed of grounds and noise.
    """

    number: int
    layout: Layout
    things: tuple[Thing, Thing]
    kinds: tuple[Kind, ...]
    shots: tuple[int, ...]
    decoys: Mapping[int, tuple[Thing, ...]]
    paint: int


def draw_scene(seed: int, number: int, options: SynthOptions, attempt: int = 0) -> Scene:
    """The scene of one clip.

    Args:
        seed: of the data set.
        number: of the clip, from 0.
        options: frames, distractors and layouts; the rest does not matter here.
        attempt: another number gives another scene.
    """
    rng = np.random.default_rng([seed, number, attempt])
    frames = options.frames
    layout: Layout = "in turn" if rng.random() < options.in_turn else "together"
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
    return Scene(
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
    """A thing that is there within ``span``, its place and pace drawn so that it stays inside."""
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
) -> tuple[Kind, ...]:
    """Which frames distract: never those around a coming or going, never two in a row."""
    kept = {
        frame
        for thing in things
        if not thing.action.startswith(("moves", "stays"))
        for frame in thing.event
    }
    kinds: list[Kind] = ["scene"] * frames
    for frame in rng.permutation(frames)[: int(rng.integers(most + 1))]:
        beside = kinds[max(0, frame - 1) : frame + 2]
        if int(frame) not in kept and all(kind == "scene" for kind in beside):
            kinds[int(frame)] = _DISTRACTORS[int(rng.integers(len(_DISTRACTORS)))]
    return tuple(kinds)
