"""``negah caption --shards``: shards of every kind in, whole files out, whatever happens."""

from __future__ import annotations

import inspect
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

import negah
from common import PATIENCE
from negah.cli.caption import caption as caption_command
from negah.cli.explain import explain as explain_command
from negah.cli.main import run
from negah.cli.shards import REACHES_SHARDS
from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.jobs.claims import Claims
from negah.jobs.engine import RayCaptioner, ShardActor
from negah.jobs.folders import LocalFolder, open_folder
from negah.jobs.inputs import Shard, find_shards
from negah.jobs.shards import ShardJob
from negah.jobs.share import Share, parse_share
from negah.jobs.sharing import SharedJob
from negah.jobs.sinks import SINKS, Row, ShardWriter
from negah.json_layout import to_json
from negah.runtime import CaptionerSpec, OnnxBackend, RuntimeOptions
from tiny_shards import jpeg, write_parquet, write_tar, write_tars


class Outcome:
    def __init__(self, code: int, err: str) -> None:
        self.code, self.err = code, err


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tars")
    write_tars(folder)
    return folder


@pytest.fixture
def caption(tiny_bundle: Path, tmp_path: Path, monkeypatch, capsys):
    """The command, in a folder of its own for each test."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run(["caption", *map(str, arguments), "--model", str(tiny_bundle), "--threads", "1"])
        return Outcome(code, capsys.readouterr().err)

    return call


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def status(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def outputs_of(folder: Path, suffix: str = ".jsonl") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob(f"*{suffix}"))}


@pytest.fixture(scope="module")
def expected(tars: Path, tiny_bundle: Path) -> dict[str, str]:
    """The captions of all photos of the tars, each captioned by itself."""
    captioner = negah.load(str(tiny_bundle), threads=1)
    found = {}
    for path in sorted(tars.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".jpg"):
                    content = archive.extractfile(member)
                    assert content is not None
                    found[member.name] = captioner.caption(content.read()).text
    return found


def test_each_tar_gives_a_file_and_a_status(caption, tars: Path, expected) -> None:
    done = caption(f"{tars}/data-{{000..002}}.tar", "--shards", "out")
    assert done.code == 0, done.err
    assert done.err.startswith("shards: 3 done here, 0 before or elsewhere, 0 failed, of 3; ")
    names = {path.name for path in Path("out").iterdir()}
    assert names == {"job.json"} | {
        f"data-{n:03}{end}" for n in range(3) for end in (".jsonl", ".done.json")
    }
    found = [row for n in range(3) for row in rows(Path(f"out/data-{n:03}.jsonl"))]
    assert {row["path"]: row["caption"] for row in found} == expected
    assert set(found[0]) <= {"path", "caption", "score", "logprob", "confidence"}
    about = status(Path("out/data-001.done.json"))
    assert about["state"] == "done"
    assert about["captions"] == 2
    assert about["bytes"] == Path("out/data-001.jsonl").stat().st_size
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    again = caption(tars, "--shards", "out")  # the folder means the same shards
    assert again.code == 0
    assert "0 done here, 3 before or elsewhere" in again.err
    assert before == {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}


def test_language_and_calibration_reach_the_shards(tars: Path, tmp_path: Path, capsys) -> None:
    arguments = ["caption", str(tars / "data-000.tar"), "--threads", "1"]
    persian = [*arguments, "--shards", str(tmp_path / "fa"), "--language", "fa"]
    assert run(persian) == 0, capsys.readouterr().err
    written = (tmp_path / "fa" / "data-000.jsonl").read_text(encoding="utf-8")
    assert all(
        re.search("[\u0600-\u06ff]", row["caption"])
        for row in map(json.loads, written.splitlines())
    )
    nowhere = ["--shards", str(tmp_path / "other"), "--model", "negah-photo"]
    nowhere += ["--calibration", str(tmp_path)]
    assert run([*arguments, *nowhere]) == 2
    assert "is no calibration" in capsys.readouterr().err


def test_no_option_of_a_captioner_can_be_forgotten(tiny_bundle: Path, tmp_path: Path) -> None:
    """Commands, shards and actors open it by one object, which knows all that there are."""
    fields = set(RuntimeOptions.model_fields)
    caption_options = set(inspect.signature(caption_command).parameters)
    assert fields - caption_options == {"reading_threads"}
    assert fields - set(inspect.signature(explain_command).parameters) == {
        "reading_threads",
        "batch_size",
    }
    assert caption_options > REACHES_SHARDS >= fields - {"reading_threads"}
    assert not fields & set(DecodingOptions.model_fields)  # they are told together
    given = {"threads": 3, "batch_size": 5, "reading_threads": 1, "max_pixels": 9, "language": "en"}
    spec = CaptionerSpec.of(str(tiny_bundle), **given, beam=2)
    assert (dict(spec.decoding), fields - set(given)) == ({"beam": 2}, {"calibration"})
    assert dict(spec.open().options) == {**given, "calibration": None}
    job = pickle.loads(pickle.dumps(ShardJob(output="out", spec=spec.seen_from_anywhere())))
    assert job.open().options == spec.run
    with pytest.raises(UsageError, match="is no calibration"):
        RayCaptioner(str(tiny_bundle), calibration=tmp_path)
    with pytest.raises(UsageError, match="language"):
        RayCaptioner(str(tiny_bundle), language="fa")
    with pytest.raises(UsageError, match="unknown"):
        RayCaptioner(str(tiny_bundle), thread=1)
    with pytest.raises(UsageError, match="a calibration is of one model"):
        negah.explain(jpeg(1), calibration=tmp_path)
    with pytest.raises(UsageError, match="language"):
        negah.explain(jpeg(1), str(tiny_bundle), language="fa")


def test_captions_as_parquet_and_beside_the_photos(caption, tars: Path, expected) -> None:
    import pyarrow.parquet

    assert caption(f"{tars}/data-*.tar", "--shards", "p", "--format", "parquet").code == 0
    table = pyarrow.parquet.read_table("p/data-000.parquet").to_pylist()
    assert {row["path"]: row["caption"] for row in table}.items() <= expected.items()
    assert len(table) == 2
    assert caption(f"{tars}/data-*.tar", "--shards", "t", "-f", "tar", "--evidence").code == 0
    with tarfile.open("t/data-000.tar") as archive, tarfile.open(tars / "data-000.tar") as before:
        members = {one.name: archive.extractfile(one).read() for one in archive}
        assert members["s000.jpg"] == before.extractfile("s000.jpg").read()
    assert list(members) == [f"s00{n}.{end}" for n in range(2) for end in ("jpg", "txt", "json")]
    assert members["s000.txt"].decode() == expected["s000.jpg"]
    row = json.loads(members["s000.json"])
    assert row["original"] == {"txt": "an old text"}
    assert row["words"][0]["text"] == row["caption"].split()[0]


def test_parquet_of_pictures_and_of_paths(caption, tars: Path, expected, tmp_path: Path) -> None:
    with tarfile.open(tars / "data-000.tar") as archive:
        photos = {
            one.name: archive.extractfile(one).read() for one in archive if one.name[-3:] == "jpg"
        }
    write_parquet(
        tmp_path / "held.parquet",
        [{"bytes": content, "path": f"/else/where/{name}"} for name, content in photos.items()]
        + [{"bytes": None, "path": None}],
    )
    (tmp_path / "in").mkdir()
    for name, content in photos.items():
        (tmp_path / "in" / name).write_bytes(content)
    paths = ["s000.jpg", str(tmp_path / "in" / "s001.jpg"), "../held.parquet", "http://x/a.jpg"]
    write_parquet(tmp_path / "in" / "named.parquet", paths, "file_name")
    done = caption("held.parquet", "in/named.parquet", "--shards", "out", "-f", "jsonl")
    assert done.code == 1
    held, named = rows(Path("out/held.jsonl")), rows(Path("out/named.jsonl"))
    assert [(row["path"], row["row"]) for row in held] == [("s000.jpg", 0), ("s001.jpg", 1)]
    assert [row["caption"] for row in held] == [expected["s000.jpg"], expected["s001.jpg"]]
    assert [row["caption"] for row in named] == [row["caption"] for row in held]
    failed = {one["path"]: one["error"] for one in status(Path("out/named.done.json"))["failed"]}
    assert "leads out of the folder" in failed["../held.parquet"]
    assert "http address" in failed["http://x/a.jpg"]
    (none,) = status(Path("out/held.done.json"))["failed"]
    assert none == {"path": "row 2", "row": 2, "error": "neither a picture nor a path"}
    assert caption("held.parquet", "--shards", "tars", "--format", "tar").code == 1
    with tarfile.open("tars/held.tar") as archive:
        assert archive.getnames()[:3] == ["00000000.jpg", "00000000.txt", "00000000.json"]


def test_folders_and_lists_are_divided(caption, tmp_path: Path) -> None:
    (tmp_path / "album" / "deep").mkdir(parents=True)
    for number in range(5):
        folder = tmp_path / "album" / ("deep" if number > 2 else "")
        (folder / f"p{number}.jpg").write_bytes(jpeg(number))
    done = caption("album", "-r", "--shards", "out", "--shard-size", "2")
    assert done.code == 0, done.err
    found = [[row["path"] for row in rows(Path(f"out/part-{n:05}.jsonl"))] for n in range(3)]
    names = ["album/p0.jpg", "album/p1.jpg", "album/p2.jpg"]
    names += ["album/deep/p3.jpg", "album/deep/p4.jpg"]
    assert found == [names[:2], names[2:4], names[4:]]
    (tmp_path / "photos.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    assert caption("photos.txt", "--shards", "listed", "--shard-size", "2").code == 0
    assert outputs_of(Path("listed")) == outputs_of(Path("out"))
    (tmp_path / "album" / "p9.jpg").write_bytes(jpeg(9))
    more = caption("album", "-r", "--shards", "out", "--shard-size", "2")
    assert more.code == 2
    assert "started with other settings (files of the list 5, now 6" in more.err


def test_an_imagefolder_is_captioned_by_its_photos(caption, tmp_path: Path) -> None:
    """Not by the table that stands beside them, and each shard whole with its status."""
    for label in ("cat", "dog"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "0.jpg").write_bytes(jpeg(len(label)))
    write_parquet(tmp_path / "data" / "metadata.parquet", ["cat/0.jpg", "dog/0.jpg"], "file_name")
    (tmp_path / "data" / "metadata.jsonl").write_text('{"file_name": "cat/0.jpg"}\n')
    done = caption("data", "-r", "--shards", "out", "--shard-size", "1", "--retry-failed")
    assert done.code == 0, done.err
    found = [row["path"] for n in range(2) for row in rows(Path(f"out/part-{n:05}.jsonl"))]
    assert found == ["data/cat/0.jpg", "data/dog/0.jpg"]
    assert status(Path("out/part-00001.done.json"))["captions"] == 1


def test_what_is_broken_fails_alone(caption, tmp_path: Path) -> None:
    write_tars(tmp_path)
    cut = (tmp_path / "data-001.tar").read_bytes()
    (tmp_path / "data-001.tar").write_bytes(cut[:1200])
    (tmp_path / "data-004.tar").write_bytes(b"this is no tar file at all" * 100)
    write_tar(tmp_path / "data-005.tar", {"a.jpg": b"\xff\xd8\xff no photo", "b.jpg": jpeg(3)})
    done = caption("data-{000..005}.tar", "--shards", "out")
    assert done.code == 1
    assert "failed: data-001: data-001.tar: truncated or damaged" in done.err
    assert "failed: data-003: data-003.tar: cannot be read: No such file or directory" in done.err
    assert "failed: data-004: data-004.tar: " in done.err
    assert "failed: data-005: a.jpg: " in done.err
    assert "shards: 3 done here, 0 before or elsewhere, 3 failed, of 6" in done.err
    assert set(outputs_of(Path("out"))) == {f"data-{n:03}.jsonl" for n in (0, 2, 5)}
    assert [row["path"] for row in rows(Path("out/data-005.jsonl"))] == ["b.jpg"]
    assert "truncated or damaged" in status(Path("out/data-001.failed.json"))["error"]
    again = caption("data-{000..005}.tar", "--shards", "out")
    assert again.code == 1
    assert "0 done here, 3 before or elsewhere, 3 failed, of 6" in again.err
    write_tars(tmp_path, shards=5)
    write_tar(tmp_path / "data-005.tar", {"a.jpg": jpeg(4), "b.jpg": jpeg(3)})
    mended = caption("data-{000..005}.tar", "--shards", "out", "--retry-failed")
    assert mended.code == 0, mended.err
    assert "4 done here, 2 before or elsewhere, 0 failed, of 6" in mended.err
    assert set(outputs_of(Path("out"))) == {f"data-{n:03}.jsonl" for n in range(6)}
    assert not list(Path("out").glob("*.failed.json"))
    other = caption("data-000.tar", "--shards", "out", "--format", "parquet", "--restart")
    assert other.code == 0, other.err
    assert {path.name for path in Path("out").iterdir()} == {
        *("job.json", "data-000.parquet", "data-000.done.json")
    }


def test_hostile_tars(caption, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "odd.tar", "w") as archive:
        for name, kind, link in (
            ("../out.jpg", tarfile.REGTYPE, ""),
            ("/etc/abs.jpg", tarfile.REGTYPE, ""),
            ("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard.jpg", tarfile.LNKTYPE, "/etc/passwd"),
            ("pipe.jpg", tarfile.FIFOTYPE, ""),
            ("clip.mp4", tarfile.REGTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member)
        member = tarfile.TarInfo("good.jpg")
        member.size = len(jpeg(1))
        archive.addfile(member, io.BytesIO(jpeg(1)))
    huge = tarfile.TarInfo("huge.jpg")
    huge.size = 2**40
    (tmp_path / "huge.tar").write_bytes(huge.tobuf() + b"\0" * 4096)
    bomb = {f"{n}.bin": b"\0" * 2**20 for n in range(80)}
    write_tar(tmp_path / "bomb.tar.gz", {**bomb, "a.jpg": jpeg(1)}, "w:gz")
    done = caption("odd.tar", "huge.tar", "bomb.tar.gz", "--shards", "out", "--format", "tar")
    assert done.code == 1
    about = status(Path("out/odd.done.json"))
    assert about["captions"] == 1
    reasons = {one["path"]: one["error"] for one in about["failed"]}
    assert set(reasons) == {
        *("../out.jpg", "/etc/abs.jpg", "link.jpg", "hard.jpg", "pipe.jpg", "clip.mp4")
    }
    with tarfile.open("out/odd.tar") as archive:
        assert archive.getnames() == ["good.jpg", "good.txt", "good.json"]
    assert "huge.tar" in status(Path("out/huge.failed.json"))["error"]
    assert "unpacks to more than" in status(Path("out/bomb.failed.json"))["error"]


class Tsv:
    """A sink as another package would write it."""

    suffix = ".tsv"
    evidence = False

    @contextmanager
    def open(self, shard: Shard, path: Path) -> Iterator[ShardWriter]:
        with path.open("w", encoding="utf-8") as file:
            yield TsvRows(file)


class TsvRows:
    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: Row) -> None:
        self.file.write(f"{row['path']}\t{row['caption']}\n")


def test_a_format_of_another_package(caption, tars: Path, expected) -> None:
    with SINKS.temporary():
        SINKS.register("tsv", Tsv())
        assert caption(f"{tars}/data-000.tar", "--shards", "out", "--format", "tsv").code == 0
    lines = Path("out/data-000.tsv").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{name}\t{expected[name]}" for name in ("s000.jpg", "s001.jpg")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--shards", "out", "--format", "parquet"],
            "started with other settings (--format jsonl, now parquet)",
        ),
        (["--shards", "out", "--beam", "2"], "started with other settings (beam of photos "),
        (["--shards", "out", "--alt"], "started with other settings (wording "),
        (["--shards", "new", "--format", "csv"], "jsonl, parquet or tar, not csv"),
        (["--shards", "new", "--sidecar"], "leave out --sidecar"),
        (["--shards", "new", "--bom"], "leave out --bom"),
        (["--shards", "new", "-o", "x.jsonl"], "leave out --output"),
        (["--shards", "new", "--mark"], "leave out --mark"),
        (["--shards", "new", "--every", "2"], "leave out --every"),
        (["--shards", "new", "--shard", "3/2"], "share 3 of 2"),
        (["--shards", "new", "--engine", "ray", "--shard", "1/2"], "leave out --shard"),
        (["--shards", "new", "--gpus", "1"], "--gpus is about --engine ray"),
        (["--shards", "new", "-f", "parquet", "--evidence"], "no room for evidence"),
        (["--shards", "-"], "is a device or a pipe: name a folder"),
        (["--shards", "https://example.org/x"], "nothing can be written to https"),
        (["--shard", "1/2"], "add --shards FOLDER"),
        (["--format", "parquet"], "add --shards FOLDER"),
    ],
)
def test_wrong_usage_is_refused(caption, tmp_path: Path, more: list[str], said: str) -> None:
    write_tars(tmp_path, shards=1, photos=1)
    if "out" in more:
        assert caption("data-000.tar", "--shards", "out").code == 0
    done = caption("data-000.tar", *more)
    assert done.code == 2, done.err
    assert said in done.err
    assert not Path("new").exists()


def test_other_tars_of_the_same_name_are_refused(caption, tmp_path: Path) -> None:
    write_tars(tmp_path / "a", shards=1, photos=1)
    write_tars(tmp_path / "b", shards=1, photos=1)
    assert caption("a/data-000.tar", "--shards", "out").code == 0
    assert "has captions of" in caption("b/data-000.tar", "--shards", "out").err
    assert caption("a", "b", "--shards", "both").code == 0
    assert len(outputs_of(Path("both"))) == 2
    refused = caption("a/data-000.tar", "--shards", "a")
    assert refused.code == 2
    assert "a folder that this run reads" in refused.err


@pytest.mark.parametrize(
    ("text", "environment", "share"),
    [
        ("2/3", {}, (2, 3)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5",
                  "SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "4"}, (2, 4)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "0"}, (1, 8)),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "write --shard auto/N"),
        ("auto", {}, "neither SLURM_ARRAY_TASK_ID nor"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "x"}, "is no number"),
        ("0/3", {}, "share 0 of 3"),
        ("2", {}, "a share is I/N"),
        ("two/3", {}, "a share is I/N"),
    ],
)  # fmt: skip
def test_a_share_is_told_or_found(text: str, environment: dict, share) -> None:
    if isinstance(share, str):
        with pytest.raises(UsageError, match=share):
            parse_share(text, environment)
        return
    assert parse_share(text, environment) == Share(*share)


def test_shares_are_everything_once() -> None:
    items = list(range(17))
    parts = [Share(number, 5).of(items) for number in range(1, 6)]
    assert sorted(one for part in parts for one in part) == items


@pytest.mark.parametrize("output", [("--shards", "out"), ("--output", "captions.jsonl")])
def test_a_model_whose_service_fails_is_named(caption, tars: Path, output, monkeypatch) -> None:
    """Its OSError is none of the output, which can be written."""

    def encode(*_: object) -> None:
        raise TimeoutError("the service does not answer")

    given = [tars] if output[0] == "--shards" else [Path("a.jpg"), Path("b.jpg")]
    for path in given[: 2 * (output[0] == "--output")]:
        path.write_bytes(jpeg(1))
    monkeypatch.setattr(OnnxBackend, "encode", encode)
    done = caption(*given, *output)
    assert done.code == 1
    assert "failed: the service does not answer" in done.err
    assert "cannot write" not in done.err


def test_a_share_makes_no_locks(caption, tars: Path, expected, monkeypatch) -> None:
    for index in range(2):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        done = caption(tars, "--shards", "out", "--shard", "auto/2")
        assert done.code == 0, done.err
    found = [row for path in Path("out").glob("*.jsonl") for row in rows(path)]
    assert {row["path"]: row["caption"] for row in found} == expected
    assert len(found) == len(expected)


def test_a_claim_is_one_processes_until_it_lapses(tmp_path: Path) -> None:
    folder = LocalFolder(str(tmp_path / "job"))
    now = 0.0
    mine, others = Claims(folder, lease=0.04), Claims(folder, lease=60, clock=lambda: now)
    with mine.claim("a") as held:
        assert held
        for _ in range(5):  # it beats, so that it does not lapse
            with others.claim("a") as taken:
                assert not taken
            seen = folder.read("a.lock")
            while folder.read("a.lock") == seen:
                time.sleep(0.001)
            now += 61
    with others.claim("a") as taken:
        assert taken
    assert folder.names() == set()
    # of a machine that is gone, nothing changes any more
    folder.create("a.lock", b'{"owner": "x", "host": "gone", "pid": 1, "machine": "m"}')
    with others.claim("a") as taken:
        assert not taken
    now += 59
    with others.claim("a") as taken:
        assert not taken
    now += 2
    with others.claim("a") as taken:
        assert taken
    # a process of this machine that is gone is known at once
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with mine.claim("b"):
        lock = json.loads(folder.read("b.lock") or b"")
    folder.create("b.lock", json.dumps({**lock, "pid": dead.pid}).encode())
    with others.claim("b") as taken:
        assert taken


def command(tiny_bundle: Path, *arguments: str) -> list[str]:
    given = ["--model", str(tiny_bundle), "--threads", "1"]
    return [sys.executable, "-m", "negah", "caption", *arguments, *given]


def its_lock(process: subprocess.Popen) -> Path | None:
    """The lock file of the shard that a process is at."""
    for path in Path("out").glob("*.lock"):
        try:
            if status(path)["pid"] == process.pid:
                return path
        except (FileNotFoundError, ValueError):
            continue
    return None


def stopped_at_a_shard(process: subprocess.Popen) -> None:
    """Stop a process while it has a shard."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if its_lock(process) is not None:
            os.kill(process.pid, signal.SIGSTOP)
            if its_lock(process) is not None:
                return
            os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("its locks were never seen")


