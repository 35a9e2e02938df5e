"""Tables, lists and names: read the same way by every command, and nothing is lost in silence."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.cli.main import run
from negah.data import Dataset, load_dataset
from negah.data.caption_files import read_hypotheses, read_references
from negah.data.caption_pairs import pair
from negah.data.names import FileNames
from negah.errors import DataError, NegahError
from negah.media import find_media
from negah.textfiles import decode

posix = pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
NFC, NFD = "caf\u00e9.jpg", "cafe\u0301.jpg"


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


def captions(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in dataset.examples}


# One table in every spelling, for every command

CAPTIONS = {"a.jpg": ("a dog, running",), "b.jpg": ('a "no parking" sign', "a sign")}
PLAIN = "image,caption\n"
COMMAS = 'a.jpg,"a dog, running"\nb.jpg,"a ""no parking"" sign"\nb.jpg,a sign\n'
TABS = 'a.jpg\ta dog, running\nb.jpg\ta "no parking" sign\nb.jpg\ta sign\n'
QUOTED = '"a.jpg"\t"a dog, running"\n"b.jpg"\t"a ""no parking"" sign"\n"b.jpg"\t"a sign"\n'
SPELLINGS: dict[str, str | bytes] = {
    "commas": PLAIN + COMMAS,
    "path": "path,caption\n" + COMMAS,
    "file_name": "file_name,caption\n" + COMMAS,
    "tabs": "image\tcaption\n" + TABS,
    "tabs, all quoted": '"image"\t"caption"\n' + QUOTED,
    "sep=": "sep=;\r\nimage;caption\r\n" + COMMAS.replace("a.jpg,", "a.jpg;")
    .replace("b.jpg,", "b.jpg;").replace("\n", "\r\n"),
    "sep= and a tab": "sep=\t\nimage\tcaption\n" + TABS,
    "quoted sep=": '"sep=,"\n' + PLAIN + COMMAS,
    "empty lines and rows first": "\n,,\n" + PLAIN + "\n" + COMMAS + ",\n",
    "empty columns at the end": "image,caption,,\n" + COMMAS.replace("\n", ",,\n"),
    "some of them cut": "image,caption,,\n" + COMMAS.replace("\n", ",,\n", 1),
    "an empty column between": "image,,caption\n" + COMMAS.replace("jpg,", "jpg,,"),
    "an index without a name": ",image,caption\n"
    + "".join(f"{n},{line}\n" for n, line in enumerate(COMMAS.splitlines())),
    "no cells for the last column": "image,caption,split\n" + COMMAS,
    "carriage returns": (PLAIN + COMMAS).replace("\n", "\r"),
    "byte order mark": "\ufeff" + PLAIN + COMMAS,
    "UTF-16": ("image\tcaption\r\n" + TABS).encode("utf-16"),
    "UTF-16 BE": b"\xfe\xff" + (PLAIN + COMMAS).encode("utf-16-be"),
    "UTF-16 without a mark": (PLAIN + COMMAS).encode("utf-16-le"),
    "UTF-16 BE without a mark": (PLAIN + COMMAS).encode("utf-16-be"),
    "UTF-32": (PLAIN + COMMAS).encode("utf-32"),
    "JSON lines": "".join(
        json.dumps({"path": name, "captions": given}) + "\r\n" for name, given in CAPTIONS.items()
    ),
    "a JSON list": json.dumps(
        [{"path": n, "caption": c, "times": [0]} for n, given in CAPTIONS.items() for c in given],
        indent=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("suffix", ["csv", "tsv", "txt"])
def test_a_table_in_every_spelling(content: str | bytes, suffix: str, tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    is_json = not isinstance(content, bytes) and content[0] in "[{"
    path = tmp_path / f"mine.{'json' if is_json else suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    dataset = load_dataset(path)
    assert captions(dataset) == CAPTIONS
    assert (dataset.problems, dataset.rows) == ((), 3)
    found = read_references([path])
    assert {name: tuple(given) for name, given in found.captions.items()} == CAPTIONS
    assert (found.left_out, found.rows) == ((), 3)


def test_in_a_tsv_a_quote_is_a_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.jpg" for number in range(1, 11)]
    make(tmp_path, *names)
    said = [f"a cat number {number}" for number in range(1, 11)]
    said[2], said[7] = '"no parking', 'a sign that reads stop"'
    table = tmp_path / "t.tsv"
    rows = "".join(f"{name}\t{caption}\n" for name, caption in zip(names, said, strict=True))
    table.write_text("image\tcaption\n" + rows)
    assert captions(load_dataset(table)) == {
        name: (caption,) for name, caption in zip(names, said, strict=True)
    }
    assert run(["data", "inspect", str(table), "--dev-fraction", "0"]) == 0
    assert "10 images" in capsys.readouterr().out
    assert run(["score", str(table), "--refs", str(table), "--metrics", "ROUGE-L"]) == 0
    assert "100.00" in capsys.readouterr().out


# What is left out is counted and named

LEFT_OUT = {
    "too many cells": ("b.jpg,a cat, asleep\n", "line 3: 3 cells, but the header has 2"),
    "a quote within": ('b.jpg,"no" parking\n', "line 3: malformed CSV: ',' expected after"),
    "no name": (" ,a cat\n", "line 3: no file is given"),
    "no caption": ("b.jpg, \n", "line 3: a caption without any text"),
    "one cell": ("b.jpg\n", "line 3: a caption without any text"),
    "the columns again": ('\ufeff"Image",caption,\n', "line 3: names the columns again, as the"),
}


@pytest.mark.parametrize(("row", "message"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_rows_that_cannot_be_used_are_named_and_the_exit_code_is_1(
    row: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "t.csv"
    table.write_text(PLAIN + "a.jpg,a dog\n" + row + "c.jpg,a cow\n")
    dataset = load_dataset(table)
    assert captions(dataset) == {"a.jpg": ("a dog",), "c.jpg": ("a cow",)}
    assert [problem.rows for problem in dataset.left_out] == [1]
    assert f"left out: 1 of 3 rows: t.csv, {message}" in caplog.text
    assert run(["data", "inspect", str(table), "--dev-fraction", "0"]) == 1
    assert message in capsys.readouterr().out
    hypotheses = tmp_path / "h.csv"
    hypotheses.write_text(PLAIN + "a.jpg,a dog\nc.jpg,a cow\n")
    if message.endswith("without any text"):  # an image without references is an error
        with pytest.raises(DataError, match=r"1 images have no reference \(the first: image 'b"):
            read_references([table])
        return
    caplog.clear()
    assert run(["score", str(hypotheses), "--refs", str(table), "--metrics", "ROUGE-L"]) == 1
    assert "100.00" in capsys.readouterr().out
    assert f"left out: 1 of 3 rows: t.csv, {message}" in caplog.text


def test_files_that_are_not_there_are_no_fault_of_the_table(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "captions.csv").write_text(PLAIN + "a.jpg,a dog\nb.jpg,a cat\n")
    dataset = load_dataset(tmp_path)
    assert [problem.kind for problem in dataset.problems] == ["missing image"]
    assert dataset.left_out == ()
    assert run(["data", "inspect", str(tmp_path), "--dev-fraction", "0"]) == 0


REFUSED = {
    "a quote never closed": ('image,caption\na.jpg,x\nb.jpg,"y\nc.jpg,z\n', "line 3: malformed CSV"
                             ": a quote that opens here is never closed"),
    "a quote closed later": ('image,caption\na.jpg,"x\nb.jpg,y\nc.jpg,z"\nd.jpg,w\n',
                             r"line 2: a quote that opens here closes only in line 4"),
    "ids": ('id;image_id;caption\n1;7;"x\n2;8;y"\n', "line 2: a quote that opens here closes only"),
    "words": ('image,caption\ndog,"x\ncat,y"\n', "line 2: a quote that opens here closes only"),
    "ids by chance": ('image_id,caption\na3f9,"x\n09be,y\n12,a tv of 27"\nc0de,w\n', "line 2: a quo"
                      "te that opens here closes only in line 4"),
    "ids without digits": ('image_id,caption\na3f9,"x\nffee,y, z"\n', "line 2: a quote that opens"),
    "hex without letters": ('image_id,caption\n1234,"x\nffee,y"\n', "line 2: a quote that opens"),
    "YouTube": ('video_id;caption\ndQw4w9WgXcQ;"x\n_-cdefghi-k;y"\n', "line 2: a quote that opens"),
    "the last of three": ('image_id,caption,split\na3f9,"x\n12,tv of 27",dev\n', "line 2: a quote"),
    "captions first": ('caption,image\n"x,a.jpg\ny",b.jpg\n', "line 2: a quote that opens here"),
    "a very long cell": ('image,caption\na.jpg,"' + "x\n" * 150 + '"\n', "line 2: a quote that"),
    "too many characters": (PLAIN + "a.jpg," + "x" * 10_001 + "\n", "line 2: a caption of 10,001"),
    "twice": ("image,caption,Caption\na.jpg,x,y\n", "the column 'caption' twice"),
    "no first line": ("a.jpg,x\nb.jpg,y\n", "found: 'a.jpg', 'x'; add it, such as image,caption"),
    "another order": (PLAIN + "a.jpg,x\ncaption,image\n", "line 3: names the columns again, in"),
    "both captions": ("image,caption,captions\na.jpg,x,\nb.jpg,x,y\n", "line 3: caption and capt"),
    "a key twice": ('{"image": "a.jpg", "caption": "x", "caption": "y"}', "the key 'caption' twi"),
    "two files": ("image,video,caption\na.jpg,b.mp4,y\n", "image and video both name a file"),
    "Latin-1": ("image,caption\na.jpg,x\nb.jpg,caf\udce9\n", r"line 3: cannot be read: not UTF-8 "
                r"text \(the caption 'caf\\udce9'\)\. Save the file with UTF-8"),
    "Latin-1 in JSON": ('{"image": "a.jpg", "caption": "x"}\n\n{"image": "b\udce9"}', "not UTF-8 "
                        r"text \(byte 48\), in line 3"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_lose_rows_is_refused_by_all(text: str, message: str, tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    path = tmp_path / ("t.jsonl" if text.startswith("{") else "t.csv")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for read in (load_dataset, read_hypotheses, lambda path: read_references([path])):
        with pytest.raises(DataError, match=message) as refused:
            read(path)
        assert str(path) in str(refused.value)
        assert len(str(refused.value)) < 700


def test_captions_of_several_lines_are_kept(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    table = tmp_path / "t.csv"
    table.write_text('caption,image\n"A dog, running.\r\nAgain, a dog",a.jpg\nx,b.jpg\n')
    expected = {"a.jpg": ("A dog, running.\nAgain, a dog",), "b.jpg": ("x",)}
    assert captions(load_dataset(table)) == expected
    assert read_hypotheses(table).captions["a.jpg"] == list(expected["a.jpg"])
    said = {"42": "x\nup, 2 dogs", "a3f9": "x,\nrunning, with 2\nred, green, blue", "43": "x"}
    rows = "".join(f'{name},"{caption}"\n' for name, caption in said.items())
    table.write_text("image_id,caption\n" + rows)
    assert read_hypotheses(table).captions == {name: [said[name]] for name in said}


def test_decimal_commas_of_spreadsheets(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    table = tmp_path / "t.csv"
    table.write_text("video;caption;start;end\na.mp4;x;1,5;2\n")
    assert [example.span for example in load_dataset(table).examples] == [(1.5, 2.0)]
    table.write_text('video,caption,start,end\na.mp4,x,"1,500",2000\n')
    with pytest.raises(DataError, match="start '1,500' and end '2000' must be seconds"):
        load_dataset(table)


# Names


@pytest.mark.parametrize(
    ("on_disk", "named", "found"),
    [
        (["sub/a.jpg"], "sub\\a.jpg", "sub/a.jpg"),
        (["sub/a.jpg"], ".\\sub\\a.jpg", "sub/a.jpg"),
        (["a.jpg"], " a.jpg ", "a.jpg"),
        ([NFD], NFC, NFD),
        ([NFC], NFD, NFC),
        ([NFC, NFD], NFD, NFD),
        ([f"{NFD}/{NFC}"], f"{NFC}\\{NFD}", f"{NFD}/{NFC}"),
        (["a.jpg"], "a", "a.jpg"),
        (["sub/a.jpg"], "sub/a", "sub/a.jpg"),
        (["a.jpg", "a.png"], "a", None),
        (["sub/a.jpg"], "Sub\\A.JPG", "sub/a.jpg"),
        ([NFD], NFC.upper(), NFD),
        (["a.jpg", "A.jpg"], "A.JPG", None),
        (["a.jpg"], "\ufeffa.jpg", "a.jpg"),
        ([NFC], "caf\udce9.jpg", NFC),
        ([NFC], "caf\udc81.jpg", None),
        (["42.jpg"], "42.0", "42.jpg"),
        (["000000000042.jpg"], "42", "000000000042.jpg"),
        (["COCO_val2014_000000000042.jpg"], "42", "COCO_val2014_000000000042.jpg"),
        (["042.jpg", "0042.jpg"], "42", None),
        (["42.jpg", "042.jpg"], "042", "042.jpg"),
        (["a.jpg"], "../a.jpg", None),
        (["a.jpg"], "..\\a.jpg", None),
        (["a.jpg"], "sub/../a.jpg", None),
        (["a.jpg"], "C:a.jpg", None),
        (["a.jpg"], "x" * 5000, None),
        (["a.jpg"], "a\0.jpg", None),
    ],
)
def test_the_file_that_a_name_means(
    on_disk: list[str], named: str, found: str | None, tmp_path: Path
) -> None:
    make(tmp_path / "photos", *on_disk)
    make(tmp_path, "a.jpg")
    alike = {unicodedata.normalize("NFC", name.partition("/")[0]) for name in on_disk}
    if len(alike) < len(on_disk) == 1 + len(list((tmp_path / "photos").iterdir())):
        pytest.skip("this file system keeps one name for both normal forms")
    assert FileNames(tmp_path / "photos").find(named) == found


@posix
def test_a_backslash_in_a_name_that_is_there(tmp_path: Path) -> None:
    make(tmp_path, "sub\\a.jpg", "sub/a.jpg", "..\\b.jpg", "C:c.jpg")
    names = FileNames(tmp_path)
    for name in ("sub\\a.jpg", "..\\b.jpg", "C:c.jpg"):
        assert names.find(name) == name


def test_names_equal_after_normalisation_are_one_file(tmp_path: Path) -> None:
    make(tmp_path, NFD)
    (tmp_path / "captions.csv").write_text(f"{PLAIN}{NFC},x\n{NFD},y\n", encoding="utf-8")
    assert captions(load_dataset(tmp_path)) == {NFD: ("x", "y")}
    (tmp_path / "captions.csv").write_text(
        f"image,caption,split\n{NFC},x,train\n{NFD},y,dev\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="is in two parts, train and dev"):
        load_dataset(tmp_path)


def test_json_layouts_find_their_files_by_the_same_names(tmp_path: Path) -> None:
    make(tmp_path, f"sub/{NFD}")
    images = {"images": [{"id": 42, "file_name": f"sub\\{NFC}"}]}
    coco = {**images, "annotations": [{"image_id": "42", "caption": "x"}]}
    sentences = [{"raw": "x"}]
    karpathy = {"filepath": "sub", "filename": NFC, "split": "train", "sentences": sentences}
    for name, content in (("c.json", coco), ("k.json", {"images": [karpathy]})):
        (tmp_path / name).write_text(json.dumps(content))
        assert captions(load_dataset(tmp_path / name)) == {f"sub/{NFD}": ("x",)}


PAIRS: dict[str, tuple[Any, Any]] = {
    "normal forms": (NFD, NFC),
    "backslash": ("photos\\sub\\a.jpg", "sub/a.jpg"),
    "folders in front": ("/home/me/photos/a.jpg", "a.jpg"),
    "a folder of the references": ("a.jpg", "val/a.jpg"),
    "without suffix": ("photos/a", "a.jpg"),
    "number and text": (42, "42"),
    "text and number": ("42", 42),
    "a float of pandas": (42.0, "42.jpg"),
    "its text": ("42.0", 42),
    "zeros before it": ("000000000009.jpg", 9),
    "zeros that COCO does not have": (7, "007"),
    "bytes": ("caf\udce9.jpg", "photos/caf\udce9.jpg"),
    "space": (" a.jpg", "a.jpg "),
}


@pytest.mark.parametrize(("said", "known"), PAIRS.values(), ids=PAIRS.keys())
def test_hypotheses_find_their_references(said: Any, known: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "h.json", tmp_path / "r.jsonl"
    first.write_text(json.dumps([{"image_id": said, "caption": "a"}]))
    rows = [{"image_id": known, "caption": "b"}, {"image_id": "other", "caption": "c"}]
    second.write_text("\n".join(map(json.dumps, rows)))
    found = pair(read_hypotheses(first), read_references([second]), subset=True)
    assert list(found.hypotheses.values()) == ["a"]
    (name,) = found.hypotheses
    assert found.references[name] == ["b"]
    expected = str(int(said)) if isinstance(said, float) else str(said)
    assert found.names.get(name, name) == expected


@pytest.mark.parametrize(
    ("said", "known", "name"),
    [
        ("07", ["7", "007"], None),
        ("007", ["7", "007"], "007"),
        ("p/b/a.jpg", ["a.jpg", "b/a.jpg"], "b/a.jpg"),
        ("p/a.jpg", ["a.jpg", "b/a.jpg"], "a.jpg"),
        ("a.jpg", ["x/a.jpg", "b/a.jpg"], None),
        ("7.jpg", ["007.jpg", "7.png"], "7.png"),
        ("1e5", ["100000"], None),
    ],
)
def test_names_that_two_images_could_have(
    said: str, known: list[str], name: str | None, tmp_path: Path
) -> None:
    hypotheses, references = tmp_path / "h.csv", tmp_path / "r.csv"
    hypotheses.write_text(f"{PLAIN}{said},x\n")
    references.write_text(PLAIN + "".join(f"{one},y\n" for one in known))
    files = read_hypotheses(hypotheses), read_references([references])
    if name is None:
        with pytest.raises(DataError, match="have no references"):
            pair(*files, subset=True)
    else:
        assert list(pair(*files, subset=True).hypotheses) == [name]


@posix
def test_a_name_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    make(tmp_path, name, "b.jpg")
    table = tmp_path / "t.csv"
    table.write_bytes(PLAIN.encode() + b"caf\xe9.jpg,a dog\nb.jpg,a cat\n")
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"path": "caf\\udce9.jpg", "caption": "a dog"}\n'
                     '{"path": "b.jpg", "caption": "a cat"}\n')  # fmt: skip
    for path in (table, lines):
        assert captions(load_dataset(path)) == {name: ("a dog",), "b.jpg": ("a cat",)}
        assert len(pair(read_hypotheses(path), read_references([table])).hypotheses) == 2
        assert run(["data", "inspect", str(path), "--dev-fraction", "0"]) == 0
    assert "2 images" in capsys.readouterr().out


def test_a_name_of_another_encoding_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", NFC)
    table = tmp_path / "t.csv"
    table.write_bytes(PLAIN.encode() + b"caf\xe9.jpg,a dog\nb.jpg,a cat\n\x8e.jpg,x\n")
    dataset = load_dataset(table)
    assert captions(dataset) == {NFC: ("a dog",), "b.jpg": ("a cat",)}
    (problem,) = dataset.left_out
    assert "not UTF-8, and not found as Windows-1252 either: save the table" in problem.message


def test_captions_of_no_caption_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    rows = tmp_path / "t.jsonl"
    rows.write_text('{"image": "a.jpg", "captions": []}\n{"image": "b.jpg", "captions": ["x"]}\n')
    images = [{"filename": name, "split": "train", "sentences": said}
              for name, said in (("a.jpg", []), ("b.jpg", [{"raw": "x"}]))]  # fmt: skip
    (tmp_path / "k.json").write_text(json.dumps({"images": images}))
    for path in (rows, tmp_path / "k.json"):
        dataset = load_dataset(path)
        assert captions(dataset) == {"b.jpg": ("x",)}
        assert [problem.kind for problem in dataset.left_out] == ["empty caption"]


def test_another_name_that_two_images_share_means_neither(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"path": "p/a.jpg", "image_id": 1, "caption": "x"}\n')
    second.write_text('{"path": "q/b.jpg", "image_id": 1, "caption": "y"}\n')
    both = tmp_path / "both.jsonl"
    both.write_text(first.read_text() + second.read_text())
    said = tmp_path / "h.csv"
    said.write_text("image_id,caption\n1,z\n")
    for files in ([first, second], [both]):
        with pytest.raises(DataError, match="have no references"):
            pair(read_hypotheses(said), read_references(files), subset=True)
    assert pair(read_hypotheses(said), read_references([first])).hypotheses == {"p/a.jpg": "z"}


def test_captions_of_whole_clips_meet_references_without_times(tmp_path: Path) -> None:
    said, known = tmp_path / "h.jsonl", tmp_path / "r.csv"
    said.write_text('{"path": "v/a.mp4", "start": 0.0, "end": 12.48, "caption": "x"}\n')
    known.write_text("video,caption\na.mp4,y\n")
    found = pair(read_hypotheses(said), read_references([known]))
    assert found.hypotheses == {"a.mp4": "x"}


# Lists

LISTS = {
    "UTF-16 of PowerShell": "b.jpg\r\na.jpg\r\n".encode("utf-16"),
    "UTF-16 without a mark": "b.jpg\r\na.jpg\r\n".encode("utf-16-le"),
    "byte order mark": b"\xef\xbb\xbfb.jpg\na.jpg",
    "carriage returns": b"b.jpg\ra.jpg\r",
    "zeros": b"b.jpg\0a.jpg\0",
    "backslashes": b".\\b.jpg\na.jpg\n",
    "space and case": b" b.jpg \nA.JPG\n",
    "marks within": b"b.jpg\n\xef\xbb\xbfa.jpg\n",
}


def listed(content: bytes) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="ascii")
    return [path.as_posix() for path in find_media(["-"], stdin=stream).files]


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS.keys())
def test_lists(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    monkeypatch.chdir(tmp_path)
    assert listed(content) == ["b.jpg", "a.jpg"]


def test_names_in_lists_and_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, f"sub/{NFD}")
    monkeypatch.chdir(tmp_path)
    for name in (f"sub\\{NFC}", f"sub/{NFD}", f"../{tmp_path.name}/sub/{NFC}"):
        expected = [path for path in [name] if os.path.lexists(path)]
        (found,) = listed(name.encode())
        assert Path(found).samefile(tmp_path / "sub" / NFD)
        assert find_media([name]).files == [Path(found)]
        assert not expected or expected == [found]
    assert listed(f"sub/{NFC}".encode("utf-16-le")) == [f"sub/{NFD}"]  # no mark, no line end
    assert listed(b"caf\xe9.jpg") == ["caf\udce9.jpg"]
    assert listed(b"sub/caf\xe9.jpg") == [f"sub/{NFD}"]
    assert listed(b"nowhere\\x.jpg") == ["nowhere\\x.jpg"]
    assert [path.name for path in find_media(["sub/caf\u00e9*"]).files] == [NFD]
    make(tmp_path, "e\u0301/a.jpg")
    assert len(find_media(["\u00e9/*"]).files) == 1
    with pytest.raises(NegahError, match="begins as UTF-16-LE does, but byte 2 is not valid"):
        listed(b"\xff\xfea")


# Properties: what is written comes back, and damage is told


def _readable(name: str) -> str:
    """A name as the file system gives it back."""
    return os.fsdecode(os.fsencode(name))


_PIECES = st.sampled_from(" \"'`,;#%&=~-\\.\t\n\r\u2028\ufeff\u200f\U0001f436\u067e7a") | (
    st.sampled_from(["\u00e9", "e\u0301", "\u0915\u093c", "\u0958", "\u212b", "\udce9", "\udcff"])
    | st.sampled_from(["C:", "..", "--x", "#t=0,5"])
)
_NAMES = st.lists(
    st.lists(_PIECES | st.characters(codec="utf-8", exclude_characters="/\0"), max_size=12)
    .map(lambda pieces: _readable("".join(pieces) + ".jpg"))
    .filter(lambda name: len(os.fsencode(name)) < 256)
    | st.integers(246, 251).map(lambda count: "n" * count + ".jpg"),
    min_size=1,
    max_size=5,
    unique=True,
)


def _come_back(names: list[str]) -> None:
    """Through a list, a table, and JSON lines."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make(folder / "photos", *names)
        found = {path.name for path in (folder / "photos").iterdir()}
        if found != set(names):
            return  # the file system keeps one of two normal forms
        paths = [str(folder / "photos" / name) for name in names]
        lines = not any(set(name) & {"\n", "\r"} for name in names)
        for end in ["\0", *(["\n", "\r\n"] if lines else [])]:
            content = b"".join(os.fsencode(path) + end.encode() for path in paths)
            stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
            assert [str(path) for path in find_media(["-"], stdin=stream).files] == paths
        rows = [("path", "caption"), *((name, f"a {n}") for n, name in enumerate(names))]
        for delimiter in ",;":
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=delimiter).writerows(rows)
            content = text.getvalue().encode("utf-8", "surrogateescape")
            (folder / "t.csv").write_bytes(content)
            _same_files(load_dataset(folder / "t.csv", images=folder / "photos"), names)
        for escaped in (True, False):
            objects = [dict(zip(("image", "caption"), row, strict=True)) for row in rows[1:]]
            if escaped or not any("\udc80" <= c <= "\udcff" for name in names for c in name):
                text_lines = (json.dumps(one, ensure_ascii=escaped) + "\n" for one in objects)
                (folder / "t.jsonl").write_text("".join(text_lines), encoding="utf-8", newline="")
                _same_files(load_dataset(folder / "t.jsonl", images=folder / "photos"), names)


