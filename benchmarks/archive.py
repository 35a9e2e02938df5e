"""Estimate time, cost, sizes and bottlenecks of captioning 10^6, 10^8 and 10^9 photos.

    python benchmarks/archive.py [--photos-per-second 25.9] [--decode-ms 49] [--efficiency 0.8] ...
    python benchmarks/archive.py --renew docs/jobs.md

Nothing is captioned. The inputs are rates measured on two cores and assumed prices and sizes, each
an option; with --renew the report replaces the text between the two comments of the page. When a
rate is measured again, change its default here and renew the page.
"""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

PHOTOS = (10**6, 10**8, 10**9)
DAY = 86_400


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        name: of it.
        cores: physical ones; two virtual ones of a cloud are one.
        gigabits: of its network, a second; a local disk is not counted.
        price: a hour, in US dollars; 0 for one's own.
    """

    name: str
    cores: int
    gigabits: float
    price: float


#: Assumed, none of them was measured but for the first, whose rate is an input.
MACHINES = (
    Machine("2 cores (measured)", 2, 1.0, 0.0),
    Machine("desktop, 16 cores", 16, 1.0, 0.0),
    Machine("cloud, 64 vCPUs", 32, 25.0, 3.3),
)


@dataclass(frozen=True)
class Inputs:
    """What the computation is of.

    Attributes:
        photos_per_second: of 500 x 375 pixels, by two cores; measured, see docs/performance.md.
        decode_ms: those that a photo of 12 megapixels takes more; measured, a made JPEG.
        efficiency: of more than two cores, against as many times two; assumed.
        small_kb: of a photo of 500 x 375 pixels; measured, the same JPEG.
        large_kb: of a photo of 12 megapixels; measured, likewise.
        row_bytes: of a row of JSON lines without evidence; measured, the example photographs.
        evidence_bytes: of a row with evidence; measured, made photos.
        entry_bytes: of an entry of the journal, besides its rows; measured.
        path_bytes: of memory for each file that is named; measured.
        dedupe_bytes: for each file of another content, with --dedupe; measured.
        scan_us: CPU microseconds to read an entry of the journal again; measured.
        memory_gb: of memory that a job may take for its list of files; assumed.
    """

    photos_per_second: float = 29.6
    decode_ms: float = 49.0
    efficiency: float = 0.8
    small_kb: float = 61.0
    large_kb: float = 2_700.0
    row_bytes: float = 215.0
    evidence_bytes: float = 7_400.0
    entry_bytes: float = 130.0
    path_bytes: float = 450.0
    dedupe_bytes: float = 130.0
    scan_us: float = 45.0
    memory_gb: float = 4.0


#: The comments around the report in a page.
BEGIN, END = "<!-- archive -->\n", "<!-- end archive -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--renew", type=Path, metavar="PAGE", help="put the report into this page")
    for field in fields(Inputs):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=float, default=field.default, help="see Inputs")
    given = vars(parser.parse_args())
    page = given.pop("renew")
    text = "\n".join(report(Inputs(**given))) + "\n"
    if page is None:
        print(text, end="")
    else:
        page.write_text(renewed(page.read_text(encoding="utf-8"), text), encoding="utf-8")


def renewed(page: str, text: str) -> str:
    """A page with another report between its comments."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the page has no {BEGIN.strip()} and {END}")
    return f"{before}{begin}{text}{end}{after}"


def report(inputs: Inputs) -> Iterator[str]:
    """The inputs, the tables and the bottlenecks: lines of Markdown."""
    cloud = MACHINES[-1]
    yield from _wrapped(
        f"The inputs of the first machine are measured: {inputs.photos_per_second:g} photos/s of "
        f"500 x 375 pixels on two cores, {inputs.decode_ms:g} additional CPU milliseconds for a "
        "JPEG of 12 megapixels, and the bytes of a row, a journal entry, and a path. **Assumed** "
        f"are an efficiency of {inputs.efficiency:.0%} on more cores, the networks, and "
        f"${cloud.price:.2f} an hour for {cloud.cores} cores in a cloud. Each input is an option "
        "of the command."
    )
    yield ""
    yield from tables(inputs)
    yield ""
    yield "Bottlenecks:"
    yield ""
    for number, text in enumerate(breaks(inputs), start=1):
        yield from _wrapped(f"{number}. {text}", "   ")


