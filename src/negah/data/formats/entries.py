"""Validation of entries of JSON files."""

from __future__ import annotations

from typing import Any

from negah.data.rows import id_text
from negah.errors import DataError


def text_of(entry: Any, key: str, where: str) -> str:
    """A required text of an entry.

    Raises:
        DataError: it is missing. ``where`` begins the message.
    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: must be an object (given: {entry!r:.80}).")
    value = entry.get(key)
    if not isinstance(value, str):
        found = ", ".join(map(repr, list(entry)[:20]))
        raise DataError(f"{where}: needs the text {key!r} (found: {found}).")
    return value


def identifier_of(entry: Any, key: str, where: str) -> str:
    """A required id of an entry, an integer or text.

    Raises:
        DataError: it is missing. ``where`` begins the message.
    """
    found = id_text(entry.get(key)) if isinstance(entry, dict) else None
    if found is None:
        raise DataError(f"{where}: needs the number {key!r} (given: {entry!r:.80}).")
    return found


def list_of(entry: Any, key: str, where: str) -> list[Any]:
    """A required list of an entry.

    Raises:
        DataError: it is missing. ``where`` begins the message.
    """
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, list):
        raise DataError(f"{where}: {key!r} must be a list.")
    return value
