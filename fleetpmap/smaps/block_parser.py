"""The fast parser: a window of whole blocks to rows.   parser ─► [block_parser] ─► parser

    mapping lines   all of the window at once                                                    header_parser
    fields          all blocks of one shape at once, by a template learned from the first such   Template, here
    odd blocks      each block that was not read to its last byte, alone                         reference_parser

Only the last step costs Python objects for each mapping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fleetpmap.errors import SmapsError
from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.grammar import Place, read_place
from fleetpmap.smaps.header_parser import PERMS, read_headers
from fleetpmap.smaps.line_codes import LineCodes
from fleetpmap.smaps.parsed_rows import Codebook, Rows
from fleetpmap.smaps.reference_parser import BLOCK_LIMIT, FLAGS_KEY, SIZE_KEYS, TEXT_KEYS, read_block, read_flags
from fleetpmap.smaps.text_buffer import BACK, WIDTH, WORD, Flags, Positions, Window, decimal, word_of

_LEARN = 8
"""Templates tried on one window, beside those kept; a block that fits none is read alone."""
_KEEP = 16
"""Templates kept for the next window."""
KEYS_LIMIT = 256
"""Different keys in one text, eight times as many as a kernel prints. Each key costs a slot in every row, so the number
is not left to the host."""

# Hosts of one image map the same files, and each round of `watch` meets those of the round before.
_known_place = lru_cache(1024)(read_place)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of one window: the positions of their fields, and the rows to fill in."""

    window: Window
    fields_at: Positions
    """Ends of the mapping lines."""
    stops: Positions
    """Ends of the blocks."""
    rows: Rows


