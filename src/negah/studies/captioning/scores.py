"""Scores of a study's captioner: free-running captions, and the likelihood of references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from negah.arrays import DoubleArray
from negah.metrics import CaptionScorer
from negah.models import CaptionModel, flatten_words
from negah.models.adapter import best_captions
from negah.studies.captioning.data import CaptionData, Part
from negah.studies.captioning.options import METRIC_NAMES, CaptionOptions
from negah.studies.study import Progress
from negah.text import PAD, InLanguage, Tokenizer
from negah.text.languages import DEFAULT
from negah.training.padding import pad_captions


def teacher_forced(
    model: CaptionModel, data: CaptionData, part: Part, o: CaptionOptions
) -> tuple[float, int, int]:
    """How well true captions are predicted, word by word.

    Returns:
        summed nats, tokens (``<EOS>`` included), and characters of the captions.
    """
    nats, tokens = photo_nats(model, data, part, o).sum(0)
    characters = sum(len(caption) for captions in part.captions for caption in captions)
    return float(nats), int(tokens), characters


@torch.inference_mode()
def photo_nats(
    model: CaptionModel, data: CaptionData, part: Part, o: CaptionOptions
) -> DoubleArray:
    """The same of each photo: float64 (N, 2), summed nats and tokens of its true captions."""
    model.eval()
    found = []
    for rows in _chunks(len(part.names), 100):
        inputs, targets = pad_captions(
            [data.ids(part.captions[row], 10 * o.max_tokens) for row in rows]
        )
        targets_BKT = torch.from_numpy(targets)
        counts = targets_BKT != PAD
        logits_NV = model(part.features(rows), torch.from_numpy(inputs), counts)
        nats_N = F.cross_entropy(logits_NV, flatten_words(targets_BKT, counts), reduction="none")
        nats_BKT = torch.zeros(counts.shape, dtype=torch.float64)
        nats_BKT[counts] = nats_N.double()
        found.append(torch.stack([nats_BKT.sum((1, 2)), counts.sum((1, 2)).double()], dim=1))
    nats_N2: DoubleArray = torch.cat(found).numpy()
    return nats_N2


def write_captions(
    model: CaptionModel,
    data: CaptionData,
    part: Part,
    o: CaptionOptions,
    progress: Progress,
    label: str = "captions",
) -> list[str]:
    """Free-running captions, one a photo."""
    found = write_tokens(model, data.tokenizer, part, o, progress, label)
    return [data.tokenizer.decode(tokens) for tokens in found]


def write_tokens(
    model: CaptionModel,
    vocabulary: Tokenizer | InLanguage,
    part: Part,
    o: CaptionOptions,
    progress: Progress,
    label: str = "captions",
) -> list[tuple[int, ...]]:
    """The tokens of free-running captions, one caption a photo."""
    model.eval()
    found = best_captions(
        model,
        ((part.features(rows), None) for rows in _chunks(len(part.names), 50)),
        vocabulary,
        o.decoding(),
        progress=lambda done: progress(label, done, len(part.names)),
    )
    return [best.tokens for best in found]


def score_captioner(
    model: CaptionModel,
    data: CaptionData,
    o: CaptionOptions,
    *,
    part: str = "test",
    progress: Progress,
    label: str = "captions",
) -> dict[str, Any]:
    """Scores of free-running captions, and how well true ones are predicted, as part of a cell.

    Returns:
        ``values``: :data:`METRIC_NAMES` on the 0-100 scale; ``nats`` per token and
        ``nats_per_character`` of the true captions; ``distinct``, the percentage of captions that
        are different; ``words``, their mean length. ``extra["photos"]``: what each photo adds to
        ``cider_d`` and ``nats``, for :func:`negah.studies.photos.over_photos`.
    """
    chosen: Part = getattr(data, part)
    captions = write_captions(model, data, chosen, o, progress, label)
    nats_N2 = photo_nats(model, data, chosen, o)
    nats, tokens = nats_N2.sum(0).tolist()
    characters = sum(len(caption) for some in chosen.captions for caption in some)
    values, cider_d = score_photos(captions, chosen.names, chosen.captions)
    values |= {"nats": nats / tokens, "nats_per_character": nats / characters}
    photos = {"cider_d": cider_d, "nats": np.round(nats_N2, 1).tolist()}
    return {"values": values, "extra": {"photos": photos}}


def score_photos(
    captions: Sequence[str],
    names: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str = DEFAULT,
) -> tuple[dict[str, float], list[float]]:
    """:data:`METRIC_NAMES`, ``distinct`` and ``words`` of one caption for each photo.

    Returns:
        these, and the CIDEr-D of each photo to one place.
    """
    metrics = tuple(METRIC_NAMES.values())
    said = dict(zip(names, references, strict=True))
    scorer = CaptionScorer(said, metrics=metrics, language=language)
    scores = scorer.score(dict(zip(names, captions, strict=True)))
    values = {
        **{name: scores[metric] for name, metric in METRIC_NAMES.items()},
        "distinct": 100 * len(set(captions)) / len(captions),
        "words": sum(len(caption.split()) for caption in captions) / len(captions),
    }
    return values, [round(float(one), 1) for one in scores.per_image["CIDEr-D"]]


def parameter_count(model: torch.nn.Module) -> int:
    """All weights, whether they learn or not."""
    return sum(weight.numel() for weight in model.parameters())


def _chunks(number: int, size: int) -> list[list[int]]:
    return [list(range(first, min(first + size, number))) for first in range(0, number, size)]
