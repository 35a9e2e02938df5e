"""The frozen part of the encoder, computed once for every photograph.

On a CPU the trunk runs in onnxruntime, three to four times as fast as PyTorch there; on a
GPU it runs in PyTorch. Both give the same numbers to about 1e-5, far below the half
precision that is stored.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from negah.data import Example, FeatureKey, FeatureStore, build_features
from negah.models import Encoder

View = Literal["plain", "flip"]
Views = dict[View, FeatureStore]
Progress = Callable[[str, int, int], None]

FloatArray = npt.NDArray[np.float32]


def feature_key(encoder: Encoder, view: View) -> FeatureKey:
    """What the stored output of an encoder's trunk depends on."""
    cut = len(encoder.tail_blocks)
    digest = encoder.weights_sha256 if encoder.weights_sha256 != "random" else encoder.fingerprint()
    return FeatureKey(
        encoder=f"{encoder.name}-{cut}-from-end",
        weights_sha256=digest,
        preprocessing=encoder.preprocessing,
        view=view,
        shape=encoder.trunk_shape,
    )


def prepare_features(
    encoder: Encoder,
    examples: Sequence[Example],
    root: Path,
    *,
    flips: bool,
    device: torch.device,
    progress: Progress | None = None,
) -> Views:
    """Feature stores of the examples' photographs, ``plain`` and, with ``flips``, ``flip``.

    Args:
        encoder: its trunk is what is computed.
        examples: whose photographs.
        root: the folder of all feature stores.
        flips: also the mirrored photographs (of the training part only).
        device: where PyTorch would run the trunk.
        progress: called with the view, the photographs done and their number.
    """
    every = [example.path for example in examples]
    views: dict[View, list[Path]] = {"plain": every}
    if flips:
        views["flip"] = [example.path for example in examples if example.split == "train"]
    encode: Callable[[FloatArray], npt.NDArray[np.floating]] | None = None

    def lazily(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        nonlocal encode
        encode = encode or trunk_function(encoder, device)
        return encode(pixels_NCHW)

    stores: Views = {}
    for view, paths in views.items():
        report = None if progress is None else _bind(progress, view)
        key = feature_key(encoder, view)
        stores[view] = build_features(paths, lazily, key, root, progress=report)
    return stores


def trunk_function(
    encoder: Encoder, device: torch.device
) -> Callable[[FloatArray], npt.NDArray[np.floating]]:
    """The trunk as a function of pixels (N, 3, H, W) in NumPy, as fast as the device allows."""
    if device.type == "cpu":
        return _onnx_trunk(encoder)
    encoder.to(device)

    def encode(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        with torch.inference_mode():
            output = encoder.trunk(torch.from_numpy(pixels_NCHW).to(device))
        return np.asarray(output.float().cpu().numpy())

    return encode


def _onnx_trunk(encoder: Encoder) -> Callable[[FloatArray], npt.NDArray[np.floating]]:
    import onnxruntime

    height, width = encoder.preprocessing.size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trunk.onnx"
        with warnings.catch_warnings():
            # the exporter's own deprecations; nothing a user could act on
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Trunk(encoder).eval(),
                (torch.zeros(2, 3, height, width),),
                path,
                input_names=["pixels"],
                output_names=["features"],
                dynamic_shapes=({0: torch.export.Dim("photos")},),
                dynamo=True,
                verbose=False,
            )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def encode(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        return np.asarray(session.run(["features"], {"pixels": pixels_NCHW})[0])

    return encode


class _Trunk(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder.trunk(pixels)


def _bind(progress: Progress, view: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(view, done, total)
