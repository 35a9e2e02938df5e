"""The table and the commands of docs/persian.md, as they stand there."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.text import language_of
from tiny_data import make_shapes

PAGE = (REPOSITORY / "docs" / "persian.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^negah .*$", PAGE, flags=re.MULTILINE)]


def test_the_table_of_spellings() -> None:
    (table,) = re.findall(r"\| original \|.*?\n\n", PAGE, flags=re.DOTALL)
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, flags=re.MULTILINE)[2:]
    assert len(rows) >= 12
    normalise = language_of("fa").normalise
    for written, becomes in rows:
        ways = [written] if "," in written else written.split("، ")
        forms = [becomes] if "," in written else becomes.split("، ")
        assert [normalise(way) for way in ways] == forms


def test_the_caption_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    start = (REPOSITORY / "docs" / "start.fa.md").read_text(encoding="utf-8")
    ((command, printed),) = re.findall(r"```console\n\$ negah (.*)\n([^`]*)\n```", start)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        assert run(shlex.split(command)) == 0
    assert capsys.readouterr().out == f"{printed}\n"


def test_commands_that_score_and_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_shapes(tmp_path)
    photos = sorted(path.name for path in (tmp_path / "images").iterdir())
    captions = ["یک سگ در پارک می دود", "دو پسر روی نیمکت", "مردی با کلاه قرمز"]
    rows = [f"{name},{captions[at % 3]},train\n" for at, name in enumerate(photos)]
    Path("captions_fa.csv").write_text("image,caption,split\n" + "".join(rows), encoding="utf-8")
    Path("captions.csv").write_text(
        "image,caption\n" + "".join(row.rpartition(",")[0] + "\n" for row in rows), encoding="utf-8"
    )
    done = 0
    for command in COMMANDS:
        if command[:1] == ["score"] or command[:2] == ["data", "inspect"]:
            assert run(command) == 0, command
            done += 1
    assert done == 2


def test_what_a_half_space_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = next(line for line in PAGE.splitlines() if "half_spaces.py" in line)
    _, script, table, option, _ = command.split()
    make_shapes(tmp_path)
    said = ["سگ ها در پارک می دوند", "سگ‌ها در پارک می‌دوند", "سگها در برف می دوند"]
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    rows = [f"{name},{text},dev\n" for name in names[:2] for text in (*said, name)]
    (tmp_path / table).write_text("image,caption,split\n" + "".join(rows), encoding="utf-8")
    arguments = ["", str(tmp_path / table), option, str(tmp_path / "images")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", arguments)
        runpy.run_path(str(REPOSITORY / script), run_name="__main__")
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    ways = re.search(r"\| words \| BLEU-1.*?\n\n", PAGE, flags=re.DOTALL)
    assert ways is not None
    assert [row[0] for row in found] == [
        line.split(" | ")[0].removeprefix("| ")
        for line in ways[0].splitlines()
        if "---" not in line
    ][: len(found)]
    bleu = {row[0]: float(row[2]) for row in found[1:]}
    assert bleu["`fa-1`"] > bleu["split at spaces, as written"]


def test_trainings_are_of_recipes_that_are_there() -> None:
    pytest.importorskip("torch", reason="training needs the train extra")
    from negah.training import recipe_names

    trainings = [command for command in COMMANDS if command[0] == "train"]
    assert trainings
    for command in trainings:
        assert command[1] in recipe_names()
