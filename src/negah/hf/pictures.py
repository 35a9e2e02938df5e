"""Pictures -> pixels, by the image processor that a model was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor

from negah.arrays import FloatArray
from negah.errors import BundleError
from negah.hf.loading import attempt
from negah.hf.model_folder import ModelFolder, json_numbers
from negah.media.preprocess import to_rgb

#: Pixels of a side that a processor may make where the model does not state its own: the most
#: that any captioner of the supported families reads is 768.
_MOST_SIDE = 2048
#: Processors resize to more than the model reads where they crop afterwards.
_MOST_BEYOND = 2
#: The smallest part of the resized picture that is kept when it is cropped.
_LEAST_CROP = 0.25
#: (height, width) of the pictures of noise on which a processor is tried.
_TRIED = ((61, 97), (150, 40))


class ImageProcessor:
    """An image processor of transformers.

    Args:
        source: the model's folder.

    Attributes:
        size: (height, width) of its output.

    Raises:
        BundleError: there is no processor, or its output varies in size or is far larger than the
            model's input.
    """

    def __init__(self, source: ModelFolder) -> None:
        _check_sizes(source)
        self._processor: Any = attempt(
            source,
            lambda: AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                str(source.folder), local_files_only=True, trust_remote_code=False
            ),
        )
        random = np.random.default_rng(0)
        tried = [
            Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in _TRIED
        ]
        pixels = attempt(source, lambda: [self.pixels([image]) for image in tried])
        shapes = {one.shape for one in pixels}
        if len(shapes) != 1 or pixels[0].shape[:2] != (1, 3):
            raise BundleError(
                f"{source.name}: its image processor makes pictures of several shapes, "
                f"{sorted(shapes)}; one (1, 3, height, width) is needed"
            )
        self.size: tuple[int, int] = pixels[0].shape[2:]
        # Whether its pictures may be resized beforehand: then twice must be as once.
        small = attempt(source, lambda: [self._small(image) for image in tried])
        self._may_resize = all(
            one is not None and np.array_equal(self.pixels([one]), expected)
            for one, expected in zip(small, pixels, strict=True)
        )

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB picture in the processor's size if this keeps the pixels, else in its own size.

        The processor's first steps (resizing, cropping) are applied. Whether repeating them changes
        nothing was tested when the model was opened.
        """
        small = self._small(image) if self._may_resize else None
        return to_rgb(image) if small is None else small

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """The output of the processor, float32 (N, 3, H, W).

        Other modes than RGB are converted as for all models: alpha is composited on white.
        """
        values = self._process(images)["pixel_values"]
        return np.ascontiguousarray(values.numpy(), dtype=np.float32)

    def _process(self, images: Sequence[Image.Image], **options: bool) -> Any:
        return self._processor(
            images=[to_rgb(image) for image in images], return_tensors="pt", **options
        )

    def _small(self, image: Image.Image) -> Image.Image | None:
        """The picture before it is rescaled to floating point, if it is in bytes."""
        values = self._process([image], do_rescale=False, do_normalize=False)["pixel_values"]
        bytes_HW3 = values[0].numpy().transpose(1, 2, 0)
        if bytes_HW3.dtype != np.uint8:
            whole_HW3 = bytes_HW3.astype(np.uint8)
            if not np.array_equal(whole_HW3, bytes_HW3):
                return None
            bytes_HW3 = whole_HW3
        return Image.fromarray(np.ascontiguousarray(bytes_HW3))


def _check_sizes(source: ModelFolder) -> None:
    """Refuse sizes beyond the model's, before creating such a picture."""
    most = min(_MOST_SIDE, _MOST_BEYOND * _image_size(source))
    for name in (
        "preprocessor_config.json",
        "processor_config.json",
        "image_processor_config.json",
    ):
        for where, key, number in json_numbers(source.json(name), f"{name} of {source.name}"):
            # everything else in there, such as means and fractions, is far smaller
            if not abs(number) <= most:
                raise BundleError(f"{where} is {number}, and {most} at most is sensible")
            if key == "crop_pct" and number < _LEAST_CROP:
                raise BundleError(f"{where} is {number}, and {_LEAST_CROP} at least is sensible")


def _image_size(source: ModelFolder) -> int:
    """The longer side of the model's input in pixels, if stated."""
    config = source.config
    for part in (config, config.get("vision_config"), config.get("encoder")):
        size = part.get("image_size") if isinstance(part, Mapping) else None
        sides = size if isinstance(size, list) else [size]
        if sides and all(type(side) is int and side > 0 for side in sides):
            return int(max(sides))
    return _MOST_SIDE
