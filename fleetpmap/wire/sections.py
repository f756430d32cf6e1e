"""One section's bytes to plain values.   frames ─► [sections] ─► replies

It was printed by grep -H (`PID/FILE:LINE`), tail -n +1 (`==> PID/smaps <==`) and tar, run inside proc_root. The path
before each line is grep's, so nothing a process writes into its name or arguments can pass for another process.
Source of the fields: Documentation/filesystems/proc.rst, table 1-4. A host may send anything at all, so every number
has a bound, and so has the count of everything that becomes an object here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

PF_KTHREAD = 0x00200000
"""Bit of stat's flags that the kernel sets on its own threads (include/linux/sched.h, since 2.6.27)."""

_HEADER = re.compile(rb"==> (?:(\d+)/smaps(?:_rollup)?|/dev/null) <==\n")
_UPTIMES = re.compile(rb"(\d{1,12}\.\d{1,3}) (\d{1,12}\.\d{1,3})\n")
_ROLLUP_FIELD = re.compile(rb"(\w+):\s*(\d{1,18}) kB")
_SHORTEST_STAT = 22
"""Fields of stat after the name, up to rss; later kernels add more."""
_START_STACK = 25
"""The place of startstack among them."""
_NUMBER_DIGITS = 18
"""Below 10**18: int64 with room to add."""
_PID_DIGITS = 9

PROCESSES_LIMIT = 1 << 18
"""Processes taken from one host; the kernel allows 2**22, and busy machines have some thousands."""
RECORDS_LIMIT = 1 << 22
"""Lines or arguments taken from one section."""

Span = tuple[int, int]
"""Where something begins and ends in a phase's bytes."""


class MalformedError(Exception):
    """A section that its tool cannot have printed; the message says what and where."""


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process."""

    name: str
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


def texts_by_pid(section: bytes, name: str) -> dict[int, bytes]:
    """Each process's file of that name, from lines as grep prints them; a last line break is not in it."""
    texts: dict[int, list[bytes]] = {}
    for pid, line in _paths_and_lines(section, b"/%b:" % name.encode()):
        texts.setdefault(pid, []).append(line)
    return {pid: b"\n".join(lines) for pid, lines in texts.items()}


