"""Small networks that learn the adding and the copy problem.

Axes: N sequences, T steps, I components of an input, D hidden size, S symbols to recall.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models.cells import GruCell, GruNoResetCell
from negah.models.seeding import seeded
from negah.models.stacks import CellStack
from negah.studies.gru_gates.options import TaskOptions
from negah.studies.gru_gates.scan import run_gru
from negah.studies.gru_gates.tasks import ALPHABET, SYMBOLS, adding, copying

SequenceTask = Literal["adding", "copying"]

_TEST_BATCH = 250


class TaskNetwork(nn.Module):
    """A recurrent layer and a linear one.

    Args:
        cell: "gru", "gru-no-reset" or "lstm".
        input_size: I.
        hidden_size: D.
        outputs: numbers that are answered at a step.
    """

    def __init__(self, cell: str, input_size: int, hidden_size: int, outputs: int) -> None:
        super().__init__()
        # torch's LSTM has a fast path of its own; weights are drawn alike
        self.network: nn.Module = (
            nn.LSTM(input_size, hidden_size, batch_first=True)
            if cell == "lstm"
            else CellStack(cell, input_size, hidden_size)
        )
        self.output = nn.Linear(hidden_size, outputs)

    def forward(self, inputs_NTI: Tensor, last: int) -> Tensor:
        """Answers after the last ``last`` steps, (N, last, outputs)."""
        if isinstance(self.network, CellStack):
            cell = self.network.cells[0]
            assert isinstance(cell, GruCell | GruNoResetCell)
            states_NTD = run_gru(cell, inputs_NTI)
        else:
            states_NTD, _ = self.network(inputs_NTI)
        answers: Tensor = self.output(states_NTD[:, -last:])
        return answers


def learn_task(
    task: SequenceTask,
    cell: str,
    length: int,
    o: TaskOptions,
    seed: int,
    told: Callable[[int, int], None],
) -> float:
    """Train on fresh sequences, and measure on others.

    Args:
        task: which.
        cell: as in :class:`TaskNetwork`.
        length: T of "adding", the delay of "copying".
        o: the budget.
        seed: of weights and sequences.
        told: after every step, how many are done and how many there are.

    Returns:
        the mean squared error of the sum, or the share of symbols that are recalled.
    """
    numbers = torch.Generator().manual_seed(1_000 * seed + length)
    with seeded(seed):
        network = (
            TaskNetwork(cell, 2, o.hidden_size, 1)
            if task == "adding"
            else TaskNetwork(cell, ALPHABET + 2, o.hidden_size, ALPHABET)
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=o.learning_rate)
    steps = o.adding_steps if task == "adding" else o.copying_steps
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = o.learning_rate * _rate(step / steps)
        optimizer.zero_grad()
        if task == "adding":
            inputs_NTI, sums_N = adding(o.batch, length, numbers)
            loss = F.mse_loss(network(inputs_NTI, 1)[:, 0, 0], sums_N)
        else:
            inputs_NTI, symbols_NS = copying(o.batch, length, numbers)
            loss = F.cross_entropy(network(inputs_NTI, SYMBOLS).flatten(0, 1), symbols_NS.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), o.clip_norm)
        optimizer.step()
        told(step + 1, steps)
    return _measure(task, network, length, o)


@torch.inference_mode()
def _measure(task: SequenceTask, network: TaskNetwork, length: int, o: TaskOptions) -> float:
    """On the same sequences for every cell and seed, none of which was trained on."""
    numbers = torch.Generator().manual_seed(987_654_321)
    total, number = 0.0, 0
    while number < o.test_sequences:
        if task == "adding":
            inputs_NTI, sums_N = adding(_TEST_BATCH, length, numbers)
            total += float(((network(inputs_NTI, 1)[:, 0, 0] - sums_N) ** 2).mean())
        else:
            inputs_NTI, symbols_NS = copying(_TEST_BATCH, length, numbers)
            found_NS = network(inputs_NTI, SYMBOLS).argmax(-1)
            total += float((found_NS == symbols_NS).float().mean())
        number += _TEST_BATCH
    return total / (number // _TEST_BATCH)


def _rate(done: float) -> float:
    """The highest rate for the first half, then a cosine to 0."""
    return 1.0 if done < 0.5 else 0.5 * (1 + math.cos(2 * math.pi * (done - 0.5)))
