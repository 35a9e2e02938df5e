"""The names of the metrics, and what stands with every number: on what it depends.

A signature such as ``CIDEr-D|n:4|sigma:6|df:refs|tok:ptb|nrefs:5|v:0.1.0`` says the variant, the
tokenisation, the number of references and the version. Two numbers are comparable only where
their signatures are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from negah import __version__
from negah.arrays import IntArray
from negah.errors import UnknownNameError, UsageError
from negah.metrics.bleu import ReferenceLength
from negah.metrics.cider import SIGMA
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.ngrams import MAX_ORDER
from negah.metrics.rouge import BETA

BLEU = tuple(f"BLEU-{order}" for order in range(1, MAX_ORDER + 1))
METEOR = "METEOR"
ROUGE_L = "ROUGE-L"
CIDER = "CIDEr"
CIDER_D = "CIDEr-D"

#: Every metric, in the order of the field's tables.
METRICS = (*BLEU, METEOR, ROUGE_L, CIDER, CIDER_D)


def default_metrics() -> tuple[str, ...]:
    """What is computed unless metrics are named: all but CIDEr, and METEOR if its data is there."""
    from negah.metrics.meteor import meteor_available

    absent = {CIDER} if meteor_available() else {CIDER, METEOR}
    return tuple(name for name in METRICS if name not in absent)


def chosen_metrics(metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics named, checked and in the order of :data:`METRICS`; None for the default ones.

    Raises:
        UnknownNameError: there is no such metric.
        UsageError: none is named, or one string stands for a list.
    """
    if metrics is None:
        return default_metrics()
    if isinstance(metrics, str) or not metrics:
        raise UsageError(f"metrics is {metrics!r}; give a list of {', '.join(METRICS)}")
    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    return tuple(name for name in METRICS if name in metrics)


def signatures(
    metrics: Sequence[str],
    *,
    tokenizer: str,
    reference_numbers: IntArray,
    frequencies: DocumentFrequencies | None,
    reference_length: ReferenceLength,
) -> dict[str, str]:
    """The signature of each metric.

    Args:
        metrics: their names.
        tokenizer: ``ptb``, or ``none`` for text that came tokenised.
        reference_numbers: of each image.
        frequencies: those given from elsewhere.
        reference_length: of BLEU.
    """
    lowest, highest = reference_numbers.min(), reference_numbers.max()
    references = f"{lowest}" if lowest == highest else f"{lowest}-{highest}"
    common = f"tok:{tokenizer}|nrefs:{references}|v:{__version__}"
    source = "refs" if frequencies is None else f"given-{frequencies.images}"
    variants = {name: f"{name}|reflen:{reference_length}|smooth:none" for name in BLEU}
    variants[ROUGE_L] = f"{ROUGE_L}|beta:{BETA:g}"
    variants[CIDER] = f"{CIDER}|n:{MAX_ORDER}|stem:porter|df:{source}"
    variants[CIDER_D] = f"{CIDER_D}|n:{MAX_ORDER}|sigma:{SIGMA:g}|df:{source}"
    if METEOR in metrics:
        from negah.metrics.meteor import METEOR_SIGNATURE

        variants[METEOR] = METEOR_SIGNATURE
    return {name: f"{variants[name]}|{common}" for name in metrics}
