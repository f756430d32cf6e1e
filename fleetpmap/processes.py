"""Select the listed processes to read, and say why others are skipped.   wire.Listing ─► [processes] ─► phase two

Pure: the pattern never leaves this machine, and the same Python regex decides on every host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from fleetpmap.errors import UsageError
from fleetpmap.matching import Matcher, TooSlowError
from fleetpmap.units import human, parse_size
from fleetpmap.wire import ListedProcess, Listing, Processes, ProcessReading, Reading

COMM_LENGTH = 15
"""Bytes of a process name that the kernel keeps (TASK_COMM_LEN without its NUL)."""
_PATH_LENGTH = 4096
"""Characters in the path of a cgroup at most (PATH_MAX)."""
_NAME_MAX = 255
"""Bytes of a file's name; a longer word is no program's."""
MAX_RSS = "64G"
MAX_RSS_SUM = "256G"

_UNIT_SUFFIXES = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")
"""Units that can have processes."""
_POSIX_CLASS = re.compile(r"\[[:.=]\w+[:.=]\]")
# What sshd writes over its command line for a connection: "sshd: ops [priv]", "sshd-session: ops@notty".
# The listener writes "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", or nothing on old versions.
_SSHD_CONNECTION = re.compile(r"sshd(-\w+)?: (?!.*\[listener\])")
_OTHER_SERVER = re.compile("sshd|dropbear")
"""In the names of SSH servers."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the process options say. All that are given must hold, as in pgrep."""

    match: re.Pattern[str] | None = None
    full: bool = False
    """Search the whole command line instead of the name."""
    exact: bool = False
    users: tuple[str, ...] = ()
    """Names or numbers of effective users."""
    pids: tuple[int, ...] = ()
    exe: str | None = None
    """A glob for the path that /proc/PID/exe points to, without ` (deleted)`; without a slash, for its last part."""
    cgroup: str | None = None
    """A glob for the path of one of its cgroups, or of one that holds it; without a slash, for one part of the path."""
    unit: str | None = None
    """A systemd unit that it runs in, user units, scopes and slices too: `nginx` or `nginx.service`, globs allowed."""
    newest: bool = False
    oldest: bool = False
    max_rss_kib: int | None = parse_size(MAX_RSS, "--max-rss")
    """A process above this is not read; None: no limit."""
    max_rss_sum_kib: int | None = parse_size(MAX_RSS_SUM, "--max-rss-sum")
    """One host's processes are read, smallest first, until their RSS passes this; None: no limit."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A process that matched, or may match, and is not to be read: status `skipped`, `zombie` or `kernel`, and why."""

    process: ListedProcess
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What one host's processes came to. matched = read + left out, by pid."""

    read: tuple[ListedProcess, ...]
    left_out: tuple[LeftOut, ...]
    unread_exes: int = 0
    """Processes that match but for --exe, and whose exe may not be read: counted in neither."""
    undecided: int = 0
    """How many of `left_out` may match or not: --match took too long on them."""


@dataclass(frozen=True, slots=True)
class Own:
    """Which processes of a host are ours. They stay as long as the probe runs there: each waits for the one below."""

    session: int | None = None
    """The probe's. sshd gives each command one: it holds the login shell and everything that shell started."""
    roots: frozenset[int] = frozenset()
    """Pids of fleetpmap itself, or of the probe and what leads to it: all that they started is ours, too."""
    connection: frozenset[int] = frozenset()
    """Pids of the sshd processes of our connection, which start nothing else."""
    since_ticks: int = 0
    """Clock ticks after boot. What started before is of the connection or not ours: no process is older than what it
    is below, nor than the leader of its session."""


