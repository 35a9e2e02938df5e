"""How studies train captioners: short trainings on stored features, the same for all rows.

What differs between the rows of a study is given from outside: the model, the tokenizer, the
loss, which parameters learn and at which rate. Everything else (photos, captions, their order, the
number of steps, the schedule) depends on the options and the seed alone. The trainings of
:mod:`negah.training`, which give models to users, are longer and resume in the middle; a cell of a
study is short enough to be done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from negah.lazy_names import lazy_names
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

else:  # options are read before any work; what computes brings PyTorch
    _HOMES = {
        "cost": ("multiply_adds",),
        "data": (
            *("CaptionData", "Part", "Standard", "encoder_of", "make_tokenizer", "open_captions"),
            *("prepare_captions", "region_features", "sentence_part"),
        ),
        "learn": (
            "LearningCurves",
            "Hook",
            "LossFunction",
            "Variation",
            "cross_entropy",
            "train_captioner",
        ),
        "models": ("make_show_tell",),
        "scores": (
            *("parameter_count", "photo_nats", "score_captioner", "score_photos"),
            *("teacher_forced", "write_captions", "write_tokens"),
        ),
    }
    __getattr__ = lazy_names(
        __name__,
        {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names},
    )

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
