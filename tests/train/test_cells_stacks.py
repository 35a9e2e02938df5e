"""The GRU without reset gate, gates given from outside, and layers of cells over sequences.

Axes: N sequences, T steps, E input size, L layers, D hidden size.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor, nn

from negah.models import ShowTell, ShowTellOptions
from negah.models.cells import CELLS, GruCell, GruNoResetCell, make_cell
from negah.models.stacks import CellStack

INPUT, HIDDEN = 4, 3


def random(*shape: int, grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


def held_open(cell: GruNoResetCell) -> GruCell:
    """A GRU with the same weights whose reset gate is exactly 1."""
    gru = GruCell(INPUT, HIDDEN).double()
    with torch.no_grad():
        gru.input.weight[:HIDDEN], gru.recurrent.weight[:HIDDEN] = 0.0, 0.0
        gru.input.bias[:HIDDEN] = 100.0
        gru.input.weight[HIDDEN:], gru.input.bias[HIDDEN:] = cell.input.weight, cell.input.bias
        gru.recurrent.weight[HIDDEN:] = cell.recurrent.weight
    return gru


def test_without_its_reset_gate_a_gru_is_one_that_holds_it_open() -> None:
    torch.manual_seed(0)
    cell = GruNoResetCell(INPUT, HIDDEN).double()
    nn.init.normal_(cell.input.bias)
    gru = held_open(cell)
    inputs, h = random(2, 5, INPUT), random(2, 5, HIDDEN)
    expected = gru(gru.project(inputs), {"h": h})["h"]
    torch.testing.assert_close(
        cell(cell.project(inputs), {"h": h})["h"], expected, rtol=0, atol=1e-15
    )
    # and torch's own GRU with those weights agrees over a whole sequence
    theirs = nn.GRU(INPUT, HIDDEN, batch_first=True).double()
    theirs.load_state_dict(
        {
            "weight_ih_l0": gru.input.weight, "bias_ih_l0": gru.input.bias,
            "weight_hh_l0": gru.recurrent.weight, "bias_hh_l0": torch.zeros(3 * HIDDEN),
        }
    )  # fmt: skip
    stack = CellStack("gru-no-reset", INPUT, HIDDEN).double()
    stack.load_state_dict({f"cells.0.{name}": value for name, value in cell.state_dict().items()})
    outputs, after = stack(inputs, h[:, 0][None])
    expected_outputs, expected_after = theirs(inputs, h[:, 0][None].contiguous())
    torch.testing.assert_close(outputs, expected_outputs, rtol=0, atol=1e-14)
    torch.testing.assert_close(after, expected_after, rtol=0, atol=1e-14)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    ("name", "theirs", "order"),
    [("lstm", nn.LSTM, (0, 1, 3, 2)), ("gru", nn.GRU, (0, 1, 2)), ("rnn", nn.RNN, (0,))],
)
def test_stacks_are_the_networks_of_torch(
    name: str, theirs: type[nn.RNNBase], order: tuple[int, ...], layers: int
) -> None:
    torch.manual_seed(1)
    stack = CellStack(name, INPUT, HIDDEN, layers).double()
    network = theirs(INPUT, HIDDEN, layers, batch_first=True).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for layer, cell in enumerate(stack.cells):
            for ours, name_of in ((cell.input, "ih"), (cell.recurrent, "hh")):
                blocks = ours.weight.chunk(len(order))
                weight = torch.cat([blocks[gate] for gate in order])
                getattr(network, f"weight_{name_of}_l{layer}").copy_(weight)
            blocks = cell.input.bias.chunk(len(order))
            getattr(network, f"bias_ih_l{layer}").copy_(torch.cat([blocks[g] for g in order]))
            getattr(network, f"bias_hh_l{layer}").zero_()
    inputs_NTE = random(2, 6, INPUT)
    first = tuple(random(layers, 2, HIDDEN) for _ in stack.state_names)
    for state in (None, first if len(first) == 2 else first[0]):
        outputs, after = stack(inputs_NTE, state)
        expected_outputs, expected_after = network(inputs_NTE, state)
        torch.testing.assert_close(outputs, expected_outputs, rtol=0, atol=1e-14)
        torch.testing.assert_close(after, expected_after, rtol=0, atol=1e-14)


def test_stacks_start_with_weights_as_torch_draws_them() -> None:
    torch.manual_seed(2)
    stack, bound = CellStack("gru-no-reset", 50, 64, 2), 64**-0.5
    for weights in (parameter for parameter in stack.parameters() if parameter.dim() == 2):
        assert bound * 0.99 < weights.abs().max() <= bound
        assert weights.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_dropout_is_between_the_layers_alone() -> None:
    torch.manual_seed(3)
    inputs_NTE = random(2, 4, INPUT)
    one = CellStack("gru-no-reset", INPUT, HIDDEN, 1, dropout=0.5).double().train()
    torch.testing.assert_close(one(inputs_NTE)[0], one(inputs_NTE)[0], rtol=0, atol=0)
    two = CellStack("gru-no-reset", INPUT, HIDDEN, 2, dropout=0.5).double().train()
    (first, state), (again, state_again) = two(inputs_NTE), two(inputs_NTE)
    assert not torch.equal(first, again)
    assert torch.equal(state[0], state_again[0])  # the first layer reads whole inputs
    assert torch.equal(state[1], first[:, -1])


@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_stacks(name: str) -> None:
    torch.manual_seed(4)
    stack = CellStack(name, INPUT, HIDDEN, 2).double()

    def run(inputs_NTE: Tensor) -> Tensor:
        outputs_NTD: Tensor = stack(inputs_NTE)[0]
        return outputs_NTD

    assert torch.autograd.gradcheck(run, (random(2, 3, INPUT, grad=True),))


def test_gates_from_outside_take_the_place_of_the_cells_own() -> None:
    torch.manual_seed(5)
    cell = GruCell(INPUT, HIDDEN).double()
    projected, h = cell.project(random(7, INPUT)), random(7, HIDDEN)
    own_r, own_z, own_n = projected.chunk(3, -1)
    u_r, u_z, _ = cell.recurrent(h).chunk(3, -1)
    reset, update = torch.sigmoid(own_r + u_r), torch.sigmoid(own_z + u_z)
    after = cell(projected, {"h": h})["h"]
    given = cell.step(projected, {"h": h}, update=update, reset=reset)["h"]
    torch.testing.assert_close(given, after, rtol=0, atol=1e-15)
    assert torch.equal(cell.step(projected, {"h": h}, update=1.0)["h"], h)
    alone = cell.step(projected, {"h": h}, update=0.0, reset=0.0)["h"]
    torch.testing.assert_close(alone, torch.tanh(own_n), rtol=0, atol=0)


def test_parameters_go_by_the_number_of_gates() -> None:
    size = {name: sum(p.numel() for p in make_cell(name, 5, 7).parameters()) for name in CELLS}
    assert size == {name: gates * (5 * 7 + 7 * 7 + 7) for name, gates in
                    {"rnn": 1, "gru-no-reset": 2, "gru": 3, "lstm": 4}.items()}  # fmt: skip
    assert all(a < b for a, b in pairwise(sorted(size.values())))


def test_networks_of_torch_keep_their_place_in_show_tell() -> None:
    """Bundles and runs of lstm, gru and rnn hold the weights under these names."""
    for cell in ("lstm", "gru", "rnn"):
        options = ShowTellOptions(cell=cell, layers=2, embedding_size=4, hidden_size=3)
        names = set(ShowTell(options, 6, 9).state_dict())
        assert {f"network.{kind}_{part}_l{layer}" for kind in ("weight", "bias")
                for part in ("ih", "hh") for layer in (0, 1)} <= names  # fmt: skip
    own = ShowTell(ShowTellOptions(cell="gru-no-reset", layers=2), 6, 9).state_dict()
    assert {"network.cells.1.input.weight", "network.cells.0.recurrent.weight"} <= set(own)
