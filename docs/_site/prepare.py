"""What the documentation site is built from: the pages of docs/, and those made from the code.

    python docs/_site/prepare.py build/docs

Writes ``mkdocs.yml`` and ``pages/`` into that folder. Made from the code are a page for each
command, with its options, and a page for each public module. The pages of ``docs/`` are copied; a
link that leads out of ``docs/`` leads to the copy on the site where there is one, and otherwise
becomes plain text: the site has no repository beside it.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import yaml

from negah.cli.lazy import CommandGroup, build_group
from negah.cli.main import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
#: Files of the repository that are pages of the site as well.
PROJECT = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "README.md": "index.md",
    "examples/photos/SOURCES.md": "project/example-photos.md",
    "src/negah/bundles/negah-photo/README.md": "project/negah-photo.md",
    "src/negah/bundles/negah-photo-fa/README.md": "project/negah-photo-fa.md",
    "src/negah/bundles/negah-video/README.md": "project/negah-video.md",
}
#: Nav entries that are made from the code.
COMMANDS_TITLE, REFERENCE_TITLE = "Commands", "Reference"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)


def commands(group: CommandGroup = COMMANDS, before: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every command: its whole name, such as ``data inspect``, its help in a line, the command."""
    built = build_group("negah", group)
    context = typer.Context(built)
    for name, command in group.commands.items():
        if isinstance(command, CommandGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command.help, built.get_command(context, name)


def command_page(name: str, summary: str, command: Any) -> str:
    """The page of a command: what it does, its arguments and its options."""
    context = command.context_class(command, info_name=f"negah {name}")
    lines = [f"# negah {name}", "", summary, ""]
    lines += ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
    lines += list(_help_text(command.help or "", summary))
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [
            record
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind
            and (record := parameter.get_help_record(context)) is not None
        ]
        if records:
            lines += [f"## {title}", "", '<dl class="options">']
            for names, text in records:
                lines += [f"<dt><code>{html.escape(names)}</code></dt>"]
                lines += [f"<dd>{html.escape(text)}</dd>"]
            lines += ["</dl>", ""]
    return "\n".join(lines)


def _help_text(text: str, summary: str) -> Iterator[str]:
    """The docstring of a command as Markdown: blocks that begin with ``\\b`` are commands."""
    for block in text.strip().split("\n\n"):
        if block.startswith("\b"):
            yield from ("```sh", block.removeprefix("\b").strip(), "```", "")
        elif block.strip() != summary:
            yield from (html.escape(block.strip(), quote=False).replace("*", "\\*"), "")


def module_page(module: str) -> str:
    """The page of a public module, which mkdocstrings fills in."""
    return f"# {module}\n\n::: {module}\n"


def site_text(text: str, source: Path) -> str:
    """The text of a page as the site needs it.

    Args:
        text: Markdown as it is in the repository.
        source: the file, relative to the repository.
    """
    parts = _FENCE.split(text.replace('<div dir="rtl">', '<div dir="rtl" markdown="1">'))
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda m: _link(m, source), part)
        for part in parts
    )


def _link(match: re.Match[str], source: Path) -> str:
    image, words, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in target:
        return match[0]
    found = os.path.normpath(source.parent / path)
    here = site_path(source)
    there = site_path(Path(found))
    if there is None or here is None:
        return match[0] if image else words
    relative = os.path.relpath(there, Path(here).parent)
    return f"{image}[{words}]({relative}{hash_}{anchor})"


def site_path(source: Path) -> str | None:
    """Where a file of the repository is on the site, or None."""
    name = source.as_posix()
    if name in PROJECT:
        return PROJECT[name]
    if name.startswith("docs/") and (REPOSITORY / source).is_file():
        return re.sub(r"README(?=\.md$)", "index", name.removeprefix("docs/"))
    return None


def write_site(output: Path) -> None:
    """Write the configuration and all pages.

    Raises:
        SystemExit: a page is not in the navigation, or one that is named there does not exist.
    """
    pages = output / "pages"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(
        DOCS, pages, ignore=shutil.ignore_patterns("*.md", "*.py", "*.yml", "cards", "__pycache__")
    )
    config: dict[str, Any] = yaml.safe_load((DOCS / "_site" / "mkdocs.yml").read_text("utf-8"))
    sources = [*DOCS.rglob("*.md"), *(REPOSITORY / name for name in PROJECT if name != "README.md")]
    for path in sources:
        source = path.relative_to(REPOSITORY)
        _write(pages / str(site_path(source)), site_text(path.read_text("utf-8"), source))
    for entry in config["nav"]:
        [(title, items)] = entry.items()
        if title == COMMANDS_TITLE:
            for name, summary, command in commands():
                page = f"commands/{name.replace(' ', '-')}.md"
                _write(pages / page, command_page(name, summary, command))
                items.append({f"negah {name}": page})
        if title == REFERENCE_TITLE:
            modules = [item for item in items if not item.endswith(".md")]
            entry[title] = [item for item in items if item.endswith(".md")]
            for module in modules:
                _write(pages / f"reference/{module}.md", module_page(module))
                entry[title].append({module: f"reference/{module}.md"})
    shown = {pages / page for page in pages_of(config["nav"])}
    written = set(pages.rglob("*.md"))
    if shown != written:
        names = sorted(str(path.relative_to(pages)) for path in shown ^ written)
        sys.exit(
            f"not in the navigation of docs/_site/mkdocs.yml, or not there: {', '.join(names)}"
        )
    _write(output / "mkdocs.yml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))


def pages_of(nav: Any) -> Iterator[str]:
    """All pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from pages_of(item)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write the site's source into the folder that is named."""
    parser = argparse.ArgumentParser(description="Write what the site is built from.")
    parser.add_argument("output", type=Path, help="a folder, which is replaced")
    write_site(parser.parse_args().output)


if __name__ == "__main__":
    main()
