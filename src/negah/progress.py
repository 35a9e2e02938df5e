"""How long work tells its progress to whoever called it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called with the name of some work, how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]
