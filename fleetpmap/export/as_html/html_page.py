"""The page of a report, put together.   report ─► page_sections ─► [html_page] ─► file

The page holds all it needs and sends no request: a Content-Security-Policy forbids every one, and allows only this
style and this script, by their hashes. A host's text is never markup: whatever the template prints passes `escape`, as
in every format, and then Jinja's autoescaping.
"""

from __future__ import annotations

import base64
import hashlib
from typing import BinaryIO

from fleetpmap.escape import escape, escape_cell
from fleetpmap.report.model import Report
from fleetpmap.version import __version__


def write_html(report: Report, file: BinaryIO) -> None:
    """Write the page of the report and its further reports."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from fleetpmap.export.as_html.page_sections import page_of
    from fleetpmap.export.as_html.treemap import tile_id
    from fleetpmap.units import human

    def safe(value: object) -> object:
        return escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True, finalize=safe, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = lambda text: Markup.escape(escape_cell(text))
    page = page_of(report)
    style = f"{_read('page.css')}\n{page.rules_wide}\n@media (max-width: 40rem) {{{page.rules_narrow}}}\n"
    script = _read("page.js")
    template = environment.from_string(_read("page.html"), globals={"human": human, "tile_id": tile_id})
    pieces = template.generate(
        page=page,
        version=__version__,
        style=Markup(style),  # noqa: S704 - ours: no text of a host's is in it
        script=Markup(script),  # noqa: S704 - ours, as it is in the file
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )
    for piece in pieces:
        file.write(piece.encode())


def _read(name: str) -> str:
    from importlib.resources import files

    return (files(__package__ or "") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
