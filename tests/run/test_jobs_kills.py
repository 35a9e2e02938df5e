"""A job of 2,000 photos that is ended 50 times at random points loses no row and repeats none."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from common import PATIENCE
from negah.jobs.journal import Journal
from tiny_photos import make_photos

PHOTOS = 2000
ENDS = 50


def command(bundle: Path, output: str) -> list[str]:
    return [
        *(sys.executable, "-m", "negah", "caption", "photos", "-f", "jsonl", "-o", output),
        *("--model", str(bundle), "--batch-size", "8"),
    ]


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def end_once(started: list[str], folder: Path, choose: random.Random) -> str:
    """Run the job, and end it at a random point; how it was ended, or "finished"."""
    journal = folder / "out.jsonl.job" / "journal"
    before, batch = size(journal), 30_000
    how = choose.choice(["SIGKILL", "SIGKILL", "SIGTERM", "full disk"])
    room = before + choose.randrange(2 * batch)

    def limit() -> None:
        if how == "full disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    process = subprocess.Popen(
        started, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit
    )
    # before it has begun, as well as in the middle of what it writes
    early = choose.random() < 0.15
    at = before + choose.randrange(2 * batch)
    stop = time.monotonic() + choose.uniform(0, 1)
    last = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < last:
        if how != "full disk" and (time.monotonic() > stop if early else size(journal) > at):
            time.sleep(choose.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL if how == "SIGKILL" else signal.SIGTERM)
            break
        time.sleep(0.001)
    told = process.communicate(timeout=PATIENCE)[1].decode()
    assert "Traceback" not in told, told
    if process.returncode == 0:
        return "finished"
    if how == "full disk":
        assert process.returncode == 1, told
        assert "File too large" in told, told
    elif how == "SIGTERM":
        # before the interpreter has begun, nobody catches it
        assert process.returncode in ((130, -signal.SIGTERM) if early else (130,)), told
    else:
        assert process.returncode == -signal.SIGKILL, told
    return how


@pytest.mark.heavy
def test_fifty_ends_lose_and_repeat_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", [f"{seed}.png" for seed in range(PHOTOS)], size=(16, 12))
    subprocess.run(command(tiny_bundle, "whole.jsonl"), cwd=tmp_path, check=True)

    choose, ends = random.Random(18), Counter[str]()
    while ends.total() < ENDS:
        ends[end_once(command(tiny_bundle, "out.jsonl"), tmp_path, choose)] += 1
        assert not (tmp_path / "out.jsonl").exists()
    print(dict(ends))
    assert ends["finished"] == 0
    assert min(ends.values()) >= 5
    done = subprocess.run(
        command(tiny_bundle, "out.jsonl"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "done before, going on" in done.stderr

    output = (tmp_path / "out.jsonl").read_bytes()
    assert output == (tmp_path / "whole.jsonl").read_bytes()
    rows = [json.loads(line)["path"] for line in output.splitlines()]
    assert len(rows) == len(set(rows)) == PHOTOS
    journal = Journal(tmp_path / "out.jsonl.job" / "journal")
    entries = [entry.path for _, entry in journal.scan()]
    journal.close()
    assert sorted(entries) == sorted(rows)  # nothing that was durable was captioned again
