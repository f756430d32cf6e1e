"""The first line of a process, as pmap escapes it.   Process ─► [command_line] ─► process_blocks

Follows library/escape.c of procps-ng 4.0.2, which prints the bytes of /proc/PID/cmdline. In a UTF-8 locale the text
stays as it is up to the first malformed byte, and becomes ASCII from there on; in any other locale all of it does.
"""

from __future__ import annotations

import re

from fleetpmap.snapshot import Process

_LONGEST = (1 << 17) - 1
"""Bytes of a command line that pmap shows."""

# The leading byte gives the number of bytes that follow. pmap does not check these, so an overlong or cut-off sequence
# swallows them; hence `.` for each.
_CHARACTER = rb"[\xc2-\xdf].|[\xe0-\xef]..|[\xf0-\xf4]..."
_SEQUENCES = re.compile(rb"(?:[\0-\x7f]|" + _CHARACTER + rb")*", re.DOTALL)
_CONTROL = re.compile(rb"(" + _CHARACTER + rb")|[\0-\x1f\x7f]", re.DOTALL)
_ASCII = bytes(byte if 0x20 <= byte < 0x7F else ord("?" if byte > 0x7F else ".") for byte in range(256))
"""For bytes.translate: outside UTF-8, a control character is a dot and any byte above ASCII a question mark."""


def command_line(process: Process, *, utf8: bool) -> str:
    """Return the command line as pmap prints it, or the name in brackets; bytes that are not UTF-8 as surrogates."""
    if process.arguments:
        # A program may overwrite its arguments and leave NULs at the end; pmap prints an empty command line as "?".
        command = "\0".join(process.arguments).rstrip("\0").replace("\0", " ").replace("\n", " ") or "?"
    else:
        command = f"[{process.name}]"
    if process.status == "zombie":
        command += " <defunct>"
    return _escaped(command.encode("utf-8", "surrogateescape")[:_LONGEST], utf8).decode("utf-8", "surrogateescape")


def _escaped(command: bytes, utf8: bool) -> bytes:
    sequences = _SEQUENCES.match(command) if utf8 else None
    end = sequences.end() if sequences else 0
    return _CONTROL.sub(lambda match: match[1] or b"?", command[:end]) + command[end:].translate(_ASCII)


def harmless(text: str) -> str:
    """Replace each byte of a character that could control a terminal, or is not UTF-8, by `?`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" * _length(char) for char in text)


def _length(char: str) -> int:
    return len(char.encode("utf-8", "surrogateescape"))
