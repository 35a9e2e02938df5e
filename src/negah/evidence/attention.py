"""Attention weights as evidence.

They are outputs of the model, not proof that the word came from there; ``docs/explain.md`` compares
them with the other methods.

Axes: T words, F frames, R regions, H rows and W columns of the grid.
"""

from __future__ import annotations

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.errors import UsageError
from negah.evidence.subject import Subject


class Attention:
    """The share of a word's attention on each cell of each frame; a word's shares sum to 1."""

    @property
    def signature(self) -> str:
        """See :class:`~negah.evidence.methods.Evidence`."""
        return "attention"

    def check(self, backend: Backend) -> None:
        """Refuse models that do not attend to regions."""
        if backend.sight.grid is None:
            raise UsageError(
                f"{backend.identity.name} does not attend to regions of a picture, so there is no "
                f"attention to show: use another method, such as patches"
            )

    def maps(self, subject: Subject) -> FloatArray:
        """The weights of the regions, times those of the frames for a model that has them."""
        grid = subject.backend.sight.grid
        assert grid is not None
        shares_TFR = subject.weights["regions"]
        frames_TF = subject.weights.get("frames")
        if frames_TF is not None:
            shares_TFR = shares_TFR * frames_TF[..., None]
        return shares_TFR.reshape(*shares_TFR.shape[:2], *grid)


ATTENTION = Attention()
