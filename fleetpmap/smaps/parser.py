"""smaps text to columns.   wire ─► [parser] ─► table

Input: the texts of /proc/PID/smaps of a host's processes, one after the other in one buffer. Output: one array per
field, one slot per mapping. Source: Documentation/filesystems/proc.rst; fs/proc/task_mmu.c, show_smap().

    buffer ─► windows of whole blocks ─► block_parser.Reader ─► rows ─► rows of the whole processes ─► columns

Windows ignore the bounds of processes: 4,000 small ones are read as fast as one large one. A text's last block goes to
the reference parser if its last line lacks the newline, since the block parser reads whole lines only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpmap.errors import SmapsError
from fleetpmap.smaps.block_parser import KEYS_LIMIT, Reader
from fleetpmap.smaps.columns import NULL, Coded, SmapsColumns, in_row_order
from fleetpmap.smaps.grammar import BLOCK_BREAK, SIZE_MAX
from fleetpmap.smaps.header_parser import PERMS
from fleetpmap.smaps.line_codes import Codes
from fleetpmap.smaps.parsed_rows import Codebook, Rows, join
from fleetpmap.smaps.reference_parser import BLOCK_LIMIT, last_block_start, read_blocks, signature
from fleetpmap.smaps.text_buffer import NEWLINE, Bytes, Flags, Positions, borrowed_window

_WINDOW = 2 * 2**20
"""Bytes of a window, about the size of a core's cache. A larger one waits for memory, a smaller one for the
interpreter."""

MAPPINGS_LIMIT = 300_000
"""Mappings in one call at most. Each takes some 200 bytes while it is parsed; a hostile host can send one in 40."""
FILES_LIMIT = 100_000
"""Different files in one call at most: each is a Python object."""
_NOWHERE = np.array([-1])
"""A position that no block has."""
Span = tuple[int, int]


def parse(text: bytes | memoryview, spans: Sequence[Span] | None = None) -> SmapsColumns:
    """Parse the mappings of one or more processes.

    `spans` are the byte ranges of the processes' texts: in order, without gaps, from 0 to the end. An empty range is a
    process without mappings. Without `spans`, the text is one process's.

    Raises:
        SmapsError: a process's text is not smaps, or is cut off (see reference_parser.read_process); the error is that
            of the first such process.
        ValueError: spans that overlap, leave a gap or do not cover the text.
    """
    columns, errors = parse_processes(text, [(0, len(text))] if spans is None else spans)
    for error in errors.values():
        raise error
    return columns


def parse_processes(
    text: bytes | memoryview, spans: Sequence[Span], check: Callable[[], None] = lambda: None
) -> tuple[SmapsColumns, dict[int, SmapsError]]:
    """Parse the mappings of all processes with a whole text, and return an error for each of the others.

    Errors are by index into `spans`; a process with an error has no mapping in the columns. An error's offset counts
    from the beginning of that process's text. Arguments as for parse(); `check` is called every few megabytes, and may
    raise.

    Raises:
        ValueError: spans that overlap, leave a gap or do not cover the text.
    """
    starts, stops = _bounds(len(text), spans)
    rows, reader, read_to = _read(text, starts, stops, check)
    # Blocks belong to the process that their first byte belongs to: `first` row and number of rows of each process.
    first = np.searchsorted(rows.at, starts)
    counts = np.searchsorted(rows.at, stops) - first
    process = np.repeat(np.arange(len(starts), dtype=np.int32), counts)
    errors = {
        index: _error(bytes(text[starts[index] : stops[index]]), check) if stops[index] <= read_to else _too_many()
        for index in np.flatnonzero(_is_bad(rows, process, starts, stops, first, counts) | (stops > read_to)).tolist()
    }
    if errors:
        whole = np.ones(len(starts), np.bool_)
        whole[list(errors)] = False
        kept = whole[process]
        rows, process = rows[kept], process[kept]
    return _columns(text, rows, reader, process, stops[process]), errors


def _bounds(size: int, spans: Sequence[Span]) -> tuple[Positions, Positions]:
    bounds = np.array(spans, np.int64).reshape(-1, 2)
    starts, stops = bounds[:, 0], bounds[:, 1]
    edges = np.concatenate(([0], stops))
    if not (np.array_equal(starts, edges[:-1]) and edges[-1] == size and (stops >= starts).all()):
        raise ValueError("spans must cover the text in order and without gaps")
    return starts, stops


def _read(
    text: bytes | memoryview, starts: Positions, stops: Positions, check: Callable[[], None]
) -> tuple[Rows, Reader, int]:
    """Read every block of the buffer, in order, until a limit is exceeded. The last result is where reading ended."""
    buffer = np.frombuffer(text, np.uint8) if len(text) else np.zeros(0, np.uint8)
    reader = Reader()
    parts: list[Rows] = []
    count, read_to = 0, len(text)
    with borrowed_window() as window:
        for begin, end, is_whole in _pieces(text, buffer, starts, stops):
            check()
            if is_whole:
                window.load(buffer, begin, end)
                inside = stops[np.searchsorted(stops, begin, "right") : np.searchsorted(stops, end)]
                parts.append(reader.read(window, inside - begin))
            else:
                parts.append(reader.read_alone(bytes(text[begin:end]), begin))
            count += len(parts[-1].at)
            if count > MAPPINGS_LIMIT or len(reader.places.items()) > FILES_LIMIT:
                read_to = end
                break
    return join(parts), reader, read_to


def _pieces(
    text: bytes | memoryview, buffer: Bytes, starts: Positions, stops: Positions
) -> Iterator[tuple[int, int, bool]]:
    """Split the buffer into pieces (begin, end, is_whole): windows of whole lines; last blocks without a newline."""
    begin = 0
    not_empty = stops > starts
    ends_in_newline = buffer[stops[not_empty] - 1] == NEWLINE
    open_ended = np.flatnonzero(not_empty)[~ends_in_newline]
    for start, stop in zip(starts[open_ended].tolist(), stops[open_ended].tolist(), strict=True):
        tail = start + last_block_start(bytes(text[start:stop]))
        yield from _windows(text, begin, tail, stops)
        yield tail, stop, False
        begin = stop
    yield from _windows(text, begin, len(text), stops)


def _windows(text: bytes | memoryview, begin: int, end: int, stops: Positions) -> Iterator[tuple[int, int, bool]]:
    """Split whole lines into windows of about _WINDOW bytes that end where a block or a process ends."""
    while begin < end:
        target = min(begin + _WINDOW, end)
        following = BLOCK_BREAK.search(text, target, min(target + BLOCK_LIMIT, end))
        if following is not None or end - target <= BLOCK_LIMIT:
            stop = following.end() if following else end
            yield begin, stop, True
        else:  # the block at `target` is too long, or a process ends near it and its end is not followed by a block
            last = _last_break(text, max(begin, target - BLOCK_LIMIT), target)
            place = int(np.searchsorted(stops, last, "right"))
            stop = int(stops[place])
            if stop <= target or stop - last <= BLOCK_LIMIT:
                yield begin, stop, True
            else:  # a block over the limit refuses its process: read enough to find that out, and skip the rest
                first = max(begin, int(stops[place - 1]) if place else 0)
                if begin < first:
                    yield begin, first, True
                yield first, first + BLOCK_LIMIT + 1, False
        begin = stop


def _last_break(text: bytes | memoryview, begin: int, end: int) -> int:
    """Return the last position between two others at which a block begins, or `begin` if there is none."""
    start = begin
    for match in BLOCK_BREAK.finditer(text, begin, end):
        start = match.end()
    return start


def _is_bad(
    rows: Rows, process: Codes, starts: Positions, stops: Positions, first: Positions, counts: Positions
) -> Flags:
    """Return a mask of the processes that are not whole; the reference parser then finds the error.

    `process` is each row's process; `first` and `counts` are the rows of each process.
    """
    at = np.concatenate((rows.at, _NOWHERE))
    bad: Flags = (at[first] != starts) & (stops > starts)  # the text does not begin with a mapping
    # For an end at or below its start the difference wraps around to a huge number.
    bad[process[rows.bad | (rows.end - rows.start - np.uint64(1) >= SIZE_MAX)]] = True
    repeats = (rows.end[1:] <= rows.end[:-1]) & (process[1:] == process[:-1])
    bad[process[1:][repeats]] = True  # a mapping ends no further than the one in front of it
    several = np.flatnonzero(counts > 1)
    last = first[several] + counts[several] - 1
    bad[several[rows.last_keys[last] != rows.last_keys[last - 1]]] = True  # torn: the last block ends with another key
    return bad


def _error(text: bytes, check: Callable[[], None]) -> SmapsError:
    """Return the error in the text of a process that the block parser refused."""
    try:
        for _ in read_blocks(text, check):
            pass
    except SmapsError as error:
        return error
    return SmapsError(
        f"its host's smaps have more than {KEYS_LIMIT} different keys", offset=0, hint="no kernel prints that many"
    )


def _too_many() -> SmapsError:
    return SmapsError(
        f"more than {MAPPINGS_LIMIT:,} mappings, or {FILES_LIMIT:,} different files, on one host",
        offset=0,
        hint="select fewer processes, or use --rollup",
    )


def _columns(text: bytes | memoryview, rows: Rows, reader: Reader, process: Codes, stops: Positions) -> SmapsColumns:
    """Resolve codes to names. `stops` are the ends of each row's process's text."""
    place_codes, places = in_row_order(rows.places, reader.places.items())
    devices: Codebook[str] = Codebook()
    paths: Codebook[str] = Codebook()
    device_of = np.array([devices.code(place.device) for place in places], np.int32)
    inode_of = np.array([place.inode for place in places], np.uint64)
    path_of = np.array([paths.code(place.path) for place in places], np.int32)
    return SmapsColumns(
        process=process,
        start=rows.start,
        end=rows.end,
        perms=_coded(rows.perms, PERMS),
        offset=rows.offset,
        device=Coded(device_of[place_codes], tuple(devices.items())),
        inode=inode_of[place_codes],
        path=Coded(path_of[place_codes], tuple(paths.items())),
        fields=_in_text_order(text, rows, stops),
        flags=_coded(rows.flags, reader.flags.items()),
    )


def _coded(codes: Codes, names: Sequence[str]) -> Coded:
    codes, names = in_row_order(codes, names)
    return Coded(codes, tuple(names))


def _in_text_order(text: bytes | memoryview, rows: Rows, stops: Positions) -> dict[str, NDArray[np.int64]]:
    """Return the fields that any row has, in the order in which the text first has them.

    The text is looked at only where a key first comes up: nearly always in the first row alone.
    """
    first_rows: dict[str, int] = {}
    for key, column in rows.fields.items():
        if len(column) and column[0] != NULL:  # nearly always
            first_rows[key] = 0
        elif (present := column != NULL).any():
            first_rows[key] = int(present.argmax())
    ordered: dict[str, NDArray[np.int64]] = {}
    for row in sorted(set(first_rows.values())):
        keys = signature(text, int(rows.at[row]), int(stops[row])).decode("ascii").split(":")
        ordered |= {key: rows.fields[key] for key in keys if first_rows.get(key) == row}
    return ordered
