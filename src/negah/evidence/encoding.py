"""Pictures and light maps as data URIs for a self-contained page.

Axes: H and W rows and columns of cells.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from negah.arrays import FloatArray


def photo_uri(image: Image.Image, side: int) -> str:
    """A photo as a JPEG data URL, with this maximum for the longer side."""
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _uri(small, "JPEG", "jpeg", quality=85)


def light_uri(light_HW: FloatArray, pixels: int) -> str:
    """Light as a data address, PNG with nothing but transparency.

    Args:
        light_HW: 0 to 1, of cells that divide a picture evenly.
        pixels: of a cell; between the middles of cells the light is smooth (bicubic).
    """
    rows, columns = light_HW.shape
    size = (columns * pixels, rows * pixels)
    smooth = np.asarray(Image.fromarray(light_HW).resize(size, Image.Resampling.BICUBIC))
    # few levels compress well, and are smooth enough where they are drawn larger
    alpha = (np.rint(np.clip(smooth, 0, 1) * 51) * 5).astype(np.uint8)
    mask = np.stack([np.full_like(alpha, 255), alpha], axis=-1)
    return _uri(Image.fromarray(mask, "LA"), "PNG", "png", optimize=True)


def _uri(image: Image.Image, form: str, kind: str, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
