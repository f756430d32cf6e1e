"""One process's rows.   MappingTable ─► [one] ─► listing, wide"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import Letters
from fleetpmap.smaps import NULL, Coded
from fleetpmap.table import IntArray, MappingTable


@dataclass(frozen=True, slots=True)
class OneProcess:
    """One process's mappings, in the order of the kernel."""

    table: MappingTable
    names: Coded
    """One slot per row of the table, as pmap calls it."""
    rows: NDArray[np.intp]
    """The rows that are this process's."""
    shown: NDArray[np.intp]
    """Those of them that lie in the range of -A."""
    keys: tuple[str, ...]
    """The kernel's fields in the order of that host's smaps."""
    clean: Callable[[str], str]
    """What becomes of a text that pmap would print as it is."""

    def texts(self, column: Coded) -> list[str]:
        """The cells of a column in the rows that are shown; nothing for null."""
        return texts_of(column, self.shown)

    def numbers(self, column: IntArray | NDArray[np.uint64]) -> list[int]:
        """The same, of a column of numbers."""
        numbers: list[int] = column[self.shown].tolist()
        return numbers


Printer = Callable[[OneProcess, Letters], str]
"""All that a format prints below the process's first line."""


def texts_of(column: Coded, rows: NDArray[np.intp]) -> list[str]:
    """The texts of those rows; nothing for null."""
    names = [*column.names, ""]
    return [names[code] for code in column.codes[rows].tolist()]


def known(number: int) -> str:
    """The number, and `?` where the kernel did not give one."""
    return "?" if number == NULL else str(number)


def known_sum(numbers: Iterable[int]) -> str:
    """The sum of what is known; `?` if nothing is."""
    numbers = list(numbers)
    added = [number for number in numbers if number != NULL]
    return str(sum(added)) if added or not numbers else "?"
