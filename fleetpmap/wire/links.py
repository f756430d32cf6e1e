"""An archive of symbolic links to where they point.   frames ─► [links] ─► replies

tar is what reads links in one process, GNU's and BusyBox's alike, and says where a target ends without a sign that the
target could hold: it may have newlines in it, and anything else but a NUL. Only what tar writes for `PID/exe` is known
here: a header of 512 bytes for each link, before it one with the target as its content where that is longer than 100
bytes (GNU's type K). tarfile would do far more, on the word of a host that may send anything.
Source: tar(5); POSIX.1-2001, ustar; the GNU manual, "Basic Tar Format".
"""

from __future__ import annotations

import re

from fleetpmap.wire.section_readers import MalformedError, pid_of, text_of

_BLOCK = 512
_LINK, _LONG_TARGET = b"2", b"K"


def parse_links(section: bytes, name: bytes) -> dict[int, str]:
    """Where each `PID/NAME` points; one that could not be read is not in it. Archives may follow each other.

    Of a process whose main thread has ended it may be another's, `PID/task/TID/NAME`.
    """
    targets: dict[int, str] = {}
    long_target: bytes | None = None
    at = 0
    while at < len(section):
        header = section[at : at + _BLOCK]
        at += _BLOCK
        if header.count(0) == len(header):
            continue  # what closes an archive, and fills its last record
        content = section[at : at + _size(header)]
        at += -(-len(content) // _BLOCK) * _BLOCK
        if header[156:157] == _LONG_TARGET:
            long_target = content
        elif header[156:157] == _LINK:
            word, _, rest = _text(header[:100]).partition(b"/")
            if not re.fullmatch(rb"(?:task/\d{1,9}/)?" + name, rest):
                raise MalformedError(f"{header[:100]!r} is not a link that was asked for")
            target = _text(header[157:257] if long_target is None else long_target)
            targets[pid_of(word, header[:40])] = text_of(target)
            long_target = None
        else:
            raise MalformedError("the archive of links holds something else")
    return targets


def _size(header: bytes) -> int:
    """Bytes of content behind a header: octal digits."""
    digits = header[124:136].strip(b" \0")
    if len(header) < _BLOCK or digits.strip(b"01234567"):
        raise MalformedError("the archive of links has a block that is no header")
    return int(digits or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