def compile_match(pattern: str) -> re.Pattern[str]:
    """The user's --match.

    Raises:
        UsageError: not a regular expression, or one that Python would read as something else.
    """
    if posix := _POSIX_CLASS.search(pattern):
        raise UsageError(
            f"--match {pattern!r}: Python's regular expressions have no {posix[0]}",
            hint=r"write a range, such as [a-z], [A-Za-z0-9], \s or \d",
        )
    try:
        return re.compile(pattern)
    except (OverflowError, RecursionError) as error:
        raise UsageError(f"--match {pattern[:40]!r}: {error}", hint="write a simpler pattern") from error
    except re.error as error:
        where = f" at position {error.pos}" if error.pos is not None else ""
        raise UsageError(
            f"--match {pattern!r} is not a regular expression: {error.msg}{where}",
            hint=r"put a backslash before a character meant literally: \( \[ \* \+",
        ) from error


def own_of(listing: Listing, local_pid: int | None = None) -> Own:
    """What is ours among these.

    `local_pid` is fleetpmap's own pid when the host is this machine without SSH: it and its children are never matched.
    Over SSH the probe's session and the sshd of this connection are not.
    """
    probe = listing.processes.get(listing.capabilities.probe_pid or 0)
    if probe is None:  # a recorded tree, or a procfs of another namespace: nothing there is ours
        return Own()
    if local_pid is not None:
        return Own(roots=frozenset({local_pid}), since_ticks=_oldest({local_pid}, listing.processes))
    below_sshd, connection = _ancestors(probe, listing.processes)
    if not connection and (below := _below_other_server(probe, listing.processes)):
        return Own(roots=frozenset(below), since_ticks=_oldest(below, listing.processes))
    since_ticks = _oldest(below_sshd | {probe.session}, listing.processes)
    return Own(probe.session, frozenset(below_sshd), frozenset(connection), since_ticks)


def choose(listing: Listing, selection: Selection, own: Own | None = None) -> Choice:
    """The processes of one host that `selection` means, without our own: those of `own_of(listing)` unless given."""
    ours = _Ours(listing.processes, own or own_of(listing))
    pattern = selection.match and Matcher(selection.match, exact=selection.exact)
    eligible = [
        process
        for process in _candidates(listing.processes, selection, pattern)
        if _is_eligible(process, selection, listing.users)
    ]
    found, slow = _split(eligible, pattern, full=selection.full) if pattern else (eligible, [])
    matched = [process for process in found if process not in ours]
    undecided = [
        left
        for left in slow
        if left.process not in ours and (selection.exe is None or _has_exe(left.process, selection.exe))
    ]
    unread_exes = 0
    if selection.exe is not None:
        unread_exes = sum(process.exe is None and not process.has_ended for process in matched)
        matched = [process for process in matched if _has_exe(process, selection.exe)]
    if matched and (selection.newest or selection.oldest):
        pick = max if selection.newest else min
        matched = [pick(matched, key=lambda process: (process.start_ticks, process.pid))]
    return _guard(matched, selection, unread_exes, undecided)


def full_name(process: ListedProcess) -> str:
    """The process name, completed from the command line where the kernel cut it at 15 bytes."""
    if len(os.fsencode(process.name)) < COMM_LENGTH:
        return process.name
    # The program is the first word; a script's name is that of the file after its interpreter.
    for argument in process.arguments[:2]:
        basename = argument.rpartition("/")[2]
        if basename.startswith(process.name) and len(os.fsencode(basename)) <= _NAME_MAX:
            return basename
    return process.name


def completed(choice: Choice, reading: Reading) -> Choice:
    """The choice with the names and command lines that the reading brought."""
    read = (
        process if found.status == "reused" else _renamed(process, found)
        for process, found in zip(choice.read, reading.processes, strict=True)
    )
    return replace(choice, read=tuple(read))


def _renamed(listed: ListedProcess, found: ProcessReading) -> ListedProcess:
    """The process with the name and command line of after the reading, as far as they are known."""
    arguments = listed.arguments if found.arguments is None else found.arguments
    # exec gives a process both. Without a command line the new name is not that of a program.
    name = listed.name if found.name is None or found.arguments == () else found.name
    return listed._replace(name=name, arguments=arguments)


def became_another(listed: ListedProcess, found: ProcessReading, selection: Selection) -> bool:
    """Whether a process that was chosen had another name when it was read, by which it would not have been."""
    now = _renamed(listed, found)
    if selection.match is None or now.name == listed.name:
        return False
    return _split([now], Matcher(selection.match, exact=selection.exact), full=selection.full) == ([], [])


