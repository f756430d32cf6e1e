"""What the parser hands on: one array per kernel field, one slot per mapping.   parse ─► [columns] ─► table"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")

NULL = -1
"""The value of a field that the kernel did not print: no field of smaps is negative. Only `table` puts it in a sum."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few different texts: `codes[i]` is the slot of row i's text in `names`; -1 is null."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]
    """Distinct. Bytes that are not UTF-8 as surrogates (surrogateescape)."""

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str | None]:
        """Every row's text, in order."""
        names: list[str | None] = [*self.names, None]
        return [names[code] for code in self.codes.tolist()]


def in_row_order(codes: NDArray[np.int32], items: Sequence[_T]) -> tuple[NDArray[np.int32], list[_T]]:
    """The items that a row has, in the order of their first rows, and each row's code for those."""
    count = len(codes)
    first = np.full(len(items) + 1, count)
    # Of several rows with one code the last one written stays, and that is the first row.
    first[codes[::-1]] = np.arange(count - 1, -1, -1)
    first[NULL] = count
    order = first.argsort()[: np.count_nonzero(first < count)]
    renumbered = np.full(len(items) + 1, NULL, np.int32)
    renumbered[order] = np.arange(len(order))
    return renumbered[codes], [items[slot] for slot in order.tolist()]


@dataclass(frozen=True, slots=True)
class SmapsColumns:
    """The mappings of one or more processes, in the order of the text. All arrays have one slot per mapping."""

    process: NDArray[np.int32]
    """Which of the given texts (spans) the mapping came from, from 0."""
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    perms: Coded
    """The kernel's four characters, rwx- and p or s."""
    offset: NDArray[np.uint64]
    """Bytes into the file."""
    device: Coded
    """major:minor in hex, as printed."""
    inode: NDArray[np.uint64]
    path: Coded
    """The rest of the header line as the kernel printed it, ` (deleted)` and `\\012` included; '' if there is none."""
    fields: Mapping[str, NDArray[np.int64]]
    """Kernel key (`Rss`, `THPeligible`, …) to values as printed (kB fields in KiB), NULL where a mapping lacks the key.
    Keys in the order in which the text first has them; a key that no mapping has is not there."""
    flags: Coded
    """VmFlags, space-separated, without the trailing space; null where there is no such line."""
