"""GIT (J. Wang et al., TMLR 2022, arXiv:2205.14100): one transformer reads the picture's tokens
and then the words.

The tokens of the frames attend to each other but not to words. Their keys and values are computed
once per photo or clip, and precede those of the words of all its hypotheses.

Axes: B photos or clips, F frames, K hypotheses of each, N = B * K, R tokens of a frame, P = F * R,
C channels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding import Step, StepModel
from negah.hf.family import Family
from negah.hf.steps import (
    AttentionRecorder,
    HeldLayer,
    Pair,
    cell_weights,
    check_length,
    held_pairs,
    rows_of,
    to_step,
    watched,
)


class Git(Family):
    """``GitForCausalLM``."""

    model_class = "GitForCausalLM"

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self.frames = model.config.num_image_with_embedding or 1
        self.generation = model.generation_config
        start = self.generation.bos_token_id
        self.prefix = (model.config.bos_token_id if start is None else start,)
        end = self.generation.eos_token_id
        self.end = model.config.eos_token_id if end is None else end
        self.positions = model.config.max_position_embeddings
        self.size = model.config.vocab_size

    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """The last hidden states of the ViT: the picture as a whole, then its patches."""
        hidden_NRC: Tensor = self._model.git.image_encoder(pixels_N3HW).last_hidden_state
        return hidden_NRC

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches."""
        patch = self._model.config.vision_config.patch_size
        return height // patch, width // patch

    def steps(self, cells: int) -> StepModel:
        """By self-attention over the tokens of the frames and the words."""
        return GitSteps(self._model, self.frames, self.positions, cells)


@dataclass(frozen=True)
class GitState:
    """The state of hypotheses between words.

    Attributes:
        prefix: keys and values of the frames' tokens, by layer, each (B, H, P, C / H).
        own: keys and values of the words, by layer, each (N, H, T, C / H).
        frames: F.
        hidden: 0 for a token of a real frame, -inf for padding, (B, 1, 1, P); None for all real.
    """

    prefix: tuple[Pair, ...]
    frames: int
    hidden: Tensor | None
    own: tuple[Pair, ...] = ()


class _AfterPrefix(HeldLayer):  # type: ignore[no-untyped-call] # of __init_subclass__
    """The cache of a layer whose rows share the keys and values of their photo's tokens."""

    def __init__(self, prefix: Pair, own: Pair) -> None:
        super().__init__(own)
        self._prefix = prefix

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Pair:
        """Add a token to each row; gives all keys and values that it sees."""
        own = super().update(key_states, value_states)
        each = len(key_states) // len(self._prefix[0])
        keys, values = (
            torch.cat([before.repeat_interleave(each, 0), after], dim=2)
            for before, after in zip(self._prefix, own, strict=True)
        )
        return keys, values


