"""A training run as a backend: its best weights, run by PyTorch on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

from negah.backends import Identity
from negah.export.run import load_run
from negah.hashing import content_sha256
from negah.models.adapter import TorchBackend
from negah.run_folder import RunFolder


def open_run(source: str | os.PathLike[str]) -> TorchBackend:
    """The best weights of a training run, ready to caption.

    Args:
        source: the folder of the run.

    Raises:
        UsageError: it is no run, or has not validated an epoch yet.
        CheckpointError: its files are damaged or do not belong together.
    """
    run = load_run(Path(source))
    folder = RunFolder(run.folder)
    files = (folder.description, folder.tokenizer, folder.best)
    identity = Identity(
        name=run.recipe.name,
        kind="run",
        source=str(run.folder),
        licence="not stated",
        sha256=content_sha256(folder.best),
        files=files,
        split=run.data.training_split if run.data else None,
        language=run.tokenizer.language.code,
    )
    return TorchBackend(
        run.encoder,
        run.captioner,
        run.tokenizer,
        run.recipe.decoding,
        identity,
        clip_frames=run.recipe.clips.frames,
    )
