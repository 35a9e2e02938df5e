"""Entries of JSON files, checked."""

from __future__ import annotations

from typing import Any

from negah.data.rows import id_text
from negah.errors import DataError


def text_of(entry: Any, key: str, where: str) -> str:
    """A text that an entry must have.

    Raises:
        DataError: it has not. ``where`` leads the message.
    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: must be an object (given: {entry!r:.80}).")
    value = entry.get(key)
    if not isinstance(value, str):
        found = ", ".join(map(repr, list(entry)[:20]))
        raise DataError(f"{where}: needs the text {key!r} (found: {found}).")
    return value


def identifier_of(entry: Any, key: str, where: str) -> str:
    """An id that an entry must have, a whole number or a text.

    Raises:
        DataError: it has not. ``where`` leads the message.
    """
    found = id_text(entry.get(key)) if isinstance(entry, dict) else None
    if found is None:
        raise DataError(f"{where}: needs the number {key!r} (given: {entry!r:.80}).")
    return found


def list_of(entry: Any, key: str, where: str) -> list[Any]:
    """A list that an entry must have.

    Raises:
        DataError: it has not. ``where`` leads the message.
    """
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, list):
        raise DataError(f"{where}: {key!r} must be a list.")
    return value
