"""What stands behind a name: our own table, a decorator, other packages; and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import pytest

from negah.errors import UnknownNameError, UsageError
from negah.kinds import Kinds
from negah.options import Options
from negah.registry import Registry
from other_packages import install


@pytest.fixture
def things() -> Registry[object]:
    return Registry("thing", "negah.test_things", {"pi": "math:pi", "e": "math:e"})


def test_names_of_the_table_are_imported_when_they_are_asked_for() -> None:
    found = Registry("thing", "negah.test_things", {"a": "colorsys:rgb_to_hsv", "b": "no_such:x"})
    sys.modules.pop("colorsys", None)
    assert found.names() == list(found) == ["a", "b"]
    assert "b" in found
    assert "c" not in found
    assert "colorsys" not in sys.modules
    assert callable(found.get("a"))
    assert "colorsys" in sys.modules


def test_a_decorator_registers(things: Registry[object]) -> None:
    @things.register("own")
    def own() -> int:
        return 3

    assert things.get("own") is own
    assert things.names() == ["pi", "e", "own"]
    assert things.register("own", own) is own  # a module may be imported again


@pytest.mark.parametrize("name", ["pi", "own"])
def test_a_name_means_one_thing(things: Registry[object], name: str) -> None:
    things.register("own", "first")
    with pytest.raises(UsageError, match=f"already a thing called '{name}'"):
        things.register(name, "second")


def test_an_unknown_name_lists_the_known_ones(things: Registry[object]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown thing 'p'\. Did you mean 'pi'\?"):
        things.get("p")


def test_other_packages_add_to_it(
    things: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "[negah.test_things]\nseven = other_things:SEVEN\npi = other_things:SEVEN\n"
    points += "broken = other_things:EIGHT\n[negah.others]\nnine = other_things:SEVEN\n"
    install(tmp_path, "other-things", points, other_things="SEVEN = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert things.names() == ["pi", "e", "broken", "seven"]
    assert things.get("seven") == 7
    assert things.get("pi") != 7, "what stands in our own table keeps its name"
    with pytest.raises(UsageError, match=r"'broken' of package other-things cannot be imported"):
        things.get("broken")


def test_two_packages_with_one_name_are_named(
    things: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        folder = tmp_path / name
        install(folder, f"{name}-things", f"[negah.test_things]\nnine = {name}:NINE\n")
        monkeypatch.syspath_prepend(folder)
    with pytest.raises(UsageError, match=r"packages (one|other)-things and \w+-things both have a"):
        things.get("nine")


def test_a_registration_that_is_refused_has_no_effect() -> None:
    things: Registry[object] = Registry("thing", "negah.test_things", {"pi": "math:pi"})
    with pytest.raises(UsageError, match="already a thing called 'pi'"):
        things.register("pi", "mine")
    assert things.get("pi") == pytest.approx(3.14159, abs=1e-5)


class RoundOptions(Options):
    kind: Literal["round"] = "round"


class SquareOptions(Options):
    kind: Literal["square"] = "square"
    side: int = 1


OTHERS = """
from negah.options import Options
from test_registry import SHAPES

class OvalOptions(Options):
    kind: str = "oval"

@SHAPES.register("oval", OvalOptions)
class Oval: ...

class Flat(Oval): ...
"""
SHAPES: Kinds[object] = Kinds("shape", "negah.test_shapes", {})


def test_options_belong_to_a_kind_and_not_to_its_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One factory may have several kinds; what inherits from it has none of them."""

    def draw(options: Options) -> Options:
        return options

    SHAPES.register("round", RoundOptions)(SHAPES.register("square", SquareOptions)(draw))
    assert SHAPES.parse("round", where="test") == RoundOptions()
    square = SHAPES.parse({"kind": "square", "side": 3}, where="test")
    assert SHAPES.build(square) == SquareOptions(side=3)
    points = "[negah.test_shapes]\noval = other_shapes:Oval\nflat = other_shapes:Flat\n"
    install(tmp_path, "other-shapes", points, other_shapes=OTHERS)
    monkeypatch.syspath_prepend(tmp_path)
    assert type(SHAPES.parse("oval", where="test")).__name__ == "OvalOptions"
    with pytest.raises(UsageError, match=r"'flat' has no options class.*register\('flat'"):
        SHAPES.parse("flat", where="test")
