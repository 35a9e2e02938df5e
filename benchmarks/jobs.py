"""What the journal of ``negah caption --output`` costs, and how time and memory grow with a job.

    python benchmarks/jobs.py cost [--model BUNDLE] [--photos 200] [--repeats 5]
    python benchmarks/jobs.py growth [--model BUNDLE] [--photos 1000 10000 100000]

``cost`` captions made photos with the real command, by turns as a job and into a pipe, and compares
their seconds, by the clock and of computing (user and system; other work disturbs them less);
then once more in this process, to tell the CPU seconds inside the journal and the writing of the
output. ``growth`` captions more and more photos, and tells seconds and the peak of memory; then how
long a job that is done takes to find that out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from negah.cli.jobs import OutputJob
from negah.cli.main import run
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
            for count in options.photos or [1_000, 10_000, 100_000]:
                growth(folder / str(count), count, model)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["cost", "growth"])
    parser.add_argument("--model", type=Path, help="a bundle; default: the one in the package")
    parser.add_argument("--photos", type=int, nargs="+", help="how many")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs of cost")
    return parser.parse_args()


def make_photos(folder: Path, count: int) -> None:
    """Small photos, each another."""
    folder.mkdir(parents=True)
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(folder / f"{seed:07}.jpg")


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
            while process.stdout.read(1 << 20):  # a pipe that is read, as by another program
                pass
            _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - started
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mb = usage.ru_maxrss / 1024
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {status}")


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


def growth(folder: Path, count: int, model: list[str]) -> None:
    make_photos(folder / "photos", count)
    spent = Spent(folder, *model, "-o", "out.jsonl")
    again = Spent(folder, *model, "-o", "out.jsonl")
    print(
        f"{count:8,} photos  {spent.wall:9.1f} s  {spent.cpu:9.1f} CPU s  "
        f"{1000 * spent.cpu / count:7.2f} CPU ms a photo  {spent.peak_mb:6.0f} MB at the peak; "
        f"done already: {again.wall:6.1f} s, {again.cpu:6.1f} CPU s, {again.peak_mb:5.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
