"""Memory as areas, kind → mapping.   report (kinds) ─► [treemap] ─► page

The layout is squarify's (Bruls, Huizing, van Wijk, Squarified Treemaps, 2000), made twice: for a wide page and for a
narrow one. A tile is an HTML box with text, placed in percent of the box around it, so it scales, and prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import squarify  # type: ignore[import-untyped]  # it ships no types

from fleetpmap.report.model import Table

WIDE, NARROW = (1200, 400), (360, 560)
"""Width and height in pixels of each layout; only the proportions matter, since tiles are placed in percent."""
_HEAD = 22
"""Height in pixels of the name at the top of a kind's box."""
_MOST_TILES = 30
"""Tiles of one kind; the other mappings share one tile."""
_LEAST_TILE, _LEAST_KIND = 0.002, 0.004
"""Shares of the whole below which a mapping's, or a kind's, tile is too small to see."""


class Box(NamedTuple):
    """A place, in percent of the box around it."""

    x: float
    y: float
    width: float
    height: float


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
    """Return the kinds, largest first, each with its mappings; tiles too small to see are merged."""
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


def rules(kinds: Sequence[Tile], size: tuple[int, int]) -> Iterator[str]:
    """Yield the places of all tiles as CSS rules; the ids are those of `tile_id`."""
    for slot, (kind, box) in enumerate(zip(kinds, _boxes(kinds, size), strict=True)):
        yield _rule(tile_id(slot), box)
        inner = (max(round(box.width * size[0] / 100), 1), max(round(box.height * size[1] / 100) - _HEAD, 1))
        for number, place in enumerate(_boxes(kind.tiles, inner)):
            yield _rule(tile_id(slot, number), place)


def tile_id(slot: int, number: int | None = None) -> str:
    """Return the id of a kind's box, or of one tile in it."""
    return f"k{slot}" if number is None else f"k{slot}-{number}"


def _put_together(tiles: Sequence[Tile], least: float, kind: str) -> tuple[Tile, ...]:
    """Return the tiles, largest first; those too small to see are merged into one, `(N more)`."""
    kept = [tile for tile in tiles if tile.share >= least][:_MOST_TILES]
    left = tiles[len(kept) :]
    if len(left) < 2:
        return tuple(tiles)
    kib, share = sum(tile.kib for tile in left), sum(tile.share for tile in left)
    return (*kept, Tile(f"({len(left)} more)", kib, share, kind, tuple(left) if left[0].tiles else ()))


def _boxes(tiles: Sequence[Tile], size: tuple[int, int]) -> list[Box]:
    if not tiles:
        return []
    order = sorted(range(len(tiles)), key=lambda slot: -tiles[slot].kib)  # squarify expects them sorted by size
    areas = squarify.normalize_sizes([tiles[slot].kib for slot in order], *size)
    boxes: dict[int, Box] = {}
    for slot, rect in zip(order, squarify.squarify(areas, 0, 0, *size), strict=True):
        in_percent = (100 / size[0], 100 / size[1]) * 2
        boxes[slot] = Box(*(rect[key] * factor for key, factor in zip(("x", "y", "dx", "dy"), in_percent, strict=True)))
    return [boxes[slot] for slot in range(len(tiles))]


def _rule(id_: str, box: Box) -> str:
    return f"#{id_}{{left:{box.x:.2f}%;top:{box.y:.2f}%;width:{box.width:.2f}%;height:{box.height:.2f}%}}"
