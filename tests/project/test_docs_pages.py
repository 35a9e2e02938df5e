"""docs/: every page is in the navigation, and commands that are shown exist, with their options."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from common import REPOSITORY
from negah.cli.lazy import Command, CommandGroup, build_group
from negah.cli.main import COMMANDS, run

DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
README = REPOSITORY / "README.md"


def _entries(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    items = nav.values() if isinstance(nav, dict) else nav
    return [page for item in items for page in _entries(item)]


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((DOCS / "_site" / "mkdocs.yml").read_text("utf-8"))
    shown = {entry for entry in _entries(config["nav"]) if entry.endswith(".md")}
    made = {re.sub(r"README(?=\.md$)", "index", p.relative_to(DOCS).as_posix()) for p in PAGES}
    assert {page for page in shown if not page.startswith("project/")} == made


def _leaves(group: CommandGroup, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    built = build_group("negah", group)
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if isinstance(command, Command):
            found[*before, name] = built.get_command(None, name)
        else:
            found |= _leaves(command, (*before, name))
    return found


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], set[str]]:
    """The options of every command."""
    return {
        name: {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        | {"--help"}
        for name, command in _leaves(COMMANDS).items()
    }


def _shown(text: str) -> list[str]:
    """The commands of a page: lines of its blocks, and what stands in backquotes."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = [" ".join(found.split()) for found in re.findall(r"`(negah [a-z][^`]*)`", text)]
    return [
        found[0] for line in [*lines, *inline] if (found := re.search(r"\bnegah [a-z].*", line))
    ]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda path: path.name)
def test_commands_that_are_shown_exist(page: Path, known: dict[tuple[str, ...], set[str]]) -> None:
    for line in _shown(page.read_text("utf-8")):
        try:
            words = shlex.split(line, comments=True)[1:]
        except ValueError:  # an apostrophe of a sentence
            words = line.split()[1:]
        words = words[: words.index("|")] if "|" in words else words
        name = tuple(words[:2]) if words[0] == "data" else tuple(words[:1])
        if name == ("data",) or words[0] == "COMMAND":
            continue
        assert name in known, f"{page.name}: {line}"
        for word in words:
            if word.startswith("--") and len(word) > 2:
                assert word.partition("=")[0] in known[name], f"{page.name}: {line}"


def test_the_page_of_commands_has_them_all(known: dict[tuple[str, ...], set[str]]) -> None:
    text = (DOCS / "commands.md").read_text("utf-8")
    listed = re.findall(r"^\| `negah ([a-z ]+)` \|", text, flags=re.MULTILINE)
    assert listed == [" ".join(name) for name in known]


def test_the_first_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table and the snippets of the pages that newcomers read first, on two photos."""
    monkeypatch.chdir(tmp_path)
    for name in ("holiday", "examples/photos"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(REPOSITORY / "examples" / "photos" / "dog.jpg", tmp_path / name)
    own = (DOCS / "own-photos.md").read_text("utf-8")
    start = (DOCS / "start.md").read_text("utf-8")
    for page in (start, own):
        for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
            exec(compile(code, "page", "exec"), {})
    assert capsys.readouterr().out.count("running through the grass") == 2
    assert run(shlex.split("caption examples/photos --format csv --output captions.csv")) == 0
    assert "running through the grass" in (tmp_path / "captions.csv").read_text("utf-8")


@pytest.mark.parametrize("page", sorted(DOCS.glob("*/*.md")), ids=lambda path: path.name)
def test_files_that_a_deeper_page_points_to_exist(page: Path) -> None:
    """For the pages beside README, see test_readme.py; anchors are checked by `make docs`."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
