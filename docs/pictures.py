"""The pictures in the documentation.   the demo's fleet ─► a terminal, a page ─► docs/images/*

python docs/pictures.py            write them anew; the page's need chromium and chromedriver
python docs/pictures.py --run      only the picture of a run
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from rich.console import Console  # noqa: E402 - with the others
from rich.text import Text  # noqa: E402 - with the others

from browser import started  # noqa: E402 - it is in tests/support
from fleet_of_twenty import twenty_hosts  # noqa: E402 - it is in tests/support
from fleetpmap.export.as_html import write_html  # noqa: E402 - with the others
from fleetpmap.report import VIEWS, ViewOptions, page  # noqa: E402 - with the others
from snippets import WIDTH, demo_directory, in_terminal  # noqa: E402 - it is in tests/support

PICTURES = {
    "page-light.png": ("light", 1280, 1200),
    "page-dark.png": ("dark", 1280, 1000),
    "page-narrow.png": ("light", 390, 1100),
}
RUN = DOCS / "images" / "run.svg"
COMMAND = "fleetpmap run -g web --match gunicorn"
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Write every picture, or with --run only that of a run."""
    with tempfile.TemporaryDirectory() as directory, demo_directory(Path(directory)):
        RUN.write_text(as_svg(COMMAND, in_terminal(COMMAND, Path(directory), colours=True)))
    if "--run" not in sys.argv:
        _write_pages()


def as_svg(command: str, shown: str) -> str:
    """Draw a terminal in which `command` was typed and these lines, with their colours, were its answer."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ \x1b[1m{command}\x1b[0m\n{shown}"))
    svg = console.export_svg(title="fleetpmap", unique_id="run")
    return _FONT.sub("", svg)  # a picture fetches nothing: the reader's own monospace font does


def _write_pages() -> None:
    with _page() as html, tempfile.TemporaryDirectory() as profile, started(Path(profile)) as browser:
        for name, (scheme, width, height) in PICTURES.items():
            browser.open(html, scheme=scheme, width=width, height=height)
            if scheme == "dark":
                browser.run("document.getElementById('h-hosts').scrollIntoView()")
            (DOCS / "images" / name).write_bytes(browser.picture())


@contextmanager
def _page() -> Iterator[Path]:
    fleet = twenty_hosts()
    fleet = replace(fleet, run=replace(fleet.run, command=f"{COMMAND} -o page.html"))
    file = io.BytesIO()
    write_html(page(VIEWS["summary"], fleet, ViewOptions()), file)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "page.html"
        path.write_bytes(file.getvalue())
        yield path


if __name__ == "__main__":
    main()
