"""The files of a capture.   [tree] ─► manifest, writer, stored

manifest.json                        facts that the files do not hold; a foreign tree has none
etc/passwd                           names of uids; only in a foreign tree, at the place where the probe reads it
HOST/sys/kernel/osrelease            the kernel's release
HOST/sys/kernel/random/boot_id
HOST/meminfo pressure/memory         the host's memory
HOST/sys/fs/cgroup/…/memory.*        the memory of its cgroups, with cgroup.procs
HOST/container-names                 names of its containers and pods: the lines that the probe found in their configs
HOST/PID/stat status cmdline cgroup oom_score_adj smaps smaps_rollup
HOST/PID/smaps.denied                empty; marks a process with an smaps that could not be opened
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from fleetpmap.errors import UsageError
from fleetpmap.wire import DECODED_LIMIT, PROCESS_LIMIT
from fleetpmap.wire.accounting import CGROUP_FILE

FILE_LIMIT = 2 * PROCESS_LIMIT
"""Most bytes of one file: as many as earlier versions wrote."""
HOST_LIMIT = DECODED_LIMIT
"""Most bytes of one host's files."""

MANIFEST = "manifest.json"
PASSWD = "etc/passwd"  # noqa: S105 - names of users, no password
RELEASE = "sys/kernel/osrelease"
BOOT_ID = "sys/kernel/random/boot_id"
VERSION = "version"
"""Written by smemcap: /proc/version; its third word is the release."""
MEMINFO = "meminfo"
PRESSURE = "pressure/memory"
NAMES = "container-names"
DENIED = "smaps.denied"
CGROUPS = "sys/fs/cgroup"
"""Directory of the hierarchies of cgroups, below a host."""

PID_FILES = ("stat", "status", "cmdline", "cgroup", "oom_score_adj", "smaps", "smaps_rollup", DENIED)
HOST_FILES = (RELEASE, BOOT_ID, VERSION, MEMINFO, PRESSURE, NAMES)

PID = re.compile("[1-9][0-9]{0,8}")
"""Name of a process's directory."""
DISTRUST = "fleetpmap writes no capture like that: do not trust its source"
"""Hint about a file that only a hostile capture has."""

_PID_FILE = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(map(re.escape, PID_FILES))})")


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The files of one host."""

    directory: str
    """Name of the host's directory; empty if the whole tree belongs to one host."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path below the host's directory."""
    owners: dict[int, int] = field(default_factory=dict)
    """Uid by pid, as an archive gives the owner of the process's files; empty for a directory."""


def pid_file(path: str) -> tuple[int, str] | None:
    """Return pid and file name of a path below a host, if it is the file of a process; else None."""
    match = _PID_FILE.fullmatch(path)
    return (int(match[1]), match[2]) if match else None


def is_known(path: str) -> bool:
    """Return whether a capture has a file at this path below a host."""
    return path in HOST_FILES or pid_file(path) is not None or is_cgroup_file(path)


def is_cgroup_file(path: str) -> bool:
    """Return whether this path below a host is that of a cgroup's file that a run reads."""
    return path.startswith(f"{CGROUPS}/") and CGROUP_FILE.fullmatch(path) is not None


def directory_of(host: str) -> str:
    """Return the directory of a host: its name, with %XX for unsafe characters. No two names have the same."""
    quoted = quote(host, safe="@+", errors="surrogateescape")
    # `.`, `..` and hidden names are unsafe, digits would look like a process, and etc/ stands beside the hosts.
    if quoted.startswith(".") or quoted.isdigit() or quoted == "etc":
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}"
    return quoted


def refused(path: object, why: str, *, hint: str = "take the capture anew, or fetch it again") -> UsageError:
    """Return the error about a capture that is not loaded."""
    one_line = " ".join(f"{path}: {why}".splitlines())  # a file's name may hold line breaks
    return UsageError(one_line, hint=hint)
