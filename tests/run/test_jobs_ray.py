"""Captioning on Ray: a cluster of two nodes on this machine, and a worker that is killed."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from tiny_shards import jpeg, write_parquet, write_tars

pytestmark = [
    pytest.mark.heavy,
    # Ray leaves sockets, files and processes to its own end, and warns of its own future
    pytest.mark.filterwarnings("ignore"),
]
PAGE = (REPOSITORY / "docs" / "shards.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'negah[ray]'")
    pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'negah[ray]'")
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_TMPDIR", "/tmp/negah-ray")  # sockets have short names
    patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home
    # on a busy machine a process takes minutes to begin; after 60 seconds Ray would begin it anew
    patch.setenv("RAY_worker_register_timeout_seconds", "900")
    patch.setenv("RAY_raylet_start_wait_time_s", "600")
    nodes = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False},
    )
    nodes.add_node(num_cpus=1, object_store_memory=10**8)
    source = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests" / "helpers")])
    ray.init(
        address=nodes.address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}},
    )
    try:
        yield
    finally:
        ray.shutdown()
        nodes.shutdown()
        patch.undo()


def test_a_killed_actor_loses_and_repeats_nothing(
    cluster: None, tiny_bundle: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tars(tmp_path, shards=6, photos=40)
    model = ["--model", str(tiny_bundle)]
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        """The first actor that is seen to have done a shard, while it does the next."""
        while not ended.is_set():
            for path in Path("out").glob("*.done.json"):
                pid = json.loads(path.read_text())["worker"]["pid"]
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    arguments = ["caption", "data-{000..005}.tar", "--shards"]
    try:
        assert run([*arguments, "out", "--engine", "ray", *model]) == 0, capsys.readouterr().err
    finally:
        ended.set()
        killer.join()
    assert killed
    assert "of 6; captioned 240, failed 0" in capsys.readouterr().err
    assert run([*arguments, "undisturbed", *model]) == 0
    for number in range(6):
        name = f"data-{number:03}.jsonl"
        assert Path("out", name).read_bytes() == Path("undisturbed", name).read_bytes()
    workers = {json.loads(p.read_text())["worker"]["pid"] for p in Path("out").glob("*.done.json")}
    assert len(workers) > 1


def test_a_broken_shard_fails_alone(
    cluster: None, tiny_bundle: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tars(tmp_path, shards=2, photos=2)
    Path("data-001.tar").write_bytes(b"no tar" * 1000)
    arguments = ["caption", "data-{000..001}.tar", "--shards", "out", "--engine", "ray"]
    assert run([*arguments, "--model", str(tiny_bundle)]) == 1
    said = capsys.readouterr().err
    assert "failed: data-001: data-001.tar: " in said
    assert "1 done here, 0 before or elsewhere, 1 failed, of 2" in said
    again = ["--model", str(tiny_bundle), "--retry-failed", "--gpus", "1"]
    assert run([*arguments, *again]) == 2
    assert "0 GPUs" in capsys.readouterr().err


def test_the_page(cluster: None, tmp_path: Path, monkeypatch) -> None:
    """Its command and its pipeline as they stand, with the bundled model."""
    import pyarrow.parquet

    monkeypatch.chdir(tmp_path)
    write_tars(tmp_path, shards=3, photos=1)
    (line,) = re.findall(r"^negah .*--engine ray$", PAGE, re.MULTILINE)
    assert run(shlex.split(line)[1:]) == 0
    assert len(list(Path("captions-ray").glob("*.jsonl"))) == 3
    photos = [{"bytes": jpeg(1), "path": "a.jpg"}, {"bytes": b"no photo", "path": "b.jpg"}]
    write_parquet(tmp_path / "held.parquet", photos)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    # the driver of the example knows where it is; actors of a local cluster are elsewhere
    exec(block.replace('"held.parquet"', f"{str(tmp_path / 'held.parquet')!r}")
         .replace('"captioned/"', f"{str(tmp_path / 'captioned')!r}"), {})  # fmt: skip
    rows = pyarrow.parquet.read_table(tmp_path / "captioned").to_pylist()
    assert [bool(row["caption"]) for row in rows] == [True, False]
    assert [row["error"] is None for row in rows] == [True, False]
