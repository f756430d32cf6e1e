"""escape: a host's text made safe to show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpmap.escape import escape, escape_word, unescape


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


def test_word_has_no_space():
    """A space is a code too, so that awk sees one field."""
    assert escape_word(r"Web \ Content") == r"Web\x20\\\x20Content"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\\xuU\x1b \udc80\udcff")))
def test_what_is_shown_can_beunescape(text):
    """Different texts stay different: the codes say which text it was."""
    assert unescape(escape(text)) == text
    assert unescape(escape_word(text)) == text


@given(st.text())
def test_what_is_shown_is_printable(text):
    """Nothing that comes out can move a cursor, and a word is a word."""
    assert escape(text).isprintable()
    assert " " not in escape_word(text)
