"""The captioner that most studies train: Show and Tell."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from negah.models import ShowTell, ShowTellOptions
from negah.models.seeding import seeded
from negah.studies.captioning.options import CaptionOptions


def make_show_tell(
    o: CaptionOptions,
    channels: int,
    vocabulary_size: int,
    seed: int | None = None,
    **changes: Any,
) -> ShowTell:
    """A captioner with fresh weights.

    Args:
        o: its sizes.
        channels: C of the features that it reads.
        vocabulary_size: V.
        seed: of the weights; None draws them from PyTorch's own generator as it is.
        changes: to :class:`~negah.models.ShowTellOptions`.
    """
    sizes = o.model_dump(include={"embedding_size", "hidden_size", "dropout"})
    options = ShowTellOptions.model_validate({**sizes, **changes})
    with nullcontext() if seed is None else seeded(seed):
        return ShowTell(options, channels, vocabulary_size)
