"""Caption files in every layout, and what is refused of them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah import textfiles
from negah.data.caption_files import CaptionFile, read_hypotheses, read_references
from negah.data.caption_pairs import pair
from negah.errors import DataError, NegahError, UnknownNameError

CAPTIONS = {"7": ["a dog", "the dog"], "8": ["a cat, asleep"]}
ROWS = [{"image_id": int(name), "caption": c} for name, given in CAPTIONS.items() for c in given]
IMAGES = [{"id": 7, "file_name": "dog.jpg"}, {"id": 8, "file_name": "cat.jpg"}]


def _write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return path


LAYOUTS = {
    "list.json": ROWS,
    "coco.json": {"images": IMAGES, "annotations": ROWS},
    "without-images.json": {"annotations": ROWS},
    "msr-vtt.json": {
        "videos": [],
        "sentences": [{"video_id": r["image_id"], "caption": r["caption"]} for r in ROWS],
    },
    "lines.jsonl": "\n".join(map(json.dumps, ROWS)),
    "lines.json": "\n".join(map(json.dumps, ROWS)) + "\n\n",
    "one-line.json": json.dumps({"image": 7, "captions": ["a dog", "the dog"]})
    + '\n{"image": "8", "caption": "a cat, asleep"}',
    "table.csv": 'image,caption\n7,a dog\n7,the dog\n\n8,"a cat, asleep"\n',
    "bom.csv": '\ufeffImage_ID,Caption\r\n7,a dog\r\n7,the dog\r\n8,"a cat, asleep"\r\n',
    "semicolons.csv": "caption;path;score\na dog;7;0.1\nthe dog;7;0.2\na cat, asleep;8;0.3\n",
    "table.tsv": "image\tcaption\n7\ta dog\n7\tthe dog\n8\ta cat, asleep\n",
    "captions.txt": 'image,caption\n7,a dog\n7,the dog\n8,"a cat, asleep"\n',
    "Flickr8k.token.txt": "7#0\ta dog\n7#1\tthe dog\n8#0\ta cat, asleep\n",
    "dataset_own.json": {
        "images": [
            {
                "filename": name,
                "split": "test",
                "sentences": [{"raw": caption, "tokens": []} for caption in given],
            }
            for name, given in CAPTIONS.items()
        ]
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_references_in_every_layout(name: str, tmp_path: Path) -> None:
    found = read_references([_write(tmp_path, name, LAYOUTS[name])])
    assert found.captions == CAPTIONS
    assert not found.by_line


def test_plain_text_goes_by_line(tmp_path: Path) -> None:
    one = _write(tmp_path, "a.txt", "a dog\na cat\n")
    two = _write(tmp_path, "b.txt", "the dog\r\n\r\n")
    both = _write(tmp_path, "both.txt", "a dog\tthe dog\na cat\t\n")
    expected = {"1": ["a dog", "the dog"], "2": ["a cat"]}
    for files in ([one, two], [both]):
        found = read_references(files)
        assert found.captions == expected
        assert found.left_out == ()  # an empty line is no reference
    empty_last = _write(tmp_path, "c.txt", "a dog\n\n")
    assert read_hypotheses(empty_last).captions == {"1": ["a dog"], "2": [""]}


def test_several_files_are_joined_by_image(tmp_path: Path) -> None:
    one = _write(tmp_path, "a.json", [ROWS[0]])
    two = _write(tmp_path, "b.csv", 'image,caption\n7,the dog\n8,"a cat, asleep"\n')
    assert read_references([one, two]).captions == CAPTIONS


@pytest.mark.parametrize("name", ["table.csv", "lines.jsonl", "list.json"])
def test_standard_input(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = LAYOUTS[name]
    text = content if isinstance(content, str) else json.dumps(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read_references(["-"]).captions == CAPTIONS


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("7", {"7": "dog.jpg"}),
        ("dog.jpg", {"7": "dog.jpg"}),
        ("photos/dog.jpg", {"7": "dog.jpg"}),
        (r"photos\dog.JPG", {"7": "dog.JPG"}),
        ("dog", {"dog.jpg": ""}),
        ("391895", {"val2014/COCO_val2014_000000391895.jpg": ""}),
        ("COCO_val2014_000000391895.jpg", {"391895": ""}),
        ("1000268201_693b08cb0e", {"1000268201_693b08cb0e.jpg": ""}),
    ],
)
def test_an_image_is_found_under_its_other_names(given: str, named: dict[str, str]) -> None:
    aliases = {other: name for name, other in named.items() if other}
    ((name, _),) = named.items()
    references = CaptionFile("refs", {name: ["a dog"], "x": ["a"]}, aliases=aliases)
    found = pair(CaptionFile("hyps", {given: ["a cat"]}), references, subset=True)
    assert found.hypotheses == {name: "a cat"}
    assert found.references == {name: ["a dog"]}
    assert found.left_out == 1


def test_a_name_that_two_images_share_names_none() -> None:
    references = CaptionFile("refs", {"a/dog.jpg": ["one"], "b/dog.jpg": ["two"]})
    with pytest.raises(DataError, match=r"1 of the 1 images in hyps have no references"):
        pair(CaptionFile("hyps", {"dog.jpg": ["a dog"]}), references, subset=True)


def test_pairs_stand_in_the_order_of_the_references() -> None:
    references = CaptionFile("refs", {"a": ["one"], "b": ["two"], "c": ["three"]})
    found = pair(CaptionFile("hyps", {"c": ["3"], "a": ["1"]}), references, subset=True)
    assert list(found.hypotheses.items()) == [("a", "1"), ("c", "3")]
    assert list(found.references) == ["a", "c"]


def test_parts(tmp_path: Path) -> None:
    table = _write(tmp_path, "t.csv", "image,caption,split\na,x,train\nb,y,val\nc,z,\n")
    assert read_references([table], split="dev").captions == {"b": ["y"]}
    assert list(read_references([table]).captions) == ["a", "b", "c"]
    with pytest.raises(DataError, match=r"no image is in the part 'test' \(its parts: dev, train"):
        read_references([table], split="test")
    with pytest.raises(UnknownNameError, match="unknown split 'tests'"):
        read_references([table], split="tests")
    plain = _write(tmp_path, "t.json", ROWS)
    with pytest.raises(DataError, match="it names none"):
        read_references([plain], split="test")
    lists = _write(tmp_path, "captions.txt", "image,caption\na.jpg,x\nb.jpg,y\n")
    _write(tmp_path, "Flickr_8k.testImages.txt", "b.jpg\n")
    assert read_references([lists], split="test").captions == {"b.jpg": ["y"]}


REFUSED = {
    "an empty file": ("x.txt", " \n", "the file is empty"),
    "not UTF-8": ("x.txt", b"a caf\xe9\n", r"not UTF-8 text \(byte 5\)"),
    "half of UTF-16": ("x.csv", "image,caption\n".encode("utf-16")[:-1], "as UTF-16-LE does, but"),
    "no JSON": ("x.json", '[{"image_id": 1,', "not valid JSON"),
    "absurdly nested": ("x.json", "[" * 100_000, "not (valid|usable) JSON"),
    "a huge number": ("x.json", '[{"image_id": ' + "9" * 5000 + "}]", "not usable JSON"),
    "a plain value": ("x.json", "3", "holds a JSON int"),
    "another object": ("x.json", {"evaluations": []}, "unknown layout, an object with 'evalu"),
    "an empty object": ("x.json", {}, "an object with no keys"),
    "an empty list": ("x.json", [], "holds no captions"),
    "images of numbers": ("x.json", {"images": [1]}, "unknown layout"),
    "a row of text": ("x.json", ["a dog"], "entry 1: must be an object"),
    "a NaN id": ("x.json", '[{"image_id": NaN, "caption": "a"}]', "entry 1: an image is named"),
    "a fraction": ("x.json", [{"image_id": 1.5, "caption": "a"}], "whole number or a text"),
    "a truth value": ("x.json", [{"image_id": True, "caption": "a"}], "whole number or a text"),
    "no id": ("x.json", [{"image_id": None, "caption": "a"}], "entry 1: no file is given"),
    "an empty id": ("x.json", [{"image_id": " ", "caption": "a"}], "1 of 1 rows: x.json, entry 1"),
    "a long id": ("x.json", [{"image_id": "a" * 10_001, "caption": "a"}], "has 1 to"),
    "no caption": ("x.json", [ROWS[0], {"image_id": 8}], r"entry 2: needs .*found: 'image_id'"),
    "a caption that is a number": ("x.json", [{"image_id": 1, "caption": 2}], "must be text"),
    "a caption without end": ("x.json", [{"image_id": 1, "caption": "a" * 10_001}], "10,001 char"),
    "two captions": (
        "x.json",
        ROWS,
        r"entry 2: image '7' has a second caption \(the first: entry 1\)",
    ),
    "a list of two": ("x.jsonl", '{"image": 1, "captions": ["a", "b"]}', "has 2 captions"),
    "annotations twice": ("x.json", {"annotations": ROWS}, r"annotations\[1\]: image '7'"),
    "a bad line": ("x.jsonl", '{"image": 1, "caption": "a"}\nnot JSON', "line 2: not valid JSON"),
    "no such column": ("x.csv", "photo,text\na,b\n", "the first line must name the columns"),
    "a column twice": ("x.csv", "image,caption,caption\na,b,c\n", "each once"),
    "too many cells": ("x.csv", "image,caption\na,b,c\n", "line 2: 3 cells"),
    "an open quote": ("x.csv", 'image,caption\na,"b\n', "malformed CSV"),
    "two in a table": ("x.csv", "image,caption\na,b\na,c\n", "line 3: image 'a' has a second"),
    "an unknown part": ("x.csv", "image,caption,split\na,b,tests\n", "unknown split 'tests'"),
    "names in plain text": ("x.txt", "a.jpg,a dog\n\nb/c.jpg,a cat\n", "a table without a header"),
    "a tab in plain text": ("x.txt", "a dog\nb.jpg\ta dog\n", "line 2: holds a tab"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_explained(case: str, tmp_path: Path) -> None:
    name, content, message = REFUSED[case]
    path = _write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as refused:
        read_hypotheses(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 600


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    plain = _write(tmp_path, "a.txt", "a dog\na cat\n")
    longer = _write(tmp_path, "b.txt", "a dog\na cat\na cow\n")
    named = _write(tmp_path, "c.json", ROWS)
    with pytest.raises(DataError, match=r"2, 3 lines\. Line n of each"):
        read_references([plain, longer])
    with pytest.raises(DataError, match="some are plain text"):
        read_references([plain, named])
    with pytest.raises(DataError, match=r"have no reference \(the first: line 2"):
        read_references([_write(tmp_path, "d.txt", "a dog\n\n")])
    with pytest.raises(DataError, match="a table without a header line"):
        read_references([_write(tmp_path, "msvd.txt", "vid1\ta dog\nvid1\tthe dog\n")])
    with pytest.raises(DataError, match="no reference files are given"):
        read_references([])
    train = _write(tmp_path, "t.csv", "image,caption,split\na,x,train\n")
    test = _write(tmp_path, "u.csv", "image,caption,split\na,x,test\n")
    with pytest.raises(DataError, match="'a' is in two parts, train and test"):
        read_references([train, test])
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_hypotheses(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match=r"a\.txt is plain text, matched by line, and"):
        pair(read_hypotheses(plain), read_references([named]))
    with pytest.raises(DataError, match=r"a\.txt has 2 lines and .*b\.txt 3"):
        pair(read_hypotheses(plain), read_references([longer]))
    dog = CaptionFile("hyps", {"7": ["a dog"]})
    with pytest.raises(DataError, match=r"1 of the 2 images .* have no caption in hyps \('8'\)"):
        pair(dog, read_references([named]))
    twice = CaptionFile("hyps", {"a/7": ["a dog"], "b/7": ["a dog"], "8": ["a cat"]})
    with pytest.raises(DataError, match="two captions are for image '7'"):
        pair(twice, read_references([named]))


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfiles, "MAX_BYTES", 2**20)
    path = tmp_path / "x.txt"
    path.write_bytes(b"a" * (2**20 + 1))
    with pytest.raises(DataError, match="larger than 1 MiB"):
        read_hypotheses(path)


def test_half_characters_can_be_written_again(tmp_path: Path) -> None:
    path = _write(tmp_path, "x.json", '[{"image_id": "\\ud83d", "caption": "a \\ud83d dog"}]')
    assert read_hypotheses(path).captions == {"\ufffd": ["a \ufffd dog"]}


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["image_id", "caption", "captions", "annotations", "images", "id"])
            | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@given(
    content=_JSON.map(json.dumps).map(str.encode) | st.binary() | st.text().map(str.encode),
    suffix=st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ".txt", ""]),
)
def test_any_bytes_are_read_or_refused(
    content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    for read in (read_hypotheses, lambda path: read_references([path])):
        try:
            found = read(path)
        except NegahError:
            continue
        captions = [caption for given in found.captions.values() for caption in given]
        assert captions
        assert all(isinstance(caption, str) for caption in captions)
        json.dumps(found.captions, ensure_ascii=False).encode("utf-8", "surrogateescape")
