"""Files of bounding boxes: the ground truth against which maps are evaluated.

    JSON lines  an object a line, or one JSON list of them: ``image`` (or ``file_name``,
                ``image_id``), ``objects``: lists ["dog", x, y, width, height], and ``width`` and
                ``height`` of the image in the same unit
    COCO        instances: {images: [{id, file_name, width, height}], annotations: [{image_id,
                category_id, bbox}], categories}

Files are untrusted input and are validated completely before use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from negah.data.image_entries import ImageEntries, read_entries
from negah.data.image_names import ImageNames
from negah.data.rows import id_text
from negah.errors import DataError

_LAYOUTS = (
    'Allowed are JSON lines like {"image": "1.jpg", "width": 640, "height": 480, "objects": '
    '[["dog", 12, 40, 200, 310]]}, and COCO\'s instances with bbox, width and height.'
)
_LONGEST = 200  # characters of a name


class Box(NamedTuple):
    """A bounding box in an image; edges as fractions of the image's width and height."""

    name: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class BoxFile:
    """Bounding boxes of images.

    Attributes:
        source: the source, for messages.
        boxes: of each image.
        aliases: other names of images; None for an ambiguous name, which is not used.
    """

    source: str
    boxes: Mapping[str, Sequence[Box]]
    aliases: Mapping[str, str | None]

    def of(self, images: Iterable[str]) -> dict[str, Sequence[Box]]:
        """The boxes of the named images that are in the file.

        Raises:
            DataError: none of them is in the file.
        """
        known = ImageNames(self.boxes, self.aliases)
        names = list(images)
        found = {name: known.find([name]) for name in names}
        boxes = {name: self.boxes[one] for name, one in found.items() if one is not None}
        if names and not boxes:
            raise DataError(
                f"{self.source} has none of the {len(names):,} explained images "
                f"({names[0]!r:.80}, ...); there, images are called {next(iter(self.boxes))!r:.80}"
            )
        return boxes


def read_boxes(path: str | Path) -> BoxFile:
    """The boxes of each image of a file; ``-`` is standard input.

    Raises:
        DataError: it cannot be read or is malformed.
    """
    entries = read_entries(path, _LAYOUTS)
    boxes = _coco(entries) if entries.is_coco else _listed_boxes(entries)
    if not boxes:
        entries.refuse_none()
    return BoxFile(entries.source, boxes, entries.aliases)


def _listed_boxes(entries: ImageEntries) -> dict[str, list[Box]]:
    boxes: dict[str, list[Box]] = {}
    for where, name, entry in entries.plain():
        size = _size(entries, where, entry)
        boxes[name] = [
            _box(entries, where, one[0], one[1:], size)
            if isinstance(one, list) and len(one) == 5
            else entries.refuse(where, f"{one!r:.80} is not [name, x, y, width, height]")
            for one in entry["objects"]
        ]
    return boxes


def _coco(entries: ImageEntries) -> dict[str, list[Box]]:
    names = {id_text(one.get("id")): one.get("name") for _, one in entries.parts("categories")}
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[float, float]] = {}
    for where, key, entry in entries.coco():
        boxes[key], sizes[key] = [], _size(entries, where, entry)
    for where, one in entries.parts("annotations"):
        image, name = id_text(one.get("image_id")), names.get(id_text(one.get("category_id")))
        if image is None or image not in boxes:
            entries.refuse(where, "refers to an image that is not in the file")
        boxes[image].append(_box(entries, where, name, one.get("bbox"), sizes[image]))
    return boxes


def _box(
    entries: ImageEntries, where: str, name: Any, given: Any, size: tuple[float, float]
) -> Box:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        entries.refuse(where, f"a box has the name of a thing, not {name!r:.80}")
    if not isinstance(given, list) or len(given) != 4 or not all(map(_is_number, given)):
        entries.refuse(where, f"a box is [x, y, width, height], not {given!r:.80}")
    x, y, wide, high = given
    if wide < 0 or high < 0:
        entries.refuse(where, f"a box has no size below 0: {given!r:.80}")
    width, height = size
    edges = (x / width, y / height, (x + wide) / width, (y + high) / height)
    return Box(name, *(min(1.0, max(0.0, edge)) for edge in edges))


def _size(entries: ImageEntries, where: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    width, height = entry.get("width"), entry.get("height")
    if not (_is_number(width) and _is_number(height) and min(width, height) > 0):
        entries.refuse(where, f"has no width and height of the image: {(width, height)!r:.80}")
    return float(width), float(height)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
