"""Ground truth: for each word of a caption, the frames and boxes that justify it.

A word for an attribute is justified wherever the object is visible; a word for an action, in the
frames that show the action; linking words by both objects; function words by nothing. Cells are the
grid cells of which a box covers a tenth or more, and the cell that contains its centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from negah.data.synth.grammar import Statement, StatementWord
from negah.data.synth.render import Edges, Rendered
from negah.data.synth.scene import ClipPlan

_COVERED = 0.1


@dataclass(frozen=True, slots=True)
class WordTruth:
    """The justification of one word.

    Attributes:
        frames: indices of frames, ascending; empty for a function word.
        boxes: for each frame, one or more boxes.
        cells: for each frame, indices of grid cells (row x columns + column), ascending.
    """

    frames: tuple[int, ...]
    boxes: tuple[tuple[Edges, ...], ...]
    cells: tuple[tuple[int, ...], ...]


def word_truth(
    word: StatementWord, things: Sequence[int], scene: ClipPlan, rendered: Rendered, grid: int
) -> WordTruth:
    """The justification of a word of a caption.

    Args:
        word: from a :class:`~negah.data.synth.grammar.Statement`.
        things: the object of the scene that each mention of the caption refers to.
        scene: the clip.
        rendered: the same clip, rendered.
        grid: rows and columns of the grid.
    """
    if word.role == "function":
        return WordTruth((), (), ())
    about = list(things) if word.part is None else [things[word.part]]
    by_frame: dict[int, list[Edges]] = {}
    for number in about:
        for frame, box in thing_boxes(scene, rendered, number, acting=word.role == "action"):
            by_frame.setdefault(frame, []).append(box)
    frames = tuple(sorted(by_frame))
    return WordTruth(
        frames,
        tuple(tuple(by_frame[frame]) for frame in frames),
        tuple(
            tuple(sorted({cell for box in by_frame[frame] for cell in cells_of(box, grid)}))
            for frame in frames
        ),
    )


def thing_boxes(
    scene: ClipPlan, rendered: Rendered, number: int, *, acting: bool
) -> list[tuple[int, Edges]]:
    """The (frame, box) pairs in which an object is visible, or visibly ``acting``, in order.

    Before it appears and after it disappears, the box is where it will be or has been.
    """
    boxes = rendered.boxes[number]
    if not acting:
        return [(frame, box) for frame, box in enumerate(boxes) if box is not None]
    thing = scene.things[number]
    found = []
    for frame in thing.event:
        box = boxes[frame]
        if box is None and thing.action in ("appears", "disappears"):
            box = next((boxes[f] for f in thing.event if boxes[f] is not None), None)
        if box is not None:
            found.append((frame, box))
    return found


def cells_of(box: Edges, grid: int) -> list[int]:
    """The grid cells that a box covers sufficiently, ascending."""
    left, top, right, bottom = (edge * grid for edge in box)
    middle = int((top + bottom) / 2) * grid + int((left + right) / 2)
    cells = set() if middle >= grid * grid else {middle}
    for row in range(grid):
        height = min(bottom, row + 1) - max(top, row)
        for column in range(grid):
            width = min(right, column + 1) - max(left, column)
            if height > 0 and width > 0 and height * width >= _COVERED:
                cells.add(row * grid + column)
    return sorted(cells)


def truth_record(
    video: str, statement: Statement, scene: ClipPlan, rendered: Rendered, grid: int
) -> dict[str, Any]:
    """A true caption as a line of ``truth.jsonl``: every word with its justification."""
    things = _spoken_of(statement, scene)
    words = []
    for word in statement.words:
        truth = word_truth(word, things, scene, rendered, grid)
        words.append(
            {
                "word": word.text,
                "role": word.role,
                "visual": word.role != "function",
                "frames": list(truth.frames),
                "boxes": [[[round(x, 4) for x in box] for box in one] for one in truth.boxes],
                "cells": [list(one) for one in truth.cells],
            }
        )
    return {"video": video, "caption": statement.text, "words": words}


def _spoken_of(statement: Statement, scene: ClipPlan) -> tuple[int, int]:
    """The objects in the order of a true caption; their colours differ."""
    first = int(statement.mentions[0].colour != scene.things[0].colour)
    return first, 1 - first
