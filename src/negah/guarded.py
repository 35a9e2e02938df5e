"""Errors of PyTorch and NumPy while a model runs -> one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from negah.arrays import BoolArray, IntArray
from negah.decoding import State, Step, StepModel
from negah.errors import BundleError


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Convert errors of PyTorch and NumPy, such as lack of memory, to BundleError.

    Args:
        name: of the model.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        words = " ".join(str(error).split()) or "not enough memory"
        raise BundleError(
            f"{name} cannot be run: {type(error).__name__}: {words:.400} (where memory is short, "
            "lower --batch-size or --beam)"
        ) from error


class GuardedSteps:
    """A :class:`~negah.decoding.StepModel` each step of which is :func:`guarded`.

    Args:
        model: the wrapped model.
        name: of the model.
    """

    def __init__(self, model: StepModel, name: str) -> None:
        self._model = model
        self._name = name

    def start(self, features: Any, real_frames: BoolArray | None = None) -> State:
        """See :meth:`negah.decoding.StepModel.start`."""
        with guarded(self._name):
            return self._model.start(features, real_frames)

    def step(self, state: State, tokens: IntArray) -> Step:
        """See :meth:`negah.decoding.StepModel.step`."""
        with guarded(self._name):
            return self._model.step(state, tokens)

    def reorder(self, state: State, parents: IntArray) -> State:
        """See :meth:`negah.decoding.StepModel.reorder`."""
        with guarded(self._name):
            return self._model.reorder(state, parents)
