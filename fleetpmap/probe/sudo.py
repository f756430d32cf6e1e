"""Run the probe as root, with sudo or doas.   transport ─► [sudo] ─► a channel that takes the script, or SudoError

`sudo -n sh -s` is always tried first and adds no round trip. If sudo refuses it, a second channel is opened:

    a password is needed, and one is given   sudo -S -p PROMPT sh -c 'echo READY; exec sh -s'
                                             PROMPT on stderr ─► send the password; READY on stdout ─► send the script
    there is no sudo                         doas -n sh -s

sudo reads the password from the same stdin from which `sh` reads its script. So the password is sent only after the
prompt, which is random (sudo-rs prints it between `[sudo: ` and `]`), and the script only after READY.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from fleetpmap.errors import DeadlineError, RemoteError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.transport import Channel, Secret, Transport
from fleetpmap.transport.base import printable

_PLAIN_NAME = re.compile(r"(?!root$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""Name of a login that sudoers takes as it is. A host may not claim that another login has the name `root`."""
_NEW_ONE = "give one with --ask-become-pass, or allow `sh -s` without one (NOPASSWD) in sudoers"
_WRONG = "sudo: the password is wrong"
_DOAS_ASKS = "doas: a password is needed, which doas reads from a terminal only"
_DOAS_RULE = "add to doas.conf: permit nopass USER as root cmd sh args -s"
_INSTALL = "install sudo (or doas), or log in as root"


class _Refusal(NamedTuple):
    words: str
    """Part of the message of sudo or doas, in lower case."""
    meaning: str
    remedy: str
    needs: Literal["", "password", "program"] = ""
    """Need of a second channel: a password, or another program; empty if there is no second way."""


# Messages of sudo under LC_ALL=C, of sudo-rs and of doas. The first that matches counts.
_REFUSALS = (
    _Refusal("you must have a tty", "sudo: its sudoers asks for a terminal", "take `requiretty` off for this user"),
    _Refusal("is your account locked", "sudo: the account is locked", "unlock it on that host"),
    _Refusal("account expired", "sudo: the account has expired", "renew it on that host"),
    _Refusal("password is expired", "sudo: the password has expired", "log in by hand once, and set a new one"),
    _Refusal("password expired", "sudo: the password has expired", "log in by hand once, and set a new one"),
    _Refusal(
        "required to change your password", "sudo: the password has expired", "log in by hand once, and set a new one"
    ),
    _Refusal("nosuid", "sudo: it cannot become root there (nosuid)", "log in as root"),
    _Refusal("must be owned by uid 0", "sudo: its program may not become root", "mend the installation of sudo there"),
    _Refusal("no valid sudoers", "sudo: its sudoers cannot be read", "run `visudo -c` on that host"),
    _Refusal("no new privileges", "sudo: it cannot become root there (no new privileges)", "log in as root"),
    _Refusal("incorrect password", _WRONG, "try again with --ask-become-pass"),
    _Refusal("incorrect authentication", _WRONG, "try again with --ask-become-pass"),
    _Refusal("terminal is required", "sudo: a password is needed", _NEW_ONE, "password"),
    _Refusal("no tty present", "sudo: a password is needed", _NEW_ONE, "password"),
    _Refusal("password is required", "sudo: a password is needed", _NEW_ONE, "password"),
    _Refusal("authentication is required", "sudo: a password is needed", _NEW_ONE, "password"),
    _Refusal("not in the sudoers", "sudo: the user is not in sudoers", "add the user, or run without --sudo"),
    _Refusal("not allowed to", "sudo: sudoers allows this user other commands, not `sh`", "allow /bin/sh in sudoers"),
    _Refusal("may not run sudo", "sudo: the user may not run sudo", "add the user to sudoers, or run without --sudo"),
    _Refusal("i'm afraid i can't", "sudo: sudoers does not allow this user `sh`", "allow /bin/sh in sudoers"),
    _Refusal("sudo: not found", "sudo is not installed there", _INSTALL, "program"),
    _Refusal("sudo: command not found", "sudo is not installed there", _INSTALL, "program"),
    _Refusal("unknown command: sudo", "sudo is not installed there", _INSTALL, "program"),
    _Refusal("doas: authentication required", _DOAS_ASKS, _DOAS_RULE),
    _Refusal("doas: authorization required", _DOAS_ASKS, _DOAS_RULE),
    _Refusal("doas: operation not permitted", "doas: doas.conf does not allow this user `sh -s`", _DOAS_RULE),
    _Refusal("doas: not found", "neither sudo nor doas is installed there", _INSTALL),
    _Refusal("doas: command not found", "neither sudo nor doas is installed there", _INSTALL),
    _Refusal("unknown command: doas", "neither sudo nor doas is installed there", _INSTALL),
)


_WARNING = "unable to resolve host"
"""Warning of sudo about its own host's name; sudo goes on after it."""
_REFUSAL_BEGINS = ("sudo: ", "doas: ", "You are required to change your password")
"""Beginnings of lines that can be a refusal while sudo still waits. Other lines, such as the lecture, hold any text."""


def sudoers_line(user: str, uid: int) -> str:
    """Return the line of sudoers that lets a login run the probe as root, without a password.

    A name that the line would have to quote is replaced by the uid: `#1000`.
    """
    return f"{user if _PLAIN_NAME.fullmatch(user) else f'#{uid}'} ALL=(root) NOPASSWD: /bin/sh -s"