class Reader:
    """Parser of the windows of one text. Templates and codebooks are kept from window to window."""

    def __init__(self) -> None:
        self.places: Codebook[Place] = Codebook()
        self.flags: Codebook[str] = Codebook()
        self._last_keys: Codebook[str] = Codebook()
        self._columns: set[str] = set()
        self._place_codes = LineCodes(self._place_code, usual=128)
        self._flags_codes = LineCodes(lambda text: self.flags.code(read_flags(text)), usual=64)
        self._templates: list[Template] = []
        self.read_alone_count = 0
        """Blocks that the reference parser has read so far."""

    def read(self, window: Window, boundaries: Positions) -> Rows:
        """Parse every block of a window, in order.

        `boundaries` are the positions between two processes' texts: a block ends there in any case. Text between
        a boundary, or the window's beginning, and the next mapping line belongs to no block.
        """
        headers = read_headers(window, self._place_codes)
        rows = Rows.of_headers(
            headers.at + window.begin, headers.start, headers.end, headers.offset, headers.perms, headers.places
        )
        stops = _stops(headers.at, boundaries, window.size)
        whole = headers.whole & (stops - headers.at <= BLOCK_LIMIT)
        blocks = _Blocks(window, headers.next_line, stops, rows)
        missed = self._read_fields(blocks, np.flatnonzero(whole))
        kept = np.ones(len(rows.at), np.bool_)
        for row in np.sort(np.concatenate((np.flatnonzero(~whole), missed))).tolist():
            if kept[row]:
                self._read_one(window.text(headers.at[row], stops[row]), rows, row)
                if rows.bad[row]:  # its process is refused: no further block of it is read, or counts as a mapping
                    following = np.searchsorted(boundaries, headers.at[row], "right")
                    refused_to = boundaries[following] if following < len(boundaries) else window.size
                    kept[row + 1 : np.searchsorted(headers.at, refused_to)] = False
        return rows if kept.all() else rows[kept]

    def read_alone(self, block: bytes, at: int) -> Rows:
        """Parse one block with the reference parser; `at` is its position in the text."""
        rows = Rows.empty(np.array([at], np.int64))
        self._read_one(block, rows, 0)
        return rows

    def _place_code(self, text: bytes) -> int:
        place = _known_place(text)
        return NULL if place is None else self.places.code(place)

    def _read_fields(self, blocks: _Blocks, pending: Positions) -> Positions:
        """Fill in the fields of each pending row that a template fits. Returns the other rows."""
        for template in self._templates:
            pending = self._apply(template, blocks, pending)
        missed: list[Positions] = []
        for _ in range(_LEARN):
            if not len(pending):
                break
            # Learn from a block of the median length: if most blocks have one length, it is that one.
            lengths = (blocks.stops - blocks.fields_at)[pending]
            alike = pending[lengths == np.sort(lengths)[len(lengths) // 2]]
            learned = self._learn(blocks.window.text(blocks.fields_at[alike[0]], blocks.stops[alike[0]]))
            if learned is not None:
                pending = self._apply(learned, blocks, pending)
                if not len(pending):
                    break
                alike = alike[:1]
            # Not tried again: the block learned from, if it does not fit after all, or without a template all blocks
            # of that length.
            missed.append(np.intersect1d(pending, alike, assume_unique=True))
            pending = np.setdiff1d(pending, alike, assume_unique=True)
        return np.concatenate((*missed, pending))

    def _learn(self, fields: bytes) -> Template | None:
        template = learn(fields)
        if template is None or not self._admit(template.keys):
            return None
        if len(self._templates) < _KEEP:
            self._templates.append(template)
        return template

    def _apply(self, template: Template, blocks: _Blocks, pending: Positions) -> Positions:
        """Fill in each pending row that fits the template. Returns the other rows, in order."""
        if not len(pending):
            return pending
        # Blocks do not overlap, so pieces no longer than their blocks take no more memory than the window.
        fitting = (blocks.stops - blocks.fields_at)[pending] >= template.length + template.has_flags
        long_enough = pending[fitting]
        rows = blocks.rows
        at, block_stops = blocks.fields_at[long_enough], blocks.stops[long_enough]
        numbers, fits = template.read(blocks.window, at)
        stops = at + template.length
        if template.has_flags:
            # The flags are the rest of the block but its last newline. If that is more than one line, the code is NULL.
            codes = self._flags_codes.encode(blocks.window, stops, block_stops - stops - 1)
            fits &= codes != NULL
        else:
            fits &= stops == block_stops
        slots = long_enough[fits]
        if template.has_flags:
            rows.flags[slots] = codes[fits]
        rows.last_keys[slots] = self._last_keys.code(template.last_key)
        for key, column in zip(template.keys, numbers, strict=True):
            if len(slots) == len(rows.at):  # nearly always: the column without another copy
                rows.fields[key] = column
            else:
                rows.field(key)[slots] = column[fits]
        fitting[fitting] = fits
        return pending[~fitting]

    def _admit(self, keys: Iterable[str]) -> bool:
        """Reserve columns for these keys. Returns False if the text would have more than KEYS_LIMIT."""
        all_keys = self._columns.union(keys)
        if len(all_keys) > KEYS_LIMIT:
            return False
        self._columns = all_keys
        return True

    def _read_one(self, text: bytes, rows: Rows, row: int) -> None:
        """Parse one block with the reference parser, into its row."""
        self.read_alone_count += 1
        try:
            block = read_block(text)
        except SmapsError:
            rows.bad[row] = True
            return
        if not self._admit(block.numbers):
            rows.bad[row] = True
            return
        header = block.header
        rows.start[row], rows.end[row], rows.offset[row] = header.start, header.end, header.offset
        rows.perms[row] = PERMS.index(header.perms)
        rows.places[row] = self.places.code(header.place)
        rows.flags[row] = NULL if block.flags is None else self.flags.code(block.flags)
        rows.last_keys[row] = self._last_keys.code(block.last_key)
        for key, number in block.numbers.items():
            rows.field(key)[row] = number


def _stops(at: Positions, boundaries: Positions, size: int) -> Positions:
    """Return where the blocks that begin at `at` end: at the next block, or at the first boundary before it."""
    stops = np.empty_like(at)
    stops[:-1] = at[1:]
    stops[-1:] = size
    last = np.searchsorted(at, boundaries) - 1  # the block in front of each boundary
    cut = last >= 0
    # Backwards, since of several boundaries behind one block the last one written stays: that must be the first.
    stops[last[cut][::-1]] = boundaries[cut][::-1]
    return stops


# A template holds the shape of a block below its mapping line. Within one text nearly every block has the same keys in
# the same lines at the same widths, and only digits differ:
#
#     learned from   Size:                 12 kB\nRss:                   8 kB\nVmFlags:   rest of the line: a code
#     values                        .......^^              ........^             up to eight characters each
#     fits           Size:                132 kB\nRss:                   0 kB\nVmFlags:
#     does not fit   Size:                 12 kB\nPss:                   8 kB\nVmFlags:
#
# A block fits if every byte outside the values is the same and each value is a number. All blocks of a window are
# compared with a template at once, as the rows of one matrix.

# A number line of the reference parser's, as far as eight columns hold the number: key, padding, digits.
_NUMBER_LINE = re.compile(rb"([A-Za-z_][A-Za-z0-9_.()]*):([ \t]*)([0-9]{1,8})( kB)?\n")
_FLAGS_LABEL = FLAGS_KEY.encode() + b":"
_FLAGS_LINE = re.compile(_FLAGS_LABEL + rb"[^\n]*\n")
_ZERO = b"       0"
_ZERO_WORD = word_of(_ZERO)
_DIGIT = re.compile(r"[0-9]")
_DIGITS_TO_SPACES = bytes.maketrans(b"0123456789", b" " * 10)
_LEARNED_MAX = 32
_learned: dict[bytes, Template] = {}
"""Templates of all texts so far, by the outline of the text learned from: a fleet has few kernels."""


class Template:
    """The shape of a block below its mapping line: number lines, then perhaps VmFlags."""

    def __init__(self, shape: bytes, values: list[slice], keys: tuple[str, ...], *, has_flags: bool) -> None:
        self.keys = keys
        """Keys of the numeric fields, in text order."""
        self.has_flags = has_flags
        self.last_key = FLAGS_KEY if has_flags else keys[-1]
        self.length = len(shape)
        """Bytes from the end of the mapping line to the end of the block, or to the end of `VmFlags:`."""
        self._padded = -(-len(shape) // WIDTH) * WIDTH
        self._values = [slice(value.stop - WIDTH, value.stop) for value in values]
        """The word that ends with each value. Of a value narrower than eight characters it begins in the label."""
        constant = bytearray(b"\xff" * len(shape))
        expected = bytearray(shape)
        for value in values:
            constant[value] = bytes(value.stop - value.start)
            expected[value] = _ZERO[value.start - value.stop :]
        self._expected = np.frombuffer(expected.ljust(self._padded, b"\0"), WORD)
        """The shape with every value 0, as words."""
        self._constant = np.frombuffer(constant.ljust(self._padded, b"\0"), WORD)
        """Mask of the bytes outside the values, as words."""

    def read(self, window: Window, at: Positions) -> tuple[NDArray[np.int64], Flags]:
        """Read the blocks that have their fields at these positions.

        Returns the numbers, a (keys, blocks) matrix, and a mask of the blocks that fit. The numbers of the other blocks
        mean nothing.
        """
        texts = window.cut(at, self._padded)  # (blocks, bytes)
        # XOR with the expected bytes leaves zeros where a block equals the template: values that are 0, too.
        words = texts.view(WORD)
        words ^= self._expected
        misfit: Flags = np.zeros(len(at), np.bool_)
        if (np.bitwise_or.reduce(words, axis=0) & self._constant).any():  # cheaper than a test of every row
            misfit = np.bitwise_or.reduce(words & self._constant, axis=1) != 0
        differences = np.empty((len(self.keys), len(at)), WORD)
        for difference, value in zip(differences, self._values, strict=True):
            difference[:] = texts[:, value].view(WORD)[:, 0]
        # Most values are 0. Only the others are parsed: XOR with the word of 0 gives their text back.
        flat = differences.reshape(-1)
        nonzero = np.flatnonzero(flat != 0)
        numbers, malformed = decimal(flat[nonzero] ^ _ZERO_WORD)
        values = np.zeros(differences.shape, np.int64)
        values.reshape(-1)[nonzero] = numbers
        if malformed.any():
            misfit[nonzero[malformed] % len(at)] = True
        return values, ~misfit


def learn(fields: bytes) -> Template | None:
    """Return the template of a block, from the text below its mapping line; None if no template has such a shape.

    A template learned earlier, from a text that differs only in digits and spaces, is returned again. It may not fit;
    whether it does is checked for every block anyway.
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
            return None  # the reference parser says what is wrong with it
        keys.append(key)
        # Spaces in front of the digits may be digits in another block; a tab never is.
        padding = line.start(2) + line[2].rfind(b"\t") + 1
        values.append(slice(max(line.end(3) - WIDTH, padding), line.end(3)))
        at = line.end()
    flags = _FLAGS_LINE.match(fields, at)
    shape = fields[:at] + (_FLAGS_LABEL if flags else b"")
    whole = (flags.end() if flags else at) == len(fields)
    if not (whole and keys and values[0].stop >= WIDTH and len(shape) <= BACK - WIDTH):
        return None
    if len(set(keys)) < len(keys) or not TEXT_KEYS.isdisjoint(keys):
        return None  # the reference parser decides these as well
    return Template(shape, values, tuple(keys), has_flags=flags is not None)
