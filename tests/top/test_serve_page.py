"""The page of the service in headless Chromium, with real uploads."""

from __future__ import annotations

import base64
import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from browser import Visit, chromium
from negah.runtime import Captioner
from serving import Client, clip_file, photo_file, service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 60_000  # in milliseconds, as Playwright counts: machines may be slow
Visitor = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def client(captioner: Captioner) -> Iterator[Client]:
    with service({"tiny": captioner, "again": captioner}) as client:
        yield client


@pytest.fixture
def visit(browser: Browser, client: Client) -> Iterator[Visitor]:
    visits: list[Visit] = []

    def begin(**options: Any) -> Page:
        visits.append(Visit(browser, client.url, **options))
        visits[-1].page.set_default_timeout(SECONDS)
        visits[-1].page.wait_for_selector("#models input")
        return visits[-1].page

    yield begin
    for one in visits:
        one.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "photo.png").write_bytes(photo_file(1, (320, 200)))
    (folder / "clip.mp4").write_bytes(clip_file())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing of a photo")
    for number in range(50):
        (folder / f"many-{number:02}.png").write_bytes(photo_file(number, (96, 64)))
    return folder


def wait_for(page: Page, words: str) -> None:
    page.locator("#status").get_by_text(words, exact=True).wait_for()


def colours(picture: bytes) -> float:
    """How far a picture is from grey, 0 to 1, in the mean."""
    with Image.open(io.BytesIO(picture)) as image:
        return float(np.ptp(np.asarray(image.convert("RGB"), np.float64), axis=2).mean()) / 255


def shown(page: Page, number: int = 0) -> str:
    return page.locator(".caption textarea").nth(number).input_value()


def test_photo_clip_and_broken_file(
    visit: Visitor, files: Path, captioner: Captioner, tmp_path: Path
) -> None:
    page = visit(accept_downloads=True)
    names = ("photo.png", "clip.mp4", "broken.jpg")
    page.set_input_files("#files", [files / name for name in names])
    wait_for(page, "3 of 3 done, 1 failed")
    assert shown(page, 0) == captioner.caption(files / "photo.png").text
    assert shown(page, 1) == captioner.caption(files / "clip.mp4").text
    failed = page.locator(".card.failed")
    assert failed.locator(".name").inner_text() == "broken.jpg"
    assert "cannot be read" in failed.locator(".state").inner_text()

    words = page.locator(".card").nth(0).locator(".words button")
    assert " ".join(words.all_inner_texts()) == shown(page, 0)
    words.nth(1).hover()
    told = page.locator(".card").nth(0).locator(".told")
    told.get_by_text("probability").first.wait_for()
    assert "lit" in (page.locator(".card").nth(0).get_attribute("class") or "")
    figure = page.locator("figure").nth(0)
    lit = colours(figure.screenshot())
    page.mouse.move(0, 0)
    page.locator(".card.lit").wait_for(state="detached")
    # grey where the word does not come from, in colours where it does
    assert 0.02 < lit < 0.8 * colours(figure.screenshot())

    page.locator(".caption textarea").nth(0).fill('=a "corrected" text')
    with page.expect_download() as saved:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text("utf-8"))))
    assert rows[0] == {
        "path": "photo.png",
        "model": "tiny",
        "caption": '\'=a "corrected" text',
        "confidence": "",
        "language": "en",
    }
    assert [row["path"] for row in rows] == ["photo.png", "clip.mp4"]
    with page.expect_download() as saved:
        page.click("#sidecars")
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["photo.txt", "clip.txt"]
        assert archive.read("photo.txt").decode() == '=a "corrected" text\n'


