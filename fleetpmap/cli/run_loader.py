"""Read the runs of a directory while a screen is shown.   commands.explore ─► [run_loader] ─► storage

A damaged file can end the process that reads it, and while a file is read stderr is closed, on which the screen is
drawn. So a child process reads the runs, under the limits of `confined`, and sends each snapshot back. It ends when its
stdin is closed, thus also if this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO

from fleetpmap.cli.confined import error_of_ended, limited_reader
from fleetpmap.cli.storage import load_run
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.snapshot_file import Entry


class RunLoader:
    """The child process, started for the first run that is asked for. One thread at a time may use it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def load(self, run: Entry) -> Snapshot:
        """Return the snapshot of a run.

        Raises:
            UsageError: it cannot be read. The next run can be.
        """
        child = self._child = self._child or _started()
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the pipes of the child are not there")
        try:
            pickle.dump(run, child.stdin)
            child.stdin.flush()
            answer: Snapshot | tuple[str, str] = pickle.load(child.stdout)  # noqa: S301 - our own child wrote it
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._child = None
            status = _end(child)
            raise error_of_ended(str(run.path), -status if status < 0 else signal.SIGABRT) from error
        if isinstance(answer, tuple):
            message, hint = answer
            raise UsageError(message, hint=hint)
        return answer

    def close(self) -> None:
        """End the child, also while it reads."""
        if self._child is not None:
            _end(self._child)


def _started() -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-P", "-m", __name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    # A session of its own: a signal of the terminal is the parent's, which then ends the child.
    return subprocess.Popen(argv, env=environment, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True)  # noqa: S603 - an argument list, no shell


def _end(child: subprocess.Popen[bytes]) -> int:
    """End a child, and return its status: that of before, if it had ended by itself."""
    child.kill()
    for pipe in (child.stdin, child.stdout):
        with contextlib.suppress(OSError):  # what was not yet written is lost
            if pipe is not None:
                pipe.close()
    return child.wait()


def serve(runs: BinaryIO, answers: BinaryIO) -> None:
    """Answer each run that comes in with its snapshot, or with the message and the hint of the error."""
    import polars

    polars.thread_pool_size()  # starts the threads, whose memory must not count as a file's
    reader = limited_reader()
    while True:
        try:
            run: Entry = pickle.load(runs)  # noqa: S301 - our own parent wrote it
        except EOFError:
            return
        answer: Snapshot | tuple[str, str]
        try:
            answer = load_run(run, reader, quiet=True)
        except UsageError as error:
            answer = (error.message, error.hint)
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
