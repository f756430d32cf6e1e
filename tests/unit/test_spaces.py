"""A space in a name is a space, and one that does not show is a code."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fleetpmap.export.as_csv import write_csv
from fleetpmap.export.as_json import write_json
from fleetpmap.export.as_markdown import write_markdown
from fleetpmap.render import plain, table
from fleetpmap.report import page, processes
from snapshots import host, mapping, process, snapshot

ODD = " web  app "
"""A process may call itself so."""
SHOWN = r"\x20web \x20app\x20"


def _processes(name: str):
    return processes(snapshot(host("a", process(1, name, mapping("/srv/my app", Rss=3), arguments=("x", "-y")))))


def _screen(report) -> str:
    console = Console(width=300, file=io.StringIO())
    console.print(table(report))
    return console.file.getvalue()


def _written(write, report) -> str:
    file = io.BytesIO()
    write(report, file)
    return file.getvalue().decode()


def _html(name: str) -> str:
    pytest.importorskip("jinja2", reason="the extra [html]")
    from fleetpmap.catalogue import ViewOptions
    from fleetpmap.export.as_html import write_html
    from fleetpmap.report import VIEWS

    fleet = snapshot(host("a", process(1, name, mapping("/srv/my app", Rss=3), arguments=("x", "-y"))))
    return _written(write_html, page(VIEWS["processes"], fleet, ViewOptions()))


FORMATS = {
    "plain": lambda name: plain(_processes(name)),
    "table": lambda name: _screen(_processes(name)),
    "markdown": lambda name: _written(write_markdown, _processes(name)),
    "html": _html,
    "csv": lambda name: _written(write_csv, _processes(name)),
    "json": lambda name: _written(write_json, _processes(name)),
}


@pytest.mark.parametrize("written", FORMATS.values(), ids=FORMATS)
def test_a_space_in_a_name_is_a_space(written):
    """In every format."""
    text = written("Web Content")
    assert "Web Content" in text
    assert r"\x20" not in text


@pytest.mark.parametrize("written", [FORMATS[name] for name in ("plain", "table", "html")])
def test_a_space_that_does_not_show_is_a_code(written):
    """At the ends, where it looks like the space between columns, and behind another one."""
    text = written(ODD)
    assert SHOWN in text
    assert re.search(r"web\s+app", text) is None


@pytest.mark.parametrize("written", [FORMATS[name] for name in ("markdown", "csv", "json")])
def test_a_program_gets_the_name_as_it_is(written):
    """Quotes, commas and code spans tell where it begins and ends."""
    assert ODD in written(ODD)


@pytest.mark.parametrize("written", FORMATS.values(), ids=FORMATS)
def test_other_signs_that_do_not_show_stay_codes(written):
    """Control characters, bidi marks and spaces of no width, next to a space."""
    text = written("a \x1b[2J \u202e\u200b\u00a0b")
    assert "\x1b" not in text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert not {"\u202e", "\u200b", "\u00a0"} & set(text)