def test_a_killed_process_loses_and_repeats_nothing(
    caption, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Two processes at one job; one is killed in the middle of a shard, and the other ends it."""
    write_tars(tmp_path, shards=3, photos=40)
    arguments = ("data-{000..002}.tar", "--shards", "out")
    killed, other = (subprocess.Popen(command(tiny_bundle, *arguments)) for _ in range(2))
    try:
        stopped_at_a_shard(killed)
        killed.kill()
        killed.wait()
        assert other.wait(timeout=PATIENCE) == 0
    finally:
        for process in (killed, other):
            process.kill()
            process.wait()
    assert not list(Path("out").glob("*.lock"))
    assert caption("data-{000..002}.tar", "--shards", "undisturbed").code == 0
    assert outputs_of(Path("out")) == outputs_of(Path("undisturbed"))


def test_two_at_the_same_shard_write_the_same_bytes(
    caption, tars: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """As after a lease that lapsed too early: both write, each in one step."""
    spec = CaptionerSpec.of(str(tiny_bundle), threads=1)
    job = ShardJob(output=str(tmp_path / "out"), spec=spec, format="tar")
    plan = find_shards([str(tars)])
    captioner = job.open()
    works = [SharedJob(job, plan, captioner) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda work=work: list(work.work(plan.shards, alone=True)))
        for work in works
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caption(tars, "--shards", "once", "-f", "tar").code == 0
    assert outputs_of(tmp_path / "out", ".tar") == outputs_of(Path("once"), ".tar")


def test_ctrl_c_gives_the_shard_back(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tars(tmp_path, shards=1, photos=80)
    process = subprocess.Popen(
        command(tiny_bundle, "data-000.tar", "--shards", "out"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        stopped_at_a_shard(process)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said
    assert said.startswith("interrupted: shards: 0 done here")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["job.json"]


def test_a_bucket_in_and_a_bucket_out(caption, tars: Path, expected) -> None:
    fsspec = pytest.importorskip("fsspec", reason="addresses need the remote extra")
    system = fsspec.filesystem("memory")
    for path in tars.glob("*.tar"):
        system.pipe_file(f"/in/{path.name}", path.read_bytes())
    system.pipe_file("/in/list.txt", b"one.jpg\nmissing.jpg\n")
    system.pipe_file("/in/one.jpg", jpeg(0))
    parquet = write_parquet(Path("named.parquet"), ["one.jpg", "/etc/x.jpg"])
    system.pipe_file("/in/named.parquet", parquet.read_bytes())
    done = caption("memory://in/data-*.tar", "--shards", "memory://out", "-f", "jsonl")
    assert done.code == 0, done.err
    folder = open_folder("memory://out")
    assert folder.names() == {"job.json"} | {
        f"data-{n:03}{end}" for n in range(3) for end in (".jsonl", ".done.json")
    }
    found = [
        json.loads(line)
        for n in range(3)
        for line in (folder.read(f"data-{n:03}.jsonl") or b"").splitlines()
    ]
    assert {row["path"]: row["caption"] for row in found} == expected
    again = caption("memory://in/data-{000..002}.tar", "--shards", "memory://out")
    assert again.code == 0
    assert "0 done here, 3 before or elsewhere" in again.err
    done = caption("memory://in/list.txt", "memory://in/named.parquet", "--shards", "local")
    assert done.code == 1
    (row,) = rows(Path("local/part-00000.jsonl"))
    assert row["path"] == "memory://in/one.jpg"
    (row,) = rows(Path("local/named.jsonl"))
    assert row["path"] == "one.jpg"
    (failed,) = status(Path("local/named.done.json"))["failed"]
    assert "leads out of the folder" in failed["error"]
    assert caption("memory://nowhere/", "--shards", "none").code in (1, 2)


def test_tars_of_a_web_server(caption, tars: Path, expected) -> None:
    """One that gives files only from their start, as Python's does."""
    pytest.importorskip("aiohttp", reason="web addresses need the remote extra")
    import functools
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tars))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/data-{{000..003}}.tar"
            done = caption(address, "--shards", "out")
        finally:
            server.shutdown()
    assert done.code == 1
    assert "failed: data-003: " in done.err
    found = [row for path in Path("out").glob("*.jsonl") for row in rows(path)]
    assert {row["path"]: row["caption"] for row in found} == expected


