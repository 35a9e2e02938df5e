"""Look-up of images by any of their names: COCO's id, a file name, a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from negah.data.names import image_number, spelling, stem, tails, without_span

_Key = TypeVar("_Key", str, int)


class ImageNames:
    """The images of one file, looked up by the names used in another.

    An image may be called by its name, by an alias, by its file name without folders or suffix, or
    by its number, as a file name of COCO has it or with or without zeros before it. Both kinds of
    slashes and both Unicode normal forms are equivalent. Ambiguous names are not used.

    Args:
        names: of the images.
        aliases: other names of images; None where two share one.
    """

    def __init__(self, names: Iterable[str], aliases: Mapping[str, str | None]) -> None:
        called: list[tuple[str, str | None]] = [(name, name) for name in names]
        self._exact = {spelling(name): name for name, _ in called}
        called += aliases.items()
        self._other = _unshared((one, name) for alias, name in called for one in _loosely(alias))
        self._numbers = _unshared(
            (count, name) for alias, name in called if (count := image_number(alias)) is not None
        )

    def find(self, names: Sequence[str]) -> str | None:
        """The image with one of these names; None if there is none."""
        exact, other, numbers = self._exact, self._other, self._numbers
        called = [*names, *(file for name in names if (file := without_span(name)) != name)]
        return (
            next((exact[one] for own in called for one in tails(own) if one in exact), None)
            or next((other[one] for own in called for one in _loosely(own) if one in other), None)
            or next((numbers[n] for own in called if (n := image_number(own)) in numbers), None)
        )


def _loosely(name: str) -> Iterator[str]:
    """The variants of a name: with and without folders, and without its suffix."""
    yield from tails(name)
    yield stem(name)


def images_called(called: Iterable[tuple[_Key, str | None]]) -> dict[_Key, str | None]:
    """Other names of images -> the image; None where two share one, which then means neither."""
    found: dict[_Key, str | None] = {}
    for key, name in called:
        if found.setdefault(key, name) != name:
            found[key] = None
    return found


def _unshared(called: Iterable[tuple[_Key, str | None]]) -> dict[_Key, str]:
    return {key: name for key, name in images_called(called).items() if name is not None}
