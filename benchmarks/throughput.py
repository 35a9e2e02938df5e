"""How fast ``negah caption`` is beside its own graphs, its memory, its cold start, a photo's wait.

    python benchmarks/throughput.py [--model BUNDLE] [--data FOLDER] [--photos 1000]
    python benchmarks/throughput.py --keep before.jsonl          # with an older Negah
    python benchmarks/throughput.py --against before.jsonl       # with a newer one

Captions a folder of Flickr8k test photographs with the real command, in a process of its own,
and then the same photographs, opened and preprocessed in advance, with the graphs alone. All
measurements are made in one run, because the speed of a machine varies. On a machine with other
work, seconds are unreliable: use the processor time of a photo, and the number of runs and rows of
the step graph. With ``--against`` the captions are compared exactly with those of an earlier run.

Axes: N photos, H rows and W columns of pixels.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.bundle import read_bundle
from negah.decoding import DecodingOptions, Step, decode
from negah.media import open_image
from negah.runtime import Captioner, OnnxBackend, OnnxState, OnnxStepModel, find_bundle
from negah.runtime.stages import support_of

REPOSITORY = Path(__file__).resolve().parent.parent
COLD_STARTS = 7
LONE_PHOTOS = 60


def main() -> None:
    options = parse_arguments()
    photos = test_photos(options.data, options.photos)
    decoding = read_bundle(find_bundle(options.model)).config.decoding
    beam = options.beam or decoding.beam
    print(f"{len(photos)} photos, batches of {options.batch_size}, beam {beam}")

    command_seconds, cpu_seconds, peak_mb = time_command(photos, options, beam)
    report("negah caption, whole process", command_seconds, len(photos))
    alone = time_graphs(photos, options, decoding.model_copy(update={"beam": beam}))
    report("graphs and search, photos decoded", alone.search, len(photos))
    report("graphs alone, photos decoded", alone.graphs, len(photos))
    waits = time_lone_photos(photos[:LONE_PHOTOS], options)
    cold = [time_cold_start(photos[0], options) for _ in range(COLD_STARTS)]

    against_graphs, against_search = (
        seconds / command_seconds for seconds in (alone.graphs, alone.search)
    )
    print(f"throughput against graphs alone   {against_graphs:8.1%}")
    print(f"throughput against graphs, search {against_search:8.1%}")
    print(f"processor time of a photo         {cpu_seconds / len(photos) * 1e3:8.2f} ms")
    print(f"runs of the step graph, a photo   {alone.runs / len(photos):8.2f}")
    print(f"rows of the step graph, a photo   {alone.rows / len(photos):8.2f}")
    print(f"one photo, warm, median           {statistics.median(waits) * 1e3:8.1f} ms")
    print(f"peak memory                       {peak_mb:8.0f} MB")
    print(f"cold start, one photo, median     {statistics.median(cold):8.2f} s")
    print(f"cold start, one photo, best       {min(cold):8.2f} s")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = os.environ.get("NEGAH_DATA") or REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--model", help="a bundle; default: the one in the package")
    parser.add_argument("--data", type=Path, default=Path(data), help="holds flickr8k/")
    parser.add_argument("--photos", type=int, default=1000, help="how many")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--beam", type=int, help="default: the bundle's")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--keep", type=Path, help="write the captions to this file, too")
    parser.add_argument("--against", type=Path, help="captions of an earlier run, to compare")
    return parser.parse_args()


def test_photos(data: Path, number: int) -> list[Path]:
    folder = data / "flickr8k"
    names = (folder / "Flickr_8k.testImages.txt").read_text().split()
    return [folder / "Images" / name for name in names[:number]]


def report(name: str, seconds: float, photos: int) -> None:
    print(f"{name:34}{photos / seconds:8.2f} photos/s  ({seconds:.1f} s)")


def negah_caption(options: argparse.Namespace, *arguments: str | Path) -> list[str]:
    named = {"--model": options.model, "--threads": options.threads}
    given = [str(part) for pair in named.items() if pair[1] is not None for part in pair]
    return [sys.executable, "-m", "negah", "caption", *given, *map(str, arguments)]


def time_command(
    photos: list[Path], options: argparse.Namespace, beam: int
) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak resident megabytes of the real command on a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        folder.mkdir()
        for photo in photos:
            (folder / photo.name).symlink_to(photo.resolve())
        output = Path(temporary) / "captions.jsonl"
        command = negah_caption(
            options, folder, "--format", "jsonl", "--output", output,
            "--batch-size", str(options.batch_size), "--beam", str(beam),
        )  # fmt: skip
        started = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        text = output.read_text()
        assert len(text.splitlines()) == len(photos)
    if options.keep is not None:
        options.keep.write_text(text)
    if options.against is not None:
        print(compare(options.against.read_text(), text))
    # This is the first child. Its most memory is in units of 1024 bytes.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def compare(before: str, after: str) -> str:
    """How many captions are the same, and how far the numbers of these are apart.

    Args:
        before: the lines of an earlier run.
        after: those of this one; of the same photos, in folders of any name.
    """
    old, new = (
        {Path(row["path"]).name: row for row in map(json.loads, text.splitlines())}
        for text in (before, after)
    )
    common = sorted(old.keys() & new.keys())
    same = [name for name in common if old[name]["caption"] == new[name]["caption"]]
    apart: dict[str, float] = {}
    for name in same:
        numbers = zip(numbers_of(old[name]), numbers_of(new[name]), strict=True)
        for (key, one), (_, other) in numbers:
            apart[key] = max(apart.get(key, 0.0), abs(one - other))
    farthest = ", ".join(f"{key} {value:.1e}" for key, value in sorted(apart.items()))
    return f"{len(same)} of {len(common)} captions are the same; of these at most apart: {farthest}"


def numbers_of(value: Any, key: str = "") -> list[tuple[str, float]]:
    """All numbers of a row with the names of what they are in, in order."""
    if isinstance(value, dict):
        return [pair for name in sorted(value) for pair in numbers_of(value[name], name)]
    if isinstance(value, list):
        return [pair for item in value for pair in numbers_of(item, key)]
    return [(key, float(value))] if isinstance(value, int | float) else []


def time_lone_photos(photos: list[Path], options: argparse.Namespace) -> list[float]:
    """Seconds that each of some photos takes, one after the other, in a process that is warm."""
    captioner = Captioner(options.model or find_bundle(), threads=options.threads)
    waits = []
    for photo in itertools.chain(photos[:3], photos):
        started = time.perf_counter()
        captioner.caption(photo)
        waits.append(time.perf_counter() - started)
    return waits[3:]


def time_cold_start(photo: Path, options: argparse.Namespace) -> float:
    started = time.perf_counter()
    subprocess.run(negah_caption(options, photo), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@dataclass
class Seconds:
    """Time with the graphs: inside them, and with the search that walks them.

    ``runs`` and ``rows`` are of the step graph, without those with reference pictures.
    """

    graphs: float = 0.0
    search: float = 0.0
    runs: int = 0
    rows: int = 0


class TimedGraphs:
    """A step model that counts the seconds inside its graphs."""

    def __init__(self, model: OnnxStepModel, seconds: Seconds) -> None:
        self._model, self._seconds = model, seconds

    def start(self, features: FloatArray, real_frames: BoolArray | None = None) -> OnnxState:
        """Run the start graph."""
        started = time.perf_counter()
        state = self._model.start(features, real_frames)
        self._seconds.graphs += time.perf_counter() - started
        return state

    def step(self, state: OnnxState, tokens: IntArray) -> Step:
        """Run the step graph."""
        started = time.perf_counter()
        step = self._model.step(state, tokens)
        self._seconds.graphs += time.perf_counter() - started
        self._seconds.runs += 1
        self._seconds.rows += tokens.size
        return step

    def select(self, state: OnnxState, photos: IntArray) -> OnnxState:
        """No graph runs here."""
        return self._model.select(state, photos)

    def reorder(self, state: OnnxState, parents: IntArray) -> OnnxState:
        """No graph runs here."""
        return self._model.reorder(state, parents)


def time_graphs(
    photos: list[Path], options: argparse.Namespace, decoding: DecodingOptions
) -> Seconds:
    """The same photos without opening, preprocessing, evidence and writing."""
    backend = OnnxBackend(read_bundle(find_bundle(options.model)), threads=options.threads)
    seconds = Seconds()
    model = TimedGraphs(backend.model, seconds)
    for first in range(0, len(photos), options.batch_size):
        batch = photos[first : first + options.batch_size]
        pixels_N3HW = backend.pixels(
            [open_image(photo, target_size=backend.sight.size) for photo in batch]
        )
        started = time.perf_counter()
        encoded = backend.encode(pixels_N3HW)
        seconds.graphs += time.perf_counter() - started
        support = support_of([backend], [encoded.concepts])
        features_BFRC = encoded.features[:, None]
        decode(model, features_BFRC, decoding, vocabulary=backend.tokenizer, support=support)
        seconds.search += time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    main()
