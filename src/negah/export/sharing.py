"""A bundle without an encoder of its own: it uses that of a model in the package."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load_file
from torch import Tensor

from negah.bundle import EncoderSource, GraphSpec, read_bundle
from negah.bundle.packaged import bundled_models, shared_weights
from negah.bundle.schema import WEIGHTS_FILE
from negah.errors import UnknownNameError, UsageError
from negah.models import Encoder
from negah.models.backbones import equal_in_bundles

#: What two encoders must have alike besides their weights.
_ALIKE = ("name", "trainable_blocks", "rows", "columns", "channels", "stream", "motion_step")


def share_encoder(
    model: str, encoder: Encoder, weights: Mapping[str, Tensor]
) -> tuple[EncoderSource, GraphSpec]:
    """How a bundle names the encoder of a model in the package, which must be the one given.

    Args:
        model: the name of that model.
        encoder: of the bundle.
        weights: what :func:`~negah.export.weights.named_weights` calls ``encoder.*``, among others.

    Raises:
        UsageError: there is no such model, it has no encoder of its own, or another one.
        BundleError: it is damaged.
    """
    models = bundled_models()
    if model not in models:
        raise UnknownNameError("model in the package", model, models)
    bundle = read_bundle(models[model])
    config = bundle.config
    if config.encoder_from is not None:
        raise UsageError(
            f"{model} has no encoder of its own: it uses that of {config.encoder_from.model}; "
            "name that one"
        )
    differ = [name for name in _ALIKE if getattr(config.encoder, name) != _own(encoder)[name]]
    if encoder.preprocessing != config.preprocessing:
        differ.append("preprocessing")
    if not differ:
        theirs = shared_weights(load_file(bundle.weights_path))
        differ = [name for name, tensor in theirs.items() if not _equal(weights.get(name), tensor)]
    if differ:
        raise UsageError(
            f"the encoder is not that of {model}: {len(differ)} differ, first {differ[0]}. An "
            f"encoder is shared where the training started from it and left it as it was "
            f"(--init {model}, encoder.trainable_blocks={config.encoder.trainable_blocks} and "
            "encoder.trainable_layers=0); otherwise the bundle has to hold its own"
        )
    spec = config.graphs.encoder
    source = EncoderSource(
        model=model,
        graph_sha256=config.files[spec.file].sha256,
        weights_sha256=config.files[WEIGHTS_FILE].sha256,
    )
    return source, GraphSpec(file=spec.file, inputs=spec.inputs, outputs=spec.outputs[:1])


def _own(encoder: Encoder) -> dict[str, object]:
    return {
        "name": encoder.name,
        "trainable_blocks": encoder.options.trainable_blocks,
        "rows": encoder.grid[0],
        "columns": encoder.grid[1],
        "channels": encoder.channels,
        "stream": encoder.options.stream,
        "motion_step": encoder.options.motion_step,
    }


def _equal(own: Tensor | None, stored: Tensor) -> bool:
    return own is not None and equal_in_bundles(own.detach(), stored)
