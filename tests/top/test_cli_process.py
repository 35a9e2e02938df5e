"""The process of a command: what it loads, its heap, and how it ends."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

#: Modules that only some options of ``negah caption`` need; together a tenth of its start.
ONLY_FOR_OPTIONS = {
    "negah.bundle.writer", "negah.cli.contact_sheet", "negah.cli.output_job",
    "negah.cli.shard_progress", "negah.cli.subtitles", "negah.jobs.job", "negah.media.repair",
    "negah.media.salvage", "negah.metadata.xmp", "negah.runtime.queue", "negah.text.alt",
    "negah.text.people", "av", "torch",
}  # fmt: skip

HEAPS = """
import ctypes, os, tempfile, threading
import numpy
from negah.cli.compute import share_heap
if {wanted}:
    share_heap()
barrier = threading.Barrier(4)
def work():
    kept = [numpy.ones(3000) for _ in range(4)]  # too large for what a thread keeps for itself
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
file, path = tempfile.mkstemp()
stream = ctypes.c_void_p(libc.fdopen(file, b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(open(path).read().count("<heap "))
os.remove(path)
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**inherited, **environment},
    )  # fmt: skip


def heaps(*, wanted: bool, **environment: str) -> int:
    done = run_python(HEAPS.format(wanted=wanted), **environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc")
def test_threads_share_a_heap_unless_the_user_has_set_malloc() -> None:
    assert heaps(wanted=True) == 1
    assert heaps(wanted=True, MALLOC_ARENA_MAX="8") == heaps(wanted=False) > 1


def test_captioning_a_photo_loads_what_it_needs_alone(tiny_bundle: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    done = run_python(
        "import sys, numpy; from PIL import Image\n"
        f"Image.fromarray(numpy.zeros((20, 30, 3), numpy.uint8)).save({str(photo)!r})\n"
        "from negah.cli.main import run\n"
        f"code = run(['caption', {str(photo)!r}, '--model', {str(tiny_bundle)!r}])\n"
        f"print(sorted({ONLY_FOR_OPTIONS!r} & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr.splitlines()[-1] == "[]"


AT_THE_END = """
import atexit, os, sys, threading, time
sys.argv = ["negah", *{arguments!r}]
{before}
atexit.register(lambda: print("at exit"))
class Freed:
    def __del__(self, write=os.write):
        write(1, b"freed\\n")
object_of_the_module = Freed()
from negah.cli.entry import main
main()
"""


@pytest.mark.parametrize(
    ("before", "freed"),
    [
        ("", False),
        ("sys.modules['torch'] = sys", True),
        ("threading.Thread(target=time.sleep, args=(1,)).start()", True),
    ],
    ids=["as a rule", "with PyTorch", "while a thread goes on"],
)
def test_the_end_is_quick_and_does_what_was_registered(before: str, freed: bool) -> None:
    """Python frees all objects at the end only where it has to."""
    done = run_python(AT_THE_END.format(arguments=["--version"], before=before))
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith("negah ")
    assert rest == ["at exit"] + ["freed"] * freed


def test_the_exit_code_survives() -> None:
    done = run_python(AT_THE_END.format(arguments=["caption", "no-such-photo.jpg"], before=""))
    assert done.returncode == 2
    assert "no-such-photo.jpg" in done.stderr
    assert done.stdout == "at exit\n"
