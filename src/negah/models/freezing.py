"""Partial freezing of an encoder's tail: only its last convolutions and their batch norms are
trained."""

from __future__ import annotations

from torch import nn

from negah.errors import UsageError


def learn_last_convolutions(tail: nn.Sequential, layers: int) -> None:
    """Freeze everything before the last ``layers`` convolutions of a tail.

    The batch norm after a trained convolution is trained with it: its scale and shift, but not its
    statistics (:meth:`negah.models.Encoder.train`).

    Args:
        tail: of an encoder, completely trainable.
        layers: number of convolutions, from the end; 1 or more.

    Raises:
        UsageError: the tail has fewer.
    """
    leaves = [m for m in tail.modules() if next(m.parameters(recurse=False), None) is not None]
    convolutions = [at for at, leaf in enumerate(leaves) if isinstance(leaf, nn.Conv2d)]
    if len(convolutions) < layers:
        raise UsageError(
            f"encoder.trainable_layers={layers}, but the {len(tail)} trainable blocks have "
            f"{len(convolutions)} convolutions. Raise encoder.trainable_blocks."
        )
    for leaf in leaves[: convolutions[-layers]]:
        leaf.requires_grad_(requires_grad=False)
