"""The reference parser: one process's text, line by line.   block_parser, parser ─► [reference_parser]

It is slow and plain, and defines what smaps is: the block parser hands over every block of an unusual shape, and all
errors come from here. Grammar:

    text  = *block                    empty for a kernel thread; ends of mappings only rise
    block = header line, 1*field      see grammar.py; a key stands at most once in a block
    field = key ":" *(space / tab) (number [" kB"] / words)     a size always has its unit
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fleetpmap.errors import SmapsError
from fleetpmap.smaps.fields import FIELD_BY_KEY, FIELDS
from fleetpmap.smaps.grammar import BLOCK_BREAK, HEADER_BEGINNING, ROLLUP, SIZE_MAX, Header, read_header
from fleetpmap.units import KIB

TEXT_KEYS = frozenset(known.key for known in FIELDS if known.unit == "text")
SIZE_KEYS = frozenset(known.key for known in FIELDS if known.unit == "KiB")
FLAGS_KEY = "VmFlags"
NAME_KEY = "Name"

_LINE = re.compile(rb"([A-Za-z_][A-Za-z0-9_.()]*):[ \t]*(?:([0-9]+)( kB)?[ \t]*|(.*))", re.DOTALL)
_LABEL = re.compile(rb"\n([A-Za-z_][A-Za-z0-9_.()]*:)")
_WHOLE_FLAGS = re.compile(rb"(?:[a-z0-9?]{2} ?)*")
BLOCK_LIMIT = 64 << 10
"""Longest text of one mapping, in bytes: four times a path of PATH_MAX with every byte escaped. Without a limit, a text
without line breaks, or of nothing but line breaks, would be searched, split and copied as a whole."""
_VALUE_MAX = SIZE_MAX // KIB
_VALUE_DIGITS = len(str(_VALUE_MAX))
_CHECK_EVERY = 1000
"""Mappings between two calls of `check`: some milliseconds."""
_TORN_HINT = "the process probably exited while it was read: read it again"


@dataclass(slots=True)
class Block:
    """One mapping: its header and its fields."""

    header: Header
    numbers: dict[str, int] = field(default_factory=dict)
    """Values by kernel key, as printed, in text order."""
    flags: str | None = None
    """VmFlags; None without that line, or if it lacks its newline, since some flags may then be missing."""
    last_key: str = ""
    """Key of the last line: the same in every whole block of one text."""


def read_process(text: bytes) -> list[Block]:
    """Parse every mapping of one process, in order; [] for an empty text.

    A text that stops in the middle of a mapping is an error, not a shorter process. Two signs give it away: the last
    line is not whole, or the last block ends with another key than the block in front of it. Three cuts leave no sign,
    and lose no number silently: right between two mappings those in front of the cut are whole; between two flags of
    the very last line the flags are null; after a line of the very first mapping its further fields are null.

    Raises:
        SmapsError: not smaps, a key twice in one mapping, a mapping that comes again, or torn; `offset` counts from the
            beginning of `text`.
    """
    return [*read_blocks(text, lambda: None)]


def read_blocks(text: bytes, check: Callable[[], None]) -> Iterator[Block]:
    """Yield the mappings of read_process() one by one. `check` is called every thousand mappings, and may raise."""
    before: Block | None = None
    count = start = stop = 0
    key = ""
    """Last key of the block in front of `before`."""
    while stop < len(text):
        if count % _CHECK_EVERY == 0:
            check()
        start, longest = stop, stop + BLOCK_LIMIT + 1
        following = BLOCK_BREAK.search(text, start, longest)
        stop = following.end() if following else min(len(text), longest)
        block = read_block(text[start:stop], start, is_last=stop == len(text), before=count)
        # A mapping that grows while it is read is printed twice: the second one overlaps the first and ends higher.
        if before is not None and block.header.end <= before.header.end:
            raise _repeated(block.header, start)
        yield block
        key, before = before.last_key if before else "", block
        count += 1
    if before is not None and count > 1 and before.last_key != key:
        raise _torn(count - 1, start)


def read_block(text: bytes, offset: int = 0, *, is_last: bool = False, before: int = 0) -> Block:
    """Parse one mapping, from its header line to the end of its last field.

    For the error: `offset` is its position in its process's text, `is_last` is true if nothing follows it there, and
    `before` is the number of mappings in front of it.

    Raises:
        SmapsError: a line that does not belong in smaps, a key twice, or the text is a smaps_rollup.
    """
    if len(text) > BLOCK_LIMIT and HEADER_BEGINNING.match(text):
        hint = "no kernel prints that much"
        raise SmapsError(f"a mapping of more than {BLOCK_LIMIT:,} bytes of text", offset=offset, hint=hint)
    if len(text) > BLOCK_LIMIT:
        raise _not_a_header(text.partition(b"\n")[0], offset)
    head, *lines = text.removesuffix(b"\n").split(b"\n")
    if HEADER_BEGINNING.match(head) and not _ends_whole(text):
        raise _torn(before, offset)
    header = read_header(head)
    if header is None:
        raise _not_a_header(head, offset)
    if not lines and is_last and before:
        raise _torn(before, offset)
    if not lines:
        hint = "this looks like /proc/PID/maps: smaps is needed"
        raise SmapsError("a mapping without fields", offset=offset, hint=hint)
    block = Block(header)
    seen: set[str] = set()
    at = offset + len(head) + 1
    for line in lines:
        key, value = _read_line(line, at)
        if key in seen:
            raise SmapsError(f'the key "{key}" stands twice in one mapping', offset=at)
        seen.add(key)
        if isinstance(value, int):
            block.numbers[key] = value
        elif key == FLAGS_KEY:
            block.flags = read_flags(value)
        elif key == NAME_KEY and not header.place.path:
            path = value.decode("utf-8", "surrogateescape")
            block.header = header._replace(place=header.place._replace(path=path))
        at += len(line) + 1
    block.last_key = key
    if not text.endswith(b"\n"):
        block.flags = None  # the line may be cut off
    return block


def read_flags(text: bytes) -> str:
    """Return the flags from the text behind `VmFlags:`, without the spaces around them."""
    return text.strip(b" \t").decode("utf-8", "surrogateescape")


def last_block_start(text: bytes) -> int:
    """Return the position of the last block; if none begins in the last BLOCK_LIMIT bytes, one byte before these."""
    first = max(0, len(text) - BLOCK_LIMIT - 1)
    start = first
    for match in BLOCK_BREAK.finditer(text, first):
        start = match.end()
    return start


def signature(text: bytes | memoryview, start: int, stop: int) -> bytes:
    """Return the labels of the first block between two positions, in order; b"" for an empty text.

    Texts with the same signature come from kernels that print the same fields. Values, widths and paths play no part.
    Nothing is checked: a text that is not smaps has a signature, too.
    """
    stop = min(stop, start + BLOCK_LIMIT)
    following = BLOCK_BREAK.search(text, start, stop)
    return b"".join(_LABEL.findall(text, start, following.start() if following else stop))


def _read_line(line: bytes, offset: int) -> tuple[str, int | bytes]:
    """Parse one line of a block into its key and its value: a number, or the words."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise SmapsError(f'expected a field ("Rss:   4 kB"), got {_shown(line)}', offset=offset)
    key = match[1].decode("ascii")
    if key in TEXT_KEYS:
        return key, line[match.end(1) + 1 :].lstrip(b" \t")
    digits = match[2]
    maybe_cut = match[3] is None and key in SIZE_KEYS  # without its unit it may be cut off in the middle of a number
    if digits is not None and not maybe_cut and len(digits) <= _VALUE_DIGITS and int(digits) <= _VALUE_MAX:
        return key, int(digits)
    if digits is not None or key in FIELD_BY_KEY:
        expected = "a number of kB" if key in SIZE_KEYS else "a number"
        value = line[match.end(1) + 1 :].strip(b" \t")
        raise SmapsError(f'"{key}": expected {expected}, got {_shown(value)}', offset=offset)
    return key, match[4]


