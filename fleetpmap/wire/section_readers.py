"""One section's bytes to plain values.   frames ─► [sections] ─► replies

It was printed by grep -H (`PID/FILE:LINE`), tail -n +1 (`==> PID/smaps <==`) and tar, run inside proc_root. The path
before each line is grep's, so nothing a process writes into its name or arguments can pass for another process.
Source of the fields: Documentation/filesystems/proc.rst, table 1-4. A host may send anything at all, so every number
has a bound, and so has the count of everything that becomes an object here; and each section is read in a time that
grows with its length and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

_HEADER_BEGINNING = b"==> "
_HEADER = re.compile(rb"==> (?:(\d{1,9})(/task/\d{1,9})?/smaps(?:_rollup)?|/dev/null) <==\n")
# For a section that ends with a NUL: there the expression matches wherever a path does, so no byte is looked at twice.
_COMMAND_LINE = re.compile(rb"(([1-9]\d{0,8})/cmdline:[^\0]*+\0(?:\2/cmdline:[^\0]*+\0)*+)")
_PLACE = re.compile(rb"(\d{1,9})(/task/\d{1,9})?/(stat|cmdline|cgroup|smaps_rollup)")
"""A file of a process, or of one of its threads."""
_UPTIMES = re.compile(rb"(\d{1,12}\.\d{1,3}) (\d{1,12}\.\d{1,3})(?: (\d{1,9}))?")
_ROLLUP_FIELD = re.compile(rb"(\w+):\s*(\d{1,18}) kB")
_NUMBER_DIGITS = 18
"""Below 10**18: int64 with room to add."""
_PID_DIGITS = 9

PROCESSES_LIMIT = 1 << 16
"""Processes taken from one host; the kernel allows 2**22, and busy machines have some thousands."""
RECORDS_LIMIT = 1 << 19
"""Lines or arguments taken from one section."""

Facts = dict[str, dict[int, list[bytes]]]
"""Texts by the file's name and the pid: one record for each file, or for each argument of a command line."""
Span = tuple[int, int]
"""Where something begins and ends in a phase's bytes."""


class MalformedError(Exception):
    """A section that its tool cannot have printed; the message says what and where."""


def texts_by_pid(section: bytes, name: str) -> dict[int, bytes]:
    """Each process's file of that name, from lines as grep prints them; a last line break is not in it."""
    texts: dict[int, list[bytes]] = {}
    for pid, line in paths_and_lines(section, b"/%b:" % name.encode()):
        texts.setdefault(pid, []).append(line)
    return {pid: b"\n".join(lines) for pid, lines in texts.items()}


def parse_arguments(section: bytes) -> dict[int, bytes]:
    """Each process's records, which arguments_of() takes apart for those that somebody asks about.

    A process without a command line is not in it.
    """
    if section.endswith(b"\0"):
        records: dict[int, bytes] = {}
        size = 0
        for match in islice(_COMMAND_LINE.finditer(section), PROCESSES_LIMIT):
            own = match[1]
            if records.setdefault(int(match[2]), own) is not own:
                break
            size += len(own)
        if size == len(section):
            return records
    pieces: dict[int, list[bytes]] = {}  # in some other order, or something else lies between them
    for pid, argument in paths_and_lines(section, b"/cmdline:", end=b"\0"):
        pieces.setdefault(pid, []).append(b"%d/cmdline:%b\0" % (pid, argument))
        if len(pieces) > PROCESSES_LIMIT:
            raise MalformedError(f"command lines of more than {PROCESSES_LIMIT:,} processes")
    return {pid: b"".join(own) for pid, own in pieces.items()}


def arguments_of(pid: int, records: bytes) -> tuple[str, ...]:
    """One process's command line, from its records `PID/cmdline:ARGUMENT` and a NUL."""
    path = b"%d/cmdline:" % pid
    return tuple(map(text_of, records[len(path) : -1].split(b"\0" + path)))


def parse_uids(section: bytes) -> dict[int, int]:
    """Each process's effective uid, from the `Uid:` line of its status: real, effective, saved, filesystem."""
    uids: dict[int, int] = {}
    for pid, line in paths_and_lines(section, b"/status:"):
        words = line.split(maxsplit=5)
        if len(words) != 5:
            raise MalformedError(f"{pid}/status has no Uid line of four numbers")
        uids[pid] = number(words[2])
    return uids


def parse_cgroups(section: bytes) -> dict[int, tuple[str, ...]]:
    """Each process's paths, from the lines `ID:CONTROLLERS:PATH` of its cgroup; no path holds a newline."""
    lines: dict[int, list[bytes]] = {}
    for pid, line in paths_and_lines(section, b"/cgroup:"):
        lines.setdefault(pid, []).append(line)
    return {pid: cgroup_paths(pid, own) for pid, own in lines.items()}


def cgroup_paths(pid: int, lines: Iterable[bytes]) -> tuple[str, ...]:
    """The paths in one process's lines, each once."""
    paths: dict[str, None] = {}
    for line in lines:
        _, _, rest = line.partition(b":")
        _, colon, path = rest.partition(b":")
        if not colon:
            raise MalformedError(f"{pid}/cgroup has a line without a path")
        paths[text_of(path)] = None
    return tuple(paths)


