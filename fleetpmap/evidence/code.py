"""The code of each process: the files that it runs.   table ─► [code] ─► judging ─► drift, standing_out

The workers of a service run the same code, on one host and on the others. So the code of all processes is a few records
of some fifty files, and a number for each process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpmap.evidence.stale_code import proper_paths, replaced, stale_code
from fleetpmap.naming import MOST_KEPT, steady_path
from fleetpmap.smaps import NULL
from fleetpmap.table import MappingTable, is_rollup

_CODE = frozenset({"library", "executable"})
_MOST_FILES = 1_000
"""Files of a record that is kept in a cache."""


class CodeFile(NamedTuple):
    """A library or program that a process runs, with the layout of its code, which differs between builds."""

    name: str
    path: str
    """Proper and steady (see naming)."""
    offset: int
    """Where its code begins in the file, in bytes."""
    size: int
    """Length of its code in bytes, also where the kernel keeps it as several mappings."""


@dataclass(frozen=True, slots=True)
class Code:
    """The files that a process runs."""

    files: tuple[CodeFile, ...]
    """Sorted, each once."""
    stale: tuple[str, ...] = ()
    """The proper paths of those that an upgrade replaced, sorted."""


def code_of(table: MappingTable, processes: int) -> tuple[NDArray[np.int32], tuple[Code, ...]]:
    """Return the code of each process, as numbers and the records that they mean; NULL if its mappings are not known.

    `table`: a row for each mapping, or sums by path and permissions, which do not tell where code begins.
    """
    rows = code_rows(table)
    paths = proper_paths(table)
    process, size = table.process[rows], (table.end - table.start)[rows].astype(np.int64)
    # The parts of one file in one process are one record: their length is added up, the first tells the offset.
    pairs, first, part = np.unique(
        process.astype(np.int64) * (len(table.path.names) + 1) + table.path.codes[rows],
        return_index=True,
        return_inverse=True,
    )
    rows = rows[first]
    facts = np.column_stack(
        [
            table.mapping.codes[rows],
            paths.codes[rows],
            table.offset[rows].astype(np.int64),
            np.bincount(part, weights=size, minlength=len(pairs)).astype(np.int64),
        ]
    )
    bounds = np.searchsorted(process[first], np.arange(processes + 1)).tolist()
    stale = _stale_files(table)
    known = np.zeros(processes, dtype=np.bool_)
    known[table.process[(table.mappings > 0) & ~is_rollup(table.path)]] = True
    numbers = np.full(processes, NULL, dtype=np.int32)
    numbers_of: dict[tuple[bytes, tuple[str, ...]], int] = {}
    codes: dict[Code, int] = {}
    for number in np.flatnonzero(known).tolist():
        own = facts[bounds[number] : bounds[number + 1]]
        key = (own.tobytes(), stale.get(number, ()))
        if key not in numbers_of:
            files = {
                _file(table.mapping.names[name], paths.names[path], *layout) for name, path, *layout in own.tolist()
            }
            numbers_of[key] = codes.setdefault(_shared(Code(tuple(sorted(files)), key[1])), len(codes))
        numbers[number] = numbers_of[key]
    return numbers, tuple(codes)


def code_rows(table: MappingTable) -> NDArray[np.intp]:
    """Return the mappings of the code of libraries and programs."""
    # The False at the end is for a null, code -1.
    is_code = np.array([*(kind in _CODE for kind in table.kind.names), False], dtype=np.bool_)[table.kind.codes]
    runs = np.array([*("x" in perms for perms in table.perms.names), False], dtype=np.bool_)[table.perms.codes]
    return np.flatnonzero(is_code & runs)


def _stale_files(table: MappingTable) -> dict[int, tuple[str, ...]]:
    """Return the stale files of each process that has any."""
    gone = replaced(table)
    if not gone.any():
        return {}
    paths = proper_paths(table)
    rows = np.flatnonzero(stale_code(table, paths, gone))
    files: dict[int, set[str]] = {}
    for number, path in zip(table.process[rows].tolist(), paths.codes[rows].tolist(), strict=True):
        files.setdefault(number, set()).add(paths.names[path])
    return {number: tuple(sorted(names)) for number, names in files.items()}


def _file(name: str, path: str, offset: int, size: int) -> CodeFile:
    """Return the record of a file, the same object each time: the hosts of a fleet run much the same files."""
    make = _known_file if len(path) <= MOST_KEPT else _known_file.__wrapped__
    return make(name, path, offset, size)


@lru_cache(1 << 14)
def _known_file(name: str, path: str, offset: int, size: int) -> CodeFile:
    return CodeFile(name, steady_path(path, code=True), offset, size)


def _shared(code: Code) -> Code:
    """Return the first record that is equal to this one, so that a thousand hosts keep one; not if it is huge."""
    paths = (*(file.path for file in code.files), *code.stale)
    is_usual = len(paths) <= _MOST_FILES and all(len(path) <= MOST_KEPT for path in paths)
    return _known_code(code) if is_usual else code


@lru_cache(1 << 12)
def _known_code(code: Code) -> Code:
    return code
