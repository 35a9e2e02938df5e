"""The film is chosen before a still beside it; encrypted clips are refused; numbers are checked."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from negah.errors import MediaError
from negah.media.videos import open_clip
from tiny_clips import H264, make_clip, walking_bar

FILM = {"codec": "libx264", "pixels": "yuv420p", "count": 30}
LARGER_FILM = FILM | {"scale": 2}
COVER = {"codec": "mjpeg", "pixels": "yuvj420p", "count": 1, "scale": 10}
PNG = COVER | {"codec": "png", "pixels": "rgb24"}
ONE_FRAME = FILM | {"count": 1, "scale": 10}
SLIDES = COVER | {"count": 2, "rate": 1}
DEFAULT = {"disposition": Disposition.default}
ATTACHED = {"disposition": Disposition.attached_pic}
STILL = {"disposition": Disposition.still_image}


def tracks(container, *given):
    """A file of several streams of video."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        streams = []
        for one in given:
            rate, scale = one.get("rate", 25), one.get("scale", 1)
            options = H264 if one["codec"] == "libx264" else {}
            stream = file.add_stream(one["codec"], rate=rate, options=options)
            stream.height, stream.width, stream.pix_fmt = 48 * scale, 64 * scale, one["pixels"]
            if "disposition" in one:
                stream.disposition = one["disposition"]
            streams.append(stream)
        packets = []
        for stream, one in zip(streams, given, strict=True):
            scale = one.get("scale", 1)
            for number, pixels in enumerate(walking_bar(one["count"], 48 * scale, 64 * scale)):
                frame = av.VideoFrame.from_ndarray(pixels).reformat(format=one["pixels"])
                frame.pts, frame.time_base = number, Fraction(1, one.get("rate", 25))
                packets += stream.encode(frame)
            packets += stream.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            file.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(
    ("container", "given", "width"),
    [
        ("matroska", (COVER, FILM), 64),
        ("matroska", (FILM, ONE_FRAME), 64),
        ("matroska", (FILM, SLIDES), 64),
        ("mp4", (FILM, COVER), 64),
        ("mp4", (FILM, PNG | ATTACHED), 64),
        ("mp4", (FILM, ONE_FRAME), 64),
        ("mp4", (FILM, FILM | {"count": 2, "scale": 10} | STILL), 64),
        ("avi", (COVER, FILM), 64),
        ("mpegts", (FILM, ONE_FRAME), 64),
        ("matroska", (FILM, LARGER_FILM), 128),
        ("matroska", (LARGER_FILM, FILM | DEFAULT), 64),
        ("matroska", (FILM, LARGER_FILM | DEFAULT), 128),
        ("matroska", (ONE_FRAME, COVER), 640),
    ],
)
def test_the_film_is_chosen(container, given, width):
    clip = open_clip(tracks(container, *given))
    assert clip.info.width == width
    if width < 640:
        assert len(list(clip.frames())) == 30


def test_a_cover_alone_is_no_film():
    with pytest.raises(MediaError, match="only a still picture, no video"):
        open_clip(tracks("mp4", PNG | ATTACHED))


