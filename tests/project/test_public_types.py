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
from typing import Any, get_args

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
    """What a module imports by name, for type checkers too: its name there, and from where."""
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
            for name, annotation in inspect.get_annotations(base).items():
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
        for part in classes_in(text, module.__name__):
            if id(part) not in public_objects():
                yield f"{where}: {part.__module__}.{part.__qualname__}"


def classes_in(text: str, module: str) -> Iterator[type]:
    """The classes of Negah in an annotation, or in an alias that is written as text."""
    for node in ast.walk(ast.parse(text.strip("'\""), mode="eval")):
        name = node.id if isinstance(node, ast.Name) else getattr(node, "value", None)
        if not isinstance(name, str) or not name.isidentifier():
            continue
        home, own = names_of(module).get(name, (module, name))
        if home.startswith("negah"):
            value = getattr(importlib.import_module(home), own, None)
            if isinstance(value, str):
                yield from classes_in(value, home)
            else:
                yield from classes_of(value)


def classes_of(value: Any) -> Iterator[type]:
    """The classes of Negah that a name in an annotation stands for: itself, or parts of an alias.

    An alias of other types alone, such as a Literal or an array of NumPy, can be written out.
    """
    if inspect.isclass(value) and value.__module__.startswith("negah"):
        yield value
    for part in get_args(value):
        yield from classes_of(part)


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


def test_names_that_are_imported_late_are_there() -> None:
    """Those of public modules were looked up above; these are of a package of its own."""
    captioning = importlib.import_module("negah.studies.captioning")
    for name in captioning.__all__:
        assert getattr(captioning, name) is not None
    with pytest.raises(AttributeError, match=r"captioning' has no attribute 'nobody'"):
        captioning.nobody  # noqa: B018
