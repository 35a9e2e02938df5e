"""The captioner that most studies train: Show and Tell."""

from __future__ import annotations

from typing import Any

from negah.models import ShowTell, ShowTellOptions
from negah.studies.captioning.data import CaptionData
from negah.studies.captioning.options import CaptionOptions


def make_show_tell(o: CaptionOptions, data: CaptionData, **changes: Any) -> ShowTell:
    """A captioner with fresh weights, drawn by PyTorch's own generator.

    Args:
        o: its sizes.
        data: whose channels it reads and whose tokens it writes.
        changes: to :class:`~negah.models.ShowTellOptions`.
    """
    sizes = o.model_dump(include={"embedding_size", "hidden_size", "dropout"})
    options = ShowTellOptions.model_validate({**sizes, **changes})
    return ShowTell(options, data.channels, len(data.tokenizer))
