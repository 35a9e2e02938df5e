"""One captioner of the study: trained as all are, looked at from outside as it learns.

Axes: N photos, B photos of a step, R regions, C channels, H, W of the CNN's map, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negah.diagnostics import (
    CaptionSample,
    Diagnosis,
    at_distance,
    examine,
    finite,
    said,
    snapshot,
    stack,
    touched_rows,
    update_ratios,
)
from negah.models import CaptionModel, Encoder, ShowTell, ShowTellOptions
from negah.models.seeding import seeded
from negah.studies.captioning import (
    CaptionData,
    CaptionOptions,
    Variation,
    encoder_of,
    open_captions,
    parameter_count,
    prepare_captions,
    teacher_forced,
    train_captioner,
    write_captions,
)
from negah.studies.captioning.data import Part, Standard
from negah.studies.gradients.deep import HelpedStack
from negah.studies.gradients.figures import MOMENTS
from negah.studies.gradients.study import (
    CURES,
    DEEP,
    GLOVE,
    GRU,
    LSTM,
    NO_RESET,
    RNN,
    TUNED,
    Cure,
    GradientsOptions,
)
from negah.studies.study import Paths, Progress
from negah.text import SPECIALS
from negah.text.vectors import read_vectors, vector_table
from negah.training.padding import pad_captions

_CELLS = {LSTM: "lstm", GRU: "gru", NO_RESET: "gru-no-reset", RNN: "rnn"}
#: Of the photos whose gradients are measured.
_CAPTIONS = 3


def prepare(o: GradientsOptions, paths: Paths, progress: Progress) -> None:
    """Features after the whole CNN, and before the blocks that learn in case (c)."""
    prepare_captions(o.captioning, paths, progress)
    tuned = o.captioning.model_copy(update={"trainable_blocks": o.blocks})
    prepare_captions(tuned, paths, progress)


def run_cell(
    o: GradientsOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and measure one captioner (see :meth:`negah.studies.study.Study.run_cell`)."""
    budget = o.captioning
    cure = CURES.get(variant, Cure())
    if variant in (DEEP, *CURES):
        budget = budget.model_copy(update={"learning_rate": cure.rate or o.deep_rate})
    if variant == TUNED:
        budget = budget.model_copy(update={"trainable_blocks": o.blocks})
    data = open_captions(budget, paths, progress, regions=variant == TUNED)
    encoder = encoder_of(budget) if variant == TUNED else None
    with seeded(seed):
        model = _model(o, budget, data, variant, seed, encoder)
    watch = _TrainingHook(o, data, encoder)
    groups: list[dict[str, Any]] = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    if encoder is not None:
        groups.append({"params": list(encoder.tail_blocks.parameters()), "lr": o.tail_rate})
    curves = train_captioner(
        model, data, budget, seed, progress=progress, label=f"{variant}, seed {seed}",
        variation=Variation(
            parameters=groups,
            features=None if encoder is None else _tail(data.train, encoder, data.standard),
            hook=watch, validate=False,
        ),
    )  # fmt: skip
    watch.look(model, watch.steps, "end")
    if encoder is not None:
        data = _encoded(data, encoder)
    nats, tokens, _ = teacher_forced(model, data, data.dev, budget)
    captions = write_captions(model, data, data.test, budget, progress)
    learns = model.embedding.weight.requires_grad
    dead = watch.never_touched() if learns else None
    found = replace(watch.found["end"], said=said(captions), dead=dead)
    values = _values(watch, found, encoder)
    values |= {
        "nats": nats / tokens,
        "distinct": 100 * len(set(captions)) / len(captions),
        "parameters": parameter_count(model),
    }
    if dead is not None:
        values["dead"] = 100 * dead
    made: dict[str, Any] = finite(
        {
            "values": values,
            "curves": {**curves, **watch.curves()},
            "extra": {"verdict": found.verdict().to_dict(), "said": found.said},
        }
    )
    return made


def _model(
    o: GradientsOptions,
    budget: CaptionOptions,
    data: CaptionData,
    variant: str,
    seed: int,
    encoder: Encoder | None,
) -> ShowTell:
    cure = CURES.get(variant, Cure())
    helped = cure.residual or cure.norm
    options = ShowTellOptions(
        cell=_CELLS.get(variant, "lstm"),
        layers=o.layers if variant in (DEEP, *CURES) and not helped else 1,
        embedding_size=budget.embedding_size,
        hidden_size=budget.hidden_size,
        word_size=o.word_size if variant == GLOVE else 0,
        dropout=budget.dropout,
    )  # fmt: skip
    channels = data.channels if encoder is None else encoder.channels
    model = ShowTell(options, channels, len(data.tokenizer))
    if helped:
        model.network = HelpedStack(
            budget.hidden_size, o.layers, budget.dropout, residual=cure.residual, norm=cure.norm
        )
    if variant == GLOVE and o.vectors:
        tokens = data.tokenizer.tokens
        vectors = read_vectors(o.vectors, tokens[len(SPECIALS) :], size=o.word_size)
        model.embedding.fill(vector_table(vectors, tokens, seed=seed), frozen=True)
    elif variant == GLOVE:
        model.embedding.weight.requires_grad = False
    return model


