"""The types of a host's replies.   decoder ─► replies ─► [reply_types] ─► processes, smaps"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, overload

ReadStatus = Literal["read", "denied", "gone", "reused", "kernel", "zombie", "empty", "unsupported", "cut", "unread"]
"""Status of a process after the read phase.

read: its text is there, or a part of it if it called exec meanwhile (see collection.batch). denied: the login may not
open its smaps. gone: it exited. reused: it exited and another process has its pid now, or it runs another program,
which the selection does not match. kernel, zombie: it has no memory of its own. empty: its smaps can be read but holds
nothing. unsupported: this kernel has no smaps. cut: its text exceeds the limit and was dropped. unread: the host
stopped before it, because another process's text could not be read to the end; request it again.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Facts about the host and the probe, from the frame before the first phase."""

    uid: int
    """The uid the script runs as (0 after sudo)."""
    kernel: str
    """Release as uname -r gives it, read below proc_root where that has it."""
    page_size: int
    boot_id: str
    """Together with pid_namespace it identifies a machine that has two names. Empty if unknown."""
    pid_namespace: str
    reader: str
    """Program that read /proc there: `gnu` or `busybox` tools, or `sh`, the shell alone."""
    compression: str
    """gzip or none."""
    probe_pid: int | None
    """The script's own pid as proc_root sees it; None in a recorded tree."""
    booted: float | None = None
    """When the host started, in seconds since 1970 by this machine's clock; None if it has no uptime."""
    user: str = ""
    """Name of the user that the script runs as, by LOGNAME; empty if that is not set."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure stall information on memory: percent of the time that some, or all, tasks waited for it."""

    some_avg10: float
    """In the last ten seconds; 60 and 300 likewise."""
    some_avg60: float
    some_avg300: float
    full_avg10: float
    full_avg60: float
    full_avg300: float


@dataclass(frozen=True, slots=True)
class HostMemory:
    """A host's memory by /proc/meminfo; None where the kernel lacks the line."""

    total_kib: int | None
    available_kib: int | None
    """Memory that programs can have without swapping, by the kernel's estimate (since 3.14)."""
    swap_total_kib: int | None
    swap_free_kib: int | None
    pressure: Pressure | None = None


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """What the kernel charges to a cgroup and all below it; None where this kernel or hierarchy does not say."""

    path: str
    """Below the root of its hierarchy: `/system.slice/nginx.service`."""
    current_kib: int | None
    peak_kib: int | None
    """The most that it was charged; v2 has it since 5.19."""
    limit_kib: int | None
    """The tightest limit of it and its ancestors; None if there is none (see `is_unlimited`) or none is known."""
    is_unlimited: bool
    """True if neither it nor an ancestor has a limit."""
    limit_path: str
    """The path that has the tightest limit; empty without one, and where it is above this cgroup namespace."""
    high_kib: int | None = None
    """Its own memory.high, above which it is throttled; None without one."""
    swap_kib: int | None = None
    swap_limit_kib: int | None = None
    anon_kib: int | None = None
    """Anonymous memory, by memory.stat."""
    file_kib: int | None = None
    """Page cache, shared memory and tmpfs included."""
    shmem_kib: int | None = None
    """The part of `file_kib` that is shared memory and tmpfs."""
    kernel_kib: int | None = None
    """Memory of the kernel itself: stacks, page tables, slab."""
    slab_kib: int | None = None
    oom: int | None = None
    """Times that it was out of memory."""
    oom_kills: int | None = None
    """Processes in it that were killed for that."""
    pressure: Pressure | None = None
    processes: int | None = None
    """Number of processes in it, without those in cgroups below it."""
    limit_used_kib: int | None = None
    """What the cgroup with that limit is charged: this one, or an ancestor with all below it."""


@dataclass(frozen=True, slots=True)
class ContainerName:
    """The names of a container, as its runtime keeps them on disk; empty where it has none."""

    name: str
    pod: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Resident:
    """Sizes of a process by its status, in KiB, which every user may read; None where the kernel lacks the line."""

    rss_kib: int
    rss_anon_kib: int | None = None
    """The three parts of the RSS, since 4.5."""
    rss_file_kib: int | None = None
    rss_shmem_kib: int | None = None
    swap_kib: int | None = None
    hwm_kib: int | None = None
    """The largest RSS that it ever had."""


