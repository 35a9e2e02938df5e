"""How a bundle is run: threads and batches. None of it changes a caption's words."""

from __future__ import annotations

from pydantic import Field

from negah.options import Options


class RuntimeOptions(Options):
    """Options of a :class:`~negah.runtime.Captioner`."""

    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads of the network's arithmetic; None: one for each physical core.",
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Photos that are captioned together; more take more memory.",
    )
    readers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that open the next photos while a batch is captioned.",
    )
