"""Writing a report to a file, whole or not at all.   Report ─► [files] ─► FILE

A regular file is written under another name in its own directory and then renamed, so a reader of FILE finds the old
report or the new one, never half of either. Where a rename would fail or change more than the content, FILE is written
in place: a FIFO, a device, a file of another owner or with another hard link, a directory in which we may not write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fleetpmap.errors import UsageError

_ELSEWHERE = "choose a place you may write to"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def writable(option: str, text: str) -> Path:
    """Return the path of a file to write, after the checks that are possible without writing.

    Raises:
        UsageError: it cannot be written; the message begins with `option` and the path.
    """
    path = Path(text)
    try:
        if path.is_dir():
            raise UsageError(f"{option} {text}: is a directory", hint="name a file in it")
        with contextlib.suppress(NotADirectoryError):
            _status(path)  # raises for a cycle of links, which resolve() accepts from Python 3.13 on
        if not path.resolve().parent.is_dir():
            raise UsageError(f"{option} {text}: there is no directory {path.parent}", hint="make it first")
        allowed = os.access(path if path.exists() else path.resolve().parent, os.W_OK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{option} {text}: its links lead in a circle", hint=_ELSEWHERE) from error
        raise unwritable(option, text, error) from error
    if not allowed:
        raise UsageError(f"{option} {text}: permission denied", hint=_ELSEWHERE)
    return path


def unwritable(option: str, text: str, error: OSError) -> UsageError:
    """Return the error for a file that the system does not let us write."""
    hint = "make room there, or choose another place" if error.errno in _FULL else _ELSEWHERE
    return UsageError(f"{option} {text}: {error.strerror}", hint=hint)


def write(path: Path, content: Callable[[BinaryIO], object]) -> None:
    """Write the file by calling `content`. If that fails, as on a full disk, the old file is still there.

    Raises:
        OSError: the file cannot be written.
    """
    before = _status(path)
    target = path.resolve()  # a link stays a link
    if not _replaceable(target, before):
        with path.open("wb") as file:
            content(file)
        return
    aside = target.with_name(
        f".{secrets.token_hex(8)}.part"
    )  # not derived from FILE's name, which may have the maximal length
    try:
        with aside.open("xb") as file:
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            content(file)
        aside.replace(target)
    except BaseException:  # an interrupt must not leave the part behind either
        aside.unlink(missing_ok=True)
        raise


def is_regular(path: Path) -> bool:
    """Return whether the path is a regular file, or will be one once it is written."""
    status = _status(path)
    return status is None or stat.S_ISREG(status.st_mode)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _replaceable(target: Path, before: os.stat_result | None) -> bool:
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return False
    return before is None or (stat.S_ISREG(before.st_mode) and before.st_nlink == 1 and before.st_uid == os.geteuid())


def coverage_path(path: Path) -> Path:
    """Return the file beside a csv file that lists which hosts and processes are missing from it."""
    return path.with_name(f"{path.name}.coverage.json")