def test_the_actors_of_ray_without_ray(caption, tars: Path, tiny_bundle: Path, expected) -> None:
    """What Ray calls, called as it does; tests/run/test_jobs_ray.py has a cluster do it."""
    with tarfile.open(tars / "data-000.tar") as archive:
        content = archive.extractfile("s000.jpg").read()
    Path("a.jpg").write_bytes(content)
    actor = RayCaptioner(str(tiny_bundle), column="photo")
    cells = [{"bytes": content, "path": None}, content, "a.jpg", b"no photo", None, "b.jpg"]
    batch = {"photo": np.array(cells, dtype=object), "id": np.arange(6)}
    done = actor(batch)
    assert list(done["caption"]) == [expected["s000.jpg"]] * 3 + [None] * 3
    assert [one is None for one in done["error"]] == [True] * 3 + [False] * 3
    assert list(done["id"]) == list(range(6))
    assert np.isnan(done["score"]).tolist() == [False] * 3 + [True] * 3
    with pytest.raises(UsageError, match="no column 'photo' in the data set, which has id"):
        actor({"id": np.arange(2)})
    job = ShardJob(output="out", spec=CaptionerSpec.of(str(tiny_bundle), threads=1))
    shards = find_shards([str(tars)]).shards
    rows_of_ray = {"shard": np.array([to_json(asdict(one)) for one in shards], dtype=object)}
    first, again = (ShardActor(job)(rows_of_ray)["report"] for _ in range(2))
    assert list(first) == list(again)  # what is done already is not done again
    assert [json.loads(one)["captions"] for one in first] == [2, 2, 2]
    assert caption(tars, "--shards", "once").code == 0
    assert outputs_of(Path("out")) == outputs_of(Path("once"))