class ListedProcess(NamedTuple):  # made for processes of every host: a frozen dataclass takes four times as long
    """One process of the list phase, from its stat and cmdline.

    If its main thread has ended while others run, the RSS, command line, cgroups and exe come from one of those, since
    all threads share them.
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
    """The command line. () for a kernel thread, a zombie, a process that erased it, and where a plain sh is the reader.
    Unless the request has `words`, also () for most others: then it is there only for truncated names and for the
    ancestors of the probe."""
    kernel_thread: bool
    uid: int | None = None
    """Effective uid; None unless the request asked for owners."""
    cgroups: tuple[str, ...] | None = None
    """Its path in each hierarchy, v1 and v2, each path once; None unless the request asked for cgroups."""
    exe: str | None = None
    """Target of its exe, as the kernel prints it; None unless the request asked for exes and the link may be read."""
    threads: int = 1
    """Number of its threads. A main thread that has ended (state Z) counts as long as others run."""

    @property
    def has_ended(self) -> bool:
        """True if none of its threads runs any more. Others can run after the main thread has ended (pthread_exit)."""
        return self.state in "ZX" and self.threads < 2


class Processes(Sequence[ListedProcess]):
    """All processes of a host, sorted by pid. Each object is made on first access, since few are ever used."""

    def __init__(self, slots: Mapping[str, int], names: Sequence[str], make: Callable[[int], ListedProcess]) -> None:
        """`slots` maps each pid to its slot, in any order; `make` builds the process of a slot."""
        self.names = names
        """The name of each slot; reading names makes no process."""
        self._slots = slots
        self._make = make
        self._made: dict[int, ListedProcess] = {}

    @classmethod
    def of(cls, processes: Sequence[ListedProcess]) -> Processes:
        """Return a sequence of processes that are made already."""
        slots = {str(process.pid): slot for slot, process in enumerate(processes)}
        return cls(slots, [process.name for process in processes], processes.__getitem__)

    def get(self, pid: int) -> ListedProcess | None:
        """Return the process with this pid; None if there is none."""
        slot = self._slots.get(str(pid))
        return None if slot is None else self.at(slot)

    def at(self, slot: int) -> ListedProcess:
        """Return the process of a slot."""
        if slot not in self._made:
            self._made[slot] = self._make(slot)
        return self._made[slot]

    @overload
    def __getitem__(self, slot: int) -> ListedProcess: ...
    @overload
    def __getitem__(self, slot: slice) -> list[ListedProcess]: ...
    def __getitem__(self, slot: int | slice) -> ListedProcess | list[ListedProcess]:
        if isinstance(slot, slice):
            return [self.at(each) for each in self._by_pid[slot]]
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

    __hash__ = None  # type: ignore[assignment]  # a sequence that compares by its elements, as a list does


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Listing:
    """Result of the list phase: the processes of a host, sorted by pid."""

    capabilities: Capabilities
    processes: Processes
    users: dict[int, str]
    """User names by uid; a uid without a name on the host is missing."""
    has_arguments: bool = True
    """False if the reader there cannot read command lines."""
    access: Mapping[int, str] = field(default_factory=dict)
    """Status by pid of each process with an smaps that cannot be opened: `denied`, `unsupported`, or `gone` if it has
    ended since it was listed. Empty unless requested."""
    memory: HostMemory | None = None
    names: Mapping[str, ContainerName] = field(default_factory=dict)
    """Names by container id; empty unless requested and the probe is root."""
    raw: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    """Sections as received (stat, uid, cgroup, memory, names), for a capture: lines `PID/FILE:LINE`, as grep -H prints
    them; each stat ends at its rss."""


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process of the read phase: the place of its text in Reading.smaps, or the reason for its absence."""

    pid: int
    status: ReadStatus
    start: int
    """Offset of its text in Reading.smaps; start == stop unless status is `read`."""
    stop: int
    """Offset of the end of its text."""
    uid: int | None
    """Effective uid; None if it was gone."""
    stopped: bool = False
    """True if it was stopped both before and after its smaps was read."""
    rollup: Mapping[str, int] | None = None
    """Its smaps_rollup, kernel key to KiB; None if there was none, or the request did not ask for it."""
    start_stack: int | None = None
    """Address of the beginning of its stack; 0 if the kernel hides it from the login, None if its stat lacks it."""
    address_space: int = 0
    """Bytes of its address space after the reading; 0 if it was gone."""
    arguments: tuple[str, ...] | None = None
    """Its command line after the reading, () if it erased it; None if it was gone or cannot be read there."""
    seconds: float | None = None
    """Time that reading it took, if it was requested in a group of its own; else None."""
    name: str | None = field(default=None, compare=False)
    """Its name after the reading; None if it was gone. Not the listed name if it has called exec in between."""
    cgroups: tuple[str, ...] | None = None
    """Its path in each hierarchy, each path once; None if unknown."""
    memory_cgroup: str | None = None
    """The path that its memory is charged to: the `path` of a CgroupMemory."""
    oom_score_adj: int | None = None
    resident: Resident | None = None
    """Its sizes by status, also if its smaps may not be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of the read phase: the smaps texts of the requested processes in one buffer, each with its status."""

    smaps: bytes
    processes: tuple[ProcessReading, ...]
    """One per requested pid, in the order requested; the texts in `smaps` follow the same order without gaps."""
    users: dict[int, str]
    """As in Listing."""
    raw: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    """Sections as received: uid and names, as in Listing, and facts: `PID/FILE:TEXT` and a NUL."""
    seconds: float | None = field(default=None, compare=False)
    """Time that it took on the host, by the host's clock, to hundredths of a second; None if the host has no uptime."""
    cgroups: tuple[CgroupMemory, ...] = ()
    """The memory cgroups of these processes, as far as the host shows them."""
    names: Mapping[str, ContainerName] = field(default_factory=dict)
    """Names by container id, as far as the probe may read them."""

    def reused(self, pids: Collection[int]) -> Reading:
        """Return this reading with these processes marked `reused` and without their texts."""
        texts: list[bytes] = []
        processes: list[ProcessReading] = []
        at = 0
        for process in self.processes:
            gone = process.pid in pids
            texts.append(b"" if gone else self.smaps[process.start : process.stop])
            end = at + len(texts[-1])
            if gone:
                of_another = ("cgroups", "memory_cgroup", "oom_score_adj", "resident")
                process = replace(process, status="reused", **dict.fromkeys(of_another))  # type: ignore[arg-type]  # each may be None
            processes.append(replace(process, start=at, stop=end))
            at = end
        return replace(self, smaps=b"".join(texts), processes=tuple(processes))
