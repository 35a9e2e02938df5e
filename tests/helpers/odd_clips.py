"""Clips that are none, and clips that are damaged or odd: content by name."""

from __future__ import annotations

import io
import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from tiny_clips import damaged, make_clip, make_sound, walking_bar

#: Frames of a clip.
COUNT = 60


@cache
def made(kind):
    """Sixty frames as MP4, MKV and so on."""
    if kind == "fast":  # the index before the frames
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            make_clip(walking_bar(COUNT), path=path, muxing={"movflags": "faststart"})
            return path.read_bytes()
    codec = "mpeg4" if kind == "avi" else "libx264"
    return make_clip(walking_bar(COUNT), container=kind, codec=codec)


def half(content):
    return content[: len(content) // 2]


def patched(content, name, offset, value):
    """``value`` written at an offset after the first ``name``."""
    at = content.index(name) + offset
    return content[:at] + value + content[at + len(value) :]


def photo(kind, **options):
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, kind, **options)
    return out.getvalue()


def animated_webp():
    return photo("WEBP", save_all=True, append_images=[Image.new("RGB", (40, 30), "blue")])


def raw_video():
    return make_clip(walking_bar(2), container="avi", codec="rawvideo", pixels="bgr24", options={})


def noise():
    return np.random.default_rng(1).integers(0, 256, 9000, np.uint8).tobytes()


def centuries():
    return make_clip(walking_bar(2), container="matroska", rate=1, ticks=[0, 2**33])


#: By name: what makes the content, and what the refusal says.
REFUSED = {
    "no bytes": (lambda: b"", "empty"),
    "zero bytes": (lambda: bytes(5000), "only zero bytes"),
    "text": (lambda: b"1\n00:00 --> 00:01\nhello\n", "looks like text"),
    "a web page": (lambda: b"<!doctype html><html></html>", "web page"),
    "a playlist": (lambda: b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", "playlist"),
    "noise": (noise, "is not a video of a kind"),
    "a ZIP": (lambda: b"PK\x03\x04" + b"\1" * 100, "ZIP"),
    "a JPEG": (lambda: photo("JPEG"), "JPEG photo, not a clip"),
    "a PNG": (lambda: photo("PNG"), "PNG image, not a clip"),
    "a WebP": (lambda: photo("WEBP"), "WebP image, not a clip"),
    "an animated WebP": (animated_webp, "animated WebP.*convert it to MP4"),
    "sound alone": (make_sound, "only sound"),
    "sound alone, mkv": (lambda: make_sound("matroska", "pcm_s16le"), "only sound"),
    "mp4 without its index": (
        lambda: half(made("mp4")),
        "MP4 or MOV video, but damaged or truncated",
    ),
    "mp4, header only": (lambda: made("mp4")[:60], "MP4 or MOV video, but damaged or truncated"),
    "mkv, header only": (lambda: made("matroska")[:60], "Matroska or WebM video, but damaged"),
    "avi, header only": (lambda: made("avi")[:300], "damaged|no frames|no video"),
    "avi, no codec": (lambda: made("avi").replace(b"FMP4", b"ZZZZ"), "cannot decode; convert it"),
    "avi, wrong codec": (lambda: made("avi").replace(b"FMP4", b"IV50"), "none of its frames can"),
    "avi, absurd size": (
        lambda: patched(raw_video(), b"strf", 12, struct.pack("<ii", 60_000, 60_000)),
        "none of its frames can be decoded",
    ),
    "centuries": (centuries, "claims to last"),
}

#: By name: what makes the content, and how many frames can be read at least.
ODD = {
    "mp4, a third missing": (lambda: made("fast")[: len(made("fast")) * 2 // 3], 15),
    "mkv, half missing": (lambda: half(made("matroska")), 15),
    "avi, a fifth missing": (lambda: made("avi")[: len(made("avi")) * 4 // 5], 15),
    "ts, half missing": (lambda: half(made("mpegts")), 15),
    "ts, first bytes missing": (lambda: made("mpegts")[1000:], 40),
    "mp4, damaged": (lambda: damaged(made("fast"), 0.5, 0.9), 15),
    "mkv, damaged": (lambda: damaged(made("matroska"), 0.4, 0.6), 10),
    "avi, damaged": (lambda: damaged(made("avi"), 0.8, 0.9, 397), 10),
    "ts, damaged": (lambda: damaged(made("mpegts"), 0.3, 0.9, 997), 10),
    "ts, two joined": (lambda: made("mpegts") * 2, 100),
    "mp4, wrong duration": (lambda: patched(made("mp4"), b"mvhd", 20, b"\x7f\xff\xff\xff"), COUNT),
    "mp4, garbage behind": (lambda: made("mp4") + b"\xab" * 5000, COUNT),
    "avi, wrong count": (lambda: patched(made("avi"), b"avih", 24, b"\xff\xff\xff\x7f"), COUNT),
    "avi, without index": (lambda: made("avi")[: made("avi").index(b"idx1")], COUNT),
    "gif of one frame": (lambda: photo("GIF"), 1),
}
