"""Select the listed processes to read, and record why others are skipped.   wire.Listing ─► [processes] ─► phase two

Pure: the pattern never leaves this machine, and the same Python regex decides on every host.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from fleetpmap.cgroup_globs import is_in_cgroup, note_on_instances, unit_of
from fleetpmap.containers import members
from fleetpmap.defaults import MAX_RSS, MAX_RSS_SUM
from fleetpmap.errors import UsageError
from fleetpmap.matching import Matcher, TooSlowError, from_glob
from fleetpmap.own_processes import OwnFilter, OwnProcesses, find_own
from fleetpmap.units import human, parse_size
from fleetpmap.wire import ListedProcess, Listing, Processes, ProcessReading, Reading

COMM_LENGTH = 15
"""Bytes of a process name that the kernel keeps (TASK_COMM_LEN without its NUL)."""
_NAME_MAX = 255
"""Bytes of a file's name at most; a longer word is not the name of a program."""

_POSIX_CLASS = re.compile(r"\[[:.=]\w+[:.=]\]")


@dataclass(frozen=True, slots=True)
class Selection:
    """The process options. A process has to fulfil all that are given, as in pgrep."""

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
    """A systemd unit that it runs in, or an instance of it, also in cgroups below: `nginx` or `nginx.service`, globs
    allowed. User units, with or without their manager (`user@1000/foo`), scopes and slices too."""
    container: str | None = None
    """The name of a container, or the beginning of its id, with or without `RUNTIME:` (see containers)."""
    pod: str | None = None
    """The name of a pod, with or without `NAMESPACE/`, or the beginning of its uid."""
    newest: bool = False
    oldest: bool = False
    max_rss_kib: int | None = parse_size(MAX_RSS, "--max-rss")
    """A larger process is skipped; None: no limit."""
    max_rss_sum_kib: int | None = parse_size(MAX_RSS_SUM, "--max-rss-sum")
    """One host's processes are read, smallest first, until their RSS passes this; None: no limit."""

    def __post_init__(self) -> None:
        """Check that the options can hold together.

        Raises:
            UsageError: they cannot.
        """
        if self.newest and self.oldest:
            raise UsageError("--newest and --oldest exclude each other", hint="leave one of them out")
        if (self.full or self.exact) and self.match is None:
            raise UsageError("--full and --exact say how --match is matched", hint="add --match REGEX")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A process that matched, or may match, and is not read."""

    process: ListedProcess
    status: str
    """`skipped`, `zombie` or `kernel`; `cut` for a stuck one."""
    reason: str
    """A clause for the user."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The matching processes of one host, in two groups, each by pid."""

    read: tuple[ListedProcess, ...]
    """The processes to read."""
    skipped: tuple[Skipped, ...]
    unread_exes: int = 0
    """Number of processes that match but for --exe, since their exe may not be read; they are in neither group."""
    undecided: int = 0
    """Number of `skipped` processes on which --match took too long, so that they may match or not."""
    notes: tuple[str, ...] = ()
    """Sentences on how --unit, --container and --pod were understood there; they may hold text of the host."""

    @property
    def matched(self) -> list[ListedProcess]:
        """Both groups together."""
        return [*self.read, *(skipped.process for skipped in self.skipped)]

    def skipping(self, pids: Collection[int], status: str, reason: str) -> Choice:
        """Return the choice with these processes skipped instead of read."""
        more = [Skipped(process, status, reason) for process in self.read if process.pid in pids]
        if not more:
            return self
        skipped = sorted([*self.skipped, *more], key=lambda skipped: skipped.process.pid)
        return replace(
            self,
            read=tuple(process for process in self.read if process.pid not in pids),
            skipped=tuple(skipped),
        )


