"""The mapping lines of a window, all at once.   fast ─► [header_columns]

See header.py for the line. The numbers end at the line's first dash and its first and third space, whatever their
widths; what follows (device, inode, path) repeats from line to line and becomes a code.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.line_codes import Codes, LineTexts
from fleetpmap.smaps.text_buffer import NEWLINE, Positions, Window, first_of
from fleetpmap.smaps.words import WIDTH, WORD, Flags, Words, hexadecimal, word_of

PERMS = tuple("".join(letters) for letters in product("-r", "-w", "-x", "ps"))
"""Every permission that the kernel prints; a code is a slot here."""

_PERMS_WORDS = np.array([word_of(perms.encode() + b" \0\0\0") for perms in PERMS], WORD)
_PERMS_ORDER = np.argsort(_PERMS_WORDS).astype(np.int32)
_PERMS_SORTED = _PERMS_WORDS[_PERMS_ORDER]
_PERMS_BYTES = np.uint64(2**40 - 1)
_PERMS_WIDTH = 5

_DIGITS_MIN, _DIGITS_MAX = WIDTH, 2 * WIDTH
"""Hex digits of the narrowest address and offset that is read here, and of the widest."""
_USUAL_ADDRESS = 12
_DIGIT_BITS = np.uint64(0x2020202020202020)
"""Set in every hex digit, and not in a newline."""
_DASH, _SPACE, _ZERO, _LOWER_F = b"- 0f"
_ANONYMOUS = b"00:00 0 "
_ANONYMOUS_WORD = word_of(_ANONYMOUS)


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
    dash, width = _dashes(window)
    at, end_at = dash - width, dash + 1
    space = _spaces(window, end_at, width)
    offset_at = space + 1 + _PERMS_WIDTH
    offset_end = _spaces(window, offset_at, _DIGITS_MIN)
    numbers, good = _read_numbers(
        window, np.concatenate((at, end_at, offset_at)), np.concatenate((dash, space, offset_end))
    )
    start, end, offset = numbers.reshape(3, -1)
    good_start, good_end, good_offset = good.reshape(3, -1)
    perms, good_perms = _read_perms(window.words_at(space + 1))
    codes, line_end = _read_places(window, offset_end + 1, places)
    whole = good_end & good_offset & good_perms & (codes != NULL)
    headers = HeaderColumns(at, line_end + 1, start, end, offset, perms, codes, whole)
    return headers if good_start.all() else headers[good_start]


def _dashes(window: Window) -> tuple[Positions, Positions]:
    """The first dash of each line that has it where an address may end, and how many bytes stand before it.

    None of those is a newline; whether they are digits is not looked at.
    """
    dashes = window.find(_DASH)
    is_usual = window.bytes_at(dashes - (_USUAL_ADDRESS + 1)) == NEWLINE
    usual, others = dashes[is_usual], dashes[~is_usual]
    one_line = window.words_at(usual - _USUAL_ADDRESS) & window.words_at(usual - WIDTH) & _DIGIT_BITS == _DIGIT_BITS
    if not one_line.all():
        usual, others = usual[one_line], np.concatenate((others, usual[~one_line]))
    before = window.bytes_at(others - 1)
    others = others[(before >= _ZERO) & (before <= _LOWER_F)]  # a permission's dash stands behind no digit
    widths = np.full(len(usual), _USUAL_ADDRESS)
    if not len(others):
        return usual, widths
    odd_widths = first_of(window.cut(others - (_DIGITS_MAX + 2), _DIGITS_MAX + 2)[:, ::-1], NEWLINE)
    near = (odd_widths >= _DIGITS_MIN) & (odd_widths <= _DIGITS_MAX)
    dashes = np.concatenate((usual, others[near]))
    order = dashes.argsort(kind="stable")  # the fastest for what is in order but for a few
    return dashes[order], np.concatenate((widths, odd_widths[near]))[order]


def _spaces(window: Window, at: Positions, usual: Positions | int) -> Positions:
    """Where the numbers that begin at `at` end: so many bytes on if there is a space, else at their first space."""
    spaces = at + usual
    odd = np.flatnonzero(window.bytes_at(spaces) != _SPACE)
    if len(odd):
        spaces[odd] = at[odd] + first_of(window.cut(at[odd], _DIGITS_MAX + 2), _SPACE)
    return spaces


def _read_numbers(window: Window, at: Positions, stops: Positions) -> tuple[Words, Flags]:
    """The hex numbers between these positions: their values, and which are good, of 8 to 16 digits."""
    # The first eight digits and the last eight: those that are in both are the same twice.
    numbers, wrong = hexadecimal(window.words_at(np.concatenate((stops - WIDTH, at))))
    low, high = numbers.reshape(2, -1)
    more = (stops - at - WIDTH).astype(np.uint64)  # too few digits make it a huge number
    good = more <= WIDTH
    good &= ~wrong.reshape(2, -1).any(axis=0)
    more *= np.uint64(4)
    return low | (high << more), good


def _read_places(window: Window, at: Positions, places: LineTexts) -> tuple[Codes, Positions]:
    """The ends of the mapping lines, from the device on: their codes, and where their newlines stand."""
    anonymous = (window.words_at(at) == _ANONYMOUS_WORD) & (window.bytes_at(at + WIDTH) == NEWLINE)
    codes = np.full(len(at), places.codes[_ANONYMOUS], np.int32)
    line_end = at + WIDTH
    named = np.flatnonzero(~anonymous)
    lengths = places.lengths(window, at[named])
    codes[named] = places.encode(window, at[named], lengths)
    line_end[named] += lengths - WIDTH
    return codes, line_end


def _read_perms(words: Words) -> tuple[Codes, Flags]:
    """The words that begin with four permissions and a space: their codes, and whether they are that."""
    perms = words & _PERMS_BYTES
    slots = np.minimum(np.searchsorted(_PERMS_SORTED, perms), len(PERMS) - 1)
    return _PERMS_ORDER[slots], _PERMS_SORTED[slots] == perms
