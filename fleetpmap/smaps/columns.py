"""The parser's result: one array per kernel field, one slot per mapping.   parser ─► [columns] ─► table"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")

NULL = -1
"""The value of a field that the kernel did not print; no field of smaps is negative. Only `table` sums over it."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column with few different texts: `codes[i]` is the index of row i's text in `names`; -1 is null.

    Rows "[heap]", null, "[heap]" and "[stack]" are codes 0, -1, 0, 1 and names ("[heap]", "[stack]").
    """

    codes: NDArray[np.int8 | np.int16 | np.int32]
    """int32 from the parser, and as narrow as the number of names allows in a table; a code + 1 fits, too."""
    names: tuple[str, ...]
    """Distinct. Bytes that are not UTF-8 as surrogates (surrogateescape)."""

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str | None]:
        """Return every row's text, in order."""
        # Code -1 indexes the last item, the None.
        names: list[str | None] = [*self.names, None]
        return [names[code] for code in self.codes.tolist()]


def in_row_order(codes: NDArray[np.signedinteger], items: Sequence[_T]) -> tuple[NDArray[np.int32], list[_T]]:
    """Renumber codes in the order of their first rows, and drop the items that no row has.

    Codes 2 0 2 -1 of the items a, b, c become codes 0 1 0 -1 of the items c, a.
    """
    count = len(codes)
    first = np.full(len(items) + 1, count)
    # Written backwards: of several rows with one code the last one written stays, and that is the first row.
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
    """Index of the mapping's process in the given spans."""
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    perms: Coded
    """The kernel's four characters: r, w, x or -, then p or s."""
    offset: NDArray[np.uint64]
    """Offset into the file, in bytes."""
    device: Coded
    """Device as major:minor in hex, as printed."""
    inode: NDArray[np.uint64]
    path: Coded
    """The rest of the header line as the kernel printed it, ` (deleted)` and `\\012` included; '' if there is none."""
    fields: Mapping[str, NDArray[np.int64]]
    """Values by kernel key (`Rss`, `THPeligible`, …), as printed (kB fields in KiB); NULL if a mapping lacks the key.
    Keys follow the order in which the text first has them; every key has a value in some mapping."""
    flags: Coded
    """VmFlags, space-separated, without the trailing space; null for a mapping without that line."""
