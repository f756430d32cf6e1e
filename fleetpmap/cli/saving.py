"""Where --save puts the snapshot, and where a command line finds one again.   options ─► [saving] ─► snapshot_file

FILE.parquet        a snapshot
DIR/                a dataset: each run adds a file
DIR, DIR@last       its last run;   DIR@first its first;   DIR@2026-11-23T05:00 the last that had started by then
anything else       a capture
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli import files
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.snapshot import Snapshot

_SUFFIX = ".parquet"
_MAGIC = b"PAR1"
"""How a parquet file begins."""
Save = Callable[["Snapshot"], None]
"""Writes the snapshot; UsageError if it cannot be written after all."""


def save_to(text: str | None) -> Save | None:
    """What --save FILE.parquet or DIR/ does to a snapshot, checked before any host is asked; None without --save.

    Raises:
        UsageError: the name is neither's, it cannot be written there, or the extra [parquet] is not installed.
    """
    if text is None:
        return None
    needs_polars(f"--save {text}")
    path = Path(text)
    try:
        is_there, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise files.unwritable("--save", text, error) from error
    if text.endswith("/") and is_file:
        raise UsageError(f"--save {text}: is a file", hint="leave out the / to replace it, or name a directory")
    if is_there and not os.access(path, os.W_OK | os.X_OK):
        raise files.unwritable("--save", text, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if text.endswith("/") or is_there:
        if not is_there:
            files.writable("--save", text)
        return partial(_save_in, text, path)
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(
            f"--save {text}: is neither a parquet file nor a directory",
            hint="write --save FILE.parquet for one run, or --save DIR/ to add each run to a directory",
        )
    return partial(_save_as, text, files.writable("--save", text))


def needs_polars(what: str) -> None:
    """Say what to install, if it is not.

    Raises:
        UsageError: it is not.
    """
    if find_spec("polars") is None:
        raise UsageError(f"{what}: needs polars, not installed here", hint="run `pip install 'fleetpmap[parquet]'`")


def is_saved(text: str) -> bool:
    """Whether a snapshot's file, or a run of a dataset, is meant; else it is a capture.

    Raises:
        UsageError: it cannot be looked at.
    """
    from fleetpmap.snapshot_file import entries

    try:
        path, at, _ = _parted(text)
        if path.is_dir():
            return bool(at or entries(path))
        if not stat.S_ISREG(path.stat().st_mode):
            return False  # to open a pipe is to wait for its writer
        with path.open("rb") as file:
            return path.suffix.lower() == _SUFFIX or file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror}", hint="name a capture, or what --save wrote") from error


def saved_path(text: str) -> Path:
    """The file of the snapshot that FILE.parquet, DIR or DIR@WHEN means.

    Raises:
        UsageError: there is none, or the extra [parquet] is not installed.
    """
    from fleetpmap.snapshot_file import entry_at

    needs_polars(text)
    path, at, when = _parted(text)
    if path.is_dir():
        return entry_at(path, when or "last").path
    if at:
        raise UsageError(f"{text}: {path} is a single run", hint=f"leave out {at}{when}, which is for a directory")
    return path


def _parted(text: str) -> tuple[Path, str, str]:
    """The path, and what is behind its last @, if that is not a part of the path itself."""
    before, at, when = text.rpartition("@")
    return (Path(before), at, when) if at and not Path(text).exists() else (Path(text), "", "")


def _save_as(text: str, path: Path, snapshot: Snapshot) -> None:
    from fleetpmap.snapshot_file import write_snapshot

    try:
        files.write(path, partial(write_snapshot, snapshot))
    except OSError as error:
        raise files.unwritable("--save", text, error) from error


def _save_in(text: str, directory: Path, snapshot: Snapshot) -> None:
    from fleetpmap.snapshot_file import save_in

    try:
        save_in(directory, snapshot)
    except OSError as error:
        raise files.unwritable("--save", text, error) from error
