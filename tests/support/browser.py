"""A headless browser for tests of pages: Debian's chromium with software WebGL, driven through playwright."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--use-angle=swiftshader",  # WebGL without a GPU
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--mute-audio",
    "--disable-dev-shm-usage",  # /dev/shm of a container is small
)
_INLINE = ("data", "blob", "about")
_LOCAL = ("127.0.0.1", "localhost")
_PATIENCE = 180.0  # s; software WebGL shares two cores with the other tests, and their machine with other programs

Pixels = NDArray[np.int16]
"""[H, W, 3], signed, so that differences are right."""


@attrs.define(eq=False)
class Tab:
    """A page, what it wrote to the console as an error, and everything that it requested."""

    page: Any
    """The page of playwright."""
    errors: list[str] = attrs.Factory(list)
    requests: list[str] = attrs.Factory(list)

    def pixels(self, selector: str | None = None) -> Pixels:
        """Return the page, or one element, as it is on the screen now."""
        from PIL import Image

        target = self.page if selector is None else self.page.locator(selector).first
        image = Image.open(io.BytesIO(target.screenshot(animations="disabled")))
        return np.asarray(image.convert("RGB"), np.int16)

    def wait_for(self, holds: Callable[[], object], what: str) -> None:
        """Wait until a condition holds; the page works meanwhile."""
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {_PATIENCE:g} s in vain until {what}; console: {self.errors}")
            self.page.wait_for_timeout(50)

    def wait_until_still(self, selector: str | None = None) -> Pixels:
        """Wait until two pictures in a row are equal, and return the last one."""
        pictures = [self.pixels(selector)]

        def still() -> bool:
            self.page.wait_for_timeout(300)
            pictures.append(self.pixels(selector))
            return bool((pictures[-1] == pictures[-2]).all())

        self.wait_for(still, "the picture no longer changes")
        return pictures[-1]

    @property
    def outside(self) -> list[str]:
        """Requests that left this machine."""
        parts = [(urlsplit(url), url) for url in self.requests]
        return [url for part, url in parts if part.scheme not in (*_INLINE, "file") and part.hostname not in _LOCAL]

    def assert_clean(self) -> None:
        """Fail if the console has an error, or if something was requested from another machine."""
        assert self.errors == []
        assert self.outside == []


class Browser:
    """One process of chromium; every page gets a context of its own, without cookies or cache."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []

    def open_scene(self, url: str, *, width: int = 800, height: int = 420, dark: bool = False) -> Tab:
        """Open a page of viser, with a quarter of the pixels: software WebGL draws a robot in 0.3 s of CPU time."""
        tab = self.open(f"{url}?fixedDpr=0.5", width=width, height=height, dark=dark)
        tab.page.wait_for_selector("canvas")
        return tab

    def open(self, url: str, *, width: int = 1000, height: int = 700, dark: bool = False) -> Tab:
        """Open a page in a window of a size [pixels] and a colour scheme."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(_PATIENCE * 1000.0)
        self._contexts.append(context)
        page = context.new_page()
        tab = Tab(page)
        page.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.on("request", lambda request: tab.requests.append(request.url))
        page.on("websocket", lambda socket: tab.requests.append(socket.url))
        page.goto(url, wait_until="load")
        return tab

    def close_tabs(self) -> None:
        """Close all pages."""
        while self._contexts:
            self._contexts.pop().close()


def start_browser() -> Iterator[Browser]:
    """Start chromium, yield it, and end it. Skips without chromium, but fails in CI."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        message = "chromium is missing: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root needs --no-sandbox; the pages are the project's own
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS), chromium_sandbox=False)
        try:
            yield Browser(browser)
        finally:
            browser.close()