def film(container="mp4", **how):
    return make_clip(walking_bar(12), container=container, **how)


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def encrypted_mp4(kind=b"encv", content=None):
    """Its sample entry is renamed and says what it was and how it was encrypted."""
    content = content or film()
    at = content.index(b"avc1", content.index(b"stsd")) - 4
    (size,) = struct.unpack(">I", content[at : at + 4])
    scheme = box(b"schm", bytes(4), b"cenc", b"\0\1\0\0")
    key = box(b"tenc", bytes(6), b"\1\x08", b"k" * 16)
    sinf = box(b"sinf", box(b"frma", b"avc1"), scheme, box(b"schi", key))
    entry = box(kind, content[at + 8 : at + size], sinf)
    grown = content[:at] + entry + content[at + size :]
    for parent in (b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = grown.index(parent) - 4
        (length,) = struct.unpack(">I", grown[place : place + 4])
        grown = grown[:place] + struct.pack(">I", length + len(sinf)) + grown[place + 4 :]
    return grown


def scrambled(*, payload):
    """The packets of the picture say that they are scrambled; with ``payload`` they are."""
    content = bytearray(film("mpegts"))
    noise = np.random.default_rng(1)
    for at in range(0, len(content), 188):
        if int.from_bytes(content[at + 1 : at + 3], "big") & 0x1FFF == 0x100:
            content[at + 3] |= 0x80
            start = at + 4 + (content[at + 4] + 1 if content[at + 3] & 0x20 else 0)
            if payload:
                content[start : at + 188] = noise.bytes(at + 188 - start)
    return bytes(content)


def element(content, at):
    """An EBML element (RFC 8794): its ID; where its size begins, its content begins, it ends."""
    identity = content[at : at + 9 - content[at].bit_length()]
    size = at + len(identity)
    start = size + 9 - content[size].bit_length()
    length = int.from_bytes(content[size:start], "big") & ~(1 << 7 * (start - size))
    return identity, size, start, start + length


def child(content, at, end, identity):
    """The element ``identity`` among those from ``at`` to ``end``."""
    while at < end:
        found = element(content, at)
        if found[0] == identity:
            return found
        at = found[-1]
    raise ValueError(f"no element {identity.hex()}")


def encrypted_matroska():
    """A ContentEncryption in the track; the elements that hold it grow by its length."""
    encryption = bytes.fromhex("6d80 91 6240 8e 5031 81 00 5033 81 01 5035 84 47e1 81 05")
    content = bytearray(film("matroska"))
    at, end, holders = 0, len(content), []
    # Bytes that look like an ID are in random numbers, too: elements are walked, not searched for.
    for identity in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"):
        _, size, at, end = child(content, at, end, identity)
        holders.append((size, at))
    for size, start in holders:
        length = int.from_bytes(content[size:start], "big") + len(encryption)
        content[size:start] = length.to_bytes(start - size, "big")
    content[at:at] = encryption
    return bytes(content)


def protected_asf():
    """One of the header's objects becomes a Content Encryption object."""
    content = film("asf", codec="wmv2")
    at = content.index(bytes.fromhex("4052d1861d31d011a3a400a0c90348f6"))  # codec list
    return content[:at] + bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + content[at + 16 :]


ENCRYPTED = {
    "mp4, Common Encryption": (encrypted_mp4, "Common Encryption"),
    "mp4, FairPlay": (lambda: encrypted_mp4(b"drmi"), "FairPlay"),
    "mp4, fragments": (
        lambda: encrypted_mp4(content=film(muxing={"movflags": "frag_keyframe+empty_moov"})),
        "Common Encryption",
    ),
    "ts": (lambda: scrambled(payload=False), "a scrambled broadcast"),
    "ts, noise": (lambda: scrambled(payload=True), "a scrambled broadcast"),
    "mkv": (encrypted_matroska, "Matroska encryption"),
    "wmv": (protected_asf, "Windows Media DRM"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCRYPTED)
def test_what_is_encrypted_is_refused(name):
    make, kind = ENCRYPTED[name]
    with pytest.raises(
        MediaError, match=rf"is encrypted \({kind}\), and Negah has no key"
    ) as caught:
        open_clip(make())
    assert "\n" not in str(caught.value)


def patched(content, name, offset, value):
    at = content.index(name) + offset
    return content[:at] + value + content[at + len(value) :]


MATRIX = struct.pack(">9i", 7, -3, 0, 2**31 - 1, -(2**31), 0, 5, 9, 1)
NUMBERS = {
    "an odd matrix": lambda: patched(film(), b"tkhd", 44, MATRIX),
    "a time scale of 2^32": lambda: patched(film(), b"mvhd", 16, b"\xff" * 4),
    "a frame rate of 0": lambda: patched(film("avi", codec="mpeg4"), b"avih", 8, bytes(4)),
    "a frame rate of 10^6": lambda: patched(
        film("avi", codec="mpeg4"), b"strh", 28, struct.pack("<II", 1, 1_000_000)
    ),
    "pixels of 1:1000000": lambda: film(aspect=Fraction(1, 1_000_000)),
    "pixels of 1000000:1": lambda: film("matroska", aspect=Fraction(1_000_000)),
    "a start in 300 years": lambda: film("matroska", first=300 * 365 * 86_400 * 25),
    "a duration of 10^12 s": lambda: patched(
        film("matroska"), b"\x44\x89\x88", 3, struct.pack(">d", 1e15)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_absurd_numbers_in_a_header_do_no_harm(name):
    clip = open_clip(NUMBERS[name]())
    assert len(list(clip.frames())) == 12
    assert 0 < clip.info.duration < 20
    assert max(clip.info.width, clip.info.height) <= 256
    assert clip.info.frame_rate is None or clip.info.frame_rate <= 1000


@pytest.mark.parametrize("seconds", [2**25, 2**33])
def test_a_clip_that_claims_too_much_is_refused_with_the_range(seconds):
    content = make_clip(walking_bar(2), container="matroska", rate=1, ticks=[0, seconds])
    with pytest.raises(MediaError, match=r"claims to last [\d,]+ days, and clips of up to 30 days"):
        open_clip(content)
