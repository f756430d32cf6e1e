"""Turn an exception into the error of one host.   any exception ─► [unexpected] ─► errors.HostError

One host must not end a run. An unforeseen exception while one host is asked, or while its reply is parsed, is that
host's failure, with the place in the code; the traceback is kept for -vv.
"""

from __future__ import annotations

import errno
import socket
import sys
import traceback
from pathlib import PurePath
from types import TracebackType

from fleetpmap.errors import ConfigError, ExhaustedError, FleetpmapError, HostError, UnexpectedError

_FRAMES = 20
"""Calls of a traceback shown at most, the innermost ones: a RecursionError has a thousand."""
_LINES = 120
_LINE_LENGTH = 300
_MESSAGE_LENGTH = 200
_EXHAUSTED = {
    errno.EMFILE: ("this program has no descriptor left", "raise the limit (`ulimit -n`), or "),
    errno.ENFILE: ("this machine has no descriptor left", ""),
    errno.ENOMEM: ("this machine has no memory left", ""),
}
"""By the number of the error: a clause about the exhausted resource, and the remedy besides asking fewer hosts."""


def host_error(error: BaseException, host: str, stage: str) -> HostError:
    """Return the error of the host that was worked on when `error` was raised.

    `stage` is used where the exception has none. A UsageError is about a setting of that host alone, since all that
    concerns the whole run was checked before the first host was asked.

    Raises:
        KeyboardInterrupt, SystemExit: `error`, if it is one of these: they end the program.
    """
    if isinstance(error, HostError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    ours: HostError
    if out_of := exhausted(error, host, stage):
        ours = out_of
    elif isinstance(error, FleetpmapError):
        ours = ConfigError(error.message, host=host, stage="config", hint=error.hint)
    else:
        kind, words = type(error).__name__, _cut(str(error), _MESSAGE_LENGTH)
        message = f"unexpected {kind} at {_place(error.__traceback__)}{': ' if words else ''}{words}"
        hint = "this is a bug: please report it with the traceback, which -vv shows"
        ours = UnexpectedError(message, host=host, stage=stage, hint=hint)
        ours.traceback = _formatted(error)
    ours.__cause__ = error
    return ours


def exhausted(error: BaseException, host: str, stage: str) -> ExhaustedError | None:
    """Return the error of a host that was not asked for lack of threads, descriptors or memory here; None: no lack."""
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        what, hint = "this machine starts no more threads for this user", "raise the limit (`ulimit -u`), or "
    elif isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno in _EXHAUSTED:
        what, hint = _EXHAUSTED[error.errno]
    else:
        return None
    hint = f"{hint}ask fewer hosts at a time with --jobs"
    return ExhaustedError(f"{what}: {getattr(error, 'strerror', None) or error}", host=host, stage=stage, hint=hint)


def _place(trace: TracebackType | None) -> str:
    """Return the innermost line outside the standard library, as `paramiko/transport.py:2101`."""
    place = "an unknown place"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in sys.stdlib_module_names:
            place = f"{_from_package(trace.tb_frame.f_code.co_filename, module)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _from_package(filename: str, package: str) -> str:
    """Return the path from the package's own directory on."""
    parts = PurePath(filename).parts
    if package in parts:
        return "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
    return parts[-1] if parts else filename


def _formatted(error: BaseException) -> str:
    text = "".join(traceback.TracebackException.from_exception(error, limit=-_FRAMES, compact=True).format())
    return "\n".join(_cut(line, _LINE_LENGTH) for line in text.splitlines()[-_LINES:])


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
