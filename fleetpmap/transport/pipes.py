"""A local process as a Channel.   local, openssh ─► [pipes] ─► base.Channel

Three pipes, one poll() loop: during every wait, stdout and stderr are read, so neither can fill up and stall the
command. The command leads a session of its own, and close() ends the whole session.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from fleetpmap.errors import RemoteError
from fleetpmap.transport.base import Backlog, Channel, Deadline, Head, out_of_time
from fleetpmap.unexpected import exhausted

_PIECE = 1 << 18
"""Bytes taken from a pipe at once, at most (a pipe holds 64 KiB unless its owner enlarged it)."""
_TICK_S = 0.005
"""Seconds between two looks at a process that has closed its pipes."""


class PipeChannel(Channel):
    """One child process, bytes in and bytes out.

    Raises:
        RemoteError: the program could not be started.
    """

    def __init__(self, argv: Sequence[str], *, host: str, deadline: Deadline) -> None:
        self._host = host
        self._deadline = deadline
        self._kept_stderr = Head()
        self._waiting = Backlog()
        """Stdout that arrived during a send."""
        try:
            self._child = subprocess.Popen(  # noqa: S603 - an argument list, no shell
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise exhausted(error, host, "exec") or RemoteError(
                f"cannot start {argv[0]}: {error.strerror}", host=host, stage="exec"
            ) from error
        self._open = {"stdin": _unblocked(self._child.stdin)}
        self._open["stdout"] = _unblocked(self._child.stdout)
        self._open["stderr"] = _unblocked(self._child.stderr)

    def send(self, data: bytes) -> None:
        """Write all of `data`, reading meanwhile (see Channel.send)."""
        view = memoryview(data)
        while view and "stdin" in self._open:
            ready = self._wait("stdin", "stdout", "stderr")
            self._waiting.check(self._host, len(data) - len(view))
            if "stdin" in ready:
                try:
                    view = view[os.write(self._open["stdin"].fileno(), view) :]
                except BlockingIOError:
                    continue  # poll() promises room for a byte, not for a whole atomic write of PIPE_BUF
                except BrokenPipeError:
                    self._shut("stdin")

    def receive(self, until: bytes = b"") -> bytes:
        """Return the next piece of stdout (see Channel.receive)."""
        while not self._waiting and "stdout" in self._open:
            self._wait("stdout", "stderr")
        if self._deadline.remaining() == 0:
            raise self._out_of_time()
        return self._waiting.take() if self._waiting else b""

    def receive_any(self) -> bytes | None:
        """Return a piece of stdout, or None for stderr (see Channel.receive_any)."""
        if not self._waiting and "stdout" in self._open and "stdout" not in self._wait("stdout", "stderr"):
            return None
        return self.receive()

    def finish(self) -> int | None:
        """Close stdin and wait; None if a signal ended the command."""
        self._shut("stdin")
        while (ended := self._ended()) is None:
            # stderr may stay open past the end, in a process that the command left behind: never wait for its EOF.
            self._wait("stdout", "stderr", at_most_s=_TICK_S)
            self._waiting.clear()  # no reader is left
        self._wait("stderr", at_most_s=0)
        return ended.si_status if ended.si_code == os.CLD_EXITED else None

    @property
    def stderr(self) -> bytes:
        """Stderr so far, at most STDERR_LIMIT bytes."""
        return bytes(self._kept_stderr)

    @property
    def deadline(self) -> Deadline:
        """The bound of every wait (see Channel.deadline)."""
        return self._deadline

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline (see Channel.renew)."""
        self._deadline = deadline

    def close(self) -> None:
        """End the command and every process in its process group."""
        for name in tuple(self._open):
            self._shut(name)
        if self._child.returncode is None:
            # Not reaped yet, so the number still belongs to this group and the signal hits no other.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def _wait(self, *names: str, at_most_s: float | None = None) -> tuple[str, ...]:
        """Wait until one of these pipes is ready and read the readable ones. Returns the names of the ready pipes.

        Raises:
            DeadlineError: the deadline passed first.
        """
        wait_s = self._deadline.remaining()
        if wait_s == 0:
            raise self._out_of_time()
        names = tuple(name for name in names if name in self._open)
        if not names and at_most_s is not None:
            time.sleep(at_most_s)
            return ()
        ready = self._poll(names, wait_s if at_most_s is None else min(wait_s, at_most_s))
        for name in ready:
            if name != "stdin":
                self._read(name)
        return ready

    def _poll(self, names: tuple[str, ...], wait_s: float) -> tuple[str, ...]:
        poller = select.poll()  # not select(): it breaks at descriptor 1024
        for name in names:
            poller.register(self._open[name], select.POLLOUT if name == "stdin" else select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(wait_s * 1000)}
        return tuple(name for name in names if self._open[name].fileno() in ready)

    def _read(self, name: str) -> None:
        try:
            piece = os.read(self._open[name].fileno(), _PIECE)
        except BlockingIOError:
            return
        if not piece:
            self._shut(name)
        elif name == "stdout":
            self._waiting.add(piece)
        else:
            self._kept_stderr.add(piece)

    def _ended(self) -> os.waitid_result | None:
        """Return how the child ended, or None while it runs. It stays unreaped, because close() needs its number."""
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _shut(self, name: str) -> None:
        if name in self._open:
            self._open.pop(name).close()

    def _out_of_time(self) -> Exception:
        return out_of_time(self._host, "read", self._deadline)


def _unblocked(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - Popen was given PIPE for all three
    os.set_blocking(pipe.fileno(), False)
    return pipe