def _same_files(dataset: Dataset, names: list[str]) -> None:
    assert [example.path.name for example in dataset.examples] == names
    assert [example.captions for example in dataset.examples] == [
        (f"a {number}",) for number in range(len(names))
    ]
    assert dataset.problems == ()


_TABLE = [
    ("image", "caption", "split", "start", "end"),
    ("a.jpg", 'a dog, "running"', "train", "", ""),
    ("sub\\b.jpg", "a cat\nasleep", "", "", ""),
    ("v.mp4", "x", "dev", "0", "2.5"),
    (NFC, "\u06cc\u06a9 \u0633\u06af", "", "", ""),
    ("gone.jpg", "y", "", "", ""),
    ("", "z", "", "", ""),
    ("a.jpg", " ", "train", "", ""),
]


def _csv(delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(_TABLE)
    return text.getvalue()


_OBJECTS = [dict(zip(_TABLE[0], row, strict=True)) for row in _TABLE[1:]]
_IMAGES = [{"id": n, "file_name": row[0] or "x.jpg"} for n, row in enumerate(_TABLE[1:4])]
_ANNOTATIONS = [{"image_id": n, "caption": row[1]} for n, row in enumerate(_TABLE[1:5])]
_SENTENCES = [{"raw": row[1]} for row in _TABLE[1:]]
_KARPATHY = [{"filename": row[0], "split": "val", "sentences": _SENTENCES} for row in _TABLE[1:]]
_FILES: dict[str, bytes] = {
    "t.csv": _csv(",").encode(),
    "semicolons.csv": b"sep=;\r\n" + _csv(";").encode(),
    "t.tsv": "".join("\t".join(row[:2]) + "\n" for row in _TABLE[:2] + _TABLE[3:]).encode(),
    "utf16.txt": _csv("\t").encode("utf-16"),
    "t.jsonl": "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in _OBJECTS).encode(),
    "list.json": json.dumps(_OBJECTS).encode(),
    "captions_val2014.json": json.dumps({"images": _IMAGES, "annotations": _ANNOTATIONS}).encode(),
    "dataset_x.json": json.dumps({"images": _KARPATHY[:2]}).encode(),
    "Flickr8k.token.txt": b"a.jpg#0\ta dog\na.jpg#1\tthe dog\nno tab\ngone.jpg#0\tx\n",
    "sents_train_lc_nopunc.txt": b"v\ta dog runs\nvid2\ta cat\nno tab\n",
    "video_corpus.csv": b"VideoID,Start,End,Language,Description\nv,0,2,English,a dog\nv,0\n"
                        b'v,0,2,German,ein Hund\nv,0,2,English,"a\ncat"\n',
    "x_videodatainfo.json": json.dumps({"videos": [{"video_id": "v", "split": "train"}],
        "sentences": [{"video_id": v, "caption": "x"} for v in ("v", "w")]}).encode(),
}  # fmt: skip
_DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "insert", "drop", "repeat"]),
        st.floats(0, 1),
        st.sampled_from([*b'",;\t\n\r\0\\{}[]:#=7a\xff\xe9']),
        st.integers(1, 40),
    ),
    max_size=4,
)


