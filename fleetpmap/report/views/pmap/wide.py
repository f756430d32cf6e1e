"""pmap -X and -XX: every field that the kernel prints.   OneProcess ─► [wide] ─► text

A size's column is as wide as its header and its total, any other as its header and its cells. Source: pmap.c of
procps-ng, print_extended_maps().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import Letters
from fleetpmap.report.grouping import HexTexts
from fleetpmap.report.views.pmap.names import wide_name
from fleetpmap.report.views.pmap.one import OneProcess, known, known_sum, texts_of
from fleetpmap.smaps import NULL

_ONLY_WIDEST = frozenset(
    {"AnonHugePages", "KernelPageSize", "MMUPageSize"}
    | {"Shared_Dirty", "Private_Dirty", "Shared_Clean", "Private_Clean"}
)
"""With VmFlags, what -X leaves out."""


@dataclass(frozen=True, slots=True)
class _Column:
    header: str
    cells: Sequence[str]
    """Of the rows that are shown."""
    total: str | None
    """None: it stands above no total."""
    width: int

    def lines(self) -> list[str]:
        """Header and cells."""
        return [text.rjust(self.width) for text in (self.header, *self.cells)]


def wide(one: OneProcess, letters: Letters) -> str:
    """A header, a row per mapping, and under the sizes their totals; nothing for a process without mappings."""
    if not len(one.rows):
        return ""
    placed, flags = _placed(one, letters)
    sizes = _sizes(one, letters)
    columns = [*placed, *sizes, *flags]
    paths = one.texts(one.table.path)
    name_of = {path: one.clean(wide_name(path, show_path=letters.show_path)) for path in set(paths)}
    header, *rows = zip(
        *(column.lines() for column in columns), ["Mapping", *map(name_of.__getitem__, paths)], strict=True
    )
    body = "".join(map(_line, rows))
    return body if letters.quiet else f"{_line(header)}{body}{_totals(placed, sizes)}"


def _line(cells: Iterable[str]) -> str:
    return f"{' '.join(cells)}\n"


def _placed(one: OneProcess, letters: Letters) -> tuple[list[_Column], list[_Column]]:
    """Where each mapping is, and its flags where -XX asks for them and the kernel has them.

    The widths are those of all mappings, in the range of -A or not.
    """
    table = one.table
    texts: dict[str, Callable[[NDArray[np.intp]], list[str]]] = {
        "Address": lambda rows: HexTexts(table.start[rows])[:],
        "Perm": lambda rows: texts_of(table.perms, rows),
        "Offset": lambda rows: HexTexts(table.offset[rows])[:],
        "Device": lambda rows: texts_of(table.device, rows),
        "Inode": lambda rows: list(map(str, table.inode[rows].tolist())),
        "VmFlags": lambda rows: texts_of(table.flags, rows),
    }
    *placed, flags = (
        _Column(header, cells(one.shown), None, _width(header, cells(one.rows), letters))
        for header, cells in texts.items()
    )
    has_flags = letters.format == "widest" and any(texts["VmFlags"](one.rows))
    return placed, [flags] if has_flags else []


def _width(header: str, cells: Iterable[str], letters: Letters) -> int:
    return max(map(len, cells if letters.quiet else (header, *cells)))


def _sizes(one: OneProcess, letters: Letters) -> list[_Column]:
    """The fields that this process's smaps has."""
    columns = []
    for key in one.keys:
        if letters.format == "wide" and key in _ONLY_WIDEST:
            continue
        values = one.table.fields[key]
        if (values[one.rows] == NULL).all():
            continue
        numbers = one.numbers(values)
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
