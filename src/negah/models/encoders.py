"""Image encoders: pixels in, a grid of region features out.

Any timm model whose ``forward_features`` gives a map or a token grid can be an encoder, and any
chain of modules that another package registers (:mod:`negah.models.encoder_kinds`). It is cut in
two: the *trunk* is always frozen, so its output is computed once into a feature store; the *tail*
is trainable. Without trainable blocks the tail is empty and the store contains the region features
themselves.

An encoder of the stream ``motion`` reads pictures of how the frames of a clip change (see
:mod:`negah.media.motion`), and its map is averaged to one region: it shows what moves, not where.

Frozen means no gradient; batch normalisation uses its stored statistics in training too, in the
trainable tail as well (with a few thousand photographs the batch statistics drift; only scale and
shift are learned there).

Axes: N photographs, C channels, H rows, W columns, R regions (R = H x W).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from negah.errors import UsageError
from negah.media.preprocess import Preprocessing
from negah.models.backbones import ALIASES, digest_tensors
from negah.models.concepts import Concepts
from negah.models.encoder_kinds import ENCODERS, Backbone, EncoderOptions, open_backbone
from negah.models.freezing import learn_last_convolutions
from negah.models.seeding import seeded
from negah.models.tuned import read_tuned, tuned_folder

_NAMED_WEIGHTS = ("auto", "package", "timm", "random")


class Encoder(nn.Module):
    """A backbone cut into a frozen trunk and a trainable tail.

    Args:
        options: of the encoder; ``load_encoder`` also loads its weights.
        backbone: of the options, if it is already open.

    Attributes:
        preprocessing: of photographs before :meth:`trunk`.
        pool: rows and columns that the map is averaged to, 1 for motion; 0 as it is.
        grid: rows and columns of the region grid.
        channels: channels of a region feature.
        trunk_shape: shape of the stored feature of one photograph.
        weights_sha256: content hash of the weights that were loaded ("random" without).
        concepts: the concept layer: that of the run or bundle of its weights, until
            :meth:`add_concepts` replaces it; None for none.
    """

    concepts: Concepts | None

    def __init__(self, options: EncoderOptions, backbone: Backbone | None = None) -> None:
        super().__init__()
        backbone = backbone or open_backbone(options)
        self.options = options
        self.name = ALIASES.get(options.name, options.name)
        self.preprocessing = backbone.preprocessing
        self.trunk_blocks, self.tail_blocks = _cut(backbone, self.name, options.trainable_blocks)
        self.weights_sha256 = "random"
        self.pool = options.pool if options.motion is None else 1
        self.concepts = None
        self.requires_grad_(requires_grad=False)
        self.tail_blocks.requires_grad_(requires_grad=True)
        if options.trainable_layers:
            learn_last_convolutions(self.tail_blocks, options.trainable_layers)
        self.eval()
        trunk, map_NCHW = self._probe()
        self.trunk_shape = tuple(trunk.shape[1:])
        self.channels = map_NCHW.shape[1]
        rows, columns = map_NCHW.shape[2:]
        self.grid = (self.pool, self.pool) if self.pool else (rows, columns)

    @property
    def regions(self) -> int:
        """Number of regions R of a photograph."""
        return self.grid[0] * self.grid[1]

    def train(self, mode: bool = True) -> Encoder:
        """Stay in inference mode: the batch-norm statistics never move."""
        super().train(mode=False)
        self.training = mode
        return self

    def add_concepts(self, words: Sequence[str], rates_W: Tensor | None = None) -> None:
        """Set the concepts; those that exist already keep their weights.

        Args:
            words: the W concepts; empty for none.
            rates_W: the base rate of each, for those with fresh weights.
        """
        known = self.concepts
        self.concepts = Concepts(self.channels, words) if words else None
        if self.concepts is None:
            return
        if rates_W is not None:
            self.concepts.start_from_rates(rates_W, self.regions)
        if known is not None:
            self.concepts.start_from(known)

    def fingerprint(self) -> str:
        """SHA-256 of all its current weights."""
        return digest_tensors(self.state_dict())

    def by_block(self) -> dict[str, Tensor]:
        """Its state by the index of the block in the whole chain, and the name within the block.

        The names do not depend on where the chain is cut.
        """
        blocks = [*self.trunk_blocks, *self.tail_blocks]
        return {
            f"{number}.{name}": tensor
            for number, block in enumerate(blocks)
            for name, tensor in block.state_dict().items()
        }

    @torch.no_grad()
    def trunk(self, pixels_NCHW: Tensor) -> Tensor:
        """The frozen part: float32 (N, 3, H, W) preprocessed pixels to ``(N, *trunk_shape)``.

        With nothing trainable this is already the region grid (N, R, C).
        """
        output: Tensor = self.trunk_blocks(pixels_NCHW)
        return output if len(self.tail_blocks) else self._regions(_as_map(output))

    def tail(self, trunk: Tensor) -> Tensor:
        """The trainable part: the output of :meth:`trunk` to regions, float32 (N, R, C)."""
        if not len(self.tail_blocks):
            return trunk
        return self._regions(_as_map(self.tail_blocks(trunk)))

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """The whole encoder: pixels (N, 3, H, W) to regions (N, R, C), row by row."""
        return self.tail(self.trunk(pixels_NCHW))

    def _regions(self, map_NCHW: Tensor) -> Tensor:
        """The cells of a map, (N, R, C), or the means of neighbouring ones."""
        if self.pool > min(map_NCHW.shape[2:]):
            raise UsageError(
                f"encoder.pool={self.pool}: the map of {self.name} has "
                f"{map_NCHW.shape[2]} x {map_NCHW.shape[3]} cells; set a smaller number, or 0"
            )
        if self.pool:
            map_NCHW = pool_cells(map_NCHW, self.pool)
        return map_NCHW.flatten(2).transpose(1, 2)

    @torch.inference_mode()
    def _probe(self) -> tuple[Tensor, Tensor]:
        """The trunk's output and the map of a black photograph, for their shapes."""
        height, width = self.preprocessing.size
        try:
            trunk = self.trunk(torch.zeros(1, 3, height, width))
            return trunk, self._map(trunk)
        except (AssertionError, RuntimeError) as error:
            raise UsageError(
                f"encoder {self.name} cannot read {height} x {width} pixels ({error}). "
                "Set encoder.size to 0 for its own size."
            ) from None

    def _map(self, trunk: Tensor) -> Tensor:
        if len(self.tail_blocks):
            return _as_map(self.tail_blocks(trunk))
        side = (self.pool,) * 2 if self.pool else _grid_of(trunk.shape[1], self.preprocessing)
        return trunk.transpose(1, 2).reshape(-1, trunk.shape[2], *side)


