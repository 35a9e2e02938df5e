"""How many bytes of tensors a computation holds at once, counted and therefore repeatable."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HeldBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made while it is entered, and the most at once.

    What an operation needs inside and gives back before it ends is not seen.

    Attributes:
        held: bytes that are in use.
        peak: the most so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and look at what it gives and what it was given."""
        result = func(*args, **(kwargs or {}))
        # views and what is done in place keep the storage that they were given
        given = {id(tensor.untyped_storage()) for tensor in _dense(args, kwargs)}
        for tensor in _dense(result):
            storage = tensor.untyped_storage()
            if id(storage) not in given:
                self._take(storage.nbytes())
                weakref.finalize(storage, self._take, -storage.nbytes())
        return result

    def _take(self, size: int) -> None:
        self.held += size
        self.peak = max(self.peak, self.held)


def _dense(*values: Any) -> list[Tensor]:
    """The tensors in nested values; of sparse ones, their parts."""
    tensors = [value for value in tree_leaves(values) if isinstance(value, Tensor)]
    return [
        part
        for tensor in tensors
        for part in ([tensor._indices(), tensor._values()] if tensor.is_sparse else [tensor])
    ]
