"""Bundles with random damage end in a caption or in one error of ours, also where checksums fit."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from common import PATIENCE
from negah.errors import NegahError

FILES = (
    *("bundle.json", "tokenizer.json", "encoder.onnx", "start.onnx", "step.onnx"),
    *("weights.safetensors", "README.md"),
)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut, with some bits turned, or with a piece of itself somewhere else."""
    place = chance.randrange(len(content))
    match chance.randrange(3):
        case 0:
            return content[:place]
        case 1:
            changed = bytearray(content)
            for _ in range(chance.choice([1, 1, 2, 8, 64])):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            return bytes(changed)
        case _:
            size = chance.choice([1, 4, 100, 4096])
            source = chance.randrange(len(content))
            piece = content[source : source + size]
            return content[:place] + piece + content[place + len(piece) :]


def seal(folder: Path) -> None:
    """Make sizes and checksums fit the files, as whoever made a hostile bundle would."""
    try:
        values = json.loads((folder / "bundle.json").read_text())
        for name in values["files"]:
            content = (folder / name).read_bytes()
            values["files"][name] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
            }
    except (ValueError, LookupError, TypeError, OSError):
        return
    (folder / "bundle.json").write_text(json.dumps(values))


def try_damage(original: Path, folder: Path, seeds: range) -> dict[str, int]:
    """Caption with bundles that were damaged, and count how it ended."""
    from negah.runtime import Captioner

    shutil.copytree(original, folder)
    photo = Image.new("RGB", (40, 30), "navy")
    ended = {"captioned": 0, "refused": 0, "lines": 0}
    for seed in seeds:
        chance = random.Random(seed)
        name = chance.choice(FILES)
        content = (original / name).read_bytes()
        (folder / name).write_bytes(damaged(content, chance))
        if chance.random() < 0.8:
            seal(folder)
        print(seed, name, flush=True)  # the last line says where a crash was
        try:
            Captioner(folder, threads=1).caption(photo)
            ended["captioned"] += 1
        except NegahError as error:
            ended["refused"] += 1
            ended["lines"] = max(ended["lines"], str(error).count("\n") + 1)
        for changed in (name, "bundle.json"):
            shutil.copyfile(original / changed, folder / changed)
    return ended


@pytest.mark.parametrize("tries", [40, pytest.param(1500, marks=pytest.mark.heavy)])
def test_a_damaged_bundle_ends_in_a_caption_or_one_line(
    tries: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    """In a process of its own, since a crash inside ONNX Runtime would end this one."""
    code = (
        "import sys; from pathlib import Path; from test_bundle_fuzz import try_damage\n"
        f"ended = try_damage(Path({str(tiny_bundle)!r}), Path({str(tmp_path / 'copy')!r}), "
        f"range({tries}))\nprint(ended)\nassert all(ended.values()) and ended['lines'] == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        capture_output=True,
        text=True,
        timeout=PATIENCE + tries,
    )
    assert done.returncode == 0, (done.stdout[-300:], done.stderr[-2000:])
