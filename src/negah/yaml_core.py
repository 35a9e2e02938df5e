"""YAML 1.2 with its core schema (section 10.3.2), for recipes, ``--set`` and all other YAML.

PyYAML implements YAML 1.1, where ``off``, ``no`` and ``y`` are booleans, ``1e-3`` is text, ``1:30``
is 90 and ``010`` is 8. In the core schema only ``true`` and ``false`` are booleans, and such words
stay text; options of type bool read ``yes``, ``no``, ``on`` and ``off`` from text (pydantic).
"""

from __future__ import annotations

import re
from typing import Any

import yaml

#: What PyYAML raises on text that is not YAML.
YamlError = yaml.YAMLError

_Node = yaml.ScalarNode


class _CoreLoader(yaml.SafeLoader):
    """Reads plain scalars as the core schema does."""

    # YAML 1.1's own are in the class attribute of the base: this one starts empty
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


def _int(loader: _CoreLoader, node: _Node) -> int:
    text = node.value
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


def _float(loader: _CoreLoader, node: _Node) -> float:
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _bool(loader: _CoreLoader, node: _Node) -> bool:
    return bool(node.value.lower() == "true")


_SCALARS = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", tuple("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", tuple("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        tuple("-+.0123456789"),
    ),
    ("merge", r"<<", ("<",)),  # of YAML 1.1, and in use
)
for _name, _pattern, _first in _SCALARS:
    _CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z"), list(_first)
    )
_CoreLoader.add_constructor("tag:yaml.org,2002:int", _int)
_CoreLoader.add_constructor("tag:yaml.org,2002:float", _float)
_CoreLoader.add_constructor("tag:yaml.org,2002:bool", _bool)


def read_yaml(text: str) -> Any:
    """The value of a YAML document: mappings, lists, text, numbers, booleans and None.

    Raises:
        YamlError: it is not valid YAML.
    """
    return yaml.load(text, Loader=_CoreLoader)
