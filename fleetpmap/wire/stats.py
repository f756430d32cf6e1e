"""Parse stat files: all processes into columns, one process into values.   phase_body ─► [stats] ─► replies

    1/stat:1 (systemd) S 0 1 1 0 -1 4194560 …        pid, name in parentheses, then the fields

parse_stats splits a whole section into three columns (pid, name, fields) with one regular expression. stat_of parses
and checks the fields of one process; most processes of a host never need it. If a line does not match, or a name holds
a newline or a parenthesis, or the host sends something else, the section is parsed line by line instead. That gives
the same columns, or the error.
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
            *(_NUMBER, _NUMBER, rf"{_NUMBER}\b"),  # starttime, vsize, rss; a stat of the list phase ends here
        )
    )
    + rf"(?: {_ANY} {_ANY} {_ANY} {_NUMBER}\b)?"  # startstack
)
# `\)?` is for a name that ends in a parenthesis: systemd calls a process `(sd-pam)`. The fields are not split here,
# which is by far the fastest. The name may match a newline, which the count of lines detects: to exclude it in the
# expression would make it a quarter slower. No name is longer than 64 bytes (those of workqueues). Without that bound,
# a hostile name would make the expression search far for each line.
_LINE = re.compile(r"^([1-9][0-9]{0,8})/stat:[0-9]+ \(([^)]{0,64}\)?)\) (.*)\n", re.MULTILINE)
_SPLIT_LIMIT = 4096
"""Most bytes of a stat that arrives in several lines. A name has at most 64; without a limit, a hostile host could have
lines joined for as long as it sends them."""


class Stat(NamedTuple):
    """Values of one process's /proc/PID/stat, without its name."""

    state: str
    ppid: int
    session: int
    kernel_thread: bool
    start_ticks: int
    size: int
    """Bytes of address space; 0 once an exiting process has released its memory."""
    rss_pages: int
    start_stack: int | None = None
    """Address of the beginning of its stack; 0 if the kernel hides it from the login, None in a stat without it."""
    threads: int = 1
    """Number of its threads; a process that has ended counts one until its parent has waited for it."""


class Stats(NamedTuple):
    """Stat files as columns, one slot per process, in the host's order."""

    slots: dict[str, int]
    """Slot by pid. The pid is the host's text: a host has hundreds, and few are needed as numbers."""
    names: Sequence[str]
    fields: Sequence[str]
    """The text behind the name; `stat_of` parses it into a Stat."""


def parse_stats(section: bytes) -> Stats:
    """Parse the stat of every process, from lines as grep -H prints them.

    Raises:
        MalformedError: grep cannot have printed one of the lines.
    """
    lines = section.count(b"\n")
    if lines <= PROCESSES_LIMIT and section.endswith(b"\n"):
        rows: list[tuple[str, str, str]] = _LINE.findall(text_of(section))
        stats = _columns(rows)
        if len(stats.slots) == len(rows) == lines and ")" not in "".join(stats.fields):
            return stats
    return parse_stats_one_by_one(section)


def parse_stats_one_by_one(section: bytes) -> Stats:
    """Parse as parse_stats does, for any section, line by line."""
    texts: dict[int, bytes] = {}
    for pid, line in paths_and_lines(section, b"/stat:"):
        # The kernel prints the name raw, so a name with newlines arrives as several lines, each behind the same path.
        # A line behind a complete stat is a second stat of that pid. Only a lying host sends one; the last counts.
        before = texts.get(pid)
        is_more = before is not None and not _FIELDS.match(text_of(before.rpartition(b")")[2]))
        texts[pid] = b"\n".join((texts[pid], line)) if is_more else line
        if is_more and len(texts[pid]) > _SPLIT_LIMIT:
            raise MalformedError(f"{pid}/stat is not a stat line")
        if len(texts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    return _columns((str(pid), *_name_and_fields(pid, text)) for pid, text in texts.items())


def stat_of_text(pid: int, text: bytes) -> Stat:
    """Parse a whole stat, as stat_of parses its fields."""
    return stat_of(pid, _name_and_fields(pid, text)[1])


def stat_of(pid: int, fields: str) -> Stat:
    """Parse the text behind a name, as in Stats.fields.

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
    """Return the name in a whole stat."""
    return _name_and_fields(pid, text)[0]


def _columns(rows: Iterable[tuple[str, str, str]]) -> Stats:
    pids, names, fields = tuple(zip(*rows, strict=True)) or ((), (), ())
    return Stats(dict(zip(pids, range(len(pids)), strict=True)), names, fields)


def _name_and_fields(pid: int, text: bytes) -> tuple[str, str]:
    """Split a whole stat. The name may hold parentheses and spaces; it ends at the last closing parenthesis."""
    before, parenthesis, fields = text_of(text).rpartition(")")
    if not parenthesis:
        raise MalformedError(f"{pid}/stat is not a stat line")
    return before.partition("(")[2], fields
