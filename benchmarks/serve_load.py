"""How `negah serve` stands many clients: errors, throughput, latency, memory, kills and stops.

    python benchmarks/serve_load.py [--photos FOLDER] [--clients 64] [--seconds 30]

Starts the service in a process of its own, with the model of the package. One client alone asks,
then many at once for so many seconds, while the memory of the service is read each second. Then
it is killed and started again, and stopped under load. `negah caption` captions the same photos
before and after, for comparison; its start, which the service has behind it, is not counted.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ALONE = 40
_BOUNDARY = "b0undary"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass
class Load:
    """What many clients saw.

    Attributes:
        statuses: how often each came; 0 stands for no answer.
        latencies: of answers with 200, in seconds.
        memory: of the service, in megabytes, by the second.
        seconds: that it took.
    """

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    latencies: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    seconds: float = 0.0


def main() -> None:
    options = parse_arguments()
    paths = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    bodies = [form_of(path.read_bytes()) for path in paths[: options.most]]
    print(f"{len(bodies)} photos, {options.clients} clients, {options.seconds:g} s")
    before = command_rate(paths[: options.most], options)

    with service(options) as (process, port, started):
        print(f"start until it has captioned      {started:8.2f} s")
        alone = [ask(port, body)[1] for body in itertools.islice(itertools.cycle(bodies), ALONE)]
        print(f"one client, median latency        {statistics.median(alone[5:]) * 1e3:8.0f} ms")
        load = under_load(process.pid, port, bodies, options)
        report(load)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with service(options) as (process, port, started):
        print(f"after kill -9, until it captions  {started:8.2f} s")
        stopped = stop_under_load(process, port, bodies, options.clients)
        print(f"SIGTERM under load                {stopped}")
    after = command_rate(paths[: options.most], options)
    command = statistics.harmonic_mean([before, after])
    print(f"negah caption, before and after   {before:8.2f}, {after:.2f} photos/s, ", end="")
    print(f"of which the load is {len(load.latencies) / load.seconds / command:.1%}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="default: that of the package")
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "examples" / "photos")
    parser.add_argument("--most", type=int, default=200, help="photos of the folder")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the load; 600: in earnest")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    return parser.parse_args()


def negah(options: argparse.Namespace, command: str, *arguments: str) -> list[str]:
    named = {"--model": options.model, "--threads": options.threads}
    given = [str(part) for pair in named.items() if pair[1] is not None for part in pair]
    return [sys.executable, "-m", "negah", command, *given, *arguments]


def command_rate(paths: list[Path], options: argparse.Namespace) -> float:
    """Photos a second of ``negah caption``, without its start and its first photo."""
    # as many as take some seconds, each by a name of its own
    many = max(1, 600 // len(paths))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        folder.mkdir()
        for turn, path in itertools.product(range(many), paths):
            (folder / f"{turn}-{path.name}").symlink_to(path.resolve())
        times: list[float] = []
        for given in (str(paths[0]), str(folder)):
            began = time.perf_counter()
            output = ("--format", "jsonl", "--output", str(Path(temporary) / f"{len(times)}.jsonl"))
            subprocess.run(
                negah(options, "caption", given, *output), check=True, stderr=subprocess.DEVNULL
            )
            times.append(time.perf_counter() - began)
    return (many * len(paths) - 1) / (times[1] - times[0])


@contextmanager
def service(
    options: argparse.Namespace,
) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """A service: its process, its port, and the seconds until it had captioned once."""
    began = time.perf_counter()
    process = subprocess.Popen(
        negah(options, "serve", "--port", "0"),
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "NEGAH_TOKEN"},
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = _ADDRESS.search(line)
        if found is None:
            sys.exit(line + process.stderr.read())
        port = int(found[1])
        while ask(port, path="/readyz")[0] != 200:
            time.sleep(0.01)
        yield process, port, time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def form_of(photo: bytes) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\n\r\n'
    ).encode()
    return head + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


def ask(
    port: int,
    body: bytes | None = None,
    path: str = "/v1/captions",
    line: http.client.HTTPConnection | None = None,
) -> tuple[int, float]:
    """The status of an answer, 0 where none comes, and its latency in seconds."""
    began = time.perf_counter()
    connection = line or http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        connection.request("GET" if body is None else "POST", path, body, kind)
        response = connection.getresponse()
        response.read()
        return response.status, time.perf_counter() - began
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, time.perf_counter() - began
    finally:
        if line is None:
            connection.close()


def under_load(pid: int, port: int, bodies: list[bytes], options: argparse.Namespace) -> Load:
    """Many clients, each of which asks again as soon as it is answered."""
    load, began = Load(), time.perf_counter()
    end = began + options.seconds

    def client(number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        for turn in itertools.count(number):
            if time.perf_counter() >= end:
                break
            status, seconds = ask(port, bodies[turn % len(bodies)], line=line)
            load.statuses[status] += 1
            if status == 200:
                load.latencies.append(seconds)
        line.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(options.clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        load.memory.append(megabytes(pid))
        time.sleep(1)
    load.seconds = time.perf_counter() - began
    return load


def megabytes(pid: int) -> float:
    """The resident memory of a process, as Linux tells it."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def report(load: Load) -> None:
    answered = len(load.latencies)
    rate = answered / load.seconds
    waits = sorted(load.latencies)
    # after the first minute, or the first half of a shorter run
    settled = load.memory[min(60, len(load.memory) // 2)]
    print(f"under load                        {rate:8.2f} photos/s")
    print(f"statuses                          {dict(sorted(load.statuses.items()))}")
    print(f"latency, median and 99 of 100     {waits[answered // 2]:8.2f} s, ", end="")
    print(f"{waits[answered * 99 // 100]:.2f} s")
    print(f"memory, settled, most, at the end {settled:8.0f} MB, ", end="")
    print(f"{max(load.memory):.0f} MB, {load.memory[-1]:.0f} MB")


def stop_under_load(
    process: subprocess.Popen[str], port: int, bodies: list[bytes], clients: int
) -> str:
    """What became of the requests that were under way when SIGTERM came."""
    statuses = collections.Counter[int]()

    def client(number: int) -> None:
        statuses[ask(port, bodies[number % len(bodies)])[0]] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    while in_flight(port) + sum(statuses.values()) < clients:
        time.sleep(0.005)
    waiting = clients - sum(statuses.values())
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    code = process.wait(timeout=60)
    return f"{waiting} waited, {statuses[200]} of {clients} answered with 200, exit code {code}"


def in_flight(port: int) -> int:
    """Requests that the service holds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^negah_requests_in_flight (\d+)", text, re.M)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