def compile_match(pattern: str) -> re.Pattern[str]:
    """Compile the user's --match.

    Raises:
        UsageError: it is not a regular expression, or Python would read it as something else than grep does.
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
        if meant := from_glob(pattern):
            raise UsageError(
                f"--match {pattern!r} is a glob, and --match takes a regular expression",
                hint=f"write {' or '.join(map(shlex.quote, meant))}",
            ) from error
        where = f" at position {error.pos}" if error.pos is not None else ""
        raise UsageError(
            f"--match {pattern!r} is not a regular expression: {error.msg}{where}",
            hint=r"put a backslash before a character meant literally: \( \[ \* \+",
        ) from error


def choose(listing: Listing, selection: Selection, own: OwnProcesses | None = None, *, host: str = "") -> Choice:
    """Select the processes of one host, without fleetpmap's own: those of `find_own(listing)` unless given.

    `host` is its name in an error.

    Raises:
        AmbiguousError: --container or --pod is the beginning of two ids there.
    """
    own_filter = OwnFilter(own or find_own(listing), listing.processes)
    pattern = selection.match and Matcher(selection.match, exact=selection.exact)
    is_of_container = selection.container is not None or selection.pod is not None
    inside = members(listing, selection.container, selection.pod, host) if is_of_container else None
    eligible = [
        process
        for process in _candidates(listing.processes, selection, pattern)
        if (inside is None or process.pid in inside.pids) and _is_eligible(process, selection, listing.users)
    ]
    found, slow = _split(eligible, pattern, full=selection.full) if pattern else (eligible, [])
    matched = [process for process in found if process not in own_filter]
    undecided = [
        skipped
        for skipped in slow
        if skipped.process not in own_filter and (selection.exe is None or _has_exe(skipped.process, selection.exe))
    ]
    unread_exes = 0
    if selection.exe is not None:
        unread_exes = sum(process.exe is None and not process.has_ended for process in matched)
        matched = [process for process in matched if _has_exe(process, selection.exe)]
    if matched and (selection.newest or selection.oldest):
        pick = max if selection.newest else min
        matched = [pick(matched, key=lambda process: (process.start_ticks, process.pid))]
    units = [selection.unit] if selection.unit else []
    notes = tuple(note for unit in units if (note := note_on_instances(matched, unit)))
    if inside and inside.is_unnamed and not matched and listing.capabilities.uid != 0:
        notes = (*notes, "only root can read the names of its containers and pods: select by id, or with --sudo")
    return replace(_guard(matched, selection, unread_exes, undecided), notes=notes)


def full_name(process: ListedProcess) -> str:
    """Return the process name, completed from the command line where the kernel cut it at 15 bytes."""
    if len(os.fsencode(process.name)) < COMM_LENGTH:
        return process.name
    # The program is the first word; a script's name is that of the file after its interpreter.
    for argument in process.arguments[:2]:
        basename = argument.rpartition("/")[2]
        if basename.startswith(process.name) and len(os.fsencode(basename)) <= _NAME_MAX:
            return basename
    return process.name


def completed(choice: Choice, reading: Reading) -> Choice:
    """Return the choice with the names and command lines that the reading brought."""
    read = (
        listed if process.status == "reused" else _renamed(listed, process)
        for listed, process in zip(choice.read, reading.processes, strict=True)
    )
    return replace(choice, read=tuple(read))


def _renamed(listed: ListedProcess, reading: ProcessReading) -> ListedProcess:
    """Return the process with its name and command line after the reading, as far as these are known."""
    arguments = listed.arguments if reading.arguments is None else reading.arguments
    # exec gives a process both. Without a command line the new name is not that of a program.
    name = listed.name if reading.name is None or reading.arguments == () else reading.name
    return listed._replace(name=name, arguments=arguments)


def became_another(listed: ListedProcess, reading: ProcessReading, selection: Selection) -> bool:
    """Return whether a chosen process had another name when it was read, under which it does not match."""
    now = _renamed(listed, reading)
    if selection.match is None or now.name == listed.name:
        return False
    return _split([now], Matcher(selection.match, exact=selection.exact), full=selection.full) == ([], [])


def _candidates(processes: Processes, selection: Selection, pattern: Matcher | None) -> Iterable[ListedProcess]:
    """Return the processes that the pid or the name does not rule out. Only these need to be made objects."""
    if selection.pids:
        return filter(None, map(processes.get, sorted(set(selection.pids))))
    if pattern is None or selection.full:
        return processes
    likely = {
        name
        for name in dict.fromkeys(processes.names)  # many processes have the same
        if len(name) == COMM_LENGTH or not name.isascii() or _may_match(pattern, name)  # the first two may be cut
    }
    return map(processes.at, [slot for slot, name in enumerate(processes.names) if name in likely])


def _may_match(pattern: Matcher, name: str) -> bool:
    try:
        return pattern.matches(name)
    except TooSlowError:
        return True


def _split(
    eligible: Iterable[ListedProcess], pattern: Matcher, *, full: bool
) -> tuple[list[ListedProcess], list[Skipped]]:
    """Return the processes that match, and those on which the pattern takes too long."""
    texts = [(_searched(process, full=full), process) for process in eligible]
    found: list[ListedProcess] = []
    slow: list[Skipped] = []
    # The short ones first: processes with long command lines must not use up the time of all the others.
    for text, process in sorted(texts, key=lambda pair: len(pair[0])):
        try:
            if pattern.matches(text):
                found.append(process)
        except TooSlowError as error:
            slow.append(Skipped(process, "skipped", str(error)))
    return found, slow


def in_one_line(arguments: Sequence[str]) -> str:
    """Return the arguments in one line, as pgrep joins them.

    A program that writes its title over its arguments, such as Redis, leaves NULs: they read as empty arguments at the
    end, and are no part of the command line.
    """
    return "\0".join(arguments).rstrip("\0").replace("\0", " ")


def _searched(process: ListedProcess, *, full: bool) -> str:
    name = full_name(process)
    return (in_one_line(process.arguments) or name) if full else name


def _is_eligible(process: ListedProcess, selection: Selection, users: dict[int, str]) -> bool:
    """Return whether the process fulfils the options other than --match and --exe."""
    if selection.pids and process.pid not in selection.pids:
        return False
    # Kernel threads have no memory of their own. Only a selection by pid reports them, to explain that.
    if process.kernel_thread and not selection.pids:
        return False
    if selection.users and not _belongs_to(process, selection.users, users):
        return False
    if selection.cgroup is not None and not is_in_cgroup(process, selection.cgroup):
        return False
    return selection.unit is None or unit_of(process, selection.unit) is not None


def _belongs_to(process: ListedProcess, wanted: Sequence[str], users: dict[int, str]) -> bool:
    return process.uid is not None and (str(process.uid) in wanted or users.get(process.uid) in wanted)


def _has_exe(process: ListedProcess, glob: str) -> bool:
    if process.exe is None:
        return False
    path = process.exe.removesuffix(" (deleted)")
    return fnmatchcase(path if "/" in glob else path.rpartition("/")[2], glob)


def _guard(
    matched: Iterable[ListedProcess], selection: Selection, unread_exes: int, undecided: Sequence[Skipped]
) -> Choice:
    """Skip the processes that have no smaps, and those over the limits of --max-rss and --max-rss-sum."""
    read: list[ListedProcess] = []
    skipped = [*undecided]
    rss_sum = 0
    for process in sorted(matched, key=lambda process: (process.rss_kib, process.pid)):
        if process.kernel_thread:
            skipped.append(Skipped(process, "kernel", "a kernel thread has no mappings"))
        elif process.has_ended:
            skipped.append(Skipped(process, "zombie", "ended, and not yet waited for by its parent"))
        elif reason := _over_limit(process, rss_sum, selection):
            skipped.append(Skipped(process, "skipped", reason))
        else:
            rss_sum += process.rss_kib
            read.append(process)
    return Choice(
        tuple(sorted(read, key=lambda process: process.pid)),
        tuple(sorted(skipped, key=lambda skipped: skipped.process.pid)),
        unread_exes,
        len(undecided),
    )


def _over_limit(process: ListedProcess, rss_sum_kib: int, selection: Selection) -> str:
    if selection.max_rss_kib is not None and process.rss_kib > selection.max_rss_kib:
        return f"its RSS of {human(process.rss_kib)} is over --max-rss {human(selection.max_rss_kib)}"
    if selection.max_rss_sum_kib is not None and rss_sum_kib + process.rss_kib > selection.max_rss_sum_kib:
        return f"the host's RSS would pass --max-rss-sum {human(selection.max_rss_sum_kib)}"
    return ""
