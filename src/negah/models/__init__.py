"""Captioners in PyTorch, built by name.

``build_captioner`` turns validated options into a model; the registry maps each ``kind`` to
its options class and its module. Recipes (``negah/recipes/*.yaml``) name a kind and change
its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negah.errors import UnknownNameError, UsageError
from negah.models.cam_rnn import CamRnn, CamRnnOptions
from negah.models.captioner import Captioner, StepOutput, Tensors, flatten_words
from negah.models.encoders import Encoder, EncoderOptions, load_encoder
from negah.models.show_tell import ShowTell, ShowTellOptions

CaptionerOptions = CamRnnOptions | ShowTellOptions

_OPTIONS: dict[str, type[CamRnnOptions] | type[ShowTellOptions]] = {
    "cam-rnn": CamRnnOptions,
    "show-tell": ShowTellOptions,
}


def captioner_options(values: Mapping[str, Any], *, where: str = "model") -> CaptionerOptions:
    """Validate the options of a captioner; ``kind`` says which.

    Raises:
        UnknownNameError: a kind that is not registered.
        UsageError: an unknown key, a wrong value, a contradiction.
    """
    kind = values.get("kind")
    if not isinstance(kind, str):
        raise UsageError(f"{where}: needs kind: one of {', '.join(sorted(_OPTIONS))}")
    if kind not in _OPTIONS:
        raise UnknownNameError("captioner", kind, _OPTIONS)
    return _OPTIONS[kind].parse(values, where=where)


def build_captioner(options: CaptionerOptions, *, channels: int, vocabulary_size: int) -> Captioner:
    """A captioner with fresh weights.

    Args:
        options: what to build.
        channels: C, what the encoder gives for a region.
        vocabulary_size: V, specials included.
    """
    if isinstance(options, CamRnnOptions):
        return CamRnn(options, channels, vocabulary_size)
    return ShowTell(options, channels, vocabulary_size)


__all__ = [
    "CamRnn",
    "CamRnnOptions",
    "Captioner",
    "CaptionerOptions",
    "Encoder",
    "EncoderOptions",
    "ShowTell",
    "ShowTellOptions",
    "StepOutput",
    "Tensors",
    "build_captioner",
    "captioner_options",
    "flatten_words",
    "load_encoder",
]
