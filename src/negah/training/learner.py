"""What learns: the encoder's tail and the captioner, their optimiser, their running mean.

Axes: B photos or clips, F frames, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from negah.errors import CheckpointError
from negah.models import CaptionerOptions, Encoder, EncoderOptions, build_captioner
from negah.models.backbones import ALIASES
from negah.models.concepts import Concepts
from negah.models.tuned import read_tuned
from negah.run_folder import RunFolder
from negah.text import Tokenizer, load_tokenizer
from negah.training.checkpoint import load_checkpoint, under_prefix
from negah.training.concepts import ConceptTruth
from negah.training.inputs import regions_of
from negah.training.objectives import Lesson, Loss, Objective
from negah.training.recipe import TrainingOptions

#: Where a step is in its training: the step, how many there are, the seed, the process.
Place = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class LearnedConcepts:
    """How the concepts of an encoder learn.

    Attributes:
        truth: which words are said of each photo.
        weight: of their loss, beside that of the objective.
        alone: whether the encoder learns from this loss alone.
    """

    truth: ConceptTruth
    weight: float
    alone: bool


class Learner(nn.Module):
    """The trainable tail of an encoder and a captioner, as one module with one loss.

    Args:
        options: of the captioner.
        encoder: its trunk stays outside, its tail is shared.
        vocabulary_size: V.
        objective: of the training; None where nothing is learned.
        truth: what the encoder's concepts learn from.
    """

    def __init__(
        self,
        options: CaptionerOptions,
        encoder: Encoder,
        vocabulary_size: int,
        objective: Objective | None = None,
        truth: LearnedConcepts | None = None,
    ) -> None:
        super().__init__()
        self.tail = encoder.tail_blocks
        self.concepts = encoder.concepts
        self.captioner = build_captioner(
            options, channels=encoder.channels, vocabulary_size=vocabulary_size
        )
        # the encoder as a whole is not a part of this module: its trunk is not to be saved
        self._encoder = (encoder,)
        self._objective = (objective,)
        self._truth = truth

    @property
    def encoder(self) -> Encoder:
        """The encoder whose tail learns."""
        return self._encoder[0]

    def train(self, mode: bool = True) -> Learner:
        """The captioner switches; the tail's batch normalisation never does."""
        super().train(mode)
        self.tail.eval()
        return self

    def forward(
        self,
        trunk: Tensor,
        real_BF: Tensor | None,
        inputs_BKT: Tensor,
        targets_BKT: Tensor,
        photos: Tensor,
        place: Place,
    ) -> Loss:
        """The loss of one batch, by the objective.

        Args:
            trunk: stored output of the encoder's trunk, float32 (B, ...); of clips (B, F, ...).
            real_BF: True where a clip has a frame and False where it is padded; None for photos.
            inputs_BKT: ``<SOS> w1 ...``, int64.
            targets_BKT: ``w1 ... <EOS>``, int64; padding does not count.
            photos: positions of the photos or clips, int64 (B,).
            place: of the step in the training.
        """
        assert self._objective[0] is not None, "a learner without an objective has no loss"
        features_BFRC = regions_of(self.encoder, trunk, real_BF)
        truth = self._truth
        seen = features_BFRC.detach() if truth is not None and truth.alone else features_BFRC
        lesson = Lesson(seen, real_BF, inputs_BKT, targets_BKT, photos, *place)
        loss = self._objective[0](self.captioner, lesson)
        if truth is None:
            return loss
        concepts = truth.truth.loss(self.encoder, features_BFRC, real_BF, photos)
        value = loss.value + truth.weight * concepts
        return replace(loss, value=value, log={**loss.log, "concepts": concepts.detach()})

    @torch.no_grad()
    def start_from(self, best: Path, tokenizer: Tokenizer) -> str:
        """Take the weights of another run, word by word where the vocabulary differs.

        The encoders may be cut at different blocks. What the other run has fine-tuned and this
        recipe freezes has to be in the encoder already, by ``encoder.weights`` with the folder of
        that run; what was frozen there and learns here starts from ``encoder.weights``, too.

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
        checkpoint_encoder = self._refuse_another_encoder(best)
        checkpoint_state, _ = load_checkpoint(best)
        if checkpoint_encoder is not None:
            count = checkpoint_encoder.trainable_blocks
            checkpoint_state = self._cut_alike(best, checkpoint_state, count)
        known = {
            word: i
            for i, word in enumerate(load_tokenizer(RunFolder(best.parent).tokenizer).tokens)
        }
        own_rows = [i for i, word in enumerate(tokenizer.tokens) if word in known]
        checkpoint_rows = [known[tokenizer.tokens[i]] for i in own_rows]
        own_state = self.state_dict()
        by_word = {f"captioner.{name}" for name in self.captioner.word_parameters}
        checkpoint_state = self._without_concepts(best, checkpoint_state)
        for name, tensor in checkpoint_state.items():
            axes = slice(1, None) if name in by_word else slice(None)
            if name not in own_state or own_state[name].shape[axes] != tensor.shape[axes]:
                raise CheckpointError(f"{best} does not fit this recipe: {name}")
        for name, tensor in checkpoint_state.items():
            if name in by_word:
                own_state[name][own_rows] = tensor[checkpoint_rows]
            else:
                own_state[name].copy_(tensor)
        left = own_state.keys() - checkpoint_state.keys()
        fresh = sorted(name for name in left if not name.startswith(("concepts.", "tail.")))
        more = f"; new in this recipe: {', '.join(fresh)}" if fresh else ""
        return f"starting from {best}: {len(own_rows)} of {len(tokenizer)} words are known{more}"

    def _without_concepts(
        self, best: Path, checkpoint_state: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The rest, once the concepts that both runs have are taken over."""
        under = under_prefix("concepts", checkpoint_state)
        if under and self.concepts is not None:
            words = read_tuned(best.parent).concepts
            known = Concepts(self.encoder.channels, words)
            known.load_state_dict(under)
            self.concepts.start_from(known)
        return {n: t for n, t in checkpoint_state.items() if not n.startswith("concepts.")}

    def _cut_alike(
        self, best: Path, checkpoint_state: dict[str, Tensor], count: int
    ) -> dict[str, Tensor]:
        """A state whose tail had ``count`` blocks, by the names of an encoder cut as this one.

        Blocks of the other run's tail that are frozen here are left out, if they are what this
        encoder has. Blocks that were frozen there and learn here keep this encoder's weights.
        """
        tail = under_prefix("tail", checkpoint_state)
        at = len(self.encoder.trunk_blocks)
        first = at + len(self.tail) - count  # blocks are counted in the whole chain
        frozen = self.encoder.trunk_blocks.state_dict()
        state = {n: t for n, t in checkpoint_state.items() if not n.startswith("tail.")}
        for name, tensor in tail.items():
            number, rest = name.split(".", 1)
            place = first + int(number)
            if place >= at:
                state[f"tail.{place - at}.{rest}"] = tensor
            elif not _same(frozen.get(f"{place}.{rest}"), tensor):
                raise CheckpointError(
                    f"{best} goes with an encoder that its run has fine-tuned, and this recipe has "
                    f"another one, frozen: set encoder.weights={best.parent}"
                )
        return state

    def _refuse_another_encoder(self, best: Path) -> EncoderOptions | None:
        """The options of the other run's encoder; None where it had none.

        Features of as many channels would fit by shape alone, and mean nothing.
        """
        run = RunFolder(best.parent)
        if not run.is_run:
            return None
        recipe = run.facts().get("recipe")
        if recipe is None:  # a language model, which has read no features
            return None
        if "encoder" not in recipe:
            raise CheckpointError(f"{run.description}: its recipe has no encoder, so it is damaged")
        options = EncoderOptions.parse(recipe["encoder"], where=str(run.description))
        checkpoint_encoder = ALIASES.get(options.name, options.name)
        if checkpoint_encoder != self.encoder.name:
            raise CheckpointError(
                f"{best} was trained on the features of {checkpoint_encoder}, this recipe has "
                f"{self.encoder.name}: set encoder.name={options.name}, or start from another run"
            )
        return options


def _same(own: Tensor | None, other: Tensor) -> bool:
    """Whether a weight is there, on whatever device, with the same numbers."""
    return own is not None and torch.equal(own.cpu(), other)


def build_optimizer(learner: Learner, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam or AdamW; each group remembers its highest rate as ``peak``."""
    captioner = [p for p in learner.captioner.parameters() if p.requires_grad]
    groups = [{"params": captioner, "peak": options.learning_rate}]
    if learner.concepts is not None:
        captioner += learner.concepts.parameters()
    tail = [p for p in learner.tail.parameters() if p.requires_grad]
    if tail:
        groups.append({"params": tail, "peak": options.encoder_learning_rate})
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(
        groups,
        lr=options.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=options.weight_decay,
        fused=True,
    )


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
