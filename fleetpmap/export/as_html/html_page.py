"""A report as one page that opens offline.   report ─► [as_html] ─► file

    treemap   memory as areas            tables     cells as texts and classes
    heat      who stands apart           sections   what stands on the page, in order
    page.html, page.css, page.js         how it looks; sorting and searching

The page holds all it needs and asks nobody: a Content-Security-Policy forbids every request, and allows only this style
and this script, by their hashes. No text of a host's is ever markup: whatever the template shows passes `escape`, as
in every format, and then Jinja's autoescaping. The extra [html] brings Jinja and squarify.
"""

from __future__ import annotations

import base64
import hashlib
from typing import BinaryIO

from fleetpmap.escape import escape
from fleetpmap.report.model import Report
from fleetpmap.version import __version__


def write_html(report: Report, file: BinaryIO) -> None:
    """Write the page of the report, and of the reports beside it."""
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
