"""The two functions of ``import negah``: load a model, caption a photo."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from negah.captions import Caption
from negah.runtime.captioner import Captioner, Photo


def load(model: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Captioner:
    """Load a model.

    Args:
        model: the name of a model in the package, or the folder of a bundle; None for the
            default model.
        threads: of the network's arithmetic; None for one on each physical core.

    Raises:
        UsageError: there is no such model.
        BundleError: the bundle is damaged or hostile.
    """
    return Captioner(model, threads=threads)


def caption(photo: Photo, **decoding: Any) -> Caption:
    """Caption one photo with the default model, which is loaded once and kept.

    Args:
        photo: a path, the bytes of an image file, a Pillow image, or an array uint8
            (height, width, 3) or (height, width).
        decoding: fields of :class:`~negah.decoding.DecodingOptions`, such as ``beam=5``.

    Raises:
        MediaError: the photo cannot be read.
        UsageError: an option is wrong.
    """
    return _default().caption(photo, **decoding)


@lru_cache(maxsize=1)
def _default() -> Captioner:
    return Captioner()
