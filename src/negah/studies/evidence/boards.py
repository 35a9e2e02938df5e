"""Clips of two photographs one after the other, whose times are known: which does a word look at?

The model for clips captions them. A word that names a thing which is boxed in one of the two
photographs alone should come from that one's frames, and from the thing's place in them.

Axes: T words, F frames, R regions, C channels, W concepts, H and W rows and columns of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.data import Example
from negah.data.box_files import Box
from negah.errors import MediaError
from negah.evidence.methods import EVIDENCE
from negah.evidence.subject import Subject
from negah.evidence.view import View, in_picture, view_of
from negah.faithfulness import mean
from negah.faithfulness.pointing import cells_on, named_things
from negah.metrics.chair import categories_of
from negah.runtime import Captioner
from negah.runtime.explaining import choose_method
from negah.runtime.stages import decode_features, join_encoded, open_photo, support_of
from negah.studies.evidence.photos import boxes_of, measured_part
from negah.studies.study import Captioned, Progress

#: Frames of each photograph.
_SHOWN = 4


class _BoardPhoto(NamedTuple):
    """A photograph as the model for clips sees it."""

    image: Image.Image
    view: View
    boxes: Sequence[Box]


def measure_boards(captioned: Captioned, most: int, progress: Progress) -> dict[str, Any]:
    """Times and places of words, by method: lists [value, low, high, words].

    Args:
        captioned: boxed photographs; the model is the one for clips that is bundled.
        most: clips at most; the first boxed photographs of the part are paired.
        progress: told how many clips are done.

    Returns:
        JSON-ready; empty without boxes.
    """
    examples = measured_part(captioned, None)[1]
    boxes = boxes_of(captioned, examples)
    boxed = [one for one in examples if boxes.get(one.name)]
    if len(boxed) < 2:
        return {}
    backend = Captioner(None, threads=1).one_backend(clips=True)
    if backend.sight.grid is None:
        return {}
    pairs = list(zip(boxed[::2], boxed[1::2], strict=False))[:most]
    rows = []
    for number, pair in enumerate(pairs, 1):
        pictures = _open(backend, pair, boxes)
        if pictures is not None:
            rows.append(_measure(backend, pictures, number))
        progress("captioning clips of photographs", number, len(pairs))
    found: dict[str, Any] = {
        "model": backend.identity.name,
        "weights_sha256": backend.identity.sha256,
        "clips": len(rows),
    }
    for measure in ("time", "point"):
        for name in ("occlusion", "attention", "chance"):
            estimate = mean(rows, lambda row, key=f"{measure}_{name}": row[key])  # type: ignore[misc]
            if estimate is not None:
                found.setdefault(measure, {})[name] = list(estimate)
    return found


def _open(
    backend: Backend, pair: Sequence[Example], boxes: Mapping[str, Sequence[Box]]
) -> list[_BoardPhoto] | None:
    found = []
    for one in pair:
        try:
            image = open_photo(one.path, [backend]).image
        except MediaError:
            return None
        found.append(
            _BoardPhoto(backend.resize(image), view_of(backend, image.size), boxes[one.name])
        )
    return found


def _measure(
    backend: Backend, pictures: Sequence[_BoardPhoto], number: int
) -> list[dict[str, float]]:
    """A row for every word that names a thing of one of the photographs alone."""
    encoded = join_encoded(backend.encode(backend.pixels([one.image])) for one in pictures)
    features_FRC = encoded.features.repeat(_SHOWN, axis=0)
    surest = None if encoded.concepts is None else encoded.concepts.max(0)[None]
    found = decode_features(
        [backend], [features_FRC[None]], support_of([backend], [surest]), backend.decoding, [number]
    )
    own = found.hypotheses[0][0]
    words = [backend.tokenizer.tokens[token] for token in own.tokens]
    images = tuple(one.image for one in pictures for _ in range(_SHOWN))
    subject = Subject(backend, images, features_FRC, own.tokens, own.evidence)
    named = [
        (photo, thing) for photo, one in enumerate(pictures)
        for thing in named_things(words, one.boxes)
        if not is_there(words[thing.place], pictures[1 - photo].boxes, thing.boxes)
    ]  # fmt: skip
    if not named:
        return []
    maps = {
        "occlusion": choose_method(None, backend, clips=True).maps(subject),
        "attention": EVIDENCE.get("attention").maps(subject),
    }
    return [
        map_row(maps, thing.place, photo, pictures[photo].view, thing.boxes)
        for photo, thing in named
    ]


def is_there(word: str, boxes: Sequence[Box], own: Sequence[Box]) -> bool:
    """Whether a thing of the same category, or of the same name, is boxed."""
    categories = categories_of(own[0].name) | categories_of(word)
    return any(box.name == own[0].name or categories_of(box.name) & categories for box in boxes)


def map_row(
    maps: Mapping[str, FloatArray], place: int, photo: int, view: View, boxes: Sequence[Box]
) -> dict[str, float]:
    """Of one word: whether its maps point at the right photo and into its boxes, by method."""
    row: dict[str, float] = {"time_chance": 0.5}
    for name, maps_TFHW in maps.items():
        frames_F = maps_TFHW[place].max((1, 2))
        frame = int(frames_F.argmax())
        right = frame // _SHOWN == photo
        row[f"time_{name}"] = float(right)
        whole_HW = in_picture(maps_TFHW[place : place + 1, frame : frame + 1], view)[0, 0]
        cells_HW = cells_on(boxes, whole_HW.shape)
        strongest = np.unravel_index(int(whole_HW.argmax()), whole_HW.shape)
        row[f"point_{name}"] = float(right and cells_HW[strongest])
        row["point_chance"] = float(cells_HW.mean()) / 2
    return row
