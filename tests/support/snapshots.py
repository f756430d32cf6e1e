"""Small snapshots by hand, and the expected tables.

    fleet = snapshot(
        host("web-01", process(812, "nginx", mapping("/usr/lib/libc.so.6", perms="r-xp", size=4, Rss=3, Pss=2))),
        failed("web-03", "auth", "web-03: cannot log in"),
    )
    assert plain(merged(fleet)) == expected("merged.txt", plain(merged(fleet)))

A mapping has the kernel fields it is given and no others. Expected tables are files under tests/data/expected; after a
change that is meant, `UPDATE_EXPECTED=1 pytest` writes them anew and fails, saying so: read the diff, then keep it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.snapshot import HostFailure, HostSnapshot, Process, Run, Snapshot, host_status, sizes_by_status
from fleetpmap.table import from_columns, with_unreadable
from fleetpmap.wire import Resident

EXPECTED = Path(__file__).parents[1] / "data" / "expected"
RUN = Run(datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC), 2.5, "fleetpmap run --match nginx")


@dataclass(frozen=True)
class Mapping:
    """One mapping: where it is, what it is, and the kernel fields it has."""

    path: str
    start: int
    size: int
    perms: str
    offset: int
    device: str
    inode: int
    flags: str | None
    fields: dict[str, int]


@dataclass(frozen=True)
class ProcessWithMappings:
    """One process and its mappings; its host is filled in by `host`."""

    process: Process
    mappings: tuple[Mapping, ...] = field(default=())


def mapping(
    path: str = "",
    *,
    start: int = 0x10000,
    size: int = 4,
    perms: str = "rw-p",
    offset: int = 0,
    device: str = "00:00",
    inode: int = 0,
    flags: str | None = None,
    **fields: int,
) -> Mapping:
    """A mapping of `size` KiB at `start`; the keywords left are kernel fields (Rss=12)."""
    return Mapping(path, start, size, perms, offset, device, inode, flags, fields)


def process(
    pid: int,
    name: str,
    *mappings: Mapping,
    arguments: tuple[str, ...] | None = None,
    user: str | None = "www",
    uid: int | None = 33,
    rss_kib: int = 0,
    status: str = "read",
    reason: str = "",
    start_stack: int | None = None,
    resident: Resident | None = None,
) -> ProcessWithMappings:
    """A process that matched; its command line is its name unless `arguments` says otherwise."""
    one = Process("", pid, name, (name,) if arguments is None else arguments, uid, user, 1, rss_kib, status, reason)
    return ProcessWithMappings(replace(one, start_stack=start_stack, resident=resident), mappings)


def unreadable(pid: int, name: str, rss: int, swap: int | None = 0, *, status: str = "denied") -> ProcessWithMappings:
    """A process whose smaps could not be read, with its sizes by status in KiB."""
    return process(pid, name, status=status, user="root", uid=0, resident=Resident(rss, swap_kib=swap))


def host(name: str, *processes: ProcessWithMappings, local: bool = False) -> HostSnapshot:
    """A host that answered, with the status that its processes give it."""
    named = tuple(replace(one.process, host=name) for one in processes)
    columns = _columns([one.mappings for one in processes])
    keys = tuple(columns.fields)
    return HostSnapshot(
        name=name,
        status=host_status(named),
        failure=None,
        capabilities=None,
        notes=(),
        local=local,
        keys=keys,
        processes=named,
        table=with_unreadable(from_columns(columns), sizes_by_status(named)),
    )


def failed(name: str, status: str, message: str, *, stage: str = "tcp", hint: str = "") -> HostSnapshot:
    """A host that did not answer."""
    return HostSnapshot.failed(HostFailure(name, status, stage, message, hint))


def snapshot(*hosts: HostSnapshot) -> Snapshot:
    """The fleet, at one moment in March."""
    return Snapshot.assemble(hosts, RUN)


_SIZES = (
    *("Size", "Rss", "Pss", "Shared_Dirty", "Private_Clean", "Private_Dirty"),
    *("Swap", "SwapPss", "Shared_Hugetlb", "Private_Hugetlb"),
)


def sizes(*kib: int) -> dict[str, int]:
    """The fields that the eight sizes come from, in the order of _SIZES."""
    return dict(zip(_SIZES, kib, strict=True))


def small_fleet() -> Snapshot:
    """Seven hosts: two with a denied or vanished process, an old kernel, one without a match, three failures.

    Nearly every number is different, so a swapped column cannot pass.
    """
    exe = {"perms": "r-xp", "flags": "rd ex mr mw me"}
    libc_1 = {"start": 0x7F1000000000, "size": 1644, "offset": 0x28000, "device": "fd:01", "inode": 1311, **exe}
    libc_2 = {"start": 0x7F2000000000, "size": 1648, "offset": 0x29000, "device": "fd:02", "inode": 2417, **exe}
    heap = {"start": 0x55D0A0000000, "size": 2640, "flags": "rd wr mr mw me ac"}
    anon = {"start": 0x7F2100000000, "size": 132, "flags": "rd wr mr mw me ac"}
    web_01 = process(
        *(812, "nginx"),
        mapping("[heap]", **heap, **sizes(2636, 2511, 2503, 11, 0, 2489, 67, 59, 0, 2048)),
        mapping("/usr/lib/libc.so.6", **libc_1, **sizes(1640, 1208, 107, 3, 61, 17, 5, 2, 0, 0)),
        arguments=("nginx: worker process",),
    )
    web_02 = process(
        *(1411, "nginx"),
        mapping("/lib/libc.so.6 (deleted)", **libc_2, **sizes(1636, 1216, 113, 7, 73, 19, 13, 6, 0, 0)),
        mapping("", **anon, **sizes(128, 97, 89, 23, 1, 71, 41, 37, 0, 0)),
        arguments=("nginx: worker process",),
        user=None,
    )
    no_pss = {"Rss": 640, "Shared_Dirty": 31, "Private_Clean": 53, "Private_Dirty": 29}
    old_01 = process(71, "nginx", mapping("/usr/lib/libc.so.6", size=1536, perms="r-xp", **no_pss))
    return snapshot(
        host("web-01", web_01, process(900, "nginx", status="denied", user="root", uid=0)),
        host("web-02", web_02, process(1412, "nginx", status="gone")),
        host("old-01", old_01),
        host("db-01"),
        failed("web-03", "auth", 'web-03: cannot log in as "ops"', stage="auth", hint="run `ssh web-03 true`"),
        failed("web-04", "timeout", "web-04: no answer in 10 s", hint="is it up?"),
        failed("web-05", "timeout", "web-05: no answer in 10 s", hint="is it up?"),
    )


def expected(name: str, actual: str) -> str:
    """The text of tests/data/expected/NAME, to compare `actual` with; UPDATE_EXPECTED=1 writes it anew."""
    path = EXPECTED / name
    if os.environ.get("UPDATE_EXPECTED"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(actual, encoding="utf-8")
        pytest.fail(f"regenerated {path.name}: read its diff, then run again without UPDATE_EXPECTED")
    return path.read_text(encoding="utf-8")


def _columns(mappings_of: list[tuple[Mapping, ...]]) -> SmapsColumns:
    rows = [(slot, one) for slot, mappings in enumerate(mappings_of) for one in mappings]
    all_ = [one for _, one in rows]
    keys = dict.fromkeys(key for one in all_ for key in one.fields)
    return SmapsColumns(
        process=np.array([slot for slot, _ in rows], dtype=np.int32),
        start=np.array([one.start for one in all_], dtype=np.uint64),
        end=np.array([one.start + one.size * 1024 for one in all_], dtype=np.uint64),
        perms=_coded([one.perms for one in all_]),
        offset=np.array([one.offset for one in all_], dtype=np.uint64),
        device=_coded([one.device for one in all_]),
        inode=np.array([one.inode for one in all_], dtype=np.uint64),
        path=_coded([one.path for one in all_]),
        fields={key: np.array([one.fields.get(key, NULL) for one in all_], dtype=np.int64) for key in keys},
        flags=_coded([one.flags for one in all_]),
    )


def _coded(texts: list[str | None] | list[str]) -> Coded:
    slots = {text: slot for slot, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    return Coded(np.array([-1 if text is None else slots[text] for text in texts], dtype=np.int32), tuple(slots))