def parse_rollup(text: bytes) -> dict[str, int]:
    """A smaps_rollup, kernel key to KiB: its lines but for the header, which is a mapping's."""
    matches = map(_ROLLUP_FIELD.fullmatch, lines_of(text, "smaps_rollup"))
    return {text_of(match[1]): int(match[2]) for match in matches if match}


def parse_users(section: bytes, uids: Iterable[int]) -> dict[int, str]:
    """The names of these uids in lines of passwd(5); the first line of a uid counts, as in getpwuid(3)."""
    wanted = set(uids)
    users: dict[int, str] = {}
    for line in lines_of(section, "passwd"):
        name, *fields = line.split(b":", 3)
        if len(fields) > 1 and fields[1].isdigit() and len(fields[1]) <= _NUMBER_DIGITS and int(fields[1]) in wanted:
            users.setdefault(int(fields[1]), text_of(name))
    return users


def parse_times(section: bytes) -> tuple[float | None, dict[int, float]]:
    """Seconds from the uptimes at the begin and the end of each group: of all, and of each process alone in its own.

    None where the host has no uptime.
    """
    seconds, alone = 0.0, {}
    for line in lines_of(section, "time"):
        match = _UPTIMES.fullmatch(line)
        if match is None:
            return None, {}
        took = round(max(0.0, float(match[2]) - float(match[1])), 2)
        seconds += took
        if match[3]:
            alone[int(match[3])] = took
    return (round(seconds, 2) if section else None), alone


def parse_facts(section: bytes) -> Facts:
    """Records `PID/NAME:TEXT`, each closed by a NUL as grep -z prints them, by name and pid.

    A process whose main thread has ended has them of another, too: that one's stat is under `thread`.
    """
    facts: Facts = {"stat": {}, "thread": {}, "cmdline": {}, "cgroup": {}, "smaps_rollup": {}}
    if section.count(b"\0") > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} records of facts")
    *records, rest = section.split(b"\0")
    if rest:
        raise MalformedError("a record of facts is not closed")
    for record in records:
        path, _, text = record.partition(b":")
        place = _PLACE.fullmatch(path)
        if place is None:
            raise MalformedError(f"{record[:40]!r} is no fact that was asked for")
        name = "thread" if place[2] and place[3] == b"stat" else place[3].decode("ascii")
        facts[name].setdefault(int(place[1]), []).append(text)
    return facts


def parse_access(section: bytes) -> dict[int, str]:
    """What open() said to each process's smaps, in the order asked: ok, denied, unsupported or gone."""
    verdicts: dict[int, str] = {}
    for line in lines_of(section, "access"):
        pid, _, verdict = line.partition(b" ")
        verdicts[pid_of(pid, line)] = text_of(verdict)
        if len(verdicts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    return verdicts


def locate_texts(body: bytes, start: int, stop: int) -> list[tuple[int, int, int, bool]]:
    """(pid, start, stop) of each smaps text in tail's output at body[start:stop], as offsets into body; and whether it
    is that of a thread, in place of a main thread that has ended."""
    headers: list[re.Match[bytes]] = []
    looked = 0
    at = start
    # One line break and four bytes: the search skips over all other lines, and most files have no such text in them.
    while at >= 0:
        header = _HEADER.match(body, at, stop)
        if header is not None:
            headers.append(header)
        looked += 1
        if looked > 2 * PROCESSES_LIMIT:  # each process's, and tail's /dev/null now and then
            raise MalformedError(f"smaps of more than {PROCESSES_LIMIT:,} processes")
        # Only at the start of a line: a mapped file may be called anything, but the kernel prints its newlines as \012.
        found = body.find(b"\n" + _HEADER_BEGINNING, max(start, at), stop)
        at = found + 1 if found >= 0 else -1
    if not headers or headers[0].start() != start:
        raise MalformedError("smaps came without tail's first header")
    # tail puts an empty line before each header but the first: its newline is not the text's.
    ends = [header.start() - 1 for header in headers[1:]] + [stop]
    return [
        (number(header[1]), header.end(), end, header[2] is not None)
        for header, end in zip(headers, ends, strict=True)
        if header[1] is not None
    ]


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


def paths_and_lines(section: bytes, name: bytes, end: bytes = b"\n") -> list[tuple[int, bytes]]:
    """(pid, line) of grep's records `PID/NAME:line`, each closed by `end`; empty records are echo's, not grep's."""
    if section.count(end) > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} records of {text_of(name)[1:-1]}")
    if section.endswith(end):  # then the expression matches wherever a path does, and looks at no byte twice
        records = re.findall(rb"(\d{1,9})%b([^%b]*)%b" % (name, end, end), section)
        if sum(map(len, chain.from_iterable(records))) + len(records) * len(name + end) == len(section):
            return [(int(path), line) for path, line in records]
    return list(_records_one_by_one(section, name, end))  # something else lies between them


def lines_of(section: bytes, name: str) -> list[bytes]:
    """The lines of a section without their ends."""
    if section.count(b"\n") > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} lines of {name}")
    lines = section.split(b"\n")
    return lines if lines[-1] else lines[:-1]


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
