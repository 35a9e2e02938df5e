"""``negah caption --output`` as a job: whatever ends it, what is done stays done, and once."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common import PATIENCE, REPOSITORY
from negah.cli.main import run
from negah.cli.progress import FileProgressBar, Tally
from negah.errors import CheckpointError, MediaError
from negah.jobs.job import JobSettings, open_job
from negah.jobs.journal import Entry, Journal, Status
from negah.locks import exclusive
from negah.media.path_list import PathList
from tiny_clips import make_clip
from tiny_photos import make_photos

NAMES = [f"p{number:02}.png" for number in range(14)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, NAMES)
    (folder / "p05.jpg").write_text("no photo")
    return folder


@pytest.fixture
def album(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(photos, tmp_path / "album")
    monkeypatch.chdir(tmp_path)
    return Path("album")


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Negah = Callable[..., Outcome]


@pytest.fixture
def negah(tiny_bundle: Path, album: Path, capsys: pytest.CaptureFixture[str]) -> Negah:
    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run(["caption", *map(str, arguments), *_quick(tiny_bundle)])
        return Outcome(code, *capsys.readouterr())

    return call


def _quick(bundle: Path) -> list[str]:
    words = ("--max-length", "4")  # made-up models find no end
    return ["--model", str(bundle), "--threads", "1", "--batch-size", "4", *words]


def journal(output: str = "out") -> Path:
    return Path(f"{output}.job/journal")


def summary(output: str = "out") -> dict:
    return json.loads(Path(f"{output}.job/summary.json").read_text())


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond this size, in bytes: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "text", "--n-best", "2"],
        ["-f", "csv", "--n-best", "2"],
        ["-f", "json"],
        ["-f", "jsonl", "--decoding", "method=sample"],
        ["-f", "html"],
    ],
    ids=lambda options: options[1],
)
def test_the_output_is_that_of_a_run_without_a_break(negah: Negah, options: list[str]) -> None:
    expected = negah("album", *options).out
    assert negah("album", *options, "-o", "whole").code == 1  # p05.jpg
    assert Path("whole").read_text() == expected
    full = journal("whole").read_bytes()
    for length in (_ends(full)[1], len(full) - 1):
        Path("out.job").mkdir(exist_ok=True)
        journal().write_bytes(full[:length])
        done = negah("album", *options, "-o", "out")
        assert done.code == 1
        assert "done before" in done.err
        assert "going on" in done.err
        assert Path("out").read_text() == expected
    assert sorted(path.name for path in Path().iterdir() if path.suffix == ".tmp") == []


class TestGoingOn:
    def test_takes_what_is_new_or_has_changed(self, negah: Negah, album: Path) -> None:
        assert negah("album", "-o", "out").code == 1
        assert "none is left" in negah("album", "-o", "out").err
        make_photos(album, ["a.png"], first=50)
        make_photos(album, ["p03.png"], first=60)
        (album / "p07.png").unlink()
        done = negah("album", "-o", "out")
        assert "12 done before, 1 failed, going on" in done.err
        assert "not in the output: 1 captions" in done.err
        assert "captioned 2, skipped 12, failed 0, failed before 1" in done.err
        assert Path("out").read_text() == negah("album").out
        os.utime(album / "p01.png", ns=(1, 1))  # nobody has hashed it: it may have changed
        assert "captioned 1, skipped 13, failed 0" in negah("album", "-o", "out").err

    def test_retries_what_failed_alone(self, negah: Negah, album: Path) -> None:
        done = negah("album", "-o", "out")
        assert (done.code, summary()["failed"]) == (1, 1)
        assert summary()["failures"] == [
            {"path": "album/p05.jpg", "reason": "is not an image (looks like text)"}
        ]
        done = negah("album", "-o", "out", "--retry-failed")
        assert (done.code, "captioned 0, skipped 14, failed 1\n" in done.err) == (1, True)
        make_photos(album, ["new.png"], first=70)
        stat = (album / "p05.jpg").stat()
        Image.new("RGB", (8, 8)).save(album / "p05.jpg")
        os.utime(album / "p05.jpg", ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.truncate(album / "p05.jpg", max(stat.st_size, (album / "p05.jpg").stat().st_size))
        before = Path("out").read_text()
        done = negah("album", "-o", "out", "--retry-failed")
        assert "not done yet, so there is no output: leave out --retry-failed" in done.err
        assert Path("out").read_text() == before
        assert negah("album", "-o", "out").code == 0
        assert Path("out").read_text() == negah("album").out
        assert (summary()["done"], summary()["failed"], summary()["complete"]) == (16, 0, True)

    def test_refuses_what_would_write_other_rows(self, negah: Negah, tiny_bundle: Path) -> None:
        negah("album", "-o", "out", "-f", "csv")
        before = Path("out").read_bytes(), journal().read_bytes()
        done = negah("album", "-o", "out", "-f", "csv", "--beam", "2", "--max-pixels", "100000")
        assert done.code == 2
        assert (
            "the job of out was started with other settings (--max-pixels 120000000, now 100000; "
            "beam of photos 3, now 2): start over with --restart, or choose another --output"
            in done.err
        )
        assert "--format csv, now jsonl" in negah("album", "-o", "out", "-f", "jsonl").err
        assert run(["caption", "album", "-o", "out", "-f", "csv"]) == 2  # by the bundled model
        assert (Path("out").read_bytes(), journal().read_bytes()) == before
        done = negah("album", "-o", "out", "-f", "csv", "--beam", "2", "--restart")
        assert "captioned 14, skipped 0, failed 1\n" in done.err
        assert Path("out").read_text() == negah("album", "-f", "csv", "--beam", "2").out

    def test_is_told_in_the_summary(self, negah: Negah, album: Path) -> None:
        (album / "raw.cr2").write_bytes(b"raw")
        negah("album", "-o", "out")
        first = summary()
        assert (first["files"], first["done"], first["failed"], first["not_done"]) == (15, 14, 1, 0)
        assert (first["left_out"], first["complete"]) == ({".cr2": 1}, True)
        rate = first["this_run"]["photos_per_second"]
        assert rate == pytest.approx(15 / first["seconds"], rel=0.05)
        assert first["job"]["photos"]["model"] == "tiny cam-rnn"
        negah("album", "-o", "out")
        again = summary()
        assert again["seconds"] == first["seconds"]
        assert again["this_run"]["files"] == 0

    def test_may_bring_the_first_clip(self, negah: Negah, album: Path) -> None:
        negah("album/p0*.png", "-o", "out.jsonl")
        make_clip([np.full((24, 32, 3), 90, np.uint8)] * 10, path=album / "p0.mp4")
        done = negah("album/p0*", "-o", "out.jsonl")
        assert "10 done before, going on" in done.err
        assert Path("out.jsonl").read_text() == negah("album/p0*", "-f", "jsonl").out
        done = negah("album/p0*", "-o", "out.jsonl", "--frames", "2")
        assert "frames of clips none, now 2" in done.err
        assert negah("album/p0*.png", "-o", "out.jsonl").code == 0

    def test_another_version_is_another_job(
        self, negah: Negah, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        negah("album", "-o", "out")
        monkeypatch.setattr("negah.jobs.identity.__version__", "99.0")
        assert "version of Negah 0.1.0, now 99.0" in negah("album", "-o", "out").err

    def test_one_process_at_a_time(self, negah: Negah) -> None:
        negah("album", "-o", "out")
        with exclusive(Path("out.job/lock"), "testing"):
            done = negah("album", "-o", "out")
        assert done.code == 1
        assert f"another process (pid {os.getpid()}) is already captioning into out" in done.err

    def test_an_output_of_somebody_else_is_not_replaced(
        self, negah: Negah, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from negah.jobs.job import Job

        flush = Job.flush

        def write_by_hand(self: Job) -> None:
            Path("out").write_text("by hand")
            flush(self)

        monkeypatch.setattr(Job, "flush", write_by_hand)
        done = negah("album", "-o", "out")
        assert "cannot write to out: something has appeared there meanwhile" in done.err
        assert (done.code, Path("out").read_text()) == (1, "by hand")


@pytest.mark.parametrize("room", [900, 3000])
def test_a_full_disk_loses_nothing(negah: Negah, room: int) -> None:
    expected = negah("album", "-f", "jsonl").out
    with at_most(room):
        done = negah("album", "-f", "jsonl", "-o", "out")
    assert (done.code, Path("out").exists()) == (1, False)
    assert "negah: cannot write to" in done.err
    assert "File too large" in done.err
    assert "what was captioned is kept, and the same command goes on" in done.err
    with at_most(len(expected) - 1):  # room for some rows, and not for the output
        assert negah("album", "-f", "jsonl", "-o", "out").code == 1
    assert not Path("out").exists()
    assert negah("album", "-f", "jsonl", "-o", "out").code == 1
    assert Path("out").read_text() == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_ended_goes_on(
    negah: Negah, tiny_bundle: Path, album: Path, number: signal.Signals
) -> None:
    make_photos(album, [f"q{place:02}.png" for place in range(50)], first=100)
    command = ["caption", "album", "-f", "csv", "-o", "out", *_quick(tiny_bundle)]
    end_process(command, number, journal(), batches=3)
    assert not Path("out").exists()
    done = negah("album", "-f", "csv", "-o", "out")
    assert "going on" in done.err
    assert Path("out").read_text() == negah("album", "-f", "csv").out
    assert entries_once(journal())


def end_process(
    command: list[str], number: signal.Signals, journal: Path, batches: int
) -> int | None:
    """End a run when its journal has so many batches; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "negah", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"batch ") > batches:
            process.send_signal(number)
            break
        time.sleep(0.005)
    _, told = process.communicate(timeout=PATIENCE)
    if number == signal.SIGTERM:
        assert process.returncode == 130, told
        assert b"what was captioned is kept, and the same command goes on" in told
    return process.returncode


