"""Headless Chromium for tests of pages, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Milliseconds that a page may take on a busy machine; Playwright's own 30 seconds are too few.
PATIENCE = 180_000
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine, or that of Playwright; without one, tests are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright (extra dev)")
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
        except playwright.Error as error:
            pytest.skip(f"no Chromium is installed: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


class Visit:
    """A page, and what it should never do: load from elsewhere, or fail in its script.

    Args:
        browser: that opens it.
        url: of the page.
        options: of Playwright's ``new_context``.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(PATIENCE)
        self.page: Page = self._context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self._look(request.url, url))
        # a page that asks whether it may be left is left
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(url)

    def _hear(self, message: Any) -> None:
        # the answer to a broken file is an error, and shown as one
        if message.type == "error" and "status of 4" not in message.text:
            self.faults.append(message.text)

    def _look(self, asked: str, url: str) -> None:
        if not asked.startswith((url, "blob:", "data:")):
            self.faults.append(f"loads {asked}")

    def close(self) -> None:
        """Leave the page; it must have been without fault."""
        self._context.close()
        assert not self.faults, self.faults
