"""Which layers of an encoder's tail learn: its last convolutions, each with its batch norm."""

from __future__ import annotations

from torch import nn

from negah.errors import UsageError


def learn_last_convolutions(tail: nn.Sequential, layers: int) -> None:
    """Freeze all that stands before the last ``layers`` convolutions of a tail.

    A batch norm stands behind its convolution and goes with it: its scale and shift learn, its
    statistics never move (:meth:`negah.models.Encoder.train`).

    Args:
        tail: of an encoder, all of it learning.
        layers: how many, from the end; 1 or more.

    Raises:
        UsageError: the tail has fewer.
    """
    leaves = [m for m in tail.modules() if next(m.parameters(recurse=False), None) is not None]
    convolutions = [at for at, leaf in enumerate(leaves) if isinstance(leaf, nn.Conv2d)]
    if len(convolutions) < layers:
        raise UsageError(
            f"encoder.trainable_layers={layers}, but the {len(tail)} blocks that may learn have "
            f"{len(convolutions)} convolutions. Raise encoder.trainable_blocks."
        )
    for leaf in leaves[: convolutions[-layers]]:
        leaf.requires_grad_(requires_grad=False)
