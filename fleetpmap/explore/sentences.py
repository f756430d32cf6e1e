"""The line above the list, and the lines below it.   Shown, Sheet ─► [sentences] ─► app"""

from __future__ import annotations

from fleetpmap.explore.places import Place
from fleetpmap.explore.sheet import Sheet
from fleetpmap.explore.shown import Shown
from fleetpmap.report import coverage_sentence
from fleetpmap.report.model import Cell

_SAID = 4
"""Lines below the list,"""
_TALL = 24
"""half of them on a terminal with fewer lines."""


def place_line(place: Place, shown: Shown, busy: str, width: int) -> str:
    """Return where one is, and as much as has room of: what is being done, what is shown, and of which time."""
    between = " * " if shown.ascii_only else " › "
    line = between.join([*map(shown.safe, ("fleet", *place.trail)), place.level])
    parts = [shown.safe(f"{busy} …")] if busy else []
    parts += ["differences since the mark"] if shown.everywhere else []
    parts += [f"{shown.snapshot.run.started:%Y-%m-%d %H:%M:%S}"] if shown.snapshot is not None else []
    for part in parts:
        line += f"   {part}" if len(line) + len(part) + 3 <= width else ""
    return line


def below(place: Place, shown: Shown, sheet: Sheet, host: Cell, height: int) -> list[str]:
    """Return the lines below the list: why the host of the row failed; coverage; columns that are not drawn; notes."""
    report = shown.report(place)
    lines = []
    failure = next((one for one in report.coverage.failures if one.host == host), None)
    if failure is not None:
        lines.append(f"{failure.message}{f'; {failure.hint}' if failure.hint else ''}")
    facts = [coverage_sentence(report.coverage)]
    if shown.filter:
        facts.insert(0, f"/{shown.filter}: {len(sheet.rows)} of {len(sheet.table)} rows, totals of all")
    lines.append("; ".join(fact for fact in facts if fact))
    if left_out := sheet.left_out:
        lines.append(f"{len(left_out)} more column{'' if len(left_out) == 1 else 's'} by Right: {', '.join(left_out)}")
    if sheet.unknown:
        lines.append(f"unknown everywhere: {', '.join(name.removesuffix('_kib') for name in sheet.unknown)}")
    if report.notes:
        others = f" (and {len(report.notes) - 1} more)" if len(report.notes) > 1 else ""
        lines.append(f"note{others}: {report.notes[0]}")
    return [shown.safe(line) for line in lines[: _SAID if height >= _TALL else _SAID // 2]]
