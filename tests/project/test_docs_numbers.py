"""Every number that the documentation of the studies claims stands in a JSON file of theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.errors import DataError
from negah.studies import STUDIES, find_study
from negah.studies.numbers import renew_numbers, without_numbers
from negah.studies.pages import made_parts, renew, written_text
from negah.studies.report import read_results

DOCS = REPOSITORY / "docs"
STUDY_PAGES = [name for name in STUDIES if (DOCS / "studies" / f"{name}.json").is_file()]
QUESTIONS = sorted(DOCS.glob("questions*.md"))

#: A measurement as people would type it: a number with a decimal point, a percentage, an interval.
_MEASURED = re.compile(r"[0-9۰-۹]+[.٫][0-9۰-۹]+|[0-9۰-۹]+ ?[%٪]|± ?[0-9۰-۹]")
#: What is no measurement: code, links, formulas, and lines that tell what others have published
#: or what an option is.
_ELSEWHERE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|^ {4}.*?$|<!-- given -->.*?<!-- end -->",
                        re.DOTALL | re.MULTILINE)  # fmt: skip


@pytest.mark.parametrize("name", STUDY_PAGES)
def test_pages_are_made_from_the_results(name: str) -> None:
    text = (DOCS / "studies" / f"{name}.md").read_text("utf-8")
    results = read_results(DOCS / "studies")[name]
    assert renew(text, made_parts(find_study(name), results)) == text, (
        "run: negah study report --output docs/studies"
    )


@pytest.mark.parametrize("page", [*QUESTIONS, *sorted((DOCS / "studies").glob("*.md"))], ids=str)
def test_numbers_in_texts_are_those_of_the_results(page: Path) -> None:
    text = page.read_text("utf-8")
    persian = page.name.endswith(".fa.md")
    assert renew_numbers(text, read_results(DOCS / "studies"), persian=persian) == text


@pytest.mark.parametrize("page", [*QUESTIONS, *sorted((DOCS / "studies").glob("*.md"))], ids=str)
def test_numbers_without_results_are_empty(page: Path) -> None:
    filled = re.findall(r"<!-- n: ([\w-]+) [^>]*-->[^<]", page.read_text("utf-8"))
    assert set(filled) <= set(read_results(DOCS / "studies"))


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=str)
def test_numbers_do_not_break_paragraphs(page: Path) -> None:
    """A line that begins with a comment is a block of HTML (CommonMark 4.6, kind 2)."""
    assert not re.search(r"^ {0,3}<!-- n:", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=str)
def test_numbers_do_not_break_tables(page: Path) -> None:
    """A place is full of "|", which end the cells of a table (GitHub Flavored Markdown 4.10)."""
    assert not re.search(r"^ *\|.*<!-- n:", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", QUESTIONS, ids=str)
def test_no_measurement_is_typed_by_hand(page: Path) -> None:
    text = without_numbers(written_text(page.read_text("utf-8")))
    assert not _MEASURED.findall(_ELSEWHERE.sub("", text))


def test_a_typed_measurement_would_be_found() -> None:
    for typed in ("CIDEr-D 40.1", "about 85%", "3 ± 1", "۸۵٪", "۴۰٫۱"):
        assert _MEASURED.search(typed), typed


@pytest.mark.parametrize("name", STUDY_PAGES)
def test_results_are_full_ones_with_their_setting(name: str) -> None:
    results = json.loads((DOCS / "studies" / f"{name}.json").read_text("utf-8"))
    assert not results.get("quick"), "the results of a quick run"
    assert len(results["options"]["seeds"]) >= 3
    assert results["verdicts"]


RESULTS = {
    "gru-gates": {
        "cells": [
            {
                "variant": v,
                "seed": s,
                "values": {"cider_d": n + s},
                "curves": {"recalled": [[5, n], [10, n + 2 * s]]},
                "extra": {"photos": {"cider_d": [n + s + photo for photo in range(16)]}},
            }
            for n, v in ((40.0, "GRU"), (42.5, "GRU without reset gate"))
            for s in (0, 1, 2)
        ],
        "facts": {"proof": {"cases": 1000, "rows": [{"largest": 0.0}]}},
    }
}


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("gru-gates | mean | GRU | cider_d", "41.0 ± 2.5"),
        ("gru-gates | difference | GRU without reset gate | GRU | cider_d", "+2.5"),
        (
            "gru-gates | photos | GRU without reset gate | GRU | cider_d",
            "+2.5 to +2.5, p < 0.001",
        ),
        ("gru-gates | curve | GRU | recalled | 10 | 1", "42.0 ± 5.0"),
        ("gru-gates | fact | proof.cases | 0", "1,000"),
        ("gru-gates | fact | proof.rows.0.largest | 1", "0.0"),
    ],
)
def test_numbers_are_found_by_their_place(place: str, number: str) -> None:
    text = f"It is <!-- n: {place} -->?<!-- /n -->."
    assert renew_numbers(text, RESULTS, persian=False).endswith(f"-->{number}<!-- /n -->.")
    persian = renew_numbers(text, RESULTS, persian=True)
    assert not re.search(r"[0-9]", persian.partition("-->")[2].partition("<!--")[0])


@pytest.mark.parametrize(
    "place",
    [
        "gru-gate | mean | GRU | cider_d",
        "gru-gates | mean | LSTM | cider_d",
        "gru-gates | median | GRU | cider_d",
        "gru-gates | photos | GRU | GRU without reset gate | nats",
        "gru-gates | fact | proof.none | 0",
        "gru-gates | curve | GRU | recalled | 7 | 1",
        "gru-gates",
    ],
)
def test_places_of_no_number_are_refused(place: str) -> None:
    with pytest.raises(DataError, match=re.escape(place.split(" | ")[0])):
        renew_numbers(f"<!-- n: {place} --><!-- /n -->", RESULTS, persian=False)
