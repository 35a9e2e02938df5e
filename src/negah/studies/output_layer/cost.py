"""Time and memory of output layers over the size of the vocabulary.

The hidden states are random, since cost does not depend on them. The words follow Zipf's law:
what an adaptive softmax costs depends on how often rare words come, and no text of 100,000
different words is needed for that. Layers take turns, and a time is
told as its share of the full softmax's in the same turn; medians over turns.

Axes: N words of a training step, B hypotheses of a decoding step, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from negah.models.seeding import seeded
from negah.studies.memory import HeldBytes
from negah.studies.output_layer.heads import NegativeSampling, OutputLayer, make_output_layer
from negah.studies.output_layer.study import FULL, OTHERS, SPARSE
from negah.studies.study import Progress
from negah.studies.timing import Turns
from negah.text import EOS, SPECIALS

TIMED = (FULL, *OTHERS)
_WORKS = ("step", "decode")


def zipf_counts(vocabulary: int) -> Tensor:
    """Counts of words by Zipf's law, the r-th as often as 1 / r, after specials as ours are."""
    words_V = torch.arange(1, vocabulary - len(SPECIALS) + 1).double()
    # what a large text has of the rarest word is 1
    counts_V = torch.cat([torch.zeros(len(SPECIALS)), (len(words_V) / words_V).round()])
    counts_V[EOS] = counts_V.max()
    return counts_V.long()


def make_timed(
    name: str, hidden: int, counts_V: Tensor
) -> tuple[OutputLayer, torch.optim.Optimizer]:
    """A layer of :data:`TIMED` and the optimizer of its training."""
    if name == SPARSE:
        layer: OutputLayer = NegativeSampling(hidden, counts_V, sparse=True)
        return layer, torch.optim.SparseAdam(list(layer.parameters()), lr=1e-3)
    layer = make_output_layer(name, hidden, counts_V)
    return layer, torch.optim.Adam(layer.parameters(), lr=1e-3)


def measure_costs(
    vocabularies: Sequence[int],
    *,
    hidden: int,
    words: int,
    hypotheses: int,
    repeats: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Cost by vocabulary and layer.

    Args:
        vocabularies: V, each in turn.
        hidden: D.
        words: N, predicted in a training step.
        hypotheses: B, continued in a decoding step.
        repeats: turns.
        progress: told of turns.

    Returns:
        For each V: ``vocabulary`` and ``layers`` by name, each with ``step`` and ``decode`` (time
        as a share of the full softmax's), ``step_ms`` and ``decode_ms``, ``parameters_mb`` and
        ``peak_mb`` (weights, moments of Adam, and the most that a training step holds besides).
    """
    found = []
    for vocabulary in vocabularies:
        with seeded(vocabulary):
            counts_V = zipf_counts(vocabulary)
            hidden_ND = torch.randn(words, hidden, requires_grad=True)
            hidden_BD = torch.randn(hypotheses, hidden)
            targets_N = torch.multinomial(counts_V.double(), words, replacement=True)
            steps: dict[str, Callable[[], object]] = {}
            decodes: dict[str, Callable[[], object]] = {}
            sizes: dict[str, dict[str, float]] = {}
            for name in TIMED:
                layer, optimizer = make_timed(name, hidden, counts_V)
                step = _training_step(layer, optimizer, hidden_ND, targets_N)
                steps[f"step {name}"] = step
                decodes[f"decode {name}"] = _decoding_step(layer, hidden_BD)
                sizes[name] = _memory(layer, optimizer, step)
        told = partial(progress, f"timing {vocabulary:,} words")
        turns = Turns(steps | decodes, repeats, told)
        layers = {
            name: {
                **{work: turns.share(f"{work} {name}", f"{work} {FULL}") for work in _WORKS},
                **{f"{work}_ms": turns.ms(f"{work} {name}") for work in _WORKS},
                **sizes[name],
            }
            for name in TIMED
        }
        found.append({"vocabulary": vocabulary, "layers": layers})
    return found


def _training_step(
    layer: OutputLayer, optimizer: torch.optim.Optimizer, hidden_ND: Tensor, targets_N: Tensor
) -> Callable[[], None]:
    """Forward, backward (to the hidden states, too) and update."""

    def step() -> None:
        hidden_ND.grad = None
        layer.zero_grad()
        layer.loss(hidden_ND, targets_N).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _decoding_step(layer: OutputLayer, hidden_BD: Tensor) -> Callable[[], None]:
    """The log-probabilities of all words, as the next word of a caption needs them."""

    def step() -> None:
        with torch.inference_mode():
            layer.log_probabilities(hidden_BD)

    return step


def _memory(
    layer: OutputLayer, optimizer: torch.optim.Optimizer, step: Callable[[], object]
) -> dict[str, float]:
    step()  # makes the moments of Adam
    layer.zero_grad()
    weights = sum(weight.nbytes for weight in layer.parameters())
    moments = sum(
        value.nbytes
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    )
    with HeldBytes() as held:
        step()
    return {"parameters_mb": weights / 1e6, "peak_mb": (weights + moments + held.peak) / 1e6}
