"""References and captions to scores: BLEU, ROUGE-L, CIDEr-D, with intervals, without Java."""

from __future__ import annotations

from negah.metrics.bleu import BleuScore, bleu
from negah.metrics.bootstrap import Interval
from negah.metrics.cider import CiderD, DocumentFrequencies, cider_d
from negah.metrics.result import MeanScore
from negah.metrics.rouge import rouge_l
from negah.metrics.scores import METRICS, CaptionScorer, Scores, score_captions

__all__ = [
    "METRICS",
    "BleuScore",
    "CaptionScorer",
    "CiderD",
    "DocumentFrequencies",
    "Interval",
    "MeanScore",
    "Scores",
    "bleu",
    "cider_d",
    "rouge_l",
    "score_captions",
]
