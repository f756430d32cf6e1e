"""Parse tar archives of symbolic links into their targets.   phase_body ─► [links] ─► replies

tar (GNU's and BusyBox's) reads all links in one process and gives each target's length. A separator would not do: a
target may hold any byte but NUL, newlines included. Only the archives that tar writes for `PID/exe` are understood: a
header of 512 bytes per link and, if the target is longer than 100 bytes, a header before it with the target as content
(GNU's type K). tarfile is not used: it understands far more, and a host may send anything.
Source: tar(5); POSIX.1-2001, ustar; the GNU manual, "Basic Tar Format".
"""

from __future__ import annotations

import re

from fleetpmap.wire.section_readers import MalformedError, pid_of, text_of

_BLOCK = 512
_LINK, _LONG_TARGET = b"2", b"K"


def parse_links(section: bytes, name: bytes) -> dict[int, str]:
    """Return the target of each `PID/NAME`, by pid. A link that could not be read is missing.

    The section may hold several archives. After the main thread of a process has ended, its link may be that of another
    thread, `PID/task/TID/NAME`.
    """
    targets: dict[int, str] = {}
    long_target: bytes | None = None
    at = 0
    while at < len(section):
        header = section[at : at + _BLOCK]
        at += _BLOCK
        if header.count(0) == len(header):
            continue  # zero blocks close an archive and fill its last record
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
    """Return the bytes of content behind a header, which gives them in octal digits."""
    digits = header[124:136].strip(b" \0")
    if len(header) < _BLOCK or digits.strip(b"01234567"):
        raise MalformedError("the archive of links has a block that is no header")
    return int(digits or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
