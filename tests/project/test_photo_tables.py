"""The tables of the bundled photo captioner: parts by content, boxes and captions, no leak."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.data import SPLITS, load_dataset
from negah.data.division import split_by_content
from negah.files import to_csv
from negah.hashing import content_sha256
from negah.json_layout import to_json
from negah.split import SplitPolicy

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from photo_tables import boxed, divided, make_tables


def _photo(folder: Path, part: str, *, seed: int) -> bytes:
    """Bytes that the policy puts into ``part``."""
    path = folder / "drawn"
    for number in range(1000):
        path.write_bytes(f"{part} {seed} {number}".encode())
        if split_by_content(content_sha256(path), SplitPolicy()) == part:
            return path.read_bytes()
    raise AssertionError(part)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder in small: what stands in which part follows from the names."""
    root = tmp_path / "data"
    for folder in ("coco/images", "flickr8k/Images", "text"):
        (root / folder).mkdir(parents=True)
    dev = [_photo(tmp_path, "dev", seed=seed) for seed in range(5)]
    train = [_photo(tmp_path, "train", seed=seed) for seed in range(2)]
    photos = {  # content, captions
        "000000000001.jpg": (train[0], 1),
        "000000000002.jpg": (dev[0], 5),
        "000000000003.jpg": (dev[1], 4),  # too few captions for dev
        "000000000004.jpg": (dev[2], 1),  # boxed
        "000000000005.jpg": (dev[2], 5),  # a copy of the boxed one
        "000000000006.jpg": (dev[3], 5),  # stands in Flickr8k
        "000000000007.jpg": (dev[4], 5),
        "000000000008.jpg": (dev[4], 2),  # a copy of it, with too few captions: both are train
    }
    rows = []
    for name, (content, count) in photos.items():
        (root / "coco" / "images" / name).write_bytes(content)
        rows += [(name, f"a thing of {int(name[:-4])} and {k}") for k in range(count)]
    (root / "coco" / "captions.csv").write_text(to_csv(("image", "caption"), *rows))
    (root / "coco" / "boxes.jsonl").write_text(
        to_json({"image": "000000000004.jpg", "objects": ["dog"]}) + "\n"
    )
    lines = []
    for part, content in (("train", train[1]), ("dev", dev[3]), ("test", b"test")):
        name = f"{part}_1.jpg"
        (root / "flickr8k" / "Images" / name).write_bytes(content)
        (root / "flickr8k" / f"Flickr_8k.{part}Images.txt").write_text(f"{name}\n")
        lines.append(f"{name}#0\ta photo of {part}")
    (root / "flickr8k" / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    (root / "text" / "coco_captions.tsv.gz").write_bytes(_text())
    return root


def _text() -> bytes:
    lines = [
        "000000000001\ta train photo",
        "000000000002\ta dev photo",
        "000000000004\ta test photo",
        "000000000099\tA thing of 2 and 3.",  # said of a dev photo
        "000000000099\tsomething else",
    ]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def test_the_parts(root: Path, tmp_path: Path) -> None:
    lines = make_tables(root, tmp_path / "tables")
    coco = load_dataset(tmp_path / "tables" / "coco.csv", images=root / "coco" / "images")
    parts = {example.name.strip("0")[0]: example.split for example in coco.examples}
    assert parts == {
        **{"1": "train", "2": "dev", "3": "train", "4": "test"},
        **{"5": "none", "6": "none", "7": "train", "8": "train"},
    }
    assert lines[:4] == [
        "train: 4 photos, 12 captions",
        "dev: 1 photos, 5 captions",
        "test: 1 photos, 1 captions",
        "none: 2 photos, 10 captions",
    ]
    assert (tmp_path / "tables" / "coco_text.tsv").read_text().splitlines() == [
        "000000000001\ta train photo",
        "000000000099\tsomething else",
    ]


def test_the_research_data(data_root: Path) -> None:
    """The numbers of README and model card."""
    coco = load_dataset(data_root / "coco" / "captions.csv")
    coco = divided(coco, boxed(data_root), ())
    parts = {part: len(coco.split(part)) for part in SPLITS}
    assert parts == {"train": 5445, "dev": 338, "test": 253, "none": 0}
    assert min(len(example.captions) for example in coco.split("dev")) == 5
