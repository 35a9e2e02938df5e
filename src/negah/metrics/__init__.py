"""References and captions to scores: the standard metrics with error bars, without Java.

:func:`score` and :class:`CaptionScorer` take plain sentences and give scores on the 0-100 scale
with signatures, intervals, paired tests, a view of the captions' variety, and warnings.
:class:`Accumulator` does the same for captions that come in parts. The functions named after a
metric take tokens, as :func:`negah.text.words` gives them, and keep the unit of the metric's paper.
"""

from __future__ import annotations

from negah.metrics.accumulator import Accumulator
from negah.metrics.bleu import BleuScore, ReferenceLength, bleu
from negah.metrics.bootstrap import Interval
from negah.metrics.cider import Cider, CiderD, cider, cider_d
from negah.metrics.diversity import Diversity, diversity, self_cider
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.result import MeanScore
from negah.metrics.rouge import rouge_l
from negah.metrics.scores import Scores
from negah.metrics.scoring import CaptionScorer, score
from negah.metrics.signatures import METRICS, default_metrics
from negah.metrics.significance import Comparison, compare

__all__ = [
    "METRICS",
    "Accumulator",
    "BleuScore",
    "CaptionScorer",
    "Cider",
    "CiderD",
    "Comparison",
    "Diversity",
    "DocumentFrequencies",
    "Interval",
    "MeanScore",
    "ReferenceLength",
    "Scores",
    "bleu",
    "cider",
    "cider_d",
    "compare",
    "default_metrics",
    "diversity",
    "rouge_l",
    "score",
    "self_cider",
]
