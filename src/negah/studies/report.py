"""All studies in one self-contained HTML file: no script, no network, figures inside.

It is made from the JSON files and figures that studies leave, so it needs no training.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from negah.errors import DataError
from negah.files import write_json, write_text
from negah.studies import STUDIES, find_study
from negah.studies.numbers import renew_numbers
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results

_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def write_report(folder: Path, path: Path) -> list[str]:
    """Write the report of all studies whose results lie in a folder.

    Args:
        folder: holds ``NAME.json`` and ``NAME-*.png``.
        path: of the HTML file.

    Returns:
        the names of the studies that are in it.

    Raises:
        DataError: there is none.
    """
    found = read_results(folder)
    names = list(found)
    if not names:
        raise DataError(f"{folder} holds no results of a study, such as three-cases.json.")
    sections = [_section(name, found[name], folder) for name in names]
    contents = "".join(
        f'<li><a href="#{name}">{_text(_title(name, found[name]))}</a></li>' for name in names
    )
    body = (
        "<h1>What each component of a captioner contributes</h1>\n"
        "<p>Studies of recurrent captioners with Negah. The list at the top of each study is "
        "generated from its numbers. ± is half the width of a 95% interval of Student's t over "
        "seeds; differences are paired by seed. The interval covers other trainings on the same "
        "photos, not other photos. It is not corrected for multiple comparisons: of twenty "
        "comparisons without a true difference, about one is expected to appear "
        "significant.</p>\n"
        f"{_warning(found)}<nav><ol>{contents}</ol></nav>\n" + "\n".join(sections)
    )
    write_text(path, _page(body))
    return names


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """The results of studies that lie in a folder, by name, in the order of the report.

    Raises:
        DataError: a file is damaged.
    """
    paths = {name: folder / f"{name}.json" for name in STUDIES}
    return {name: _results(path) for name, path in paths.items() if path.is_file()}


def renew_words(folder: Path) -> None:
    """Generate the words of the results anew: title, question, claim and verdicts.

    The numbers stay, and results whose words are current are not written.

    Args:
        folder: holds ``NAME.json``.

    Raises:
        DataError: a file is damaged.
    """
    for name, results in read_results(folder).items():
        study = find_study(name)
        words = {
            "title": study.title,
            "question": study.question,
            "claim": study.claim,
            "verdicts": study.verdicts(Results(results)),
        }
        if {**results, **words} != results:
            write_json(folder / f"{name}.json", {**results, **words})


def renew_pages(folder: Path, others: Iterable[Path] = ()) -> None:
    """Renew the pages of a folder from its results, and the numbers in other texts.

    Args:
        folder: holds ``NAME.json``, and maybe pages, in which the numbers and, in ``NAME.md``, the
            tables are made again.
        others: texts elsewhere; ``.fa.md`` are written with Persian digits.

    Raises:
        DataError: a text names a number or a table that the results do not have.
    """
    found = read_results(folder)
    for page in sorted([*folder.glob("*.md"), *others]):
        text = page.read_text(encoding="utf-8")
        renewed = text
        if page.parent == folder and page.stem in found:
            renewed = renew(text, made_parts(find_study(page.stem), found[page.stem]))
        renewed = renew_numbers(renewed, found, persian=page.name.endswith(".fa.md"))
        if renewed != text:
            write_text(page, renewed)


def _warning(found: Mapping[str, Mapping[str, Any]]) -> str:
    quick = [name for name, results in found.items() if results.get("quick")]
    if not quick:
        return ""
    return (
        f'<p class="warning">Run with --quick: the results of {_text(", ".join(quick))} are not '
        "meaningful; for testing only.</p>"
    )


def _section(name: str, results: Mapping[str, Any], folder: Path) -> str:
    parts = made_parts(find_study(name), results)
    setting, verdicts = parts.pop("setting"), parts.pop("verdicts")
    tables = "".join(
        f"<h3>{_text(title.replace('-', ' '))}</h3>{markdown_to_html(table)}"
        for title, table in parts.items()
        if table
    )
    figures = "".join(_figure(path) for path in sorted(folder.glob(f"{name}-*.png")))
    question, claim = results.get("question", STUDIES[name]), results.get("claim", "")
    said = f'<p class="claim">Claim tested: {_text(claim)}</p>' if claim else ""
    command = results.get("command", f"negah study {name}")
    return (
        f'<section id="{name}"><h2>{_text(_title(name, results))}</h2>\n'
        f'<p class="question">{_text(question)}</p>{said}\n'
        f'<div class="verdict">{markdown_to_html(verdicts)}</div>\n{tables}{figures}'
        f"<details><summary>Setting</summary><p>{_inline(setting)}</p>"
        f"<p><code>{_text(command)}</code></p></details></section>"
    )


def _title(name: str, results: Mapping[str, Any]) -> str:
    return str(results.get("title", STUDIES[name][0].upper() + STUDIES[name][1:]))


def _figure(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    words = path.stem.replace("-", " ")
    return f'<figure><img alt="{_text(words)}" src="data:image/png;base64,{data}"></figure>'


def markdown_to_html(text: str) -> str:
    """Tables, lists and paragraphs, as the made parts of pages use them."""
    blocks = [block.splitlines() for block in text.strip().split("\n\n") if block.strip()]
    return "".join(_block(lines) for lines in blocks)


def _block(lines: Sequence[str]) -> str:
    if lines[0].startswith("|"):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
        head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
            for row in rows[2:]
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroll">{table}</div>'
    if lines[0].startswith("- "):
        items = "".join(f"<li>{_inline(line.removeprefix('- '))}</li>" for line in lines)
        return f"<ul>{items}</ul>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _inline(text: str) -> str:
    marked = _CODE.sub(r"<code>\1</code>", _text(text))
    return _BOLD.sub(r"<strong>\1</strong>", marked)


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _page(body: str) -> str:
    style = (resources.files("negah.studies") / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Negah: the studies</title><style>{style}</style></head>\n<body>\n{body}\n"
        "<footer>Generated by <code>negah study report</code>.</footer>\n</body></html>\n"
    )


def _results(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no results of a study.")
    return found
