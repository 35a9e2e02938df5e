"""Claims on shards with lock files, so that two processes rarely work on the same shard.

A lock file is created exclusively. It contains the identity of its process and a counter that
increases while the process lives. A claim expires if the process is found dead on this machine, or
if its counter has not changed for the time of the lease, measured by the waiting process, so that
clocks of machines need not agree. Two processes that nevertheless work on the same shard write the
same bytes, each in one step.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from negah.errors import OutputError
from negah.jobs.folders import Folder

SUFFIX = ".lock"
#: Seconds after which the claim of a process that gives no sign lapses.
LEASE = 60.0
#: Beats in a lease: some may be late, or fail.
_BEATS = 4
#: Of a lock file, which anybody may have written.
_MOST_BYTES = 4096


class Claims:
    """The claims of one process in the folder of a job.

    Args:
        folder: of the job.
        lease: seconds.
        clock: seconds that only ever rise, by which the claims of others lapse.
    """

    def __init__(
        self, folder: Folder, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._lease = lease
        self._clock = clock
        self._me = {"owner": secrets.token_hex(8), **_this_process()}
        self._seen: dict[str, tuple[bytes, float]] = {}

    @contextmanager
    def claim(self, shard: str) -> Iterator[bool]:
        """Hold the claim on a shard during the block; False if another process has it.

        Raises:
            OutputError: the lock file cannot be written.
        """
        name = f"{shard}{SUFFIX}"
        if not self._take(name):
            yield False
            return
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=(name, ended), daemon=True)
        beating.start()
        try:
            yield True
        finally:
            ended.set()
            beating.join()
            with suppress(OutputError, FileNotFoundError):
                if self._is_mine(name):
                    self._folder.remove(name)

    def _take(self, name: str) -> bool:
        if self._folder.create(name, self._content(0)):
            return True
        content = self._folder.read(name)
        if content is None or not self._has_lapsed(name, content):
            return False
        if self._folder.read(name) != content:  # somebody was quicker
            return False
        self._folder.remove(name)
        return self._folder.create(name, self._content(0))

    def _has_lapsed(self, name: str, content: bytes) -> bool:
        if _is_dead(content):
            return True
        now = self._clock()
        before = self._seen.get(name)
        if before is None or before[0] != content:
            self._seen[name] = (content, now)
            return False
        return now - before[1] > self._lease

    def _beat(self, name: str, ended: threading.Event) -> None:
        beat = 0
        while not ended.wait(self._lease / _BEATS):
            beat += 1
            with suppress(OutputError, FileNotFoundError):  # the next one may go through
                if not self._is_mine(name):
                    return
                self._folder.replace(name, self._content(beat))

    def _is_mine(self, name: str) -> bool:
        content = self._folder.read(name)
        return content is not None and _parsed(content).get("owner") == self._me["owner"]

    def _content(self, beat: int) -> bytes:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json.dumps({**self._me, "time": now, "beat": beat}).encode()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content[:_MOST_BYTES])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _this_process() -> dict[str, Any]:
    """The identity of this process; machine and start are empty if unknown."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "machine": _machine(),
        "started": _started(os.getpid()),
    }


def _is_dead(content: bytes) -> bool:
    """Whether a lock belongs to a process of this machine that no longer runs."""
    owner = _parsed(content)
    pid, machine = owner.get("pid"), owner.get("machine")
    if not isinstance(pid, int) or not machine or machine != _machine():
        return False
    return _started(pid) != owner.get("started")


def _machine() -> str:
    """The boot of this machine, and the process namespace of this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The start of a process in ticks since boot; empty if it does not exist or is a zombie."""
    try:
        # behind the name, which stands in brackets and may hold anything
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if len(fields) < 20 or fields[0] in "ZX" else fields[19]
