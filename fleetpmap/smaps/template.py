"""The fields of blocks that look alike.   fast ─► [template]

Within one file nearly every block has the same keys in the same lines at the same widths; only digits differ. A
template is learned from one block. Another block fits it if every byte that is no digit is the same, and every value is
a number in the same columns. All blocks that fit are read at once, as one matrix.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.general import FLAGS_KEY, SIZE_KEYS, TEXT_KEYS
from fleetpmap.smaps.window import BACK, Positions, Window
from fleetpmap.smaps.words import WIDTH, WORD, Flags, decimal, word_of

# What the general path reads as a number line, as far as eight columns hold it: key, padding, digits.
_NUMBER_LINE = re.compile(rb"([A-Za-z_][A-Za-z0-9_.()]*):([ \t]*)([0-9]{1,8})( kB)?\n")
_FLAGS_LABEL = FLAGS_KEY.encode() + b":"
_FLAGS_LINE = re.compile(_FLAGS_LABEL + rb"[^\n]*\n")
_ZERO = b"       0"
_ZERO_WORD = word_of(_ZERO)


class Template:
    """The shape of a block below its mapping line: number lines, then perhaps VmFlags."""

    def __init__(self, shape: bytes, values: list[slice], keys: tuple[str, ...], *, has_flags: bool) -> None:
        self.keys = keys
        """Of the numbers, in the order of the text."""
        self.has_flags = has_flags
        self.last_key = FLAGS_KEY if has_flags else keys[-1]
        self.length = len(shape)
        """Bytes from the end of the mapping line to the end of the block, or to the end of `VmFlags:`."""
        self._ends = [value.stop for value in values]
        self._padded = -(-len(shape) // WIDTH) * WIDTH
        expected = np.zeros(self._padded, np.uint8)
        expected[: len(shape)] = np.frombuffer(shape, np.uint8)
        constant = np.zeros(self._padded, np.uint8)
        constant[: len(shape)] = 0xFF
        for value in values:
            expected[value] = np.frombuffer(_ZERO[value.start - value.stop :], np.uint8)
            constant[value] = 0
        self._expected = expected.view(WORD)
        self._constant = constant.view(WORD)

    def read(self, window: Window, at: Positions) -> tuple[NDArray[np.int64], Flags]:
        """The numbers (key, row) of the blocks whose fields begin at these positions, and which rows fit at all."""
        rows = window.cut(at, self._padded)
        words = rows.view(WORD)
        # What is left is where a row differs from the template with every value 0; and most values are 0.
        words ^= self._expected
        difference = np.empty((len(self.keys), len(at)), WORD)
        for key, end in enumerate(self._ends):
            difference[key] = rows[:, end - WIDTH : end].view(WORD)[:, 0]
        misfit = np.zeros(len(at), np.bool_)
        if (np.bitwise_or.reduce(words, axis=0) & self._constant).any():  # cheaper than asking every row
            misfit |= np.bitwise_or.reduce(words & self._constant, axis=1) != 0
        flat = difference.reshape(-1)
        nonzero = np.flatnonzero(flat != 0)
        numbers, malformed = decimal(flat[nonzero] ^ _ZERO_WORD)
        values = np.zeros(difference.shape, np.int64)
        values.reshape(-1)[nonzero] = numbers
        misfit[nonzero[malformed] % len(at)] = True
        return values, ~misfit


def learn(fields: bytes) -> Template | None:
    """The template of a block, from the text below its mapping line; None if no template can have its shape."""
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
