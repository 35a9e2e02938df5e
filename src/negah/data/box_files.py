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
from typing import Any, NamedTuple, NoReturn, TypeGuard

from negah.data.image_names import ImageNames
from negah.data.object_files import read_content
from negah.data.rows import NAME_KEYS, id_text
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
    source, content = read_content(path, _LAYOUTS)
    return _coco(source, content) if isinstance(content, dict) else _plain(source, content)


def _plain(source: str, entries: Iterable[tuple[str, Any]]) -> BoxFile:
    boxes: dict[str, Sequence[Box]] = {}
    aliases: dict[str, str | None] = {}
    for where, entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("objects"), list):
            _refuse(source, where, "has no list 'objects'")
        names = [text for key in NAME_KEYS if (text := id_text(entry.get(key))) is not None]
        if not names:
            _refuse(source, where, f"names no image ({', '.join(NAME_KEYS)})")
        first, *others = names
        if first in boxes:
            _refuse(source, where, f"repeats image {first!r:.80}")
        size = _size(source, where, entry)
        boxes[first] = [
            _box(source, where, one[0], one[1:], size)
            if isinstance(one, list) and len(one) == 5
            else _refuse(source, where, f"{one!r:.80} is not [name, x, y, width, height]")
            for one in entry["objects"]
        ]
        for other in others:
            aliases[other] = first if aliases.setdefault(other, first) == first else None
    if not boxes:
        raise DataError(f"{source}: holds no images. {_LAYOUTS}")
    return BoxFile(source, boxes, aliases)


def _coco(source: str, content: Mapping[str, Any]) -> BoxFile:
    names = {
        id_text(one.get("id")): one.get("name") for one in _dicts(source, content, "categories")
    }
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[float, float]] = {}
    aliases: dict[str, str | None] = {}
    for n, image in enumerate(_dicts(source, content, "images")):
        key = id_text(image.get("id"))
        if key is None:
            _refuse(source, f"images[{n}]", "has no id")
        boxes[key], sizes[key] = [], _size(source, f"images[{n}]", image)
        if isinstance(other := image.get("file_name"), str):
            aliases[other] = key if aliases.setdefault(other, key) == key else None
    for n, one in enumerate(_dicts(source, content, "annotations")):
        where = f"annotations[{n}]"
        key, name = id_text(one.get("image_id")), names.get(id_text(one.get("category_id")))
        if key not in boxes or key is None:
            _refuse(source, where, "refers to an image that is not in the file")
        boxes[key].append(_box(source, where, name, one.get("bbox"), sizes[key]))
    if not boxes:
        raise DataError(f"{source}: holds no images. {_LAYOUTS}")
    return BoxFile(source, boxes, aliases)


def _box(source: str, where: str, name: Any, given: Any, size: tuple[float, float]) -> Box:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        _refuse(source, where, f"a box has the name of a thing, not {name!r:.80}")
    if not isinstance(given, list) or len(given) != 4 or not all(map(_is_number, given)):
        _refuse(source, where, f"a box is [x, y, width, height], not {given!r:.80}")
    x, y, wide, high = given
    if wide < 0 or high < 0:
        _refuse(source, where, f"a box has no size below 0: {given!r:.80}")
    width, height = size
    edges = (x / width, y / height, (x + wide) / width, (y + high) / height)
    return Box(name, *(min(1.0, max(0.0, edge)) for edge in edges))


def _size(source: str, where: str, entry: Mapping[str, Any]) -> tuple[float, float]:
    width, height = entry.get("width"), entry.get("height")
    if not (_is_number(width) and _is_number(height) and min(width, height) > 0):
        _refuse(source, where, f"has no width and height of the image: {(width, height)!r:.80}")
    return float(width), float(height)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _dicts(source: str, content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    given = content.get(key)
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        _refuse(source, key, "is not a list of objects")
    return list(given)


def _refuse(source: str, where: str, what: str) -> NoReturn:
    raise DataError(f"{source}, {where}: {what}. {_LAYOUTS}")