def entries_once(path: Path) -> bool:
    """Whether no file was captioned twice."""
    opened = Journal(path)
    paths = [entry.path for _, entry in opened.scan()]
    opened.close()
    return len(paths) == len(set(paths))


class TestEqualContent:
    @pytest.fixture(autouse=True)
    def _copies(self, album: Path) -> None:
        for name in ("a.png", "z.png"):
            shutil.copy(album / "p03.png", album / name)
        shutil.copy(album / "p05.jpg", album / "z.jpg")

    @pytest.mark.parametrize("form", ["text", "csv", "json"])
    def test_is_captioned_once(self, negah: Negah, form: str) -> None:
        done = negah("album", "-f", form, "-o", "out", "--dedupe", "--n-best", "2")
        assert "captioned 16, skipped 0, failed 2\n" in done.err
        told = summary()
        assert (told["same_as_another"], told["this_run"]["files"]) == (3, 15)
        text = Path("out").read_text()
        plain = negah("album", "-f", form, "--n-best", "2").out
        if form == "text":
            assert text == plain
        elif form == "csv":
            rows = list(csv.DictReader(text.splitlines()))
            assert {row["path"]: row["same_as"] for row in rows if row["same_as"]} == {
                "album/p03.png": "album/a.png",
                "album/z.png": "album/a.png",
            }
            for row in rows:
                del row["same_as"]
            assert rows == list(csv.DictReader(plain.splitlines()))
        elif form == "json":
            rows = json.loads(text)
            assert [row.pop("same_as", None) for row in rows].count("album/a.png") == 2
            assert rows == json.loads(plain)
        again = Path("out").read_bytes()
        full = journal().read_bytes()
        for length in (_ends(full)[0], _ends(full)[2] + 100):
            journal().write_bytes(full[:length])
            negah("album", "-f", form, "-o", "out", "--dedupe", "--n-best", "2")
            assert Path("out").read_bytes() == again

    def test_that_comes_later_is_not_captioned_again(self, negah: Negah, album: Path) -> None:
        negah("album", "-o", "out", "--dedupe")
        shutil.copy(album / "p09.png", album / "later.png")
        os.utime(album / "p01.png", ns=(1, 1))  # hashed: it is known not to have changed
        done = negah("album", "-o", "out", "--dedupe")
        assert "captioned 1, skipped 16, failed 0, failed before 2" in done.err
        assert summary()["this_run"]["files"] == 0
        assert "album/later.png: " in Path("out").read_text()