def _ends_whole(text: bytes) -> bool:
    """Return True if the last line is whole: it ends with a newline, or has a form that cannot have been longer."""
    if text.endswith(b"\n"):
        return True
    line = text[text.rfind(b"\n") + 1 :]
    match = _LINE.fullmatch(line)
    if match is None:
        return False
    known = FIELD_BY_KEY.get(match[1].decode("ascii"))
    if known is not None and known.key == FLAGS_KEY:
        return _WHOLE_FLAGS.fullmatch(line[match.end(1) + 1 :].lstrip(b" \t")) is not None
    has_unit = match[3] is not None
    return has_unit or (match[2] is not None and known is not None and known.unit == "flag")


def _not_a_header(line: bytes, offset: int) -> SmapsError:
    hint = "" if offset else "this is not the text of /proc/PID/smaps"
    if line.endswith(ROLLUP):
        hint = "this is smaps_rollup, one sum over all mappings: smaps is needed"
    return SmapsError(f"expected a mapping line, got {_shown(line)}", offset=offset, hint=hint)


def _repeated(header: Header, offset: int) -> SmapsError:
    what = f"mapping {header.start:08x}-{header.end:08x} ends no further than the one in front of it"
    return SmapsError(what, offset=offset, hint="the kernel goes through the addresses upwards: read it again")


def _torn(whole: int, offset: int) -> SmapsError:
    mappings = "1 whole mapping" if whole == 1 else f"{whole} whole mappings"
    return SmapsError(f"cut off in the middle of a mapping, after {mappings}", offset=offset, hint=_TORN_HINT)


def _shown(line: bytes) -> str:
    """Quote the beginning of a line for a message. It is a host's text, so it must not reach a terminal unescaped."""
    return ascii(line[:60].decode("latin-1"))
