"""The page of a report, put together.   report ─► page_sections ─► [html_page] ─► file

The page holds all it needs and sends no request: a Content-Security-Policy forbids every one, and allows only this
style and this script, by their hashes. A host's text is never markup: whatever the template prints passes `escape`, as
in every format, and then Jinja's autoescaping.

page.html includes the files of parts/, in the order of the page. The files of STYLES become one style and those of
SCRIPTS one script, in which each file is a block of its own, but for those of SHARED, whose names all others see.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import BinaryIO

from fleetpmap.escape import escape, escape_cell
from fleetpmap.report.model import Report
from fleetpmap.version import __version__

SHARED = ("state.js", "format.js", "data.js", "rows.js", "virtual_rows.js")
SCRIPTS = (*SHARED, "tables.js", "findings.js", "heat.js", "treemap.js", "over_time.js")
STYLES = ("page.css", "tables.css", "heat.css", "treemap.css", "over_time.css", "limits.css")

_COMMAND = re.compile(r"`([^`]+)`")
"""A command in a sentence."""


def write_html(report: Report, file: BinaryIO) -> None:
    """Write the page of the report and its further reports."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    from fleetpmap.export.as_html.page_data import embedded
    from fleetpmap.export.as_html.page_sections import page_of
    from fleetpmap.units import human

    def safe(value: object) -> object:
        return escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        autoescape=True,
        finalize=safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: _read("parts", name)),
    )
    environment.filters["shown"] = lambda text: Markup.escape(escape_cell(text))
    environment.filters["sentence"] = lambda text: Markup(  # noqa: S704 - escaped before
        _COMMAND.sub(r"<code>\1</code>", str(Markup.escape(escape(text))))
    )
    page = page_of(report)
    style = "".join(_read("styles", name) for name in STYLES)
    script = "".join(_script(name) for name in SCRIPTS)
    environment.globals["human"] = human
    template = environment.from_string(_read("page.html"))
    pieces = template.generate(
        page=page,
        version=__version__,
        style=Markup(style),  # noqa: S704 - ours: no text of a host's is in it
        script=Markup(script),  # noqa: S704 - ours, as it is in the files
        data=Markup(embedded(page.data)),  # noqa: S704 - `embedded` leaves no character that begins markup
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )
    for piece in pieces:
        file.write(piece.encode())


def _script(name: str) -> str:
    text = _read("scripts", name)
    return text if name in SHARED else f"{{\n{text}}}\n"


def _read(*names: str) -> str:
    from importlib.resources import files

    return files(__package__ or "").joinpath(*names).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
