"""A report into a file, whole or not at all.   Report ─► [files] ─► FILE

A regular file is written aside, in its own directory, and renamed: whoever reads FILE finds the old report or the new
one, never half of either. What a rename would change or cannot replace is written in place: a FIFO, a device, a file
of another owner or with another hard link, a file in a directory that is closed to us.
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


def writable(option: str, text: str) -> Path:
    """The path, as far as one can tell beforehand a place that can be written.

    Raises:
        UsageError: it cannot; the message begins with `option` and the path.
    """
    path = Path(text)
    try:
        if path.is_dir():
            raise UsageError(f"{option} {text}: is a directory", hint="name a file in it")
        with contextlib.suppress(NotADirectoryError):
            _status(path)  # a ring of links, which resolve() does not mind from Python 3.13 on
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
    """What the user is told when the system does not let us write there."""
    return UsageError(f"{option} {text}: {error.strerror}", hint=_ELSEWHERE)


def write(path: Path, content: Callable[[BinaryIO], object]) -> None:
    """Let `content` write the file. If it fails, or the disk is full, what was there before is still there.

    Raises:
        OSError: the file cannot be written.
    """
    before = _status(path)
    target = path.resolve()  # a link stays a link
    if not _replaceable(target, before):
        with path.open("wb") as file:
            content(file)
        return
    aside = target.with_name(f".{secrets.token_hex(8)}.part")  # not made of FILE's name, which may be as long as can be
    try:
        with aside.open("xb") as file:
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            content(file)
        aside.replace(target)
    except BaseException:  # an interrupt leaves no litter either
        aside.unlink(missing_ok=True)
        raise


def is_regular(path: Path) -> bool:
    """Whether the path is a regular file, or will be one when it is written."""
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
    """The file beside a csv file that says what is not in it."""
    return path.with_name(f"{path.name}.coverage.json")
