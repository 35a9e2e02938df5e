"""Formats of the Hugging Face Hub: imagefolder, webdataset and Parquet; and formats of others.

The oracles are tarfile and pyarrow themselves, in the layouts that webdataset and datasets write.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import REPOSITORY
from negah.cli.main import run
from negah.cli.paths import READS_CAPTIONS
from negah.data import Dataset, load_dataset
from negah.data.caption_files import read_hypotheses, read_references
from negah.data.formats import FORMATS, Source, WritableFormat, finding, identify, locate, own_files
from negah.data.formats.written import UniqueNames
from negah.errors import DataError, MissingExtraError, NegahError, UnknownNameError, UsageError
from other_packages import install
from tiny_data import make_shapes

CAPTIONS = {"a": ("a dog", "the dog"), "sub/b": ("a cat",), "c": ("a bird",)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NEGAH_CACHE", str(folder))
    return folder


def write_tar(path: Path, members: Mapping[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def members(**more: bytes | str) -> dict[str, bytes | str]:
    """Samples with a text, with JSON of several captions, and with both."""
    return {
        "a.jpg": b"photo a",
        "a.json": json.dumps({"captions": ["a dog", "the dog"], "split": "val", "width": 3}),
        "sub/b.PNG": b"photo b",
        "sub/b.txt": "a cat\n",
        "c.webp": b"photo c",
        "c.txt": "a bird",
        "c.json": json.dumps({"caption": None, "url": "x"}),
        **more,
    }


def found(dataset: Dataset) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {example.name: (example.split, example.captions) for example in dataset.examples}


def captions(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {name.rpartition(".")[0]: said for name, (_, said) in found(dataset).items()}


# The registry


def test_every_format_is_there_and_some_can_be_written() -> None:
    assert list(FORMATS)[:10] == [
        *("flickr8k", "table", "karpathy", "coco", "msrvtt", "msvd"),
        *("imagefolder", "webdataset", "parquet", "lines"),
    ]
    writable = {name for name in FORMATS if isinstance(FORMATS.get(name), WritableFormat)}
    assert writable == {"table", "imagefolder", "webdataset", "parquet"}


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its format: every format looks at the same text."""
    from negah import textfiles
    from negah.data.formats import source

    (tmp_path / "Flickr8k.token.txt").write_text("a.jpg#0\ta dog\n")
    (tmp_path / "sents_val_lc_nopunc.txt").write_text("vid1\ta dog\n")
    (tmp_path / "t.csv").write_text("image,caption\na.jpg,a dog\n")
    (tmp_path / "c.json").write_text('{"annotations": [{"image_id": 1, "caption": "a dog"}]}')
    read: list[str] = []
    parsed: list[str] = []

    def read_text(path: Path, label: str | None = None) -> str:
        read.append(path.name)
        return textfiles.read_text(path, label)

    def parse_json(text: str, where: str) -> Any:
        parsed.append(Path(where).name)
        return json.loads(text)

    monkeypatch.setattr(source, "read_text", read_text)
    monkeypatch.setattr(source, "parse_json", parse_json)
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    for name in names:
        assert list(read_references([tmp_path / name]).captions.values()) == [["a dog"]]
    assert (read, parsed) == (names, ["c.json"])


# webdataset


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tgz", "shards"])
def test_a_tar_file_of_any_name(name: str, tmp_path: Path, cache: Path) -> None:
    path = write_tar(tmp_path / name, members())
    dataset = load_dataset(path)
    assert found(dataset) == {
        "a.jpg": ("dev", CAPTIONS["a"]),
        "sub/b.PNG": ("train", CAPTIONS["sub/b"]),
        "c.webp": ("train", CAPTIONS["c"]),
    }
    assert [e.path.read_bytes() for e in dataset.examples] == [b"photo a", b"photo b", b"photo c"]
    assert all(cache in example.path.parents for example in dataset.examples)
    assert dataset.problems == ()
    assert (dataset.name, dataset.rows, dataset.files) == (path.stem, 4, (path,))


