"""The seam of objectives: what one is given, what it gives, and where it is registered.

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
from negah.models import Captioner
from negah.options import Options
from negah.text import Tokenizer


class ObjectiveOptions(Options):
    """Base of the options of all objectives; ``kind`` says of which.

    Attributes:
        needs_weights: a training has to start from trained weights (``negah train --init``);
            without, it is refused before anything is computed.
    """

    needs_weights: ClassVar[bool] = False
    kind: str

    @property
    def signature(self) -> str:
        """How steps were made, on one line, for ``run.json``, the log and the model card.

        Empty where the recipe says enough.
        """
        return ""

    def check(self, references: Sequence[Sequence[str]]) -> Iterable[str]:
        """Refuse what cannot be learned from; called before a new run is set up.

        Args:
            references: all training captions of each photo or clip.

        Returns:
            warnings: what can be learned from, but should not.

        Raises:
            DataError: with what to change.
        """
        return ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What an objective may know before the first step.

    Attributes:
        references: all training captions of each photo or clip, by the positions of
            :attr:`Lesson.photos`; captions as they are written, for rewards.
        tokenizer: of the run: token ids to text.
        label_smoothing: of the recipe.
        scheduled_sampling: of the recipe: the share of own words at the end of the training.
        max_tokens: of the recipe: longer training captions are cut there.
    """

    references: Sequence[Sequence[str]]
    tokenizer: Tokenizer
    label_smoothing: float = 0.0
    scheduled_sampling: float = 0.0
    max_tokens: int = 24


@dataclass(slots=True)
class Lesson:
    """One training batch, on the device where the captioner learns.

    Attributes:
        features_BFRC: region features, float32, with the graph of the encoder's tail.
        real_BF: True where a clip has a frame, bool; None for photos.
        inputs_BKT: ``<SOS> w1 ...``, int64, padded at the right; K captions of each photo.
        targets_BKT: ``w1 ... <EOS>``, int64; padding does not count.
        photos: positions of the photos or clips, int64 (B,), on the CPU.
        step: of the training, counted from 0.
        steps: of the whole training.
        seed: of the run.
        process: which of several that train together, counted from 0.
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
        """A source of chance that depends on the seed, the step and the process alone.

        What is drawn from it is the same in a run that was stopped and resumed.
        """
        state = np.random.SeedSequence([self.seed, self.step, self.process]).generate_state(1)
        return torch.Generator(self.features_BFRC.device).manual_seed(int(state[0]))


#: What the training itself logs of a step.
LOGGED = ("kind", "step", "loss", "nll", "rate")


@dataclass(slots=True)
class Loss:
    """What a step minimises, and what is logged of it.

    Attributes:
        value: what is minimised, a number with its graph: a mean over ``count`` things, but for
            ``parts``. Several processes minimise the mean over the things of all of them.
        total: sum of what the epoch's mean is of, without a graph: nats of the words.
        count: how many it is the sum of; 0 for a step that adds nothing to the mean.
        log: further numbers for the log, by name, without a graph; the names in :data:`LOGGED`
            are taken, and a training refuses them.
        parts: terms that ``value`` contains and that are means over other things, with how many
            these are; as many terms in every step, some of them perhaps over 0 things.
    """

    value: Tensor
    total: Tensor
    count: int
    log: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Sequence[tuple[Tensor, int]] = ()

    def of_all(self, weigh: Callable[[int], Tensor]) -> Tensor:
        """``value`` as one of those of several processes, whose mean is minimised.

        Args:
            weigh: what a mean over so many things of this process counts in the mean over those of
                all processes; every process asks as often.
        """
        others = sum((part for part, _ in self.parts), torch.zeros_like(self.value))
        value = (self.value - others) * weigh(self.count)
        for part, count in self.parts:
            value = value + part * weigh(count)
        return value


class Objective(Protocol):
    """What a training step minimises.

    A factory is registered under a kind, with the class of its options::

        @OBJECTIVES.register("focal", FocalOptions)
        class Focal:
            def __init__(self, options: FocalOptions, setting: Setting) -> None: ...
            def __call__(self, captioner: Captioner, lesson: Lesson) -> Loss: ...

    It keeps nothing from step to step, so that a resumed run goes on with the same bits. It may
    call the captioner as a whole (teacher forcing) or walk it by ``start`` and ``step`` (sampling),
    in training or, for a while, in evaluation mode. Chance comes from :meth:`Lesson.generator`, or
    from PyTorch's own generator, which the training has seeded and a checkpoint keeps.
    """

    def __call__(self, captioner: Captioner, lesson: Lesson) -> Loss:
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
        "self-critical": "negah.training.objectives.self_critical:SelfCritical",
        "unlikelihood": "negah.training.objectives.unlikelihood:Unlikelihood",
    },
)
