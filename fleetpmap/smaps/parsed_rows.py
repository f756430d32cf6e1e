"""The mappings of a part of the text, before names and processes.   fast ─► [rows] ─► parse"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.line_codes import Codes
from fleetpmap.smaps.text_buffer import Positions
from fleetpmap.smaps.words import Flags, Words

_T = TypeVar("_T", bound=Hashable)


class Codebook(Generic[_T]):
    """Codes for different items, from 0, in the order in which they came."""

    def __init__(self) -> None:
        self._codes: dict[_T, int] = {}

    def code(self, item: _T) -> int:
        """The item's code, a new one if it is new."""
        return self._codes.setdefault(item, len(self._codes))

    def items(self) -> list[_T]:
        """The items, each at the slot of its code."""
        return list(self._codes)


@dataclass(frozen=True, slots=True)
class Rows:
    """Mappings in the order of the text, one slot each. Codes are the Reader's, NULL where there is nothing."""

    at: Positions
    """Where each block begins in the text."""
    start: Words
    end: Words
    offset: Words
    perms: Codes
    places: Codes
    flags: Codes
    last_keys: Codes
    bad: Flags
    """Whether the block is not smaps; the other columns but `at` then mean nothing."""
    fields: dict[str, NDArray[np.int64]]

    @classmethod
    def empty(cls, at: Positions) -> Rows:
        """Rows of which nothing is known but where they begin."""
        words, codes = np.zeros((3, len(at)), np.uint64), np.full((2, len(at)), NULL, np.int32)
        return cls.of_headers(at, *words, *codes)

    @classmethod
    def of_headers(cls, at: Positions, start: Words, end: Words, offset: Words, perms: Codes, places: Codes) -> Rows:
        """Rows of which nothing is known but their mapping lines."""
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
        """The key's column, to be filled in; a new one is NULL in every row."""
        if key not in self.fields:
            self.fields[key] = np.full(len(self.at), NULL, np.int64)
        return self.fields[key]

    def __getitem__(self, kept: Flags) -> Rows:
        columns = {name: getattr(self, name)[kept] for name in _COLUMNS}
        return Rows(**columns, fields={key: column[kept] for key, column in self.fields.items()})


_COLUMNS = tuple(column.name for column in fields(Rows) if column.name != "fields")


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, one after the other."""
    if not parts:
        return Rows.empty(np.zeros(0, np.int64))
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    keys = dict.fromkeys(key for part in parts for key in part.fields)
    # In one piece: the kernel gives a large one out in large pages.
    values = np.empty((len(keys), len(columns["at"])), np.int64)
    for column, key in zip(values, keys, strict=True):
        np.concatenate([part.field(key) for part in parts], out=column)
    return Rows(**columns, fields=dict(zip(keys, values, strict=True)))
