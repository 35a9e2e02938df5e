"""The step model of captioners with cross-attention to the picture: BLIP, Florence-2 and
vision-encoder-decoder models.

transformers runs the layers; the keys and values of the words are tensors of an immutable state,
which is reordered with the beams. Data of a photo is stored once: its K hypotheses are K queries of
one photo in the cross-attention (:func:`share_attention`), so its keys and values are computed
once, never repeated and never moved. The model keeps no state between calls, so batches may run in
parallel.

Axes: B photos, F = 1 frame, K hypotheses of each, N = B * K, T tokens, R regions, C channels,
H heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding import Step
from negah.errors import UsageError

#: Keys and values of a layer.
Pair = tuple[Tensor, Tensor]


@dataclass
class AttentionRecorder:
    """Data for the layers of one call, and a place for their attention.

    Attributes:
        photos: B.
        tokens: T.
        total: sum over the layers of the mean of their heads.
        layers: number of layers added.
    """

    photos: int
    tokens: int
    total: Tensor | None = None
    layers: int = 0

    def add(self, weights: Tensor) -> None:
        """Add the weights (rows, H, queries, R) of a layer."""
        mean = weights.mean(1)
        self.total = mean if self.total is None else self.total + mean
        self.layers += 1

    def mean(self) -> Tensor:
        """Over layers and heads: (rows, queries, R)."""
        assert self.total is not None
        return self.total / self.layers


#: Of the call that this thread is in; calls of others, such as ``generate``, have none.
watched: ContextVar[AttentionRecorder | None] = ContextVar("watched", default=None)


class HeldLayer(DynamicLayer):  # type: ignore[no-untyped-call] # of __init_subclass__
    """The cache of a layer, initialised with given keys and values."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(*pair)
        self.keys, self.values = pair


def held_cache(pairs: Iterable[Pair]) -> Any:
    """A cache of transformers with the keys and values of each layer."""
    cache = DynamicCache()
    cache.layers.extend(map(HeldLayer, pairs))
    return cache


def held_pairs(cache: Any) -> tuple[Pair, ...]:
    """The keys and values of each layer of a cache."""
    return tuple((layer.keys, layer.values) for layer in cache.layers)


def share_attention(modules: Iterable[nn.Module]) -> None:
    """Make modules of cross-attention treat the K hypotheses of a photo as queries of one photo.

    A module is called with the hidden states (N, T, C) of the words first, and returns those after
    attention and the weights (rows, H, queries, R). Queries do not attend to each other, so the
    result is the same; the keys and values of B photos are used for all N. Calls outside of
    :class:`CrossAttentionSteps` are not changed.
    """
    for module in modules:
        module.register_forward_pre_hook(_gather_queries, with_kwargs=True)
        module.register_forward_hook(_scatter_queries, with_kwargs=True)


