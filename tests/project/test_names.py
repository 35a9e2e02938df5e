"""One meaning a name: no two modules define a class or a type of the same name."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import REPOSITORY

PACKAGE = REPOSITORY / "src" / "negah"

#: Names that may be defined more than once, and why.
MAY_REPEAT = {
    "Comparison": "public in negah.metrics (two systems) and in the harness of studies (two "
    "variants); no module imports both",
}


def is_type_variable(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("TypeVar", "typing.TypeVar")


def defined_types(source: str) -> Iterator[str]:
    """The classes and type aliases of a module, private ones without their underscore.

    A type variable means nothing outside its function, so the same one may stand in many modules.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not is_type_variable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name = target.id.lstrip("_") if isinstance(target, ast.Name) else ""
                # capitals alone are constants
                if name[:1].isupper() and not name.isupper():
                    yield name


@functools.cache
def repeated_types(folder: Path) -> dict[str, list[str]]:
    """The modules that define each name that is defined more than once."""
    places = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for name in defined_types(path.read_text(encoding="utf-8")):
            places[name].append(path.relative_to(folder).as_posix())
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_class_or_type_has_one_meaning() -> None:
    repeated = repeated_types(PACKAGE)
    assert not {name: found for name, found in repeated.items() if name not in MAY_REPEAT}


def test_only_names_that_repeat_are_excused() -> None:
    assert set(MAY_REPEAT) <= set(repeated_types(PACKAGE))


@pytest.mark.parametrize(
    ("one", "other", "repeated"),
    [
        ("class Source: ...", "class Source: ...", ["Source"]),
        ("class Source: ...", "_Source = dict[str, int]", ["Source"]),
        ("Kind: TypeAlias = Literal['a']", "class _Kind(NamedTuple): ...", ["Kind"]),
        ("Kind = Literal['a', 'b']", "Kind = Literal['a', 'b']", ["Kind"]),
        ("Item = TypeVar('Item')", "Item = TypeVar('Item')", []),
        ("Item = TypeVar('Item')", "class Item: ...", []),
        ("LIMIT = 3", "LIMIT = 4", []),
        ("limit = 3", "def limit(): ...", []),
        ("class Study:\n    class Row: ...", "class Row: ...", []),
        ("class GruStudy(Study): ...", "class LstmStudy(Study): ...", []),
    ],
)
def test_what_counts_as_repeated(tmp_path: Path, one: str, other: str, repeated: list[str]) -> None:
    (tmp_path / "one.py").write_text(one, encoding="utf-8")
    (tmp_path / "other.py").write_text(other, encoding="utf-8")
    assert list(repeated_types(tmp_path)) == repeated
