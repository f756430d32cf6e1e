"""pmap bare, with -x and with -d.   OneProcess ─► [listing] ─► text

Source: pmap.c of procps-ng 4.0.2, one_proc().
"""

from __future__ import annotations

from fleetpmap.catalogue import Letters
from fleetpmap.report.views.pmap.names import mode
from fleetpmap.report.views.pmap.one import OneProcess, known, known_sum

_EXTENDED_HEADER = "Address           Kbytes     RSS   Dirty Mode  Mapping\n"
_EXTENDED_RULE = "---------------- ------- ------- ------- \n"
_DEVICE_HEADER = "Address           Kbytes Mode  Offset           Device    Mapping\n"


def plain(one: OneProcess, letters: Letters) -> str:
    """Address, size, mode and name of each mapping, and the sum of the sizes."""
    table = one.table
    sizes, perms = one.numbers(table.metrics["size_kib"]), one.texts(table.perms)
    rows = zip(one.numbers(table.start), sizes, perms, one.texts(one.names), strict=True)
    lines = "".join(f"{start:016x} {size:6}K {mode(perms)} {name}\n" for start, size, perms, name in rows)
    return lines if letters.quiet else f"{lines} total {sum(sizes):16}K\n"


def extended(one: OneProcess, letters: Letters) -> str:
    """-x: RSS and Dirty beside the size."""
    table = one.table
    sizes, rss, dirty = (one.numbers(table.metrics[name]) for name in ("size_kib", "rss_kib", "dirty_kib"))
    rows = zip(one.numbers(table.start), sizes, rss, dirty, one.texts(table.perms), one.texts(one.names), strict=True)
    lines = "".join(
        f"{start:016x} {size:7} {known(resident):>7} {known(written):>7} {mode(perms)} {name}\n"
        for start, size, resident, written, perms, name in rows
    )
    if letters.quiet:
        return lines
    totals = f"{'total kB':16} {sum(sizes):7} {known_sum(rss):>7} {known_sum(dirty):>7}\n"
    return f"{_EXTENDED_HEADER}{lines}{_EXTENDED_RULE}{totals}"


def device(one: OneProcess, letters: Letters) -> str:
    """-d: offset and device beside the size, and the sizes by what a process may do with them."""
    table = one.table
    sizes, perms = one.numbers(table.metrics["size_kib"]), one.texts(table.perms)
    rows = zip(
        *(one.numbers(table.start), sizes, perms, one.numbers(table.offset)),
        *(one.texts(table.device), one.texts(one.names)),
        strict=True,
    )
    lines = "".join(
        f"{start:016x} {size:7} {mode(perms)} {offset:016x} {_numbered(device)} {name}\n"
        for start, size, perms, offset, device, name in rows
    )
    if letters.quiet:
        return lines
    own = sum(size for size, perms in zip(sizes, perms, strict=True) if perms[1] == "w" and perms[3] == "p")
    shared = sum(size for size, perms in zip(sizes, perms, strict=True) if perms[3] == "s")
    return f"{_DEVICE_HEADER}{lines}mapped: {sum(sizes)}K    writeable/private: {own}K    shared: {shared}K\n"


def _numbered(device: str) -> str:
    """The kernel's major:minor in pmap's three and five digits."""
    major, _, minor = device.partition(":")
    return f"{major:0>3}:{minor:0>5}"
