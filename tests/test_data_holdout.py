"""A dev part for a data set without one: whole files, a share of them, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from negah.data import Dataset, Example, merge
from negah.data.holdout import hold_out, hold_out_together


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


def test_data_sets_that_are_scored_apart_are_divided_as_one(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    apart = [dataset(folders[0], 5), dataset(folders[1], 9)]
    found = hold_out_together(apart, 0.3)
    together = hold_out(merge(apart), 0.3)
    splits = [example.split for part in found for example in part.examples]
    assert splits == [example.split for example in together.examples]
    assert [example.name for example in found[0].examples] == [e.name for e in apart[0].examples]
    assert hold_out_together(apart[:1], 0.3) == [hold_out(apart[0], 0.3)]
