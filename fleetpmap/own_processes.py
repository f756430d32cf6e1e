"""fleetpmap's own processes on a host, which no selection matches.   wire.Listing ─► [own_processes] ─► processes

    sshd (listener) ─► sshd (connection) … ─► login shell ─► (sudo) ─► probe ─► its children
                       └── connection ──┘     └───────── the probe's session ─────────┘

All of them stay as long as the probe runs, since each waits for the one below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleetpmap.wire import ListedProcess, Listing, Processes

# sshd replaces its command line for a connection: "sshd: ops [priv]", "sshd-session: ops@notty".
# The listener writes "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", or nothing on old versions.
_SSHD_CONNECTION = re.compile(r"sshd(-\w+)?: (?!.*\[listener\])")
_OTHER_SERVER = re.compile("sshd|dropbear")
"""Part of the names of SSH servers."""


@dataclass(frozen=True, slots=True)
class OwnProcesses:
    """The processes of a host that this run started there."""

    session: int | None = None
    """The session of the probe. sshd gives each command one; the login shell and all that it started are in it."""
    roots: frozenset[int] = frozenset()
    """Pids of fleetpmap itself, or of the probe and the processes above it. All that they started is own, too."""
    connection: frozenset[int] = frozenset()
    """Pids of the sshd processes of this connection, which start nothing else."""


def find_own(listing: Listing, local_pid: int | None = None) -> OwnProcesses:
    """Find the own processes in a listing.

    `local_pid` is fleetpmap's own pid if the host is this machine without SSH: it and its children are own. Over SSH
    the probe's session and the sshd of this connection are.
    """
    probe = listing.processes.get(listing.capabilities.probe_pid or 0)
    if probe is None:  # a recorded tree, or a procfs of another namespace: no process there is own
        return OwnProcesses()
    if local_pid is not None:
        return OwnProcesses(roots=frozenset({local_pid}))
    below_sshd, connection = _ancestors(probe, listing.processes)
    if not connection and (below := _below_other_server(probe, listing.processes)):
        return OwnProcesses(roots=frozenset(below))
    return OwnProcesses(probe.session, frozenset(below_sshd), frozenset(connection))


class OwnFilter:
    """`process in own_filter` is true for own processes. It climbs to the parents of those processes only that it is
    asked for, and each process is looked up once."""

    def __init__(self, own: OwnProcesses, processes: Processes) -> None:
        self._own = own
        self._processes = processes
        self._is_own = dict.fromkeys(own.roots, True)
        """The answers so far, by pid, without those of `own.connection`: a child of these is not own by that."""

    def __contains__(self, process: ListedProcess) -> bool:
        return process.pid in self._own.connection or self._is_below(process)

    def _is_below(self, process: ListedProcess | None) -> bool:
        climbed: list[int] = []
        while process is not None and process.pid not in self._is_own:
            climbed.append(process.pid)
            self._is_own[process.pid] = process.session == self._own.session
            if self._is_own[process.pid]:
                break
            process = self._processes.get(process.ppid)
        is_own = process is not None and self._is_own[process.pid]
        self._is_own.update(dict.fromkeys(climbed, is_own))
        return is_own


def _ancestors(probe: ListedProcess, processes: Processes) -> tuple[set[int], set[int]]:
    """Return the pids from the probe up to sshd (sudo may have begun another session there), and those of the sshd
    processes of this connection, without the listener. Where there is no such sshd, only the probe is known to be own.
    """
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
    """Return the pids from the probe up to a server that gave it no session of its own, as tinysshd does.

    Such a session holds all that the server's parent started, services too. Empty where the session is the probe's.
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
