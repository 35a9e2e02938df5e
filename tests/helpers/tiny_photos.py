"""Small photos of every kind, as the content of a file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HEIC = find_spec("pillow_heif") is not None


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A picture that no flip or turn leaves as it is, and of which no two rows are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    ground = np.stack([rows * 3, columns * 2, (rows * 7 + columns * 5) % 97], axis=-1)
    image = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2, height // 4), fill=(20, 220, 60))
    draw.rectangle((0, 0, width // 8, height - 1), fill=(230, 40, 60))
    return image


def picture(seed: int, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A picture of coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def make_photos(
    folder: Path, names: Iterable[str], *, first: int = 0, size: tuple[int, int] = (32, 24)
) -> list[Path]:
    """Small photos that all differ, in a folder that is made where it is not there.

    Args:
        folder: of the photos.
        names: of the files; the suffix says which kind each is.
        first: the seed of the first one; the others follow.
        size: width and height in pixels.
    """
    paths = [folder / name for name in names]
    for seed, path in enumerate(paths, start=first):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, size).save(path)
    return paths


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of a kind that Pillow, or pillow-heif, writes."""
    stream = io.BytesIO()
    if kind == "HEIC":
        import pillow_heif

        pillow_heif.from_pillow(image).save(stream, **options)
    else:
        image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """One of a PNG, with the right checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced_png(image: Image.Image) -> bytes:
    """A PNG in Adam7's seven passes, which Pillow does not write."""
    pixels = np.asarray(image.convert("RGB"))
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    steps += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes() for y, x, dy, dx in steps for row in pixels[y::dy, x::dx] if row.size
    )
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 1)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def every_kind(width: int = 96, height: int = 64) -> dict[str, bytes]:
    """One small photo of each kind and way of compressing it; some lie on their side."""
    image = scene(width, height)
    exif = Image.Exif()
    exif[0x0112] = 6
    later = [image.transpose(Image.Transpose.ROTATE_180)]
    files = {
        "JPEG": encoded(image, "JPEG", comment=b"made for a test"),
        "JPEG, turned": encoded(image, "JPEG", exif=exif),
        "JPEG, progressive": encoded(image, "JPEG", progressive=True),
        "JPEG, grey": encoded(image.convert("L"), "JPEG"),
        "JPEG, CMYK": encoded(image.convert("CMYK"), "JPEG"),
        "JPEG, restarts": encoded(image, "JPEG", restart_marker_rows=1),
        "MPO": encoded(image, "MPO", save_all=True, append_images=later),
        "PNG": encoded(image, "PNG"),
        "PNG, turned": encoded(image, "PNG", exif=exif),
        "PNG, interlaced": interlaced_png(image),
        "PNG, palette": encoded(image.quantize(32), "PNG", transparency=3),
        "APNG": encoded(image, "PNG", save_all=True, append_images=later),
        "WebP": encoded(image, "WebP"),
        "WebP, turned": encoded(image, "WebP", exif=exif),
        "WebP, lossless": encoded(image, "WebP", lossless=True),
        "WebP, moving": encoded(image, "WebP", save_all=True, append_images=later),
        "GIF": encoded(image, "GIF", interlace=0),
        "GIF, interlaced": encoded(image.quantize(64), "GIF", interlace=1),
        "GIF, transparent": encoded(image.quantize(32), "GIF", transparency=3, interlace=0),
        "TIFF": encoded(image, "TIFF"),
        "TIFF, turned": encoded(image, "TIFF", exif=exif),
        "TIFF, LZW": encoded(image, "TIFF", compression="tiff_lzw"),
        "TIFF, JPEG": encoded(image, "TIFF", compression="jpeg"),
        "BMP": encoded(image, "BMP"),
        "BMP, palette": encoded(image.quantize(32), "BMP"),
        "AVIF": encoded(image, "AVIF"),
        "AVIF, turned": encoded(image, "AVIF", exif=exif.tobytes()),
        "JPEG 2000": encoded(image, "JPEG2000"),
        "JPEG 2000, bare": encoded(image, "JPEG2000", no_jp2=True),
    }
    if HEIC:
        files["HEIC"] = encoded(image, "HEIC")
        files["HEIC, turned"] = encoded(image, "HEIC", exif=exif.tobytes())
    return files
