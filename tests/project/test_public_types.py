"""Every type in a signature of the public API can be imported from a public module."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from common import REPOSITORY

pytest.importorskip("torch", reason="public modules of the extra train are among them")

#: Public modules, as docs/reference.md lists them.
MODULES = sorted(
    set(
        re.findall(
            r"`(negah[\w.]*)`",
            "\n".join(
                line
                for line in (REPOSITORY / "docs" / "reference.md").read_text("utf-8").splitlines()
                if line.startswith("| ")
            ),
        )
    )
)


@cache
def public_objects() -> dict[int, str]:
    """The public objects by identity, with the name of each."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for public in module.__all__:
            found[id(getattr(module, public))] = f"{name}.{public}"
    return found


@cache
def names_of(module: str) -> dict[str, tuple[str, str]]:
    """The names that a module imports from others: module and name there, also for type checkers."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def signatures(thing: Any) -> Iterator[tuple[str, ModuleType, str]]:
    """Annotations of a function, or of the fields, methods and properties of a class: where each
    stands, in which module, and its text."""
    parts: list[tuple[str, Any]] = [("", thing)]
    if inspect.isclass(thing):
        parts = []
        for base in thing.__mro__:
            if not base.__module__.startswith("negah"):
                continue
            for name, annotation in base.__dict__.get("__annotations__", {}).items():
                if not name.startswith("_"):
                    yield f".{name}", sys.modules[base.__module__], str(annotation)
            for name, value in vars(base).items():
                if name == "__init__" or name == "__call__" or not name.startswith("_"):
                    value = value.fget if isinstance(value, property) else value
                    parts.append((f".{name}", getattr(value, "__func__", value)))
    for where, part in parts:
        part = inspect.unwrap(part) if callable(part) else part
        if inspect.isfunction(part) and part.__module__.startswith("negah"):
            for annotation in part.__annotations__.values():
                yield where, sys.modules[part.__module__], str(annotation)


def hidden_types(thing: Any) -> Iterator[str]:
    """The types of Negah in the signatures of a public object that are not public."""
    for where, module, text in signatures(thing):
        for node in ast.walk(ast.parse(text.strip("'\""), mode="eval")):
            name = node.id if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value if node.value.isidentifier() else None
            if name is None:
                continue
            home, own = names_of(module.__name__).get(name, (module.__name__, name))
            if not home.startswith("negah"):
                continue
            value = getattr(importlib.import_module(home), own, None)
            if value is None or type(value).__name__ in ("TypeVar", "ParamSpec"):
                continue
            origin = getattr(value, "__module__", "negah")
            if inspect.isclass(value) and not origin.startswith("negah"):
                continue
            if id(value) not in public_objects():
                yield f"{where}: {home}.{own}"


@pytest.mark.parametrize("module", MODULES)
def test_types_of_signatures_are_public(module: str) -> None:
    loaded = importlib.import_module(module)
    found = sorted(
        f"{name}{hidden}"
        for name in loaded.__all__
        if inspect.isclass(getattr(loaded, name)) or inspect.isfunction(getattr(loaded, name))
        for hidden in set(hidden_types(getattr(loaded, name)))
    )
    assert not found, "\n".join(found)
