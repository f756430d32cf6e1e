"""Parse one section's bytes into plain values.   phase_body ─► [section_readers] ─► replies

A section was printed by grep -H (`PID/FILE:LINE`) or tail -n +1 (`==> PID/smaps <==`), run inside proc_root. grep puts
the path before each line, so text that a process writes into its name or arguments cannot pass for another process.
Source of the fields: Documentation/filesystems/proc.rst, table 1-4.

A host may send any bytes. So every number has a bound, every count of objects made here has one, and each function
takes time linear in the length of its section.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

_HEADER_BEGINNING = b"\n==> "
"""End of the line before a header, and the header's first bytes."""
_HEADER = re.compile(rb"==> (?:(\d{1,9})(/task/\d{1,9})?/smaps(?:_rollup)?|/dev/null) <==\n")
# Only for a section that ends with a NUL: then every path starts a match, so no byte is searched twice.
_COMMAND_LINE = re.compile(rb"(([1-9]\d{0,8})/cmdline:[^\0]*+\0(?:\2/cmdline:[^\0]*+\0)*+)")
_PLACE = re.compile(rb"(\d{1,9})(/task/\d{1,9})?/(stat|cmdline|status|oom_score_adj|cgroup|smaps_rollup)")
"""Path of a file of a process, or of one of its threads."""
CGROUP_DIRECTORIES = (b"../sys/fs/cgroup/", b"sys/fs/cgroup/")
"""Beginning of the path of a cgroup's file; the second in a recorded tree."""
_UPTIMES = re.compile(rb"(\d{1,12}\.\d{1,3}) (\d{1,12}\.\d{1,3})(?: (\d{1,9}))?")
_ROLLUP_FIELD = re.compile(rb"(\w+):\s*(\d{1,18}) kB")
_NUMBER_DIGITS = 18
"""Most digits of a number: below 10**18, so that sums still fit into an int64."""
_PID_DIGITS = 9

PROCESSES_LIMIT = 1 << 16
"""Processes accepted from one host; the kernel allows 2**22, and busy machines have some thousands."""
RECORDS_LIMIT = 1 << 19
"""Lines or arguments accepted from one section."""

Facts = dict[str, dict[int, list[bytes]]]
"""Texts by file name and pid: one record per file, or one per argument of a command line."""
OTHERS = "others"
"""Name in Facts of the records of other files than those of processes: the whole record, under pid 0."""
Span = tuple[int, int]
"""Start and end offset in a phase's bytes."""


class MalformedError(Exception):
    """A section that its tool cannot have printed; the message says what and where."""


def texts_by_pid(section: bytes, name: str) -> dict[int, bytes]:
    """Return each process's file of that name, from lines as grep prints them, without a final line break."""
    texts: dict[int, list[bytes]] = {}
    for pid, line in paths_and_lines(section, b"/%b:" % name.encode()):
        texts.setdefault(pid, []).append(line)
    return {pid: b"\n".join(lines) for pid, lines in texts.items()}


def parse_arguments(section: bytes) -> dict[int, bytes]:
    """Return the records of each process with a command line; arguments_of() splits the records of one process.

    Most command lines are never used, so they are not split here.
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
    pieces: dict[int, list[bytes]] = {}  # the records of a process are not adjacent, or other text lies between them
    for pid, argument in paths_and_lines(section, b"/cmdline:", end=b"\0"):
        pieces.setdefault(pid, []).append(b"%d/cmdline:%b\0" % (pid, argument))
        if len(pieces) > PROCESSES_LIMIT:
            raise MalformedError(f"command lines of more than {PROCESSES_LIMIT:,} processes")
    return {pid: b"".join(own) for pid, own in pieces.items()}


def arguments_of(pid: int, records: bytes) -> tuple[str, ...]:
    """Split one process's records, `PID/cmdline:ARGUMENT` and a NUL each, into its arguments."""
    path = b"%d/cmdline:" % pid
    return tuple(map(text_of, records[len(path) : -1].split(b"\0" + path)))