def test_pictures_are_unpacked_once_and_again_after_a_change(tmp_path: Path, cache: Path) -> None:
    path = write_tar(tmp_path / "data.tar", members())
    (first, *_) = load_dataset(path).examples
    # a run that was killed: what is there is kept, the rest is written
    (kept, lost) = (e.path for e in load_dataset(path).examples[:2])
    done = kept.parent.parent / "complete.json"
    assert json.loads(done.read_text())["pictures"] == 3
    done.unlink()
    lost.unlink()
    kept.write_bytes(b"kept")
    assert [e.path.read_bytes() for e in load_dataset(path).examples] == [
        *(b"kept", b"photo b", b"photo c")
    ]
    files = sorted(kept.parent.iterdir())
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    load_dataset(path)
    assert sorted(kept.parent.iterdir()) == files
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == before
    write_tar(path, {**members(), "a.jpg": b"a new photo"})
    (changed, *_) = load_dataset(path).examples
    assert changed.path != first.path
    assert changed.path.read_bytes() == b"a new photo"


def test_captions_to_score_unpack_nothing(tmp_path: Path, cache: Path) -> None:
    path = write_tar(tmp_path / "data.tar", members())
    references = read_references([path])
    assert references.captions == {
        "a.jpg": ["a dog", "the dog"],
        "sub/b.PNG": ["a cat"],
        "c.webp": ["a bird"],
    }
    assert references.splits == {"a.jpg": "dev"}
    assert list(read_references([path], split="val").captions) == ["a.jpg"]
    with pytest.raises(DataError, match=r"a\.jpg' has 2 captions"):
        read_hypotheses(path)
    assert not cache.exists()


def test_shards_by_folder_and_by_braces(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    write_tar(folder / "train-000.tar", {"1.jpg": b"1", "1.txt": "one"})
    write_tar(folder / "train-001.tar", {"1.jpg": b"2", "1.txt": "two"})
    write_tar(folder / "val-000.tar", {"1.jpg": b"3", "1.txt": "three"})
    expected = {
        "train-000/1.jpg": ("train", ("one",)),
        "train-001/1.jpg": ("train", ("two",)),
        "val-000/1.jpg": ("dev", ("three",)),
    }
    dataset = load_dataset(folder)
    assert found(dataset) == expected
    assert [example.path.read_bytes() for example in dataset.examples] == [b"1", b"2", b"3"]
    assert dataset.name == "shards"
    some = load_dataset(folder / "train-{000..001}.tar")
    assert list(found(some)) == list(expected)[:2]
    assert list(read_references([folder / "train-{000..001}.tar"]).captions) == list(expected)[:2]
    assert len(read_references([folder]).captions) == 3
    parts = tmp_path / "parts"
    write_tar(parts / "test" / "0.tar", {"1.jpg": b"3", "1.txt": "three"})
    assert found(load_dataset(parts)) == {"1.jpg": ("test", ("three",))}
    with pytest.raises(DataError, match=r"train-002\.tar: no such file"):
        load_dataset(folder / "train-{000..002}.tar")
    with pytest.raises(UsageError, match="must count upwards"):
        load_dataset(folder / "train-{2..1}.tar")


@pytest.mark.parametrize(
    ("names", "prefixes"),
    [
        (["a.0.tar", "a.1.tar"], ["a.0/", "a.1/"]),
        (["d/a.0.parquet", "d/a.1.Parquet"], ["a.0/", "a.1/"]),
        (["a.tgz", "b.tar.gz", "c"], ["a/", "b/", "c/"]),
        (["a.tar", "a.tar.gz", "b.tar"], ["a.tar/", "a.tar.gz/", "b.tar/"]),
        ([".tar", "...tar", "._a.tar"], [".tar/", "...tar/", "._a/"]),
        (["../x/0/a.tar", "../x/1/a.tar"], ["0/a/", "1/a/"]),
        (["/x/a.tar", "/x/b.tar"], ["a/", "b/"]),
        (["a.0.tar"], [""]),
    ],
)
def test_no_two_shards_share_a_folder(names: list[str], prefixes: list[str]) -> None:
    source = Source([Path(name) for name in names])
    assert [source.prefix_of(path) for path in source.paths] == prefixes


def test_shards_with_dots_in_their_names(tmp_path: Path) -> None:
    for n in range(2):
        write_tar(tmp_path / "tars" / f"train.{n}.tar", {"1.jpg": f"{n}", "1.txt": f"no {n}"})
        table = hub_table({"caption": [f"no {n}"]}, ["1.jpg"])
        (tmp_path / "tables").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "tables" / f"train.{n}.parquet")
    for folder in ("tars", "tables"):
        # what macOS and downloads put beside them is no part of the data set
        hidden = [f"._train.0.{'tar' if folder == 'tars' else 'parquet'}", ".tar", ".parquet"]
        for name in [*hidden, ".cache/x.tar"]:
            (tmp_path / folder / name).parent.mkdir(exist_ok=True)
            (tmp_path / folder / name).write_bytes(b"x")
        dataset = load_dataset(tmp_path / folder)
        assert found(dataset) == {f"train.{n}/1.jpg": ("train", (f"no {n}",)) for n in range(2)}
        assert len({example.path for example in dataset.examples}) == 2
        assert dataset.problems == ()


