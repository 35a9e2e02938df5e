"""The cells of ``ablation``: CAM-RNN with some of its parts, on the regions of photographs.

Axes: B photos, F = 1 frame, R regions, C channels, K captions, T words.
"""

from __future__ import annotations

from typing import Any

import torch

from negah.models import CamRnn, CamRnnOptions
from negah.models.seeding import seeded
from negah.studies.ablation.evidence import boxed_photos, measure_evidence
from negah.studies.ablation.study import VARIANTS, AblationOptions
from negah.studies.captioning import (
    multiply_adds,
    open_captions,
    parameter_count,
    prepare_captions,
    score_captioner,
    train_captioner,
)
from negah.studies.study import Paths, Progress


def make_captioner(o: AblationOptions, variant: str, channels: int, vocabulary_size: int) -> CamRnn:
    """A row's captioner with fresh weights from torch's seed."""
    c = o.captioning
    options = CamRnnOptions(
        embedding_size=c.embedding_size,
        hidden_size=c.hidden_size,
        dropout=c.dropout,
        visual_size=o.visual_size,
        attention_size=o.attention_size,
        phrase_size=o.phrase_size,
        **VARIANTS[variant],
    )
    return CamRnn(options, channels, vocabulary_size)


def prepare(o: AblationOptions, paths: Paths, progress: Progress) -> None:
    """Features of all photos, the boxed ones too."""
    prepare_captions(o.captioning, paths, progress)
    boxed_photos(o.captioning, paths, progress)


def facts(o: AblationOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """That one frame leaves frame attention nothing to choose."""
    return {"frame_against_mean": frame_is_mean(o)}


def run_cell(
    o: AblationOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and score one row."""
    c = o.captioning
    # also for None: its mean is of regions behind a ReLU, so the stored mean would not do
    data = open_captions(c, paths, progress, regions=True)
    with seeded(seed):
        model = make_captioner(o, variant, data.channels, len(data.tokenizer))
    curves = train_captioner(model, data, c, seed, progress=progress, label=variant)
    cell = score_captioner(model, data, c, progress=progress)
    values = cell["values"]
    found, photos = measure_evidence(model, data, c, boxed_photos(c, paths, progress), progress)
    values |= found
    cell["extra"]["photos"] |= photos
    values["parameters"] = float(parameter_count(model))
    values["multiply_adds"] = multiply_adds(model, data, c) / 1e6
    return {**cell, "curves": curves}


@torch.no_grad()
@seeded(0)
def frame_is_mean(o: AblationOptions, photos: int = 3, regions: int = 4, words: int = 5) -> float:
    """The largest difference of a logit between None and Frame with the same weights, one frame."""
    frame = make_captioner(o, "Frame", 6, 20).eval()
    mean = make_captioner(o, "None", 6, 20).eval()
    mean.load_state_dict({n: frame.state_dict()[n] for n in mean.state_dict()})
    features_BFRC = torch.randn(photos, 1, regions, 6)
    inputs_BKT = torch.randint(4, 20, (photos, 2, words))
    counts_BKT = torch.ones_like(inputs_BKT, dtype=torch.bool)
    ours = frame(features_BFRC, inputs_BKT, counts_BKT)
    return float((ours - mean(features_BFRC, inputs_BKT, counts_BKT)).abs().max())
