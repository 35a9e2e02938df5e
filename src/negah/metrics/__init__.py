"""References and captions to scores: the standard metrics with error bars, without Java.

:func:`score` and :class:`CaptionScorer` take plain sentences and return scores on the 0-100 scale
with signatures, confidence intervals, paired tests, diversity statistics and warnings. Every metric
is one of :data:`METRICS`, and another package may add its own: see :class:`Metric`.
:class:`Accumulator` does the same for captions that arrive in batches. The functions named after a
metric take tokens, as :func:`negah.text.words` gives them, and keep the unit of the metric's paper.
"""

from __future__ import annotations

from negah.metrics.accumulator import Accumulator
from negah.metrics.bleu import BleuScore, bleu
from negah.metrics.bootstrap import Interval
from negah.metrics.captions import Captions, WordIds
from negah.metrics.catalogue import METRICS, default_metrics
from negah.metrics.cider import Cider, CiderD, cider, cider_d
from negah.metrics.digests import Digests
from negah.metrics.diversity import Diversity, diversity, self_cider
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.metric import CaptionSet, MeanMetric, Metric, ReferenceSet
from negah.metrics.ngrams import NgramTable
from negah.metrics.references import Matched, Shared, TokenisedReferences
from negah.metrics.result import MeanScore
from negah.metrics.rouge import rouge_l
from negah.metrics.scores import CaptionStatistics, Scores
from negah.metrics.scoring import CaptionScorer, score
from negah.metrics.settings import ReferenceLength, Settings, SettingValues
from negah.metrics.significance import Comparison, compare

__all__ = [
    "METRICS",
    "Accumulator",
    "BleuScore",
    "CaptionScorer",
    "CaptionSet",
    "CaptionStatistics",
    "Captions",
    "Cider",
    "CiderD",
    "Comparison",
    "Digests",
    "Diversity",
    "DocumentFrequencies",
    "Interval",
    "Matched",
    "MeanMetric",
    "MeanScore",
    "Metric",
    "NgramTable",
    "ReferenceLength",
    "ReferenceSet",
    "Scores",
    "SettingValues",
    "Settings",
    "Shared",
    "TokenisedReferences",
    "WordIds",
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
