"""stat texts to columns, and one at a time to values.   frames ─► [stats] ─► replies

    columns     of every process where its pid, name and other fields lie: one regular expression for the whole section
    Stat        the values of one process, made for those that somebody asks about

A section that the expression does not take to its last byte (a name with a newline in it, or a host that lies) is read
line by line instead: the same columns, or the error that says what is wrong.
Source: Documentation/filesystems/proc.rst, table 1-4.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fleetpmap.wire.sections import PROCESSES_LIMIT, MalformedError, number, paths_and_lines, text_of

PF_KTHREAD = 0x00200000
"""Bit of stat's flags that the kernel sets on its own threads (include/linux/sched.h, since 2.6.27)."""

_SHORTEST = 22
"""Fields of stat after the name, up to rss; later kernels add more, and the probe's list leaves them out."""
_START_STACK = 25
"""The place of startstack among them."""
_ANY, _NUMBER = rb"-?\d+ ", rb"\d{1,18}"
# state, ppid, pgrp, session, tty and tpgid, flags, twelve that nobody asks for, starttime, vsize, rss.
_FIELDS = b"".join(
    (rb"[A-Za-z] %b " % _NUMBER, _ANY, rb"-?%b " % _NUMBER, _ANY * 2, rb"%b " % _NUMBER, _ANY * 12)
) + rb" ".join([_NUMBER] * 3)
_LINE = re.compile(rb"^([1-9]\d{0,8})/stat:\d+ \((.*?)\) (%b)(?: [^)\n]*)?\n" % _FIELDS, re.MULTILINE)


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process, but for its name."""

    state: str
    ppid: int
    session: int
    kernel_thread: bool
    start_ticks: int
    size: int
    """Bytes of address space; 0 once a process has given its memory back on the way out."""
    rss_pages: int
    start_stack: int | None = None
    """Address at which its stack begins; 0 where the login may not know, None in a stat without the field."""


class Stats(NamedTuple):
    """Columns, one slot for each process, by pid."""

    pids: list[int]
    names: list[str]
    fields: list[bytes]
    """What follows the name: `stat_of` makes it a Stat."""


def parse_stats(section: bytes) -> Stats:
    """Every process's stat, from lines as grep -H prints them."""
    rows: list[tuple[bytes, bytes, bytes]] = _LINE.findall(section)
    whole = len(rows) == section.count(b"\n") and section.endswith(b"\n")
    return (_by_pid(rows) if whole else None) or parse_stats_one_by_one(section)


def _by_pid(rows: list[tuple[bytes, bytes, bytes]]) -> Stats | None:
    """The columns sorted by pid; None if one comes twice, or there are too many."""
    pids = [int(row[0]) for row in rows]
    order = sorted(range(len(pids)), key=pids.__getitem__)
    if len(set(pids)) < len(pids) or len(pids) > PROCESSES_LIMIT:
        return None
    names = [rows[at][1].decode("utf-8", "surrogateescape") for at in order]  # text_of(), not called so often
    return Stats([pids[at] for at in order], names, [rows[at][2] for at in order])


def parse_stats_one_by_one(section: bytes) -> Stats:
    """As parse_stats, for any section.

    Raises:
        MalformedError: there is a line in it that grep cannot have printed of a stat.
    """
    texts: dict[int, bytes] = {}
    for pid, line in paths_and_lines(section, b"/stat:"):
        # The kernel prints the name raw: one with newlines in it comes as several lines, each behind the same path.
        texts[pid] = texts[pid] + b"\n" + line if pid in texts else line
        if len(texts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    columns = [(pid, *_name_and_fields(pid, text)) for pid, text in sorted(texts.items())]
    return Stats(*map(list, zip(*columns, strict=True))) if columns else Stats([], [], [])


def stat_of_text(pid: int, text: bytes) -> Stat:
    """A whole stat."""
    return stat_of(_name_and_fields(pid, text)[1])


def stat_of(fields: bytes) -> Stat:
    """What follows the name, as it is in Stats."""
    words = fields.split(None, _START_STACK + 1)
    return Stat(
        text_of(words[0]),
        ppid=int(words[1]),
        session=abs(int(words[3])),  # -1 in a process that is ending
        kernel_thread=bool(int(words[6]) & PF_KTHREAD),
        start_ticks=int(words[19]),
        size=int(words[20]),
        rss_pages=int(words[21]),
        start_stack=int(words[_START_STACK]) if len(words) > _START_STACK else None,
    )


def _name_and_fields(pid: int, text: bytes) -> tuple[str, bytes]:
    """The name may hold parentheses and spaces; it ends at the last parenthesis of all."""
    before, _, fields = text.rpartition(b")")
    words = fields.split(None, _START_STACK + 1)
    if len(words) < _SHORTEST:
        raise MalformedError(f"{pid}/stat is not a stat line")
    try:
        for word in (words[1], words[3].removeprefix(b"-"), words[6], *words[19:22], *words[_START_STACK:][:1]):
            number(word)
    except MalformedError as error:
        raise MalformedError(f"{pid}/stat is not a stat line: {error}") from error
    return text_of(before.partition(b"(")[2]), fields
