"""The fast path: a window of whole blocks to rows.   parse ─► [fast] ─► parse

    headers   every mapping line of the window                                               header_columns
    fields    by the template that fits; where none does, one is learned from such a block   template
    the rest  each block that was not read to its last byte takes the general path, alone    general

Nothing here costs a Python object per mapping but that last step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fleetpmap.errors import SmapsError
from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.grammar import Place, read_place
from fleetpmap.smaps.header_parser import PERMS, read_headers
from fleetpmap.smaps.line_codes import LineTexts
from fleetpmap.smaps.parsed_rows import Codebook, Rows
from fleetpmap.smaps.reference_parser import BLOCK_LIMIT, read_block, read_flags
from fleetpmap.smaps.template import Template, learn
from fleetpmap.smaps.text_buffer import Positions, Window

_LEARN = 8
"""Templates tried at most on one window beside those kept; a block that fits none takes the general path."""
_KEEP = 16
"""Templates kept for the next window."""
KEYS_LIMIT = 256
"""Different keys in one text, eight times as many as a kernel has: each costs a slot in every row, and a host must not
decide how many that are."""


# Hosts of one image map the same files, and every round of `watch` finds those of the round before.
_known_place = lru_cache(1024)(read_place)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of one window: where their fields begin and end in it, and the rows to fill in."""

    window: Window
    fields_at: Positions
    stops: Positions
    rows: Rows


class Reader:
    """Reads the windows of one text, and keeps from one to the next what it learns: templates and codebooks."""

    def __init__(self) -> None:
        self.places: Codebook[Place] = Codebook()
        self.flags: Codebook[str] = Codebook()
        self._last_keys: Codebook[str] = Codebook()
        self._columns: set[str] = set()
        self._place_texts = LineTexts(self._place_code, usual=128)
        self._flags_texts = LineTexts(lambda text: self.flags.code(read_flags(text)), usual=64)
        self._templates: list[Template] = []
        self.read_alone_count = 0
        """Blocks that took the general path so far."""

    def read(self, window: Window, boundaries: Positions) -> Rows:
        """Every block of a window, in order.

        `boundaries` are the positions where one process's text ends and another's begins: a block ends there,
        whatever follows. What stands between a boundary, or the window's beginning, and the next mapping line is in no
        block.
        """
        headers = read_headers(window, self._place_texts)
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
                if rows.bad[row]:  # its process is refused: nothing more of that is read, or counts as a mapping
                    following = np.searchsorted(boundaries, headers.at[row], "right")
                    refused_to = boundaries[following] if following < len(boundaries) else window.size
                    kept[row + 1 : np.searchsorted(headers.at, refused_to)] = False
        return rows if kept.all() else rows[kept]

    def read_alone(self, block: bytes, at: int) -> Rows:
        """One block by the general path; `at` is where it stands in the text."""
        rows = Rows.empty(np.array([at], np.int64))
        self._read_one(block, rows, 0)
        return rows

    def _place_code(self, text: bytes) -> int:
        place = _known_place(text)
        return NULL if place is None else self.places.code(place)

    def _read_fields(self, blocks: _Blocks, pending: Positions) -> Positions:
        """Fill in the fields of those of the pending rows that a template fits; the slots of the others."""
        for template in self._templates:
            pending = self._apply(template, blocks, pending)
        missed: list[Positions] = []
        for _ in range(_LEARN):
            if not len(pending):
                break
            # Blocks of the middle length are the best bet: if most have one length, it is that.
            lengths = (blocks.stops - blocks.fields_at)[pending]
            alike = pending[lengths == np.sort(lengths)[len(lengths) // 2]]
            learned = self._learn(blocks.window.text(blocks.fields_at[alike[0]], blocks.stops[alike[0]]))
            if learned is not None:
                pending = self._apply(learned, blocks, pending)
                if not len(pending):
                    break
                alike = alike[:1]
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
        """Fill in those of the pending rows that fit the template; the slots of those that do not, in order."""
        if not len(pending):
            return pending
        # Blocks do not overlap, so pieces no longer than their blocks are never more than the window.
        fitting = (blocks.stops - blocks.fields_at)[pending] >= template.length + template.has_flags
        long_enough = pending[fitting]
        rows = blocks.rows
        at, block_stops = blocks.fields_at[long_enough], blocks.stops[long_enough]
        numbers, fits = template.read(blocks.window, at)
        stops = at + template.length
        if template.has_flags:
            # A block ends in a newline, and no code stands for a text that has one.
            codes = self._flags_texts.encode(blocks.window, stops, block_stops - stops - 1)
            fits &= codes != NULL
        else:
            fits &= stops == block_stops
        slots = long_enough[fits]
        if template.has_flags:
            rows.flags[slots] = codes[fits]
        rows.last_keys[slots] = self._last_keys.code(template.last_key)
        for key, column in zip(template.keys, numbers, strict=True):
            if len(slots) == len(rows.at):  # nearly always: the column as it is
                rows.fields[key] = column
            else:
                rows.field(key)[slots] = column[fits]
        fitting[fitting] = fits
        return pending[~fitting]

    def _admit(self, keys: Iterable[str]) -> bool:
        """Whether the text may have columns for these keys too."""
        all_keys = self._columns.union(keys)
        if len(all_keys) > KEYS_LIMIT:
            return False
        self._columns = all_keys
        return True

    def _read_one(self, text: bytes, rows: Rows, row: int) -> None:
        """One block by the general path, into its slot."""
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
    """Where the blocks that begin at `at` end: where the next one begins, or at the first boundary before that."""
    stops = np.empty_like(at)
    stops[:-1] = at[1:]
    stops[-1:] = size
    last = np.searchsorted(at, boundaries) - 1  # the block in front of each
    cut = last >= 0
    # Of several boundaries behind one block the last one written stays, and that is the first of them.
    stops[last[cut][::-1]] = boundaries[cut][::-1]
    return stops
