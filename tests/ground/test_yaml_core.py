"""YAML 1.2's core schema: https://yaml.org/spec/1.2.2/#1032-tag-resolution."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import REPOSITORY
from negah.cli.decoding_options import decoding_values
from negah.json_layout import to_json
from negah.options import Options
from negah.yaml_core import YamlError, read_yaml

#: Booleans of YAML 1.1 (https://yaml.org/type/bool.html) but for true and false.
WORDS = [
    spelled
    for word in ("y", "n", "yes", "no", "on", "off")
    for spelled in (word, word.title(), word.upper())
]


class Switch(Options):
    """An option that is on or off."""

    on: bool


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in WORDS),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("1e-3", 1e-3), ("-5E+4", -5e4), (".5", 0.5), ("5.", 5.0), ("+1.5e3", 1500.0),
        (".inf", math.inf), ("-.Inf", -math.inf), ("inf", "inf"), ("nan", "nan"),
        ("12", 12), ("-7", -7), ("010", 10), ("0o10", 8), ("0x1F", 31),
        ("1_000", "1_000"), ("1:30", "1:30"), ("2024-01-02", "2024-01-02"), ("=", "="),
        ("[adam, 1e-4, no]", ["adam", 1e-4, "no"]), ("{no: on}", {"no": "on"}),
        ("'1e-3'", "1e-3"), ("!!float 3", 3.0), ("a: {<<: {b: 1}}", {"a": {"b": 1}}),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    found = read_yaml(text)
    assert (type(found), found) == (type(value), value)


def test_not_a_number() -> None:
    assert math.isnan(read_yaml(".NaN"))


@pytest.mark.parametrize("text", ["[", "a: b: c", "{", "!!python/object:os.system x", "!!int x"])
def test_refused(text: str) -> None:
    with pytest.raises((YamlError, ValueError)):
        read_yaml(text)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aeonyf1.:-é ", max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
))  # fmt: skip
def test_json_is_yaml(value: object) -> None:
    assert read_yaml(to_json(value)) == value


@pytest.mark.parametrize("word", WORDS)
def test_a_switch_reads_the_words_of_yaml_1_1(word: str) -> None:
    expected = word.lower() in ("y", "yes", "on")
    assert Switch.parse({"on": read_yaml(word)}, where="test").on is expected


def test_options_of_decoding() -> None:
    expected: Mapping[str, object] = {"banned": ["no", "on"], "support": 1e-3, "beam": 3}
    assert decoding_values(["banned=[no, on]", "support=1e-3", "beam=3"]) == expected


def test_there_is_no_other_reader() -> None:
    """The licence in a card of Hugging Face is YAML of others, of which all is read as text."""
    readers = {
        path.relative_to(REPOSITORY / "src" / "negah").as_posix()
        for path in (REPOSITORY / "src").rglob("*.py")
        if re.search(r"yaml\.\w*load|^\s*(import|from) yaml\b", path.read_text("utf-8"), re.M)
    }
    assert readers == {"yaml_core.py", "hf/model_folder.py"}
