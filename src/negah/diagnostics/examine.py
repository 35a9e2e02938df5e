"""Diagnosis of a captioner on a few batches: all measurements of this package, and the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from negah.diagnostics.attention import AttentionWatch
from negah.diagnostics.flow import Flow
from negah.diagnostics.gates import GateWatch
from negah.diagnostics.layers import Layer, layers
from negah.diagnostics.verdict import Verdict, VerdictMeasurements, judge
from negah.diagnostics.walk import CaptionSample, walk
from negah.models import CaptionModel

#: Random vectors for each caption; the error of a norm falls with their root.
PROBES = 4


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The measurements.

    Attributes:
        loss: nats a word, teacher-forced.
        captions: how many were walked over.
        jacobian: by distance, from 0; see :class:`~negah.diagnostics.flow.Flow`.
        jacobian_hidden: the same of h alone.
        last_word: gradient of the last word's loss by distance.
        later_words: gradient of all later words' losses by time step.
        layers: gradients of the mean loss of a word, root mean square over batches.
        saturation: by gate: ``shut``, ``open``, ``saturated``, ``mean``.
        attention: by kind: ``entropy``, ``information``, ``things``.
        gate: of the balancing gate: ``mean``, ``deviation``, ``saturated``; None without.
        untouched: share of the rows of the word vectors that no word of these captions reaches.
        said: of free-running captions: ``photos``, ``distinct``, ``most_frequent``,
            ``most_frequent_share``; empty where none were made.
        dead: share of words whose vector was never learned; None where that cannot be told.
        vocabulary: number of words, special tokens among them; 0 if unknown.
    """

    loss: float
    captions: int
    jacobian: tuple[float, ...]
    jacobian_hidden: tuple[float, ...]
    last_word: tuple[float, ...]
    later_words: tuple[float, ...]
    layers: Mapping[str, Layer]
    saturation: Mapping[str, Mapping[str, float]]
    attention: Mapping[str, Mapping[str, float]]
    gate: Mapping[str, float] | None
    untouched: float
    said: Mapping[str, Any] = field(default_factory=dict)
    dead: float | None = None
    vocabulary: int = 0

    def verdict(self) -> Verdict:
        """Vanishing, exploding or healthy, where, and what to change."""
        measured = VerdictMeasurements(
            jacobian=self.jacobian,
            layers=self.layers,
            loss=self.loss,
            saturation={name: found["saturated"] for name, found in self.saturation.items()},
            attention=self.attention,
            captions=self.said,
            dead=self.dead,
            vocabulary=self.vocabulary,
        )
        return judge(measured)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what is infinite or no number is null."""
        values: dict[str, Any] = {
            "verdict": self.verdict().to_dict(),
            "loss": self.loss,
            "captions": self.captions,
            "jacobian": self.jacobian,
            "jacobian_hidden": self.jacobian_hidden,
            "last_word": self.last_word,
            "later_words": self.later_words,
            "layers": {
                name: {
                    "gradient": layer.gradient,
                    "weight": layer.weight,
                    "ratio": layer.ratio,
                    "parameters": layer.parameters,
                }
                for name, layer in self.layers.items()
            },
            "saturation": self.saturation,
            "attention": self.attention,
            "gate": self.gate,
            "untouched": self.untouched,
            "said": self.said,
            "dead": self.dead,
        }
        return {name: finite(value) for name, value in values.items()}


def examine(
    captioner: CaptionModel,
    samples: Iterable[CaptionSample],
    *,
    modules: Mapping[str, nn.Module] | None = None,
    probes: int = PROBES,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Diagnosis:
    """Measure a captioner on known captions. Its weights stay as they are.

    Args:
        captioner: switched to evaluation mode, so that dropout is no part of the numbers.
        samples: some batches; features that carry a graph give gradients to ``modules`` too.
        modules: others whose gradients are wanted, such as ``encoder``.
        probes: see :class:`~negah.diagnostics.flow.Flow`.
        seed: of the probes.
        progress: called with the number of batches done.

    Raises:
        ValueError: there is no sample.
    """
    captioner.eval()
    generator = torch.Generator().manual_seed(seed)
    named = _parameters(captioner, modules or {})
    flow, gates, attention = Flow(), GateWatch(captioner), AttentionWatch()
    squares: dict[str, Tensor] = {}
    touched_V: Tensor | None = None
    nats, words, captions, batches = 0.0, 0, 0, 0
    for sample in samples:
        done = walk(captioner, sample, gates=gates, attention=attention)
        count = int(sample.counts.sum())
        loss = done.losses_BKT.sum() / count
        found = dict(
            zip(
                named,
                torch.autograd.grad(
                    loss, list(named.values()), retain_graph=True, allow_unused=True
                ),
                strict=True,
            )
        )
        for name, gradient in found.items():
            if gradient is not None:
                square = gradient.double().square()
                squares[name] = squares[name] + square if name in squares else square
        rows_V = _read_rows(captioner, sample)
        touched_V = rows_V if touched_V is None else touched_V | rows_V
        flow.add(done, generator, probes=probes)
        nats += float(loss.detach()) * count
        words += count
        captions += int((sample.lengths > 0).sum())
        batches += 1
        if progress is not None:
            progress(batches)
    if touched_V is None:
        raise ValueError("a captioner is examined on one sample at least")
    roots = {name: (square / batches).sqrt() for name, square in squares.items()}
    return Diagnosis(
        loss=nats / words,
        captions=captions,
        jacobian=tuple(flow.jacobian.means()),
        jacobian_hidden=tuple(flow.jacobian_hidden.means()),
        last_word=tuple(flow.last_word.means()),
        later_words=tuple(flow.later_words.means()),
        layers=layers(named.items(), roots),
        saturation={name: gate.to_dict() for name, gate in gates.gates.items()},
        attention={kind: found.to_dict() for kind, found in attention.kinds.items()},
        gate=attention.gate(),
        untouched=1 - float(touched_V.double().mean()),
        vocabulary=len(touched_V),
    )


def said(captions: Sequence[str]) -> dict[str, Any]:
    """The diversity of captions: a model that ignores the photo repeats one caption."""
    (most, times), *_ = Counter(captions).most_common(1)
    return {
        "photos": len(captions),
        "distinct": len(set(captions)) / len(captions),
        "most_frequent": most,
        "most_frequent_share": times / len(captions),
    }


def finite(value: Any) -> Any:
    """A copy for JSON, which has neither infinity nor NaN: those become None."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _parameters(
    captioner: CaptionModel, modules: Mapping[str, nn.Module]
) -> dict[str, nn.Parameter]:
    named = {n: p for n, p in captioner.named_parameters() if p.requires_grad}
    for prefix, module in modules.items():
        named |= {f"{prefix}.{n}": p for n, p in module.named_parameters() if p.requires_grad}
    return named


def _read_rows(captioner: CaptionModel, sample: CaptionSample) -> Tensor:
    """Rows of the word vectors that the inputs of a sample read, bool (V,)."""
    rows_V = torch.zeros(captioner.vocabulary_size, dtype=torch.bool)
    rows_V[sample.inputs_BKT[sample.counts].cpu()] = True
    return rows_V
