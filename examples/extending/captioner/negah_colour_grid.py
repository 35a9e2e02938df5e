"""An encoder: the mean colours of 8 x 8 cells, with nothing to load."""

import hashlib

from torch import nn

from negah.media.preprocess import Preprocessing
from negah.models.encoder_kinds import ENCODERS, Backbone, EncoderOptions


@ENCODERS.register("colour-grid")
def colour_grid(options: EncoderOptions) -> Backbone:
    side = options.size or 64
    preprocessing = Preprocessing(
        height=side, width=side, mean=(0.5,) * 3, std=(0.25,) * 3,
        interpolation="bicubic", fit="squash",
    )  # fmt: skip
    blocks = (nn.AvgPool2d(side // 8),)  # (N, 3, H, W) to a map (N, 3, 8, 8)
    return Backbone(blocks, preprocessing, load=lambda weights: hashlib.sha256(b"1").hexdigest())