def test_rows_tell_where_they_come_from(negah: Negah, album: Path) -> None:
    import hashlib

    options = ("--provenance", "--no-evidence", "--beam", "2")
    negah("album", "-o", "out", "-f", "jsonl", *options)
    row = json.loads(Path("out").read_text().splitlines()[0])
    told = row["provenance"]
    assert told["sha256"] == hashlib.sha256((album / "p00.png").read_bytes()).hexdigest()
    assert (told["model"], told["negah"]) == ("tiny cam-rnn", "0.1.0")
    assert len(told["model_sha256"]) == 64
    assert told["options"]["decoding"]["beam"] == 2
    assert told["time"].endswith("+00:00")
    negah("album", "-o", "out.csv", "--provenance")
    row = next(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert row["sha256"] == told["sha256"]
    assert json.loads(row["options"])["decoding"]["beam"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--restart"], "--restart is about captions of many files in one: name it with --output"),
        (["--dedupe", "-o", "/dev/stdout"], "--dedupe is about captions of many files in one"),
        (["--provenance", "-o", "x"], "text has no room for --provenance: use --format jsonl"),
        (["--restart", "--retry-failed", "-o", "x"], "leave out --retry-failed"),
        (["--dedupe", "-f", "html", "-o", "x"], "--dedupe is not for pages"),
        (["-o", "busy"], "the job busy.job"),
    ],
)
def test_wrong_usage(negah: Negah, arguments: list[str], message: str) -> None:
    Path("busy.job").write_text("")
    done = negah("album", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_one_file_named_by_itself_is_no_job(negah: Negah) -> None:
    assert negah("album/p00.png", "-o", "out").code == 0
    assert not Path("out.job").exists()
    assert negah("album/p00.png", "-o", "out", "-f", "jsonl", "--provenance").code == 0
    assert summary()["done"] == 1


def test_names_that_are_no_text_come_back(negah: Negah, album: Path) -> None:
    name = os.fsdecode(b"\xe9, \xff.png")
    try:
        shutil.copy(album / "p00.png", album / name)
    except OSError:
        pytest.skip("this file system takes text alone")
    negah("album", "-f", "csv", "-o", "out")
    whole = Path("out").read_bytes()
    assert b'"album/\xe9, \xff.png",' in whole
    assert "captioned 0, skipped 15, failed 0" in negah("album", "-f", "csv", "-o", "out").err
    assert Path("out").read_bytes() == whole


def test_what_is_told_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 30.0, 60.0, 90.0])
    monkeypatch.setattr("negah.cli.progress.time.monotonic", lambda: next(now))
    bar = FileProgressBar(None, 12_000, done=5_000, logged=True)
    for _ in range(3):
        bar.advance()
    tally = Tally(total=12_000)
    tally.limit(2)
    for number in range(5):
        tally.failures.append(MediaError(f"{number}.jpg", "is no photo"))
    tally.report()
    assert capsys.readouterr().err.splitlines() == [
        "5,002 of 12,000, 0.0 files/s, 58:19:00 left",
        "failed: 0.jpg: is no photo",
        "failed: 1.jpg: is no photo",
        "failed: 3 more",
        "captioned 0, skipped 0, failed 5",
    ]


