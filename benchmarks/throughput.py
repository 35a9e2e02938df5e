"""How close ``negah caption`` comes to its own graphs, its memory, and its cold start.

    python benchmarks/throughput.py [--model BUNDLE] [--data FOLDER] [--photos 1000]

Captions a folder of Flickr8k test photographs with the real command, in a process of its own,
and then the same photographs, opened and preprocessed beforehand, with the graphs alone. All
in one run, one after the other, since machines differ from hour to hour.

Axes: N photos, H rows and W columns of pixels.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.bundle import read_bundle
from negah.decoding import DecodingOptions, Step, Support, decode
from negah.media import open_image
from negah.runtime import OnnxBackend, OnnxState, OnnxStepModel, find_bundle

REPOSITORY = Path(__file__).resolve().parent.parent
COLD_STARTS = 7


def main() -> None:
    options = parse_arguments()
    photos = test_photos(options.data, options.photos)
    decoding = read_bundle(find_bundle(options.model)).config.decoding
    beam = options.beam or decoding.beam
    print(f"{len(photos)} photos, batches of {options.batch_size}, beam {beam}")

    command_seconds, peak_mb = time_command(photos, options, beam)
    report("negah caption, whole process", command_seconds, len(photos))
    alone = time_graphs(photos, options, decoding.model_copy(update={"beam": beam}))
    report("graphs and search, photos decoded", alone.search, len(photos))
    report("graphs alone, photos decoded", alone.graphs, len(photos))
    cold = [time_cold_start(photos[0], options) for _ in range(COLD_STARTS)]

    against_graphs, against_search = (
        seconds / command_seconds for seconds in (alone.graphs, alone.search)
    )
    print(f"throughput against graphs alone   {against_graphs:8.1%}")
    print(f"throughput against graphs, search {against_search:8.1%}")
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


def time_command(photos: list[Path], options: argparse.Namespace, beam: int) -> tuple[float, float]:
    """Seconds and peak resident megabytes of the real command on a folder."""
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
        assert len(output.read_text().splitlines()) == len(photos)
    # The largest child so far, in units of 1024 bytes; this one is the first.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, peak * 1024 / 1e6


def time_cold_start(photo: Path, options: argparse.Namespace) -> float:
    started = time.perf_counter()
    subprocess.run(negah_caption(options, photo), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@dataclass
class Seconds:
    """Time with the graphs: inside them, and with the search that walks them."""

    graphs: float = 0.0
    search: float = 0.0


class TimedGraphs:
    """A step model that counts the seconds inside its graphs."""

    def __init__(self, model: OnnxStepModel, seconds: Seconds) -> None:
        self._model, self._seconds = model, seconds

    def start(self, features: FloatArray, frames: BoolArray | None = None) -> OnnxState:
        """Run the start graph."""
        started = time.perf_counter()
        state = self._model.start(features, frames)
        self._seconds.graphs += time.perf_counter() - started
        return state

    def step(self, state: OnnxState, tokens: IntArray) -> Step:
        """Run the step graph."""
        started = time.perf_counter()
        step = self._model.step(state, tokens)
        self._seconds.graphs += time.perf_counter() - started
        return step

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
        support = None
        if encoded.concepts is not None:
            support = Support(backend.sight.concepts, encoded.concepts)
        features_BFRC = encoded.features[:, None]
        decode(model, features_BFRC, decoding, vocabulary=backend.tokenizer, support=support)
        seconds.search += time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    main()
