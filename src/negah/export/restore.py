"""A bundle back to PyTorch: the encoder and the captioner that its graphs were made from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from negah.bundle import Bundle
from negah.bundle.packaged import shared_weights
from negah.errors import BundleError, UsageError
from negah.export.weights import named_weights
from negah.models import (
    CaptionModel,
    Encoder,
    EncoderOptions,
    build_captioner,
    captioner_options,
)


def load_captioner(bundle: Bundle) -> tuple[Encoder, CaptionModel]:
    """The PyTorch models of a bundle, float32, on the CPU, in evaluation mode.

    Weights of the encoder that its graph does not read (a classifier, say) are not in the bundle
    and come out random.

    Raises:
        BundleError: the weights do not fit the models that the bundle names.
    """
    config = bundle.config
    options = EncoderOptions(
        name=config.encoder.name,
        weights="random",
        size=config.preprocessing.height,
        trainable_blocks=config.encoder.trainable_blocks,
        stream=config.encoder.stream,
        motion_step=config.encoder.motion_step,
        pool=config.encoder.pool or 0,
        concepts=len(config.encoder.concepts),
    )
    try:
        encoder = Encoder(options)
        grid = (config.encoder.rows, config.encoder.columns)
        # in a bundle from before `pool` was stored, the grid shows that the map was pooled
        if config.encoder.pool is None and encoder.grid != grid and grid[0] == grid[1]:
            encoder = Encoder(options.model_copy(update={"pool": grid[0]}))
        encoder.add_concepts(config.encoder.concepts)
        captioner = build_captioner(
            captioner_options(config.model.options, where="model.options"),
            channels=config.encoder.channels,
            vocabulary_size=config.vocabulary_size,
            concepts=encoder.concepts,
        )
        stored = stored_weights(bundle)
    except (UsageError, SafetensorError) as error:
        raise BundleError(f"bundle {bundle.path} cannot be restored: {error}") from error
    encoder.preprocessing = config.preprocessing
    _fill({"encoder": encoder, "captioner": captioner}, stored, bundle)
    return encoder.eval(), captioner.eval()


def stored_weights(bundle: Bundle) -> dict[str, Tensor]:
    """The tensors of a bundle, as they are stored; those of an encoder of the package, too.

    Raises:
        SafetensorError: a file is damaged.
    """
    *shared, own = map(load_file, bundle.weights_paths)
    return {name: one for file in shared for name, one in shared_weights(file).items()} | own


@torch.no_grad()
def _fill(modules: Mapping[str, nn.Module], stored: Mapping[str, Tensor], bundle: Bundle) -> None:
    weights = named_weights(modules)
    unknown = sorted(stored.keys() - weights.keys())
    if unknown:
        raise BundleError(
            f"bundle {bundle.path}: {bundle.config.model.kind} over "
            f"{bundle.config.encoder.name} has no weights {', '.join(unknown[:3])}. The bundle "
            "may come from another version of Negah or of timm."
        )
    for name, tensor in stored.items():
        if tensor.shape != weights[name].shape:
            raise BundleError(
                f"bundle {bundle.path}: {name} has the shape {tuple(tensor.shape)} instead of "
                f"{tuple(weights[name].shape)}"
            )
        weights[name].copy_(tensor)
