"""Extraction and insertion of XMP in JPEG, PNG, WebP and TIFF, without changing other data.

Nothing is decoded or compressed again. There are two functions for each file type, on all bytes of
a file: one returns the XMP packet or None, the other the file with another packet.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple


class ContainerError(ValueError):
    """A file that cannot be changed safely; the message is a clause with the reason."""


class Container(NamedTuple):
    """A file type that can contain XMP.

    Attributes:
        name: of the file type, for messages.
        begins: whether a file is of this type, by its first bytes.
        read: returns the packet of a file, or None.
        write: a file and a packet -> the file with the packet.
    """

    name: str
    begins: Callable[[bytes], bool]
    read: Callable[[bytes], bytes | None]
    write: Callable[[bytes, bytes], bytes]


_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_SEGMENT = 65533


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the first scan (ITU-T T.81, annex B)."""
    at = 2
    while True:
        start = at
        while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] == b"\xff":
            at += 1
        if at + 4 > len(content) or content[at] != 0xFF or content[at + 1] < 0xC0:
            raise ContainerError("its segments are damaged")
        marker = content[at + 1]
        if marker == 0xDA:
            return
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if end > len(content) or end < at + 4 or 0xD0 <= marker <= 0xD9:
            raise ContainerError("its segments are damaged")
        yield marker, start, end
        at = end


def segment_body(content: bytes, start: int) -> int:
    """The position of the data of a segment, after fill bytes."""
    while content[start + 1] == 0xFF:
        start += 1
    return start + 4


def first_place(content: bytes) -> int:
    """The position for new metadata in a JPEG: after JFIF and EXIF, which must come first."""
    place = 2
    for marker, start, end in jpeg_segments(content):
        if start != place or marker not in (0xE0, 0xE1):
            break
        place = end
    return place


def _read_jpeg(content: bytes) -> bytes | None:
    for marker, start, end in jpeg_segments(content):
        body = segment_body(content, start)
        if marker == 0xE1 and content.startswith(_XMP_SEGMENT, body):
            return content[body + len(_XMP_SEGMENT) : end]
    return None


def _write_jpeg(content: bytes, packet: bytes) -> bytes:
    data = _XMP_SEGMENT + packet
    if len(data) > _MOST_SEGMENT:
        raise ContainerError("its XMP is too long for a JPEG")
    place = replaced = first_place(content)
    found = False
    for marker, start, end in jpeg_segments(content):
        body = segment_body(content, start)
        if marker == 0xE2 and content.startswith(b"MPF\0", body):
            raise ContainerError("it holds several pictures (MPO), whose places would be wrong")
        if marker == 0xE1 and content.startswith(_XMP_SEGMENT, body) and not found:
            place, replaced, found = start, end, True
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return content[:place] + segment + content[replaced:]


