"""The mapping line.   reference_parser, block_parser ─► [grammar]

    55f523c9f000-55f523cc1000 r-xp 00000000 08:02 5505067                    /sbin/cgmanager
    start        end          perms offset  device inode                     path

Padding or a single space stands in front of the path. The path is the rest of the line: it may hold spaces, tabs and
bytes that are not UTF-8 (only a newline is escaped, as \\012). A line without a path ends after the inode, with or
without a space. Source: fs/proc/task_mmu.c, show_map_vma().
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEADER_BEGINNING = re.compile(rb"[0-9a-f]{8,16}-|[0-9a-f]{1,16}\Z")
"""Beginning of a mapping line, well formed behind it or not; the second form is a line cut off before its dash."""

# The newline in front makes it fast: the engine jumps from one newline to the next.
BLOCK_BREAK = re.compile(rb"\n(?=" + HEADER_BEGINNING.pattern + rb")")
"""The newline in front of a mapping line."""

_HEADER = re.compile(
    rb"([0-9a-f]{8,16})-([0-9a-f]{8,16}) ([r-][w-][x-][sp]) ([0-9a-f]{1,16}) "
    rb"(?P<place>[0-9a-f]+:[0-9a-f]+ [0-9]+(?: .*)?)",
    re.DOTALL,
)
_PLACE = re.compile(rb"([0-9a-f]+:[0-9a-f]+) ([0-9]+)(?: +(.*))?", re.DOTALL)
_INODE_LIMIT = 2**64
ROLLUP = b"[rollup]"
"""Path in the only mapping line of /proc/PID/smaps_rollup, which is not a mapping."""

SIZE_MAX = 2**57
"""Largest size of a mapping, in bytes: twice the reach of five levels of page tables, so that sums stay in 64 bits."""


class Place(NamedTuple):
    """The mapped object: the end of a mapping line. A few hundred serve a hundred thousand mappings."""

    device: str
    inode: int
    path: str


class Header(NamedTuple):
    """One mapping line."""

    start: int
    end: int
    perms: str
    offset: int
    place: Place


def read_place(line_end: bytes) -> Place | None:
    """Parse a mapping line from the device on, without the newline; None if it is malformed."""
    match = _PLACE.fullmatch(line_end)
    if match is None:
        return None
    device, inode, path = match.groups(default=b"")
    if path == ROLLUP or len(inode) > len(str(_INODE_LIMIT)) or int(inode) >= _INODE_LIMIT:
        return None
    return Place(device.decode("ascii"), int(inode), path.decode("utf-8", "surrogateescape"))


def read_header(line: bytes) -> Header | None:
    """Parse a mapping line without its newline; None if it is malformed."""
    match = _HEADER.fullmatch(line)
    place = read_place(match["place"]) if match else None
    if match is None or place is None:
        return None
    start, end = int(match[1], 16), int(match[2], 16)
    if not 0 < end - start <= SIZE_MAX:
        return None
    perms, offset = match.groups()[2:4]
    return Header(start, end, perms.decode("ascii"), int(offset, 16), place)
