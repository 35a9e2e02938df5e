"""The service as a process: a clean stop under load, and one that comes up again after a kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from serving import Client, photo_file


@contextmanager
def process(bundle: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "negah", "serve", "--model", f"tiny={bundle}", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "NEGAH_TOKEN"},
    )
    assert started.stderr is not None
    try:
        line = started.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line + started.stderr.read()
        yield started, Client(found[0])
    finally:
        started.kill()
        started.stderr.close()
        started.wait()


def test_sigterm_under_load_answers_what_was_let_in(tiny_bundle: Path) -> None:
    with process(tiny_bundle, "--port", "0", "--threads", "1", "--batch-size", "1") as (
        started,
        client,
    ):
        photo, answers = photo_file(1, (600, 400)), list[int]()
        # one thread captions photo by photo: there is a queue when the signal comes
        threads = [
            threading.Thread(target=lambda: answers.append(client.form(photo).status))
            for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        # all are let in, and not all are answered
        while (seen := client.get("/metrics").body.decode()) and in_flight(seen) + answered(
            seen
        ) < len(threads):
            pass
        started.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert answers == [200] * len(threads)
        assert started.stderr is not None
        assert "stopped" in started.stderr.read()
        assert started.wait() == 0


def in_flight(metrics: str) -> int:
    found = re.search(r"^negah_requests_in_flight (\d+)$", metrics, re.M)
    return int(found[1]) if found else 0


def answered(metrics: str) -> int:
    found = re.findall(r'^negah_requests_total\{path="/v1/captions",.*\} (\d+)$', metrics, re.M)
    return sum(map(int, found))


def test_after_a_kill_the_same_port_serves_again(tiny_bundle: Path) -> None:
    with process(tiny_bundle, "--port", "0") as (started, client):
        assert client.form(photo_file()).status == 200
        started.kill()
        started.wait()
    with process(tiny_bundle, "--port", str(client.port)) as (_, again):
        assert again.port == client.port
        assert again.form(photo_file()).status == 200
