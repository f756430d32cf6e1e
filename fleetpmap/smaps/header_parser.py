"""All mapping lines of a window at once.   block_parser ─► [header_parser]

    55f523c9f000-55f523cc1000 r-xp 00000000 08:02 5505067                    /sbin/cgmanager
    ▲           ▲            ▲     ▲       ▲▲
    at          dash         space offset  offset_end, then place

The numbers end at the line's first dash and its first and third space, at any width. The rest of the line, the
place (device, inode, path), repeats from line to line and becomes a code. `grammar` describes the line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.line_codes import Codes, LineCodes
from fleetpmap.smaps.text_buffer import (
    NEWLINE,
    WIDTH,
    WORD,
    Flags,
    Positions,
    Window,
    Words,
    first_of,
    hexadecimal,
    word_of,
)

PERMS = tuple("".join(letters) for letters in product("-r", "-w", "-x", "ps"))
"""All permissions that the kernel prints; a code is an index into them."""

_PERMS_WORDS = np.array([word_of(perms.encode() + b" \0\0\0") for perms in PERMS], WORD)
_PERMS_ORDER = np.argsort(_PERMS_WORDS).astype(np.int32)
_PERMS_SORTED = _PERMS_WORDS[_PERMS_ORDER]
_PERMS_BYTES = np.uint64(2**40 - 1)
"""Mask of a word's first five bytes: the permissions and the space behind them."""
_PERMS_WIDTH = 5

_DIGITS_MIN, _DIGITS_MAX = WIDTH, 2 * WIDTH
"""Hex digits of the narrowest and the widest address and offset read here."""
_DASH, _SPACE, _ZERO, _LOWER_F = b"- 0f"


@dataclass(frozen=True, slots=True)
class HeaderColumns:
    """The mapping lines of one window, in order. Positions count from the window's beginning."""

    at: Positions
    next_line: Positions
    start: Words
    end: Words
    offset: Words
    perms: Codes
    places: Codes
    whole: Flags
    """True if the whole line is well formed; if not, only the row's `at` is meaningful."""

    def __getitem__(self, rows: Flags) -> HeaderColumns:
        return HeaderColumns(*(getattr(self, column.name)[rows] for column in fields(self)))


def read_headers(window: Window, places: LineCodes) -> HeaderColumns:
    """Read every line of a window that begins as HEADER_BEGINNING says, well formed behind that or not."""
    at, dash = _addresses(window)
    end_at = dash + 1
    space = _next_space(window, end_at)
    offset_at = space + 1 + _PERMS_WIDTH
    offset_end = _next_space(window, offset_at)
    # One call for the three numbers of all lines: (starts, ends, offsets), one after the other.
    numbers, good = _read_numbers(
        window, np.concatenate((at, end_at, offset_at)), np.concatenate((dash, space, offset_end))
    )
    start, end, offset = numbers.reshape(3, -1)
    good_start, good_end, good_offset = good.reshape(3, -1)
    perms, good_perms = _read_perms(window.words_at(space + 1))
    place_at = offset_end + 1
    lengths = places.lengths(window, place_at)
    codes = places.encode(window, place_at, lengths)
    whole = good_end & good_offset & good_perms & (codes != NULL)
    headers = HeaderColumns(at, place_at + lengths + 1, start, end, offset, perms, codes, whole)
    return headers if good_start.all() else headers[good_start]


def _addresses(window: Window) -> tuple[Positions, Positions]:
    """Return where each possible mapping line begins, and its first dash.

    Between the two stand 8 to 16 characters of one line. `read_headers` checks that they are digits.
    """
    # `find` returns the first dash of each eight bytes only. In front of an address's dash stand at least eight
    # digits, so no other dash can hide it.
    dash = window.find(_DASH)
    before = window.bytes_at(dash - 1)
    dash = dash[(before >= _ZERO) & (before <= _LOWER_F)]  # drops most dashes of permissions, such as r--p
    # The bytes in front of each dash, nearest first: the first newline among them is where the line begins.
    widths = first_of(window.cut(dash - (_DIGITS_MAX + 2), _DIGITS_MAX + 2)[:, ::-1], NEWLINE)
    possible = (widths >= _DIGITS_MIN) & (widths <= _DIGITS_MAX)
    dash = dash[possible]
    return dash - widths[possible], dash


def _next_space(window: Window, at: Positions) -> Positions:
    """Return the first space from each position on; one too far for a number where there is none near enough."""
    return at + first_of(window.cut(at, _DIGITS_MAX + 2), _SPACE)


def _read_numbers(window: Window, at: Positions, stops: Positions) -> tuple[Words, Flags]:
    """Read the hex numbers between these positions. Returns the values, and a mask of the good ones (8 to 16 digits).

    A number is its last eight digits, and its first eight shifted left; digits in both halves are the same bits twice:

        7f1234567890   low 34567890, high 7f123456 << 16   7f1234560000 | 34567890 = 7f1234567890
    """
    numbers, wrong = hexadecimal(window.words_at(np.concatenate((stops - WIDTH, at))))
    low, high = numbers.reshape(2, -1)
    more = (stops - at - WIDTH).astype(np.uint64)  # digits beyond eight; fewer than eight wrap to a huge number
    good = more <= WIDTH
    good &= ~wrong.reshape(2, -1).any(axis=0)
    more *= np.uint64(4)  # bits per digit
    return low | (high << more), good


def _read_perms(words: Words) -> tuple[Codes, Flags]:
    """Read words that should begin with four permissions and a space. Returns codes, and a mask of the good words."""
    perms = words & _PERMS_BYTES
    slots = np.minimum(np.searchsorted(_PERMS_SORTED, perms), len(PERMS) - 1)
    return _PERMS_ORDER[slots], _PERMS_SORTED[slots] == perms
