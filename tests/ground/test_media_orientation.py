"""Photos open upright wherever Pillow's exif_transpose finds how they lie."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from negah.media import read_image
from negah.media.images import orientation
from tiny_photos import HEIC, chunk, encoded, scene

TIFF_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 13: "I"}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="{}"/>'
    "</rdf:RDF></x:xmpmeta>"
)
XMP_ELEMENT = "<x:xmpmeta><tiff:Orientation>{}</tiff:Orientation></x:xmpmeta>"


def exif(value: float, kind: int = 3, order: str = "<", count: int = 1, heads: int = 1) -> bytes:
    """An EXIF block that states an orientation as a number of some type of TIFF's."""
    data = struct.pack(order + TIFF_TYPES[kind], value).ljust(4, b"\0")
    start = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + data
    block = start + struct.pack(order + "IH", 8, 1) + entry + bytes(4)
    return b"Exif\0\0" * heads + block


def in_jpeg(*segments: bytes) -> bytes:
    content = encoded(scene(), "JPEG", quality=95, subsampling=0)
    added = b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(one)) + one for one in segments)
    return content[:2] + added + content[2:]


def in_png(*chunks: bytes, behind: bool = False) -> bytes:
    content = encoded(scene(), "PNG")
    at = content.index(b"IEND") - 4 if behind else 33
    return content[:at] + b"".join(chunks) + content[at:]


def raw_profile(block: bytes) -> bytes:
    return f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()


def xmp_in_jpeg(value: int, text: str = XMP) -> bytes:
    return b"http://ns.adobe.com/xap/1.0/\0" + text.format(value).encode()


def xmp_in_png(value: int) -> bytes:
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format(value).encode())


PLACES = {
    "JPEG, SHORT, II": lambda v: in_jpeg(exif(v)),
    "JPEG, SHORT, MM": lambda v: in_jpeg(exif(v, order=">")),
    "JPEG, LONG, II": lambda v: in_jpeg(exif(v, 4)),
    "JPEG, LONG, MM": lambda v: in_jpeg(exif(v, 4, ">")),
    "JPEG, doubled heading": lambda v: in_jpeg(exif(v, heads=2)),
    "JPEG, two values": lambda v: in_jpeg(exif(v, count=2)),
    "JPEG, BYTE": lambda v: in_jpeg(exif(v, 1)),
    "JPEG, float": lambda v: in_jpeg(exif(v, 11)),
    "JPEG, XMP": lambda v: in_jpeg(xmp_in_jpeg(v)),
    "JPEG, XMP, element": lambda v: in_jpeg(xmp_in_jpeg(v, XMP_ELEMENT)),
    "JPEG, EXIF before XMP": lambda v: in_jpeg(exif(v), xmp_in_jpeg(3)),
    "JPEG, BYTE before XMP": lambda v: in_jpeg(exif(6, 1), xmp_in_jpeg(v)),
    "PNG, eXIf": lambda v: in_png(chunk(b"eXIf", exif(v, heads=0))),
    "PNG, eXIf behind": lambda v: in_png(chunk(b"eXIf", exif(v, heads=0)), behind=True),
    "PNG, tEXt": lambda v: in_png(
        chunk(b"tEXt", b"Raw profile type exif\0" + raw_profile(exif(v)))
    ),
    "PNG, zTXt": lambda v: in_png(
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(exif(v))))
    ),
    "PNG, iTXt": lambda v: in_png(xmp_in_png(v)),
    "PNG, iTXt behind": lambda v: in_png(xmp_in_png(v), behind=True),
    "WebP": lambda v: encoded(scene(), "WebP", lossless=True, exif=exif(v)),
    "WebP, XMP": lambda v: encoded(scene(), "WebP", lossless=True, xmp=XMP.format(v).encode()),
    "TIFF": lambda v: encoded(scene(), "TIFF", exif=exif(v)),
    "TIFF, LZW": lambda v: encoded(scene(), "TIFF", compression="tiff_lzw", exif=exif(v)),
    "AVIF": lambda v: encoded(scene(), "AVIF", exif=exif(v), quality=95),
    "MPO": lambda v: encoded(
        scene(), "MPO", save_all=True, append_images=[scene()], exif=exif(v), quality=95
    ),
}


def by_pillow(content: bytes) -> Image.Image:
    with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
        warnings.simplefilter("ignore")  # of more values than one
        return ImageOps.exif_transpose(image).convert("RGB")


@pytest.mark.parametrize("place", PLACES)
def test_every_place_that_pillow_knows(place):
    for value in range(1 if place == "TIFF, LZW" else 0, 9 if place == "TIFF, LZW" else 10):
        content = PLACES[place](value)
        opened = read_image(content).image
        assert np.array_equal(np.asarray(opened), np.asarray(by_pillow(content))), value


@pytest.mark.parametrize("place", PLACES)
def test_the_table_turns_something(place):
    if place in ("JPEG, BYTE", "JPEG, BYTE before XMP"):
        pytest.skip("Pillow takes this for no orientation")
    assert by_pillow(PLACES[place](6)).size == scene().size[::-1]


@pytest.mark.skipif(not HEIC, reason="needs the extra heic")
@pytest.mark.parametrize("value", [1, 3, 6, 8])
def test_heic_is_turned_once(value):
    content = encoded(scene(), "HEIC", exif=exif(value), quality=95)
    plain = encoded(scene(), "HEIC", quality=95)
    turn = {1: None, 3: 180, 6: 270, 8: 90}[value]
    expected = read_image(plain).image
    expected = expected if turn is None else expected.rotate(turn, expand=True)
    opened = read_image(content).image
    assert opened.size == expected.size
    assert np.abs(np.asarray(opened, int) - np.asarray(expected, int)).mean() < 5


@given(
    block=st.binary(max_size=40),
    flips=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 255)), max_size=4),
    kind=st.sampled_from(sorted(TIFF_TYPES)),
    order=st.sampled_from("<>"),
    count=st.integers(0, 3),
)
@settings(deadline=None)
def test_a_damaged_block_says_what_pillow_reads_or_nothing(block, flips, kind, order, count):
    whole = bytearray(exif(6, kind, order, count) + block)
    for place, value in flips:
        whole[place % len(whole)] = value
    image = Image.new("RGB", (3, 2))
    image.info["exif"] = bytes(whole)
    found = orientation(image.info)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = image.getexif().get(0x0112, 1)
    except Exception:
        assert found in range(1, 9)  # Pillow trips over it
        return
    assert found == (expected if expected in range(1, 9) else 1)


@given(st.binary(max_size=60), st.sampled_from(["exif", "xmp", "XML:com.adobe.xmp"]))
def test_nonsense_is_no_orientation(content, key):
    assert orientation({key: content}) == 1
    text = content.decode("latin-1")
    assert orientation({"Raw profile type exif": text, "XML:com.adobe.xmp": text}) == 1
