"""The rows of a run, put aside while it goes on.   parts ─► [rows] ─► snapshot_file

A run that is saved, and shows only sums, need not hold a row for each mapping until the last host has replied. The rows
of each part go to a file without a name, and in the end from there into the snapshot's file, in the fleet's order. A
file without a name disappears when its process ends, also by kill -9.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # both take numpy with them, and the file is made before any host is asked
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.table import MappingTable

AT_ONCE = 1 << 16
"""Rows that are put aside, or written, at a time."""


class _Part(NamedTuple):
    """Where the rows of a part are."""

    pieces: list[tuple[int, int]]
    """Offset and length of each piece of its table."""
    processes: int
    """Number of its processes."""


class Rows:
    """The rows of the parts of a run.

    An error of the file is raised by `tables`, and not by `add`: the run goes on without its rows.
    """

    def __init__(self, directory: Path) -> None:
        """Make the file, on the disk of this directory.

        Raises:
            OSError: it cannot be made there.
        """
        self._file = TemporaryFile(dir=directory)  # noqa: SIM115  # `close` closes it
        self._parts: dict[int, _Part] = {}
        self._error: OSError | None = None

    def add(self, number: int, part: Snapshot) -> None:
        """Put the rows of a part aside; `number` gives its place among the parts."""
        try:
            self._parts[number] = _Part([*self._written(part.table)], len(part.processes))
        except OSError as error:
            self._error = self._error or error

    def _written(self, table: MappingTable) -> Iterator[tuple[int, int]]:
        for start in range(0, 0 if self._error else len(table), AT_ONCE):
            piece = table.rows(start, start + AT_ONCE, base=0)
            packed = zlib.compress(pickle.dumps(piece, pickle.HIGHEST_PROTOCOL), 1)
            offset = self._file.seek(0, SEEK_END)
            self._file.write(packed)
            self._file.flush()
            yield offset, len(packed)

    def tables(self) -> Iterator[MappingTable]:
        """Return the rows in the order of the parts; their processes are numbered through.

        Raises:
            OSError: they could not be put aside.
        """
        if self._error:
            raise self._error
        return self._read()

    def _read(self) -> Iterator[MappingTable]:
        from fleetpmap.table import concatenate

        some: list[tuple[MappingTable, int]] = []
        base = 0
        for _, part in sorted(self._parts.items()):
            for offset, length in part.pieces:
                self._file.seek(offset)
                piece = zlib.decompress(self._file.read(length))
                some.append((pickle.loads(piece), base))  # noqa: S301  # our own, from `add`
                if sum(len(table) for table, _ in some) >= AT_ONCE:
                    yield concatenate(some)
                    some = []
            base += part.processes
        yield concatenate(some)

    def close(self) -> None:
        """Give the rows up."""
        with suppress(OSError):  # of a full disk
            self._file.close()
