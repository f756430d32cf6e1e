"""The fields of blocks that look alike.   fast ─► [template]

Within one file nearly every block has the same keys in the same lines at the same widths; only digits differ. A
template is learned from one block. Another block fits it if every byte that is no digit is the same, and every value is
a number in the same columns. All blocks that fit are read at once, as one matrix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.reference_parser import FLAGS_KEY, SIZE_KEYS, TEXT_KEYS
from fleetpmap.smaps.text_buffer import BACK, Bytes, Positions, Window
from fleetpmap.smaps.words import WIDTH, WORD, Flags, Words, decimal, word_of

# What the general path reads as a number line, as far as eight columns hold it: key, padding, digits.
_NUMBER_LINE = re.compile(rb"([A-Za-z_][A-Za-z0-9_.()]*):([ \t]*)([0-9]{1,8})( kB)?\n")
_FLAGS_LABEL = FLAGS_KEY.encode() + b":"
_FLAGS_LINE = re.compile(_FLAGS_LABEL + rb"[^\n]*\n")
_ZERO = b"       0"
_ZERO_WORD = word_of(_ZERO)
_DIGIT = re.compile(r"[0-9]")
_DIGITS_TO_SPACES = bytes.maketrans(b"0123456789", b" " * 10)
_LEARNED_MAX = 32
_learned: dict[bytes, Template] = {}
"""Templates by the outline that they were learned from, of all texts so far: a fleet has few kernels."""
_CHUNK = 2**19
"""Bytes compared at once: several steps go over them, and half of a core's second cache holds them."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Values that stand at equal distances: the first `count` of them from slot `first` on."""

    first: int
    count: int
    at: int
    distance: int


class Template:
    """The shape of a block below its mapping line: number lines, then perhaps VmFlags."""

    def __init__(self, shape: bytes, values: list[slice], keys: tuple[str, ...], *, has_flags: bool) -> None:
        self.keys = keys
        """Of the numbers, in the order of the text."""
        self.has_flags = has_flags
        self.last_key = FLAGS_KEY if has_flags else keys[-1]
        self.length = len(shape)
        """Bytes from the end of the mapping line to the end of the block, or to the end of `VmFlags:`."""
        self._padded = -(-len(shape) // WIDTH) * WIDTH
        self._runs = _runs([value.stop - WIDTH for value in values])
        constant = bytearray(b"\xff" * len(shape))
        expected = bytearray(shape)
        for value in values:
            constant[value] = bytes(value.stop - value.start)
            expected[value] = _ZERO[value.start - value.stop :]
        self._expected = np.frombuffer(expected.ljust(self._padded, b"\0"), WORD)
        self._constant = np.frombuffer(constant.ljust(self._padded, b"\0"), WORD)

    def read(self, window: Window, at: Positions) -> tuple[NDArray[np.int64], Flags]:
        """The numbers (key, row) of the blocks whose fields begin at these positions, and which rows fit at all."""
        difference = np.empty((len(self.keys), len(at)), WORD)
        misfit = np.zeros(len(at), np.bool_)
        few = max(_CHUNK // self._padded, 1)
        for first in range(0, len(at), few):
            chunk = slice(first, first + few)
            self._compare(window.cut(at[chunk], self._padded), difference[:, chunk], misfit[chunk])
        flat = difference.reshape(-1)
        nonzero = np.flatnonzero(flat != 0)
        numbers, malformed = decimal(flat[nonzero] ^ _ZERO_WORD)
        values = np.zeros(difference.shape, np.int64)
        values.reshape(-1)[nonzero] = numbers
        if malformed.any():
            misfit[nonzero[malformed] % len(at)] = True
        return values, ~misfit

    def _compare(self, rows: Bytes, difference: Words, misfit: Flags) -> None:
        """In what the values of these rows differ from 0, and which rows differ elsewhere."""
        words = rows.view(WORD)
        words ^= self._expected
        if (np.bitwise_or.reduce(words, axis=0) & self._constant).any():  # cheaper than asking every row
            misfit |= np.bitwise_or.reduce(words & self._constant, axis=1) != 0
        for run in self._runs:
            values: Words = np.ndarray((run.count, len(rows)), WORD, rows, run.at, (run.distance, self._padded))
            difference[run.first : run.first + run.count] = values


def _runs(at: list[int]) -> list[_Run]:
    """The values at these places, as runs of equal distance."""
    runs: list[_Run] = []
    first = 0
    while first < len(at):
        count, distance = 1, at[first + 1] - at[first] if first + 1 < len(at) else 0
        while first + count < len(at) and at[first + count] - at[first + count - 1] == distance:
            count += 1
        runs.append(_Run(first, count, at[first], distance))
        first += count
    return runs


def learn(fields: bytes) -> Template | None:
    """The template of a block, from the text below its mapping line; None if no template can have its shape.

    One that was learned from a text that differs only in digits and spaces is given again, though it may not fit: for
    each block that is looked at anyway.
    """
    numbers, label, _ = fields.partition(b"\n" + _FLAGS_LABEL)
    outline = numbers.translate(_DIGITS_TO_SPACES) + label
    template = _learned.get(outline)
    if template is None:
        template = _learn(fields)
        if template is not None and not any(map(_DIGIT.search, template.keys)):
            if len(_learned) == _LEARNED_MAX:
                _learned.clear()
            _learned[outline] = template
    return template


def _learn(fields: bytes) -> Template | None:
    keys: list[str] = []
    values: list[slice] = []
    at = 0
    while line := _NUMBER_LINE.match(fields, at):
        key = line[1].decode("ascii")
        if key in SIZE_KEYS and not line[4]:
            return None  # the general path says what is wrong with it
        keys.append(key)
        # Spaces before the digits may be digits elsewhere; a tab never is.
        padding = line.start(2) + line[2].rfind(b"\t") + 1
        values.append(slice(max(line.end(3) - WIDTH, padding), line.end(3)))
        at = line.end()
    flags = _FLAGS_LINE.match(fields, at)
    shape = fields[:at] + (_FLAGS_LABEL if flags else b"")
    whole = (flags.end() if flags else at) == len(fields)
    if not (whole and keys and values[0].stop >= WIDTH and len(shape) <= BACK - WIDTH):
        return None
    if len(set(keys)) < len(keys) or not TEXT_KEYS.isdisjoint(keys):
        return None  # the same
    return Template(shape, values, tuple(keys), has_flags=flags is not None)
