"""The commands, snippets and examples of docs/alt-text.md, as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.text import neutral_people

PAGE = (REPOSITORY / "docs" / "alt-text.md").read_text(encoding="utf-8")


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "examples" / "photos" / "cat.jpg", tmp_path / "photo.jpg")
    for line in re.findall(r"^negah .*$", PAGE, flags=re.MULTILINE):
        assert run(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(".")


def test_the_table() -> None:
    rows = re.findall(r"^\| (a [^|]+|two [^|]+) \| ([^|]+) \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 7
    for written, becomes in rows:
        assert neutral_people(written) == (written if "the same" in becomes else becomes)


def test_the_snippet(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(code, "alt-text.md", "exec"), {})
    assert capsys.readouterr().out == "Two people are dancing.\nA dog runs on a beach.\n"
