"""Files that list the objects in each image: the ground truth for CHAIR.

    JSON lines  an object a line, or one JSON list of them: ``image`` (or ``file_name``,
                ``image_id``) and ``objects``: names ("dog"), or lists that begin with one
                (["dog", x, y, width, height])
    COCO        instances: {images, annotations: [{image_id, category_id}], categories}

Only the names of the objects are used here, not their boxes. Files are untrusted input and are
validated before use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.data.image_entries import ImageEntries, read_entries
from negah.data.image_names import ImageNames
from negah.data.rows import id_text
from negah.errors import DataError

_LAYOUTS = (
    'Allowed are JSON lines like {"image": "1.jpg", "objects": ["dog", "chair"]}, where an object '
    "may also be a list that begins with its name, and COCO's instances ({images, annotations, "
    "categories})."
)
_LONGEST = 200  # characters of a name


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """The objects in images.

    Attributes:
        source: the source, for messages.
        objects: the different names of the objects of each image, in order of first appearance.
        aliases: other names of images; None for an ambiguous name, which is not used.
    """

    source: str
    objects: Mapping[str, Sequence[str]]
    aliases: Mapping[str, str | None]

    def of(self, images: Mapping[str, Iterable[str]]) -> dict[str, Sequence[str]]:
        """The objects of the named images that are in the file.

        Args:
            images: other names of each image, by its name.

        Raises:
            DataError: none of them is in the file.
        """
        known = ImageNames(self.objects, self.aliases)
        found = {name: known.find([name, *others]) for name, others in images.items()}
        objects = {name: self.objects[one] for name, one in found.items() if one is not None}
        if images and not objects:
            raise DataError(
                f"{self.source} has none of the {len(images):,} scored images "
                f"({next(iter(images))!r:.80}, ...); there, images are called "
                f"{next(iter(self.objects))!r:.80}, ..."
            )
        return objects


def read_objects(path: str | Path) -> ObjectFile:
    """The objects of each image of a file; ``-`` is standard input.

    Raises:
        DataError: it cannot be read or is malformed.
    """
    entries = read_entries(path, _LAYOUTS)
    found = _coco(entries) if entries.is_coco else _listed_objects(entries)
    if not found:
        entries.refuse_none()
    objects = {name: tuple(dict.fromkeys(given)) for name, given in found.items()}
    return ObjectFile(entries.source, objects, entries.aliases)


def _listed_objects(entries: ImageEntries) -> dict[str, list[str]]:
    return {
        name: [_object(entries, where, one) for one in entry["objects"]]
        for where, name, entry in entries.plain()
    }


def _object(entries: ImageEntries, where: str, given: Any) -> str:
    name = given[0] if isinstance(given, list) and given else given
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        entries.refuse(where, f"an object is a name or a list that begins with one: {given!r:.80}")
    return str(name)


def _coco(entries: ImageEntries) -> dict[str, list[str]]:
    categories: dict[str, str] = {}
    for where, one in entries.parts("categories"):
        category = id_text(one.get("id"))
        if category is None:
            entries.refuse(where, "has no id")
        if category in categories:
            entries.refuse(where, f"repeats category id {category!r:.80}")
        categories[category] = _object(entries, where, one.get("name"))
    found: dict[str, list[str]] = {}
    if "images" in entries.content:
        found = {name: [] for _, name, _ in entries.coco()}
    for where, annotation in entries.parts("annotations"):
        name, category = (id_text(annotation.get(key)) for key in ("image_id", "category_id"))
        if name is None or category is None or category not in categories:
            entries.refuse(where, "has no image_id, or no category_id of a category")
        found.setdefault(name, []).append(categories[category])
    return found
