"""The interface of captioners: a start, a step, and a fast forward pass over known captions.

``start`` and ``step`` are what decoding and the exported graphs use, one word at a time.
``forward`` computes the same numbers for whole captions at once (teacher forcing). Every photo has
K parallel captions: its K references in training, K beams in decoding; computations on the photo
itself are shared.

Axes: B photos or clips, F frames, R regions, C channels, K captions of one photo,
T words, V vocabulary, N all words of a batch that count, in the order (T, B, K).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from negah.errors import UsageError
from negah.kinds import Kinds
from negah.models.concepts import ConceptReader, Concepts
from negah.models.embedding import WordEmbedding
from negah.options import Options

#: Tensors by name. Memory: axis 0 is B. State: axes 0 and 1 are B, K.
Tensors = dict[str, Tensor]


#: Every captioner that a recipe may name, open to other packages.
CAPTIONERS: Kinds[CaptionModel] = Kinds(
    "captioner",
    "negah.captioners",
    {
        "cam-rnn": "negah.models.cam_rnn:CamRnn",
        "show-tell": "negah.models.show_tell:ShowTell",
    },
)


class CaptionerOptions(Options):
    """Base of the options of all captioners; ``kind`` names the captioner."""

    kind: str

    @property
    def reads_concepts(self) -> bool:
        """Whether the captioner needs the concepts of its encoder."""
        return False

    @property
    def table_width(self) -> int | None:
        """Width of the embedding table, from ``word_size`` and ``embedding_size``.

        None for options without these fields, whose table cannot be initialised from vectors.
        """
        width = getattr(self, "word_size", 0) or getattr(self, "embedding_size", None)
        return width if isinstance(width, int) else None


def captioner_options(values: Any, *, where: str = "model") -> CaptionerOptions:
    """Validate the options of a captioner; ``kind`` says which.

    Raises:
        UnknownNameError: a kind that is not registered.
        UsageError: an unknown key, a wrong value, a contradiction.
    """
    options = CAPTIONERS.parse(values, where=where)
    assert isinstance(options, CaptionerOptions)
    return options


def build_captioner(
    options: CaptionerOptions,
    *,
    channels: int,
    vocabulary_size: int,
    concepts: Concepts | None = None,
) -> CaptionModel:
    """A captioner with fresh weights.

    Args:
        options: what to build.
        channels: C, the channels of a region feature.
        vocabulary_size: V, specials included.
        concepts: those of the encoder; None if it has none.

    Raises:
        UsageError: the captioner needs concepts, but there are none.
    """
    captioner = CAPTIONERS.build(options, channels, vocabulary_size)
    if options.reads_concepts and concepts is None:
        raise UsageError(
            "model.concepts=true needs the concepts of the encoder, but it predicts none: set "
            "encoder.concepts=1000, or model.concepts=false"
        )
    if concepts is not None:
        captioner.read_concepts(concepts)
    return captioner


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One step of a captioner.

    Attributes:
        logits: unnormalised scores of the next token, float32 (B, K, V).
        state: the state after it.
        evidence: ``gate`` (B, K), ``regions`` (B, K, F, R), ``frames`` (B, K, F), ``phrases`` (B,
            K, S); only the keys that the model provides.
    """

    logits: Tensor
    state: Tensors
    evidence: Tensors


class CaptionModel(nn.Module):
    """Base of all captioners; one of another package is registered with :data:`CAPTIONERS`.

    It is constructed from its options, C and V, with fresh weights, and has these attributes.

    Attributes:
        options: of the captioner.
        vocabulary_size: V.
        channels: C, of a region feature.
        embedding: the embedding of its input words.
        concepts: the reader of the encoder's concepts; None if it uses none.
        word_parameters: names of its parameters whose first axis is the vocabulary; ``negah train
            --init`` copies them word by word.
    """

    word_parameters: ClassVar[tuple[str, ...]] = (
        "embedding.weight",
        "output.weight",
        "output.bias",
    )
    options: CaptionerOptions

    vocabulary_size: int
    channels: int
    embedding: WordEmbedding
    concepts: ConceptReader | None

    def __init__(self) -> None:
        super().__init__()
        self.concepts = None

    def read_concepts(self, concepts: Concepts) -> None:
        """Share the concepts of an encoder; ignored by captioners that use none."""

    def compile_loop(self, compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
        """Compile the word-by-word part of ``forward``.

        Args:
            compiled: compiles a function (:mod:`negah.models.compiled`).

        Returns:
            whether there is such a part; False by default.
        """
        return False

    @abstractmethod
    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """Compute what does not depend on the words, once per photo.

        Args:
            features_BFRC: region features, float32.
            real_BF: True where a frame is real and False where it is padding; None for all real.

        Returns:
            memory (axis 0 is B) and the first state (axes B, K = 1).
        """

    @abstractmethod
    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        """Read one token of each caption, int64 (B, K), and score the next."""

    @abstractmethod
    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing: score every word given the true words before it.

        Args:
            features_BFRC: region features, float32.
            inputs_BKT: the input captions, ``<SOS> w1 w2 ...``, int64, padded at the right.
            counts_BKT: True where the word after the input is a target.
            real_BF: as in :meth:`start`.

        Returns:
            logits (N, V) for the positions where ``counts_BKT`` holds, in the order of
            :func:`flatten_words`.
        """


def in_float32(tensors: Tensors) -> Tensors:
    """The same with every fraction in float32."""
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def flatten_words(values_BKT: Tensor, counts_BKT: Tensor) -> Tensor:
    """The values that count, in the order (T, B, K) in which ``CaptionModel.forward`` gives logits.

    Args:
        values_BKT: (B, K, T), or with further axes (B, K, T, ...).
        counts_BKT: bool.

    Returns:
        (N,) or (N, ...).
    """
    return values_BKT.movedim(2, 0)[counts_BKT.movedim(2, 0)]


def steps_in_use(counts_BKT: Tensor) -> Iterator[tuple[int, int]]:
    """``(t, width)`` for each step: only the first ``width`` captions of each photo are still
    active.

    With captions sorted from long to short, padding at the end of a batch costs nothing, which
    saves about a fifth of the recurrent work on Flickr8k.
    """
    last_K = counts_BKT.flip(2).to(torch.int8).argmax(2)
    length_BK = torch.where(counts_BKT.any(2), counts_BKT.shape[2] - last_K, 0)
    length_K = length_BK.amax(0)
    # a column is active as long as it or any column after it is
    reach = length_K.flip(0).cummax(0).values.flip(0).tolist()
    for t in range(reach[0] if reach else 0):
        yield t, sum(1 for length in reach if length > t)


def expand_captions(state: Tensors, captions: int) -> Tensors:
    """A state with K = 1 for every photo, repeated for ``captions`` of them without copying."""
    return {name: tensor.expand(-1, captions, *tensor.shape[2:]) for name, tensor in state.items()}


def reorder_state(state: Tensors, parents_BK: Tensor) -> Tensors:
    """Caption k continues caption ``parents_BK[b, k]`` of the same photo."""
    rows_B1 = torch.arange(parents_BK.shape[0], device=parents_BK.device)[:, None]
    return {name: tensor[rows_B1, parents_BK] for name, tensor in state.items()}
