"""Indented JSON in which a list of numbers takes one line, since such lists are long."""

from __future__ import annotations

import json
from typing import Any

from negah.textfiles import printable


def to_json(value: Any) -> str:
    """JSON in one line that can always be written as UTF-8.

    Text is kept readable. Bytes of names that are not text, which Python holds as lone
    surrogates, are escaped (``\\udce9``). NaN and infinity are refused, since JSON has none.
    """
    return printable(json.dumps(value, ensure_ascii=False, allow_nan=False))


def indented_json(value: Any) -> str:
    """As :func:`to_json`, indented by two spaces; a list of numbers, or of lists of them, takes one
    line."""
    return _indented(value, "\n")


def _indented(value: Any, line: str) -> str:
    inner = line + "  "
    if isinstance(value, dict) and value:
        items = [f"{to_json(str(key))}: {_indented(one, inner)}" for key, one in value.items()]
        return "{" + inner + f",{inner}".join(items) + line + "}"
    if isinstance(value, list | tuple) and not _is_numbers(value):
        return "[" + inner + f",{inner}".join(_indented(one, inner) for one in value) + line + "]"
    return to_json(value)


def _is_numbers(value: Any) -> bool:
    is_list = isinstance(value, list | tuple)
    return all(map(_is_numbers, value)) if is_list else isinstance(value, int | float)
