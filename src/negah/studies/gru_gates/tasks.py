"""Two tasks that ask a recurrent network for its memory, at any length.

Both are drawn fresh for every training step, so that nothing can be learnt by heart.

Axes: N sequences, T steps, I components of an input, S symbols to recall.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Symbols of the copy problem; a blank and the sign to begin come on top.
ALPHABET = 8
#: S.
SYMBOLS = 5


def adding(batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The adding problem (Hochreiter and Schmidhuber 1997), as in Arjovsky et al. 2016.

    Each input is a number from 0 to 1 and a mark; one number of each half of the sequence is
    marked, and the answer after the last step is their sum.

    Args:
        batch: N.
        length: T, 2 or more.
        generator: of the numbers.

    Returns:
        inputs (N, T, 2) and sums (N,), float32.
    """
    half = length // 2
    numbers_NT = torch.rand(batch, length, generator=generator)
    first_N = torch.randint(half, (batch,), generator=generator)
    second_N = torch.randint(half, length, (batch,), generator=generator)
    marks_NT = (F.one_hot(first_N, length) + F.one_hot(second_N, length)).float()
    return torch.stack([numbers_NT, marks_NT], dim=2), (numbers_NT * marks_NT).sum(1)


def copying(batch: int, delay: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The copy problem (Hochreiter and Schmidhuber 1997), as in Arjovsky et al. 2016.

    S symbols, ``delay`` blanks, the sign to begin and S - 1 blanks, one-hot; the answer from the
    sign on is the symbols in their order.

    Args:
        batch: N.
        delay: steps between the last symbol and the sign.
        generator: of the symbols.

    Returns:
        inputs (N, T = 2 S + delay, ALPHABET + 2), float32, and the symbols (N, S), int64.
    """
    symbols_NS = torch.randint(ALPHABET, (batch, SYMBOLS), generator=generator)
    rest_NT = torch.full((batch, delay + SYMBOLS), ALPHABET)
    rest_NT[:, delay] = ALPHABET + 1
    whole_NT = torch.cat([symbols_NS, rest_NT], dim=1)
    return F.one_hot(whole_NT, ALPHABET + 2).float(), symbols_NS
