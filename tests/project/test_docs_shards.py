"""The commands of ``docs/shards.md``, run as they stand on small data made here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from common import REPOSITORY
from negah.cli.main import run
from negah.jobs.folders import open_folder
from tiny_shards import jpeg, write_parquet, write_tars

PAGE = (REPOSITORY / "docs" / "shards.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """All commands but those that need Ray, which tests/run/test_jobs_ray.py runs."""
    found = [line for block in blocks("sh") for line in block.splitlines()]
    return [
        shlex.split(line)[1:] for line in found if line.startswith("negah") and "ray" not in line
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fsspec = pytest.importorskip("fsspec", reason="addresses need the remote extra")
    monkeypatch.chdir(tmp_path)
    paths = write_tars(tmp_path, photos=1)
    for path in paths:
        fsspec.filesystem("memory").pipe_file(f"/in/{path.name}", path.read_bytes())
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "photos" / ("deep" if number % 2 else "") / f"{number}.jpg").write_bytes(
            jpeg(number)
        )
    (tmp_path / "photos.txt").write_text("photos/0.jpg\nphotos/deep/1.jpg\n", encoding="utf-8")
    write_parquet(tmp_path / "held.parquet", [{"bytes": jpeg(1), "path": "a.jpg"}])
    return tmp_path


def test_every_command(folder: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ["--model", str(tiny_bundle), "--threads", "1"]
    slurm = {"TASK_MIN": "0", "TASK_STEP": "1", "TASK_COUNT": "2"}
    done = commands()
    assert len(done) == 8
    for arguments in done:
        shares = ("0", "1") if "auto" in arguments else ("",)
        for index in shares:
            for name, value in {**slurm, "TASK_ID": index}.items() if index else ():
                monkeypatch.setenv(f"SLURM_ARRAY_{name}", value)
            more = model[:2] if "--threads" in arguments else model
            assert run([*arguments, *(more if arguments[0] == "caption" else ())]) == 0, arguments
    for name in ("TASK_ID", *slurm):
        monkeypatch.delenv(f"SLURM_ARRAY_{name}")
    job = yaml.safe_load(blocks("yaml")[0])["spec"]
    for index in range(job["completions"]):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        (container,) = job["template"]["spec"]["containers"]
        assert run([*container["command"][1:], *model]) == 0
    expected = Path("captions/data-001.jsonl").read_bytes()
    assert Path("captions-slurm/data-001.jsonl").read_bytes() == expected
    assert Path("captions-k8s/data-001.jsonl").read_bytes() == expected
    assert open_folder("memory://captions").read("data-001.jsonl") == expected
    parts = sorted(Path("captions-of-photos").glob("*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in parts] == [4, 1]
    assert json.loads(Path("captions/job.json").read_text())["options"]["--format"] == "jsonl"


def test_what_is_written_is_a_data_set(folder: Path, tiny_bundle: Path) -> None:
    """All three formats are read as captioned photos."""
    model = ["--model", str(tiny_bundle), "--threads", "1"]
    assert run(["caption", "photos", "--shards", "p", "-f", "parquet", *model]) == 0
    assert run(["data", "inspect", "p/part-00000.parquet", "--images", "."]) == 0
    assert run(["caption", "photos", "--shards", "j", *model]) == 0
    assert run(["data", "inspect", "j/part-00000.jsonl", "--images", "."]) == 0
