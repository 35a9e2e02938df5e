"""timm's image models as chains of blocks: EfficientNets and ResNets; others as a single block.

Axes: N photographs, C channels, H rows, W columns, R regions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from negah.errors import UsageError
from negah.media.preprocess import Preprocessing
from negah.models.backbones import ALIASES, LITE_PACKAGES, create_backbone, load_pretrained
from negah.models.encoder_kinds import Backbone, EncoderOptions


def timm_backbone(options: EncoderOptions) -> Backbone:
    """A model of timm with fresh weights.

    Raises:
        UnknownNameError: timm has no such model.
        MissingExtraError: timm is not installed.
    """
    name = ALIASES.get(options.name, options.name)
    model = create_backbone(name)
    blocks = _blocks(model)

    def load(weights: str) -> str:
        state, digest = load_pretrained(name, weights)
        _fill(blocks, name, state, weights)
        return digest

    return Backbone(tuple(blocks), _preprocessing(name, model, options.size), load)


def _preprocessing(name: str, backbone: nn.Module, size: int) -> Preprocessing:
    config: dict[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    height, width = (size, size) if size else config["input_size"][1:]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if name in LITE_PACKAGES:
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3  # (x - 127) / 128, as they were trained
    return Preprocessing(
        height=height, width=width, mean=mean, std=std, interpolation="bicubic", fit="squash"
    )


def _blocks(backbone: Any) -> list[nn.Module]:
    """The modules from stem to last feature map; a backbone that is not a chain is one module."""
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
    return [_UnsplitBackbone(backbone)]


def _flatten(stages: Any) -> list[nn.Module]:
    return [block for stage in stages for block in stage]


class _UnsplitBackbone(nn.Module):
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


def _fill(blocks: list[nn.Module], name: str, state: dict[str, Tensor], source: str) -> None:
    """Load timm-named weights into the blocks of a model."""
    backbone = create_backbone(name)
    own = backbone.state_dict()
    fitting = {key: value for key, value in state.items() if key in own}
    missing = [key for key in own if key not in fitting and not _may_lack(key)]
    wrong = [key for key, value in fitting.items() if value.shape != own[key].shape]
    wrong = [key for key in wrong if not _is_classifier(key)]
    if missing or wrong:
        raise UsageError(
            f"the weights {source!r} do not fit {name}: missing {missing[:3]}, "
            f"of another shape {wrong[:3]}"
        )
    kept = {key: value for key, value in fitting.items() if value.shape == own[key].shape}
    backbone.load_state_dict(kept, strict=False)
    for block, filled in zip(blocks, _blocks(backbone), strict=True):
        block.load_state_dict(filled.state_dict())


def _may_lack(key: str) -> bool:
    # frozen batch norms never read how many batches they have seen; old files lack it
    return _is_classifier(key) or key.endswith(".num_batches_tracked")


def _is_classifier(key: str) -> bool:
    return key.split(".")[0] in ("classifier", "fc", "head")