def breaks(inputs: Inputs) -> Iterator[str]:
    """The bottlenecks, an item each."""
    desktop = MACHINES[1]
    computed, carried = rates(desktop, inputs, large=True)
    small = rates(desktop, inputs, large=False)
    bound = "the cores" if small[0] < small[1] else "the network, too"
    yield (
        f"**The network, for photos at camera resolution.** {desktop.cores} cores caption "
        f"{computed / carried:.1f} times as many photos as a gigabit a second transfers: resize "
        "them where they are stored, or caption them there. For photos of 500 x 375 pixels the "
        f"limit is {bound}."
    )
    yield (
        f"**The process that lists the files.** A path takes about {inputs.path_bytes:g} bytes of "
        f"memory, {inputs.memory_gb:g} GB at {_round(inputs.memory_gb * 1e9 / inputs.path_bytes)} "
        "files. Checking a file on a network file system takes a fraction of a millisecond, for "
        "all files before the first is captioned: divide archives of more than about 10^7 files."
    )
    longer = _round(inputs.evidence_bytes / inputs.row_bytes)
    yield (
        f"**The single output.** A row with evidence is {longer} times as long as one without: "
        "use `--no-evidence` for large archives. The journal contains all rows a second time, so "
        "an output needs twice its size on the disk until the journal is removed."
    )
    some, many = (_time(count * inputs.scan_us / 1e6) for count in (10**6, 10**8))
    yield (
        "**Continuing.** To find out what is done, a job reads its journal and the size and time "
        f"of every file: {some} for 10^6 files, {many} for 10^8."
    )
    yield (
        "**`--dedupe`** keeps a hash of every file in memory, "
        f"{_bytes(10**8 * inputs.dedupe_bytes)} for 10^8 files, and a process knows only its own "
        "files: sort so many files by hash first."
    )


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, 120, subsequent_indent=indent, break_on_hyphens=False)


def tables(inputs: Inputs) -> Iterator[str]:
    """The lines of two tables."""
    yield "| photos | of | machine | photos/s, computing | photos/s, network | time | cost |"
    yield "|---|---|---|---|---|---|---|"
    for count in PHOTOS:
        for size in ("500 x 375", "12 megapixels"):
            for machine in MACHINES:
                yield _row(count, size, machine, inputs)
    yield ""
    yield "| photos | input | rows | with evidence | journal | memory | --dedupe | to continue |"
    yield "|---|---|---|---|---|---|---|---|"
    for count in PHOTOS:
        small, large = count * inputs.small_kb * 1e3, count * inputs.large_kb * 1e3
        cells = [
            f"10^{round(math.log10(count))}",
            f"{_bytes(small)} to {_bytes(large)}",
            _bytes(count * inputs.row_bytes),
            _bytes(count * inputs.evidence_bytes),
            _bytes(count * (inputs.row_bytes + inputs.entry_bytes)),
            _bytes(count * inputs.path_bytes),
            _bytes(count * (inputs.path_bytes + inputs.dedupe_bytes)),
            _time(count * inputs.scan_us / 1e6),
        ]
        yield f"| {' | '.join(cells)} |"


def rates(machine: Machine, inputs: Inputs, *, large: bool) -> tuple[float, float]:
    """Photos a second that a machine computes, and that its network carries."""
    seconds = 2 / inputs.photos_per_second + (inputs.decode_ms / 1000 if large else 0)
    efficiency = 1.0 if machine.cores <= 2 else inputs.efficiency
    size_kb = inputs.large_kb if large else inputs.small_kb
    return machine.cores * efficiency / seconds, machine.gigabits * 1e9 / 8 / (size_kb * 1e3)


def _row(count: int, size: str, machine: Machine, inputs: Inputs) -> str:
    computed, carried = rates(machine, inputs, large=size != "500 x 375")
    takes = count / min(computed, carried)
    cells = [
        f"10^{round(math.log10(count))}",
        size,
        machine.name,
        _round(computed),
        _round(carried),
        _time(takes) + (", limited by the network" if carried < computed else ""),
        f"${_round(takes / 3600 * machine.price)}" if machine.price else "",
    ]
    return f"| {' | '.join(cells)} |"


def _round(number: float) -> str:
    """Two digits that count, since the inputs have no more."""
    if number <= 0:
        return "0"
    digits = 1 - math.floor(math.log10(number))
    return f"{round(number, digits):,.{max(0, digits)}f}"


def _bytes(number: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{_round(number / size)} {unit}"
    return f"{_round(number / 1e3)} kB"


def _time(seconds: float) -> str:
    for unit, size in (("years", 365 * DAY), ("days", DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{_round(seconds / size)} {unit}"
    return f"{_round(seconds)} s"


if __name__ == "__main__":
    main()
