"""A command in place of TCP.   ssh_config's ProxyCommand ─► [proxy_command] ─► the socket of a session

The command's stdin and stdout are one end of a pair of sockets, and the session has the other end: no data is copied in
between, and a command that has ended reads as an end of file. (paramiko's own ProxyCommand then spins, leaves a zombie,
and fails for descriptors above 1024.)
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time

from fleetpmap.errors import ConfigError, HostError, UnreachableError
from fleetpmap.transport.base import STDERR_LIMIT, Deadline, Head, printable
from fleetpmap.transport.bastions import Turn
from fleetpmap.transport.retry import FEWER_AT_ONCE, hung_up_early
from fleetpmap.transport.ssh.translate import Peer
from fleetpmap.transport.ssh_config import tokens as ssh_tokens
from fleetpmap.transport.tcp import DeadlineSocket

_GRACE_S = 0.5
"""Seconds that a command may take to end after the signal to do so."""
_TICK_S = 0.005
_DANGEROUS = re.compile(r"[\s`'\"$\\;&<>|(){}!*?#\x00-\x1f\x7f]|^-")
"""Characters that no name in a shell command may hold, as in OpenSSH since 9.6 (CVE-2023-51385)."""


class CommandSocket(DeadlineSocket):
    """Our end of the pair. end() ends the command and its whole process group.

    Args:
        turn: place at the bastion, freed as soon as the command sends something or ends.

    Raises:
        HostError: the command could not be started.
    """

    def __init__(self, command: str, peer: Peer, deadline: Deadline, turn: Turn = Turn()) -> None:  # noqa: B008 - empty
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.deadline = deadline
        self._peer = peer
        self._stderr_head = Head()
        self._turn = turn
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            with theirs:
                # The user's own command for the user's own shell, as ssh runs it.
                self._child = subprocess.Popen(  # noqa: S603 - see above
                    [shell, "-c", f"exec {command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    start_new_session=True,
                )
        except OSError as error:
            turn.over()
            super().close()
            raise UnreachableError(
                f"cannot start {shell} for the ProxyCommand: {error.strerror}", host=peer.host, stage="tcp"
            ) from error
        assert self._child.stderr is not None  # noqa: S101 - Popen was given PIPE
        self._stderr = self._child.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)

    def wait_for(self, size: int) -> bytes:
        """Wait for the next bytes. The command's stderr is read meanwhile, so the command never blocks on it."""
        give_up = time.monotonic() + (self.gettimeout() or 0)
        complaint = self._stderr.fileno()
        while ready := [number for number, _ in self._poll.poll(max(give_up - time.monotonic(), 0) * 1000)]:
            if complaint in ready and not self._read_stderr():
                self._poll.unregister(complaint)
            if ready != [complaint]:
                self._turn.over()
                return super().wait_for(size)
        raise TimeoutError

    def failure(self, stage: str) -> HostError | None:
        """Return the reason why no more data comes, if it is the command's end.

        Before the banner every end counts. Later the far side may have hung up, unless the command reports an error.
        """
        if self._child.returncode is not None:  # ended by end()
            return None
        give_up = time.monotonic() + _GRACE_S  # the output closes a moment before the exit status can be had
        while (how := self._ended()) is None:
            if time.monotonic() > give_up:
                return None
            time.sleep(_TICK_S)
        self._read_stderr()  # one read empties the pipe, which holds at most 64 KiB
        stderr = bytes(self._stderr_head).decode(errors="replace")
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        if stage != "banner" and (how.si_status == 0 or not lines):
            return None
        ended = "with exit status" if how.si_code == os.CLD_EXITED else "by signal"
        last_words = printable(lines[-1]) if lines else "nothing on stderr"
        by_hand = f"run `{self._peer.ssh_command}`, or the command by hand: it has to bring an SSH banner"
        error = UnreachableError(
            f"the ProxyCommand for {self._peer.where} ended {ended} {how.si_status}: {last_words}",
            host=self._peer.host,
            stage=stage,
            hint=f"{FEWER_AT_ONCE}; or {by_hand}" if hung_up_early(stderr) else by_hand,
        )
        silent = not lines and how.si_code == os.CLD_EXITED  # as nc ends when the host hangs up
        error.may_pass = stage in ("banner", "kex") and (silent or hung_up_early(stderr))
        return error

    def end(self) -> None:
        """End the command after close(), which closed its input: by SIGHUP as ssh does, then by SIGKILL.

        Safe to call twice. (close() alone does not end it, because paramiko calls that before failure() can be called.)
        """
        self._turn.over()
        if self._child.returncode is None:
            self._signal(signal.SIGHUP)
            give_up = time.monotonic() + _GRACE_S
            while self._ended() is None and time.monotonic() < give_up:
                time.sleep(_TICK_S)
            # Even if the command has ended: its children may ignore SIGHUP, as under nohup.
            self._signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_GRACE_S)
        self._stderr.close()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's group. It is not reaped yet, so its number still belongs to it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def _ended(self) -> os.waitid_result | None:
        """Return how the command ended, or None while it runs. It stays unreaped, because end() needs its number."""
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _read_stderr(self) -> bool:
        """Keep what stderr holds; returns True if it held anything."""
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self._stderr.fileno(), STDERR_LIMIT)
            self._stderr_head.add(piece)
            return bool(piece)
        return False


def expand(command: str, peer: Peer, name: str) -> str:
    """Replace the command's tokens: %h %p %r as resolved, %n as the user names the host.

    Raises:
        HostError: a name holds a character that a shell would interpret, or a token is unknown there.
    """
    tokens = {"%": "%", "h": peer.hostname, "n": name, "p": str(peer.port), "r": peer.user}
    for letter in re.findall("%(.)", command):
        if letter in "hnr" and _DANGEROUS.search(tokens[letter]):
            raise UnreachableError(
                f'"{printable(tokens[letter])}" cannot stand in a ProxyCommand: a shell would act on it',
                host=peer.host,
                stage="config",
                hint="set address and user for this host to plain names",
            )
    try:
        return ssh_tokens.expand(command, tokens)
    except ValueError as error:
        raise ConfigError(
            f'ProxyCommand cannot be "{printable(command)}": {error}',
            host=peer.host,
            stage="config",
            hint="write %% for a percent sign; the tokens are %h, %n, %p and %r",
        ) from error
