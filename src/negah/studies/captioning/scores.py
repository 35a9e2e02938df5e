"""Scores of a study's captioner: free-running captions, and the likelihood of references."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from negah.metrics import CaptionScorer
from negah.models import Captioner, flatten_words
from negah.models.adapter import best_captions
from negah.studies.captioning.data import CaptionData, Part
from negah.studies.captioning.options import METRIC_NAMES, CaptionOptions
from negah.studies.study import Progress
from negah.text import PAD, InLanguage, Tokenizer
from negah.text.languages import DEFAULT
from negah.training.padding import pad_captions


@torch.inference_mode()
def teacher_forced(
    model: Captioner, data: CaptionData, part: Part, o: CaptionOptions
) -> tuple[float, int, int]:
    """How well true captions are predicted, word by word.

    Returns:
        summed nats, tokens (``<EOS>`` included), and characters of the captions.
    """
    model.eval()
    nats, tokens, characters = 0.0, 0, 0
    for rows in _chunks(len(part.names), 100):
        inputs, targets = pad_captions(
            [data.ids(part.captions[row], 10 * o.max_tokens) for row in rows]
        )
        targets_BKT = torch.from_numpy(targets)
        counts = targets_BKT != PAD
        logits_NV = model(part.features(rows), torch.from_numpy(inputs), counts)
        found = F.cross_entropy(logits_NV, flatten_words(targets_BKT, counts), reduction="sum")
        nats += float(found)
        tokens += int(counts.sum())
        characters += sum(len(caption) for row in rows for caption in part.captions[row])
    return nats, tokens, characters


def write_captions(
    model: Captioner,
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
    model: Captioner,
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
    model: Captioner,
    data: CaptionData,
    o: CaptionOptions,
    *,
    part: str = "test",
    progress: Progress,
    label: str = "captions",
) -> dict[str, float]:
    """Scores of free-running captions, and how well true ones are predicted.

    Returns:
        :data:`METRIC_NAMES` on the 0-100 scale; ``nats`` per token and ``nats_per_character`` of
        the true captions; ``distinct``, the percentage of captions that are different; ``words``,
        their mean length.
    """
    chosen: Part = getattr(data, part)
    captions = write_captions(model, data, chosen, o, progress, label)
    nats, tokens, characters = teacher_forced(model, data, chosen, o)
    return {
        **score_captions(captions, chosen),
        "nats": nats / tokens,
        "nats_per_character": nats / characters,
    }


def score_captions(captions: Sequence[str], part: Part) -> dict[str, float]:
    """:data:`METRIC_NAMES`, ``distinct`` and ``words`` of one caption for each photo."""
    return score_photos(captions, part.names, part.captions)[0]


def score_photos(
    captions: Sequence[str],
    names: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str = DEFAULT,
) -> tuple[dict[str, float], list[float]]:
    """What :func:`score_captions` gives, and the CIDEr-D of each photo."""
    metrics = tuple(METRIC_NAMES.values())
    said = dict(zip(names, references, strict=True))
    scorer = CaptionScorer(said, metrics=metrics, language=language)
    scores = scorer.score(dict(zip(names, captions, strict=True)))
    values = {
        **{name: scores[metric] for name, metric in METRIC_NAMES.items()},
        "distinct": 100 * len(set(captions)) / len(captions),
        "words": sum(len(caption.split()) for caption in captions) / len(captions),
    }
    return values, [float(one) for one in scores.per_image["CIDEr-D"]]


def parameter_count(model: torch.nn.Module) -> int:
    """All weights, whether they learn or not."""
    return sum(weight.numel() for weight in model.parameters())


def _chunks(number: int, size: int) -> list[list[int]]:
    return [list(range(first, min(first + size, number))) for first in range(0, number, size)]