class GitSteps:
    """The :class:`~negah.decoding.StepModel` of GIT.

    The evidence is ``regions`` (B, K, F, cells), each frame summing to 1, and of a model of clips
    ``frames`` (B, K, F): the attention of the word to the cells of the frames when it was chosen,
    as the mean of all heads of all layers. Attention to words, and to the token of the whole
    frame, is left out. It is an output of the model, not proof of what it saw.

    Args:
        model: of transformers.
        frames: maximum number of frames of a clip; if above 1, each has a position embedding.
        positions: maximum number of tokens.
        cells: of the picture's grid, the last of a frame's tokens; 0 for no evidence.
    """

    def __init__(self, model: Any, frames: int, positions: int, cells: int) -> None:
        self._git = model.git
        self._output = model.output
        self._frames = frames
        self._positions = positions
        self._cells = cells
        _watch_attention(layer.attention.self for layer in self._git.encoder.layer)

    @torch.inference_mode()
    def start(self, features: FloatArray, real_frames: BoolArray | None = None) -> GitState:
        """Read the frames.

        As in transformers, the frames of a clip have position embeddings, and photos and clips of
        one frame have none.

        Args:
            features: float32 (B, F, R, C).
            real_frames: True where a frame is real, bool (B, F); None for all.
        """
        _, count, tokens, _ = features.shape
        hidden_BFRC = torch.from_numpy(np.ascontiguousarray(features))
        if count > 1:
            places_FC = torch.cat([*self._git.img_temporal_embedding[:count]], dim=1)[0]
            hidden_BFRC = hidden_BFRC + places_FC[:, None]
        seen_BPC = self._git.visual_projection(hidden_BFRC.flatten(1, 2))
        hidden = None
        if real_frames is not None and not real_frames.all():
            real_BP = torch.from_numpy(np.repeat(real_frames, tokens, axis=1))
            hidden = torch.zeros(real_BP.shape).masked_fill(~real_BP, -torch.inf)[:, None, None]
        cache = DynamicCache()
        self._git.encoder(seen_BPC, hidden, cache)
        return GitState(held_pairs(cache), count, hidden)

    @torch.inference_mode()
    def step(self, state: GitState, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        photos, beams = tokens.shape
        tokens_N1 = torch.from_numpy(np.ascontiguousarray(tokens)).reshape(-1, 1)
        read = state.own[0][0].shape[2] if state.own else 0
        check_length(read + 1, self._positions)
        words_N1C = self._git.embeddings(tokens_N1, position_ids=torch.tensor([[read]]))
        mask = None
        if state.hidden is not None:
            mask = nn.functional.pad(state.hidden.repeat_interleave(beams, 0), (0, read + 1))
        cache = self._cache(state, photos * beams)
        watch = AttentionRecorder(photos, 1)
        token = watched.set(watch)
        try:
            hidden_N1C = self._git.encoder(words_N1C, mask, cache).last_hidden_state
        finally:
            watched.reset(token)
        evidence = self._evidence(watch, state, (photos, beams)) if self._cells else {}
        after = replace(state, own=held_pairs(cache))
        return to_step(self._output(hidden_N1C[:, -1]), after, evidence, photos)

    @torch.inference_mode()
    def reorder(self, state: GitState, parents: IntArray) -> GitState:
        """Hypothesis k of photo b continues ``parents[b, k]``; the frames do not move."""
        if not state.own:  # no token was read: all hypotheses are alike
            return state
        rows = rows_of(parents, len(state.own[0][0]) // len(parents))
        own = tuple((keys[rows], values[rows]) for keys, values in state.own)
        return replace(state, own=own)

    def _cache(self, state: GitState, rows: int) -> Any:
        cache = DynamicCache()
        for i, (keys, values) in enumerate(state.prefix):
            empty = keys.new_empty((rows, keys.shape[1], 0, keys.shape[3]))
            own = state.own[i] if state.own else (empty, empty)
            cache.layers.append(_AfterPrefix((keys, values), own))
        return cache

    def _evidence(
        self, watch: AttentionRecorder, state: GitState, shape: tuple[int, int]
    ) -> dict[str, Tensor]:
        tokens = state.prefix[0][0].shape[2]
        weights_NP = watch.mean()[:, -1, :tokens]
        weights_BKFR = weights_NP.reshape(*shape, state.frames, -1)
        first = weights_BKFR.shape[3] - self._cells
        evidence = {"regions": cell_weights(weights_BKFR, first, self._cells)}
        if self._frames > 1:
            mass_BKF = weights_BKFR[..., first:].sum(-1)
            evidence["frames"] = mass_BKF / mass_BKF.sum(-1, keepdim=True).clamp_min(1e-30)
        return evidence


def _watch_attention(modules: Iterable[nn.Module]) -> None:
    """Let modules of self-attention leave their weights to the :class:`AttentionRecorder`."""

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        watch = watched.get()
        if watch is not None:
            watch.add(output[1])

    for module in modules:
        module.register_forward_hook(leave)