_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEY = b"XML:com.adobe.xmp\0"
_MOST_TEXT = 16 << 20


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk (ISO/IEC 15948)."""
    at = len(_PNG)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if end > len(content):
            raise ContainerError("its chunks are damaged or cut short")
        name = content[at + 4 : at + 8]
        yield name, at, end
        if name == b"IEND":
            return
        at = end
    raise ContainerError("its chunks are damaged or cut short")


def _read_png(content: bytes) -> bytes | None:
    for name, start, end in _png_chunks(content):
        data = content[start + 8 : end - 4]
        if name != b"iTXt" or not data.startswith(_PNG_KEY):
            continue
        rest = data[len(_PNG_KEY) :]
        parts = rest[2:].split(b"\0", 2)
        if len(parts) != 3:
            raise ContainerError("its XMP is damaged")
        if rest[0] == 0:
            return parts[2]
        inflater = zlib.decompressobj()
        try:
            packet = inflater.decompress(parts[2], _MOST_TEXT)
        except zlib.error:
            raise ContainerError("its XMP is damaged") from None
        if not inflater.eof:
            raise ContainerError("its XMP is damaged or too long")
        return packet
    return None


def _write_png(content: bytes, packet: bytes) -> bytes:
    place = replaced = 0
    for name, start, end in _png_chunks(content):
        if name == b"iTXt" and content.startswith(_PNG_KEY, start + 8):
            place, replaced = start, end
            break
        if name == b"IDAT" and not place:
            place = replaced = start
    if not place:
        raise ContainerError("it has no pixels")
    data = b"iTXt" + _PNG_KEY + b"\0\0\0\0" + packet
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return content[:place] + chunk + content[replaced:]


def _webp_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Name and data of each chunk (RFC 9649)."""
    size = int.from_bytes(content[4:8], "little") + 8
    if size > len(content) + size % 2:
        raise ContainerError("it is cut short")
    chunks, at = [], 12
    while at + 8 <= size:
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if at + 8 + length > size:
            raise ContainerError("its chunks are damaged")
        chunks.append((content[at : at + 4], content[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    if not chunks:
        raise ContainerError("it has no pixels")
    return chunks


def _read_webp(content: bytes) -> bytes | None:
    return next((data for name, data in _webp_chunks(content) if name == b"XMP "), None)


def _write_webp(content: bytes, packet: bytes) -> bytes:
    chunks = _webp_chunks(content)
    size = int.from_bytes(content[4:8], "little") + 8
    beyond = content[size + size % 2 :]
    if chunks[0][0] == b"VP8X" and len(chunks[0][1]) >= 10:
        head = chunks[0][1]
        chunks[0] = (b"VP8X", bytes([head[0] | 4]) + head[1:])
    else:
        chunks.insert(0, (b"VP8X", _canvas(*chunks[0])))
    places = [at for at, (name, _) in enumerate(chunks) if name == b"XMP "]
    if places:
        chunks[places[0]] = (b"XMP ", packet)
    else:
        chunks.append((b"XMP ", packet))
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body + beyond


def _canvas(name: bytes, data: bytes) -> bytes:
    """A VP8X header for a file without one: flags and size."""
    if name == b"VP8 " and data[3:6] == b"\x9d\x01\x2a" and len(data) >= 10:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 6))
        flags = 4
    elif name == b"VP8L" and data[:1] == b"\x2f" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags = 4 | (0x10 if bits >> 28 & 1 else 0)
    else:
        raise ContainerError("its pixels are of no kind that is known")
    sides: bytes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes([flags, 0, 0, 0]) + sides


_TIFF_XMP, _DNG_VERSION = 700, 0xC612


def _tiff_tags(content: bytes) -> tuple[str, int, list[bytes]]:
    """Byte order, position of the first directory, and its entries (TIFF 6.0)."""
    order = "<" if content[:2] == b"II" else ">"
    if len(content) < 8 or content[2:4] in (b"+\0", b"\0+"):
        raise ContainerError("it is a BigTIFF or cut short")
    (at,) = struct.unpack_from(order + "I", content, 4)
    if at < 8 or at + 2 > len(content):
        raise ContainerError("its directory is damaged")
    (count,) = struct.unpack_from(order + "H", content, at)
    end = at + 2 + 12 * count
    if not count or end + 4 > len(content):
        raise ContainerError("its directory is damaged")
    entries = [content[place : place + 12] for place in range(at + 2, end, 12)]
    if any(struct.unpack(order + "H", entry[:2])[0] == _DNG_VERSION for entry in entries):
        raise ContainerError("it is a camera's raw file")
    return order, at, entries


def _read_tiff(content: bytes) -> bytes | None:
    order, _, entries = _tiff_tags(content)
    for entry in entries:
        tag, kind, length, place = struct.unpack(order + "HHII", entry)
        if tag == _TIFF_XMP:
            if kind not in (1, 7) or place + length > len(content) or length <= 4:
                raise ContainerError("its XMP is damaged")
            return content[place : place + length]
    return None


def _write_tiff(content: bytes, packet: bytes) -> bytes:
    order, at, entries = _tiff_tags(content)
    following = content[at + 2 + 12 * len(entries) :][:4]
    # Nothing is moved, since places are counted from the beginning: packet and directory are
    # appended, and the header shows the new directory.
    packet_at = len(content) + len(content) % 2
    directory_at = packet_at + len(packet) + len(packet) % 2
    if directory_at + 6 + 12 * (len(entries) + 1) >= 1 << 32:
        raise ContainerError("it would be larger than a TIFF may be")
    kept = [one for one in entries if struct.unpack(order + "H", one[:2])[0] != _TIFF_XMP]
    kept.append(struct.pack(order + "HHII", _TIFF_XMP, 1, len(packet), packet_at))
    kept.sort(key=lambda one: struct.unpack(order + "H", one[:2])[0])
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + following
    return b"".join(
        (
            content[:4],
            struct.pack(order + "I", directory_at),
            content[8:],
            b"\0" * (len(content) % 2),
            packet,
            b"\0" * (len(packet) % 2),
            directory,
        )
    )


CONTAINERS = (
    Container("JPEG", lambda head: head.startswith(b"\xff\xd8\xff"), _read_jpeg, _write_jpeg),
    Container("PNG", lambda head: head.startswith(_PNG), _read_png, _write_png),
    Container(
        "WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _read_webp, _write_webp
    ),
    Container(
        "TIFF",
        lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        _read_tiff,
        _write_tiff,
    ),
)


def container_of(content: bytes) -> Container | None:
    """The file type, by the first bytes; None for other types."""
    return next((one for one in CONTAINERS if one.begins(content[:16])), None)
