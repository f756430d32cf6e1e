"""A real browser without a screen: Chromium, driven by selenium.   [browser] ─► tests"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# A page makes its parts one after the other when it has time.
_IS_READY = "return !document.getElementById('data') || document.documentElement.classList.contains('ready')"


class Browser:
    """One window."""

    def __init__(self, chromium: str, driver: str, profile: Path) -> None:
        self._runs_scripts = True
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.window = webdriver.Chrome(
            options=options, service=Service(driver, env=os.environ | {"HOME": str(profile)})
        )

    def open(self, page: Path, *, scheme: str = "light", width: int = 1280, height: int = 900) -> None:
        """Open a file in the colours of `scheme`, in a window of that many pixels, its logs empty; all made."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._tell("Emulation.setEmulatedMedia", media="", features=media)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._tell("Emulation.setDeviceMetricsOverride", **size)
        for log in ("browser", "performance"):
            self.window.get_log(log)
        self.window.get(page.as_uri())
        if self._runs_scripts:
            self.ready()

    def ready(self) -> None:
        """Wait until all parts of the page are made."""
        WebDriverWait(self.window, 30).until(lambda _: self.run(_IS_READY))

    def drawn(self) -> None:
        """Wait until what was done has been drawn."""
        self.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def allow_clipboard(self) -> None:
        """Let pages read the clipboard, so that a test sees what is there."""
        self._tell("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])

    def print_media(self) -> None:
        """Show the page as it is printed, until another one is opened."""
        self._tell("Emulation.setEmulatedMedia", media="print")

    def set_media(self, name: str, value: str) -> None:
        """Set one feature of the reader's system, `forced-colors: active`, until another page is opened."""
        self._tell("Emulation.setEmulatedMedia", media="", features=[{"name": name, "value": value}])

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns that runs in the page."""
        return self.window.execute_script(script, *arguments)

    @contextmanager
    def without_scripts(self) -> Iterator[None]:
        """Pages that are opened meanwhile run nothing."""
        self._tell("Emulation.setScriptExecutionDisabled", value=True)
        self._runs_scripts = False
        try:
            yield
        finally:
            self._runs_scripts = True
            self._tell("Emulation.setScriptExecutionDisabled", value=False)

    @contextmanager
    def at_time_zero(self) -> Iterator[None]:
        """Pages that are opened meanwhile stay as their first frame shows them: no animation goes on."""
        self._tell("Animation.enable")
        self._tell("Animation.setPlaybackRate", playbackRate=0)
        try:
            yield
        finally:
            self._tell("Animation.setPlaybackRate", playbackRate=1)
            self._tell("Animation.disable")

    def complaints(self) -> list[str]:
        """What the page has logged, since it was opened or asked last."""
        return [entry["message"] for entry in self.window.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that the page has asked for, since it was opened or asked last."""
        events = [json.loads(entry["message"])["message"] for entry in self.window.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def picture(self) -> bytes:
        """The window as a PNG."""
        shot = self.window.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        return base64.b64decode(shot["data"])

    def _tell(self, command: str, **arguments: object) -> None:
        self.window.execute_cdp_cmd(command, arguments)


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """A browser with a new, empty profile; where there is none the test is skipped, or fails if one is required."""
    chromium = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        if os.environ.get("FLEETPMAP_REQUIRE_BROWSER") == "1":
            pytest.fail("FLEETPMAP_REQUIRE_BROWSER=1, but there is no chromium with chromedriver")
        pytest.skip(reason="needs chromium and chromedriver (Debian: chromium-driver)")
    browser = Browser(chromium, driver, profile)
    try:
        yield browser
    finally:
        browser.window.quit()
