"""What captioning returns: a caption and, for every word, what the model did to choose it.

``gate``, ``regions``, ``frames`` and ``phrases`` are outputs of the model. How far they tell where
a word comes from is measured in ``docs/explain.md``; :attr:`Word.map` is made to tell it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from negah.arrays import FloatArray
from negah.text.languages import DEFAULT

#: A word that is seen with less is more likely not there than there.
DOUBTFUL = 0.5


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a caption.

    Attributes:
        text: the word as printed.
        logprob: natural logarithm of its probability given the words before, in nats (<= 0).
        gate: what the model multiplies the regions by before it chooses the word, in [0, 1]; it
            does not tell how far the picture supports the word (``seen`` does); None for models
            without a gate.
        regions: attention over the grid cells, float32 of shape (frames, rows, columns),
            each frame summing to 1; None for models without region attention.
        frames: attention over the frames, float32 of shape (frames,), summing to 1, or None.
        phrases: attention over the phrases that end the words before, float32 of shape (S,):
            the last word, the last two words, ...; sums to 1; None for models without it.
        map: how much each place of the picture supports the word, float32 (frames, rows, columns),
            as a method of evidence measured it (:func:`negah.explain`): in nats, or shares of
            attention; below 0 where the place speaks against the word. None where none was asked.
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
        """Whether the picture more likely does not support the word; False where nobody knows."""
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
        score: what the decoder ranked by: the length-normalised log-probability, in nats.
        logprob: sum of the log-probabilities of its words and of the end token, in nats.
        words: the words with their evidence, in order; the end token is not among them.
        times: the time of each frame in seconds, shape (frames,); (0.0,) for a photo.
        alternatives: further captions of the same file, best first (``n_best`` > 1).
        warnings: why it may not tell all of the file, each in a clause, such as "read only in
            part: 48% of its rows"; empty as a rule.
        confidence: the calibrated probability, in [0, 1], that the picture supports all of its
            content words; None for models that have not been calibrated.
        language: that it is written in, by its code: "en", "fa".
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
        """JSON-ready, alternatives included; ``language`` stands there if it is not English.

        Args:
            words: whether with the words and their evidence, which is most of the work.
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
        start: of the part, in seconds as a player counts them.
        end: likewise; the part is shown until just before.
        caption: its caption; ``times`` are seconds of the clip, not of the part.
    """

    start: float
    end: float
    caption: Caption

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: ``start`` and ``end``, then what :meth:`Caption.to_dict` gives."""
        span = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {**span, **self.caption.to_dict()}
