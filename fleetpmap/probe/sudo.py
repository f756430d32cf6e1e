"""As root, by sudo or doas.   transport ─► [sudo] ─► a channel that takes the script, or SudoError

`sudo -n sh -s` comes first and costs nothing. Only where it says no is there a second way, on a channel of its own:

    a password is needed, and we have one    sudo -S -p PROMPT sh -c 'echo READY; exec sh -s'
                                             PROMPT on stderr ─► the password; READY on stdout ─► the script
    there is no sudo                         doas -n sh -s

sudo reads the password from the same stdin as `sh` its script. So the password is sent only to the prompt, which is
ours alone (sudo-rs puts it between `[sudo: ` and `]`), and the script only when the shell has spoken.
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

_NEW_ONE = "give one with --ask-become-pass, or allow `sh -s` without one (NOPASSWD) in sudoers"
_WRONG = "sudo: the password is wrong"
_DOAS_ASKS = "doas: a password is needed, which doas reads from a terminal only"
_DOAS_RULE = "add to doas.conf: permit nopass USER as root cmd sh args -s"
_INSTALL = "install sudo (or doas), or log in as root"


class _Refusal(NamedTuple):
    said: str
    """What sudo or doas prints, in lower case."""
    meaning: str
    remedy: str
    needs: Literal["", "password", "program"] = ""


# sudo's own words under LC_ALL=C, sudo-rs's and doas's. The first that is found counts.
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
"""sudo says so of its own host's name, and goes on."""
_SPOKEN = ("sudo: ", "doas: ", "You are required to change your password")
"""How lines begin that may be a refusal though sudo goes on to wait. The lecture and other prompts may say anything."""


def explain_refusal(stderr: str, host: Host) -> SudoError | None:
    """The refusal that `stderr` holds, or None when neither sudo nor doas seems to be the one that spoke."""
    if error := _refusal_in(stderr, host):
        return error
    own = (line.strip() for line in stderr.splitlines() if line.startswith(("sudo", "doas")) and _WARNING not in line)
    line = next(own, None)
    # In another language it is a refusal all the same, and a password is what it is about most often.
    return _error(line, host, "try `sudo -n sh -s` on that host", "password") if line else None


def _refusal_in(text: str, host: Host) -> SudoError | None:
    lowered = text.lower()
    for refusal in _REFUSALS:
        if refusal.said in lowered:
            return _error(refusal.meaning, host, refusal.remedy, refusal.needs)
    return None


def second_way(transport: Transport, host: Host, refusal: SudoError, password: Secret | None) -> Channel:
    """A channel that takes the script after `sudo -n` said no.

    Raises:
        SudoError: there is no other way (`refusal` itself), or sudo refuses this one, too.
        HostError: the connection broke, or the deadline passed.
    """
    if refusal.needs == "program":
        return _run(transport, "doas -n sh -s")
    if refusal.needs != "password" or password is None:
        raise refusal
    prompt, ready = f"fleetpmap-{secrets.token_hex(8)}", secrets.token_hex(16)
    # The one command here that is more than plain words: sh, csh, fish and restricted shells all read '…' alike. sudo
    # puts in who calls it, and whose password it wants.
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
    """Start a second command. Where MaxSessions is 1, sshd may still hold the session that has just ended."""
    for pause_s in (0.05, 0.2, 0.5):
        try:
            return transport.run(command)
        except RemoteError:
            time.sleep(pause_s)
    return transport.run(command)


def _answer(channel: Channel, prompt: str, ready: bytes, password: Secret, host: Host) -> None:
    """Send the password to the prompt, if it comes; return when the shell is ready."""
    heard, answered, stderr = b"", False, b""
    prompts: list[tuple[str, str]] = []
    asked = re.compile(rf"{prompt}:([^:\n]*):([^:\n]*):")
    while ready not in heard:
        if len(channel.stderr) != len(stderr):
            stderr = channel.stderr
            said = password.redact(stderr.decode(errors="replace"))
            prompts = asked.findall(said)
            if len(prompts) > 1:
                raise _wrong_password(prompts, host)
            # Some refusals come with a question of their own, and sudo would wait for its answer.
            spoken = "\n".join(line for line in asked.sub("\n", said).splitlines() if line.startswith(_SPOKEN))
            if refusal := _refusal_in(spoken, host):
                raise _wrong_password(prompts, host) if refusal.message == _WRONG else refusal
            if prompts and not answered:
                channel.send(password.reveal().encode() + b"\n")
                answered = True
        piece = channel.receive_any()
        if piece == b"":
            channel.finish()
            said = password.redact(channel.stderr.decode(errors="replace"))
            ended = _error("sudo ended without a word", host, "try `sudo -S sh -s` on that host")
            refusal = explain_refusal(said, host) or ended
            raise _wrong_password(prompts, host) if refusal.message == _WRONG else refusal
        heard = heard[-len(ready) :] + (piece or b"")


def _wrong_password(prompts: Sequence[tuple[str, str]], host: Host) -> SudoError:
    """The error of a password that sudo refused, and whose it would have been (targetpw, rootpw, runaspw)."""
    caller, owner = prompts[0] if prompts else ("", "")
    if owner in (caller, "%p"):  # sudo-rs may leave it as it is
        return _error(_WRONG, host, "try again with --ask-become-pass")
    owner, caller = printable(owner), printable(caller)
    return _error(
        f"{_WRONG}: it asks for the password of {owner}, not of {caller}",
        host,
        f"give {owner}'s with --ask-become-pass, or take targetpw, rootpw or runaspw off for {caller} in sudoers",
    )


def _late(error: DeadlineError, prompt: str, said: str) -> DeadlineError:
    """A time-out with what sudo printed last: a question that is not for the password, as of a second factor."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and prompt not in line]
    if lines:
        error.message += f'; sudo printed "{printable(lines[-1])}"'
        error.args = (error.message,)
        error.hint = "sudo asks for more than a password there: allow `sh -s` without one (NOPASSWD) in sudoers"
    return error


def _error(message: str, host: Host, hint: str, needs: Literal["", "password", "program"] = "") -> SudoError:
    error = SudoError(message, host=host.name, stage="sudo", hint=hint)
    error.needs = needs
    return error
