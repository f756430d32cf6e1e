"""The rows of one process, in each of pmap's formats.   OneProcess ─► [formats] ─► text

    plain      bare: address, size, mode, name        extended   -x: RSS and Dirty beside the size
    device     -d: offset and device                  wide       -X and -XX: every field that the kernel prints

Source: pmap.c of procps-ng 4.0.2, one_proc() and print_extended_maps().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fleetpmap.pmap_letters import Letters, PmapFormat
from fleetpmap.report.grouping import HexTexts
from fleetpmap.report.views.pmap.mapping_names import mode, wide_name
from fleetpmap.smaps import NULL, Coded
from fleetpmap.table import IntArray, MappingTable

_EXTENDED_HEADER = "Address           Kbytes     RSS   Dirty Mode  Mapping\n"
_EXTENDED_RULE = "---------------- ------- ------- ------- \n"
_DEVICE_HEADER = "Address           Kbytes Mode  Offset           Device    Mapping\n"
_ONLY_WIDEST = frozenset(
    {"AnonHugePages", "KernelPageSize", "MMUPageSize"}
    | {"Shared_Dirty", "Private_Dirty", "Shared_Clean", "Private_Clean"}
)
"""Fields that only -XX prints, besides VmFlags."""


@dataclass(frozen=True, slots=True)
class OneProcess:
    """The mappings of one process, in the order of the kernel."""

    table: MappingTable
    names: Coded
    """pmap's name of each row of the table."""
    rows: NDArray[np.intp]
    """Indices of the rows of this process."""
    shown: NDArray[np.intp]
    """Those of `rows` that lie in the range of -A."""
    keys: tuple[str, ...]
    """The kernel's fields, in the order of that host's smaps."""
    clean: Callable[[str], str]
    """Makes a text safe that pmap would print unchanged."""

    def texts(self, column: Coded) -> list[str]:
        """Return the texts of the shown rows; empty for null."""
        return texts_of(column, self.shown)

    def numbers(self, column: IntArray | NDArray[np.uint64]) -> list[int]:
        """Return the numbers of the shown rows."""
        numbers: list[int] = column[self.shown].tolist()
        return numbers


Printer = Callable[[OneProcess, Letters], str]
"""Return all that a format prints below the process's first line."""


def plain(process: OneProcess, letters: Letters) -> str:
    """Print address, size, mode and name of each mapping, and the sum of the sizes."""
    table = process.table
    sizes, perms = process.numbers(table.metrics["size_kib"]), process.texts(table.perms)
    rows = zip(process.numbers(table.start), sizes, perms, process.texts(process.names), strict=True)
    lines = "".join(f"{start:016x} {size:6}K {mode(perms)} {name}\n" for start, size, perms, name in rows)
    return lines if letters.quiet else f"{lines} total {sum(sizes):16}K\n"


def extended(process: OneProcess, letters: Letters) -> str:
    """Print as -x: with RSS and Dirty beside the size."""
    table = process.table
    sizes, rss, dirty = (process.numbers(table.metrics[name]) for name in ("size_kib", "rss_kib", "dirty_kib"))
    rows = zip(
        process.numbers(table.start),
        sizes,
        rss,
        dirty,
        process.texts(table.perms),
        process.texts(process.names),
        strict=True,
    )
    lines = "".join(
        f"{start:016x} {size:7} {known(resident):>7} {known(written):>7} {mode(perms)} {name}\n"
        for start, size, resident, written, perms, name in rows
    )
    if letters.quiet:
        return lines
    totals = f"{'total kB':16} {sum(sizes):7} {known_sum(rss):>7} {known_sum(dirty):>7}\n"
    return f"{_EXTENDED_HEADER}{lines}{_EXTENDED_RULE}{totals}"


def device(process: OneProcess, letters: Letters) -> str:
    """Print as -d: with offset and device, and the sums of writeable private and of shared sizes."""
    table = process.table
    sizes, perms = process.numbers(table.metrics["size_kib"]), process.texts(table.perms)
    rows = zip(
        *(process.numbers(table.start), sizes, perms, process.numbers(table.offset)),
        *(process.texts(table.device), process.texts(process.names)),
        strict=True,
    )
    lines = "".join(
        f"{start:016x} {size:7} {mode(perms)} {offset:016x} {_numbered(device)} {name}\n"
        for start, size, perms, offset, device, name in rows
    )
    if letters.quiet:
        return lines
    own = sum(size for size, perms in zip(sizes, perms, strict=True) if perms[1] == "w" and perms[3] == "p")
    shared = sum(size for size, perms in zip(sizes, perms, strict=True) if perms[3] == "s")
    return f"{_DEVICE_HEADER}{lines}mapped: {sum(sizes)}K    writeable/private: {own}K    shared: {shared}K\n"


