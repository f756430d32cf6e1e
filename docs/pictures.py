"""The pictures of the page in the documentation.   the tests' fleets ─► a page ─► Chromium ─► docs/images/*.png

python docs/pictures.py        write them anew; needs chromium and chromedriver
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from browser import started  # noqa: E402 - it is in tests/support
from fleet_of_twenty import twenty_hosts  # noqa: E402 - it is in tests/support
from fleetpmap.export.as_html import write_html  # noqa: E402 - with the others
from fleetpmap.report import VIEWS, ViewOptions, page  # noqa: E402 - with the others

PICTURES = {
    "page-light.png": ("light", 1280, 1200),
    "page-dark.png": ("dark", 1280, 1000),
    "page-narrow.png": ("light", 390, 1100),
}
_COMMAND = "fleetpmap run -g web --match gunicorn -o page.html"


def main() -> None:
    """Write every picture."""
    with _page() as html, tempfile.TemporaryDirectory() as profile, started(Path(profile)) as browser:
        for name, (scheme, width, height) in PICTURES.items():
            browser.open(html, scheme=scheme, width=width, height=height)
            if scheme == "dark":
                browser.run("document.getElementById('h-hosts').scrollIntoView()")
            (DOCS / "images" / name).write_bytes(browser.picture())


@contextmanager
def _page() -> Iterator[Path]:
    fleet = twenty_hosts()
    fleet = replace(fleet, run=replace(fleet.run, command=_COMMAND))
    file = io.BytesIO()
    write_html(page(VIEWS["summary"], fleet, ViewOptions()), file)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "page.html"
        path.write_bytes(file.getvalue())
        yield path


if __name__ == "__main__":
    main()
