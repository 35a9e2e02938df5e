"""The page to review captions in headless Chromium: corrected, saved, applied."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from browser import Visit, chromium
from negah.captions import Caption, Word
from negah.cli.contact_sheet import HtmlWriter
from negah.cli.main import run
from negah.cli.writers import OutputFormat, OutputLayout, RowBuffer
from negah.metadata import Naming, Packet, sidecar_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With three photos and their page."""
    monkeypatch.chdir(tmp_path)
    rows = RowBuffer()
    writer = HtmlWriter(rows, OutputLayout(OutputFormat.HTML, model="tiny"))
    for number, confidence in enumerate((0.9, 0.4, 0.1)):
        path = Path(f"{number}.jpg")
        Image.linear_gradient("L").rotate(90 * number).convert("RGB").save(path)
        words = (Word("a", -1.0), Word("dog", -1.0, seen=confidence))
        other = Caption("a cat", -2.0, -4.0, words)
        caption = Caption("a dog", -1.0, -2.0, words, (0.0,), (other,), confidence=confidence)
        writer.write(path, caption)
    writer.finish()
    Path("review.html").write_text(rows.text, encoding="utf-8")
    return tmp_path


def test_corrections_come_where_captions_are_kept(browser: Browser, folder: Path) -> None:
    visit = Visit(browser, (folder / "review.html").as_uri(), accept_downloads=True)
    page = visit.page
    assert page.locator("#count").inner_text() == "3 of 3 shown, 0 corrected"
    assert page.locator(".unsure").all_inner_texts() == ["dog", "dog"]
    legend = page.locator(".legend li:visible")
    assert [text.split("\n")[0] for text in legend.all_inner_texts()] == [
        *("word", "%", "Instead:"),
        "You have corrected the caption in a card with this frame.",
    ]
    assert page.locator("#save").is_disabled()
    page.locator("#range").fill("50")
    assert page.locator("#count").inner_text() == "2 of 3 shown, 0 corrected"
    page.locator(".card textarea").nth(1).fill('=a "horse", grazing')
    page.locator(".card").nth(2).locator(".others button").click()
    page.check("#only")
    assert page.locator("#count").inner_text() == "2 of 3 shown, 2 corrected"
    with page.expect_download() as saved:
        page.click("#save")
    saved.value.save_as("corrections.csv")
    with Path("corrections.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["caption"] for row in rows] == ['\'=a "horse", grazing', "a cat"]
    assert {row["by"] for row in rows} == {"person"}
    with page.expect_download() as saved:
        page.click("#all")
    saved.value.save_as("all.csv")
    visit.close()

    assert run(["apply", "all.csv"]) == 0
    packets = [Packet(sidecar_of(Path(f"{n}.jpg"), Naming.FULL).read_bytes()) for n in range(3)]
    assert [one.description for one in packets] == ["a dog", '=a "horse", grazing', "a cat"]
    assert [one.is_own for one in packets] == [True, False, False]
    assert packets[0].model == "tiny"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_legend_explains_the_marks_that_there_are(
    browser: Browser, folder: Path, width: int
) -> None:
    rows = RowBuffer()
    writer = HtmlWriter(rows, OutputLayout(OutputFormat.HTML, model="tiny"))
    writer.write(Path("0.jpg"), Caption("a dog", -1.0, -2.0, (Word("a", -1.0), Word("dog", -1.0))))
    writer.finish()
    Path("plain.html").write_text(rows.text, encoding="utf-8")
    for name, rows_shown in (("review.html", 4), ("plain.html", 1)):
        size = {"width": width, "height": 800}
        visit = Visit(browser, (folder / name).as_uri(), viewport=size)
        assert visit.page.locator(".legend li:visible").count() == rows_shown
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        visit.close()
