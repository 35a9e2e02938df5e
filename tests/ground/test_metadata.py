"""Captions in the metadata of photos: read back by exiftool, all else as it was, nothing lost."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common import PATIENCE
from negah.errors import MediaError, OutputError
from negah.metadata import (
    Existing,
    Naming,
    Packet,
    Written,
    XmpError,
    described,
    embed,
    sidecar_of,
    write_sidecar,
)
from negah.metadata.containers import container_of, jpeg_segments
from negah.metadata.iptc import read_caption, write_caption

NEW = Written("A dog & <cat> é.", "A dog.", "negah-photo", "Negah 0.1.0", "2026-01-02T03:04:05Z")
LATER = Written("Two birds", "Two birds.", "negah-photo", "Negah 0.2.0", "2027-01-02T03:04:05Z")
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(inside: str, attributes: str = "") -> bytes:
    """Somebody's XMP, with a language and a field of their own."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmp:Rating="4"{attributes}>{inside}<dc:subject><rdf:Bag><rdf:li>sea</rdf:li></rdf:Bag>'
        "</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>   \n<?xpacket end='w'?>"
    ).encode()


def in_words(*items: tuple[str, str]) -> str:
    listed = "".join(f'<rdf:li xml:lang="{lang}">{text}</rdf:li>' for lang, text in items)
    return f"<dc:description><rdf:Alt>{listed}</rdf:Alt></dc:description>"


MINE = packet(in_words(("x-default", "Mine &amp; yours"), ("de", "Meins")))


