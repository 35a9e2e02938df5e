"""Small tars, Parquet files and photos, and what hostile ones hold."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def jpeg(seed: int) -> bytes:
    """A small photo; each seed has its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((80, 60)).save(stream, "JPEG")
    return stream.getvalue()


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_tars(folder: Path, *, shards: int = 3, photos: int = 2) -> list[Path]:
    """``data-000.tar`` and so on, with ``s00.jpg`` and a text beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_tar(
            folder / f"data-{shard:03}.tar",
            {
                name: content
                for number in range(photos)
                for name, content in (
                    (f"s{shard}{number:02}.jpg", jpeg(100 * shard + number)),
                    (f"s{shard}{number:02}.txt", b"an old text"),
                )
            },
        )
        for shard in range(shards)
    ]


def write_parquet(path: Path, column: Sequence[Any], name: str = "image") -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({name: list(column)}), path)
    return path
