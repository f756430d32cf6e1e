"""stat texts to columns, and one at a time to values.   frames ─► [stats] ─► replies

    columns     each process's pid, name, and what follows it: one regular expression for the whole section
    Stat        the values of one process, read and checked for those that somebody asks about

If a line is not like that, or a name ends elsewhere (it has a newline or a parenthesis inside, or the host lies), all
are read line by line instead: the same columns, or the error that says what is wrong.
Source: Documentation/filesystems/proc.rst, table 1-4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fleetpmap.wire.section_readers import PROCESSES_LIMIT, MalformedError, paths_and_lines, text_of

PF_KTHREAD = 0x00200000
"""Bit of stat's flags that the kernel sets on its own threads (include/linux/sched.h, since 2.6.27)."""

_ANY, _NUMBER = r"-?[0-9]+", r"([0-9]{1,18})"
_FIELDS = re.compile(
    " ".join(
        (
            *(r"\s*(\S+)", _NUMBER, _ANY, rf"-?{_NUMBER}", _ANY, _ANY, _NUMBER),  # state, ppid, session, flags
            *(_ANY,) * 10,
            *(_NUMBER, _ANY),  # num_threads
            *(_NUMBER, _NUMBER, rf"{_NUMBER}\b"),  # starttime, vsize, rss; here ends what the probe's list has
        )
    )
    + rf"(?: {_ANY} {_ANY} {_ANY} {_NUMBER}\b)?"  # startstack
)
# It is systemd that calls a process `(sd-pam)`. What follows a name is taken as it is: that is the quickest by far.
# (A newline in a name is found by the count of lines: without it among the forbidden bytes, the expression is a quarter
# quicker. No name is longer than 64 bytes, those of workqueues; without a bound, a host could make it look very far.)
_LINE = re.compile(r"^([1-9][0-9]{0,8})/stat:[0-9]+ \(([^)]{0,64}\)?)\) (.*)\n", re.MULTILINE)
_SPLIT_LIMIT = 4096
"""Bytes of a stat that comes in several lines; a name has 64 at most. A host could make us join them for ever."""


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
    threads: int = 1
    """How many it has; a process that has ended has one until its parent has waited for it."""


class Stats(NamedTuple):
    """Columns, one slot for each process, in the host's order."""

    slots: dict[str, int]
    """By pid, as the host wrote it: of the hundreds that are here, few are ever needed as numbers."""
    names: Sequence[str]
    fields: Sequence[str]
    """What follows the name: `stat_of` makes it a Stat."""


def parse_stats(section: bytes) -> Stats:
    """Every process's stat, from lines as grep -H prints them.

    Raises:
        MalformedError: there is a line in it that grep cannot have printed of a stat.
    """
    lines = section.count(b"\n")
    if lines <= PROCESSES_LIMIT and section.endswith(b"\n"):
        rows: list[tuple[str, str, str]] = _LINE.findall(text_of(section))
        stats = _columns(rows)
        if len(stats.slots) == len(rows) == lines and ")" not in "".join(stats.fields):
            return stats
    return parse_stats_one_by_one(section)


def parse_stats_one_by_one(section: bytes) -> Stats:
    """As parse_stats, for any section."""
    texts: dict[int, bytes] = {}
    for pid, line in paths_and_lines(section, b"/stat:"):
        # The kernel prints the name raw: one with newlines in it comes as several lines, each behind the same path.
        # Behind a whole one it is another, as of a host that lies.
        before = texts.get(pid)
        is_more = before is not None and not _FIELDS.match(text_of(before.rpartition(b")")[2]))
        texts[pid] = b"\n".join((texts[pid], line)) if is_more else line
        if is_more and len(texts[pid]) > _SPLIT_LIMIT:
            raise MalformedError(f"{pid}/stat is not a stat line")
        if len(texts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    return _columns((str(pid), *_name_and_fields(pid, text)) for pid, text in texts.items())


def stat_of_text(pid: int, text: bytes) -> Stat:
    """A whole stat (see stat_of)."""
    return stat_of(pid, _name_and_fields(pid, text)[1])


def stat_of(pid: int, fields: str) -> Stat:
    """What follows the name, as it is in Stats.

    Raises:
        MalformedError: the kernel prints no such fields.
    """
    match = _FIELDS.match(fields)
    if match is None:
        raise MalformedError(f"{pid}/stat is not a stat line")
    state, ppid, session, flags, threads, start_ticks, size, rss_pages, start_stack = match.groups()
    return Stat(
        state,
        ppid=int(ppid),
        session=int(session),  # -1 in a process that is ending
        kernel_thread=bool(int(flags) & PF_KTHREAD),
        start_ticks=int(start_ticks),
        size=int(size),
        rss_pages=int(rss_pages),
        start_stack=None if start_stack is None else int(start_stack),
        threads=int(threads),
    )


def name_of_text(pid: int, text: bytes) -> str:
    """The name in a whole stat."""
    return _name_and_fields(pid, text)[0]


def _columns(rows: Iterable[tuple[str, str, str]]) -> Stats:
    pids, names, fields = tuple(zip(*rows, strict=True)) or ((), (), ())
    return Stats(dict(zip(pids, range(len(pids)), strict=True)), names, fields)


def _name_and_fields(pid: int, text: bytes) -> tuple[str, str]:
    """The name may hold parentheses and spaces; it ends at the last parenthesis of all."""
    before, parenthesis, fields = text_of(text).rpartition(")")
    if not parenthesis:
        raise MalformedError(f"{pid}/stat is not a stat line")
    return before.partition("(")[2], fields
