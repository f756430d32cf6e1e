"""Explain why the probe did not start, or ended early.   a host's output ─► [startup] ─► HostError

sshd starts the login shell, which may read login scripts (bash reads ~/.bashrc) before it runs `sh -s`. So another
program can read the script in place of sh, consume a part of it, or redirect its output.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fleetpmap.errors import DeadlineError, HostError, ProtocolError, RemoteError
from fleetpmap.probe.script import Script
from fleetpmap.transport.base import printable

_SFTP_ONLY = "sftp connections only"
"""Message that sshd prints instead of running a command if `internal-sftp` is forced."""
_OURS = re.compile(r"(?m)(?:^|: )fleetpmap: (?P<sentence>[^\n\"]+)")
"""Message that the script itself prints if it cannot run, on a line of its own or behind the shell's name."""
_ANOTHER_PROGRAM = (
    "a login script there (~/.bashrc, ~/.profile) or a forced command puts another program in the place of `sh`: "
    "`ssh {host} echo ok </dev/null` has to print ok"
)
_TAKES_INPUT = (
    "a login script there (~/.bashrc, ~/.profile) reads from stdin or redirects it: "
    "`echo 'echo ok' | ssh {host} sh -s` has to print ok"
)
_LIMITS = "see `ulimit -a` there, and raise the account's limits (limits.conf, or the unit of sshd)"


class _Refusal(NamedTuple):
    words: str
    """Part of the message that the script prints."""
    hint: str


_REFUSALS = (
    _Refusal(
        "restricted shell", "log in as an account that has an ordinary shell, or mend the login script (~/.bashrc)"
    ),
    _Refusal("first lines", _TAKES_INPUT),
    _Refusal(
        "goes to /dev/null",
        "a login script there (~/.bashrc, ~/.profile) redirects it: `ssh {host} echo ok` has to print ok",
    ),
    _Refusal("too few files", _LIMITS),
    _Refusal("", _ANOTHER_PROGRAM),
)
_SSH_FAILED = 255
"""Exit status of ssh's own errors; ssh returns the command's status otherwise."""
_LIMIT = re.compile(
    r"[Tt]oo many open files|(can't|[Cc]annot|[Uu]nable to) fork|fork: |[Cc]annot allocate memory|[Oo]ut of memory"
    r"|failed to map segment|Resource temporarily unavailable|[Mm]emory exhausted|File size limit|CPU time limit"
)
"""Messages of shells, tools and the dynamic linker when the kernel refuses memory, processes or descriptors."""


def not_begun(host: str, status: int | None, stderr: str, stdout: str) -> HostError:
    """Return the error of a host on which the shell ended before the probe's first frame, with the shell's output."""
    if _SFTP_ONLY in stdout:
        return _error(
            host, "the account is for sftp only: no command runs there", "log in as an account that has a shell"
        )
    refusal = _OURS.search(f"{stdout}\n{stderr}")
    limit = _limit(stderr)
    instead = not stderr.strip() and bool(stdout.strip())
    words = refusal["sentence"] if refusal else limit or _last_line(stdout if instead else stderr)
    if refusal:
        hint = next(known.hint for known in _REFUSALS if known.words in words)
    elif limit:
        hint = _LIMITS
    elif instead:
        hint = (
            "a forced command (ForceCommand, command= in authorized_keys) or the account's shell answered in its place"
        )
    elif (status == 0 and not words) or "yntax error" in words:
        hint = _TAKES_INPUT
    elif status == _SSH_FAILED and not words:
        hint = "run `ssh {host} true` and see what it says: 255 can be ssh's own status, as where MaxSessions is 0"
    else:
        hint = "try `ssh {host} sh -s </dev/null`: it has to end quietly, with status 0"
    ended = f"with exit status {status}" if status is not None else "without an exit status"
    words = printable(words) or "nothing on stderr"
    return _error(host, f"the shell there ended {ended} before the probe began: {words}", hint)


def broke_off(error: ProtocolError, stderr: str) -> HostError:
    """Return the error about truncated output with the reason found on stderr, if there is one."""
    if limit := _limit(stderr):
        return RemoteError(
            f"a limit of the account stopped the probe: {printable(limit)}",
            host=error.host,
            stage=error.stage,
            hint=_LIMITS,
        )
    if line := _last_line(stderr):
        error.message = f"{error.message}; it said: {printable(line)}"
        error.args = (error.message,)
    return error


def gives_back(script: Script, host: str, noise: bytes) -> HostError | None:
    """Return the error of a host that sends the script back, up to its last line; None if it does not."""
    at = noise.find(script.stdin[:-1].rpartition(b"\n")[0][-200:])
    if at < 0 or b"set -- " + script.nonce.encode() not in noise:
        return None
    return _error(
        host, "what runs there in the place of `sh` gives back what it is sent, as cat does", _ANOTHER_PROGRAM
    )


def came_late(error: DeadlineError, output: str, *, begun: bool) -> None:
    """Add the host's last line of output to the message of a time-out, and its likely cause to the hint."""
    line = printable(_last_line(output))
    if line:
        error.message += f'; it printed "{line}"'
    elif not begun:
        error.message += "; it printed nothing"
    error.args = (error.message,)
    if not begun:
        error.hint = f"give a slow host more time with --timeout; or {_ANOTHER_PROGRAM.format(host=error.host)}"


def _error(host: str, message: str, hint: str) -> RemoteError:
    return RemoteError(message, host=host, stage="exec", hint=hint.format(host=host))


def _limit(stderr: str) -> str:
    return next((line.strip() for line in stderr.splitlines() if _LIMIT.search(line)), "")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
