"""What inspecting a data set says, on data made for it and on the real thing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from negah.data import Dataset, Example, inspect, load_dataset
from negah.data.examples import Problem
from negah.data.inspection import THRESHOLDS, Summary


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], Summary(0, 0.0, 0.0, 0.0, 0)),
        ([7], Summary(7, 7.0, 7.0, 7.0, 7)),
        ([1, 2, 3, 4], Summary(1, 2.5, 2.5, 3.85, 4)),
        (list(range(101)), Summary(0, 50.0, 50.0, 95.0, 100)),
    ],
)
def test_summary(counts: list[int], expected: Summary) -> None:
    assert Summary.of(counts) == expected


def picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (8, 8), colour).save(path)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    red, copy, blue, green = (
        picture(tmp_path / f"{name}.png", colour)
        for name, colour in (("red", "red"), ("copy", "red"), ("blue", "blue"), ("green", "green"))
    )
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    return Dataset(
        "small",
        (
            Example("red.png", red, ("A dog runs.", "a dog runs", "Dog, dog!"), "train"),
            Example("copy.png", copy, ("A cat.",), "train"),
            Example("blue.png", blue, ("A cat runs fast.",), "dev"),
            Example("green.png", green, ("Nobody.",), "none"),
            Example("bad.png", bad, ("x",), "none"),
        ),
        (
            Problem("missing image", "ghost.png", "no such file"),
            Problem("missing image", "ghost2.png", "no such file"),
            Problem("empty caption", "red.png", "a caption without any text"),
        ),
    )


def test_counts(small: Dataset) -> None:
    found = inspect(small)
    assert list(found.splits) == ["train", "dev", "none"]
    train = found.splits["train"]
    assert (train.images, train.captions, train.repeated_captions) == (2, 4, 1)
    assert train.captions_per_image == Summary.of([3, 1])
    assert train.words_per_caption == Summary.of([3, 3, 2, 2])
    # train: a 3, dog 4, runs 2, cat 1; dev: a, cat, runs, fast
    by_count = {entry.min_count: entry for entry in found.vocabulary}
    assert tuple(by_count) == THRESHOLDS
    assert (by_count[1].words, by_count[1].unknown_train, by_count[1].unknown_dev) == (4, 0, 0.25)
    assert (by_count[2].words, by_count[2].unknown_train, by_count[2].unknown_dev) == (3, 0.1, 0.5)
    assert (by_count[5].words, by_count[5].unknown_train, by_count[5].unknown_dev) == (0, 1, 1)
    assert {kind: len(lines) for kind, lines in found.problems.items()} == {
        "missing image": 2,
        "empty caption": 1,
    }
    assert found.duplicates == (("red.png", "copy.png"),)
    assert found.leaks == ()
    assert found.unreadable is None
    assert found.sound


def test_unreadable_images_are_found_where_asked(small: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    found = inspect(small, open_images=True, progress=lambda *done: seen.append(done))
    assert found.unreadable is not None
    (line,) = found.unreadable
    assert line.startswith("bad.png: ")
    assert seen == [(number, 5) for number in range(1, 6)]


def test_images_of_which_a_part_is_missing_are_found(tmp_path: Path, small: Dataset) -> None:
    cut = tmp_path / "cut.bmp"
    Image.new("RGB", (20, 20)).save(cut)
    cut.write_bytes(cut.read_bytes()[:-600])
    assert inspect(small, open_images=True).partial == ()
    dataset = Dataset("cut", (Example("cut.bmp", cut, ("A dog.",), "train"),))
    found = inspect(dataset, open_images=True)
    assert (found.unreadable, found.partial) == (
        (),
        ("cut.bmp: read only in part: 50% of its rows",),
    )
    assert "images read only in part: 1" in found.to_text()
    (line,) = inspect(dataset, open_images=True, max_pixels=300).unreadable or ()
    assert "20 x 20 = 400 pixels, more than the limit of 300" in line


def test_leaks_and_copies_within_parts_are_told_apart(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{number}.png", "red") for number in range(4)]
    splits = ("train", "train", "test", "none")
    examples = [
        Example(path.name, path, ("x",), split) for path, split in zip(paths, splits, strict=True)
    ]
    found = inspect(Dataset("leaky", tuple(examples)))
    assert found.duplicates == (("0.png", "1.png"),)
    assert found.leaks == (("0.png (train)", "1.png (train)", "2.png (test)", "3.png (none)"),)
    assert not found.sound
    assert "LEAKS, equal images in different parts: 1\n    0.png (train) = " in found.to_text()


def test_text_and_json(small: Dataset) -> None:
    found = inspect(small, open_images=True)
    row = json.loads(json.dumps(found.to_dict()))
    assert row["splits"]["train"]["words_per_caption"]["max"] == 3
    assert row["sound"] is True
    text = found.to_text()
    for expected in (
        "small\n  train: 2 images, 4 captions (1 repeat another)",
        "at least  1 times: 4 words; unknown: 0.00% of train, 25.00% of dev",
        "missing image: 2\n    ghost.png: no such file",
        "unreadable images: 1\n    bad.png: ",
        "equal images within a part: 1\n    red.png = copy.png",
        "LEAKS, equal images in different parts: none",
    ):
        assert expected in text


def test_long_lists_are_cut_in_the_text_only(small: Dataset) -> None:
    problems = tuple(Problem("missing image", f"{n}.png", "no such file") for n in range(30))
    found = inspect(Dataset("many", small.examples, problems))
    assert "9.png: no such file\n    ... and 20 more" in found.to_text()
    assert len(found.problems["missing image"]) == 30


def test_nothing_to_train_on(small: Dataset) -> None:
    found = inspect(Dataset("dev", tuple(small.split("dev"))))
    assert found.vocabulary == ()
    assert not found.sound
    assert "nothing to train on" in found.to_text()
    bad = tuple(example for example in small.examples if example.name == "bad.png")
    damaged = inspect(
        Dataset("bad", tuple(replace(one, split="train") for one in bad)), open_images=True
    )
    assert not damaged.sound
    assert "nothing to train on: none of the images can be read" in damaged.to_text()
    empty = inspect(Dataset("nothing", ()))
    assert empty.splits == {}
    assert "nothing to train on" in empty.to_text()


@pytest.mark.data
def test_flickr8k(data_root: Path) -> None:
    found = inspect(load_dataset(data_root / "flickr8k"))
    assert {split: counts.images for split, counts in found.splits.items()} == {
        "train": 6000, "dev": 1000, "test": 1000, "none": 91,
    }  # fmt: skip
    assert found.splits["train"].captions == 30_000
    (at_five,) = [entry for entry in found.vocabulary if entry.min_count == 5]
    assert 2400 < at_five.words < 2700  # 2,538 in Karpathy and Fei-Fei, CVPR 2015
    assert at_five.unknown_dev is not None
    assert 0.02 < at_five.unknown_dev < 0.05
    assert found.sound
    assert found.duplicates == (("2851198725_37b6027625.jpg", "3050606344_af711c726c.jpg"),)
