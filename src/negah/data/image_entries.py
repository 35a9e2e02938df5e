"""Files that say what is in images, entry by entry: JSON lines, a JSON list, COCO's instances.

How an entry names its image, and what two images share, is the same whatever else the file says of
them. A file may come from anyone: it is checked before anything of it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from negah.data.image_names import images_called
from negah.data.rows import NAME_KEYS, id_text, is_json_lines, parse_json
from negah.errors import DataError
from negah.textfiles import STDIN, check_utf8, lines, read_text


class ImageEntry(NamedTuple):
    """What a file says of one image.

    Attributes:
        where: it says so, for messages.
        name: of the image; no two entries have the same.
        content: not checked, but for the name; of JSON lines it has a list ``objects``.
    """

    where: str
    name: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageEntries:
    """The content of such a file; walk over it once, by :meth:`plain` or :meth:`coco`.

    Attributes:
        source: what the file is called in messages.
        layouts: what is allowed, for messages.
        content: COCO's instances, or entries, each behind the place where it stands.
    """

    source: str
    layouts: str
    content: list[tuple[str, Any]] | dict[str, Any]
    _called: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_coco(self) -> bool:
        """Whether it has COCO's layout."""
        return isinstance(self.content, dict)

    @property
    def aliases(self) -> dict[str, str | None]:
        """Other names of images; None where two share one, which then means neither."""
        return images_called(self._called)

    def plain(self) -> Iterator[ImageEntry]:
        """The images of JSON lines, or of a list.

        Raises:
            DataError: an entry has no objects, names no image, or is the second of one.
        """
        assert isinstance(self.content, list)
        seen: set[str] = set()
        for where, entry in self.content:
            if not isinstance(entry, dict) or not isinstance(entry.get("objects"), list):
                self.refuse(where, "has no list 'objects'")
            names = [text for key in NAME_KEYS if (text := id_text(entry.get(key))) is not None]
            if not names:
                self.refuse(where, f"names no image ({', '.join(NAME_KEYS)})")
            first, *others = names
            if first in seen:
                self.refuse(where, f"repeats image {first!r:.80}")
            seen.add(first)
            self._called.extend((other, first) for other in others)
            yield ImageEntry(where, first, entry)

    def coco(self) -> Iterator[ImageEntry]:
        """The images of COCO's instances, by their ids.

        Raises:
            DataError: one has none.
        """
        for where, image in self.parts("images"):
            name = id_text(image.get("id"))
            if name is None:
                self.refuse(where, "has no id")
            if isinstance(other := image.get("file_name"), str):
                self._called.append((other, name))
            yield ImageEntry(where, name, image)

    def parts(self, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The objects in one of COCO's lists, each behind the place where it stands.

        Raises:
            DataError: it is not a list of objects.
        """
        assert isinstance(self.content, dict)
        given = self.content.get(key)
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self.refuse(key, "is not a list of objects")
        for number, one in enumerate(given):
            yield f"{key}[{number}]", one

    def refuse(self, where: str, what: str) -> NoReturn:
        """Say what is wrong where.

        Raises:
            DataError: always.
        """
        raise DataError(f"{self.source}, {where}: {what}. {self.layouts}")

    def refuse_none(self) -> NoReturn:
        """Say that there are no images.

        Raises:
            DataError: always.
        """
        raise DataError(f"{self.source}: holds no images. {self.layouts}")


def read_entries(path: str | Path, layouts: str) -> ImageEntries:
    """The entries of a file, of which nothing is checked yet.

    Args:
        path: ``-`` is standard input.
        layouts: what is allowed, for messages.

    Raises:
        DataError: it cannot be read, or is neither lines, a list nor COCO's instances.
    """
    path = Path(path)
    source = "standard input" if path == STDIN else str(path)
    text = read_text(path, source)
    check_utf8(text, source)
    if is_json_lines(text):
        entries = [
            (f"line {number}", parse_json(line, f"{source}, line {number}"))
            for number, line in enumerate(lines(text), start=1)
            if line.strip()
        ]
        return ImageEntries(source, layouts, entries)
    content = parse_json(text, source)
    if isinstance(content, dict) and "objects" in content:
        content = [content]
    if isinstance(content, list):
        entries = [(f"entry {n}", one) for n, one in enumerate(content, start=1)]
        return ImageEntries(source, layouts, entries)
    if isinstance(content, dict) and {"annotations", "categories"} <= content.keys():
        return ImageEntries(source, layouts, content)
    raise DataError(f"{source}: unknown layout. {layouts}")
