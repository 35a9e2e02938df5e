"""A dev part for a data set without one: whole files, a share of them, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

from negah.data import Dataset, Example
from negah.training.holdout import hold_out


def dataset(folder: Path, count: int, split: str = "train") -> Dataset:
    """Two spans of each file, the last file being a copy of the first."""
    examples = []
    for number in range(count):
        path = folder / f"{number}.mp4"
        path.write_text(str(number % max(1, count - 1)))
        for span in ((0.0, 1.0), (1.0, 2.0)):
            name = f"{path.name}#t={span[0]:g},{span[1]:g}"
            examples.append(Example(name, path, ("a clip",), split, span))
    return Dataset("clips", tuple(examples))


@pytest.mark.parametrize(("fraction", "files"), [(0.01, 1), (0.2, 2), (0.5, 5), (0.99, 9)])
def test_whole_files_are_held_out(tmp_path: Path, fraction: float, files: int) -> None:
    given = dataset(tmp_path, 11)
    found = hold_out(given, fraction)
    assert [e.name for e in found.examples] == [e.name for e in given.examples]
    parts = {split: {e.path.read_text() for e in found.split(split)} for split in ("train", "dev")}
    assert not parts["train"] & parts["dev"]
    assert len(parts["dev"]) == files
    assert len(parts["train"]) == 10 - files
    assert hold_out(given, fraction) == found


def test_nothing_is_held_out_where_there_is_a_dev_part(tmp_path: Path) -> None:
    given = dataset(tmp_path, 4)
    (tmp_path / "other").mkdir()
    dev = dataset(tmp_path / "other", 1, "dev")
    both = Dataset("both", (*given.examples, *dev.examples))
    assert hold_out(both, 0.5) is both
    assert hold_out(given, 0.0) is given


def test_the_last_file_stays(tmp_path: Path) -> None:
    assert not hold_out(dataset(tmp_path, 1), 0.5).split("dev")
