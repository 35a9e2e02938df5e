"""CAM-RNN: a recurrent captioner that attends to regions, frames and its own phrases.

B. Zhao, X. Li, X. Lu, IEEE Transactions on Image Processing 28(11), 2019, with the decisions of
``docs/cam-rnn.md`` where the paper is silent. A photo is a clip of one frame. A gate scales the
visual feature at every word, and the weights of all three attentions are outputs.

Axes: B photos or clips, F frames, R regions, C channels of the encoder, K captions of one
photo, T words, N words that count, M visual size, D hidden size, A attention size,
E embedding size, P phrase size, S phrase lengths, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models.attention import (
    FrameAttention,
    PhraseAttention,
    RegionAttention,
    RegionLooks,
    can_fuse,
    with_idle,
)
from negah.models.caption_model import (
    CAPTIONERS,
    CaptionerOptions,
    CaptionModel,
    StepOutput,
    Tensors,
    expand_captions,
    flatten_words,
    in_float32,
    steps_in_use,
)
from negah.models.cells import StepLinear, gathered, make_cell
from negah.models.concepts import ConceptReader, Concepts
from negah.models.embedding import WordEmbedding
from negah.text import PAD

#: Bias with which the gate of the concepts starts: an eighth open.
_HARDLY_OPEN = -2.0


class CamRnnOptions(CaptionerOptions):
    """Sizes and parts of a CAM-RNN. The five ablations of the paper differ in the first three."""

    kind: Literal["cam-rnn"] = "cam-rnn"
    visual: Literal["mean", "frames", "regions"] = Field(
        "regions",
        description="mean: no attention (None-RNN); frames: attention over frames (Frame-RNN); "
        "regions: over regions and frames (Visual-RNN and above)",
    )
    text_attention: bool = Field(True, description="attend to phrases (VT-RNN and above)")
    gate: bool = Field(True, description="gate between picture and language (CAM-RNN)")
    region_query: Literal["none", "hidden"] = Field(
        "hidden",
        description="none: region attention once per clip, as in the paper; hidden: for every word",
    )
    phrases: int = Field(3, ge=1, le=8, description="S, the longest phrase attended to, in words")
    cell: Literal["lstm", "gru", "gru-no-reset", "rnn"] = Field(
        "lstm", description="the generator's cell"
    )
    visual_input: bool = Field(
        True, description="the cell reads the word and V_t; False: only the word"
    )
    embedding_size: int = Field(384, ge=1, le=4096, description="E")
    word_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="width of the table of word vectors, which a learned linear map projects to "
        "E; 0: E, without a map",
    )
    hidden_size: int = Field(384, ge=1, le=4096, description="D")
    visual_size: int = Field(384, ge=1, le=4096, description="M, region features after projection")
    attention_size: int = Field(256, ge=1, le=4096, description="A")
    phrase_size: int = Field(256, ge=1, le=4096, description="P")
    tie_embeddings: bool = Field(False, description="tie the input and output embeddings")
    concepts: bool = Field(
        False,
        description="add the encoder's concepts to the word scores, scaled by a gate",
    )
    dropout: float = Field(0.4, ge=0, lt=1, description="on words, regions and before the output")

    @property
    def reads_concepts(self) -> bool:
        """As ``concepts`` says."""
        return self.concepts

    @model_validator(mode="after")
    def _agree(self) -> CamRnnOptions:
        if self.gate and self.visual == "mean" and not self.text_attention:
            raise ValueError(
                "a gate needs a text feature besides the picture: set text_attention, or gate=false"
            )
        if self.tie_embeddings and self.word_size not in (0, self.embedding_size):
            raise ValueError(
                "tie_embeddings needs a table of width embedding_size: set tie_embeddings=false, "
                "or word_size=0"
            )
        return self


@CAPTIONERS.register("cam-rnn", CamRnnOptions)
class CamRnn(CaptionModel):
    """The co-attention captioner.

    With ``concepts``, a second gate computed from the state scales the support of the picture for
    each word, independent of the caption so far, and adds it to the word's score
    (``docs/cam-rnn.md``, equation 6).

    Args:
        options: sizes and parts.
        channels: C.
        vocabulary_size: V.
    """

    word_parameters = (*CaptionModel.word_parameters, "concepts.usual")

    def __init__(self, options: CamRnnOptions, channels: int, vocabulary_size: int) -> None:
        super().__init__()
        self.options: CamRnnOptions = options
        self.channels = channels
        self.vocabulary_size = vocabulary_size
        o = options
        self.embedding = WordEmbedding(vocabulary_size, o.embedding_size, o.word_size)
        self.project = nn.Linear(channels, o.visual_size)
        self.cell = make_cell(o.cell, o.embedding_size, o.hidden_size)
        self.visual_gates = (
            StepLinear(o.visual_size, self.cell.gates * o.hidden_size) if o.visual_input else None
        )
        self.first = nn.ModuleDict(
            {name: nn.Linear(o.visual_size, o.hidden_size) for name in self.cell.state_names}
        )
        queried = o.hidden_size if o.region_query == "hidden" else 0
        self.regions = (
            RegionAttention(o.visual_size, o.attention_size, queried)
            if o.visual == "regions"
            else None
        )
        self.frames = (
            FrameAttention(o.visual_size, o.attention_size, o.hidden_size)
            if o.visual != "mean"
            else None
        )
        self.text = (
            PhraseAttention(
                o.embedding_size, o.phrase_size, o.phrases, o.attention_size, o.hidden_size
            )
            if o.text_attention
            else None
        )
        self.gate = nn.Linear(o.hidden_size, 1) if o.gate else None
        self.concept_gate = nn.Linear(o.hidden_size, 1) if o.concepts else None
        width = o.visual_size + o.hidden_size + (o.phrase_size if o.text_attention else 0)
        self.merge = nn.Linear(width, o.embedding_size)
        self.output = nn.Linear(o.embedding_size, vocabulary_size)
        self.drop = nn.Dropout(o.dropout)
        self._whole_walk: Callable[..., Any] | None = None
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.xavier_uniform_(self.merge.weight)
        self.embedding.initialize()
        nn.init.zeros_(self.output.bias)
        if self.concept_gate is not None:
            nn.init.zeros_(self.concept_gate.weight)
            nn.init.constant_(self.concept_gate.bias, _HARDLY_OPEN)
        if o.tie_embeddings:
            self.output.weight = self.embedding.weight

    def read_concepts(self, concepts: Concepts) -> None:
        """Share the concepts of an encoder, if ``options.concepts`` is set."""
        if not self.options.concepts:
            return
        if self.concepts is None:
            self.concepts = ConceptReader(concepts, self.vocabulary_size)
        self.concepts.head = concepts

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """Project the regions, attend bottom-up if no word is needed, and set h_0 and c_0."""
        if real_BF is None:
            real_BF = torch.ones_like(features_BFRC[:, :, 0, 0], dtype=torch.bool)
        values_BFRM = self.drop(F.relu(self.project(features_BFRC)))
        real_BF1 = real_BF.unsqueeze(-1).to(values_BFRM.dtype)
        mean_BM = (values_BFRM.mean(2) * real_BF1).sum(1) / real_BF1.sum(1)
        state = {name: torch.tanh(layer(mean_BM))[:, None] for name, layer in self.first.items()}
        memory: Tensors = {"frames": real_BF}
        if self.regions is not None and self.regions.query is not None:
            memory["values"] = values_BFRM
            memory["region_keys"] = self.regions.key(values_BFRM)
        elif self.regions is not None:
            weights_B1FR = self.regions(self.regions.key(values_BFRM), None)
            memory["region_weights"] = weights_B1FR[:, 0]
            memory["frame_values"] = (weights_B1FR[:, 0].unsqueeze(2) @ values_BFRM).squeeze(2)
        elif self.frames is not None:
            memory["frame_values"] = values_BFRM.mean(2)
        else:
            memory["visual"] = mean_BM
        if self.frames is not None and "frame_values" in memory:
            memory["frame_keys"] = self.frames.key(memory["frame_values"])
        if self.concepts is not None:
            memory["supported"] = self.concepts(features_BFRC, real_BF)
        if self.text is not None:
            shape = (features_BFRC.shape[0], 1, self.options.phrases)
            state["history"] = torch.full(shape, PAD, device=features_BFRC.device)
        return memory, state

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        """One word: attend to the picture, advance the cell, attend to phrases, gate, score the
        next word."""
        h_before = state["h"]
        visual_BKM, evidence = self._look(memory, h_before)
        words_BKE = self.embedding(tokens_BK)
        after = self._advance(self.cell.project(words_BKE), visual_BKM, state)
        history_BKS: Tensor | None = None
        if self.text is not None:
            history_BKS = torch.cat([state["history"][..., 1:], tokens_BK.unsqueeze(-1)], dim=-1)
            after["history"] = history_BKS
        history = None if history_BKS is None else self.embedding(history_BKS)
        exists = None if history_BKS is None else history_BKS != PAD
        logits, said = self._say(visual_BKM, h_before, after["h"], history, exists)
        if self.concept_gate is not None:
            logits = logits + self._told(memory["supported"][:, None], after["h"])
        return StepOutput(logits, after, evidence | said)

    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing; only visual attention and the cell run word by word (see the base
        class)."""
        memory, state = self.start(features_BFRC, real_BF)
        state.pop("history", None)
        state = expand_captions(state, inputs_BKT.shape[1])
        words_BKTE = self.drop(self.embedding(inputs_BKT))
        # split at once: the gradient of a single index would be as large as the whole
        projected = self.cell.project(words_BKTE).unbind(2)
        if self._whole_walk is not None:
            walked = self._whole_walk(memory, state, projected)
            visual_NM, before_ND, after_ND = (flatten_words(v, counts_BKT) for v in walked)
        else:
            visual_NM, before_ND, after_ND = self._walk(memory, state, projected, counts_BKT)
        history_NSE, exists_NS = None, None
        if self.text is not None:
            history_NSE, exists_NS = self._history(words_BKTE, inputs_BKT, counts_BKT)
        logits_NV, _ = self._say(visual_NM, before_ND, after_ND, history_NSE, exists_NS)
        if self.concept_gate is not None:
            photos_B11 = torch.arange(len(inputs_BKT), device=inputs_BKT.device)[:, None, None]
            photos_N = flatten_words(photos_B11.expand_as(inputs_BKT), counts_BKT)
            logits_NV = logits_NV + self._told(memory["supported"][photos_N], after_ND)
        return logits_NV

    def _walk(
        self, memory: Tensors, state: Tensors, projected: Sequence[Tensor], counts_BKT: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """V_t (N, M), h_{t-1} and h_t (N, D) of the words that count; captions that have ended cost
        nothing.

        Args:
            memory: of :meth:`start`.
            state: likewise, of K captions.
            projected: for each word its projection for the cell, (B, K, gates x D).
            counts_BKT: as in :meth:`forward`.
        """
        fuses, autocasts = can_fuse(projected[0]), torch.is_autocast_enabled("cpu")
        products = torch.get_autocast_dtype("cpu") if fuses and autocasts else None
        if products is not None:
            # the products alone are rounded: states and attention stay in float32
            memory, state = in_float32(memory), in_float32(state)
        look = self._looks(memory) if fuses else None
        queries = None if self.regions is None else self.regions.query
        layers = (self.cell.recurrent, self.visual_gates, queries) if fuses else ()
        seen, before, after = [], [], []
        with (
            torch.autocast("cpu", enabled=autocasts and products is None),
            gathered(*layers, products=products),
        ):
            for t, width in steps_in_use(counts_BKT):
                counts_BK = counts_BKT[:, :width, t]
                state = {name: tensor[:, :width] for name, tensor in state.items()}
                visual_BKM = look(state["h"]) if look else self._look(memory, state["h"])[0]
                before.append(state["h"][counts_BK])
                state = self._advance(projected[t][:, :width], visual_BKM, state)
                seen.append(visual_BKM[counts_BK])
                after.append(state["h"][counts_BK])
        return torch.cat(seen), torch.cat(before), torch.cat(after)

    def walk_all(
        self, memory: Tensors, state: Tensors, projected: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same of all words, (B, K, T, ...), padding included: nothing depends on values."""
        seen, before, after = [], [], []
        for projected_BKG in projected:
            visual_BKM, _ = self._look(memory, state["h"])
            before.append(state["h"])
            state = self._advance(projected_BKG, visual_BKM, state)
            seen.append(visual_BKM)
            after.append(state["h"])
        return torch.stack(seen, 2), torch.stack(before, 2), torch.stack(after, 2)

    def compile_loop(self, compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> bool:
        """See the base class: :meth:`walk_all` takes the place of the loop."""
        self._whole_walk = compiled(self.walk_all)
        return True

    def _told(self, supported: Tensor, h_after: Tensor) -> Tensor:
        """The term that the concepts add to the scores of the words, for any leading axes."""
        assert self.concept_gate is not None
        return torch.sigmoid(self.concept_gate(h_after)) * supported

    def _looks(self, memory: Tensors) -> Callable[[Tensor], Tensor] | None:
        """h to V_t, for all words of photos, whose one frame has weight 1; None for clips."""
        if "region_keys" not in memory or memory["frames"].shape[1] > 1:
            return None
        regions, frames = self.regions, self.frames
        assert regions is not None
        assert regions.query is not None
        assert frames is not None
        values_BRM = with_idle(memory["values"][:, 0], frames)
        keys_BRA = memory["region_keys"][:, 0]
        looks, query = RegionLooks(keys_BRA, values_BRM, regions.score.weight[0]), regions.query
        return lambda h_BKD: looks(query(h_BKD))[0]

    def _look(self, memory: Tensors, h_BKD: Tensor) -> tuple[Tensor, Tensors]:
        """Equations (1) and (2): the visual feature V_t (B, K, M) and its attention weights."""
        if self.frames is None:
            visual_B1M = memory["visual"][:, None]
            return visual_B1M.expand(-1, h_BKD.shape[1], -1), {}
        evidence: Tensors = {}
        if "region_keys" in memory:
            assert self.regions is not None
            regions_BKFR = self.regions(memory["region_keys"], h_BKD)
            # (B, F, K, R) @ (B, F, R, M): one product a frame, no copy of the values per caption
            frames_BFKM = regions_BKFR.transpose(1, 2) @ memory["values"]
            values_BKFM = frames_BFKM.transpose(1, 2)
            keys_BKFA = self.frames.key(values_BKFM)
            evidence["regions"] = regions_BKFR
        else:
            values_BKFM = memory["frame_values"][:, None]
            keys_BKFA = memory["frame_keys"][:, None]
            if "region_weights" in memory:
                shape = (-1, h_BKD.shape[1], -1, -1)
                evidence["regions"] = memory["region_weights"][:, None].expand(shape)
        weights_BKF = self.frames(keys_BKFA, h_BKD, memory["frames"])
        evidence["frames"] = weights_BKF
        return (weights_BKF.unsqueeze(-1) * values_BKFM).sum(2), evidence

    def _advance(self, projected: Tensor, visual: Tensor, state: Tensors) -> Tensors:
        """Equation (4): x_t = [e_{t-1}; V_t] into the cell."""
        if self.visual_gates is not None:
            projected = projected + self.visual_gates(visual)
        after: Tensors = self.cell(projected, state)
        return after

    def _say(
        self,
        visual: Tensor,
        h_before: Tensor,
        h_after: Tensor,
        history: Tensor | None,
        exists: Tensor | None,
    ) -> tuple[Tensor, Tensors]:
        """Equations (3), (5) and (6), for any leading axes: logits and their evidence."""
        evidence: Tensors = {}
        parts = [visual]
        if self.gate is not None:
            gate = torch.sigmoid(self.gate(h_after))
            parts = [gate * visual]
            evidence["gate"] = gate.squeeze(-1)
        if self.text is not None and history is not None and exists is not None:
            text, evidence["phrases"] = self.text(history, exists, h_before)
            parts.append(text)
        merged = torch.tanh(self.merge(self.drop(torch.cat([*parts, h_after], dim=-1))))
        logits: Tensor = self.output(self.drop(merged))
        return logits, evidence

    def _history(
        self, words_BKTE: Tensor, inputs_BKT: Tensor, counts_BKT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The last S words before every word that counts: embeddings and whether they exist."""
        back = self.options.phrases - 1
        words = F.pad(words_BKTE, (0, 0, back, 0)).unfold(2, back + 1, 1)  # (B, K, T, E, S)
        tokens = F.pad(inputs_BKT, (back, 0), value=PAD).unfold(2, back + 1, 1)
        order = counts_BKT.permute(2, 0, 1)
        history = words.permute(2, 0, 1, 4, 3)[order]
        return history, tokens.permute(2, 0, 1, 3)[order] != PAD