def parse_uids(section: bytes) -> dict[int, int]:
    """Parse each process's effective uid, from the `Uid:` line of its status: real, effective, saved, filesystem."""
    uids: dict[int, int] = {}
    for pid, line in paths_and_lines(section, b"/status:"):
        words = line.split(maxsplit=5)
        if len(words) != 5:
            raise MalformedError(f"{pid}/status has no Uid line of four numbers")
        uids[pid] = number(words[2])
    return uids


def parse_cgroups(section: bytes) -> dict[int, tuple[str, ...]]:
    """Parse each process's paths, from the lines `ID:CONTROLLERS:PATH` of its cgroup; no path holds a newline."""
    lines: dict[int, list[bytes]] = {}
    for pid, line in paths_and_lines(section, b"/cgroup:"):
        lines.setdefault(pid, []).append(line)
    return {pid: cgroup_paths(pid, own) for pid, own in lines.items()}


def cgroup_paths(pid: int, lines: Iterable[bytes]) -> tuple[str, ...]:
    """Return the paths in one process's lines, each once."""
    paths: dict[str, None] = {}
    for line in lines:
        _, _, rest = line.partition(b":")
        _, colon, path = rest.partition(b":")
        if not colon:
            raise MalformedError(f"{pid}/cgroup has a line without a path")
        paths[text_of(path)] = None
    return tuple(paths)


def parse_rollup(text: bytes) -> dict[str, int]:
    """Parse an smaps_rollup, kernel key to KiB. Its first line is skipped: it has the form of a mapping's header."""
    matches = map(_ROLLUP_FIELD.fullmatch, lines_of(text, "smaps_rollup"))
    return {text_of(match[1]): int(match[2]) for match in matches if match}


def parse_users(section: bytes, uids: Iterable[int]) -> dict[int, str]:
    """Return the names of these uids, from lines of passwd(5); the first line of a uid counts, as in getpwuid(3)."""
    wanted = set(uids)
    users: dict[int, str] = {}
    for line in lines_of(section, "passwd"):
        name, *fields = line.split(b":", 3)
        if len(fields) > 1 and fields[1].isdigit() and len(fields[1]) <= _NUMBER_DIGITS and int(fields[1]) in wanted:
            users.setdefault(int(fields[1]), text_of(name))
    return users


def parse_times(section: bytes) -> tuple[float | None, dict[int, float]]:
    """Return the seconds that reading took: in total, and by pid for each process that was read in its own group.

    Each line has the uptimes before and after a group, and the pid if it was alone: `BEFORE AFTER [PID]`. The total is
    None if the host has no uptime.
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
    """Parse records `PID/NAME:TEXT`, each closed by a NUL as grep -z prints them, by name and pid.

    After the main thread of a process has ended, it also has the records of another thread. The stat of that thread is
    under the name `thread`.
    """
    names = ("stat", "thread", "cmdline", "status", "oom_score_adj", "cgroup", "smaps_rollup", OTHERS)
    facts: Facts = {name: {} for name in names}
    if section.count(b"\0") > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} records of facts")
    *records, rest = section.split(b"\0")
    if rest:
        raise MalformedError("a record of facts is not closed")
    for record in records:
        if record.startswith(CGROUP_DIRECTORIES):
            facts[OTHERS].setdefault(0, []).append(record)
            continue
        path, _, text = record.partition(b":")
        place = _PLACE.fullmatch(path)
        if place is None:
            raise MalformedError(f"{record[:40]!r} is no fact that was asked for")
        name = "thread" if place[2] and place[3] == b"stat" else place[3].decode("ascii")
        facts[name].setdefault(int(place[1]), []).append(text)
    return facts


def parse_access(section: bytes) -> dict[int, str]:
    """Parse the result of open() on each process's smaps, in the order requested: ok, denied, unsupported or gone."""
    verdicts: dict[int, str] = {}
    for line in lines_of(section, "access"):
        pid, _, verdict = line.partition(b" ")
        verdicts[pid_of(pid, line)] = text_of(verdict)
        if len(verdicts) > PROCESSES_LIMIT:
            raise MalformedError(f"more than {PROCESSES_LIMIT:,} processes")
    return verdicts


