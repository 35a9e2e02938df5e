"""Options of running a model: threads, batches, limits, and the language of bundled models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field

from negah.media import MAX_PIXELS
from negah.options import Options

#: Each batch needs memory, and more cores are seldom all free.
MOST_BY_DEFAULT = 8


class RuntimeOptions(Options):
    """Options of a :class:`~negah.runtime.Captioner`."""

    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Batches captioned side by side, each on one core, or cores of a photo that is "
        "captioned alone; None: one for each core that this process may use, and at most "
        f"{MOST_BY_DEFAULT}.",
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Photos that are captioned together; more take more memory.",
    )
    reading_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that open the next photos while a batch is captioned.",
    )

    max_pixels: int = Field(
        default=MAX_PIXELS,
        ge=1,
        description="Pictures, and frames of clips, that would be decoded to more pixels than "
        "this are refused.",
    )
    language: str | None = Field(
        default=None,
        description="Of the captions, by its code, such as fa: the bundled models of it, or what a "
        "model that is named has to caption in; None for what the model does.",
    )
    calibration: Path | None = Field(
        default=None,
        description="The folder of a calibration of the model (negah calibrate), in the place of "
        "its own where it has one.",
    )

    @property
    def cores(self) -> int:
        """The number of threads, also where ``threads`` is None."""
        return self.threads or min(MOST_BY_DEFAULT, _usable_cores())


def take_run_options(options: dict[str, Any]) -> dict[str, Any]:
    """Split options given together into fields of :class:`RuntimeOptions` and others."""
    return {name: options.pop(name) for name in RuntimeOptions.model_fields if name in options}


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
