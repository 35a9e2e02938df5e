"""The built documentation in headless Chromium: links, search, phone width, dark, no network."""

from __future__ import annotations

import functools
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import pytest

from browser import PATIENCE, Visit, chromium
from common import REPOSITORY

pytestmark = pytest.mark.heavy

SITE = REPOSITORY / "build" / "docs" / "site"
#: A page of each kind: home, guide, right to left, command, reference, lesson, wide tables.
PAGES = (
    "index.html",
    "own-photos.html",
    "start.fa.html",
    "commands/caption.html",
    "reference/negah.decoding.html",
    "course/attention.html",
    "metrics.html",
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The site, built by `make docs`, which fails on a warning, and served on loopback."""
    done = subprocess.run(
        ["make", "docs"], cwd=REPOSITORY, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def _pages() -> list[str]:
    return sorted(
        p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if p.name != "404.html"
    )


def test_every_link_and_picture_is_there(site: str, browser: Any) -> None:
    """Of every page, as the browser resolves them; those that lead to the web are only listed."""
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    missing: list[str] = []
    for name in _pages():
        page.goto(site + name, wait_until="domcontentloaded")
        targets = page.eval_on_selector_all(
            "a[href], img[src], link[href], script[src]",
            "found => found.map(e => [e.tagName, e.getAttribute('href') || e.getAttribute('src')])",
        )
        for tag, target in targets:
            url, _ = urldefrag(urljoin(site + name, target))
            if not url.startswith(site):
                # a link that a reader follows may lead elsewhere; nothing is loaded from there
                if tag != "A" and not url.startswith("data:"):
                    missing.append(f"{name} loads {target}")
                continue
            path = SITE / unquote(url.removeprefix(site))
            if not (path.is_file() or (path / "index.html").is_file()):
                missing.append(f"{name}: {target}")
    context.close()
    assert not missing, missing[:20]


def test_search_finds_a_term_without_a_network(site: str, browser: Any) -> None:
    visit = Visit(browser, site)
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("storyboards", delay=20)
    visit.page.get_by_text(re.compile(r"^\d+ results$")).wait_for()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(re.compile("storyboards"))
    visit.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_a_page_without_scrolling_sideways(
    site: str, browser: Any, name: str, scheme: str, tmp_path: Path
) -> None:
    visit = Visit(browser, site, viewport={"width": 375, "height": 740}, color_scheme=scheme)
    visit.page.goto(site + name)
    visit.page.wait_for_timeout(300)
    wide = visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(ground.removeprefix("rgba(").removeprefix("rgb(").split(",")[0])
    assert red < 128 if scheme == "dark" else red > 128, ground
    visit.close()


def test_persian_stands_from_the_right(site: str, browser: Any) -> None:
    visit = Visit(browser, site)
    visit.page.goto(site + "start.fa.html")
    assert visit.page.eval_on_selector("h1", "e => getComputedStyle(e).direction") == "rtl"
    visit.close()