def _numbered(device: str) -> str:
    """Pad the kernel's major:minor to pmap's three and five digits."""
    major, _, minor = device.partition(":")
    return f"{major:0>3}:{minor:0>5}"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of -X and -XX.

    A column of sizes is as wide as its header and its total, any other as its header and its widest cell.
    """

    header: str
    cells: Sequence[str]
    """Texts of the shown rows."""
    total: str | None
    """None: the column has no total."""
    width: int

    def lines(self) -> list[str]:
        """Return header and cells, right-aligned."""
        return [text.rjust(self.width) for text in (self.header, *self.cells)]


def wide(process: OneProcess, letters: Letters) -> str:
    """Print as -X or -XX: a header, a row per mapping and the totals of the sizes; nothing without mappings."""
    if not len(process.rows):
        return ""
    placed, flags = _placed(process, letters)
    sizes = _sizes(process, letters)
    columns = [*placed, *sizes, *flags]
    paths = process.texts(process.table.path)
    name_of = {path: process.clean(wide_name(path, show_path=letters.show_path)) for path in set(paths)}
    header, *rows = zip(
        *(column.lines() for column in columns), ["Mapping", *map(name_of.__getitem__, paths)], strict=True
    )
    body = "".join(map(_line, rows))
    return body if letters.quiet else f"{_line(header)}{body}{_totals(placed, sizes)}"


def _line(cells: Iterable[str]) -> str:
    return f"{' '.join(cells)}\n"


def _placed(process: OneProcess, letters: Letters) -> tuple[list[_Column], list[_Column]]:
    """Return the columns before the sizes, and VmFlags if -XX asks for it and the kernel has it.

    The widths are those of all mappings, whether in the range of -A or not.
    """
    table = process.table
    texts: dict[str, Callable[[NDArray[np.intp]], list[str]]] = {
        "Address": lambda rows: HexTexts(table.start[rows])[:],
        "Perm": lambda rows: texts_of(table.perms, rows),
        "Offset": lambda rows: HexTexts(table.offset[rows])[:],
        "Device": lambda rows: texts_of(table.device, rows),
        "Inode": lambda rows: list(map(str, table.inode[rows].tolist())),
        "VmFlags": lambda rows: texts_of(table.flags, rows),
    }
    *placed, flags = (
        _Column(header, cells(process.shown), None, _width(header, cells(process.rows), letters))
        for header, cells in texts.items()
    )
    has_flags = letters.format == "widest" and any(texts["VmFlags"](process.rows))
    return placed, [flags] if has_flags else []


def _width(header: str, cells: Iterable[str], letters: Letters) -> int:
    return max(map(len, cells if letters.quiet else (header, *cells)))


def _sizes(process: OneProcess, letters: Letters) -> list[_Column]:
    """Return a column for each field that this process's smaps has."""
    columns = []
    for key in process.keys:
        if letters.format == "wide" and key in _ONLY_WIDEST:
            continue
        values = process.table.fields[key]
        if (values[process.rows] == NULL).all():
            continue
        numbers = process.numbers(values)
        cells, total = list(map(known, numbers)), known_sum(numbers)
        width = max(map(len, cells), default=0) if letters.quiet else max(len(key), len(total))
        columns.append(_Column(key, cells, total, width))
    return columns


def _totals(placed: Iterable[_Column], sizes: Sequence[_Column]) -> str:
    if not sizes:
        return ""
    gap = " " * sum(column.width + 1 for column in placed)
    rule = "".join(f"{'=' * column.width} " for column in sizes)
    totals = "".join(f"{column.total:>{column.width}} " for column in sizes)
    return f"{gap}{rule}\n{gap}{totals}KB \n"


def texts_of(column: Coded, rows: NDArray[np.intp]) -> list[str]:
    """Return the texts of these rows; empty for null."""
    names = [*column.names, ""]  # null has code -1, which indexes the last
    return [names[code] for code in column.codes[rows].tolist()]


def known(number: int) -> str:
    """Format a number; `?` if it is unknown."""
    return "?" if number == NULL else str(number)


def known_sum(numbers: Iterable[int]) -> str:
    """Sum the known numbers; `?` if none is known."""
    numbers = list(numbers)
    added = [number for number in numbers if number != NULL]
    return str(sum(added)) if added or not numbers else "?"


PRINTERS: Mapping[PmapFormat, Printer] = MappingProxyType(
    {"plain": plain, "extended": extended, "device": device, "wide": wide, "widest": wide}
)
"""The function that prints each format."""