def make_photos(folder: Path, number: int = 1) -> list[Path]:
    """Photos of all kinds; every second has XMP, EXIF and a colour profile of somebody else's."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6
    kinds = [
        ("jpg", "RGB", {}),
        ("jpg", "RGB", {"progressive": True, "comment": b"hello"}),
        ("jpg", "L", {}),
        ("jpg", "CMYK", {}),
        ("png", "RGB", {}),
        ("png", "P", {}),
        ("png", "RGBA", {}),
        ("webp", "RGB", {}),
        ("webp", "RGB", {"lossless": True}),
        ("webp", "RGBA", {"lossless": True}),
        ("tif", "RGB", {}),
        ("tif", "L", {"compression": "tiff_lzw"}),
        ("tif", "RGB", {"compression": "jpeg"}),
    ]
    photos = []
    for count in range(number):
        for place, (suffix, mode, options) in enumerate(kinds):
            rng = np.random.default_rng([count, place])
            shape = (int(rng.integers(8, 60)), int(rng.integers(8, 60)), 3)
            image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).convert(mode)
            if count % 2:
                options = {**options, "exif": exif.tobytes(), "icc_profile": bytes(200)}
                if suffix in ("jpg", "webp") and count % 4 == 1:
                    options["xmp"] = packet("")
            path = folder / f"{count}-{place}.{suffix}"
            image.save(path, **options)
            if count % 3 == 2 and suffix != "tif":  # something behind the end, as phones do
                path.write_bytes(path.read_bytes() + b"trailer")
            photos.append(path)
    return photos


def pixels(path: Path) -> tuple[str, bytes, object, object]:
    with Image.open(path) as image:
        image.load()
        exif = {tag: value for tag, value in image.getexif().items() if tag == 0x010F}
        return image.mode, image.tobytes(), image.info.get("icc_profile"), exif


def test_photos_of_all_kinds(tmp_path: Path) -> None:
    check_photos(make_photos(tmp_path, 2))


@pytest.mark.heavy
def test_many_photos(tmp_path: Path) -> None:
    photos = make_photos(tmp_path, 16)
    assert len(photos) >= 200
    check_photos(photos)


def check_photos(photos: list[Path]) -> None:
    before = {path: (pixels(path), path.read_bytes()) for path in photos}
    for path in photos:
        assert embed(path, NEW, Existing.SKIP)
        assert described(path)
        assert not embed(path, LATER, Existing.SKIP)
        assert pixels(path) == before[path][0]
        assert_rest_is_there(before[path][1], path.read_bytes())
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    done = subprocess.run(
        [
            tool,
            "-j",
            "-charset",
            "utf8",
            "-XMP:all",
            "-Caption-Abstract",
            "-Make",
            "-error",
            *photos,
        ],
        capture_output=True,
        timeout=PATIENCE,
    )
    rows = json.loads(done.stdout)
    assert len(rows) == len(photos)
    for row, path in zip(rows, photos, strict=True):
        assert row["Description"] == NEW.description
        assert row.get("Caption-Abstract") == (NEW.description if path.suffix == ".jpg" else None)
        assert row["AltTextAccessibility"] == NEW.alt
        assert row["Model"] == NEW.model
        assert "Error" not in row
        if container(path).read(before[path][1]):
            assert (row["Rating"], row["Subject"]) == (4, "sea")


def container(path: Path):
    found = container_of(path.read_bytes())
    assert found is not None
    return found


def assert_rest_is_there(old: bytes, new: bytes) -> None:
    """Whatever is not ours is there, in the same order, bit by bit."""
    kind = container_of(old)
    assert kind is not None
    if kind.name == "TIFF":  # appended, but for where the directory stands
        assert (new[:4], new[8 : len(old)]) == (old[:4], old[8:])
    else:
        assert rest_of(kind.name, new) == rest_of(kind.name, old)


def rest_of(kind: str, content: bytes) -> list[bytes]:
    """The parts of a file that are none of ours, and all behind them."""
    if kind == "JPEG":
        segments = list(jpeg_segments(content))
        ours = (b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0")
        parts = [content[start:end] for _, start, end in segments]
        return [one for one in parts if not one[4:].startswith(ours)] + [content[segments[-1][2] :]]
    order, at = ("big", 8) if kind == "PNG" else ("little", 12)
    last = len(content) if kind == "PNG" else int.from_bytes(content[4:8], "little") + 8
    parts = []
    while at < last:
        length_at = at if kind == "PNG" else at + 4
        length = int.from_bytes(content[length_at : length_at + 4], order)
        end = at + 12 + length if kind == "PNG" else at + 8 + length + length % 2
        name = content[at + 4 : at + 8] if kind == "PNG" else content[at : at + 4]
        part = content[at:end]
        if name not in (b"VP8X", b"XMP ") and b"XML:com.adobe.xmp" not in part[:40]:
            parts.append(part)
        at = end
        if name == b"IEND":
            break
    return [*parts, content[at:]]


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_a_persons_text_is_never_lost(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (9, 9)).save(path, xmp=MINE)

    def now() -> Packet:
        return Packet(container(path).read(path.read_bytes()))

    assert described(path)
    assert not embed(path, NEW, Existing.SKIP)
    assert (now().description, now().is_own) == ("Mine & yours", False)
    assert embed(path, NEW, Existing.APPEND)
    assert not embed(path, NEW, Existing.APPEND)  # it is there already
    assert now().description == "Mine & yours\nA dog & <cat> é."
    assert not now().is_own
    assert embed(path, LATER, Existing.REPLACE)
    assert (now().description, now().alt) == (LATER.description, LATER.alt)
    assert now().is_own
    assert embed(path, NEW, Existing.REPLACE)
    content = now().content.decode()
    assert "<negah:Previous>Mine &amp; yours\nA dog &amp; &lt;cat&gt; é." in content
    assert '<rdf:li xml:lang="de">Meins</rdf:li>' in content
    assert content.count("<negah:Model>") == 1
    size = path.stat().st_size
    for _ in range(3):
        assert embed(path, NEW, Existing.REPLACE)
    assert path.stat().st_size == size  # nothing grows


def test_an_iptc_caption_is_a_text_like_any(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (9, 9)).save(path)
    path.write_bytes(write_caption(path.read_bytes(), "Mine: é"))
    assert described(path)
    assert not embed(path, NEW, Existing.SKIP)
    assert embed(path, NEW, Existing.APPEND)
    whole = path.read_bytes()
    assert read_caption(whole) == "Mine: é\nA dog & <cat> é."
    assert Packet(container(path).read(whole)).description == read_caption(whole)
    path.write_bytes(write_caption(whole, "Changed by hand"))
    assert embed(path, LATER, Existing.REPLACE)
    now = Packet(container(path).read(path.read_bytes()))
    for text in ("Mine: é\n", "Changed by hand"):
        assert text.encode() in now.content


def test_a_text_in_another_language_stays() -> None:
    for items in ([("en", "A cat")], [("en", "A cat"), ("x-default", "")]):
        new = Packet(packet(in_words(*items))).write(NEW, NEW)
        assert Packet(new).description == NEW.description
        assert b'<rdf:li xml:lang="en">A cat</rdf:li>' in new


PERSIAN = Written("سگ", "سگ.", "negah-photo-fa", "Negah", "2026-01-02T03:04:05Z", "fa")


def in_packet(content: bytes) -> dict[str, list[str]]:
    """Descriptions by their languages, and the texts that were replaced."""
    text = content.decode()
    found = re.findall(r'xml:lang="([^"]+)">([^<]*)</rdf:li>', text.partition("AltText")[0])
    kept = re.findall(r"<negah:Previous>([^<]*)<", text)
    return {**{tag: said.split("\n") for tag, said in found}, "": "\n".join(kept).split("\n")}


@pytest.mark.parametrize(
    ("items", "existing", "found"),
    [
        # a person's text under the name of the language is kept as any other
        (
            [("x-default", "A cat"), ("en", "A cat"), ("fa", "گربه"), ("de", "Katze")],
            Existing.REPLACE,
            {
                "x-default": ["سگ"],
                "en": ["A cat"],
                "fa": ["سگ"],
                "de": ["Katze"],
                "": ["A cat", "گربه"],
            },
        ),
        (
            [("x-default", "A cat"), ("FA", "گربه")],
            Existing.APPEND,
            {"x-default": ["A cat", "سگ"], "FA": ["گربه", "سگ"], "": [""]},
        ),
        # English stands in no item that says it is Persian
        (
            [("x-default", "A cat")],
            Existing.APPEND,
            {"x-default": ["A cat", "سگ"], "fa": ["سگ"], "": [""]},
        ),
        (
            [("de", "Katze")],
            Existing.REPLACE,
            {"x-default": ["سگ"], "fa": ["سگ"], "de": ["Katze"], "": ["Katze"]},
        ),
        ([("x-default", "A cat"), ("fa", "گربه")], Existing.SKIP, None),
    ],
)
def test_languages_stand_side_by_side(
    tmp_path: Path,
    items: list[tuple[str, str]],
    existing: Existing,
    found: dict[str, list[str]] | None,
) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    sidecar.write_bytes(packet(in_words(*items)))
    before = sidecar.read_bytes()
    assert write_sidecar(photo, PERSIAN, existing, Naming.FULL) is (found is not None)
    content = sidecar.read_bytes()
    if found is None:
        assert content == before
        return
    assert in_packet(content) == found
    if existing is Existing.APPEND:
        assert not write_sidecar(photo, PERSIAN, existing, Naming.FULL)  # it is there already
        return
    assert write_sidecar(photo, replace(PERSIAN, description="اسب"), existing, Naming.FULL)
    # Negah's own words are not kept
    own = {"x-default": ["اسب"], "fa": ["اسب"]}
    assert in_packet(sidecar.read_bytes()) == found | own


@pytest.mark.parametrize("language", ["x-default", 'fa"', "f a", "persian-languages"])
def test_what_names_no_language(language: str) -> None:
    with pytest.raises(ValueError, match="names no language"):
        replace(PERSIAN, language=language)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no plain XMP"),
        (b"\xff\xfe<\0x\0", "damaged"),
        (b"<x>", "damaged"),
        (b"<x/>", "no rdf:RDF"),
        (f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(), "empty"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "no plain XMP"),
        (b"<a>" * 200 + b"</a>" * 200, "nested too deeply"),
        (packet("", ' dc:description="x"'), "form that is not understood"),
        (packet("<dc:description>x</dc:description>"), "form that is not understood"),
        (packet("<dc:description><rdf:Alt/></dc:description>"), "form that is not understood"),
        (packet(in_words(("x-default", "a")) * 2), "twice"),
    ],
)
def test_xmp_that_is_left_alone(content: bytes, reason: str) -> None:
    with pytest.raises(XmpError, match=reason):
        Packet(content)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("a.jpg", lambda whole: whole[:30], "damaged"),
        ("a.png", lambda whole: whole[:-6], "cut short"),
        ("a.webp", lambda whole: whole[:-6], "cut short|damaged"),
        ("a.tif", lambda whole: whole[:4] + b"\xff\xff\xff\x7f" + whole[8:], "directory"),
        ("a.tif", lambda whole: b"II+\0" + whole[4:], "BigTIFF"),
        ("a.jpg", lambda whole: whole[:2] + b"\xff\xe2\0\x06MPF\0" + whole[2:], "MPO"),
        ("a.gif", lambda whole: whole, "is no JPEG, PNG, WebP or TIFF"),
    ],
)
def test_files_that_are_left_alone(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes], reason: str
) -> None:
    path = tmp_path / name
    Image.new("RGB", (9, 9)).save(path)
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(MediaError, match=reason):
        embed(path, NEW, Existing.REPLACE)
    assert path.read_bytes() == before


def test_a_copy_leaves_the_photo_and_takes_no_place(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.png", tmp_path / "copy" / "a.png"
    Image.new("RGB", (9, 9)).save(path)
    before = path.read_bytes()
    assert embed(path, NEW, Existing.SKIP, target=copy)
    assert (path.read_bytes(), described(path), described(copy)) == (before, False, True)
    with pytest.raises(OutputError, match="something is there already"):
        embed(path, NEW, Existing.SKIP, target=copy)


def test_sidecars(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    assert write_sidecar(photo, NEW, Existing.SKIP, Naming.FULL)
    assert not write_sidecar(photo, LATER, Existing.SKIP, Naming.STEM)  # the one that is there
    assert [one.name for one in tmp_path.iterdir()] == ["a.jpg.xmp"]
    other = tmp_path / "b.jpg"
    assert write_sidecar(other, NEW, Existing.SKIP, Naming.STEM)
    assert sidecar_of(other, Naming.FULL).name == "b.xmp"
    sidecar = tmp_path / "c.xmp"
    sidecar.write_bytes(MINE)
    assert write_sidecar(tmp_path / "c.jpg", NEW, Existing.REPLACE, Naming.FULL)
    assert b"<rdf:li>sea</rdf:li>" in sidecar.read_bytes()
    assert b"<negah:Previous>Mine &amp; yours<" in sidecar.read_bytes()
    sidecar.write_bytes(b"not XML")
    with pytest.raises(MediaError, match="is left alone"):
        write_sidecar(tmp_path / "c.jpg", NEW, Existing.REPLACE, Naming.FULL)


# Writes into a file without an end, in a process that is killed after so many seconds, again and
# again: once for every line.
KILLED = """
import os, signal, sys, time
from pathlib import Path
from negah.metadata import Existing, Written, embed
path = Path(sys.argv[1])
for line in sys.stdin:
    before = path.stat().st_mtime_ns
    child = os.fork()
    if not child:
        for count in range(10**9):
            text = f"Text {line.strip()} {count}"
            embed(path, Written(text, "Text.", "m", "Negah", "2026"), Existing.REPLACE)
    while path.stat().st_mtime_ns == before:  # however busy the machine is, it is at work
        time.sleep(0.001)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.heavy)])
def test_killed_at_any_point_a_file_is_whole(tmp_path: Path, times: int) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (400, 400)).save(path, xmp=MINE)
    shown, texts = pixels(path), set()
    rng = random.Random(0)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(times):
            process.stdin.write(f"{rng.random() * 0.3:.6f}\n")
            assert process.stdout.readline() == "killed\n"
            assert pixels(path) == shown
            now = Packet(container(path).read(path.read_bytes()))
            assert b"Mine &amp; yours" in now.content
            assert now.is_own or now.description == "Mine & yours"
            texts.add(now.description)
        process.stdin.close()
    assert len(texts) > times // 2  # it was at work when it was killed