def pool_cells(map_NCHW: Tensor, side: int) -> Tensor:
    """PyTorch's adaptive mean over ``side`` x ``side`` bins, rows first and then columns.

    By slices, since its own becomes tables of places in the exported graph.
    """
    for axis in (2, 3):
        length = map_NCHW.shape[axis]
        bins = [(at * length // side, -(-(at + 1) * length // side)) for at in range(side)]
        means = [map_NCHW.narrow(axis, first, end - first).mean(axis) for first, end in bins]
        map_NCHW = torch.stack(means, axis)
    return map_NCHW


def load_encoder(options: EncoderOptions) -> Encoder:
    """Build an encoder and load its weights.

    Raises:
        UsageError: an unknown name, or weights that do not fit the architecture.
        MissingExtraError: the package with the weights is not installed.
    """
    backbone = open_backbone(options)
    encoder = Encoder(options, backbone)
    folder = None if options.weights in _NAMED_WEIGHTS else tuned_folder(options.weights)
    if folder is not None:
        _fill_tuned(encoder, folder)
        # content, not names: the same blocks give the same features wherever the cut is
        encoder.weights_sha256 = digest_tensors(encoder.by_block())
    elif options.weights != "random":
        encoder.weights_sha256 = backbone.load(options.weights)
    return encoder


def _cut(backbone: Backbone, name: str, trainable: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut a backbone before its last ``trainable`` blocks."""
    blocks = backbone.blocks
    if trainable and len(blocks) == 1:
        raise UsageError(
            f"{name}: cannot tell its blocks apart, so trainable_blocks must be 0 "
            "(EfficientNet- and ResNet-like models can be cut)"
        )
    if trainable >= len(blocks):
        raise UsageError(f"{name} has {len(blocks)} blocks; trainable_blocks={trainable}")
    at = len(blocks) - trainable
    return nn.Sequential(*blocks[:at]), nn.Sequential(*blocks[at:])


def _as_map(output: Tensor) -> Tensor:
    """A map (N, C, H, W) from a map or from a square grid of tokens (N, R, C)."""
    if output.ndim == 4:
        return output
    side = round(output.shape[1] ** 0.5)
    if side * side != output.shape[1]:
        raise UsageError(f"the encoder gives {output.shape[1]} tokens, which is no square grid")
    return output.transpose(1, 2).reshape(-1, output.shape[2], side, side)


def _grid_of(regions: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """Rows and columns of ``regions`` cells whose aspect follows the input's."""
    rows = round((regions * preprocessing.height / preprocessing.width) ** 0.5)
    if rows * (regions // rows) != regions:
        raise UsageError(f"{regions} regions are no grid of {rows} rows")
    return rows, regions // rows


def _fill_tuned(encoder: Encoder, folder: Path) -> None:
    """Load the encoder of a run or of a bundle, wherever that was cut."""
    tuned = read_tuned(folder)
    options = EncoderOptions.parse(tuned.options, where=f"encoder of {folder}")
    name = ALIASES.get(options.name, options.name)
    if name != encoder.name:
        raise UsageError(
            f"encoder weights {folder}: they are of {name}, this recipe has {encoder.name}. "
            f"Set encoder.name={options.name}, or give other weights."
        )
    with seeded(tuned.seed):  # a trunk of random weights came from it
        source = load_encoder(options)
    if source.preprocessing != encoder.preprocessing:
        raise UsageError(
            f"encoder weights {folder}: they learned on pixels of {source.preprocessing.size}, "
            f"this recipe has {encoder.preprocessing.size}. Set encoder.size={options.size}."
        )
    if tuned.concepts:
        source.add_concepts(tuned.concepts)
    # whatever else stands beside the chain of blocks is of no concern here
    kept = ("trunk_blocks.", "tail_blocks.", *(("concepts.",) if tuned.concepts else ()))
    tensors = {name: tensor for name, tensor in tuned.tensors.items() if name.startswith(kept)}
    unknown = sorted(tensors.keys() - source.state_dict().keys())
    if unknown:
        raise UsageError(f"encoder weights {folder}: {name} has no weights {unknown[:3]}")
    try:
        source.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise UsageError(f"encoder weights {folder} do not fit {name}: {error}") from None
    encoder.concepts = source.concepts
    own_tensors, tuned_tensors = encoder.by_block(), source.by_block()
    for key, tensor in own_tensors.items():
        tensor.copy_(tuned_tensors[key])


__all__ = ["ENCODERS", "Encoder", "EncoderOptions", "load_encoder"]
