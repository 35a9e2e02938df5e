"""The trained modules: the encoder's tail and the captioner, with optimiser and running mean.

Axes: B photos or clips, F frames, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from negah.errors import CheckpointError
from negah.models import CaptionerOptions, Encoder, build_captioner
from negah.models.backbones import ALIASES, equal_in_bundles
from negah.models.concepts import Concepts
from negah.text import Tokenizer
from negah.text.vectors import Vectors
from negah.training.checkpoint import under_prefix
from negah.training.concepts import ConceptTruth
from negah.training.initial import Weights
from negah.training.inputs import regions_of
from negah.training.objectives import Lesson, Loss, Objective
from negah.training.recipe import TrainingOptions
from negah.training.shown import ShownWords
from negah.training.words import match_words

#: The position of a step in the training: step, number of steps, seed, process.
StepPosition = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class LearnedConcepts:
    """The training of an encoder's concepts.

    Attributes:
        truth: the concepts in the captions of each photo.
        weight: of their loss, added to that of the objective.
        alone: whether only this loss trains the encoder.
    """

    truth: ConceptTruth
    weight: float
    alone: bool


class Learner(nn.Module):
    """The trainable tail of an encoder and a captioner, as one module with one loss.

    Args:
        options: of the captioner.
        encoder: its tail is shared; its trunk is not part of the module.
        vocabulary_size: V.
        objective: of the training; None if nothing is trained.
        truth: the training targets of the encoder's concepts.

    Attributes:
        weigh: see :meth:`negah.training.objectives.Loss.of_all`; None for a single process.
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
            options,
            channels=encoder.channels,
            vocabulary_size=vocabulary_size,
            concepts=encoder.concepts,
        )
        # the encoder as a whole is not part of this module, because its trunk is not saved
        self._encoder = (encoder,)
        self.set_objective(objective)
        self._truth = truth
        self.weigh: Callable[[int], Tensor] | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder whose tail is trained."""
        return self._encoder[0]

    def set_objective(self, objective: Objective | None) -> None:
        """Use another objective from now on; nothing of it is saved with the module."""
        self._objective = (objective,)

    def train(self, mode: bool = True) -> Learner:
        """Set the mode of the captioner; the tail's batch normalisation stays in evaluation
        mode."""
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
        place: StepPosition,
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
        if self.weigh is not None:
            loss = replace(loss, value=loss.of_all(self.weigh))
        if truth is None:
            return loss
        concepts = truth.truth.loss(self.encoder, features_BFRC, real_BF, photos)
        weight = truth.weight if self.weigh is None else truth.weight * self.weigh(len(photos))
        value = loss.value + weight * concepts
        return replace(loss, value=value, log={**loss.log, "concepts": concepts.detach()})

    @torch.no_grad()
    def start_from(
        self,
        weights: Weights,
        tokenizer: Tokenizer,
        *,
        new_words: bool = False,
        vectors: Vectors | None = None,
        shown: ShownWords | None = None,
    ) -> str:
        """Load the weights of another model, word by word if the vocabulary differs.

        The encoder itself is loaded by ``encoder.weights``. A fine-tuned tail is loaded only if
        this encoder is cut at the same block.

        Args:
            weights: of a run or a bundle.
            tokenizer: of this run.
            new_words: whether unknown words are initialised from similar ones (see
                :mod:`negah.training.words`); otherwise they are not changed.
            vectors: word vectors, also used for similarity; the embedding table has been filled
                with them, and keeps those of new words.
            shown: words of another language from which new ones are initialised.

        Returns:
            a sentence on how many words were known.

        Raises:
            CheckpointError: weights of another encoder, also of one that was fine-tuned and is not
                in this recipe; or that do not fit this recipe.
        """
        self._refuse_another_encoder(weights)
        tensors = weights.tensors
        if _tail_length(tensors) != len(self.tail):
            tensors = self._without_tail(weights)
        rows = None if shown is None else shown.rows(tokenizer, weights.tokenizer)
        match = match_words(tokenizer, weights.tokenizer, vectors, rows)
        own_state = self.state_dict()
        by_word = {f"captioner.{name}" for name in self.captioner.word_parameters}
        tensors = self._without_concepts(weights, tensors)
        if tokenizer.language != weights.tokenizer.language:
            # the base rates have been counted in the captions
            tensors.pop("captioner.concepts.usual", None)
        if shown is not None and self.concepts is not None:
            shown.fill(self.concepts)
        for name, tensor in tensors.items():
            axes = slice(1, None) if name in by_word else slice(None)
            if name not in own_state or own_state[name].shape[axes] != tensor.shape[axes]:
                raise CheckpointError(
                    f"{weights.label} does not fit this recipe: {name}. The recipe fine-tune "
                    f"takes over the sizes and parts of its initial model."
                )
        for name, tensor in tensors.items():
            if name in by_word:
                has_vectors = vectors is not None and name == "captioner.embedding.weight"
                match.fill(own_state[name], tensor, new_words=new_words and not has_vectors)
            else:
                own_state[name].copy_(tensor)
        left = own_state.keys() - tensors.keys() - self._encoder_tail(weights)
        told = ("concepts.", "captioner.concepts.", "tail.")
        fresh = sorted(name for name in left if not name.startswith(told))
        more = f"; new in this recipe: {', '.join(fresh)}" if fresh else ""
        counts = match.describe(new_words=new_words)
        return f"starting from {weights.label}: {counts}{more}"

    def _encoder_tail(self, weights: Weights) -> set[str]:
        """Names of the tail's tensors if the whole encoder has these weights."""
        return {f"tail.{name}" for name in self.tail.state_dict()} if weights.blocks else set()

    def _without_concepts(self, weights: Weights, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Load the concepts that both runs have; return the other tensors."""
        under = under_prefix("concepts", tensors)
        if under and self.concepts is not None:
            known = Concepts(self.encoder.channels, weights.concepts)
            known.load_state_dict(under)
            self.concepts.start_from(known)
        places = ("concepts.", "captioner.concepts.head.", "captioner.concepts.places")
        return {n: t for n, t in tensors.items() if not n.startswith(places)}

    def _without_tail(self, weights: Weights) -> dict[str, Tensor]:
        """Only the captioner, if this encoder gives the features that it was trained on."""
        tail = under_prefix("tail", weights.tensors)
        count = _tail_length(weights.tensors)
        chain = [*self.encoder.trunk_blocks, *self.encoder.tail_blocks]
        own = nn.Sequential(*chain[len(chain) - count :]).state_dict()
        if any(name not in own or not torch.equal(own[name], t) for name, t in tail.items()):
            raise CheckpointError(
                f"{weights.label} needs the encoder that its run has fine-tuned, but this recipe "
                f"has another one: set encoder.weights={Path(weights.label).parent}"
            )
        return {name: t for name, t in weights.tensors.items() if not name.startswith("tail.")}

    def _refuse_another_encoder(self, weights: Weights) -> None:
        """Refuse another encoder: features with the same number of channels would fit by shape, but
        not in meaning."""
        if weights.encoder is None:
            return
        name = ALIASES.get(weights.encoder, weights.encoder)
        if name != self.encoder.name:
            raise CheckpointError(
                f"{weights.label} was trained on the features of {name}, but this recipe has "
                f"{self.encoder.name}: set encoder.name={weights.encoder}, or start from another "
                "model"
            )
        own = self.encoder.by_block()
        # other content of a bundle, such as further outputs of its encoder, is not needed here
        if not all(equal_in_bundles(own[k], t) for k, t in weights.blocks.items() if k in own):
            raise CheckpointError(
                f"{weights.label} needs the features of its own encoder, but encoder.weights of "
                f"this recipe differ: set encoder.weights={weights.label}, or leave them out"
            )


def _tail_length(tensors: dict[str, Tensor]) -> int:
    """The number of blocks of the tail among the tensors of a learner."""
    numbers = {name.split(".")[1] for name in tensors if name.startswith("tail.")}
    return 1 + max(map(int, numbers), default=-1)


def build_optimizer(learner: Learner, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam or AdamW; each group remembers its highest rate as ``peak``."""
    parts = [learner.captioner, *([] if learner.concepts is None else [learner.concepts])]
    # a captioner that uses the encoder's concepts shares them
    learning = (p for part in parts for p in part.parameters() if p.requires_grad)
    own = list(dict.fromkeys(learning))
    groups = [{"params": own, "peak": options.learning_rate}]
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
        learner: with the weights; already on its device.
        decay: of the mean; smaller in the first steps, so that the initial weights are forgotten.
            0: none.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        self.decay = decay
        self.weights = {n: p for n, p in learner.named_parameters() if p.requires_grad}
        self.mean = {n: p.detach().clone() for n, p in self.weights.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the mean with the weights after ``step``."""
        if self.mean:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(
                list(self.mean.values()), [w.detach() for w in self.weights.values()], 1 - decay
            )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context manager in which the learner's weights are replaced by their mean."""
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
