"""Computation of the frozen part of the encoder, once for every photograph or frame.

On a CPU the trunk runs in onnxruntime, three to four times as fast as PyTorch there; on a
GPU it runs in PyTorch. Both give the same numbers to about 1e-5, far below the half
precision that is stored.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from negah.arrays import FloatArray
from negah.data import Example, FeatureKey, FeatureStore, build_features
from negah.data.features import Encode, gather_features, open_store
from negah.data.media_items import MediaItem
from negah.files import atomic_path
from negah.media import MAX_PIXELS
from negah.models import Encoder
from negah.progress import Progress
from negah.training.clips import ClipOptions, MontageOptions
from negah.training.processes import ALONE, Processes

#: A name of :data:`negah.data.media_items.VIEW_PATTERN`.
ViewName = str
Views = dict[ViewName, FeatureStore]

#: Names and colours of the pictures that show nothing.
BLANKS = ("black", "grey", "white")
#: Where they are, in the folder of all feature stores.
BLANK_FOLDER = "blank"
#: Where, in that folder, the shares of several processes are stored until they are merged.
_SHARES = "shares"
_PHOTOS = ClipOptions()


def item_of(example: Example) -> MediaItem:
    """The file, or span of it, whose features belong to an example."""
    return MediaItem(example.path, example.span)


def feature_key(encoder: Encoder, view: ViewName, clips: ClipOptions = _PHOTOS) -> FeatureKey:
    """The key of the stored output of an encoder's trunk."""
    cut = len(encoder.tail_blocks)
    digest = encoder.weights_sha256 if encoder.weights_sha256 != "random" else encoder.fingerprint()
    return FeatureKey(
        encoder=f"{encoder.name}-{cut}-from-end",
        weights_sha256=digest,
        preprocessing=encoder.preprocessing,
        view=view,
        shape=encoder.trunk_shape,
        # a montage is composed of single pictures
        frames=None if clips.frames == 1 or clips.montage is not None else clips.frames,
        motion_step=encoder.options.motion,
    )


def views_of(
    examples: Sequence[Example], folder: Path, *, flips: bool, clips: ClipOptions
) -> dict[ViewName, list[MediaItem]]:
    """The views to be stored, and the pictures of each.

    Only the training part is mirrored. A montage also needs crops of every photograph, and the
    blank pictures, which are written to ``folder``.
    """
    every = [item_of(example) for example in examples]
    training = [item_of(example) for example in examples if example.split == "train"]
    views: dict[ViewName, list[MediaItem]] = {"plain": every}
    if flips and training:
        views["flip"] = training
    if clips.montage is not None:
        views["plain"] = every + [MediaItem(path) for path in blank_pictures(folder)]
        plain, mirrored = crop_views(clips.montage, flips=flips)
        views |= dict.fromkeys(plain, every)
        views |= dict.fromkeys(mirrored, training)
    return views


def crop_views(montage: MontageOptions, *, flips: bool) -> tuple[list[ViewName], list[ViewName]]:
    """The crop views of unmirrored and of mirrored clips."""
    numbers = range(1, montage.crops + 1)
    if not flips:
        return [f"zoom-{number}" for number in numbers], []
    return (
        [f"zoom-{number}" for number in numbers if number % 2],
        [f"flip-zoom-{number}" for number in numbers if not number % 2],
    )


def blank_pictures(folder: Path) -> list[Path]:
    """A black, a grey and a white picture, created if missing."""
    paths = []
    for name in BLANKS:
        path = folder / f"{name}.png"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                Image.new("RGB", (32, 32), name).save(temporary, format="PNG")
        paths.append(path)
    return paths


@dataclass(frozen=True, slots=True)
class FeatureFolder:
    """The folder of all feature stores, with the settings for filling it.

    Attributes:
        root: the folder.
        max_pixels: larger pictures are refused.
        progress: called with the view, the photographs done and their number.
        processes: that share the pictures; all see the same folder.
    """

    root: Path
    max_pixels: int = MAX_PIXELS
    progress: Progress | None = None
    processes: Processes = ALONE

    def build(
        self, items: Sequence[MediaItem], encode: Encode, key: FeatureKey, view: ViewName
    ) -> None:
        """Compute missing features: each process computes a share, and the first merges them.

        The share of a process has its own folder, so that a killed training continues where it
        stopped.
        """
        report = None if self.progress is None else _bind(self.progress, view)
        shares, processes = self.root / _SHARES, self.processes
        if processes.count > 1:
            stored = open_store(self.root, key)
            own = [
                item for item in processes.share(items) if not stored or stored.row(item) is None
            ]
            build_features(
                own, encode, key, shares / str(processes.rank),
                max_pixels=self.max_pixels, progress=report,
            )  # fmt: skip
            processes.wait()
        if processes.rank == 0:
            if shares.exists():  # of this training, or of one that was killed
                gather_features(key, self.root, sorted(shares.iterdir()))
                for folder in (*shares.iterdir(), shares):
                    with suppress(OSError):  # other features are in it
                        folder.rmdir()
            build_features(
                items, encode, key, self.root, max_pixels=self.max_pixels, progress=report
            )
        processes.wait()


def prepare_features(
    encoder: Encoder,
    examples: Sequence[Example],
    folder: FeatureFolder,
    *,
    flips: bool,
    device: torch.device,
    clips: ClipOptions = _PHOTOS,
) -> Views:
    """Feature stores of the examples, ``plain`` and, with ``flips``, ``flip``.

    Args:
        encoder: with the trunk.
        examples: the photographs or clips.
        folder: of the stores.
        flips: also the mirrored photographs (of the training part only).
        device: for PyTorch, if it runs the trunk.
        clips: the number of frames, and a montage, which needs more views.
    """
    encode: Encode | None = None

    def lazily(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        nonlocal encode
        encode = encode or trunk_function(encoder, device)
        return encode(pixels_NCHW)

    stores: Views = {}
    blanks = folder.root / BLANK_FOLDER
    for view, items in views_of(examples, blanks, flips=flips, clips=clips).items():
        key = feature_key(encoder, view, clips)
        folder.build(items, lazily, key, view)
        stores[view] = FeatureStore(folder.root, key)
    return stores


def trunk_function(encoder: Encoder, device: torch.device) -> Encode:
    """The trunk as a function of pixels (N, 3, H, W) in NumPy, as fast as the device allows."""
    if device.type == "cpu":
        return _onnx_trunk(encoder)
    encoder.to(device)

    def encode(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        with torch.inference_mode():
            output = encoder.trunk(torch.from_numpy(pixels_NCHW).to(device))
        return np.asarray(output.float().cpu().numpy())

    return encode


def _onnx_trunk(encoder: Encoder) -> Encode:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trunk.onnx"
        export_trunk(encoder, path)
        options = onnxruntime.SessionOptions()
        # waiting threads leave the cores to decoding, or training, in parallel
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(pixels_NCHW: FloatArray) -> npt.NDArray[np.floating]:
        return np.asarray(session.run(["features"], {"pixels": pixels_NCHW})[0])

    return encode


def export_trunk(encoder: Encoder, path: Path) -> None:
    """The trunk as an ONNX file: pixels (N, 3, H, W) to features."""
    height, width = encoder.preprocessing.size
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


class _Trunk(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder.trunk(pixels)


def _bind(progress: Progress, view: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(view, done, total)
