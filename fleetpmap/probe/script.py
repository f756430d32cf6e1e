"""A request to the script that reads /proc.   Request ─► [script] ─► Script ─► transport

The script itself is probe.sh beside this file; here it only gets its parameters. What it prints is wire's business.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_IS_CSH = 'test "$?shell" = 0shell ||'
"""What follows is for csh, where `$?shell` is 1: whether the variable is set. Elsewhere it is the last exit status."""
_FOR_CSH = f"""\
{_IS_CSH} echo "fleetpmap: csh reads the script in the place of sh"
{_IS_CSH} exit 3
"""
"""csh would go on through all of the script, and never end. These lines stand before `set --`, at which csh stops
reading, and behind a line that does nothing: a login script may read one."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of one host. Holds nothing of the user's pattern: matching is done here, not there."""

    proc_root: str = "/proc"
    sudo: bool = False
    """Run the script as root by `sudo -n`; leave it out where the login is root already."""
    owners: bool = False
    """Phase one also reads every process's effective uid and the users' names (a selection by user needs them)."""
    words: bool = False
    """Phase one also reads every process's command line; without, only where the name alone may not tell who it is."""
    cgroups: bool = False
    """Phase one also reads every process's cgroups."""
    exes: bool = False
    """Phase one also reads where every process's exe points: takes tar there, and root for other users' processes."""
    access: bool = False
    """Phase one also tries to open every process's smaps, without reading it."""
    rollups: bool = False
    """Phase two also reads every process's smaps_rollup, right after all the smaps."""
    rollup_only: bool = False
    """Phase two reads smaps_rollup in the place of smaps, where the kernel has it (since 4.14)."""
    compress: bool = True
    """Let the host gzip what it sends, where it can."""


@dataclass(frozen=True, slots=True)
class Script:
    """What to run: `command` is plain words to exec, `stdin` the script, then one line per further phase.

    Keep stdin open until everything wanted has arrived: its end makes the script stop whatever it is doing. Send a line
    only after the phase before it came in whole; while a phase runs, any byte on stdin stops it.
    """

    command: str
    stdin: bytes
    nonce: str
    """128 random bits in hex: frames what the script prints."""
    proc_root: str

    def read_line(self, groups: Sequence[Sequence[int]]) -> bytes:
        """Phase two: the line for stdin that asks for these processes' smaps, owners and state; each pid once.

        Each group is read by a command of its own, so that it has a time of its own.
        """
        return f"read {_groups(groups)}\n".encode()

    def list_line(self, groups: Sequence[Sequence[int]] = ()) -> bytes:
        """Phase one once more: the line for stdin that asks for the processes as they are now.

        With `groups`, phase two of these follows at once, for who expects to choose the same as before.
        """
        return f"list {_groups(groups)}".strip().encode() + b"\n"

    def quit_line(self) -> bytes:
        """The line for stdin that ends the script."""
        return b"quit\n"


def _groups(groups: Sequence[Sequence[int]]) -> str:
    return " / ".join(" ".join(map(str, pids)) for pids in groups)


def render(request: Request) -> Script:
    """The script for one host, with a nonce of its own."""
    nonce = secrets.token_hex(16)
    wishes = {
        "gzip": request.compress,
        "words": request.words,
        "uid": request.owners,
        "cgroup": request.cgroups,
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
    """The script without comments and indentation, half of it: the way can be long, and bash reads it byte by byte."""
    lines = map(bytes.lstrip, files("fleetpmap.probe").joinpath("probe.sh").read_bytes().splitlines(keepends=True))
    return b"".join(line for line in lines if not line.startswith(b"#"))