def explain_refusal(stderr: str, host: Host) -> SudoError | None:
    """Return the refusal found in `stderr`; None if it has no message of sudo or doas."""
    if error := _refusal_in(stderr, host):
        return error
    own = (line.strip() for line in stderr.splitlines() if line.startswith(("sudo", "doas")) and _WARNING not in line)
    line = next(own, None)
    # A message that is not in the table, as one in another language, is a refusal too; most often of a password.
    return _error(line, host, "try `sudo -n sh -s` on that host", "password") if line else None


def _refusal_in(text: str, host: Host) -> SudoError | None:
    lowered = text.lower()
    for refusal in _REFUSALS:
        if refusal.words in lowered:
            return _error(refusal.meaning, host, refusal.remedy, refusal.needs)
    return None


def second_way(transport: Transport, host: Host, refusal: SudoError, password: Secret | None) -> Channel:
    """Open a channel that takes the script, after `sudo -n` has refused.

    Raises:
        SudoError: there is no second way (`refusal` itself), or sudo refuses that too.
        HostError: the connection broke, or the deadline passed.
    """
    if refusal.needs == "program":
        return _run(transport, "doas -n sh -s")
    if refusal.needs != "password" or password is None:
        raise refusal
    prompt, ready = f"fleetpmap-{secrets.token_hex(8)}", secrets.token_hex(16)
    # The only command with more than plain words: sh, csh, fish and restricted shells all parse '…' alike. sudo
    # replaces %u by the calling user, and %p by the user with the password that it wants.
    channel = _run(transport, f"sudo -S -p {prompt}:%u:%p: sh -c 'echo {ready}; exec sh -s'")
    try:
        _answer(channel, prompt, ready.encode(), password, host)
    except DeadlineError as error:
        channel.close()
        raise _late(error, prompt, password.redact(channel.stderr.decode(errors="replace"))) from error
    except BaseException:
        channel.close()
        raise
    return channel


def _run(transport: Transport, command: str) -> Channel:
    """Start a second command. With MaxSessions 1, sshd may refuse it for as long as it holds the ended session."""
    for pause_s in (0.05, 0.2, 0.5):
        try:
            return transport.run(command)
        except RemoteError:
            time.sleep(pause_s)
    return transport.run(command)


def _answer(channel: Channel, prompt: str, ready: bytes, password: Secret, host: Host) -> None:
    """Send the password when the prompt arrives, if it does; return when the shell is ready."""
    stdout, answered, stderr = b"", False, b""
    prompts: list[tuple[str, str]] = []  # (calling user, user with the password) of each prompt
    prompt_pattern = re.compile(rf"{prompt}:([^:\n]*):([^:\n]*):")
    while ready not in stdout:
        if len(channel.stderr) != len(stderr):
            stderr = channel.stderr
            output = password.redact(stderr.decode(errors="replace"))
            prompts = prompt_pattern.findall(output)
            if len(prompts) > 1:  # a second prompt means that the password was refused
                raise _wrong_password(prompts, host)
            # Some refusals come with a question of their own, and sudo would wait for the reply.
            lines = prompt_pattern.sub("\n", output).splitlines()
            if refusal := _refusal_in("\n".join(line for line in lines if line.startswith(_REFUSAL_BEGINS)), host):
                raise _wrong_password(prompts, host) if refusal.message == _WRONG else refusal
            if prompts and not answered:
                channel.send(password.reveal().encode() + b"\n")
                answered = True
        piece = channel.receive_any()
        if piece == b"":
            channel.finish()
            output = password.redact(channel.stderr.decode(errors="replace"))
            ended = _error("sudo ended without a word", host, "try `sudo -S sh -s` on that host")
            refusal = explain_refusal(output, host) or ended
            raise _wrong_password(prompts, host) if refusal.message == _WRONG else refusal
        stdout = stdout[-len(ready) :] + (piece or b"")


def _wrong_password(prompts: Sequence[tuple[str, str]], host: Host) -> SudoError:
    """Return the error of a refused password. It names the user if sudo wants another's (targetpw, rootpw, runaspw)."""
    caller, owner = prompts[0] if prompts else ("", "")
    if owner in (caller, "%p"):  # sudo-rs may not replace %p
        return _error(_WRONG, host, "try again with --ask-become-pass")
    owner, caller = printable(owner), printable(caller)
    return _error(
        f"{_WRONG}: it asks for the password of {owner}, not of {caller}",
        host,
        f"give {owner}'s with --ask-become-pass, or take targetpw, rootpw or runaspw off for {caller} in sudoers",
    )


def _late(error: DeadlineError, prompt: str, output: str) -> DeadlineError:
    """Add the last line of sudo to a time-out: it may be a question other than the password, as of a second factor."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and prompt not in line]
    if lines:
        error.message += f'; sudo printed "{printable(lines[-1])}"'
        error.args = (error.message,)
        error.hint = "sudo asks for more than a password there: allow `sh -s` without one (NOPASSWD) in sudoers"
    return error


def _error(message: str, host: Host, hint: str, needs: Literal["", "password", "program"] = "") -> SudoError:
    error = SudoError(message, host=host.name, stage="sudo", hint=hint)
    error.needs = needs
    return error
