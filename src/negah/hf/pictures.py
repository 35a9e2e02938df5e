"""Pictures -> pixels, by the image processor that a model was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor

from negah.arrays import FloatArray
from negah.errors import BundleError
from negah.hf.loading import attempt
from negah.hf.source import Source
from negah.media.preprocess import to_rgb

#: (height, width) of the pictures of noise on which a processor is tried.
_TRIED = ((61, 97), (150, 40))


class Pictures:
    """An image processor of transformers.

    Args:
        source: the model's folder.

    Attributes:
        size: (height, width) of what it makes of any picture.

    Raises:
        BundleError: there is none, or it makes pictures of several sizes.
    """

    def __init__(self, source: Source) -> None:
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
        """The RGB picture in the processor's size where its pixels stay the same, else in its own.

        The processor's first steps (resizing, cropping) do it. Whether they change nothing when
        they are repeated was tried when the model was opened.
        """
        small = self._small(image) if self._may_resize else None
        return to_rgb(image) if small is None else small

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """What the processor makes of pictures: float32 (N, 3, H, W).

        Other modes than RGB are converted as all of this package's models have them: alpha is
        composited on white.
        """
        values = self._process(images)["pixel_values"]
        return np.ascontiguousarray(values.numpy(), dtype=np.float32)

    def _process(self, images: Sequence[Image.Image], **options: bool) -> Any:
        return self._processor(
            images=[to_rgb(image) for image in images], return_tensors="pt", **options
        )

    def _small(self, image: Image.Image) -> Image.Image | None:
        """The picture before it is scaled to fractions, where that is bytes."""
        values = self._process([image], do_rescale=False, do_normalize=False)["pixel_values"]
        bytes_HW3 = values[0].numpy().transpose(1, 2, 0)
        if bytes_HW3.dtype != np.uint8:
            whole_HW3 = bytes_HW3.astype(np.uint8)
            if not np.array_equal(whole_HW3, bytes_HW3):
                return None
            bytes_HW3 = whole_HW3
        return Image.fromarray(np.ascontiguousarray(bytes_HW3))
