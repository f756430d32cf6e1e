"""Read the members of a tar from a stream.   bytes ─► [tar] ─► stored_archive

    header (512 bytes: name, size, owner, kind, checksum)     content, filled up to a multiple of 512     next header …

Supports only members that a capture or smemcap's tar can hold: files and directories. An extra header before a member
may give its name, size or owner (GNU's long name, pax). Everything else is refused. tarfile is not used: it supports
far more, and a hostile archive can make it raise any exception, recurse without end, or take seconds for a sparse map.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; tar.h of GNU tar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

BLOCK = 512
HEADER_LIMIT = 1 << 16
"""Most bytes of content of an extra header."""

_PIECE = 1 << 20
_END = bytes(BLOCK)
_OCTAL = re.compile(rb" *([0-7]{0,12})[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\0]+)=")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_FILES = (b"0", b"\0", b"7")
_DIRECTORY, _HARD_LINK, _LINK, _HOLES = b"5", b"1", b"2", b"S"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL = b"L", b"K", b"x", b"g"
_HEADERS = (_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL)


class TarError(Exception):
    """A stream that is not a tar, or a damaged one."""


class NoTarError(TarError):
    """A stream that does not begin as a tar does."""


class KindError(Exception):
    """A member of a kind that no capture has."""


class Member(NamedTuple):
    """A file or a directory."""

    name: str
    """The path as written; bytes that are not UTF-8 as surrogates."""
    size: int
    uid: int
    is_file: bool


class Stream(Protocol):
    """A source of bytes: a file, or an unpacking stream."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; b"" only at the end."""


class Tar:
    """A tar, read once from its beginning to its end."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._content = 0
        """Bytes of the current member's content not read yet."""
        self._padding = 0
        """Bytes that fill its last block."""
        self.offset = 0
        """Offset up to which the stream was read; after the last member, its end."""

    def members(self) -> Iterator[Member]:
        """Yield each member. Its content can be read until the iterator advances.

        Raises:
            TarError, KindError: the archive is not one of ours.
        """
        extra: dict[bytes, bytes] = {}
        while header := self._header():
            kind = header[156:157]
            size = _number(header[124:136])
            if kind in _HEADERS:
                if size > HEADER_LIMIT:
                    raise TarError(f"a header of {size:,} bytes")
                if kind in extra:
                    raise TarError("two headers for one member")
                self._content, self._padding = size, -size % BLOCK
                extra[kind] = self.read()
                _ = extra.pop(_PAX_FOR_ALL, None)  # global defaults: none of the three keys that are used here
                self._skip()
                continue
            member = _member(header, kind, size, extra)
            extra = {}
            if member.is_file:
                self._content, self._padding = member.size, -member.size % BLOCK
            yield member
            self._skip()

    def read(self) -> bytes:
        """Return the content of the current member.

        Raises:
            TarError: it is truncated.
        """
        size, self._content = self._content, 0
        return self._exactly(size)

    def _header(self) -> bytes:
        """Return the next header; b"" at the end."""
        header = self._stream.read(BLOCK)
        if not header:
            if self.offset == 0:
                raise NoTarError("empty file")
            return b""
        if header == _END:
            return b""
        try:
            _check(header)
        except TarError as error:
            if self.offset == 0:
                raise NoTarError(str(error)) from error
            raise
        self.offset += BLOCK
        return header

    def _skip(self) -> None:
        """Skip the rest of the current member."""
        self._pass(self._content)
        self._content = 0
        self._pass(self._padding)
        self._padding = 0

    def _pass(self, size: int) -> None:
        while size:
            size -= len(self._exactly(min(size, _PIECE)))

    def _exactly(self, size: int) -> bytes:
        pieces = []
        left = size
        while left:
            piece = self._stream.read(min(left, _PIECE))
            if not piece:
                raise TarError("unexpected end of data")
            pieces.append(piece)
            left -= len(piece)
        self.offset += size
        return b"".join(pieces)


def _check(header: bytes) -> None:
    if len(header) < BLOCK:
        raise TarError("truncated header")
    # The checksum counts its own field as spaces; some programs summed signed bytes.
    summed, checksum = header[:148] + b" " * 8 + header[156:], _number(header[148:156])
    if checksum != sum(summed) and checksum != sum(memoryview(summed).cast("b")):
        raise TarError("bad checksum")


def _member(header: bytes, kind: bytes, size: int, extra: dict[bytes, bytes]) -> Member:
    """Return the member of a header; `extra` has the content of the extra headers before it, by kind."""
    records = _records(extra.get(_PAX, b""))
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    name = records.get(b"path", extra.get(_LONG_NAME, name).partition(b"\0")[0])
    text = name.decode("utf-8", "surrogateescape")
    if kind in (_LINK, _HARD_LINK):
        raise KindError(f'"{text[:80]}" is a link')
    if kind == _HOLES or any(key.startswith(b"GNU.sparse") for key in records):
        raise KindError(f'"{text[:80]}" is a file with holes')
    if kind not in (*_FILES, _DIRECTORY):
        raise KindError(f'"{text[:80]}" is neither a file nor a directory')
    is_file = kind != _DIRECTORY and not text.endswith("/")  # before ustar, a slash marked a directory
    uid = _pax_number(records, b"uid", _number(header[108:116]))
    return Member(text, _pax_number(records, b"size", size) if is_file else 0, uid, is_file)


def _records(text: bytes) -> dict[bytes, bytes]:
    r"""Parse the records of a pax header, `LENGTH KEY=VALUE` and a line break: b"14 uid=100000\n"."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        match = _RECORD.match(text, at)
        end = at + int(match[1]) if match else 0
        if match is None or end <= match.end() or text[end - 1 : end] != b"\n":
            raise TarError("invalid pax header")
        value = text[match.end() : end - 1]
        if b"\0" in value and match[2] == b"path":
            raise TarError("a name with a NUL in it")
        records[match[2]] = value
        at = end
    return records


def _pax_number(records: dict[bytes, bytes], key: bytes, default: int) -> int:
    """Return a number of a pax header; `default` if it lacks the key."""
    if key not in records:
        return default
    if not _NUMBER.fullmatch(records[key]):
        raise TarError(f"invalid pax header: its {key.decode()} is no number")
    return int(records[key])


def _number(field: bytes) -> int:
    """Parse a number of a header: octal digits or, after a byte 0x80, a big-endian binary number (GNU)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    match = _OCTAL.fullmatch(field.partition(b"\0")[0])
    if match is None:
        raise TarError("invalid header")
    return int(match[1] or b"0", 8)
