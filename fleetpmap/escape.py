r"""A host's text made safe to show.   [escape] ─► render, export, cli

A process can choose any name: one that moves the cursor, reverses the line or looks like another name. So every text
from a host passes through here on its way out, and becomes printable:

    a control character below U+0080, or a byte that is not UTF-8     \xNN
    a control above, a bidi mark, a zero-width or private character   \uNNNN or \UNNNNNNNN
    a backslash that would read as one of these, or as a pair         \\

`str.isprintable` decides what is printable. Different texts stay different, and any other backslash stays single, so
that the kernel's own `\012` in a path looks as it does in smaps.
"""

from __future__ import annotations

import re

_SPECIAL_AFTER_BACKSLASH = ("\\", "x", "u", "U")
_HIDDEN_SPACE = re.compile(r"\A | \Z|(?<= ) ")
_CODES = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def escape(text: str) -> str:
    """Return the text on one line, printable, with its spaces."""
    if text.isprintable() and "\\" not in text:
        return text
    return _escape([char if char.isprintable() else _code(char) for char in text])


def escape_cell(text: str) -> str:
    r"""Return the escaped text for a table, where columns stand two spaces apart.

    A single space stays. At an end of the text, or behind another space, it is `\x20`: it would look like the space
    between columns, and like another text.
    """
    hidden = {match.start() for match in _HIDDEN_SPACE.finditer(text)}
    if not hidden:
        return escape(text)
    return _escape([char if char.isprintable() and at not in hidden else _code(char) for at, char in enumerate(text)])


def unescape(text: str) -> str:
    """Return the text from which `escape` or `escape_cell` made this one."""
    return _CODES.sub(_character, text) if "\\" in text else text


def is_from_bytes(text: str) -> bool:
    """Return True if the text can be decoded bytes: its only surrogates are those that surrogateescape makes."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


_IN_ASCII = {"≤": "up to", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "±": "+-", "─": "-"}


def in_ascii(text: str) -> str:
    """Return a safe text in ASCII, for a terminal or a locale that has nothing else."""
    if text.isascii():
        return text
    for sign, ascii_ in _IN_ASCII.items():
        text = text.replace(sign, ascii_)
    return text.encode("ascii", "backslashreplace").decode()


def _character(code: re.Match[str]) -> str:
    byte, short, long = code.groups()
    if byte is not None:
        number = int(byte, 16)
        return chr(number if number < 0x80 else 0xDC00 + number)
    return chr(int(short or long, 16)) if short or long else "\\"


def _escape(pieces: list[str]) -> str:
    following = [*pieces[1:], ""]
    return "".join(
        "\\\\" if piece == "\\" and after.startswith(_SPECIAL_AFTER_BACKSLASH) else piece
        for piece, after in zip(pieces, following, strict=True)
    )


def _code(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape keeps it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
