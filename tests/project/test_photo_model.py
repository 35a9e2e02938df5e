"""How the bundled photo captioner is made: all steps, on drawings and with tiny sizes."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from common import REPOSITORY
from negah.bundle import read_bundle
from negah.json_layout import to_json
from tiny_data import TINY_CAM, make_shapes, tiny_arguments

pytest.importorskip("torch", reason="training needs the train extra")
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from photo_model import Maker


def research_data(root: Path) -> Path:
    """Drawings laid out as Flickr8k and, turned, as the photographs of COCO."""
    shapes = make_shapes(root / "shapes")
    flickr8k, coco = root / "flickr8k", root / "coco"
    (coco / "images").mkdir(parents=True)
    shutil.copytree(shapes / "images", flickr8k / "Images")
    parts: dict[str, set[str]] = {"train": set(), "dev": set(), "test": set()}
    lines = []
    with (shapes / "captions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            parts[row["split"]].add(row["image"])
            lines.append(f"{row['image']}#0\t{row['caption']}")
    (flickr8k / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for part, names in parts.items():
        (flickr8k / f"Flickr_8k.{part}Images.txt").write_text("\n".join(sorted(names)) + "\n")
    rows = ["image,caption"]
    for number, name in enumerate(sorted(path.name for path in (shapes / "images").iterdir())):
        Image.open(shapes / "images" / name).rotate(180).save(coco / "images" / f"{number:012}.png")
        rows += [f"{number:012}.png,a turned {name[:-4].replace('-', ' ')}"] * 5
    (coco / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    boxes = [to_json({"image": f"{number:012}.png", "objects": ["dog"]}) for number in (0, 1)]
    (coco / "boxes.jsonl").write_text("\n".join(boxes) + "\n", encoding="utf-8")
    (root / "text").mkdir()
    text = gzip.compress(b"000000000099\ta thing\n")
    (root / "text" / "coco_captions.tsv.gz").write_bytes(text)
    return root


@pytest.mark.heavy
def test_all_steps_end_in_a_bundle_with_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = research_data(tmp_path / "data"), tmp_path / "runs"
    changes = tiny_arguments((*TINY_CAM, "encoder.concepts=8", "training.epochs=1"))
    Maker(data, output, [*changes, "--threads", "1"]).make()
    told = capsys.readouterr().out
    commands = [line.split()[2] for line in told.splitlines() if line.startswith("$ negah")]
    # other options are stored only where they are expected to be better
    kept = [now for before, now in pairwise(["", *commands]) if (before, now) != ("tune", "export")]
    assert kept == [
        "train", "train", "export", "rerank", "tune", "evaluate", "evaluate",
        "train", "train", "export", "rerank", "tune", "evaluate", "evaluate", "export",
    ]  # fmt: skip
    lines = [line for line in told.splitlines() if line.startswith("$ negah")]
    assert [line.endswith("--rank 512 --ridge 5") for line in lines if " rerank " in line] == [
        True, False,
    ]  # fmt: skip
    assert sum("model.dropout=0.5" in line for line in lines) == 1
    config = read_bundle(output / "negah-photo").config
    assert config.name == "negah-photo"
    assert len(config.encoder.concepts) == 8
    assert {score.dataset for score in config.scores} == {"flickr8k", "coco"}
    assert {"CIDEr-D", "CHAIR-i"} <= {score.metric for score in config.scores}
    tuned = json.loads((output / "negah-photo-tune.json").read_text(encoding="utf-8"))
    assert tuned["split"] == "dev"