def _gather_queries(module: nn.Module, args: Any, kwargs: Any) -> Any:
    watch = watched.get()
    if watch is None:
        return None
    first = args[0] if args else kwargs["hidden_states"]
    gathered = first.reshape(watch.photos, -1, first.shape[-1])
    return (
        ((gathered, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": gathered})
    )


def _scatter_queries(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
    watch = watched.get()
    if watch is None:
        return None
    after, weights, *others = output
    watch.add(weights)
    return (after.reshape(-1, watch.tokens, after.shape[-1]), weights, *others)


def cell_weights(weights: Tensor, first: int, cells: int) -> Tensor:
    """The weights of a picture's cells (..., cells) among those of its tokens (..., R), sum 1.

    Tokens before ``first``, such as the one of the whole picture, are left out.
    """
    cell = weights[..., first : first + cells]
    return cell / cell.sum(-1, keepdim=True).clamp_min(1e-30)


def check_length(tokens: int, positions: int) -> None:
    """Raise UsageError if more tokens are read than the decoder has positions."""
    if tokens > positions:
        raise UsageError(
            f"this model reads {positions} tokens of a caption at most: lower max_length"
        )


def split_rows(values_N: Tensor, photos: int) -> Tensor:
    """(N, ...) -> (B, K, ...)."""
    return values_N.reshape(photos, -1, *values_N.shape[1:])


def to_step(logits_NV: Tensor, state: Any, evidence: dict[str, Tensor], photos: int) -> Step:
    """A decoding step with float32 log-probabilities of the whole vocabulary."""
    logprobs_BKV = split_rows(logits_NV.float().log_softmax(-1), photos)
    arrays = {name: values.float().numpy() for name, values in evidence.items()}
    return Step(logprobs_BKV.numpy(), state, arrays)


def rows_of(parents_BK: IntArray, before: int) -> Tensor:
    """The index among N = B * ``before`` rows that each new row continues, (B * K',)."""
    first_B1 = np.arange(len(parents_BK))[:, None] * before
    return torch.from_numpy((first_B1 + parents_BK).reshape(-1))


class CrossDecoder(Protocol):
    """The decoder of a family."""

    def memory(self, features_BRC: Tensor) -> Tensor:
        """The memory that words attend to, (B, R', C'); the first R rows are the picture."""
        ...

    def logits(self, tokens_NT: Tensor, memory_BRC: Tensor, cache: Any) -> Tensor:
        """Scores (N, T, V) of the next token after each token; extends the cache."""
        ...


@dataclass(frozen=True)
class CrossState:
    """The state of hypotheses between words.

    Attributes:
        memory: of the photos, (B, R', C').
        first: the first token of the memory that is a cell of the picture.
        own: keys and values of the words, by layer, each (N, H, T, C / H).
        cross: keys and values of the memory, by layer, each (B, H, R', C / H); empty until a
            token was read.
    """

    memory: Tensor
    first: int
    own: tuple[Pair, ...] = ()
    cross: tuple[Pair, ...] = ()


class CrossAttentionSteps:
    """The :class:`~negah.decoding.StepModel` of a decoder with cross-attention.

    The evidence is ``regions`` (B, K, 1, cells): the attention of the word to the cells of the
    picture when it was chosen, as the mean of all heads of all layers, without tokens that are not
    cells. It is an output of the model, not proof of what it saw.

    Args:
        decoder: of the family, with modules changed by :func:`share_attention`.
        prefix: the tokens before the first word; all but the last are read in :meth:`start`.
        positions: maximum number of tokens.
        cells: of the picture's grid, the last of a picture's tokens; 0 for no evidence.
    """

    def __init__(
        self, decoder: CrossDecoder, prefix: tuple[int, ...], positions: int, cells: int
    ) -> None:
        self._decoder = decoder
        self._positions = positions
        self._prefix = prefix
        self._cells = cells

    @torch.inference_mode()
    def start(self, features: FloatArray, real_frames: BoolArray | None = None) -> CrossState:
        """Read the pictures and the tokens before the first word.

        Args:
            features: float32 (B, 1, R, C).
            real_frames: bool (B, 1), all True.

        Raises:
            UsageError: several frames.
        """
        if features.shape[1] != 1:
            raise UsageError(
                f"this model sees one frame of a clip, and was given {features.shape[1]}"
            )
        memory = self._decoder.memory(torch.from_numpy(np.ascontiguousarray(features[:, 0])))
        state = CrossState(memory, first=features.shape[2] - self._cells)
        if len(self._prefix) > 1:
            tokens = torch.tensor(self._prefix[:-1]).expand(len(features), -1)
            _, state, _ = self._read(state, tokens)
        return state

    @torch.inference_mode()
    def step(self, state: CrossState, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        tokens_N1 = torch.from_numpy(np.ascontiguousarray(tokens)).reshape(-1, 1)
        logits_NTV, after, seen_BKR = self._read(state, tokens_N1)
        evidence = {}
        if self._cells:
            cells_BKC = cell_weights(seen_BKR, state.first, self._cells)
            evidence["regions"] = cells_BKC.unsqueeze(2)
        return to_step(logits_NTV[:, -1], after, evidence, len(tokens))

    @torch.inference_mode()
    def reorder(self, state: CrossState, parents: IntArray) -> CrossState:
        """Hypothesis k of photo b continues ``parents[b, k]``; the memory does not move."""
        if not state.own:  # no token was read: all hypotheses are alike
            return state
        rows = rows_of(parents, len(state.own[0][0]) // len(parents))
        own = tuple((keys[rows], values[rows]) for keys, values in state.own)
        return replace(state, own=own)

    def _read(self, state: CrossState, tokens_NT: Tensor) -> tuple[Tensor, CrossState, Tensor]:
        read = state.own[0][0].shape[2] if state.own else 0
        check_length(read + tokens_NT.shape[1], self._positions)
        cache = EncoderDecoderCache(held_cache(state.own), held_cache(state.cross))
        watch = AttentionRecorder(len(state.memory), tokens_NT.shape[1])
        token = watched.set(watch)
        try:
            logits = self._decoder.logits(tokens_NT, state.memory, cache)
        finally:
            watched.reset(token)
        own = held_pairs(cache.self_attention_cache)
        cross = held_pairs(cache.cross_attention_cache)
        return logits, replace(state, own=own, cross=cross), watch.mean()