def test_a_folder_of_hidden_files_holds_nothing(tmp_path: Path) -> None:
    for name in ("._a.tar", ".parts/a.tar", ".parts/metadata.csv"):
        write_tar(tmp_path / name, members())
    with pytest.raises(DataError, match="no caption file in this folder"):
        load_dataset(tmp_path)


def test_clips_in_shards(tmp_path: Path) -> None:
    said = json.dumps({"caption": "a man runs", "start": 1, "end": 2.5})
    (example,) = load_dataset(
        write_tar(tmp_path / "clips.tar", {"v.mp4": b"clip", "v.json": said})
    ).examples
    assert (example.name, example.span, example.is_clip) == ("v.mp4#t=1,2.5", (1.0, 2.5), True)


def hostile(path: Path) -> Path:
    """What a tar file can hold beside samples."""
    with tarfile.open(path, "w") as archive:

        def add(name: str, content: bytes = b"x", **fields: Any) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in fields.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))

        add("a.jpg", b"photo a")
        add("a.txt", b"a dog")
        for name in ("../out.jpg", "/tmp/out.jpg", "b/../../out.txt"):
            add(name)
        add("link.jpg", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add("hard.jpg", b"", type=tarfile.LNKTYPE, linkname="a.jpg")
        add("device.jpg", b"", type=tarfile.CHRTYPE)
        add("a.txt", b"said again")
        add("bad.jpg", b"photo")
        add("bad.json", b"{")
        add("latin.jpg", b"photo")
        add("latin.txt", b"caf\xe9")
        add("huge.jpg", b"photo")
        add("huge.txt", b"x" * (2**20 + 1))
        add("long.jpg", b"photo")
        add("long.txt", b"x" * 10_001)
        add("alone.jpg", b"photo")
        add("README.md")
        add("._a.jpg")
        add("lost.txt", b"no photo")
    return path


def test_hostile_members_are_left_out_and_named(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hostile(tmp_path / "data.tar")
    dataset = load_dataset(path)
    assert captions(dataset) == {"a": ("a dog",)}
    problems = {problem.name.rpartition(", ")[2]: problem for problem in dataset.problems}
    kinds = {name: problem.kind for name, problem in problems.items()}
    assert kinds == {
        "../out.jpg": "unsafe name",
        "/tmp/out.jpg": "unsafe name",
        "b/../../out.txt": "unsafe name",
        "link.jpg": "malformed line",
        "hard.jpg": "malformed line",
        "device.jpg": "malformed line",
        "a.txt": "malformed line",
        "bad": "malformed line",
        "latin": "malformed line",
        "huge.txt": "malformed line",
        "long": "malformed line",
        "huge": "no caption",
        "alone": "no caption",
        "lost": "unknown name",
    }
    assert "not valid JSON" in problems["bad"].message
    below = {p.name for p in cache.rglob("*") if p.is_file() and p.parent.name == "files"}
    assert below == {"a.jpg", "bad.jpg", "latin.jpg", "huge.jpg", "long.jpg", "alone.jpg"}
    assert not list(tmp_path.rglob("out.*"))
    assert run(["data", "inspect", str(path)]) == 1
    assert "unsafe name: 3" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz"])
def test_half_a_shard_gives_what_is_there(name: str, tmp_path: Path) -> None:
    photos = {f"{n}.jpg": bytes(range(256)) * 40 for n in range(9)}
    whole = write_tar(
        tmp_path / name,
        {
            k: v
            for n in range(9)
            for k, v in ((f"{n}.txt", f"no {n}"), (f"{n}.jpg", photos[f"{n}.jpg"]))
        },
    )
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 2 // 3])
    dataset = load_dataset(whole)
    assert 3 <= len(dataset) < 9
    assert all(example.path.read_bytes() == photos[example.name] for example in dataset.examples)
    (problem,) = dataset.left_out
    assert (problem.name, "truncated or damaged" in problem.message) == (name, True)
    assert run(["data", "inspect", str(whole), "--dev-fraction", "0"]) == 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [200 * 2**20, 2**40, 2**62])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_last_header_that_claims_too_much(
    packed: bool, size: int, kind: bytes, tmp_path: Path
) -> None:
    plain = write_tar(tmp_path / "plain", {"a.jpg": b"1", "a.txt": "a dog"})
    last = tarfile.TarInfo("b.jpg")
    last.size, last.type = size, kind
    data = plain.read_bytes()[:2048] + last.tobuf() + bytes(100)
    path = tmp_path / "data"
    path.write_bytes(gzip.compress(data) if packed else data)
    dataset = load_dataset(path)
    assert captions(dataset) == {"a": ("a dog",)}
    assert "truncated or damaged" in dataset.left_out[-1].message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a tar file"),
        (b"no tar\n" * 200, "not a tar file"),
        ({"a.jpg": b"x", "b.jpg": b"x"}, r"contains no captions.*key\.txt or key\.json"),
        ({"README": b"x"}, r"found: 'README'.*A webdataset is a tar file with"),
        ({"a.txt": b"x"}, r"no image can be used.*unknown name \(1\)"),
    ],
    ids=["empty", "text", "no captions", "something else", "no pictures"],
)
def test_a_tar_that_is_no_webdataset(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_tar(path, content)
    with pytest.raises(DataError, match=message) as refused:
        load_dataset(path)
    assert str(path) in str(refused.value)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negah.data.formats.tars.MIN_LIMIT", 2**16)
    path = tmp_path / "data.tar.gz"
    write_tar(path, {"a.txt": "a dog", "a.jpg": bytes(2**24)})
    for read in (load_dataset, lambda path: read_references([path])):
        with pytest.raises(DataError, match="over 100 times its size"):
            read(path)
    plain = tmp_path / "sparse.tar"
    with tarfile.open(plain, "w") as archive:
        hole = tarfile.TarInfo("b.jpg")
        hole.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(hole)
    with pytest.raises(DataError):
        load_dataset(plain)


@settings(max_examples=30)
@given(data=st.data())
def test_any_damage_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    write_tar(path, {"a.txt": "a dog", "a.jpg": b"photo", "b.json": '{"text": "x"}', "b.jpg": b""})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 4096))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        references = read_references([path])
    except NegahError:
        return
    assert references.captions


