"""What captioning 10^6, 10^8 and 10^9 photos takes, costs, and where it breaks first: computed.

    python benchmarks/archive.py [--cpu-ms 85] [--decode-ms 49] [--efficiency 0.8] ...

Nothing is captioned. Rates that were measured on two cores, and prices and sizes that are assumed,
are the inputs, each an option; the tables of docs/jobs.md are this with the defaults.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

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
        cpu_ms: CPU milliseconds of a photo of 500 x 375 pixels: 2 cores / 23.5 photos a second.
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

    cpu_ms: float = 85.0
    decode_ms: float = 49.0
    efficiency: float = 0.8
    small_kb: float = 61.0
    large_kb: float = 2_700.0
    row_bytes: float = 215.0
    evidence_bytes: float = 7_400.0
    entry_bytes: float = 130.0
    path_bytes: float = 200.0
    dedupe_bytes: float = 130.0
    scan_us: float = 45.0
    memory_gb: float = 4.0


def main() -> None:
    print("\n".join(report(parse_arguments())))


def parse_arguments() -> Inputs:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for field in fields(Inputs):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=float, default=field.default, help="see Inputs")
    return Inputs(**vars(parser.parse_args()))


def report(inputs: Inputs) -> Iterator[str]:
    """The lines of two tables."""
    yield "| photos | of | machine | photos/s by computing | by the network | takes | costs |"
    yield "|---|---|---|---|---|---|---|"
    for count in PHOTOS:
        for size in ("500 x 375", "12 megapixels"):
            for machine in MACHINES:
                yield _row(count, size, machine, inputs)
    yield ""
    yield "| photos | to read | rows | with evidence | journal | memory | --dedupe | read again |"
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
    most = inputs.memory_gb * 1e9 / inputs.path_bytes
    yield ""
    yield f"A list of files takes {inputs.memory_gb:g} GB at {_round(most)} files."


def _row(count: int, size: str, machine: Machine, inputs: Inputs) -> str:
    large = size != "500 x 375"
    seconds = (inputs.cpu_ms + (inputs.decode_ms if large else 0)) / 1000
    efficiency = 1.0 if machine.cores <= 2 else inputs.efficiency
    computed = machine.cores * efficiency / seconds
    size_kb = inputs.large_kb if large else inputs.small_kb
    carried = machine.gigabits * 1e9 / 8 / (size_kb * 1e3)
    takes = count / min(computed, carried)
    cells = [
        f"10^{round(math.log10(count))}",
        size,
        machine.name,
        _round(computed),
        _round(carried),
        _time(takes) + (", bound by the network" if carried < computed else ""),
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
