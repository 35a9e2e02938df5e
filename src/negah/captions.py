"""The results of captioning: a caption with, for every word, its probability and evidence.

``gate``, ``regions``, ``frames`` and ``phrases`` are outputs of the model. ``docs/explain.md``
measures how well they show where a word comes from; :attr:`Word.map` is computed for that purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from negah.arrays import FloatArray
from negah.text.languages import DEFAULT

#: A word with a lower ``seen`` is more likely unsupported by the picture than supported.
DOUBTFUL = 0.5


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a caption.

    Attributes:
        text: the word as printed.
        logprob: natural logarithm of its probability given the words before, in nats (<= 0).
        gate: the factor on the attended regions when the word is chosen, in [0, 1]; it does not
            measure how far the picture supports the word (``seen`` does); None for models without a
            gate.
        regions: attention over the grid cells, float32 of shape (frames, rows, columns),
            each frame summing to 1; None for models without region attention.
        frames: attention over the frames, float32 of shape (frames,), summing to 1, or None.
        phrases: attention over the phrases that end the words before, float32 of shape (S,):
            the last word, the last two words, ...; sums to 1; None for models without it.
        map: how much each place of the picture supports the word, float32 (frames, rows, columns),
            as a method of evidence measured it (:func:`negah.explain`): in nats, or shares of
            attention; below 0 where the place lowers the probability of the word. None if not
            requested.
        seen: the calibrated probability, in [0, 1], that the picture supports the word; None for
            function words, and for models that have not been calibrated (``negah calibrate``).
    """

    text: str
    logprob: float
    gate: float | None = None
    regions: FloatArray | None = None
    frames: FloatArray | None = None
    phrases: FloatArray | None = None
    map: FloatArray | None = None
    seen: float | None = None

    @property
    def doubtful(self) -> bool:
        """Whether the picture probably does not support the word; False if ``seen`` is None."""
        return self.seen is not None and self.seen < DOUBTFUL

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; weights are rounded to four decimals, absent evidence is left out."""
        row: dict[str, Any] = {"text": self.text, "logprob": round(self.logprob, 4)}
        if self.seen is not None:
            row["seen"] = round(self.seen, 4)
        if self.gate is not None:
            row["gate"] = round(self.gate, 4)
        for name in ("regions", "frames", "phrases", "map"):
            weights = getattr(self, name)
            if weights is not None:
                row[name] = np.round(weights.astype(np.float64), 4).tolist()
        return row


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption of one photo or clip.

    Attributes:
        text: the sentence, detokenized.
        score: the length-normalised log-probability by which captions are ranked, in nats.
        logprob: sum of the log-probabilities of its words and of the end token, in nats.
        words: the words with their evidence, in order; the end token is not among them.
        times: the time of each frame in seconds, shape (frames,); (0.0,) for a photo.
        alternatives: further captions of the same file, best first (``n_best`` > 1).
        warnings: why the caption may not cover the whole file, one clause each, such as "read only
            in part: 48% of its rows"; usually empty.
        confidence: the calibrated probability, in [0, 1], that the picture supports all of its
            content words; None for models that have not been calibrated.
        language: the code of its language: "en", "fa".
    """

    text: str
    score: float
    logprob: float
    words: tuple[Word, ...]
    times: tuple[float, ...] = (0.0,)
    alternatives: tuple[Caption, ...] = field(default=())
    warnings: tuple[str, ...] = ()
    confidence: float | None = None
    language: str = DEFAULT

    def to_dict(self, *, words: bool = True) -> dict[str, Any]:
        """JSON-ready, alternatives included; ``language`` is included if it is not English.

        Args:
            words: whether to include the words and their evidence, which take most of the time.
        """
        row: dict[str, Any] = {
            "caption": self.text,
            **({} if self.language == DEFAULT else {"language": self.language}),
            "score": round(self.score, 4),
            "logprob": round(self.logprob, 4),
            **({} if self.confidence is None else {"confidence": round(self.confidence, 4)}),
            "times": [round(time, 3) for time in self.times],
            **({"words": [word.to_dict() for word in self.words]} if words else {}),
        }
        if self.alternatives:
            row["alternatives"] = [other.to_dict(words=words) for other in self.alternatives]
        if self.warnings:
            row["warnings"] = list(self.warnings)
        return row


@dataclass(frozen=True, slots=True)
class SceneCaption:
    """The caption of one part of a clip.

    Attributes:
        start: of the part, in seconds of the clip's playback time.
        end: of the part, in seconds, exclusive.
        caption: of the part; its ``times`` are seconds of the whole clip.
    """

    start: float
    end: float
    caption: Caption

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: ``start`` and ``end``, then what :meth:`Caption.to_dict` gives."""
        span = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {**span, **self.caption.to_dict()}