# imagefolder


METADATA = {
    "metadata.csv": "file_name,text\na.jpg,a dog\na.jpg,the dog\nsub/b.png,a cat\n",
    "metadata.jsonl": '{"file_name": "a.jpg", "captions": ["a dog", "the dog"]}\n'
    '{"file_name": "sub/b.png", "caption": "a cat", "bbox": [1]}\n',
    "metadata.parquet": "",
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("part", ["", "train", "validation"])
def test_imagefolder(name: str, part: str, tmp_path: Path) -> None:
    root = tmp_path / "pets"
    folder = root / part
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"photo a")
    (folder / "sub" / "b.png").write_bytes(b"photo b")
    if name == "metadata.parquet":
        table = {"file_name": ["a.jpg", "sub/b.png"], "text": [["a dog", "the dog"], ["a cat"]]}
        pq.write_table(pa.table(table), folder / name)
    else:
        (folder / name).write_text(METADATA[name])
    prefix, split = (f"{part}/" if part else ""), {"validation": "dev"}.get(part, "train")
    expected = {
        f"{prefix}a.jpg": (split, CAPTIONS["a"]),
        f"{prefix}sub/b.png": (split, CAPTIONS["sub/b"]),
    }
    dataset = load_dataset(root)
    assert found(dataset) == expected
    assert (dataset.name, dataset.rows, dataset.problems) == ("pets", 3, ())
    named = load_dataset(folder / name)
    assert captions(named) == {"a": CAPTIONS["a"], "sub/b": CAPTIONS["sub/b"]}
    assert len(read_references([root]).captions) == 2


