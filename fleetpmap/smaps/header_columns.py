"""The mapping lines of a window, all at once.   fast ─► [header_columns]

See header.py for the line. The numbers end at the line's first dash and its first and third space, whatever their
widths; what follows (device, inode, path) repeats from line to line and becomes a code.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.linetexts import Codes, LineTexts
from fleetpmap.smaps.window import Bytes, Positions, Window, first_of
from fleetpmap.smaps.words import WIDTH, WORD, Flags, Words, hexadecimal, word_of

PERMS = tuple("".join(letters) for letters in product("-r", "-w", "-x", "ps"))
"""Every permission that the kernel prints; a code is a slot here."""

_PERMS_WORDS = np.array([word_of(perms.encode() + b" \0\0\0") for perms in PERMS], WORD)
_PERMS_ORDER = np.argsort(_PERMS_WORDS).astype(np.int32)
_PERMS_SORTED = _PERMS_WORDS[_PERMS_ORDER]
_PERMS_BYTES = np.uint64(2**40 - 1)
_PERMS_WIDTH = 5

_NUMBER_WIDTH = 16
"""Hex digits of the widest number."""
_ADDRESS_WIDTH = 8
"""Hex digits of the narrowest address."""
_DASH, _SPACE = b"- "


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
    """Whether the line was understood to its end; where not, the other columns but `at` mean nothing."""

    def __getitem__(self, rows: Flags) -> HeaderColumns:
        return HeaderColumns(*(getattr(self, column.name)[rows] for column in fields(self)))


def read_headers(window: Window, places: LineTexts) -> HeaderColumns:
    """Every mapping line of a window: each that begins as HEADER_BEGINNING says, good or bad behind that."""
    at, dash = _dashes(window)
    line = window.cut(at, 2 * WIDTH + 2 * _NUMBER_WIDTH)
    # Each search may find its last column: that makes a number too wide, which is malformed.
    space = first_of(line[:, : 2 * _NUMBER_WIDTH + 4], _SPACE)
    offset_at = at + space + 1 + _PERMS_WIDTH
    offset_width = first_of(window.cut(offset_at, _NUMBER_WIDTH + 2), _SPACE)
    number_ends = np.concatenate((at + dash, at + space, offset_at + offset_width))
    widths = np.concatenate((dash, space - dash - 1, offset_width))
    numbers, malformed = hexadecimal(window.cut(number_ends - _NUMBER_WIDTH, _NUMBER_WIDTH).view(WORD), widths)
    start, end, offset = numbers.reshape(3, -1)
    bad_start, bad_end, bad_offset = malformed.reshape(3, -1)
    perms, good_perms = _read_perms(window.cut(at + space + 1, WIDTH))
    codes, line_end = places.encode(window, offset_at + offset_width + 1)
    is_header = ~bad_start
    whole = good_perms & (codes != NULL) & (space - dash > _ADDRESS_WIDTH) & ~(bad_end | bad_offset)
    headers = HeaderColumns(at, line_end + 1, start, end, offset, perms, codes, whole)
    return headers if is_header.all() else headers[is_header]


def _dashes(window: Window) -> tuple[Positions, Positions]:
    """Where the lines begin that have their first dash where an address ends, and which of their bytes it is."""
    at = window.line_candidates()
    dash = first_of(window.cut(at, _NUMBER_WIDTH + 2), _DASH)
    near = (dash >= _ADDRESS_WIDTH) & (dash <= _NUMBER_WIDTH)
    return (at, dash) if near.all() else (at[near], dash[near])


def _read_perms(text: Bytes) -> tuple[Codes, Flags]:
    """Four permissions and a space at the beginning of each row: their codes, and whether they are that."""
    words = text.view(WORD)[:, 0] & _PERMS_BYTES
    slots = np.minimum(np.searchsorted(_PERMS_SORTED, words), len(PERMS) - 1)
    return _PERMS_ORDER[slots], _PERMS_SORTED[slots] == words
