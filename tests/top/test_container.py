"""The container of ``negah serve``: its file is checked, its steps are run in a plain folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from common import PATIENCE, REPOSITORY
from negah.serve.options import DEFAULT_PORT

#: Of a step of a Dockerfile: its name, and what stands behind it.
Step = tuple[str, str]


def steps() -> list[Step]:
    """The steps of the Dockerfile, with their lines put together."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    plain = "".join(line for line in text.splitlines(keepends=True) if line[:1] != "#")
    whole = plain.replace("\\\n", " ").splitlines()
    parts = (line.split(None, 1) for line in whole if line.strip())
    return [(name, rest) for name, rest in parts]


def of(name: str) -> list[str]:
    return [rest for step, rest in steps() if step == name]


def test_it_is_slim_and_runs_as_nobody() -> None:
    known = {"FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "EXPOSE", "STOPSIGNAL"}
    assert {name for name, _ in steps()} <= known | {"HEALTHCHECK", "ENTRYPOINT"}
    assert all(one.split()[0] == "python:3.11-slim" for one in of("FROM"))
    names = [name for name, _ in steps()]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert of("USER") == ["10001:10001"]
    assert of("EXPOSE") == [str(DEFAULT_PORT)]
    assert "'.[serve]'" in of("RUN")[0]
    assert "--host" in json.loads(*of("ENTRYPOINT"))
    assert f":{DEFAULT_PORT}/readyz" in of("HEALTHCHECK")[0]


def copied() -> list[Path]:
    """What of the repository the first stage is built from."""
    found = []
    for line in of("COPY"):
        if not line.startswith("--from"):
            found += [REPOSITORY / name for name in line.split()[:-1]]
    return found


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {f"!{path.name}" for path in copied()} == {one for one in ignored if one[0] == "!"}
    assert all(path.exists() for path in copied())


def test_compose_opens_it_to_this_machine_alone() -> None:
    given = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = given["services"].values()
    assert service["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:{DEFAULT_PORT}"]
    assert service["environment"]["NEGAH_TOKEN"].startswith("${NEGAH_TOKEN:?")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.heavy
def test_its_steps_in_a_plain_folder(tmp_path: Path) -> None:
    """What is copied is installed as it says, and serves, is healthy, and stops."""
    source, target = tmp_path / "source", tmp_path / "negah"
    source.mkdir()
    for path in copied():
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    (command,) = of("RUN")
    command = command.replace("/opt/negah", str(target))
    command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", command)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=source,
        env=plain,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("no package index is at hand")
    assert done.returncode == 0, done.stderr
    environment = {
        "PATH": f"{target}/bin:/usr/bin:/bin",
        "NEGAH_TOKEN": "a secret of ours",
        "PYTHONUNBUFFERED": "1",
    }
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    missing = subprocess.run(
        ["python", "-c", "import torch"], cwd=nowhere, env=environment, capture_output=True
    )
    assert b"No module named 'torch'" in missing.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = subprocess.Popen(
        [*json.loads(*of("ENTRYPOINT")), "--port", port],
        cwd=nowhere,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stderr is not None
        assert port in started.stderr.readline()
        health = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
        health = [part.replace(str(DEFAULT_PORT), port) for part in health]
        for _ in range(60):
            checked = subprocess.run(health, cwd=nowhere, env=environment, capture_output=True)
            if checked.returncode == 0:
                break
        assert checked.returncode == 0, checked.stderr
        started.send_signal(signal.SIGTERM)
        assert started.wait(PATIENCE) == 0
        assert not list(nowhere.iterdir())
    finally:
        started.kill()
        started.wait()
        started.stderr and started.stderr.close()
