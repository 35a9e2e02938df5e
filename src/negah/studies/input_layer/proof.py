"""That one-hot + dense and an embedding are one function with one gradient, and what each costs.

Axes: B photos, K captions of each, T words, V vocabulary, E embedding size, N words of a step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models import ShowTell, ShowTellOptions, flatten_words
from negah.models.seeding import seeded
from negah.studies.input_layer.layers import OneHotDense
from negah.studies.memory import HeldBytes
from negah.studies.study import Progress
from negah.studies.timing import Turns
from negah.text import PAD

EMBEDDING, ONE_HOT = "embedding", "one-hot + dense"


def make_twins(vocabulary: int, size: int, channels: int) -> tuple[ShowTell, ShowTell]:
    """A captioner with an embedding and the same with one-hot + dense, in float64."""
    options = ShowTellOptions(embedding_size=size, hidden_size=size, dropout=0)
    ours = ShowTell(options, channels, vocabulary).double()
    twin = copy.deepcopy(ours)
    dense = OneHotDense(vocabulary, size).double()
    with torch.no_grad():
        dense.weight.copy_(ours.embedding.weight.T)
    twin.register_module("embedding", dense)
    return ours, twin


def prove_equal(*, vocabulary: int, size: int, steps: int, seed: int) -> dict[str, float]:
    """Train both on the same random captions and compare everything.

    Args:
        vocabulary: V.
        size: E, and of the hidden state.
        steps: of Adam.
        seed: of weights and captions.

    Returns:
        The largest absolute difference of ``outputs`` and ``gradients`` (of all weights) over all
        steps, and of the ``weights`` after them; float64.
    """
    with seeded(seed):
        channels = 6
        ours, twin = make_twins(vocabulary, size, channels)
        optimizers = [torch.optim.Adam(model.parameters(), lr=1e-3) for model in (ours, twin)]
        worst = {"outputs": 0.0, "gradients": 0.0, "weights": 0.0}
        for _ in range(steps):
            features = torch.randn(4, 1, 1, channels, dtype=torch.float64)
            inputs_BKT = torch.randint(1, vocabulary, (4, 2, 9))
            inputs_BKT[:, 1, 6:] = PAD
            counts_BKT = inputs_BKT != PAD
            targets_N = flatten_words(inputs_BKT.roll(-1, 2), counts_BKT)
            logits = []
            for model, optimizer in zip((ours, twin), optimizers, strict=True):
                logits.append(model(features, inputs_BKT, counts_BKT))
                optimizer.zero_grad()
                F.cross_entropy(logits[-1], targets_N).backward()  # type: ignore[no-untyped-call]
            worst["outputs"] = max(worst["outputs"], _distance(logits[0], logits[1]))
            worst["gradients"] = max(worst["gradients"], _furthest(ours, twin, gradients=True))
            for optimizer in optimizers:
                optimizer.step()
        worst["weights"] = _furthest(ours, twin, gradients=False)
        return worst


def _furthest(ours: nn.Module, twin: nn.Module, *, gradients: bool) -> float:
    theirs = dict(twin.named_parameters())
    found = []
    for name, weight in ours.named_parameters():
        other = theirs[name]
        first = weight.grad if gradients else weight
        second = other.grad if gradients else other
        assert first is not None
        assert second is not None
        found.append(_distance(first, second.T if name == "embedding.weight" else second))
    return max(found)


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first.detach() - second.detach()).abs().max())


def measure_costs(
    vocabularies: Sequence[int], *, size: int, words: int, repeats: int, progress: Progress
) -> list[dict[str, Any]]:
    """Time and memory of a training step of the input layer alone.

    Args:
        vocabularies: V, each in turn.
        size: E.
        words: N, read in a step.
        repeats: turns; both layers take turns, and medians are told.
        progress: told of turns.

    Returns:
        For each V: ``vocabulary`` and ``layers`` by name, each with ``share`` (of the embedding's
        time in the same turn), ``ms``, ``held_mb`` (the most that a step holds besides the
        weights) and ``multiply_adds`` (of the forward pass).
    """
    found = []
    for vocabulary in vocabularies:
        with seeded(vocabulary):
            words_N = torch.randint(1, vocabulary, (words,))
            layers: dict[str, nn.Module] = {
                EMBEDDING: nn.Embedding(vocabulary, size, padding_idx=PAD),
                ONE_HOT: OneHotDense(vocabulary, size),
            }
        steps = {name: _step(layer, words_N) for name, layer in layers.items()}
        held = {}
        for name, step in steps.items():
            step()  # the first is slower
            layers[name].zero_grad()
            with HeldBytes() as counted:
                step()
            held[name] = counted.peak / 1e6
        turns = Turns(steps, repeats, partial(progress, f"timing {vocabulary:,} words"))
        rows = {
            name: {
                "share": turns.share(name, EMBEDDING),
                "ms": turns.ms(name),
                "held_mb": held[name],
                "multiply_adds": words * vocabulary * size if name == ONE_HOT else 0,
            }
            for name in steps
        }
        found.append({"vocabulary": vocabulary, "layers": rows})
    return found


def _step(layer: nn.Module, words_N: Tensor) -> Callable[[], None]:
    """Forward and backward; the update is the same for both and left out."""

    def step() -> None:
        layer.zero_grad()
        layer(words_N).sum().backward()

    return step
