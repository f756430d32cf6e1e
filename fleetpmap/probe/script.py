"""Render a request as the script that reads /proc.   Request ─► [script] ─► Script ─► transport

The script is probe.sh beside this file; here it gets its parameters. The room `wire` parses its output.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_IS_CSH = 'test "$?shell" = 0shell ||'
"""Prefix of a line that only csh runs: `$?shell` is 1 there, since the variable is set, and `0shell` in sh."""
_FOR_CSH = f"""\
{_IS_CSH} echo "fleetpmap: csh reads the script in the place of sh"
{_IS_CSH} exit 3
"""
"""Lines that end csh, which would otherwise run through the whole script and never exit. They stand before `set --`, at
which csh stops reading, and after a line without effect, because a login script may consume the first line."""


@dataclass(frozen=True, slots=True)
class Request:
    """Options of the probe for one host. The user's pattern is not among them: processes are matched here."""

    proc_root: str = "/proc"
    sudo: bool = False
    """Run the script as root by `sudo -n`; leave it False if the login is root."""
    owners: bool = False
    """The list phase also reads every process's effective uid and the users' names; a selection by user needs them."""
    words: bool = False
    """The list phase also reads every process's command line; else only for truncated names and its ancestors."""
    cgroups: bool = False
    """The list phase also reads every process's cgroups."""
    names: bool = False
    """The list phase also reads the names of all containers; else the read phase those of the processes read."""
    exes: bool = False
    """The list phase also reads the target of every exe; needs tar there, and root for other users' processes."""
    access: bool = False
    """The list phase also tries to open every process's smaps, without reading it."""
    rollups: bool = False
    """The read phase also reads every process's smaps_rollup, right after all the smaps."""
    rollup_only: bool = False
    """The read phase reads smaps_rollup in place of smaps, if the kernel has it (since 4.14)."""
    compress: bool = True
    """Let the host gzip its output, if it can."""


@dataclass(frozen=True, slots=True)
class Script:
    """The probe for one host: a `command` of plain words to run, its `stdin`, then one line per further phase.

    Keep stdin open until everything wanted has arrived: at its end the script stops its work at once. Send a line
    only after the previous phase has arrived whole; while a phase runs, any line on stdin but `look` stops it.
    """

    command: str
    stdin: bytes
    """The script's parameters and its text."""
    nonce: str
    """128 random bits in hex; marks the frames in the output."""
    proc_root: str

    def read_line(self, groups: Sequence[Sequence[int]]) -> bytes:
        """Return the line that requests a read phase: smaps, owners and state of these processes, each pid once.

        Each group is read by a command of its own and so gets a time of its own.
        """
        return f"read {_groups(groups)}\n".encode()

    def list_line(self, groups: Sequence[Sequence[int]] = ()) -> bytes:
        """Return the line that requests another list phase.

        With `groups`, a read phase of these follows in the same body: for a caller that expects to choose the same
        processes as in the previous round.
        """
        return f"list {_groups(groups)}".strip().encode() + b"\n"

    def look_line(self, seconds: int) -> bytes:
        """Return the line to send while a phase prints nothing: find processes with a file that blocks that long."""
        return b"look %d\n" % seconds

    def skip_line(self, pids: Iterable[int]) -> bytes:
        """Return the line after which the command lines of these processes are not read."""
        return f"skip {' '.join(map(str, pids))}\n".encode()

    def quit_line(self) -> bytes:
        """Return the line that ends the script."""
        return b"quit\n"


def _groups(groups: Sequence[Sequence[int]]) -> str:
    return " / ".join(" ".join(map(str, pids)) for pids in groups)


def render(request: Request) -> Script:
    """Render the script for one host, with a new nonce."""
    nonce = secrets.token_hex(16)
    wishes = {
        "gzip": request.compress,
        "words": request.words,
        "uid": request.owners,
        "cgroup": request.cgroups,
        "names": request.names,
        "exe": request.exes,
        "access": request.access,
        "rollup": request.rollups,
        "rollup_only": request.rollup_only,
    }
    words = (nonce, request.proc_root, *(wish for wish, wanted in wishes.items() if wanted))
    parameters = f"set -- {shlex.join(words)}\n".encode("utf-8", "surrogateescape")
    return Script(
        # Plain words, no slash: csh, fish and a restricted shell all take them.
        command="sudo -n sh -s" if request.sudo else "sh -s",
        stdin=f": fleetpmap {nonce}\n{_FOR_CSH}".encode() + parameters + _probe(),
        nonce=nonce,
        proc_root=request.proc_root,
    )


@cache
def _probe() -> bytes:
    """Return probe.sh without comments and indentation.

    That halves it, which saves time on a slow link and in bash, which reads a script from stdin byte by byte.
    """
    lines = map(bytes.lstrip, files("fleetpmap.probe").joinpath("probe.sh").read_bytes().splitlines(keepends=True))
    return b"".join(line for line in lines if not line.startswith(b"#"))