def parse_stats(section: bytes, known: dict[bytes, Stat] | None = None) -> dict[int, Stat]:
    """Each process's stat, in the order printed.

    `known` has what the same host printed before, text to Stat, and becomes what it printed now: most processes sleep,
    and nothing in their stat changes.
    """
    texts: dict[int, bytes] = {}
    for pid, line in _paths_and_lines(section, b"/stat:"):
        # The kernel prints the name raw: one with newlines in it comes as several lines, each behind the same path.
        texts[pid] = texts[pid] + b"\n" + line if pid in texts else line
        if len(texts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    before = known or {}
    stats = {pid: before.get(text) or _parse_stat(pid, text) for pid, text in texts.items()}
    if known is not None:
        known.clear()
        known.update(zip(texts.values(), stats.values(), strict=True))
    return stats


def _parse_stat(pid: int, text: bytes) -> Stat:
    # The name may hold parentheses and spaces; it ends at the last parenthesis of all.
    before, _, after = text.rpartition(b")")
    fields = after.split(None, _START_STACK + 1)
    name = before.partition(b"(")[2]
    if len(fields) < _SHORTEST_STAT:
        raise MalformedError(f"{pid}/stat is not a stat line")
    try:
        return Stat(
            name=text_of(name),
            state=text_of(fields[0]),
            ppid=number(fields[1]),
            session=number(fields[3].removeprefix(b"-")),  # -1 in a process that is ending
            kernel_thread=bool(number(fields[6]) & PF_KTHREAD),
            start_ticks=number(fields[19]),
            size=number(fields[20]),
            rss_pages=number(fields[21]),
            start_stack=number(fields[_START_STACK]) if len(fields) > _START_STACK else None,
        )
    except MalformedError as error:
        raise MalformedError(f"{pid}/stat is not a stat line: {error}") from error


def parse_arguments(section: bytes) -> dict[int, tuple[str, ...]]:
    """Each process's command line; a process without one is not in it."""
    arguments: dict[int, list[str]] = {}
    for pid, argument in _paths_and_lines(section, b"/cmdline:", end=b"\0"):
        arguments.setdefault(pid, []).append(text_of(argument))
    return {pid: tuple(words) for pid, words in arguments.items()}


def parse_uids(section: bytes) -> dict[int, int]:
    """Each process's effective uid, from the `Uid:` line of its status: real, effective, saved, filesystem."""
    uids: dict[int, int] = {}
    for pid, line in _paths_and_lines(section, b"/status:"):
        words = line.split()
        if len(words) != 5:
            raise MalformedError(f"{pid}/status has no Uid line of four numbers")
        uids[pid] = number(words[2])
    return uids


def parse_cgroups(section: bytes) -> dict[int, tuple[str, ...]]:
    """Each process's paths, from the lines `ID:CONTROLLERS:PATH` of its cgroup; no path holds a newline."""
    paths: dict[int, dict[str, None]] = {}
    for pid, line in _paths_and_lines(section, b"/cgroup:"):
        _, _, rest = line.partition(b":")
        _, colon, path = rest.partition(b":")
        if not colon:
            raise MalformedError(f"{pid}/cgroup has a line without a path")
        paths.setdefault(pid, {})[text_of(path)] = None
    return {pid: tuple(found) for pid, found in paths.items()}


def parse_rollups(section: bytes) -> dict[int, dict[str, int]]:
    """Each process's smaps_rollup, kernel key to KiB: its lines but for the header, which is a mapping's."""
    fields: dict[int, dict[str, int]] = {}
    for pid, line in _paths_and_lines(section, b"/smaps_rollup:"):
        if match := _ROLLUP_FIELD.fullmatch(line):
            fields.setdefault(pid, {})[text_of(match[1])] = int(match[2])
    return fields


def parse_users(section: bytes, uids: Iterable[int]) -> dict[int, str]:
    """The names of these uids in lines of passwd(5); the first line of a uid counts, as in getpwuid(3)."""
    wanted = set(uids)
    users: dict[int, str] = {}
    for line in section.splitlines():
        name, *fields = line.split(b":")
        if len(fields) > 1 and fields[1].isdigit() and len(fields[1]) <= _NUMBER_DIGITS and int(fields[1]) in wanted:
            users.setdefault(int(fields[1]), text_of(name))
    return users


def parse_seconds(section: bytes) -> float | None:
    """How long the phase took, from the uptimes at its begin and its end; None where the host has no uptime."""
    match = _UPTIMES.fullmatch(section)
    return max(0.0, float(match[2]) - float(match[1])) if match else None


def parse_access(section: bytes) -> dict[int, str]:
    """What open() said to each process's smaps, in the order asked: ok, denied, unsupported or gone."""
    verdicts: dict[int, str] = {}
    for line in section.splitlines():
        pid, _, verdict = line.partition(b" ")
        verdicts[pid_of(pid, line)] = text_of(verdict)
        if len(verdicts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    return verdicts


def locate_texts(body: bytes, start: int, stop: int) -> list[tuple[int, int, int]]:
    """(pid, start, stop) of each smaps text in tail's output at body[start:stop], as offsets into body."""
    headers: list[re.Match[bytes]] = []
    at = start
    while (at := body.find(b"=", at, stop)) >= 0:  # one byte: fifty times as fast as all of b"==> "
        # Only at the start of a line: a mapped file may be called anything, but the kernel prints its newlines as \012.
        header = _HEADER.match(body, at, stop) if at == start or body[at - 1] == ord("\n") else None
        if header is not None:
            headers.append(header)
            if len(headers) > 2 * PROCESSES_LIMIT:  # each process's, and tail's /dev/null now and then
                raise MalformedError(f"smaps of more than {PROCESSES_LIMIT:,} processes")
        at += 1
    if not headers or headers[0].start() != start:
        raise MalformedError("smaps came without tail's first header")
    # tail puts an empty line before each header but the first: its newline is not the text's.
    ends = [header.start() - 1 for header in headers[1:]] + [stop]
    return [(number(h[1]), h.end(), end) for h, end in zip(headers, ends, strict=True) if h[1] is not None]


def text_of(raw: bytes) -> str:
    """Text as it came; undecodable bytes as surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """What text_of() was given."""
    return text.encode("utf-8", "surrogateescape")


def number(raw: bytes) -> int:
    """A whole number that is not negative and fits into 64 bits with room to spare."""
    if not raw.isdigit() or len(raw) > _NUMBER_DIGITS:  # bytes: only 0 to 9 are digits
        raise MalformedError(f"{raw[:40]!r} is not a number")
    return int(raw)


def _paths_and_lines(section: bytes, name: bytes, end: bytes = b"\n") -> list[tuple[int, bytes]]:
    """(pid, line) of grep's records `PID/NAME:line`, each closed by `end`; empty records are echo's, not grep's."""
    if section.count(end) > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} records of {text_of(name)[1:-1]}")
    records = re.findall(rb"(\d{1,9})%b([^%b]*)%b" % (name, end, end), section)
    if sum(map(len, chain.from_iterable(records))) + len(records) * len(name + end) < len(section):
        return list(_records_one_by_one(section, name, end))  # something else lies between them
    return [(int(path), line) for path, line in records]


def _records_one_by_one(section: bytes, name: bytes, end: bytes) -> Iterator[tuple[int, bytes]]:
    *records, rest = section.split(end)
    if rest:
        raise MalformedError(f"a record of {text_of(name)[1:-1]} is not closed")
    for record in filter(None, records):
        path, found, line = record.partition(name)
        if not found:
            raise MalformedError(f"{record[:40]!r} is not a line of {text_of(name)[1:-1]}")
        yield pid_of(path, record), line


def pid_of(word: bytes, record: bytes) -> int:
    """The pid that `record` begins with."""
    if not word.isdigit() or len(word) > _PID_DIGITS:
        raise MalformedError(f"{record[:40]!r} does not begin with a pid")
    return int(word)