def test_imagefolder_of_several_parts(tmp_path: Path) -> None:
    for part, caption in {"train": "one", "test": "two"}.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.jpg").write_bytes(caption.encode())
        (tmp_path / part / "metadata.csv").write_text(f"file_name,caption\n1.jpg,{caption}\n2,x\n")
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {
        "train/1.jpg": ("train", ("one",)),
        "test/1.jpg": ("test", ("two",)),
    }
    assert [problem.kind for problem in dataset.problems] == ["missing image"] * 2
    (tmp_path / "test" / "metadata.csv").write_text("file_name,label\n1.jpg,dog\n")
    with pytest.raises(DataError, match=r"test/metadata\.csv: no column 'caption'"):
        load_dataset(tmp_path)


# Parquet


def hub_table(said: dict[str, list[Any]], paths: list[str | None]) -> pa.Table:
    """As the library ``datasets`` writes photos: a struct of bytes and path."""
    photos = [{"bytes": f"photo {n}".encode(), "path": path} for n, path in enumerate(paths)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array(photos, kind), **said})


@pytest.mark.parametrize(
    "said",
    [
        {"caption": [["a dog", "the dog"], ["a cat"]]},
        {"text": [["a dog", "the dog"], ["a cat"]], "caption_id": [1, 2]},
        {"captions": pa.array([["a dog", "the dog"], ["a cat"]], pa.large_list(pa.large_string()))},
    ],
    ids=["caption", "text", "large"],
)
def test_parquet_with_photos(said: dict[str, list[Any]], tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(hub_table(said, ["x/a.jpg", "b.png"]), path, row_group_size=1)
    references = read_references([path])
    assert references.captions == {"a.jpg": ["a dog", "the dog"], "b.png": ["a cat"]}
    assert not cache.exists()
    dataset = load_dataset(path)
    assert found(dataset) == {
        "a.jpg": ("train", ("a dog", "the dog")),
        "b.png": ("train", ("a cat",)),
    }
    assert [e.path.read_bytes() for e in dataset.examples] == [b"photo 0", b"photo 1"]


def test_parquet_shards_by_part(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        for number in range(2):
            path = tmp_path / "data" / f"{part}-{number:05}-of-00002.parquet"
            path.parent.mkdir(exist_ok=True)
            table = hub_table({"caption": [f"{part} {number}", None]}, ["same.jpg", "same.jpg"])
            pq.write_table(table, path)
    dataset = load_dataset(tmp_path)
    assert {(e.split, e.captions) for e in dataset.examples} == {
        (split, (f"{part} {number}",))
        for part, split in (("train", "train"), ("validation", "dev"))
        for number in range(2)
    }
    assert {problem.kind for problem in dataset.problems} == {"empty caption", "no caption"}
    # one path of several photos means none of them
    assert dataset.examples[0].name == "data/train-00000-of-00002/00000000-same.jpg"


def test_parquet_without_paths_of_photos(tmp_path: Path) -> None:
    content = (b"\xff\xd8\xff one", b"\x89PNG two", b"RIFF\0\0\0\0WEBP", b"what is this?")
    table = {"image": list(content), "caption": ["a", "b", "c", "d"], "split": ["dev"] * 4}
    pq.write_table(pa.table(table), tmp_path / "data.parquet")
    dataset = load_dataset(tmp_path / "data.parquet")
    assert [(e.name, e.path.read_bytes()) for e in dataset.examples] == [
        (f"{n:08}{suffix}", content[n]) for n, suffix in enumerate((".jpg", ".png", ".webp"))
    ]
    (problem,) = dataset.problems
    assert problem.kind == "missing image"


def test_names_in_parquet_that_equal_made_ones(tmp_path: Path) -> None:
    paths = ["a.jpg", "a.jpg", "00000000-a.jpg", None, "00000003.jpg", "B.jpg", "b.jpg", "8.png"]
    table = hub_table({"caption": [f"no {n}" for n in range(9)]}, [*paths, None])
    photos = [{"bytes": b"\xff\xd8\xff %d" % n, "path": p} for n, p in enumerate([*paths, None])]
    photos[-1]["bytes"] = None  # whose number is the name of another one
    table = table.set_column(0, "image", pa.array(photos, table.schema.field("image").type))
    pq.write_table(table, tmp_path / "data.parquet")
    dataset = load_dataset(tmp_path / "data.parquet")
    assert {e.captions[0]: e.path.read_bytes() for e in dataset.examples} == {
        f"no {n}": b"\xff\xd8\xff %d" % n for n in range(8)
    }
    assert [e.name for e in dataset.examples] == [
        *("00000000-a-2.jpg", "00000001-a.jpg", "00000000-a.jpg", "00000003-2.jpg"),
        *("00000003.jpg", "00000005-B.jpg", "00000006-b.jpg", "8.png"),
    ]
    assert [problem.kind for problem in dataset.problems] == ["missing image"]


@given(st.lists(st.sampled_from(["a.jpg", "A.jpg", "a-2.jpg", "a-2-2.jpg", "b", "x/a.jpg"])))
def test_unique_names_differ_in_any_case(wanted: list[str]) -> None:
    names = UniqueNames(["b"])
    got = [names.of(name) for name in wanted]
    assert len({name.casefold() for name in [*got, "b"]}) == len(got) + 1
    assert [name for name in got if name == "x/a.jpg"] == ["x/a.jpg"] * ("x/a.jpg" in wanted)


def test_many_equal_names_take_no_longer_each() -> None:
    names = UniqueNames()
    got = [names.of("a.jpg") for _ in range(30_000)]  # minutes, if each looked from the start
    assert got[:2] + got[-1:] == ["a.jpg", "a-2.jpg", "a-30000.jpg"]


def test_parquet_of_paths(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"photo")
    table = {"file_name": ["a.jpg", "b.jpg"], "caption": ["a dog", "a cat"], "split": ["val", None]}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    dataset = load_dataset(tmp_path / "table.parquet")
    assert found(dataset) == {"a.jpg": ("dev", ("a dog",))}
    assert dataset.missing == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"image": ["a.jpg"], "label": [3]}, r"no column with captions \(found: image \(string\)"),
        ({"text": ["x"]}, "no column with pictures or their paths"),
        ({"image": ["a.jpg"], "caption": [3]}, "row 1: a caption must be text"),
        (None, "not a Parquet file, or damaged"),
        (b"PAR1" + bytes(100), "not a Parquet file, or damaged"),
    ],
)
def test_parquet_that_is_refused(table: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    if isinstance(table, dict):
        pq.write_table(pa.table(table), path)
    else:
        path.write_bytes(table or b"nothing")
    for read in (load_dataset, lambda path: read_references([path])):
        with pytest.raises(DataError, match=message) as refused:
            read(path)
        assert str(path) in str(refused.value)


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": ["a.jpg"], "caption": ["x"]}), path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'negah\[parquet\]'"):
        load_dataset(path)


