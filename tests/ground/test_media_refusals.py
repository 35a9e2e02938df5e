"""What is no readable photo: the error names the file and the reason, and nothing else leaks."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib

import pytest
from PIL import Image

from negah.errors import MediaError
from negah.media import open_image

KINDS = ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP"]


def encoded(kind: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


VALID = {kind: encoded(kind) for kind in KINDS} | {
    "TIFF, LZW": encoded("TIFF", compression="tiff_lzw"),
    "APNG": encoded("PNG", save_all=True, append_images=[Image.new("RGB", (40, 30))]),
    "JPEG, EXIF": encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40),
}


# Of its 32 bits ten are of each colour.
ODD_MASKS = b"BM" + struct.pack("<IHHI", 70, 0, 0, 66)
ODD_MASKS += struct.pack(
    "<IiiHHIIiiIIIII", 40, 1, 1, 1, 32, 3, 0, 0, 0, 0, 0, 1023 << 20, 1023 << 10, 1023
)
ODD_MASKS += bytes(4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, this is no photo\n", "looks like text"),
        ("عکسی نیست".encode(), "looks like text"),
        ("a letter cut here: é".encode()[:-1], "looks like text"),
        ("in UTF-16".encode("utf-16"), "looks like text"),
        (b"\n<!DOCTYPE html><html></html>", "web page"),
        (b'<?xml version="1.0"?><svg></svg>', "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypheif\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypMA1B\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommif1", "video"),
        (ODD_MASKS, r"a BMP image of a variant that Negah does not read \(.+\); convert it to PNG"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "ZIP"),
        (b"\0" * 100, "zero bytes"),
        (bytes(range(7, 90)), "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 and HEIC"),
    ],
)
def test_what_is_no_image_is_said(tmp_path, content, reason):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=reason) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_paths_that_cannot_be_read(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    dangling = tmp_path / "link.jpg"
    dangling.symlink_to(tmp_path / "gone.jpg")
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path, reason in [
        (tmp_path / "none.jpg", "no such file"),
        (folder, "is a folder"),
        (dangling, "is a link to"),
        (circle, "cannot be opened"),
        (pipe, "pipe"),
        (tmp_path / ("x" * 300), "cannot be opened"),
        ("nul\0.jpg", "cannot be opened"),
    ]:
        with pytest.raises(MediaError, match=reason):
            open_image(path)


def test_a_file_without_permission(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(VALID["JPEG"])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(MediaError, match="permission denied"):
        open_image(path)


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises pixels and holds none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# 95 million is where Pillow warns, 200 million where it raises an error of its own.
@pytest.mark.parametrize("width", [9_500, 20_000, 2_000_000])
def test_a_bomb_is_refused_before_it_is_decoded(width):
    with pytest.raises(MediaError, match=rf"{width} x 10000 = [0-9,]+ pixels, more than the limit"):
        open_image(bomb(width, 10_000), max_pixels=90_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixel_limit_holds_for_every_kind(kind):
    with pytest.raises(MediaError, match="40 x 30 = 1,200 pixels"):
        open_image(VALID[kind], max_pixels=1_199)
    assert open_image(VALID[kind], max_pixels=1_200).size == (40, 30)


def test_an_invalid_animation_is_still_a_picture(recwarn):
    # acTL says that the animation has no frames, of which Pillow warns.
    content = VALID["APNG"]
    at = content.index(b"acTL")
    broken = content[: at + 4] + bytes(8)
    broken += struct.pack(">I", zlib.crc32(broken[-12:])) + content[at + 16 :]
    far = struct.pack(">I", 5000) + b"prVt" + bytes(5000)
    far += struct.pack(">I", zlib.crc32(far[4:]))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert open_image(broken).size == (40, 30)
        assert open_image(broken[:33] + far + broken[33:]).size == (40, 30)
    assert not recwarn.list
