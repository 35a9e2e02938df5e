"""What learns: the encoder's tail and the captioner, their optimiser, their running mean.

Axes: B photos or clips, F frames, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from negah.errors import CheckpointError
from negah.models import (
    CaptionerOptions,
    Encoder,
    EncoderOptions,
    build_captioner,
    flatten_words,
)
from negah.models.backbones import ALIASES
from negah.text import PAD, SOS, Tokenizer, load_tokenizer
from negah.training.checkpoint import load_checkpoint, under_prefix
from negah.training.inputs import regions_of
from negah.training.recipe import TrainingOptions

#: Parameters whose first axis is the vocabulary.
_BY_WORD = ("captioner.embedding.weight", "captioner.output.weight", "captioner.output.bias")


class Learner(nn.Module):
    """The trainable tail of an encoder and a captioner, as one module with one loss.

    Args:
        options: of the captioner.
        encoder: its trunk stays outside, its tail is shared.
        vocabulary_size: V.
    """

    def __init__(self, options: CaptionerOptions, encoder: Encoder, vocabulary_size: int) -> None:
        super().__init__()
        self.tail = encoder.tail_blocks
        self.captioner = build_captioner(
            options, channels=encoder.channels, vocabulary_size=vocabulary_size
        )
        # the encoder as a whole is not a part of this module: its trunk is not to be saved
        self._encoder = (encoder,)

    def train(self, mode: bool = True) -> Learner:
        """The captioner switches; the tail's batch normalisation never does."""
        super().train(mode)
        self.tail.eval()
        return self

    def forward(
        self,
        trunk: Tensor,
        inputs_BKT: Tensor,
        targets_BKT: Tensor,
        label_smoothing: float,
        own_words: float,
        real_BF: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, int]:
        """The loss of one batch.

        Args:
            trunk: stored output of the encoder's trunk, float32 (B, ...); of clips (B, F, ...).
            inputs_BKT: ``<SOS> w1 ...``, int64.
            targets_BKT: ``w1 ... <EOS>``, int64; padding does not count.
            label_smoothing: of the loss.
            own_words: share of the input words to replace by the model's own guesses.
            real_BF: True where a clip has a frame and False where it is padded; None for photos.

        Returns:
            the mean smoothed cross-entropy of a word (with its graph), the sum of the plain
            negative log-likelihoods in nats (without), and the number of words.
        """
        features_BFRC = regions_of(self._encoder[0], trunk, real_BF)
        counts_BKT = targets_BKT != PAD
        if own_words > 0:
            inputs_BKT = self._mix_in_guesses(
                features_BFRC, inputs_BKT, counts_BKT, own_words, real_BF
            )
        logits_NV = self.captioner(features_BFRC, inputs_BKT, counts_BKT, real_BF)
        targets_N = flatten_words(targets_BKT, counts_BKT)
        logprobs_NV = logits_NV.log_softmax(-1)
        nll = -logprobs_NV.gather(1, targets_N[:, None]).mean()
        # cross-entropy against (1 - s) one-hot + s uniform, from one log-softmax
        loss = (1 - label_smoothing) * nll - label_smoothing * logprobs_NV.mean()
        return loss, nll.detach() * len(targets_N), len(targets_N)

    @torch.no_grad()
    def _mix_in_guesses(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        share: float,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """Parallel scheduled sampling (Duckworth et al. 2019): guesses of a first pass as input."""
        logits_NV = self.captioner(features_BFRC, inputs_BKT, counts_BKT, real_BF)
        # never produced when captions are decoded; a <PAD> would be no word to attend to
        logits_NV[:, [PAD, SOS]] = -torch.inf
        order = counts_BKT.permute(2, 0, 1)
        guesses_TBK = torch.zeros_like(inputs_BKT.permute(2, 0, 1))
        guesses_TBK[order] = torch.multinomial(logits_NV.softmax(-1), 1)[:, 0]
        guesses_BKT = guesses_TBK.permute(1, 2, 0)
        mixed_BKT = inputs_BKT.clone()
        replace = (torch.rand(inputs_BKT.shape, device=inputs_BKT.device) < share) & counts_BKT
        # the guess for word t is the input of step t + 1
        shifted = replace[..., :-1] & counts_BKT[..., 1:]
        mixed_BKT[..., 1:][shifted] = guesses_BKT[..., :-1][shifted]
        return mixed_BKT

    @torch.no_grad()
    def start_from(self, best: Path, tokenizer: Tokenizer) -> str:
        """Take the weights of another run, word by word where the vocabulary differs.

        Where this recipe freezes the whole encoder, the tail of the other run is left out: it has
        to be in the encoder already, by ``encoder.weights`` with the folder of that run.

        Args:
            best: the other run's ``best.safetensors``, beside its ``run.json`` and
                ``tokenizer.json``.
            tokenizer: of this run.

        Returns:
            a sentence on how many words were known.

        Raises:
            CheckpointError: weights of another encoder, also of one whose tail the other run has
                fine-tuned and this one has not; or that do not fit this recipe.
        """
        self._refuse_another_encoder(best)
        theirs, _ = load_checkpoint(best)
        if not len(self.tail):
            theirs = self._without_tail(best, theirs)
        known = {
            word: i for i, word in enumerate(load_tokenizer(best.parent / "tokenizer.json").tokens)
        }
        ours = [i for i, word in enumerate(tokenizer.tokens) if word in known]
        source = [known[tokenizer.tokens[i]] for i in ours]
        own = self.state_dict()
        for name, tensor in theirs.items():
            axes = slice(1, None) if name in _BY_WORD else slice(None)
            if name not in own or own[name].shape[axes] != tensor.shape[axes]:
                raise CheckpointError(f"{best} does not fit this recipe: {name}")
        for name, tensor in theirs.items():
            if name in _BY_WORD:
                own[name][ours] = tensor[source]
            else:
                own[name].copy_(tensor)
        fresh = sorted(own.keys() - theirs.keys())
        more = f"; new in this recipe: {', '.join(fresh)}" if fresh else ""
        return f"starting from {best}: {len(ours)} of {len(tokenizer)} words are known{more}"

    def _without_tail(self, best: Path, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The captioner alone, if what it learned to read is what this encoder gives."""
        tail = under_prefix("tail", theirs)
        count = 1 + max((int(name.split(".")[0]) for name in tail), default=-1)
        blocks = list(self._encoder[0].trunk_blocks)[-count:] if count else []
        ours = nn.Sequential(*blocks).state_dict()
        if any(name not in ours or not torch.equal(ours[name], t) for name, t in tail.items()):
            raise CheckpointError(
                f"{best} goes with an encoder that its run has fine-tuned, and this recipe has "
                f"another one, frozen: set encoder.weights={best.parent}"
            )
        return {name: t for name, t in theirs.items() if not name.startswith("tail.")}

    def _refuse_another_encoder(self, best: Path) -> None:
        """Features of as many channels would fit by shape alone, and mean nothing."""
        ours, run = self._encoder[0].name, best.parent / "run.json"
        if not run.is_file():
            return
        recipe = json.loads(run.read_text(encoding="utf-8")).get("recipe")
        if recipe is None:  # a language model, which has read no features
            return
        name = EncoderOptions.parse(recipe["encoder"], where=str(run)).name
        theirs = ALIASES.get(name, name)
        if theirs != ours:
            raise CheckpointError(
                f"{best} was trained on the features of {theirs}, this recipe has {ours}: "
                f"set encoder.name={name}, or start from another run"
            )


def build_optimizer(learner: Learner, o: TrainingOptions) -> torch.optim.Optimizer:
    """Adam or AdamW; each group remembers its highest rate as ``peak``."""
    captioner = [p for p in learner.captioner.parameters() if p.requires_grad]
    groups = [{"params": captioner, "peak": o.learning_rate}]
    tail = [p for p in learner.tail.parameters() if p.requires_grad]
    if tail:
        groups.append({"params": tail, "peak": o.encoder_learning_rate})
    kind = torch.optim.AdamW if o.optimizer == "adamw" else torch.optim.Adam
    return kind(
        groups, lr=o.learning_rate, betas=(0.9, 0.98), weight_decay=o.weight_decay, fused=True
    )


def rate_at(step: int, total: int, o: TrainingOptions) -> float:
    """Share of the highest learning rate at ``step``: linear warm-up, then decay."""
    if step < o.warmup_steps:
        return (step + 1) / o.warmup_steps
    if o.schedule == "constant":
        return 1.0
    passed = min(1.0, (step - o.warmup_steps) / max(1, total - o.warmup_steps))
    falling = 1 - passed if o.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * passed))
    return o.final_rate + (1 - o.final_rate) * falling


class RunningMean:
    """An exponential running mean of the weights (Polyak and Juditsky 1992), for validation.

    Args:
        learner: whose weights; already on the device where it learns.
        decay: of the mean; the first steps use less, so that the start is forgotten. 0: none.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p for n, p in learner.named_parameters() if p.requires_grad}
        self.mean = {n: p.detach().clone() for n, p in self.weights.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step``."""
        if self.mean:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(
                list(self.mean.values()), [w.detach() for w in self.weights.values()], 1 - decay
            )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the learner's weights are their mean."""
        kept = {name: self.weights[name].detach().clone() for name in self.mean}
        self._write(self.mean)
        try:
            yield
        finally:
            self._write(kept)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.weights[name].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The mean, by parameter name."""
        return self.mean

    @torch.no_grad()
    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state_dict`."""
        for name, mean in self.mean.items():
            mean.copy_(tensors[name])
