"""The checksum of a file, in the file itself.   [seal] ─► parquet

It is that of the whole file with zeros in its place, which is a text of the metadata, at the end of the file.
"""

from __future__ import annotations

import hashlib
from io import SEEK_END
from typing import BinaryIO

SHA256 = "fleetpmap_sha256"
UNSEALED = "0" * 64
SEAL = SHA256.encode() + b"\x18\x40"
"""Bytes before the checksum in the file: its key and, in Thrift's compact protocol, the type and length of a text of 64
bytes. No text of a host can contain them, since all are escaped."""


class Sealing:
    """An open file to which parquet is written, and which `seal` completes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = self._place = 0
        self._end = b""
        """The last bytes, in which the seal may begin."""
        self.error: OSError | None = None
        """The error that ended the writing: polars raises another one in its place."""

    def write(self, data: bytes) -> int:
        """Write the next bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self._digest.update(data)
        near = self._end + data
        if (at := near.rfind(SEAL)) >= 0:
            self._place = self._size - len(self._end) + at + len(SEAL)
        self._end = near[1 - len(SEAL) :]
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is complete."""

    def seal(self) -> None:
        """Write the checksum in its place.

        Raises:
            OSError: it cannot be written.
        """
        self._file.seek(self._place - self._size, SEEK_END)
        self._file.write(self._digest.hexdigest().encode())
        self._file.seek(0, SEEK_END)


def checksum_of(content: bytes) -> tuple[int, bytes]:
    """Return the offset of a file's checksum and its expected value; (0, b"") if the file has none."""
    start = content.rfind(SEAL) + len(SEAL)
    if start < len(SEAL):
        return 0, b""
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(UNSEALED.encode())
    digest.update(memoryview(content)[start + len(UNSEALED) :])
    return start, digest.hexdigest().encode()
