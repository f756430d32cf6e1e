"""escape: a host's text made safe to show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpmap.escape import escape, escape_cell, unescape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/usr/lib/libc.so.6", "/usr/lib/libc.so.6"),
        ("café €", "café €"),
        ("\x1b[2J\r\n\x7f", r"\x1b[2J\x0d\x0a\x7f"),
        ("\x9b", r"\u009b"),
        ("a\u202eb", r"a\u202eb"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("not\udcffutf8", r"not\xffutf8"),
        ("tag\U000e0041", r"tag\U000e0041"),
        (r"a\012b", r"a\012b"),
        (r"C:\x", r"C:\\x"),
        ("\\\x1b", r"\\\x1b"),
        ("\\\\", r"\\" + "\\"),
        ("end\\", "end\\"),
    ],
    ids=lambda text: ascii(text),
)
def test_what_is_shown(text, shown):
    """Printable text stays; a control, bidi, zero-width or undecodable character is its code."""
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Web Content", "Web Content"),
        (" web", r"\x20web"),
        ("web ", r"web\x20"),
        ("a   b", r"a \x20\x20b"),
        (" ", r"\x20"),
        ("web \x1b", r"web \x1b"),
        ("a\\ ", r"a\\\x20"),
        ("", ""),
    ],
    ids=ascii,
)
def test_a_cell_shows_every_space(text, shown):
    """A space between two words is itself; one that no reader would see or count is a code."""
    assert escape_cell(text) == shown


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\\xuU\x1b \udc80\udcff")))
def test_what_is_shown_can_be_unescaped(text):
    """Different texts stay different: the codes say which text it was."""
    assert unescape(escape(text)) == text
    assert unescape(escape_cell(text)) == text


@given(st.text())
def test_what_is_shown_is_printable(text):
    """Nothing that comes out can move a cursor, and no cell holds two spaces."""
    assert escape(text).isprintable()
    cell = escape_cell(text)
    assert "  " not in cell
    assert cell == cell.strip(" ")
