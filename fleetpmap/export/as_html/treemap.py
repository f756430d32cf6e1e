"""Memory by kind and mapping.   report (kinds, hosts) ─► [treemap] ─► page, scripts/treemap.js

The script draws the leaves as areas that open, which needs the width of the window and the reader's order. What stands
here is the table that a page shows without scripts, and what the script needs besides the leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fleetpmap.escape import escape_cell
from fleetpmap.export.as_html.heat import STEPS_MIB
from fleetpmap.export.as_html.page_data import Json, packed
from fleetpmap.export.as_html.tables import folded_text
from fleetpmap.report.grouping import WHOLE
from fleetpmap.report.model import Report, Table
from fleetpmap.report.outliers import FLOOR_SHARE

_MOST_TILES = 30
"""Mappings of one kind; the others are one."""
_LEAST_TILE, _LEAST_KIND = 0.002, 0.004
"""Shares of the whole below which a mapping, or a kind, has no row of its own."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A mapping, or a kind with its mappings."""

    name: str
    kib: int
    share: float
    """Share of the whole, 0 to 1."""
    kind: str
    tiles: tuple[Tile, ...] = ()


def tree(table: Table, metric: str) -> tuple[Tile, ...]:
    """Return the kinds, largest first, each with its mappings; the smallest are put together."""
    cells = zip(*(table.column(name).cells() for name in ("kind", "mapping", metric)), strict=True)
    known = [(str(kind), str(name), kib) for kind, name, kib in cells if isinstance(kib, int) and kib > 0]
    whole = sum(kib for _, _, kib in known) or 1
    known.sort(key=lambda mapping: (mapping[0], -mapping[2], mapping[1]))  # by kind, size, name
    kinds = []
    for kind, members in groupby(known, key=lambda mapping: mapping[0]):
        tiles = [Tile(name, kib, kib / whole, kind) for _, name, kib in members]
        kib = sum(tile.kib for tile in tiles)
        kinds.append(Tile(kind, kib, kib / whole, kind, _put_together(tiles, _LEAST_TILE, kind)))
    kinds.sort(key=lambda tile: (-tile.kib, tile.name))
    return _put_together(kinds, _LEAST_KIND, "other")


def treemap_data(report: Report) -> Json:
    """Return what the script needs besides the leaves; without leaves the kinds and mappings, which are few.

    `steps` and `floor` are those of the comparison. `partial`: hosts that were not read completely, which no other host
    is compared with.
    """
    beside = report.beside
    hosts, statuses = (beside["hosts"].tables[0].column(name).cells() for name in ("host", "status"))
    answered = zip(hosts, statuses, strict=True)
    return {
        "steps": STEPS_MIB,
        "floor": FLOOR_SHARE,
        "partial": [escape_cell(folded_text(str(host))) for host, status in answered if status not in WHOLE],
        "kinds": None if len(beside["leaves"].tables[-1]) else packed(beside["kinds"].tables[0]),
    }


def _put_together(tiles: Sequence[Tile], least: float, kind: str) -> tuple[Tile, ...]:
    """Return the tiles, largest first; the smallest are merged into one, `(N more)`."""
    kept = [tile for tile in tiles if tile.share >= least][:_MOST_TILES]
    left = tiles[len(kept) :]
    if len(left) < 2:
        return tuple(tiles)
    kib, share = sum(tile.kib for tile in left), sum(tile.share for tile in left)
    return (*kept, Tile(f"({len(left)} more)", kib, share, kind, tuple(left) if left[0].tiles else ()))
