"""Which way up a photo is shown: the orientation in its EXIF or XMP metadata.

It is looked for where Pillow's ``exif_transpose`` looks, and found the same; but metadata that is
damaged is no orientation, rather than an exception or a warning to the whole process.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image

#: What each orientation but 1 asks for to stand upright (Exif 2.32, tag 0x0112).
TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Of EXIF and TIFF.
ORIENTATION_TAG = 0x0112

#: Those after which width and height have changed places.
LYING = frozenset({5, 6, 7, 8})

# Byte order by the head of a TIFF block; the last two are wrong, and some writers' own.
_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"MM*\0": ">", b"II\0*": "<"}
# The types of TIFF 6.0 as struct spells them, and of each the bytes of one value.
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii"}
_TYPES |= {11: "f", 12: "d", 13: "I", 16: "Q"}
_NO_NUMBERS = frozenset({1, 2, 7})
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def orientation(info: Mapping[Any, Any]) -> int:
    """The orientation, 1 to 8; 1 where none is stated.

    Args:
        info: of a Pillow image: ``exif``, ``Raw profile type exif`` (PNG), ``xmp`` and
            ``XML:com.adobe.xmp`` are looked at.
    """
    stated = _from_exif(_exif(info))
    if stated is None:
        stated = _from_xmp(info)
    return stated if stated in TO_UPRIGHT else 1


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif = info.get("exif")
    if isinstance(exif, bytes):
        return exif
    text = info.get("Raw profile type exif")
    if isinstance(text, str):
        try:
            # A blank line, the name, the length, and then hexadecimal digits.
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            pass
    return b""


def _from_exif(exif: bytes) -> int | None:
    """What the block says, 0 if that is no orientation; None if it says nothing."""
    # Some editors write the heading twice.
    tiff = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == ORIENTATION_TAG and kind in _TYPES and values:
                value = _value(tiff, entry, order, kind, values)
                if value is not None:
                    return value
    except struct.error:
        pass  # the block ends here
    return None


def _value(tiff: bytes, entry: int, order: str, kind: int, values: int) -> int | None:
    layout = order + _TYPES[kind]
    place = entry + 8
    if values * struct.calcsize(layout) > 4:
        (place,) = struct.unpack_from(order + "I", tiff, place)
        if place + values * struct.calcsize(layout) > len(tiff):
            return None
    if kind in _NO_NUMBERS:
        return 0
    number, *divisor = struct.unpack_from(layout, tiff, place)
    whole = number / divisor[0] if divisor and divisor[0] else 0 if divisor else number
    return int(whole) if whole in TO_UPRIGHT else 0


def _from_xmp(info: Mapping[Any, Any]) -> int | None:
    for key in ("XML:com.adobe.xmp", "xmp"):
        xmp = info.get(key)
        if isinstance(xmp, str):
            xmp = xmp.encode("utf-8", "surrogateescape")
        if xmp and isinstance(xmp, bytes):
            found = _IN_XMP.search(xmp)
            return int(found[1]) if found else None
    return None
