"""The stack of the study of gradients that normalises and adds, against torch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="studies need the train extra")

import torch
from torch import nn

from negah.studies.gradients.deep import HelpedStack

pytestmark = pytest.mark.usefixtures("one_thread")


def test_without_help_it_is_the_lstm_of_torch() -> None:
    torch.manual_seed(0)
    stack = HelpedStack(6, 3, 0.0, residual=False, norm=False).eval()
    known = nn.LSTM(6, 6, 3, batch_first=True)
    for layer, cell in enumerate(stack.cells):
        for name, parameter in cell.named_parameters():
            known.get_parameter(name.replace("_l0", f"_l{layer}")).data.copy_(parameter)
    inputs_NTE = torch.randn(2, 5, 6)
    outputs, (h, c) = stack(inputs_NTE)
    expected, (h_known, c_known) = known(inputs_NTE)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close((h, c), (h_known, c_known))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_word_by_word_is_all_at_once(residual: bool, norm: bool) -> None:
    torch.manual_seed(0)
    stack = HelpedStack(6, 4, 0.5, residual=residual, norm=norm).eval()
    inputs_NTE = torch.randn(2, 5, 6)
    whole, last = stack(inputs_NTE)
    state, steps = None, []
    for t in range(5):
        output, state = stack(inputs_NTE[:, t : t + 1], state)
        steps.append(output)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
    torch.testing.assert_close(state, last)


def test_residual_layers_add_to_what_they_read_and_norms_do_not_see_its_scale() -> None:
    torch.manual_seed(0)
    residual = HelpedStack(6, 1, 0.0, residual=True, norm=True).eval()
    plain = HelpedStack(6, 1, 0.0, residual=False, norm=True).eval()
    plain.load_state_dict(residual.state_dict())
    inputs_NTE = torch.randn(2, 5, 6)
    torch.testing.assert_close(residual(inputs_NTE)[0], inputs_NTE + plain(inputs_NTE)[0])
    torch.testing.assert_close(
        plain(inputs_NTE)[0], plain(1000 * inputs_NTE)[0], rtol=1e-3, atol=1e-4
    )


def test_help_brings_the_gradient_down_forty_layers() -> None:
    shares = {}
    for helped in (False, True):
        torch.manual_seed(0)
        stack = HelpedStack(8, 40, 0.0, residual=helped, norm=helped)
        stack(torch.randn(4, 6, 8))[0].square().sum().backward()
        low, high = (stack.cells[n].get_parameter("weight_ih_l0").grad.norm() for n in (0, -1))
        shares[helped] = float(low / high)
    assert shares[False] < 1e-8
    assert shares[True] > 0.01
