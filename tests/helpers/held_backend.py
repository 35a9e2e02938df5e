"""A backend that waits, so that tests can look at what happens meanwhile."""

from __future__ import annotations

import threading
from typing import Any

from common import PATIENCE


class Held:
    """A backend that encodes nothing until it is let go."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.go = threading.Event()
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def alone(self) -> Any:
        return self

    def encode(self, pixels: Any) -> Any:
        self.go.wait(PATIENCE)
        self.sizes.append(len(pixels))
        return self._backend.encode(pixels)