def locate_texts(body: bytes, start: int, stop: int) -> list[tuple[int, int, int, bool]]:
    """Return (pid, start, stop, of_thread) of each smaps text in tail's output at body[start:stop].

    The offsets are into body. `of_thread` is True for the text of a thread, read because the main thread has ended.
    """
    headers: list[re.Match[bytes]] = []
    candidates = 0
    at = start
    while at >= 0:
        header = _HEADER.match(body, at, stop)
        if header is not None:
            headers.append(header)
        candidates += 1
        if candidates > 2 * PROCESSES_LIMIT:  # one header per process, and one of /dev/null for each call of tail
            raise MalformedError(f"smaps of more than {PROCESSES_LIMIT:,} processes")
        at = _next_header(body, at + 1 if header is None else header.end(), stop)
    if not headers or headers[0].start() != start:
        raise MalformedError("smaps came without tail's first header")
    # tail prints an empty line before each header but the first; its newline does not belong to the text before it.
    ends = [header.start() - 1 for header in headers[1:]] + [stop]
    return [
        (number(header[1]), header.end(), end, header[2] is not None)
        for header, end in zip(headers, ends, strict=True)
        if header[1] is not None
    ]


def _next_header(body: bytes, at: int, stop: int) -> int:
    """Return the offset of the next line that begins as a header of tail does; -1 if there is none."""
    # A byte that is rare, as `=` is in smaps, is found a hundred times as fast as five bytes. A mapped file with a `=`
    # in its name costs one search for all five; this way no byte is searched more than twice.
    sign = body.find(b"=", at, stop)
    if sign < 0 or body.startswith(_HEADER_BEGINNING, sign - 1, stop):
        return sign
    # Only at the start of a line: a mapped file may have any name, but the kernel prints its newlines as \012.
    line_break = body.find(_HEADER_BEGINNING, sign, stop)
    return line_break + 1 if line_break >= 0 else -1


def text_of(raw: bytes) -> str:
    """Decode UTF-8; undecodable bytes become surrogates (surrogateescape)."""
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Encode a text of text_of() back to the same bytes."""
    return text.encode("utf-8", "surrogateescape")


def number(raw: bytes) -> int:
    """Parse a whole number from 0 to 10**18 - 1."""
    if not raw.isdigit() or len(raw) > _NUMBER_DIGITS:  # in bytes, unlike str, only 0 to 9 are digits
        raise MalformedError(f"{raw[:40]!r} is not a number")
    return int(raw)


def paths_and_lines(section: bytes, name: bytes, end: bytes = b"\n") -> list[tuple[int, bytes]]:
    """Return (pid, line) of grep's records `PID/NAME:line`, each closed by `end`. Skips empty records, left by echo.

    `name` is the part between pid and line: `/status:`.
    """
    if section.count(end) > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} records of {text_of(name)[1:-1]}")
    if section.endswith(end):  # then every path starts a match, so no byte is searched twice
        records = re.findall(rb"(\d{1,9})%b([^%b]*)%b" % (name, end, end), section)
        if sum(map(len, chain.from_iterable(records))) + len(records) * len(name + end) == len(section):
            return [(int(path), line) for path, line in records]
    return list(_records_one_by_one(section, name, end))  # other text lies between the records


def lines_of(section: bytes, name: str) -> list[bytes]:
    """Return the lines of a section, without their line breaks."""
    if section.count(b"\n") > RECORDS_LIMIT:
        raise MalformedError(f"more than {RECORDS_LIMIT:,} lines of {name}")
    lines = section.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _records_one_by_one(section: bytes, name: bytes, end: bytes) -> Iterator[tuple[int, bytes]]:
    *records, rest = section.split(end)
    if rest:
        raise MalformedError(f"a record of {text_of(name)[1:-1]} is not closed")
    for record in filter(None, records):
        path, separator, line = record.partition(name)
        if not separator:
            raise MalformedError(f"{record[:40]!r} is not a line of {text_of(name)[1:-1]}")
        yield pid_of(path, record), line


def pid_of(word: bytes, record: bytes) -> int:
    """Parse the pid; `record` is quoted in the error."""
    if not word.isdigit() or len(word) > _PID_DIGITS:
        raise MalformedError(f"{record[:40]!r} does not begin with a pid")
    return int(word)
