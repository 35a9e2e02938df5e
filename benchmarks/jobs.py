"""What the journal of ``negah caption --output`` costs, and how time and memory grow with a job.

    python benchmarks/jobs.py cost [--model BUNDLE] [--photos 200] [--repeats 5]
    python benchmarks/jobs.py growth [--model BUNDLE] [--photos 1000 10000 100000] [--json FILE]

``cost`` captions made photos with the real command, by turns as a job and into a pipe, and compares
their seconds, by the clock and of computing (user and system; other work disturbs them less);
then once more in this process, to tell the CPU seconds inside the journal and the writing of the
output. ``growth`` captions more and more photos, by default with a toy model of random weights and
captions of four words, so that as little as can be of it is the model's; it tells seconds and the
peak of memory, then how long a job that is done takes to find that out, as Markdown and JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from negah.cli.main import run
from negah.cli.output_job import OutputJob
from negah.files import write_json
from negah.jobs.job import Job


def main() -> None:
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = ["--model", str(options.model.resolve())] if options.model else []
        if options.what == "cost":
            (count,) = options.photos or [200]
            cost(folder, count, options.repeats, model)
        else:
            model = model or toy(folder / "toy")
            rows = []
            for count in options.photos or [1_000, 10_000, 100_000]:
                rows.append(growth(folder / str(count), count, model))
                print(f"{count:,} photos: {json.dumps(asdict(rows[-1]))}", flush=True)
                if options.json is not None:
                    write_json(options.json, {"rows": [asdict(row) for row in rows]})
            print("\n".join(table(rows)))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["cost", "growth"])
    parser.add_argument("--model", type=Path, help="a bundle; default: the one in the package")
    parser.add_argument("--photos", type=int, nargs="+", help="how many")
    parser.add_argument("--json", type=Path, help="where the rows of growth go")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs of cost")
    return parser.parse_args()


def make_photos(folder: Path, count: int) -> None:
    """Small photos, each another."""
    folder.mkdir(parents=True)
    numbers = np.random.default_rng(0)
    for number in range(count):
        pixels = numbers.integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(folder / f"{number:07}.jpg")


def toy(folder: Path) -> list[str]:
    """The options of a model of 32 units with random weights."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))
    made = importlib.import_module("tiny_bundle").make_tiny_bundle(folder)
    return ["--model", str(made), "--max-length", "4"]


class Spent:
    """What a process took.

    Attributes:
        wall: seconds by the clock.
        cpu: seconds of computing, user and system.
        peak_mb: the most memory, in units of 1024 * 1024 bytes.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "negah", "caption", "photos", "-f", "jsonl", *arguments]
        started = time.perf_counter()
        with Path(os.devnull).open("wb") as nothing:
            process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=nothing)
            assert process.stdout is not None
            # what rusage tells of it begins with the memory of this process, which started it
            memory = HighWater(process.pid)
            memory.start()
            while process.stdout.read(1 << 20):  # a pipe that is read, as by another program
                pass
            _, status, usage = os.wait4(process.pid, 0)
            memory.join()
        self.wall = time.perf_counter() - started
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mb = memory.kilobytes / 1024
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {status}")


class HighWater(threading.Thread):
    """Reads every 20 ms the most memory that a process has had, until it is gone.

    Attributes:
        kilobytes: of 1024 bytes.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.kilobytes = 0
        self._status = Path(f"/proc/{pid}/status")

    def run(self) -> None:
        """Read it."""
        while found := re.search(r"VmHWM:\s*(\d+) kB", self._read()):
            self.kilobytes = int(found[1])
            time.sleep(0.02)

    def _read(self) -> str:
        try:
            return self._status.read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""


def cost(folder: Path, count: int, repeats: int, model: list[str]) -> None:
    make_photos(folder / "photos", count)
    jobs, pipes = [], []
    for number in range(repeats):
        pipes.append(Spent(folder, *model))
        jobs.append(Spent(folder, *model, "-o", f"{number}.jsonl"))
    print(f"{count} photos, {repeats} pairs of runs, medians, processes as a whole")
    for what in ("cpu", "wall"):
        pipe, job = ([getattr(one, what) for one in runs] for runs in (pipes, jobs))
        more = statistics.median(job) / statistics.median(pipe) - 1
        print(f"{what} seconds  pipe {shown(pipe)}  job {shown(job)}  difference {more:+.1%}")
    os.chdir(folder)
    inside = Stopwatch()
    for owner, name in ((Job, "record"), (Job, "flush"), (OutputJob, "_finish")):
        inside.watch(owner, name)
    started = time.process_time()
    code = run(["caption", "photos", "-f", "jsonl", "-o", "inside.jsonl", *model])
    total = time.process_time() - started
    if code:
        raise SystemExit(f"negah caption ended with {code}")
    print(
        f"inside the journal and the output {inside.seconds:.3f} of {total:.2f} CPU seconds", end=""
    )
    print(f": {inside.seconds / total:.2%}")


def shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


class Stopwatch:
    """CPU seconds of this thread inside some methods; one that calls another counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    def watch(self, owner: type, name: str) -> None:
        """Count the seconds inside a method."""
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return method(*given, **named)
            self._inside, started = True, time.thread_time()
            try:
                return method(*given, **named)
            finally:
                self.seconds += time.thread_time() - started
                self._inside = False

        setattr(owner, name, timed)


@dataclass(frozen=True)
class Row:
    """What a job of so many photos took.

    Attributes:
        photos: how many.
        cpu_seconds: of computing, user and system, the start of the process included.
        wall_seconds: by the clock.
        peak_mb: the most memory, in units of 1024 * 1024 bytes.
        again_cpu_seconds: of a run that finds that all is done.
        again_peak_mb: of that run.
        journal_mb: bytes of the journal / 1,000,000.
    """

    photos: int
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    again_cpu_seconds: float
    again_peak_mb: float
    journal_mb: float


def growth(folder: Path, count: int, model: list[str]) -> Row:
    make_photos(folder / "photos", count)
    spent = Spent(folder, *model, "-o", "out.jsonl")
    again = Spent(folder, *model, "-o", "out.jsonl")
    journal = (folder / "out.jsonl.job" / "journal").stat().st_size
    with (folder / "out.jsonl").open("rb") as rows:
        written = sum(1 for _ in rows)
    if written != count:
        raise SystemExit(f"{written} rows of {count} photos")
    shutil.rmtree(folder)
    return Row(
        count,
        round(spent.cpu, 2),
        round(spent.wall, 1),
        round(spent.peak_mb),
        round(again.cpu, 2),
        round(again.peak_mb),
        round(journal / 1e6, 1),
    )


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows in Markdown. What a photo takes is told of those that came with more photos."""
    columns = ("photos", "CPU s", "CPU ms for each photo more", "peak MB", "journal MB")
    yield f"| {' | '.join((*columns, 'done already: CPU s', 'peak MB'))} |"
    yield "|---|---|---|---|---|---|---|"
    before: Row | None = None
    for row in rows:
        more = ""
        if before is not None:
            gap = row.photos - before.photos
            more = f"{1000 * (row.cpu_seconds - before.cpu_seconds) / gap:.2f}"
        before = row
        yield (
            f"| {row.photos:,} | {row.cpu_seconds:.1f} | {more} | {row.peak_mb:.0f} | "
            f"{row.journal_mb:.1f} | {row.again_cpu_seconds:.1f} | {row.again_peak_mb:.0f} |"
        )


if __name__ == "__main__":
    main()
