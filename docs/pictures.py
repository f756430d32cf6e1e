"""The pictures in the documentation.   recorded fleets ─► a terminal, a page ─► docs/images/*

python docs/pictures.py            write them anew; the pages' need chromium and chromedriver
python docs/pictures.py --run      only those of a terminal: of runs, and of explore
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from rich.console import Console  # noqa: E402 - with the others
from rich.segment import Segment, Segments  # noqa: E402 - with the others
from rich.text import Text  # noqa: E402 - with the others

from browser import started  # noqa: E402 - it is in tests/support
from fleet_of_twelve import twelve_hosts  # noqa: E402 - it is in tests/support
from fleet_of_twenty import twenty_hosts  # noqa: E402 - it is in tests/support
from fleetpmap.explore.app import Explore  # noqa: E402 - with the others
from fleetpmap.explore.source import Source  # noqa: E402 - with the others
from fleetpmap.export.as_html import write_html  # noqa: E402 - with the others
from fleetpmap.report import VIEWS, ViewOptions, page  # noqa: E402 - with the others
from planted_runs import keep_planted  # noqa: E402 - it is in tests/support
from snippets import WIDTH, demo_directory, in_terminal, leaking_directory  # noqa: E402 - it is in tests/support

PICTURES = {
    "page-light.png": ("light", 1280, 1200),
    "page-dark.png": ("dark", 1280, 1000),
    "page-narrow.png": ("light", 390, 1100),
}
OVER_TIME = "page-over-time.png"
SPAN = "over_time=1794110400-1794369600"
"""Three days of the runs, in seconds since 1970, as the address of the page has them."""
COMMAND = "fleetpmap run -g web --match gunicorn"
ONE_LEAKS = {"run.svg": f"{COMMAND} --top 5"}
"""Pictures of a fleet in which one host stands apart, to the commands that they show; test_readme.py runs these."""
OF_THE_DEMO = {
    "compare.svg": f"{COMMAND} --view compare --top 8",
    "services.svg": "fleetpmap run -g web --unit gunicorn --view services --by host,service",
}
"""The same of the demo's fleet."""
EXPLORE = DOCS / "images" / "explore.svg"
LINES = 28
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Write every picture, or with --run only those of a terminal."""
    for terminals, fleet in ((ONE_LEAKS, leaking_directory), (OF_THE_DEMO, demo_directory)):
        with tempfile.TemporaryDirectory() as directory, fleet(Path(directory)):
            for name, command in terminals.items():
                shown = in_terminal(command, Path(directory), colours=True)
                (DOCS / "images" / name).write_text(as_svg(command, shown))
    EXPLORE.write_text(asyncio.run(screen_as_svg()))
    if "--run" not in sys.argv:
        _write_pages()


def as_svg(command: str, shown: str) -> str:
    """Draw a terminal in which `command` was typed and these lines, with their colours, were its answer."""
    console = _console()
    console.print(Text.from_ansi(f"$ \x1b[1m{command}\x1b[0m\n{shown}"))
    return _as_svg(console, "fleetpmap", "run")


async def screen_as_svg() -> str:
    """Draw the screen of explore: the hosts of a fleet, one of which leaks, and the cursor on it."""
    fleet, console = twenty_hosts(), _console()
    app = Explore(Source(name="the fleet", snapshot=fleet))
    async with app.run_test(size=(WIDTH, LINES)) as pilot:
        await pilot.press(*["down"] * 5)
        while app.busy:
            await pilot.pause(0.05)
        await pilot.pause(0.1)
        for line in app.screen._compositor.render_strips():  # not public; Textual's own picture fetches a font
            console.print(Segments([*line, Segment.line()]), end="")
    return _as_svg(console, "fleetpmap explore", "explore")


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")


def _as_svg(console: Console, title: str, name: str) -> str:
    svg = console.export_svg(title=title, unique_id=name)
    return _FONT.sub("", svg)  # a picture fetches nothing: the reader's own monospace font does


def _write_pages() -> None:
    with _page() as html, tempfile.TemporaryDirectory() as profile, started(Path(profile)) as browser:
        for name, (scheme, width, height) in PICTURES.items():
            browser.open(html, scheme=scheme, width=width, height=height)
            if scheme == "dark":
                browser.run("document.querySelector('.findings a').click()")
                browser.run("document.getElementById('s-hosts').scrollIntoView()")
                browser.drawn()
            (DOCS / "images" / name).write_bytes(browser.picture())
        with _history() as html:
            browser.open(html, width=1280, height=760)
            browser.run("location.hash = arguments[0]", SPAN)
            browser.run("document.getElementById('h-over-time').scrollIntoView()")
            (DOCS / "images" / OVER_TIME).write_bytes(browser.picture())


@contextmanager
def _history() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        runs, path = Path(directory) / "runs", Path(directory) / "history.html"
        runs.mkdir()
        keep_planted(runs)
        command = (sys.executable, "-m", "fleetpmap", "history", "runs", "-o", path.name, "--quiet")
        subprocess.run(command, cwd=directory, check=True)  # noqa: S603 - ours
        yield path


@contextmanager
def _page() -> Iterator[Path]:
    fleet = twelve_hosts()
    fleet = replace(fleet, run=replace(fleet.run, command="fleetpmap run -g web --all -o page.html"))
    file = io.BytesIO()
    write_html(page(VIEWS["summary"], fleet, ViewOptions(services=True)), file)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "page.html"
        path.write_bytes(file.getvalue())
        yield path


if __name__ == "__main__":
    main()
