"""Which files there are.   [layout] ─► manifest, writer, stored

manifest.json                        what the files do not say; a tree found elsewhere has none
etc/passwd                           names of uids; only in a tree found elsewhere, where the probe looks for it too
HOST/sys/kernel/osrelease            the kernel's release
HOST/sys/kernel/random/boot_id
HOST/PID/stat status cmdline cgroup smaps smaps_rollup
HOST/PID/smaps.denied                empty: it has an smaps, which could not be opened
"""

from __future__ import annotations

import re
from urllib.parse import quote

from fleetpmap.errors import UsageError

MANIFEST = "manifest.json"
PASSWD = "etc/passwd"  # noqa: S105 - names of users, no password
RELEASE = "sys/kernel/osrelease"
BOOT_ID = "sys/kernel/random/boot_id"
VERSION = "version"
"""smemcap's: /proc/version, whose third word is the release."""
MEMINFO = "meminfo"
DENIED = "smaps.denied"

PID_FILES = ("stat", "status", "cmdline", "cgroup", "smaps", "smaps_rollup", DENIED)
HOST_FILES = (RELEASE, BOOT_ID, VERSION, MEMINFO)

_PID_FILE = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(map(re.escape, PID_FILES))})")


def pid_file(path: str) -> tuple[int, str] | None:
    """Pid and name of a process's file, by its path below the host; None for any other path."""
    match = _PID_FILE.fullmatch(path)
    return (int(match[1]), match[2]) if match else None


def is_known(path: str) -> bool:
    """Whether a file at this path below a host is one of ours."""
    return path in HOST_FILES or pid_file(path) is not None


def directory_of(host: str) -> str:
    """The directory of a host: its name, with %XX for what a file's name had better not hold. Each has its own."""
    quoted = quote(host, safe="@+", errors="surrogateescape")
    # `.`, `..` and hidden names; a name that is all digits would look like a process; etc has a place of its own.
    if quoted.startswith(".") or quoted.isdigit() or quoted == "etc":
        quoted = f"%{ord(quoted[0]):02X}{quoted[1:]}"
    return quoted


def refused(path: object, why: str, *, hint: str = "take the capture anew, or fetch it again") -> UsageError:
    """What is said of a capture that is not read."""
    one_line = " ".join(f"{path}: {why}".splitlines())  # a name in it may hold anything
    return UsageError(one_line, hint=hint)
