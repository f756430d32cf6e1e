"""Mappings of files that an upgrade replaced.   table ─► [stale_code] ─► code, and the views stale and services

A library or program that was deleted, or replaced by a new file of the same name, stays in the memory of the processes
that map it; the upgrade reaches them when they restart. A deleted file is stale if a process maps it executable and
private, or if it is a shared object in a system folder. These are not stale, since no upgrade replaced them:

    memory that only has a file's name: shared anonymous memory, memfds, System V segments, devices
    files that a program unpacked or generated for itself under a temporary or made-up name (naming.is_temporary)
    data: caches, fonts, locale archives, databases, even if an old program maps all that it reads executable

A file whose real name ends in ` (deleted)` cannot be distinguished from a deleted one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fleetpmap.naming import ANON, code_texts, is_replaced, is_temporary, proper_path
from fleetpmap.smaps import Coded
from fleetpmap.table import MappingTable

_FILES = frozenset({"library", "executable", "file"})
_SYSTEM = re.compile(r"/(?:usr|lib|lib32|lib64|libx32|bin|sbin)/")
"""Folders of libraries and programs: a file deleted there was upgraded, or removed."""
_DATA = re.compile(
    r"/(?:locale|fonts?|gconv)/[^.]*\Z|/locale-archive\Z"
    r"|\.(?:cache|db|sqlite3?|mdb|dat|idx|index|mo|res|pak|tt[cf]|otf|pf[ab]|pcf|woff2?|gvdb|compiled)(?:\.\w{1,8})?\Z"
)
"""Paths of data files, by their folder or their name."""


def proper_paths(table: MappingTable) -> Coded:
    """Return each mapping's proper path (see naming); `[anon]` for a mapping without a path."""
    return rewritten(table.path, lambda path: proper_path(path) or ANON)


def replaced(table: MappingTable) -> NDArray[np.bool_]:
    """Return, for each mapping, True if its file was deleted, or moved aside for another."""
    # The False at the end is for mappings without a path: their code is -1, which indexes the last slot.
    return np.array([*map(is_replaced, table.path.names), False], dtype=np.bool_)[table.path.codes]


def rewritten(texts: Coded, rewrite: Callable[[str], str]) -> Coded:
    """Return a coded column with each text rewritten."""
    names = [*map(rewrite, texts.names)]
    if len({*names}) == len(names) and not (texts.codes < 0).any():
        return Coded(texts.codes, tuple(names))
    return code_texts(names, texts.codes.astype(np.intp))


def stale_code(table: MappingTable, paths: Coded, gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, for each mapping, True if it is that of a stale file.

    `paths`: its proper path (proper_paths); `gone`: True if its file was deleted or moved aside.
    """
    is_file, is_library = (_one_of(table.kind, kinds) for kinds in (_FILES, frozenset({"library"})))
    upgraded, in_system = (
        np.array([*map(test, paths.names), False], dtype=np.bool_)[paths.codes]
        for test in (_may_be_upgraded, _in_system)
    )
    runs = np.array([*(perms[2:] == "xp" for perms in table.perms.names), False], dtype=np.bool_)[table.perms.codes]
    # A process maps a program's data and code apart: if the code of (process, path) is gone, all its mappings count.
    pairs = table.process.astype(np.int64) * (len(paths.names) + 1) + paths.codes
    is_run = np.isin(pairs, pairs[gone & runs])
    stale: NDArray[np.bool_] = gone & is_file & upgraded & (is_run | (is_library & in_system))
    return stale


def _one_of(texts: Coded, wanted: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([*(text in wanted for text in texts.names), False], dtype=np.bool_)[texts.codes]


def _may_be_upgraded(path: str) -> bool:
    return not is_temporary(path) and _DATA.search(path) is None


def _in_system(path: str) -> bool:
    return _SYSTEM.match(path) is not None
