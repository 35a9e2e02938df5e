"""How studies train captioners: short trainings on stored features, the same for all rows.

What differs between the rows of a study is given from outside: the model, the tokenizer, the
loss, which parameters learn and at which rate. Everything else (photos, captions, their order, the
number of steps, the schedule) depends on the options and the seed alone. The trainings of
:mod:`negah.training`, which give models to users, are longer and resume in the middle; a cell of a
study is short enough to be done again.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from negah.studies.captioning.options import METRIC_NAMES, CaptionOptions, quick_captions

if TYPE_CHECKING:
    from negah.studies.captioning.cost import multiply_adds
    from negah.studies.captioning.data import (
        CaptionData,
        Part,
        Standard,
        encoder_of,
        make_tokenizer,
        open_captions,
        prepare_captions,
        region_features,
        sentence_part,
    )
    from negah.studies.captioning.learn import (
        Hook,
        LearningCurves,
        LossFunction,
        Variation,
        cross_entropy,
        train_captioner,
    )
    from negah.studies.captioning.models import make_show_tell
    from negah.studies.captioning.scores import (
        parameter_count,
        photo_nats,
        score_captioner,
        score_photos,
        teacher_forced,
        write_captions,
        write_tokens,
    )

# Options are read before any work; what computes brings PyTorch, and is loaded when it is used.
_COMPUTING = ("data", "learn", "models", "scores", "cost")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = (import_module(f"{__name__}.{module}") for module in _COMPUTING)
    return next(getattr(module, name) for module in modules if hasattr(module, name))


__all__ = [
    "METRIC_NAMES",
    "CaptionData",
    "CaptionOptions",
    "Hook",
    "LearningCurves",
    "LossFunction",
    "Part",
    "Standard",
    "Variation",
    "cross_entropy",
    "encoder_of",
    "make_show_tell",
    "make_tokenizer",
    "multiply_adds",
    "open_captions",
    "parameter_count",
    "photo_nats",
    "prepare_captions",
    "quick_captions",
    "region_features",
    "score_captioner",
    "score_photos",
    "sentence_part",
    "teacher_forced",
    "train_captioner",
    "write_captions",
    "write_tokens",
]
