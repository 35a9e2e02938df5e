"""The interface between decoding and a model, whether PyTorch or ONNX runs it.

Axes: B photos or clips, K hypotheses (beams) of each, V vocabulary, M candidates, F frames, R
regions, S phrases. All arrays are NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.text.vocabulary import Specials

#: The state that a model carries from word to word; opaque to decoding.
State = Any

#: Attention weights and gates of one step, by name; ``docs/explain.md`` measures how far they are
#: evidence: ``gate`` (B, K), ``regions`` (B, K, F, R), ``frames`` (B, K, F), ``phrases`` (B, K, S);
#: float32. Only the keys that the model provides are present.
StepWeights = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Step:
    """The output of one step of a model. Decoding keeps the evidence, so its memory must not be
    reused.

    Attributes:
        logprobs: natural log-probabilities of the next token, float32: (B, K, V), or (B, K, M)
            for the M best candidates of a model that keeps its vocabulary on a GPU.
        state: passed to the next step, after ``reorder``.
        evidence: attention weights and gates of this step.
        candidates: token ids that the last axis of ``logprobs`` stands for, int64 (B, K, M);
            None where that axis is the whole vocabulary.
    """

    logprobs: FloatArray
    state: State
    evidence: StepWeights
    candidates: IntArray | None = None


class StepModel(Protocol):
    """A captioner as decoding sees it."""

    def start(self, features: Any, real_frames: BoolArray | None = None) -> State:
        """Compute once what does not depend on the words. K is 1 in the result.

        ``len(features)`` is B. ``real_frames`` is True where a frame is real and False where it
        pads a shorter clip, bool (B, F); None for all real.
        """
        ...

    def step(self, state: State, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        ...

    def reorder(self, state: State, parents: IntArray) -> State:
        """Hypothesis k of photo b continues hypothesis ``parents[b, k]`` of the same photo.

        ``parents`` is int64 (B, K'); K' may differ from the K of ``state``. Decoding leaves the
        call out where every hypothesis continues itself.
        """
        ...


@runtime_checkable
class Selective(Protocol):
    """A :class:`StepModel` that can drop finished photos from the batch."""

    def select(self, state: State, photos: IntArray) -> State:
        """The state of only the photos at these indices of the batch, int64 (B',), ascending."""
        ...


class Vocabulary(Protocol):
    """The vocabulary of a model as decoding uses it."""

    def __hash__(self) -> int:
        """Results of look-ups are cached for each vocabulary."""
        ...

    @property
    def tokens(self) -> Sequence[str]:
        """The text of every id, as a user would write the word; subwords without their marks."""
        ...

    @property
    def specials(self) -> Specials:
        """The ids of the special tokens."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text from ids, without special tokens."""
        ...
