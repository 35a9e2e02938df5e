"""The interface of objectives: their inputs, their loss, and their registry.

Axes: B photos or clips, F frames, R regions, C channels, K captions of each, T words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from negah.kinds import Kinds
from negah.models import CaptionModel
from negah.options import Options
from negah.text import Tokenizer


class ObjectiveOptions(Options):
    """Base of the options of all objectives; ``kind`` names the objective.

    Attributes:
        needs_weights: whether the training must start from trained weights (``negah train
            --init``); without them, it is refused before any work.
    """

    needs_weights: ClassVar[bool] = False
    kind: str

    @property
    def signature(self) -> str:
        """The objective in one line, for ``run.json``, the log and the model card.

        Empty if the recipe is sufficient.
        """
        return ""

    @property
    def teacher_models(self) -> Sequence[str]:
        """Trained models needed as teachers: folders of runs or bundles, names of bundled models.

        The option is called ``teachers``. They are opened before the training and passed as
        :attr:`Setting.teachers`; their names and hashes are added to the signature. Empty by
        default.
        """
        return ()

    def check(self, references: Sequence[Sequence[str]]) -> Iterable[str]:
        """Refuse unsuitable references; called before a new run is set up.

        Args:
            references: all training captions of each photo or clip.

        Returns:
            warnings about references that are usable, but not recommended.

        Raises:
            DataError: with what to change.
        """
        return ()


@dataclass(frozen=True, slots=True)
class Setting:
    """The context of an objective, known before the first step.

    Attributes:
        references: all training captions of each photo or clip, by the indices of
            :attr:`Lesson.photos`; original captions, for rewards.
        tokenizer: of the run: token ids to text.
        label_smoothing: of the recipe.
        scheduled_sampling: of the recipe: the share of the model's own words at the end of the
            training.
        max_tokens: of the recipe: longer training captions are truncated.
        teachers: the models of :attr:`ObjectiveOptions.teacher_models`, in their order: frozen, in
            evaluation mode, on the device of the captioner, with its vocabulary and features.
    """

    references: Sequence[Sequence[str]]
    tokenizer: Tokenizer
    label_smoothing: float = 0.0
    scheduled_sampling: float = 0.0
    max_tokens: int = 24
    teachers: Sequence[CaptionModel] = ()


@dataclass(slots=True)
class Lesson:
    """One training batch, on the device of the captioner.

    Attributes:
        features_BFRC: region features, float32, with the autograd graph of the encoder's tail.
        real_BF: True where a clip has a frame, bool; None for photos.
        inputs_BKT: ``<SOS> w1 ...``, int64, padded at the right; K captions of each photo.
        targets_BKT: ``w1 ... <EOS>``, int64; padding does not count.
        photos: positions of the photos or clips, int64 (B,), on the CPU.
        step: of the training, counted from 0.
        steps: of the whole training.
        seed: of the run.
        process: rank of the process, from 0.
    """

    features_BFRC: Tensor
    real_BF: Tensor | None
    inputs_BKT: Tensor
    targets_BKT: Tensor
    photos: Tensor
    step: int = 0
    steps: int = 1
    seed: int = 0
    process: int = 0

    def generator(self) -> torch.Generator:
        """A random generator that depends only on the seed, the step and the process, so that a
        resumed run draws the same numbers.
        """
        state = np.random.SeedSequence([self.seed, self.step, self.process]).generate_state(1)
        return torch.Generator(self.features_BFRC.device).manual_seed(int(state[0]))


#: The names that the training itself logs for a step.
LOGGED = ("kind", "step", "loss", "nll", "rate")


@dataclass(slots=True)
class Loss:
    """The loss of a step, and the values to be logged.

    Attributes:
        value: the loss to be minimised, a scalar with its graph: a mean over ``count`` items,
            except for ``parts``. Several processes minimise the mean over all their items.
        total: the sum for the epoch's mean, without a graph: nats of the words.
        count: number of items of the sum; 0 for a step that does not count in the mean.
        log: further numbers for the log, by name, without a graph; the names in :data:`LOGGED`
            are taken, and a training refuses them.
        parts: terms of ``value`` that are means over other items, with the numbers of items; the
            same number of terms in every step, some possibly over 0 items.
    """

    value: Tensor
    total: Tensor
    count: int
    log: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Sequence[tuple[Tensor, int]] = ()

    def of_all(self, weigh: Callable[[int], Tensor]) -> Tensor:
        """``value`` reweighted, so that its mean over several processes is the mean over all items.

        Args:
            weigh: the weight of a mean over a number of items of this process; all processes call
                it equally often.
        """
        others = sum((part for part, _ in self.parts), torch.zeros_like(self.value))
        value = (self.value - others) * weigh(self.count)
        for part, count in self.parts:
            value = value + part * weigh(count)
        return value


class Objective(Protocol):
    """A training objective.

    A factory is registered under a kind, with its options class::

        @OBJECTIVES.register("focal", FocalOptions)
        class Focal:
            def __init__(self, options: FocalOptions, setting: Setting) -> None: ...
            def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss: ...

    It has no state between steps, so that a resumed run is identical bit for bit. It may call the
    captioner as a whole (teacher forcing) or use ``start`` and ``step`` (sampling), in training or,
    temporarily, in evaluation mode. Random numbers come from :meth:`Lesson.generator`, or from
    PyTorch's global generator, which the training seeds and checkpoints save.
    """

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        """The loss of one batch.

        Args:
            captioner: in training mode.
            lesson: the batch.
        """


#: Every objective that a recipe may name, open to other packages.
OBJECTIVES: Kinds[Objective] = Kinds(
    "objective",
    "negah.objectives",
    {
        "cross-entropy": "negah.training.objectives.cross_entropy:CrossEntropy",
        "distillation": "negah.training.objectives.distillation:Distillation",
        "self-critical": "negah.training.objectives.self_critical:SelfCritical",
        "unlikelihood": "negah.training.objectives.unlikelihood:Unlikelihood",
    },
)
