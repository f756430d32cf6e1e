"""What a reader sees while a page opens: the words, then the sections; an anchor of the address stays in sight."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from browser import Browser
from fleet_of_twelve import twelve_hosts
from fleetpmap.export.as_html import write_html
from fleetpmap.report import VIEWS, ViewOptions, page


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of twelve hosts with two services."""
    file = io.BytesIO()
    write_html(page(VIEWS["summary"], twelve_hosts(), ViewOptions(services=True)), file)
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(file.getvalue())
    return path


def seen(browser: Browser) -> list[str]:
    """The headings and the sentence at the top, as far as they are laid out to be seen."""
    return browser.run(
        "return [...document.querySelectorAll('h1, h2')].filter((one) => "
        "one.checkVisibility({contentVisibilityAuto: true})).map((one) => one.textContent.split(',')[0])"
    )


def test_the_first_frame_is_the_words_and_the_findings(browser: Browser, twelve: Path):
    """A browser lays out the sections in the frame after it: what stands out does not wait for tables and charts."""
    with browser.without_scripts(), browser.at_time_zero():
        browser.open(twelve)
        assert seen(browser) == ["2 services take 3 GiB on 12 hosts", "What stands out", "Coverage"]
    with browser.without_scripts():
        browser.open(twelve, height=8000)
        WebDriverWait(browser.window, 30).until(lambda _: len(seen(browser)) == 10)
    browser.open(twelve)
    assert len(seen(browser)) == 10


def test_an_anchor_is_in_sight_when_all_is_made(browser: Browser, twelve: Path):
    """The parts above it get their heights later, and do not push it away."""
    top = "return Math.round(document.getElementById('s-processes').getBoundingClientRect().top)"
    browser.open(twelve)
    browser.window.get("about:blank")
    browser.window.get(f"{twelve.as_uri()}#s-processes")
    browser.ready()
    assert browser.run(top) == 0
