"""Photos that are fetched lazily, by the threads that open photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from negah.errors import MediaError


@dataclass(slots=True)
class LazyPhoto:
    """A photo that is fetched in a reader's thread and released once it is decoded.

    Attributes:
        name: for messages and results.
        fetch: gives the content of its file, or raises a MediaError; called once.
    """

    name: str
    fetch: Callable[[], bytes]

    @contextmanager
    def content(self) -> Iterator[bytes]:
        """The content of its file; errors about it carry its name.

        Raises:
            MediaError: it cannot be fetched, or what is done with it in the block failed.
        """
        try:
            content, self.fetch = self.fetch(), _fetched
            yield content
        except MediaError as error:
            raise MediaError(self.name, error.reason) from error


def _fetched() -> bytes:
    raise RuntimeError("a lazy photo is fetched once")