def drag(page: Page, selector: str, files: list[Path]) -> Iterator[str]:
    """Drag files of the machine over an element and let go, as the system tells a browser of it."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(one) for one in files], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": data}
    session = page.context.new_cdp_session(page)
    for event in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": event, **place})
        if event != "dragEnter":
            yield event
    session.detach()


def test_photos_are_dropped_and_pasted(visit: Visitor, files: Path, captioner: Captioner) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    for event in drag(page, "#drop", [files / "photo.png", files / "clip.mp4"]):
        page.locator("#drop.over").wait_for(state="detached" if event == "drop" else "visible")
    wait_for(page, "2 of 2 done")
    page.evaluate(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const photo = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": photo })]);
        }""",
        base64.b64encode((files / "many-01.png").read_bytes()).decode(),
    )
    page.keyboard.press("Control+V")
    wait_for(page, "3 of 3 done")
    names = page.locator(".card .name").all_inner_texts()
    assert names == ["photo.png", "clip.mp4", "image.png"]
    found = [shown(page, number) for number in range(3)]
    photos = [files / name for name in ("photo.png", "clip.mp4", "many-01.png")]
    assert found == [captioner.caption(photo).text for photo in photos]
    # what is copied is pasted as words where there are words
    page.locator(".copy").first.click()
    words = f"{found[0][0].upper()}{found[0][1:]}."
    for _ in range(SECONDS // 50):  # what the button says it says for two seconds alone
        if page.evaluate("navigator.clipboard.readText()") == words:
            break
        page.wait_for_timeout(50)
    page.locator(".caption textarea").nth(1).fill("")
    page.locator(".caption textarea").nth(1).press("Control+V")
    assert shown(page, 1) == words
    assert page.locator(".card").count() == 3


@pytest.mark.heavy
def test_models_are_compared_and_options_heeded(
    visit: Visitor, files: Path, captioner: Captioner
) -> None:
    page = visit()
    page.check("input[value=again]")
    page.fill("#beam", "1")
    page.fill("#length", "4")
    page.set_input_files("#files", files / "photo.png")
    wait_for(page, "1 of 1 done")
    short = captioner.caption(files / "photo.png", beam=1, max_length=4).text
    assert [shown(page, 0), shown(page, 1)] == [short, short]
    assert page.locator(".model").all_inner_texts() == ["Caption by tiny", "Caption by again"]
    page.fill("#beam", "")
    page.fill("#length", "")
    page.uncheck("input[value=again]")
    page.click("#again")
    page.locator(".caption").nth(1).wait_for(state="detached")
    wait_for(page, "1 of 1 done")
    assert page.locator(".caption").count() == 1
    assert shown(page) == captioner.caption(files / "photo.png").text


@pytest.mark.heavy
def test_fifty_photos_then_cancelled_then_cleared(visit: Visitor, files: Path) -> None:
    page = visit()
    many = sorted(files.glob("many-*.png"))
    page.set_input_files("#files", many)
    wait_for(page, "50 of 50 done")
    assert page.locator(".caption").count() == 50
    page.set_input_files("#files", many)
    page.click("#cancel")
    page.locator("#cancel:disabled").wait_for()
    said = page.locator("#status").inner_text()
    found = re.fullmatch(r"100 of 100 done, (\d+) failed", said)
    assert found, said
    assert int(found[1]) >= 1
    assert page.get_by_text("cancelled", exact=True).count() == int(found[1])
    page.click("#clear")
    assert page.locator(".card").count() == 0
    assert page.locator("#work").is_hidden()


def press_until(page: Page, selector: str, key: str = "Tab") -> None:
    for _ in range(30):
        page.keyboard.press(key)
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


@pytest.mark.heavy
def test_keyboard_only(visit: Visitor, files: Path) -> None:
    page = visit()
    page.on("filechooser", lambda chooser: chooser.set_files(files / "photo.png"))
    press_until(page, "#files")
    page.keyboard.press("Enter")
    wait_for(page, "1 of 1 done")
    press_until(page, ".caption textarea")
    page.keyboard.press("End")
    page.keyboard.type(" today")
    assert shown(page).endswith(" today")
    press_until(page, ".words button")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".card.lit")
    second = page.locator(".words button").nth(1).inner_text()
    assert f"“{second}”" in page.locator(".told").inner_text()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    press_until(page, ".copy")
    page.keyboard.press("Enter")
    page.locator(".copy").get_by_text(re.compile("Copied|Press Ctrl-C")).wait_for()


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_light_and_a_phone(visit: Visitor, files: Path, scheme: str) -> None:
    page = visit(color_scheme=scheme, viewport={"width": 360, "height": 740}, has_touch=True)
    page.set_input_files("#files", [files / "photo.png", files / "broken.jpg"])
    wait_for(page, "2 of 2 done, 1 failed")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(int(number) for number in re.findall(r"\d+", ground)[:3]) > 3 * 128
    assert bright == (scheme == "light")
    page.locator(".words button").nth(1).tap()
    page.wait_for_selector(".card.lit")
    low = page.evaluate(
        """() => [...document.querySelectorAll('button, #drop label, textarea')]
            .filter((one) => one.offsetHeight && one.offsetHeight < 24).length"""
    )
    assert low == 0
