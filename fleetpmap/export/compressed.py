"""Reports in compressed files: report.csv.gz, report.csv.zst.   writer ─► [compressed] ─► file

The bytes depend on the report alone: the header of gzip has no name and no time, so equal reports are equal files.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import PurePath
from typing import BinaryIO

from fleetpmap.catalogue import FORMATS
from fleetpmap.errors import UsageError
from fleetpmap.installation import command_for

_GZIP, _ZSTD = ".gz", ".zst"
_LEVEL = 6
"""gzip's own default; Python's, 9, takes twice the time for one percent."""
_REFUSED = {format_.name: format_.uncompressed for format_ in FORMATS if format_.uncompressed}


def parted(path: str) -> tuple[str, str]:
    """Split a file name before `.gz` or `.zst`; the second part is empty for another name."""
    suffix = PurePath(path).suffix.lower()
    return (path[: -len(suffix)], suffix) if suffix in (_GZIP, _ZSTD) else (path, "")


def check_compressed(path: str, format_: str, option: str) -> None:
    """Check that a report can be written to a file of that name, if the name is that of a compressed file.

    Raises:
        UsageError: the format is never compressed, or zstandard is not installed.
    """
    name, suffix = parted(path)
    if suffix and format_ in _REFUSED:
        raise UsageError(f"{option} {path}: {_REFUSED[format_]}", hint=f"name the file {name}")
    if suffix == _ZSTD and find_spec("zstandard") is None:
        hint = f"run `{command_for('capture')}`, or name the file {name}{_GZIP}, which needs nothing"
        raise UsageError(f"{option} {path}: needs zstandard, not installed here", hint=hint)


def compressed(write: Callable[[BinaryIO], object], path: str) -> Callable[[BinaryIO], object]:
    """Return a function that writes the same, compressed as the name of the file says."""
    suffix = parted(path)[1]

    def write_gzip(file: BinaryIO) -> None:
        import gzip

        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
            write(packed)  # type: ignore[arg-type]  # a GzipFile can be written to, and no writer does more

    def write_zstd(file: BinaryIO) -> None:
        from fleetpmap.capture.zstd import zstandard

        with zstandard().ZstdCompressor(write_checksum=True).stream_writer(file, closefd=False) as packed:
            write(packed)

    return {_GZIP: write_gzip, _ZSTD: write_zstd}.get(suffix, write)
