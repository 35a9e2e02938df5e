"""Cells and attentions: PyTorch's own cells and finite differences are the oracles.

Axes: B photos, K captions, F frames, R regions, C channels, A attention size, D hidden size,
E embedding size, S phrase lengths.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor, nn

from negah.errors import UnknownNameError
from negah.models.attention import (
    FrameAttention,
    PhraseAttention,
    RegionAttention,
)
from negah.models.cells import CELLS, Cell, make_cell

INPUT, HIDDEN = 4, 3


def random(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


def state_of(cell: Cell, *leading: int, grad: bool = False) -> dict[str, Tensor]:
    return {name: random(*leading, HIDDEN, grad=grad) for name in cell.state_names}


def make(name: str) -> Cell:
    torch.manual_seed(0)
    cell = make_cell(name, INPUT, HIDDEN).double()
    nn.init.normal_(cell.input.bias)
    return cell


def torch_weights(cell: Cell, order: tuple[int, ...]) -> dict[str, Tensor]:
    """Our blocks of gates in torch's order, and no bias on torch's recurrent part."""

    def sort(tensor: Tensor) -> Tensor:
        blocks = tensor.detach().chunk(cell.gates)
        return torch.cat([blocks[gate] for gate in order])

    return {
        "weight_ih": sort(cell.input.weight),
        "bias_ih": sort(cell.input.bias),
        "weight_hh": sort(cell.recurrent.weight),
        "bias_hh": torch.zeros_like(cell.input.bias),
    }


@pytest.mark.parametrize(
    ("name", "theirs", "order"),
    [
        ("lstm", nn.LSTMCell, (0, 1, 3, 2)),  # torch: input, forget, candidate, output
        ("gru", nn.GRUCell, (0, 1, 2)),
        ("rnn", nn.RNNCell, (0,)),
    ],
)
def test_cells_are_those_of_torch(
    name: str, theirs: type[nn.RNNCellBase], order: tuple[int, ...]
) -> None:
    cell = make(name)
    other = theirs(INPUT, HIDDEN).double()  # type: ignore[call-arg]
    other.load_state_dict(torch_weights(cell, order))
    inputs, state = random(5, INPUT), state_of(cell, 5)
    after = cell(cell.project(inputs), state)
    if name == "lstm":
        h, c = other(inputs, (state["h"], state["c"]))
        torch.testing.assert_close(after["c"], c, rtol=0, atol=1e-13)
    else:
        h = other(inputs, state["h"])
    torch.testing.assert_close(after["h"], h, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_cells(name: str) -> None:
    cell = make(name)
    state = state_of(cell, 2, 3, grad=True)
    names = list(state)

    def run(inputs: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        after = cell(cell.project(inputs), dict(zip(names, values, strict=True)))
        return tuple(after[name] for name in names)

    assert torch.autograd.gradcheck(run, (random(2, 3, INPUT, grad=True), *state.values()))


def test_an_lstm_remembers_at_first() -> None:
    bias = make_cell("lstm", INPUT, HIDDEN).input.bias
    assert bias.tolist() == [0.0] * HIDDEN + [1.0] * HIDDEN + [0.0] * 2 * HIDDEN


def test_unknown_cell() -> None:
    with pytest.raises(UnknownNameError, match=r"'lstn'.*'lstm'"):
        make_cell("lstn", INPUT, HIDDEN)


@pytest.mark.parametrize("query", [True, False])
def test_gradients_of_region_attention(query: bool) -> None:
    torch.manual_seed(1)
    attention = RegionAttention(5, 4, HIDDEN if query else 0).double()
    keys_BFRA, h_BKD = random(2, 3, 4, 4, grad=True), random(2, 2, HIDDEN, grad=query)

    def run(keys: Tensor, h: Tensor, previous: Tensor) -> Tensor:
        return torch.func.functional_call(  # type: ignore[no-any-return]
            attention, {"previous": previous}, (keys, h if query else None)
        )

    assert torch.autograd.gradcheck(run, (keys_BFRA, h_BKD, random(4, grad=True)))


def test_region_attention_carries_the_weights_of_the_frame_before() -> None:
    """Equal frames get unequal weights through U_r; with U_r = 0 they do not."""
    torch.manual_seed(1)
    attention = RegionAttention(5, 4, 0).double()
    keys_BFRA = random(1, 1, 6, 4).expand(-1, 3, -1, -1)
    with torch.no_grad():
        attention.previous.fill_(2.0)
        first, second, _ = attention(keys_BFRA, None)[0, 0]
        assert (first - second).abs().max() > 1e-4
        attention.previous.zero_()
        first, second, third = attention(keys_BFRA, None)[0, 0]
    torch.testing.assert_close(first, second, rtol=0, atol=1e-15)
    torch.testing.assert_close(first, third, rtol=0, atol=1e-15)


def test_gradients_of_frame_attention() -> None:
    torch.manual_seed(2)
    attention = FrameAttention(5, 4, HIDDEN).double()
    real_BF = torch.tensor([[True, True, False], [True, True, True]])

    def run(keys_BKFA: Tensor, h_BKD: Tensor) -> Tensor:
        weights_BKF: Tensor = attention(keys_BKFA, h_BKD, real_BF)
        return weights_BKF

    inputs = random(2, 2, 3, 4, grad=True), random(2, 2, HIDDEN, grad=True)
    assert torch.autograd.gradcheck(run, inputs)
    assert (run(*inputs)[0, :, 2] == 0).all()


def test_gradients_of_phrase_attention() -> None:
    torch.manual_seed(3)
    attention = PhraseAttention(4, 5, 3, 4, HIDDEN).double()
    exists_BKS = torch.tensor([[[False, False, True], [False, True, True]], [[True] * 3] * 2])

    def run(history_BKSE: Tensor, h_BKD: Tensor) -> tuple[Tensor, Tensor]:
        text_BKP, weights_BKS = attention(history_BKSE, exists_BKS, h_BKD)
        return text_BKP, weights_BKS

    inputs = random(2, 2, 3, 4, grad=True), random(2, 2, HIDDEN, grad=True)
    assert torch.autograd.gradcheck(run, inputs)
    text_BKP, weights_BKS = run(*inputs)
    assert weights_BKS[0, 0].tolist() == [1.0, 0.0, 0.0]
    assert weights_BKS[0, 1, 2] == 0
    # a single phrase is the text feature
    only = torch.tanh(attention.compose[0](inputs[0][0, 0, 2]))
    torch.testing.assert_close(text_BKP[0, 0], only)
