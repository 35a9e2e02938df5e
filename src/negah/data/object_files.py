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
from typing import Any, NoReturn

from negah.data.image_names import ImageNames
from negah.data.rows import NAME_KEYS, id_text, is_json_lines, parse_json
from negah.errors import DataError
from negah.textfiles import STDIN, check_utf8, lines, read_text

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
    source, content = read_content(path, _LAYOUTS)
    return _coco(source, content) if isinstance(content, dict) else _plain(source, content)


def read_content(
    path: str | Path, layouts: str
) -> tuple[str, list[tuple[str, Any]] | dict[str, Any]]:
    """The name of the file for messages, and its content, not yet validated.

    Args:
        path: ``-`` is standard input.
        layouts: the allowed layouts, for messages.

    Returns:
        the name, and COCO's instances or a list of entries, each with its position.

    Raises:
        DataError: it cannot be read, or is neither.
    """
    path = Path(path)
    source = "standard input" if path == STDIN else str(path)
    text = read_text(path, source)
    check_utf8(text, source)
    if is_json_lines(text):
        return source, [
            (f"line {number}", parse_json(line, f"{source}, line {number}"))
            for number, line in enumerate(lines(text), start=1)
            if line.strip()
        ]
    content = parse_json(text, source)
    if isinstance(content, dict) and "objects" in content:
        content = [content]
    if isinstance(content, list):
        return source, [(f"entry {n}", one) for n, one in enumerate(content, start=1)]
    if isinstance(content, dict) and {"annotations", "categories"} <= content.keys():
        return source, content
    raise DataError(f"{source}: unknown layout. {layouts}")


def _plain(source: str, entries: Iterable[tuple[str, Any]]) -> ObjectFile:
    objects: dict[str, Sequence[str]] = {}
    aliases: dict[str, str | None] = {}
    for where, entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("objects"), list):
            _refuse(source, where, "has no list 'objects'")
        names = [text for key in NAME_KEYS if (text := id_text(entry.get(key))) is not None]
        if not names:
            _refuse(source, where, f"names no image ({', '.join(NAME_KEYS)})")
        first, *others = names
        if first in objects:
            _refuse(source, where, f"repeats image {first!r:.80}")
        objects[first] = _different(_object(source, where, one) for one in entry["objects"])
        for other in others:
            aliases[other] = first if aliases.setdefault(other, first) == first else None
    if not objects:
        raise DataError(f"{source}: holds no images. {_LAYOUTS}")
    return ObjectFile(source, objects, aliases)


def _object(source: str, where: str, given: Any) -> str:
    name = given[0] if isinstance(given, list) and given else given
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
        _refuse(source, where, f"an object is a name or a list that begins with one: {given!r:.80}")
    return str(name)


def _coco(source: str, content: Mapping[str, Any]) -> ObjectFile:
    categories: dict[str, str] = {}
    for n, one in enumerate(_dicts(source, content, "categories")):
        category = id_text(one.get("id"))
        if category is None:
            _refuse(source, f"categories[{n}]", "has no id")
        if category in categories:
            _refuse(source, f"categories[{n}]", f"repeats category id {category!r:.80}")
        categories[category] = _object(source, f"categories[{n}]", one.get("name"))
    found: dict[str, list[str]] = {}
    aliases: dict[str, str | None] = {}
    images = _dicts(source, content, "images") if "images" in content else []
    for n, image in enumerate(images):
        name = id_text(image.get("id"))
        if name is None:
            _refuse(source, f"images[{n}]", "has no id")
        found[name] = []
        other = image.get("file_name")
        if isinstance(other, str):
            aliases[other] = name if aliases.setdefault(other, name) == name else None
    for n, annotation in enumerate(_dicts(source, content, "annotations")):
        name, category = (id_text(annotation.get(key)) for key in ("image_id", "category_id"))
        if name is None or category is None or category not in categories:
            _refuse(source, f"annotations[{n}]", "has no image_id, or no category_id of a category")
        found.setdefault(name, []).append(categories[category])
    if not found:
        raise DataError(f"{source}: holds no images. {_LAYOUTS}")
    return ObjectFile(source, {name: _different(given) for name, given in found.items()}, aliases)


def _dicts(source: str, content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    given = content[key]
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        _refuse(source, key, "is not a list of objects")
    return list(given)


def _different(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _refuse(source: str, where: str, what: str) -> NoReturn:
    raise DataError(f"{source}, {where}: {what}. {_LAYOUTS}")
