"""Output layers: finite differences, loops written from the formulas, sums of probabilities.

Axes: N words, D hidden size, V vocabulary, S drawn words.
"""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor

from negah.errors import UnknownNameError, UsageError
from negah.studies.output_layer.heads import (
    OUTPUT_LAYERS,
    AdaptiveSoftmax,
    NegativeSampling,
    OutputLayer,
    cutoffs_by_count,
    make_output_layer,
)
from negah.text import PAD, SOS

HIDDEN, WORDS, VOCABULARY = 16, 5, 40


def counts(vocabulary: int = VOCABULARY) -> Tensor:
    """Zipf's law after the specials: <EOS> is frequent, <UNK> is rare."""
    return torch.tensor([0, 0, 500, 3, *(1000 // rank for rank in range(1, vocabulary - 3))])


def make(name: str) -> OutputLayer:
    torch.manual_seed(1)
    return make_output_layer(name, HIDDEN, counts()).double()


def hidden_and_targets(words: int = WORDS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    hidden_ND = torch.randn(words, HIDDEN, dtype=torch.float64, generator=generator)
    return hidden_ND, torch.randint(2, VOCABULARY, (words,), generator=generator)


@pytest.mark.parametrize("name", OUTPUT_LAYERS)
def test_log_probabilities_sum_to_one(name: str) -> None:
    layer = make(name)
    logprobs_NV = layer.log_probabilities(hidden_and_targets()[0])
    assert logprobs_NV.shape == (WORDS, VOCABULARY) == (WORDS, layer.vocabulary_size)
    assert torch.allclose(logprobs_NV.exp().sum(-1), torch.ones(WORDS, dtype=torch.float64))


@pytest.mark.parametrize("name", ["full softmax", "adaptive softmax"])
def test_the_loss_of_a_softmax_is_that_of_its_log_probabilities(name: str) -> None:
    layer, (hidden_ND, targets_N) = make(name), hidden_and_targets(60)
    logprobs_NV = layer.log_probabilities(hidden_ND)
    expected = -logprobs_NV[torch.arange(60), targets_N].mean()
    assert torch.allclose(layer.loss(hidden_ND, targets_N), expected)


@pytest.mark.parametrize("name", OUTPUT_LAYERS)
def test_gradients_by_finite_differences(name: str) -> None:
    layer, (hidden_ND, targets_N) = make(name), hidden_and_targets()

    def loss(hidden_ND: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same draws
        return layer.loss(hidden_ND, targets_N)

    parameters = tuple(layer.parameters())
    assert torch.autograd.gradcheck(loss, (hidden_ND.requires_grad_(), *parameters), fast_mode=True)


def test_adaptive_softmax_multiplies_cluster_and_word() -> None:
    """p(w) = p(cluster) p(w in cluster), by hand."""
    layer = AdaptiveSoftmax(HIDDEN, VOCABULARY, [10, 25]).double()
    hidden_ND, _ = hidden_and_targets()
    head_NX = layer.layer.head(hidden_ND).softmax(-1)
    pieces = [head_NX[:, :10]]
    for number, tail in enumerate(layer.layer.tail):
        pieces.append(head_NX[:, 10 + number, None] * tail(hidden_ND).softmax(-1))
    by_hand_NV = torch.cat(pieces, dim=1).log()
    assert torch.allclose(layer.log_probabilities(hidden_ND), by_hand_NV)


def sigma(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def test_negative_sampling_is_a_loop_over_its_formula() -> None:
    layer = make("negative sampling")
    assert isinstance(layer, NegativeSampling)
    torch.nn.init.normal_(layer.bias.weight)
    hidden_ND, targets_N = hidden_and_targets()
    drawn_NS = layer.draw(WORDS)

    def score(word: int, hidden: list[float]) -> float:
        row = layer.words.weight[word].tolist()
        return sum(w * h for w, h in zip(row, hidden, strict=True)) + layer.bias.weight[word].item()

    total = 0.0
    for hidden, target, drawn in zip(
        hidden_ND.tolist(), targets_N.tolist(), drawn_NS.tolist(), strict=True
    ):
        total -= math.log(sigma(score(target, hidden)))
        for word in drawn:
            total -= math.log(sigma(-score(word, hidden)))
    loss = layer.loss_against(hidden_ND, targets_N, drawn_NS)
    assert loss.item() == pytest.approx(total / WORDS, rel=1e-12)


def test_the_noise_is_counts_to_three_quarters() -> None:
    layer = make("negative sampling")
    assert isinstance(layer, NegativeSampling)
    weights = [0, 0, *(float(count) ** 0.75 for count in counts()[2:])]
    expected_V = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    assert torch.allclose(layer.noise_V, expected_V)
    drawn_NS = layer.draw(4000)
    assert drawn_NS.shape == (4000, layer.samples)
    shares_V = torch.bincount(drawn_NS.flatten(), minlength=VOCABULARY) / drawn_NS.numel()
    assert shares_V[[PAD, SOS]].sum() == 0
    deviation_V = (expected_V * (1 - expected_V) / drawn_NS.numel()).sqrt()
    assert ((shares_V - expected_V).abs() <= 5 * deviation_V).all()


def test_what_negative_sampling_learns_is_the_distribution_less_the_noise() -> None:
    """With one hidden state the optimum is known: s = log p - log(k q), exactly normalised."""
    torch.manual_seed(0)
    layer = NegativeSampling(1, counts(8), samples=5).double()
    true_V = torch.tensor([0, 0, 0.3, 0.05, 0.25, 0.2, 0.15, 0.05], dtype=torch.float64)
    draws, hidden_N1 = 2000, torch.zeros(2000, 1, dtype=torch.float64)
    optimizer = torch.optim.Adam([layer.bias.weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
    for _ in range(120):
        targets_N = torch.multinomial(true_V, draws, replacement=True)
        optimizer.zero_grad()
        layer.loss(hidden_N1, targets_N).backward()
        optimizer.step()
        schedule.step()
    learnt_V = layer.log_probabilities(hidden_N1[:1])[0].exp()
    assert torch.allclose(learnt_V, true_V, atol=0.02)
    assert layer.log_normaliser(hidden_N1[:1]).item() == pytest.approx(0, abs=0.02)
    layer.restore_noise = False
    raw_V = layer.log_probabilities(hidden_N1[:1])[0].exp()
    without_V = torch.where(layer.noise_V > 0, true_V / layer.noise_V, 0)
    assert torch.allclose(raw_V, without_V / without_V.sum(), atol=0.03)
    assert raw_V[[PAD, SOS]].sum() == 0


def test_sparse_gradients_are_of_the_rows_in_use_and_equal_the_dense_ones() -> None:
    torch.manual_seed(0)
    dense = NegativeSampling(HIDDEN, counts(), samples=3)
    sparse = NegativeSampling(HIDDEN, counts(), samples=3, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    hidden_ND, targets_N = hidden_and_targets(2)
    drawn_NS = dense.draw(2)
    for layer in (dense, sparse):
        layer.loss_against(hidden_ND.float(), targets_N, drawn_NS).backward()
    gradient = sparse.words.weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    assert gradient.coalesce().indices().numel() <= 8
    assert dense.words.weight.grad is not None
    assert torch.allclose(gradient.to_dense(), dense.words.weight.grad)


@pytest.mark.parametrize(
    ("shares", "cutoffs"),
    [((0.5,), [1]), ((0.8, 0.95), [2, 3]), ((0.1, 0.2), [1]), ((1.0,), [4])],
)
def test_cutoffs_by_count(shares: tuple[float, ...], cutoffs: list[int]) -> None:
    assert cutoffs_by_count(torch.tensor([60, 20, 15, 4, 1]), shares) == cutoffs


@pytest.mark.parametrize("cutoffs", [[], [0], [VOCABULARY], [20, 10], [5, 5]])
def test_wrong_cutoffs(cutoffs: list[int]) -> None:
    with pytest.raises(UsageError, match="rising numbers between 1 and 39"):
        AdaptiveSoftmax(HIDDEN, VOCABULARY, cutoffs)


def test_other_refusals() -> None:
    with pytest.raises(UsageError, match="leaves nothing"):
        AdaptiveSoftmax(8, VOCABULARY, [10, 20])
    with pytest.raises(UsageError, match="1 word or more for each, not 0"):
        NegativeSampling(HIDDEN, counts(), samples=0)
    with pytest.raises(UnknownNameError, match="negative sampling"):
        make_output_layer("hinge", HIDDEN, counts())