def test_a_parquet_that_promises_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from negah.data.formats import parquet

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": ["a.jpg"] * 9, "caption": ["x"] * 9}), path)
    monkeypatch.setattr(parquet, "MAX_ROWS", 8)
    with pytest.raises(DataError, match="9 rows; at most 8"):
        load_dataset(path)


# Written and read again


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("table", "new.csv"),
        ("table", "new.jsonl"),
        ("imagefolder", "new"),
        ("webdataset", "new.tar"),
        ("parquet", "new.parquet"),
    ],
)
def test_what_is_converted_reads_the_same(
    name: str, output: str, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / output
    command = ["data", "convert", str(shapes), "--to", name, "--output", str(new)]
    assert run(command) == 0
    (said,) = re.findall(r"^written: .*$", capsys.readouterr().err, re.M)
    assert said.startswith(f"written: {new}")
    images = said.partition("--images ")[2].removesuffix(")") or None
    arguments = [str(new), *(["--images", images] if images else [])]
    assert run(["data", "inspect", *arguments, "--open"]) == 0
    out, err = capsys.readouterr()
    assert "train: 12 images, 24 captions" in out
    assert ("unpacking its pictures into" in err) == (name in ("webdataset", "parquet"))
    before = load_dataset(shapes)
    after = load_dataset(new, images=images)
    assert after.problems == ()

    def content(dataset: Dataset) -> dict[bytes, tuple[str, tuple[str, ...]]]:
        return {e.path.read_bytes(): (e.split, e.captions) for e in dataset.examples}

    assert content(after) == content(before)
    names = {Path(e.name).name for e in after.examples}
    assert names == {Path(e.name).name for e in before.examples}
    assert run(command) == 2
    assert "choose another name" in capsys.readouterr().err
    hypotheses = tmp_path / "hypotheses.csv"
    rows = "".join(f"{example.name},{example.captions[0]}\n" for example in before.examples)
    hypotheses.write_text("image,caption\n" + rows)
    scored = ["score", str(hypotheses), "--refs", str(new), "--metrics", "bleu-4"]
    assert run([*scored, "--resamples", "10"]) == 0
    assert "20" in capsys.readouterr().out


def test_names_and_spans_survive(tmp_path: Path) -> None:
    """Dots in names, equal names in folders, and two spans of one clip."""
    for name in ("x/day.one.mp4", "y/day.one.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "t.csv"
    table.write_text(
        "clip,caption,start,end\nx/day.one.mp4,a,0,1.5\nx/day.one.mp4,b,2,3\ny/day.one.mp4,c,,\n"
    )
    examples = load_dataset(table).examples
    outputs = {"table": "o.csv", "imagefolder": "o", "webdataset": "o.tar", "parquet": "o.parquet"}
    for name, output in outputs.items():
        form = FORMATS.get(name)
        assert isinstance(form, WritableFormat)
        images = form.write(examples, tmp_path / output)
        again = load_dataset(tmp_path / output, images=images)
        assert [(e.captions, e.span, e.path.read_bytes()) for e in again.examples] == [
            (e.captions, e.span, e.path.read_bytes()) for e in examples
        ]


def test_what_cannot_be_written(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--to", "coco", "--output", "x.json"], "Known: imagefolder, parquet, table, webdataset"),
        (["--to", "webdataset", "--output", "x.zip"], "a file that ends in .tar"),
        (["--to", "table", "--output", str(shapes / "captions.csv")], "which this run reads"),
        (["--to", "imagefolder", "--output", str(shapes)], "a folder that this run reads"),
        (["--to", "imagefolder", "--output", str(shapes.parent)], "exists: choose another name"),
    ):
        assert run(["data", "convert", str(shapes), *arguments]) == 2
        assert message in capsys.readouterr().err


# Of other packages


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package with a format of docs/extending.md, installed as pip does."""
    site = tmp_path / "site"
    source = REPOSITORY / "examples" / "extending" / "format" / "negah_pipes.py"
    points = "[negah.formats]\ncaptions = negah_pipes:PIPES\nbroken = negah_nowhere:X\n"
    install(site, "negah-captions", points, negah_pipes=source.read_text())
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(finding, "reported", set())
    with FORMATS.temporary():
        yield site


def test_a_format_of_another_package(
    plugin: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"photo")
    (folder / "mine.captions").write_text("a.jpg | a dog\na.jpg | the dog\n")
    source = locate(folder)
    assert identify(source, by_line=False) is FORMATS.get("captions")
    assert captions(load_dataset(folder)) == {"a": ("a dog", "the dog")}
    assert run(["data", "inspect", str(folder), "--dev-fraction", "0"]) == 0
    assert "train: 1 images, 2 captions" in capsys.readouterr().out
    broken = "the data format 'broken' of package negah-captions cannot be imported"
    assert caplog.text.count(broken) == 1
    (tmp_path / "said.csv").write_text("image,caption\na.jpg,a dog\n")
    references = str(folder / "mine.captions")
    arguments = [str(tmp_path / "said.csv"), "--refs", references, "--resamples", "10"]
    assert run(["score", *arguments, "--metrics", "bleu-4"]) == 0
    with pytest.raises(UnknownNameError, match="captions"):
        load_dataset(folder, format="capitons")
    with pytest.raises(UsageError, match="fix or remove that package"):
        load_dataset(folder, format="broken")


@pytest.mark.usefixtures("plugin")
def test_a_broken_package_stops_no_conversion(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def convert(to: str) -> tuple[int, str]:
        arguments = [str(shapes), "--to", to, "--output", str(tmp_path / "new.csv")]
        return run(["data", "convert", *arguments]), capsys.readouterr().err

    assert convert("table")[0] == 0
    code, err = convert("tabel")
    assert (code, "Did you mean 'table'?" in err) == (2, True)
    code, err = convert("captions")
    assert (code, "Known: imagefolder, parquet, table, webdataset" in err) == (2, True)
    code, err = convert("broken")
    assert (code, "fix or remove that package" in err) == (2, True)


def test_what_is_read_beside_captions_is_protected() -> None:
    """The list stands in the command line, where importing all formats would take 0.3 s."""
    assert sorted(READS_CAPTIONS.beside) == sorted(own_files(beside=True))


def test_bytes_that_no_format_claims(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(100))
    with pytest.raises(DataError, match="not a data set"):
        load_dataset(path)
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(bytes(100)))
    assert Source([packed]).is_binary
