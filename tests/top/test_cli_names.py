"""Names of any bytes go through folder, CSV, JSON and sidecar, and come back as the same files.

Through lists and tables: ``test_data_tables``.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from negah.cli.main import run

_PIECES = st.sampled_from(
    [
        *" \"'`,;#%&=~-\\.\t\n\r",
        *("\u2028", "\ufeff", "\u200f", "\U0001f436", "\u067e", "\u732b"),
        *("\u00e9", "e\u0301", "\u212b", "\udce9", "\udcff"),
        *("C:", "..", "--x", "#t=0,5", "[a]", "*"),
    ]
)
NAMES = st.lists(
    st.lists(_PIECES | st.characters(codec="utf-8", exclude_characters="/\0"), max_size=12)
    .map(lambda pieces: os.fsdecode(os.fsencode(f"n{''.join(pieces)}.png")))
    .filter(lambda name: len(os.fsencode(name)) < 256)
    | st.integers(240, 250).map(lambda count: "n" * count + ".png"),
    min_size=8,
    max_size=24,
    unique=True,
)


def check(model: Path, names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        photos, out = Path(made) / "photos", Path(made) / "out"
        photos.mkdir()
        for name in names:
            if not (photos / name).exists():  # some file systems keep one of two normal forms
                Image.new("RGB", (4, 3), "navy").save(photos / name, format="PNG")
        there = {str(path) for path in photos.iterdir()}
        base = ["caption", str(photos), "--model", str(model), "--threads", "1"]
        found: dict[str, list[str]] = {}
        for form in ("csv", "json", "jsonl"):
            path = out / f"captions.{form}"
            assert run([*base, "-f", form, "-o", str(path)]) == 0
            content = path.read_bytes()
            if form == "csv":
                text = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
                found[form] = [row["path"] for row in csv.DictReader(text)]
            else:
                lines = content.decode().strip().split("\n")
                rows = json.loads(content) if form == "json" else map(json.loads, lines)
                found[form] = [row["path"] for row in rows]
        assert all(set(paths) == there and len(paths) == len(there) for paths in found.values())
        assert run([*base, "--sidecar"]) == 0
        sidecars = {str(Path(path).with_suffix(".txt")) for path in there}
        assert {str(path) for path in photos.iterdir()} == there | sidecars


@given(names=NAMES)
@settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_names_come_back(tiny_bundle: Path, names: list[str]) -> None:
    check(tiny_bundle, names)


@pytest.mark.heavy
@given(names=NAMES)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_names_come_back(tiny_bundle: Path, names: list[str]) -> None:
    check(tiny_bundle, names)