def _damaged(content: bytes, damage: list[tuple[str, float, int, int]]) -> bytes:
    for kind, share, byte, count in damage:
        at = int(share * len(content))
        before, after = content[:at], content[at:]
        content = {
            "cut": before,
            "flip": before + bytes(b ^ (1 << byte % 8) for b in after[:1]) + after[1:],
            "insert": before + bytes([byte]) + after,
            "drop": before + after[count:],
            "repeat": before + after[:count] + after,
        }[kind]
    return content


def _read_or_refused(name: str, damage: list[tuple[str, float, int, int]]) -> None:
    """A result that accounts for every caption, or one error."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make(folder, "a.jpg", "sub/b.jpg", "v.mp4", "v_0_2.avi", NFD)
        path = folder / name
        path.write_bytes(_damaged(_FILES[name], damage))
        try:
            dataset = load_dataset(path)
        except NegahError as error:
            str(error).encode()
        else:
            used = sum(len(example.captions) for example in dataset.examples)
            lost = sum(problem.rows for problem in dataset.problems)
            assert used + lost == dataset.rows
            assert all(str(problem).encode() for problem in dataset.problems)
        readers: list[Callable[[], Any]] = [
            lambda: read_hypotheses(path),
            lambda: read_references([path]),
            lambda: find_media(["-"], stdin=io.TextIOWrapper(io.BytesIO(path.read_bytes()))),
        ]
        for read in readers:
            try:
                read()
            except NegahError as error:
                str(error).encode()


@posix
@settings(max_examples=100)
@given(names=_NAMES)
def test_any_name_comes_back(names: list[str]) -> None:
    _come_back(names)


@settings(max_examples=100)
@given(name=st.sampled_from(sorted(_FILES)), damage=_DAMAGE)
def test_damage_is_read_or_refused_and_no_row_vanishes(
    name: str, damage: list[tuple[str, float, int, int]]
) -> None:
    _read_or_refused(name, damage)


@posix
@pytest.mark.heavy
@settings(max_examples=3000)
@given(names=_NAMES)
def test_many_names_come_back(names: list[str]) -> None:
    _come_back(names)


@pytest.mark.heavy
@settings(max_examples=3000)
@given(name=st.sampled_from(sorted(_FILES)), damage=_DAMAGE)
def test_much_damage_is_read_or_refused(
    name: str, damage: list[tuple[str, float, int, int]]
) -> None:
    _read_or_refused(name, damage)


@given(st.binary(max_size=60) | st.text().map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_text_or_refused(content: bytes) -> None:
    try:
        text = decode(content, "x")
    except DataError:
        return
    text.encode("utf-8", "surrogateescape")
