"""Standard output and standard error that are full, broken, closed, or of a narrow encoding."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from common import PATIENCE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="redirects streams as a shell does")

NEGAH = f"{shlex.quote(sys.executable)} -m negah"
#: A name in Latin-1 bytes, one that most encodings lack, and a plain one.
NAMES = (b"1 caf\xe9.png", "2 猫.png".encode(), b"3 plain.png")


def shell(command: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", f'negah() {{ {NEGAH} "$@"; }}; {command}'],
        capture_output=True,
        timeout=PATIENCE,
        env={**os.environ, **more},
    )


def ended(code: str) -> tuple[int, bytes, bytes]:
    """How a process of this program ends: its exit code, and what it wrote."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("album")
    for name in NAMES:
        Image.new("RGB", (40, 30), "navy").save(folder / os.fsdecode(name))
    (folder / "model").symlink_to(tiny_bundle)
    return folder


@pytest.fixture(autouse=True)
def _hangups_are_heard() -> Iterator[None]:
    """Also where the tests themselves run under nohup, which children inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("negah --help > /dev/full", 1, b"", b"standard output: No space left on device"),
        ("negah --help >&-", 1, b"", b"standard output: it is closed"),
        ("(negah --help; echo $? >&2) | true", 0, b"", b"1"),
        ("negah --help 2>&- | head -c 6", 0, b"Usage:", b""),
        ("negah caption nowhere.jpg 2>&-", 2, b"", b""),
        ("negah caption nowhere.jpg 2> /dev/full", 2, b"", b""),
        ("negah caption nowhere.jpg >&- 2>&- <&-", 2, b"", b""),
    ],
)
def test_what_fails_is_one_line_and_the_exit_code(
    command: str, code: int, out: bytes, err: bytes
) -> None:
    done = shell(command)
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr.count(b"\n") <= 1 + (b"true" in command.encode())
    assert done.stderr.rstrip().endswith(err)
    assert b"Traceback" not in done.stderr


def test_an_output_on_standard_output_stands_there_alone(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("image,caption\na.jpg,a cat\n")
    command = f"cd {tmp_path}; negah score c.csv --refs c.csv --metrics BLEU-1 --resamples 9"
    done = shell(f"{command} --json -")
    assert json.loads(done.stdout)["scores"]["BLEU-1"]["value"] > 99
    assert b"BLEU-1" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]
    done = shell("negah score - --refs c.csv <&-")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_streams_that_do_not_wait_lose_nothing() -> None:
    """As some programs leave a pipe: what is full is waited for, messages are dropped."""
    code = (
        "import os, sys, threading, time\n"
        "inside, outside = os.pipe(); os.set_blocking(outside, False); os.dup2(outside, 1)\n"
        "os.close(outside); os.dup2(1, 2); found = []\n"
        "def read():\n"
        "    while piece := os.read(inside, 4096): found.append(piece)\n"
        "from negah.cli.streams import say, standard_streams\n"
        "with standard_streams():\n"
        "    thread = threading.Thread(target=read)\n"
        "    threading.Timer(0.2, thread.start).start()\n"
        "    print('x' * 500_000)\n"
        "os.close(1); os.close(2); thread.join()\n"
        "sys.exit(len(b''.join(found)) != 500_001)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE).returncode == 0


def test_a_signal_while_the_command_line_is_imported() -> None:
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        # what a shell runs in the background may have been told to ignore it
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from negah.cli.entry import main\nmain()\n"
    )
    assert ended(code) == (130, b"", b"interrupted\n")


def test_captions_go_nowhere_else_when_standard_error_is_closed(album: Path) -> None:
    done = shell(f"cd {album}; negah caption . --model model --threads 1 -o out.csv -f csv 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len((album / "out.csv").read_bytes().splitlines()) == 4
    (album / "out.csv").unlink()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_no_name_loses_the_rest_of_the_run(album: Path, encoding: str) -> None:
    command = f"cd {album}; negah caption . --model model --threads 1"
    done = shell(command, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 3)
    names = [line.split(b": ")[0] for line in done.stdout.splitlines()]
    cat = NAMES[1] if encoding == "utf-8" else b"2 \\u732b.png"
    assert names == [NAMES[0], cat, NAMES[2]]


def test_json_is_utf8_whatever_the_locale(album: Path) -> None:
    command = f"cd {album}; negah caption . --model model --threads 1 -f jsonl --no-evidence"
    done = shell(command, PYTHONIOENCODING="ascii")
    rows = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert [os.fsencode(row["path"]) for row in rows] == list(NAMES)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_was_done(album: Path, tmp_path: Path, sent: signal.Signals) -> None:
    """Also the one that comes when the terminal is closed; JSON is closed."""
    names = [f"{number:03}.png" for number in range(400)]
    for name in names:
        (tmp_path / name).symlink_to(album / "3 plain.png")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "negah", "caption", ".", "--model", str(album / "model")),
            *("-f", "json", "--batch-size", "1", "--threads", "1"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        # Nobody reads on: the pipe is full long before all photos are done.
        first = process.stdout.readline() + process.stdout.readline()
        process.send_signal(sent)
        rest, err = process.stdout.read(), process.stderr.read()
    rows = json.loads(first + rest)
    assert process.returncode == 130
    assert [row["path"] for row in rows] == names[: len(rows)]
    assert 0 < len(rows) < len(names)
    assert err == f"interrupted: captioned {len(rows)}, skipped 0, failed 0, of {len(names)}\n"


def test_a_handler_says_something_while_something_is_said() -> None:
    code = (
        "import os, signal, sys\nfrom negah.cli.streams import say, standard_streams\n"
        "from negah.interrupt import Interrupt\n"
        "with standard_streams():\n"
        "    raw = sys.stderr.buffer\n    write = type(raw).write\n"
        "    def interrupted(self, data):\n"
        "        if b'first' in bytes(data): os.kill(os.getpid(), signal.SIGINT)\n"
        "        return write(self, data)\n"
        "    type(raw).write = interrupted\n"
        "    with Interrupt(lambda: say('stopping')):\n        say('first')\n"
    )
    exit_code, _, err = ended(code)
    assert (exit_code, sorted(err.split())) == (0, [b"first", b"stopping"])


def test_under_nohup_it_goes_on() -> None:
    code = (
        "import os, signal\nfrom negah.cli.streams import standard_streams\n"
        "from negah.interrupt import Interrupt\n"
        "with standard_streams(), Interrupt() as interrupt:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n    print('asked' if interrupt.asked else 'on')\n"
    )
    for before, expected in (("trap '' HUP; ", b"on\n"), ("", b"asked\n")):
        done = shell(f"{before}{shlex.quote(sys.executable)} -c {shlex.quote(code)}")
        assert (done.stdout, done.stderr) == (expected, b"")


def test_a_signal_before_work_starts_ends_it_with_a_line() -> None:
    code = (
        "import os, signal\nfrom negah.cli.lazy import Command, CommandGroup\n"
        "import negah.cli.main as main\n"
        "def wait():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "import sys; sys.modules['waits'] = sys.modules['__main__']\n"
        "main.COMMANDS = CommandGroup('', {'wait': Command('', 'waits:wait')})\n"
        "sys.exit(main.run(['wait']))\n"
    )
    assert ended(code) == (130, b"", b"interrupted\n")
