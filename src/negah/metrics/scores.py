"""All metrics at once on plain sentences, with signatures, warnings and confidence intervals.

Scores are on the 0-100 scale of the captioning literature: BLEU and ROUGE-L in percent, CIDEr-D
(0 to 10 in its paper's unit, mostly below 2) times 100 too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from negah import __version__
from negah.errors import DataError, UnknownNameError
from negah.metrics.bleu import BleuScore, bleu, bleu_of
from negah.metrics.bootstrap import Interval, draw, interval
from negah.metrics.cider import MAX_ORDER, SIGMA, CiderD, DocumentFrequencies
from negah.metrics.ngrams import Tokens, as_tokens, check_lengths, checked_references
from negah.metrics.result import MeanScore
from negah.metrics.rouge import BETA, rouge_l
from negah.text import words

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

#: The metrics, in the order of the field's tables.
METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D")

#: One hypothesis for each image, by name or in order.
Hypotheses = Mapping[str, str] | Sequence[str]
#: The references of each image, by name or in order.
References = Mapping[str, Sequence[str]] | Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scores of one set of captions.

    Attributes:
        values: the score of the set by metric, 0-100 scale (CIDEr-D can pass 100).
        signatures: by metric, what the number depends on: ``CIDEr-D|n:4|sigma:6|tok:ptb|...``.
        images: number of images.
        per_image: the score of each image by metric, float64 (N,), same scale. The BLEU of the
            set is not their mean.
        warnings: what makes these numbers mean less than they seem, in sentences.
    """

    values: Mapping[str, float]
    signatures: Mapping[str, str]
    images: int
    per_image: Mapping[str, FloatArray]
    warnings: tuple[str, ...]
    _bleu: BleuScore = field(repr=False)

    def __getitem__(self, metric: str) -> float:
        if metric not in self.values:
            raise UnknownNameError("metric", metric, self.values)
        return self.values[metric]

    def intervals(
        self, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Confidence intervals by bootstrap over images, for every metric, on the same scale.

        CIDEr-D's document frequencies stay those of the whole set.

        Args:
            level: share of the resamples inside the interval, in (0, 1).
            resamples: how many sets of images are drawn.
            seed: of the drawing; the same seed gives the same intervals.

        Raises:
            UsageError: ``level`` or ``resamples`` is out of range.
        """
        counts = draw(self.images, resamples, seed)
        found = interval(counts, self._bleu.statistics, lambda sums: 100 * bleu_of(sums), level)
        means = np.stack([self.per_image["ROUGE-L"], self.per_image["CIDEr-D"]], axis=1)
        found += interval(counts, means, lambda sums: sums / self.images, level)
        return dict(zip(METRICS, found, strict=True))

    def to_dict(
        self, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Any]:
        """JSON-ready, with intervals; numbers are rounded to four decimals."""
        intervals = self.intervals(level=level, resamples=resamples, seed=seed)
        return {
            "images": self.images,
            "scores": {
                metric: {
                    "value": round(value, 4),
                    "low": round(intervals[metric].low, 4),
                    "high": round(intervals[metric].high, 4),
                    "signature": self.signatures[metric],
                }
                for metric, value in self.values.items()
            },
            "interval": {
                "method": "percentile bootstrap over images",
                "level": level,
                "resamples": resamples,
                "seed": seed,
            },
            "warnings": list(self.warnings),
        }


class CaptionScorer:
    """Scores captions against references that are tokenised and counted once.

    For scoring many sets of captions, such as those of each epoch; see :func:`score_captions`
    for the arguments.
    """

    def __init__(
        self,
        references: References,
        *,
        frequencies: DocumentFrequencies | None = None,
        tokenised: bool = False,
    ) -> None:
        self.names = tuple(references) if isinstance(references, Mapping) else None
        self._tokenised = tokenised
        rows = list(references.values()) if isinstance(references, Mapping) else references
        checked_references(rows)
        self._references = [[self._tokens(caption) for caption in captions] for captions in rows]
        self._cider = CiderD(self._references, frequencies=frequencies)
        self._signatures = self._sign(own_frequencies=frequencies is None)

    def score(self, hypotheses: Hypotheses) -> Scores:
        """The scores of one caption for each image.

        Raises:
            DataError: a caption is missing, or one stands for no image.
        """
        given = [self._tokens(caption) for caption in self._in_order(hypotheses)]
        check_lengths(given, self._references)
        bleu_score = bleu(given, self._references)
        rouge = rouge_l(given, self._references)
        cider = self._cider.score(given)
        columns = [*bleu_score.per_caption.T, rouge.per_caption, cider.per_caption]
        corpus = [*bleu_score.corpus, rouge.corpus, cider.corpus]
        warnings = self._warnings(given, cider)
        for warning in warnings:
            logger.warning(warning)
        return Scores(
            values={name: 100 * value for name, value in zip(METRICS, corpus, strict=True)},
            signatures=self._signatures,
            images=len(given),
            per_image={name: 100 * column for name, column in zip(METRICS, columns, strict=True)},
            warnings=warnings,
            _bleu=bleu_score,
        )

    def _tokens(self, caption: str) -> Tokens:
        return as_tokens(caption) if self._tokenised else tuple(words(caption))

    def _in_order(self, hypotheses: Hypotheses) -> Sequence[str]:
        if self.names is None and not isinstance(hypotheses, Mapping):
            return hypotheses
        if self.names is None or not isinstance(hypotheses, Mapping):
            raise DataError(
                "hypotheses and references are both by name (mappings) or both in order"
                " (sequences), not one of each"
            )
        missing = sorted(set(self.names) - set(hypotheses))
        unknown = sorted(set(hypotheses) - set(self.names))
        if missing or unknown:
            raise DataError(
                f"{len(missing)} images have references but no hypothesis ({_some(missing)}) and"
                f" {len(unknown)} a hypothesis but no references ({_some(unknown)}); give exactly"
                " one hypothesis for each image"
            )
        return [hypotheses[name] for name in self.names]

    def _sign(self, *, own_frequencies: bool) -> dict[str, str]:
        numbers = sorted({len(row) for row in self._references})
        references = "-".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        tokenizer = "none" if self._tokenised else "ptb"
        common = f"tok:{tokenizer}|nrefs:{references}|v:{__version__}"
        source = "refs" if own_frequencies else f"given-{self._cider.frequencies.images}"
        signatures = {f"BLEU-{n}": f"BLEU-{n}|reflen:closest|smooth:none" for n in range(1, 5)}
        signatures["ROUGE-L"] = f"ROUGE-L|beta:{BETA:g}"
        signatures["CIDEr-D"] = f"CIDEr-D|n:{MAX_ORDER}|sigma:{SIGMA:g}|df:{source}"
        return {name: f"{signature}|{common}" for name, signature in signatures.items()}

    def _warnings(self, hypotheses: list[Tokens], cider: MeanScore) -> tuple[str, ...]:
        found = []
        images = len(hypotheses)
        if images == 1:
            found.append(
                "a single image: CIDEr-D is 0 by its definition where document frequencies come"
                " from these references, and no interval says anything"
            )
        elif not cider.per_caption.any():
            found.append(
                "CIDEr-D is 0 for every image: no caption shares an informative n-gram with its"
                " references, or all images share their references"
            )
        empty = sum(not tokens for tokens in hypotheses)
        if empty:
            found.append(f"{empty} of {images} captions have no words and score 0")
        if images > 1 and len(set(hypotheses)) == 1:
            found.append("every image has the same caption")
        return tuple(found)


def score_captions(
    hypotheses: Hypotheses,
    references: References,
    *,
    frequencies: DocumentFrequencies | None = None,
    tokenised: bool = False,
) -> Scores:
    """BLEU-1..4, ROUGE-L and CIDEr-D of one caption for each image.

    Args:
        hypotheses: raw sentences, by image name or in order.
        references: for each image its raw reference sentences, in the same way.
        frequencies: CIDEr-D's document frequencies; by default those of ``references``.
        tokenised: the sentences are tokenised already: tokens with spaces between them.

    Raises:
        DataError: no images, one without references, or names or numbers that do not match.
    """
    return CaptionScorer(references, frequencies=frequencies, tokenised=tokenised).score(hypotheses)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "none"
