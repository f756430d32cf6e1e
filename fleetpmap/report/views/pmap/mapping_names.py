"""pmap's names of mappings.   MappingTable ─► [mapping_names] ─► formats

Source: pmap.c of procps-ng, mapping_name(), and print_extended_maps() for -X.
"""

from __future__ import annotations

import re

import numpy as np

from fleetpmap.naming import code_texts
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot

_ANON = "  [ anon ]"
_STACK = "  [ stack ]"
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}( \(deleted\))?")
_PRINTABLE = bytes(byte if 0x20 <= byte < 0x7F else ord("?") for byte in range(256))
"""For bytes.translate: every byte outside printable ASCII is `?`, in every locale."""
_WIDE_BYTES = 127
"""Bytes of a path that -X prints at most."""


def mode(perms: str) -> str:
    """Return pmap's five characters: rwx, s or - (private), and a dash, which on Solaris could be R."""
    return f"{perms[:3]}{'s' if perms[3] == 's' else '-'}-"


def mapping_names(snapshot: Snapshot, *, show_path: bool, kernel_names: bool) -> Coded:
    """Return the name of each mapping, for all formats but -X and -XX.

    A System V segment is named by its inode, which is its shmid. The mapping in which a process's stack began is the
    stack, even if the kernel gives it another name.
    """
    table = snapshot.table
    names = [_name(path, show_path, kernel_names) for path in table.path.names]
    slots = table.path.codes.astype(np.intp)
    is_anon = np.array([name == _ANON for name in names], dtype=np.bool_)[slots]
    is_sysv = np.array([_SYSV.fullmatch(path) is not None for path in table.path.names], dtype=np.bool_)[slots]
    # pmap recognises a segment by its device; a segment of huge pages is on another one.
    is_sysv &= ~np.array([kind == "hugetlb" for kind in table.kind.names], dtype=np.bool_)[table.kind.codes]
    shmids, of_row = np.unique(table.inode[is_sysv], return_inverse=True)
    slots[is_sysv] = len(names) + of_row
    names += [f"  [ shmid=0x{shmid:x} ]" for shmid in shmids.tolist()]
    slots[is_anon & _holds_stack(snapshot)] = len(names)
    return code_texts([*names, _STACK], slots)


def _holds_stack(snapshot: Snapshot) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    # The end is included, as in pmap, which tests start_stack <= start + length.
    table, processes = snapshot.table, snapshot.processes
    stack = np.array([process.start_stack or 0 for process in processes], dtype=np.uint64)[table.process]
    known = np.array([process.start_stack is not None for process in processes], dtype=np.bool_)[table.process]
    return np.asarray(known & (table.start <= stack) & (stack <= table.end), dtype=np.bool_)


def _name(path: str, show_path: bool, kernel_names: bool) -> str:
    # pmap searches for slashes anywhere: [anon:a/b] becomes "b]", and a path that ends in a slash becomes "/".
    first = path.find("/")
    if first >= 0:
        return _printable(path[first:] if show_path else path.rpartition("/")[2] or "/")
    if kernel_names and path.endswith("]") and "[" in path:
        return _printable(path[path.index("[") :])
    return _ANON


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").translate(_PRINTABLE).decode("ascii")


def wide_name(path: str, *, show_path: bool) -> str:
    """Return the name in -X and -XX: the kernel's own bytes, as many as fit into pmap's buffer."""
    kept = path.encode("utf-8", "surrogateescape")[:_WIDE_BYTES].decode("utf-8", "surrogateescape")
    return kept if show_path else kept.rpartition("/")[2]
