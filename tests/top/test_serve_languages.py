"""The service with models of two languages: who asks for one by its code gets it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from browser import Visit, chromium
from negah.captions import Caption
from negah.cli.main import run
from negah.runtime import Captioner
from negah.serve.wording import keywords_of, title_of
from serving import Client, photo_file, service

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PHOTO = photo_file(1)


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tiny_persian: Path) -> Iterator[Client]:
    models = {
        "negah": Captioner(tiny_bundle, threads=1),
        "negah-fa": Captioner(tiny_persian, threads=1),
    }
    with service(models) as client:
        yield client


def test_the_list_of_models_tells_their_languages(client: Client) -> None:
    rows = client.get("/v1/models").json["data"]
    found = [(row["id"], row["language"], row["direction"]) for row in rows]
    assert found == [("negah", "en", "ltr"), ("negah-fa", "fa", "rtl")]


def test_a_request_names_its_language(client: Client) -> None:
    persian = client.form(PHOTO, language="fa").json
    assert (persian["model"], persian["language"]) == ("negah-fa", "fa")
    assert persian == client.form(PHOTO, model="negah-fa").json
    english = client.form(PHOTO).json
    assert english["model"] == "negah"
    assert "language" not in english
    assert client.form(PHOTO, language="en", model="negah").json == english


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"language": "eo"}, 404, "no model here captions in 'eo'; there are en (English), fa ("),
        ({"language": "fa", "model": "negah"}, 422, "negah captions in English (en), and the lang"),
        ({"language": "x" * 40}, 422, "language"),
    ],
)
def test_a_language_that_is_not_there(
    fields: dict[str, str], status: int, reason: str, client: Client
) -> None:
    answer = client.form(PHOTO, **fields)
    assert answer.status == status
    assert reason in answer.json["detail"]


def test_titles_and_keywords_are_those_of_the_language() -> None:
    caption = Caption("یک سگ سیاه روی چمن سبز می‌دود و", -1.0, -1.0, (), language="fa")
    assert title_of(caption) == "یک سگ سیاه روی چمن سبز"
    assert keywords_of([caption])[:3] == ["سگ", "سیاه", "چمن"]


def test_languages_are_of_bundled_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--language", "fa", "--model", "negah-photo"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert run(["serve", "--language", "eo"]) == 2
    assert "no model in this installation captions in 'eo'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.heavy
def test_the_page_changes_language(browser: Browser, client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PHOTO)
    (tmp_path / "broken.png").write_bytes(PHOTO[:40])
    visit = Visit(browser, client.url, accept_downloads=True)
    page = visit.page
    page.set_default_timeout(60_000)
    page.wait_for_selector("#models input")
    assert page.locator("#language option").all_inner_texts() == ["English", "فارسی"]
    page.set_input_files("#files", [tmp_path / "a.png", tmp_path / "broken.png"])
    page.locator("#status").get_by_text("2 of 2 done, 1 failed", exact=True).wait_for()
    page.select_option("#language", "fa")
    assert page.evaluate("[document.documentElement.lang, document.dir]") == ["fa", "rtl"]
    assert page.title() == "نگاه: شرح برای عکس و ویدئو"
    assert page.locator("#status").inner_text() == "۲ از ۲ انجام شد، ۱ ناموفق"
    assert page.locator(".card.failed .state").inner_text().startswith("شرح ندارد: \u2068the photo")
    said = page.locator("[data-say~=text]:not(.failed .state)").all_inner_texts()
    assert len(said) > 20
    latin = set(re.findall("[A-Za-z]+", " ".join(said)))
    assert latin <= {"CSV", "Tab", "negah"}
    page.click("#clear")
    chosen = page.locator("#models input:checked")
    assert [one.get_attribute("value") for one in chosen.all()] == ["negah-fa"]
    page.set_input_files("#files", tmp_path / "a.png")
    page.wait_for_selector(".words button")
    said = client.form(PHOTO, language="fa").json["caption"]
    words = page.locator(".words")
    assert page.locator(".captions textarea").input_value() == said
    assert words.evaluate("it => [it.lang, getComputedStyle(it).direction]") == ["fa", "rtl"]
    places = [one.bounding_box() for one in page.locator(".words button").all()[:2]]
    assert places[0] is not None
    assert places[1] is not None
    assert places[0]["x"] > places[1]["x"], "the first word stands at the right"
    page.locator(".words button").first.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".words button").nth(1).evaluate("it => it === document.activeElement")
    told = page.locator(".told p")
    told.nth(1).wait_for()
    assert told.first.inner_text() == f"«{page.locator('.words button').nth(1).inner_text()}»"
    assert re.search(
        "مدل پس از واژه‌های پیشین به این واژه احتمال .*[۰-۹]٪ داد", told.nth(1).inner_text()
    )
    with page.expect_download() as download:
        page.click("#csv")
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("\ufeffpath,")
    assert json.dumps(visit.faults) == "[]"
    visit.close()
