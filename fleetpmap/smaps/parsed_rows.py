"""Parsed mappings of one window; codes are not yet resolved to names.   block_parser ─► [parsed_rows] ─► parser"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.line_codes import Codes
from fleetpmap.smaps.text_buffer import Flags, Positions, Words

_T = TypeVar("_T", bound=Hashable)


class Codebook(Generic[_T]):
    """Codes of different items, from 0, in the order in which the items were added."""

    def __init__(self) -> None:
        self._codes: dict[_T, int] = {}

    def code(self, item: _T) -> int:
        """Return the item's code; a new item gets the next one."""
        return self._codes.setdefault(item, len(self._codes))

    def items(self) -> list[_T]:
        """Return the items, each at the index of its code."""
        return list(self._codes)


@dataclass(frozen=True, slots=True)
class Rows:
    """Mappings in text order, one slot each. A code is an index into a codebook of the Reader, or NULL."""

    at: Positions
    """Positions of the blocks in the text."""
    start: Words
    end: Words
    offset: Words
    perms: Codes
    places: Codes
    flags: Codes
    last_keys: Codes
    bad: Flags
    """True for a block that is not smaps; the row's other columns but `at` then mean nothing."""
    fields: dict[str, NDArray[np.int64]]
    """Kernel key to values, NULL where a mapping lacks the key."""

    @classmethod
    def empty(cls, at: Positions) -> Rows:
        """Make rows that have nothing but their positions."""
        words, codes = np.zeros((3, len(at)), np.uint64), np.full((2, len(at)), NULL, np.int32)
        return cls.of_headers(at, *words, *codes)

    @classmethod
    def of_headers(cls, at: Positions, start: Words, end: Words, offset: Words, perms: Codes, places: Codes) -> Rows:
        """Make rows from mapping lines, without fields."""
        count = len(at)
        return cls(
            at=at,
            start=start,
            end=end,
            offset=offset,
            perms=perms,
            places=places,
            flags=np.full(count, NULL, np.int32),
            last_keys=np.full(count, NULL, np.int32),
            bad=np.zeros(count, np.bool_),
            fields={},
        )

    def field(self, key: str) -> NDArray[np.int64]:
        """Return the key's column, to be filled in; a new column is NULL in every row."""
        if key not in self.fields:
            self.fields[key] = np.full(len(self.at), NULL, np.int64)
        return self.fields[key]

    def __getitem__(self, kept: Flags) -> Rows:
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return Rows(**columns, fields={key: column[kept] for key, column in self.fields.items()})


_COLUMNS = tuple(column.name for column in fields(Rows) if column.name != "fields")


def join(parts: Sequence[Rows]) -> Rows:
    """Concatenate the rows of all parts."""
    if not parts:
        return Rows.empty(np.zeros(0, np.int64))
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    keys = dict.fromkeys(key for part in parts for key in part.fields)
    # One array for all columns: the kernel backs a large one with huge pages.
    values = np.empty((len(keys), len(columns["at"])), np.int64)
    for column, key in zip(values, keys, strict=True):
        np.concatenate([part.field(key) for part in parts], out=column)
    return Rows(**columns, fields=dict(zip(keys, values, strict=True)))