def _candidates(processes: Processes, selection: Selection, pattern: Matcher | None) -> Iterable[ListedProcess]:
    """Those that a look at the pid or the name does not rule out; nothing more is known of the others yet."""
    if selection.pids:
        return filter(None, map(processes.get, sorted(set(selection.pids))))
    if pattern is None or selection.full:
        return processes
    slots = [
        slot
        for slot, name in enumerate(processes.names)
        if len(name) == COMM_LENGTH or not name.isascii() or _may_match(pattern, name)  # the first two may be cut
    ]
    return map(processes.at, slots)


def _may_match(pattern: Matcher, name: str) -> bool:
    try:
        return pattern.matches(name)
    except TooSlowError:
        return True


def _split(
    eligible: Iterable[ListedProcess], pattern: Matcher, *, full: bool
) -> tuple[list[ListedProcess], list[LeftOut]]:
    """The processes that match, and those on which the pattern takes too long."""
    texts = [(_searched(process, full=full), process) for process in eligible]
    found: list[ListedProcess] = []
    slow: list[LeftOut] = []
    # The short ones first: who starts processes with long command lines must not use up the time for all the others.
    for text, process in sorted(texts, key=lambda pair: len(pair[0])):
        try:
            if pattern.matches(text):
                found.append(process)
        except TooSlowError as error:
            slow.append(LeftOut(process, "skipped", str(error)))
    return found, slow


def _searched(process: ListedProcess, *, full: bool) -> str:
    name = full_name(process)
    return (" ".join(process.arguments) or name) if full else name


def _is_eligible(process: ListedProcess, selection: Selection, users: dict[int, str]) -> bool:
    """Whether it has what is asked for besides the pattern and the exe."""
    if selection.pids and process.pid not in selection.pids:
        return False
    # Kernel threads have no memory of their own: only who asks for one by its pid is told so.
    if process.kernel_thread and not selection.pids:
        return False
    if selection.users and not _belongs_to(process, selection.users, users):
        return False
    if selection.cgroup is not None and not _in_cgroup(process, selection.cgroup):
        return False
    return selection.unit is None or _in_unit(process, selection.unit)


def _belongs_to(process: ListedProcess, wanted: Sequence[str], users: dict[int, str]) -> bool:
    return process.uid is not None and (str(process.uid) in wanted or users.get(process.uid) in wanted)


def _has_exe(process: ListedProcess, glob: str) -> bool:
    if process.exe is None:
        return False
    path = process.exe.removesuffix(" (deleted)")
    return fnmatchcase(path if "/" in glob else path.rpartition("/")[2], glob)


def _in_cgroup(process: ListedProcess, glob: str) -> bool:
    if "/" not in glob:
        return any(fnmatchcase(part, glob) for part in _cgroup_parts(process))
    return any(
        fnmatchcase(path, glob)
        or any(fnmatchcase(path[: slash.start()] or "/", glob) for slash in re.finditer("/", path))
        for path in process.cgroups or ()
        if len(path) <= _PATH_LENGTH  # else each prefix of a hostile host's endless path would be looked at
    )


def _in_unit(process: ListedProcess, unit: str) -> bool:
    # systemd names a cgroup after its unit. No unit's name holds a glob's characters.
    glob = unit if unit.endswith(_UNIT_SUFFIXES) else f"{unit}.service"
    return any(
        # `getty@` is every instance of the template, and a cgroup must not be called like a file of the kernel's:
        # such names have a _ in front (cg_escape in systemd's cgroup-util.c).
        fnmatchcase(part.removeprefix("_"), glob.removeprefix("_").replace("@.", "@*."))
        for part in _cgroup_parts(process)
        if part.endswith(_UNIT_SUFFIXES)
    )


def _cgroup_parts(process: ListedProcess) -> Iterator[str]:
    for path in process.cgroups or ():
        yield from filter(None, path.split("/"))