@dataclass
class _TrainingHook:
    """The hook of a training: measures on held-out captions, and what every step does.

    Attributes:
        found: diagnoses by moment.
        steps: of the training.
    """

    o: GradientsOptions
    data: CaptionData
    encoder: Encoder | None
    found: dict[str, Diagnosis] = field(default_factory=dict)
    steps: int = 0
    _over: dict[str, list[list[float]]] = field(default_factory=dict)
    _before: tuple[int, dict[str, Tensor]] | None = None
    _touched_V: Tensor | None = None

    def __call__(self, step: int, steps: int, model: CaptionModel) -> None:
        self.steps = steps
        if self._before is not None:
            at, before = self._before
            moved = [r for name, r in update_ratios(before, model).items() if "network" in name]
            self._point("update over weight", at, sum(moved) / len(moved))
            self._before = None
        gradient = model.get_submodule("embedding").get_parameter("weight").grad
        if gradient is not None:
            rows_V = touched_rows(gradient)
            self._touched_V = rows_V if self._touched_V is None else self._touched_V | rows_V
        every = max(1, steps // self.o.moments)
        if step % every == 0:
            moment = {0: "start", self.o.moments // 2 * every: "middle"}.get(step, "")
            self.look(model, step, moment)
            self._before = (step, snapshot(model))

    def look(self, model: CaptionModel, step: int, moment: str) -> None:
        """Measure the gradients of held-out captions; dropout comes back afterwards."""
        training = model.training
        modules = {} if self.encoder is None else {"encoder": self.encoder.tail_blocks}
        found = examine(model, [self._sample()], modules=modules, probes=self.o.probes)
        model.train(training)
        for distance in (5, 10):
            left = at_distance(found.jacobian, distance)
            if left is not None:
                self._point(f"left after {distance} words", step, left)
        if moment:
            self.found[moment] = found

    def never_touched(self) -> float:
        """Share of the words, specials left out, whose vector never got a gradient."""
        if self._touched_V is None:
            return 1.0
        return 1 - float(self._touched_V[len(SPECIALS) :].double().mean())

    def update(self) -> float | None:
        """Update over weight of the recurrent network, as it is half way."""
        points = self._over.get("update over weight", [])
        return points[len(points) // 2][1] if points else None

    def curves(self) -> dict[str, list[list[float]]]:
        """Profiles at the three moments, and what was followed through training."""
        drawn: dict[str, list[list[float]]] = dict(self._over)
        for moment in MOMENTS:
            if moment not in self.found:
                continue
            found = self.found[moment]
            stacked = stack(found.layers)
            profiles = {
                "memory": enumerate(found.jacobian),
                "last word": enumerate(found.last_word),
                "later words": enumerate(found.later_words),
                "layers": ((number, layer.gradient) for number, layer in stacked.items()),
            }
            for name, points in profiles.items():
                kept = [[float(x), y] for x, y in points]
                if kept:
                    drawn[f"{name}, {moment}"] = kept
        return drawn

    def _point(self, name: str, step: int, value: float) -> None:
        self._over.setdefault(name, []).append([float(step), value])

    def _sample(self) -> CaptionSample:
        rows = list(range(min(self.o.examined, len(self.data.dev.names))))
        most = self.o.captioning.max_tokens
        ids = [self.data.ids(self.data.dev.captions[row][:_CAPTIONS], most) for row in rows]
        inputs, targets = map(torch.from_numpy, pad_captions(ids))
        if self.encoder is None:
            features_BFRC = self.data.dev.features(rows)
        else:
            features_BFRC = _tail(self.data.dev, self.encoder, self.data.standard)(np.array(rows))
        return CaptionSample(features_BFRC, inputs, targets)


def _values(
    watch: _TrainingHook, found: Diagnosis, encoder: Encoder | None
) -> dict[str, float | None]:
    start = watch.found["start"]
    values: dict[str, float | None] = {
        f"jacobian_{distance}": at_distance(found.jacobian, distance) for distance in (1, 5, 10)
    }
    values["jacobian_10_start"] = at_distance(start.jacobian, 10)
    values["hidden_10"] = at_distance(found.jacobian_hidden, 10)
    first, last = found.last_word[-1], found.last_word[0]
    values["reach"] = first / last if last else None
    values["update"] = watch.update()
    shares = [gate["saturated"] for gate in found.saturation.values()]
    values["saturation"] = 100 * sum(shares) / len(shares)
    stacked = stack(found.layers)
    if stacked:
        top = stacked[max(stacked)].gradient
        values["layer_share"] = stacked[min(stacked)].gradient / top if top else None
    if encoder is not None:
        inside = [f.gradient for name, f in found.layers.items() if name.startswith("encoder")]
        values["encoder"] = sum(gradient**2 for gradient in inside) ** 0.5
    return values


def _tail(
    part: Part, encoder: Encoder, standard: Standard
) -> Callable[[npt.NDArray[np.int64]], Tensor]:
    """Mean features (B, 1, 1, C) through the CNN's blocks that learn, from stored maps."""

    def read(rows: npt.NDArray[np.int64]) -> Tensor:
        trunk_BCHW = part.features(rows)[:, 0]
        return standard(encoder.tail(trunk_BCHW).mean(1, keepdim=True))[:, None]

    return read


@torch.inference_mode()
def _encoded(data: CaptionData, encoder: Encoder) -> CaptionData:
    """The held-out photos as the trained CNN sees them."""

    def part(old: Part) -> Part:
        rows = np.array_split(np.arange(len(old.names)), max(1, len(old.names) // 32))
        read = _tail(old, encoder, data.standard)
        means = torch.cat([read(some)[:, 0] for some in rows])
        return replace(old, features_NRC=means.numpy().astype(np.float16))

    return replace(data, dev=part(data.dev), test=part(data.test))
