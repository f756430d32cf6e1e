"""What a host answered.   frames ─► replies ─► [model] ─► processes, smaps"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, overload

ReadStatus = Literal["read", "denied", "gone", "reused", "kernel", "zombie", "empty", "unsupported", "cut", "unread"]
"""How a process fared in phase two.

read: its text is there. denied: the login may not open its smaps. gone: it exited. reused: it exited, and its pid is
another process's now; or it runs another program, which was not asked for. kernel, zombie: it has no memory of its own.
empty: it may be read, but there is nothing in its smaps. unsupported: this kernel has no smaps. cut: its text is longer
than a process's may be, and was dropped. unread: the host did not get to it, because another's text could not be read
to its end; it has to be asked for again.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the host said of itself before the first phase."""

    uid: int
    """The uid the script runs as (0 after sudo)."""
    kernel: str
    """Release as uname -r gives it, read below proc_root where that has it."""
    page_size: int
    boot_id: str
    """With pid_namespace: the same machine under two names. Empty where the host does not say."""
    pid_namespace: str
    reader: str
    """What read /proc there: the tools of gnu or busybox, or sh, the shell alone."""
    compression: str
    """gzip or none."""
    probe_pid: int | None
    """The script's own pid as proc_root sees it; None in a recorded tree."""


class ListedProcess(NamedTuple):  # of every process of every host: a frozen dataclass takes four times as long to make
    """One process of phase one, from its stat and cmdline.

    If its main thread has ended while others run, the RSS, command line, cgroups and exe are read from one of those,
    which has the same.
    """

    pid: int
    name: str
    """comm: at most 15 bytes, as the kernel cut it; undecodable bytes as surrogates (surrogateescape)."""
    state: str
    ppid: int
    session: int
    start_ticks: int
    """Clock ticks after boot at which it started: with the pid, its identity."""
    rss_kib: int
    arguments: tuple[str, ...]
    """The command line; () for a kernel thread, a zombie, a process that erased it, where a plain sh had to read, and
    unless the request asked for words, for most others: only where the name is cut, and in the processes above the
    probe, is it listed."""
    kernel_thread: bool
    uid: int | None = None
    """Effective uid; None unless the request asked for owners."""
    cgroups: tuple[str, ...] | None = None
    """Its path in each hierarchy, v1 and v2, each path once; None unless the request asked for cgroups."""
    exe: str | None = None
    """Where its exe points, as the kernel puts it; None unless the request asked for exes and it may be read."""
    threads: int = 1
    """How many it has. A main thread that has ended (state Z) is one of them as long as others run."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more. Its main thread can have ended (pthread_exit) while others run."""
        return self.state in "ZX" and self.threads < 2


class Processes(Sequence[ListedProcess]):
    """Every process of a host, by pid; each is made when it is asked for, since most are nobody's business."""

    def __init__(self, slots: Mapping[str, int], names: Sequence[str], make: Callable[[int], ListedProcess]) -> None:
        """One slot for each process, in any order, by its pid; `make` gives the one of a slot."""
        self.names = names
        """The name of each slot: to look at them, none of the processes has to be made."""
        self._slots = slots
        self._make = make
        self._made: dict[int, ListedProcess] = {}

    @classmethod
    def of(cls, processes: Sequence[ListedProcess]) -> Processes:
        """Of processes that are made already."""
        slots = {str(one.pid): slot for slot, one in enumerate(processes)}
        return cls(slots, [one.name for one in processes], processes.__getitem__)

    def get(self, pid: int) -> ListedProcess | None:
        """The process of this pid."""
        slot = self._slots.get(str(pid))
        return None if slot is None else self.at(slot)

    def at(self, slot: int) -> ListedProcess:
        """The process of this slot."""
        if slot not in self._made:
            self._made[slot] = self._make(slot)
        return self._made[slot]

    @overload
    def __getitem__(self, slot: int) -> ListedProcess: ...
    @overload
    def __getitem__(self, slot: slice) -> list[ListedProcess]: ...
    def __getitem__(self, slot: int | slice) -> ListedProcess | list[ListedProcess]:
        if isinstance(slot, slice):
            return [self.at(one) for one in self._by_pid[slot]]
        return self.at(self._by_pid[slot])

    def __len__(self) -> int:
        return len(self._slots)

    @cached_property
    def _by_pid(self) -> list[int]:
        return [self._slots[pid] for pid in sorted(self._slots, key=int)]

    def __contains__(self, process: object) -> bool:
        return isinstance(process, ListedProcess) and self.get(process.pid) == process

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of any sequence that is compared by what is in it


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Listing:
    """Phase one: every process of the host that could be listed, by pid."""

    capabilities: Capabilities
    processes: Processes
    users: dict[int, str]
    """Names of the uids seen, as far as the host knows them."""
    has_arguments: bool = True
    """Whether who read there can read command lines."""
    access: Mapping[int, str] = field(default_factory=dict)
    """Of the processes whose smaps may not be opened, if the request asked for it: denied or unsupported."""
    raw: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    """Sections as they came (stat, uid, cgroup), for who keeps them: `PID/FILE:LINE`, as grep -H prints it; each stat
    ends at its rss."""


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process of phase two: the text's place in Reading.smaps, or why there is none."""

    pid: int
    status: ReadStatus
    start: int
    """Where its text begins in Reading.smaps; start == stop unless status is `read`."""
    stop: int
    uid: int | None
    """Effective uid; None if it was gone."""
    stopped: bool = False
    """It was stopped both before its smaps was read and after."""
    rollup: Mapping[str, int] | None = None
    """Its smaps_rollup, kernel key to KiB; None if there was none, or the request did not ask for it."""
    start_stack: int | None = None
    """Address at which its stack begins; 0 where the login may not know, None where its stat does not say."""
    arguments: tuple[str, ...] | None = None
    """Its command line after the reading, () if it erased that; None if it was gone, or nobody there can read it."""
    seconds: float | None = None
    """How long its reading took, if it was asked for in a group of its own."""
    name: str | None = field(default=None, compare=False)
    """Its name after the reading, as in ListedProcess; None if it was gone. Another one: it has called exec since."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Phase two: the texts of the processes asked for, one after the other in one buffer, each with its status."""

    smaps: bytes
    processes: tuple[ProcessReading, ...]
    """One for every pid asked for, in the order asked; the texts in `smaps` follow that order too and are gapless."""
    users: dict[int, str]
    raw: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    """Sections as they came: uid, as in Listing, and facts (stat, cmdline, smaps_rollup): `PID/FILE:TEXT` and a NUL."""
    seconds: float | None = field(default=None, compare=False)
    """How long it took on the host, by its own clock, which tells hundredths; None where it does not say."""

    def reused(self, pids: Collection[int]) -> Reading:
        """The same without the texts of these processes, which are `reused`."""
        texts: list[bytes] = []
        processes: list[ProcessReading] = []
        at = 0
        for one in self.processes:
            gone = one.pid in pids
            texts.append(b"" if gone else self.smaps[one.start : one.stop])
            end = at + len(texts[-1])
            processes.append(replace(one, status="reused" if gone else one.status, start=at, stop=end))
            at = end
        return replace(self, smaps=b"".join(texts), processes=tuple(processes))
