"""Which photos and clips a user's names stand for, and in which order."""

from __future__ import annotations

import errno
import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import REPOSITORY
from negah.errors import UsageError
from negah.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_media, is_clip
from negah.media.folders import natural
from negah.media.sources import left_out_line


@pytest.fixture
def album(tmp_path, monkeypatch):
    """A folder ``album`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in [
        "album/img10.jpg",
        "album/img2.JPG",
        "album/Img1.png",
        "album/notes.txt",
        "album/scan.dat",
        "album/.hidden.jpg",
        "album/.cache/thumb.jpg",
        "album/trip 10/b.jpeg",
        "album/trip 9/a.webp",
        "album/trip 9/deep/c.tiff",
        "album/odd [1].jpg",
        "papers/text.txt",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "void").mkdir()
    return tmp_path


def names(inputs, **options):
    return [path.as_posix() for path in find_media(inputs, **options).files]


TOP = ["album/Img1.png", "album/img2.JPG", "album/img10.jpg", "album/odd [1].jpg"]
BELOW = ["album/trip 9/a.webp", "album/trip 9/deep/c.tiff", "album/trip 10/b.jpeg"]


@pytest.mark.parametrize(
    ("inputs", "recursive", "expected"),
    [
        (["album"], False, TOP),
        (["album/"], False, TOP),
        (["album"], True, TOP + BELOW),
        (["album/img10.jpg", "album"], False, ["album/img10.jpg", *TOP[:2], TOP[3]]),
        (["album/notes.txt"], False, ["album/notes.txt"]),
        (["album/.hidden.jpg"], False, ["album/.hidden.jpg"]),
        (["album/.cache"], False, ["album/.cache/thumb.jpg"]),
        (["album/img2.JPG", "album/../album/img2.JPG"], False, ["album/img2.JPG"]),
        (["album/img*"], False, ["album/img2.JPG", "album/img10.jpg"]),
        (["album/*.*"], False, TOP),
        (["album/*.dat"], False, ["album/scan.dat"]),
        (["album/img?.JPG"], False, ["album/img2.JPG"]),
        (["album/trip*"], False, ["album/trip 9/a.webp", "album/trip 10/b.jpeg"]),
        (["album/trip*/*.jpeg"], False, ["album/trip 10/b.jpeg"]),
        (["album/**/*.tiff"], False, ["album/trip 9/deep/c.tiff"]),
        (["album/**"], False, TOP + BELOW),
        (["album/.h*"], False, ["album/.hidden.jpg"]),
        (["album/odd [1].jpg"], False, ["album/odd [1].jpg"]),
        (["album/odd [[]1].jp*"], False, ["album/odd [1].jpg"]),
    ],
)
def test_what_names_stand_for(album, inputs, recursive, expected):
    assert names(inputs, recursive=recursive) == expected


def test_absolute_names_stay_absolute(album):
    assert find_media([album / "album" / "img*"]).files[0] == album / "album" / "img2.JPG"
    assert find_media([str(album / "*/img*.jpg")]).files == [album / "album" / "img10.jpg"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b.jpg\na.jpg\n", ["b.jpg", "a.jpg"]),
        ("b.jpg\r\n\r\na b.jpg", ["b.jpg", "a b.jpg"]),
        ("b.jpg\0two\nlines.jpg\0", ["b.jpg", "two\nlines.jpg"]),
        ("\ufeffb.jpg\nb.jpg\n./b.jpg", ["b.jpg"]),
        ("album/*.jpg\nalbum", ["album/*.jpg", "album"]),
        (" b.jpg \n", [" b.jpg "]),
    ],
)
def test_a_list_is_taken_as_it_stands(album, text, expected):
    assert names(["-"], stdin=io.StringIO(text)) == expected
    as_bytes = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    assert names(["-"], stdin=as_bytes) == expected


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_a_list_of_names_that_are_no_text():
    stream = io.TextIOWrapper(io.BytesIO(b"caf\xe9.jpg\n"), encoding="utf-8")
    assert os.fsencode(find_media(["-"], stdin=stream).files[0]) == b"caf\xe9.jpg"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no photos or clips given"),
        ([""], "empty path"),
        (["albun/img2.JPG"], r"albun/img2.JPG \(there is no folder albun\). Did you mean album\?"),
        (["album/IMG_2.jpg"], "Did you mean album/img2.JPG"),
        (["zzzzzz"], "no such file or folder: zzzzzz$"),
        (["album/*.gif"], "nothing matches 'album/.*gif'"),
        (["nowhere/*"], "nothing matches"),
        (["papers/*"], "matches 1 path, such as papers/text.txt, but no photos or clips"),
        (["void"], "no photos or clips in void: no file there ends in"),
        (["papers"], "no photos or clips in papers: .* if you name it itself"),
        (["."], "in folders inside it, such as album/Img1.png; use --recursive"),
        (["-"], "there is none"),
        (["x" * 300], "cannot look at"),
        (["nul\0.jpg"], "no such file"),
    ],
)
def test_what_stands_for_nothing_is_said(album, inputs, message):
    with pytest.raises(UsageError, match=message):
        find_media(inputs)


def test_an_empty_list_is_said():
    with pytest.raises(UsageError, match="empty"):
        find_media(["-"], stdin=io.StringIO("\n\n"))


def test_links_in_a_circle_end(album):
    (album / "album/trip 9/up").symlink_to(album / "album", target_is_directory=True)
    (album / "album/trip 10/down").symlink_to(album / "album/trip 9", target_is_directory=True)
    (album / "album/trip 10/self").symlink_to(album / "album/trip 10/self")
    assert names(["album"], recursive=True) == TOP + BELOW
    assert sorted(names(["album/**"])) == sorted(TOP + BELOW)


def test_links_to_photos(album):
    (album / "album/a link.jpg").symlink_to(album / "album/img10.jpg")
    (album / "album/broken.jpg").symlink_to(album / "gone.jpg")
    assert names(["album"]) == [
        "album/a link.jpg",
        "album/broken.jpg",
        *TOP,
    ]


def test_a_folder_called_like_a_photo(album):
    (album / "album/folder.jpg").mkdir()
    assert names(["album"]) == TOP


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        (["album"], {"recursive": True}, [*TOP, "album/trip 10/b.jpeg"]),
        (["album/**"], {}, [*TOP, "album/trip 10/b.jpeg"]),
        (["album/trip*"], {}, ["album/trip 10/b.jpeg"]),
        (["album/trip*/*"], {}, ["album/trip 10/b.jpeg"]),
        (["album/trip 9", "album/img2.JPG"], {}, ["album/img2.JPG"]),
        (["album/trip 9"], {}, []),
        (["album/trip 9/*"], {}, []),
        (["album", "album/trip 9", "album/*"], {"recursive": True}, [*TOP, "album/trip 10/b.jpeg"]),
    ],
)
def test_a_locked_folder_is_told_once(album, monkeypatch, inputs, options, expected):
    real = os.scandir

    # Whoever runs the tests may be allowed to read every folder.
    def locked(path):
        if Path(path).name == "trip 9":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = find_media(inputs, **options)
    assert [path.as_posix() for path in found.files] == expected
    assert [str(error) for error in found.closed] == [
        "album/trip 9: this folder cannot be read: Permission denied"
    ]


LEFT_OUT = {
    "album/a.CR2": ".cr2",
    "album/b.cr2": ".cr2",
    "album/c.jxl": ".jxl",
    "album/d.rmvb": ".rmvb",
    "album/e.xmp": None,
    "album/f.json": None,
    "album/.hidden.cr2": None,
    "album/trip 9/g.nef": ".nef",
}


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        (["album"], {}, {".cr2": 2, ".jxl": 1, ".rmvb": 1}),
        (["album", "album/*"], {}, {".cr2": 2, ".jxl": 1, ".rmvb": 1, ".nef": 1}),
        (["album"], {"recursive": True}, {".cr2": 2, ".jxl": 1, ".nef": 1, ".rmvb": 1}),
        (["album/*.*"], {"only": "photos"}, {".cr2": 2, ".jxl": 1}),
        (["album/a.CR2"], {}, {}),
        (["album/*.jxl"], {}, {}),
    ],
)
def test_what_is_left_out_is_counted(album, inputs, options, expected):
    for name in LEFT_OUT:
        (album / name).touch()
    found = find_media(inputs, **options)
    assert found.left_out == expected
    assert not {path.as_posix() for path in found.files} & {
        name for name in LEFT_OUT if inputs not in (["album/a.CR2"], ["album/*.jxl"])
    }


@pytest.mark.parametrize("there", [True, False])
def test_heic_is_taken_where_it_is_read(album, monkeypatch, there):
    monkeypatch.setattr("negah.media.sources.reads_heic", lambda: there)
    for name in ["album/x.HEIC", "album/y.heif", "album/z.cr3"]:
        (album / name).touch()
    found = find_media(["album"])
    taken = {path.name for path in found.files}
    assert ({"x.HEIC", "y.heif"} <= taken) is there
    line = left_out_line(found.left_out)
    assert line == (
        "1 .cr3"
        if there
        else "1 .cr3, 1 .heic (pip install 'negah[heic]'), 1 .heif (pip install 'negah[heic]')"
    )


def test_a_folder_of_nothing_but_what_is_left_out(album):
    for name in ["void/a.cr2", "void/b.dng", "void/c.dng", "void/d.txt"]:
        (album / name).touch()
    for inputs in (["void"], ["void/*"]):
        with pytest.raises(UsageError, match=r"of a kind that is read; left out: 2 \.dng, 1 \.cr2"):
            find_media(inputs)


def test_every_kind_of_photo_is_taken(tmp_path):
    for suffix in [".mpo", ".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc", ".jpg", ".png"]:
        (tmp_path / f"a{suffix}").touch()
    assert len(find_media([tmp_path]).files) == 10


@given(st.lists(st.text(st.characters(exclude_characters="\0/"), min_size=1), unique=True))
def test_natural_order_does_not_depend_on_the_order_found(file_names):
    backwards = file_names[::-1]
    assert sorted(backwards, key=natural) == sorted(file_names, key=natural)


@given(st.text("ab", max_size=3), st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_in_names_count_as_numbers(stem, numbers):
    ordered = sorted((f"{stem}{number}.jpg" for number in numbers), key=natural)
    assert ordered == [f"{stem}{number}.jpg" for number in sorted(numbers)]


def test_inputs_may_be_paths(album):
    assert find_media([Path("album")]).files == find_media(["album"]).files


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp4", True),
        ("b/a.MOV", True),
        (Path("a.webm"), True),
        ("a.gifv", True),
        ("a.ts", True),
        ("a.gif", False),
        ("a.jpg", False),
        ("mp4", False),
        ("a.mp4.txt", False),
    ],
)
def test_what_is_a_clip(name, expected):
    assert is_clip(name) == expected


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """Photos, clips, and source code whose suffix clips have too."""
    monkeypatch.chdir(tmp_path)
    for name in ["m/a.jpg", "m/b.mp4", "m/c.AVI", "m/deep/d.mkv", "m/note.txt"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "m" / "app.ts").write_text("export const answer = 42;\n")
    (tmp_path / "m" / "stream.ts").write_bytes(b"\x47\x40\x00\x10\x00" + bytes(183))
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        (["m"], {}, ["m/a.jpg", "m/b.mp4", "m/c.AVI", "m/stream.ts"]),
        (["m"], {"only": "clips"}, ["m/b.mp4", "m/c.AVI", "m/stream.ts"]),
        (["m"], {"only": "photos"}, ["m/a.jpg"]),
        (["m"], {"only": "clips", "recursive": True}, [*["m/b.mp4", "m/c.AVI", "m/stream.ts"],
                                                       "m/deep/d.mkv"]),
        (["m/*.*"], {"only": "clips"}, ["m/b.mp4", "m/c.AVI", "m/stream.ts"]),
        (["m/*.ts"], {}, ["m/app.ts", "m/stream.ts"]),
        (["m/app.ts"], {}, ["m/app.ts"]),
        (["m/b.mp4", "m/note.txt"], {}, ["m/b.mp4", "m/note.txt"]),
    ],
)  # fmt: skip
def test_photos_and_clips(mixed, inputs, options, expected):
    assert names(inputs, **options) == expected


def test_a_list_is_sifted_by_kind(mixed):
    def listed(text, only):
        return names(["-"], stdin=io.StringIO(text), only=only)

    assert listed("x.jpg\ny.mp4", "clips") == ["y.mp4"]
    assert listed("x.jpg\ny.mp4", "photos") == ["x.jpg"]
    with pytest.raises(UsageError, match="names no clips"):
        listed("x.jpg", "clips")


def test_an_empty_folder_names_common_suffixes_and_the_page_has_all(album) -> None:
    with pytest.raises(UsageError) as error:
        find_media(["void"])
    named = re.findall(r"\.\w+(?=,| or )", str(error.value))
    assert named == [".jpg", ".jpeg", ".png", ".webp", ".mp4", ".mov", ".mkv", ".webm"]
    assert "docs/limits.md" in str(error.value)
    page = (REPOSITORY / "docs" / "limits.md").read_text("utf-8")
    for name, suffixes in (("photos", IMAGE_SUFFIXES), ("clips", VIDEO_SUFFIXES)):
        (row,) = re.findall(rf"^\| {name} \| (`\..*) \|$", page, re.M)
        assert set(re.findall(r"`(\.\w+)`", row)) == suffixes


@pytest.mark.parametrize(
    ("inputs", "only", "message"),
    [
        (["m/a.jpg"], "clips", "m/a.jpg counts as a photo by its suffix, but clips are asked for"),
        (["m/b.mp4"], "photos", "m/b.mp4 counts as a clip"),
        (["m/*.jpg"], "clips", "but no clips"),
        (
            ["m/deep"],
            "photos",
            r"no photos in m/deep: no file there ends in (\.\w+, ){3}\.webp or ",
        ),
    ],
)
def test_the_wrong_kind_is_said(mixed, inputs, only, message):
    with pytest.raises(UsageError, match=message):
        find_media(inputs, only=only)