def _guard(
    matched: Iterable[ListedProcess], selection: Selection, unread_exes: int, undecided: Sequence[LeftOut]
) -> Choice:
    read: list[ListedProcess] = []
    left_out = [*undecided]
    rss_sum = 0
    for process in sorted(matched, key=lambda process: (process.rss_kib, process.pid)):
        if process.kernel_thread:
            left_out.append(LeftOut(process, "kernel", "a kernel thread has no mappings"))
        elif process.has_ended:
            left_out.append(LeftOut(process, "zombie", "ended, and not yet waited for by its parent"))
        elif reason := _over_limit(process, rss_sum, selection):
            left_out.append(LeftOut(process, "skipped", reason))
        else:
            rss_sum += process.rss_kib
            read.append(process)
    return Choice(
        tuple(sorted(read, key=lambda process: process.pid)),
        tuple(sorted(left_out, key=lambda left: left.process.pid)),
        unread_exes,
        len(undecided),
    )


def _over_limit(process: ListedProcess, rss_sum_kib: int, selection: Selection) -> str:
    if selection.max_rss_kib is not None and process.rss_kib > selection.max_rss_kib:
        return f"its RSS of {human(process.rss_kib)} is over --max-rss {human(selection.max_rss_kib)}"
    if selection.max_rss_sum_kib is not None and rss_sum_kib + process.rss_kib > selection.max_rss_sum_kib:
        return f"the host's RSS would pass --max-rss-sum {human(selection.max_rss_sum_kib)}"
    return ""


class _Ours:
    """`process in ours`: it belongs to `own`, or runs below it. It climbs from those few that match."""

    def __init__(self, processes: Processes, own: Own) -> None:
        self._processes = processes
        self._own = own
        self._below = dict.fromkeys(own.roots, True)  # whether a process is one of those that we started, or below them

    def __contains__(self, process: ListedProcess) -> bool:
        return process.pid in self._own.connection or self._is_below(process)

    def _is_below(self, process: ListedProcess | None) -> bool:
        passed: list[int] = []
        while process is not None and process.pid not in self._below:
            passed.append(process.pid)
            self._below[process.pid] = process.session == self._own.session
            if self._below[process.pid] or process.start_ticks < self._own.since_ticks:
                break
            process = self._processes.get(process.ppid)
        ours = process is not None and self._below[process.pid]
        self._below.update(dict.fromkeys(passed, ours))
        return ours


def _oldest(pids: Collection[int], processes: Processes) -> int:
    """When the first of these started; 0 unless all are listed."""
    found = [process.start_ticks for pid in pids if (process := processes.get(pid))]
    return min(found) if len(found) == len(pids) else 0


def _ancestors(probe: ListedProcess, processes: Processes) -> tuple[set[int], set[int]]:
    """The probe and what lies between it and sshd (sudo may have begun another session there), and then the sshd
    processes of this connection, up to the listener. Without such an sshd only the probe is known to be ours."""
    below: set[int] = set()
    connection: set[int] = set()
    process: ListedProcess | None = probe
    while process is not None and process.pid not in below | connection:
        parent = processes.get(process.ppid)
        if _is_sshd_connection(process, parent):
            connection.add(process.pid)
        elif connection:
            break
        else:
            below.add(process.pid)
        process = parent
    return (below, connection) if connection else ({probe.pid}, set())


def _below_other_server(probe: ListedProcess, processes: Processes) -> set[int]:
    """The probe and what lies between it and a server that gave it no session of its own, as tinysshd gives none.

    That session holds all that the server's own parent started, services too. Empty where the session is ours.
    """
    below: set[int] = set()
    process: ListedProcess | None = probe
    while process is not None and process.pid not in below and process.pid != probe.session:
        if _OTHER_SERVER.search(process.name):
            return below
        below.add(process.pid)
        process = processes.get(process.ppid)
    return set()


def _is_sshd_connection(process: ListedProcess, parent: ListedProcess | None) -> bool:
    if process.arguments:
        return _SSHD_CONNECTION.match(" ".join(process.arguments)) is not None
    # A plain sh reads no command lines: of the sshds above the probe, the topmost is the listener.
    return process.name.startswith("sshd") and parent is not None and parent.name.startswith("sshd")