#: In a process of its own: what else this one does would be counted, too.
MANY_ROWS = """
import sys, tracemalloc
from pathlib import Path
from negah.jobs.job import JobSettings, open_job
from negah.jobs.journal import Status
from negah.media.path_list import PathList

place = Path(sys.argv[1])
files = PathList(place / f"{number}.jpg" for number in range(1000))
with open_job(place / "job", files, {}, JobSettings(), place / "out") as job:
    tracemalloc.start()
    for path in job.pending():
        job.record(path, Status.DONE, b"row\\n" * 250)
    job.flush()
    for entry, rows in job.entries():
        assert (len(rows), entry.status) == (1000, Status.DONE)
    print(tracemalloc.get_traced_memory()[1], len(files))
"""


def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    """What is held for a file that is done is 9 bytes, besides the list of paths."""
    done = subprocess.run(
        [sys.executable, "-c", MANY_ROWS, str(tmp_path)],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    held, files = map(int, done.stdout.split())
    assert held < 9 * files + 200_000  # a batch, and buffers
    paths = PathList(tmp_path / f"{number}.jpg" for number in range(files))
    with open_job(tmp_path / "job", paths, {}, JobSettings(), tmp_path / "out") as job:
        assert job.before == 1000


class TestJournal:
    @pytest.fixture
    def written(self, tmp_path: Path) -> Path:
        """A journal of facts, three batches of one entry, and one of two."""
        path = tmp_path / "journal"
        opened = Journal(path)
        assert list(opened.scan()) == []
        opened.describe({"beam": 3})
        for batch in (["a"], ["b"], ["c"], ["d", "e"]):
            rows = [
                (Entry(f"{name}.jpg", 1, 2, Status.DONE, 0.5), name.encode() * 9) for name in batch
            ]
            places = opened.append(rows)
            assert [opened.read(place) for place in places] == rows
        opened.close()
        return path

    def names(self, path: Path) -> str:
        opened = Journal(path)
        try:
            found = [(entry.path[0], opened.read(place)[1]) for place, entry in opened.scan()]
            assert all(rows == name.encode() * 9 for name, rows in found)
            return "".join(name for name, _ in found)
        finally:
            opened.close()

    def test_that_ends_anywhere_gives_whole_batches(self, written: Path) -> None:
        whole = written.read_bytes()
        ends = {len(whole[:at]): n for n, at in enumerate(_ends(whole))}
        expected, batches = "", ["", "a", "b", "c", "de"]
        for length in range(1, len(whole) + 1):
            if length in ends:
                expected += batches[ends[length]]
            elif length % 5:  # every byte would be a second
                continue
            written.write_bytes(whole[:length])
            assert self.names(written) == expected
            assert written.stat().st_size <= length

    @pytest.mark.parametrize("tail", [b"\0" * 5000, b"batch 9", b"batch 90 0123abcd\n" * 3])
    def test_whose_last_batch_never_reached_the_disk(self, written: Path, tail: bytes) -> None:
        size = written.stat().st_size
        with written.open("ab") as file:
            file.write(tail)
        assert self.names(written) == "abcde"
        assert written.stat().st_size == size

    def test_that_is_damaged_in_the_middle_is_refused(self, written: Path) -> None:
        whole = written.read_bytes()
        last = _ends(whole)[-2]
        for place in range(0, last, 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1
            written.write_bytes(damaged)
            with pytest.raises(CheckpointError, match="start over with --restart"):
                self.names(written)
            assert written.read_bytes() == damaged

    @pytest.mark.parametrize(
        "line",
        [
            b"[]",
            b"{}",
            b"[" * 100_000,
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":1e9}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":99999999}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":-1}',
            b'{"path":"x","size":true,"mtime_ns":1,"status":"done","bytes":0}',
            b'{"path":"x","size":1,"mtime_ns":1e999,"status":"done","bytes":0}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":["done"],"bytes":0}',
            b'{"path":"","size":1,"mtime_ns":1,"status":"done","bytes":0}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":0,"other":1}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":0,"seconds":NaN}',
            b'{"path":"x","size":1,"mtime_ns":1,"status":"done","bytes":0,"sha256":"z"}',
            b'{"negah_journal":2,"facts":{}}',
            b"\x80\x04\x95pickled",
        ],
        ids=lambda line: line[:80].decode("ascii", "replace"),
    )
    def test_that_is_hostile_is_refused(self, written: Path, line: bytes) -> None:
        body = line + b"\n"
        with written.open("ab") as file:
            file.write(b"batch %d %08x\n" % (len(body), zlib.crc32(body)) + body)
        with pytest.raises(CheckpointError, match="start over with --restart"):
            self.names(written)

    def test_in_the_place_of_something_else(self, tmp_path: Path, written: Path) -> None:
        (tmp_path / "notes").write_text("to be kept")
        with pytest.raises(CheckpointError, match="is no journal of a job"):
            self.names(tmp_path / "notes")
        assert (tmp_path / "notes").read_text() == "to be kept"
        (tmp_path / "link").symlink_to("journal")
        os.mkfifo(tmp_path / "pipe")
        for name in ("link", "pipe"):
            with pytest.raises(CheckpointError, match="is a link or no file"):
                self.names(tmp_path / name)


def _ends(whole: bytes) -> list[int]:
    """Where the batches of a journal end."""
    ends, place = [], 0
    while place < len(whole):
        head = whole.index(b"\n", place)
        place = head + 1 + int(whole[place:head].split()[1])
        ends.append(place)
    return ends


def test_a_damaged_job_is_refused_with_advice(negah: Negah) -> None:
    negah("album", "-o", "out")
    damaged = bytearray(journal().read_bytes())
    damaged[len(damaged) // 2] ^= 1
    journal().write_bytes(damaged)
    done = negah("album", "-o", "out")
    assert done.code == 1
    assert "is damaged between byte" in done.err
    assert negah("album", "-o", "out", "--restart").code == 1
    assert Path("out").read_text() == negah("album").out


PAGE = REPOSITORY / "docs" / "jobs.md"


def test_the_commands_of_the_page(
    album: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album.rename("archive")
    for path in sorted(Path("archive").iterdir())[3:]:
        path.unlink()
    for path in Path("archive").iterdir():
        path.rename(path.with_suffix(".jpg"))
    shell, _, ours = (
        PAGE.read_text().partition("```sh\nfind")[2].partition("```")[0].partition("\n")
    )
    subprocess.run(["sh", "-c", f"find{shell}"], check=True)
    commands = [line for line in PAGE.read_text().splitlines() if line.startswith("negah ")]
    assert set(ours.splitlines()) <= set(commands)
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        if "<" in words:
            monkeypatch.setattr("sys.stdin", io.StringIO(Path(words.pop()).read_text()))
            words.remove("<")
        assert run([*words, *_quick(tiny_bundle)]) == 0, command
    parts = [Path(name).read_text().splitlines() for name in ("one.jsonl", "two.jsonl")]
    assert [*parts[0], *parts[1]] == Path("captions.jsonl").read_text().splitlines()


def test_the_tables_of_the_page_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    from archive import MACHINES, Inputs, rates, renewed, report

    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page, "\n".join(report(Inputs())) + "\n"), (
        "run: python benchmarks/archive.py --renew docs/jobs.md"
    )
    quicker = Inputs(photos_per_second=2 * Inputs().photos_per_second)
    for machine in MACHINES:
        (now, carried), (then, same) = (
            rates(machine, one, large=False) for one in (Inputs(), quicker)
        )
        assert (then, same) == (pytest.approx(2 * now), carried)
    rate = f"{Inputs().photos_per_second:g}"
    measured = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")
    assert rate in measured, f"{rate} photos/s is no longer what docs/performance.md says"
