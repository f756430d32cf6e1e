"""Memory as areas."""

from __future__ import annotations

import re

import pytest

from fleetpmap.export.as_html.treemap import rules, tree
from fleetpmap.report.model import Column, Table


def table(rows: list[tuple[str, str, int | None]]) -> Table:
    """The table of merged by kind and mapping."""
    kinds, names, sizes = zip(*rows, strict=True)
    return Table(
        "rows", (Column("pss_kib", "KiB", sizes), Column("kind", "text", kinds), Column("mapping", "text", names))
    )


def test_kinds_and_mappings_largest_first():
    """Each kind with its mappings; nothing and unknown have no area."""
    kinds = tree(
        table(
            [
                ("library", "libc.so.6", 100),
                ("heap", "[heap]", 600),
                ("library", "libm.so.6", 300),
                ("special", "[vdso]", 0),
                ("stack", "[stack]", None),
            ]
        ),
        "pss_kib",
    )
    assert [(kind.name, kind.kib, kind.share) for kind in kinds] == [("heap", 600, 0.6), ("library", 400, 0.4)]
    assert [(tile.name, tile.kib) for tile in kinds[1].tiles] == [("libm.so.6", 300), ("libc.so.6", 100)]


def test_what_nobody_could_see_is_put_together():
    """All mappings that are too small share one tile with their number, and no size is lost."""
    (kind,) = tree(table([("library", f"lib{n}.so", 1 if n else 10_000) for n in range(200)]), "pss_kib")
    assert [(tile.name, tile.kib) for tile in kind.tiles] == [("lib0.so", 10_000), ("(199 more)", 199)]


def test_places_fill_the_whole():
    """The areas add up to it, each in proportion."""
    kinds = tree(table([("heap", "[heap]", 600), ("library", "libc.so.6", 300), ("anon", "[anon]", 100)]), "pss_kib")
    size = re.compile(r"#k(\d){left:[\d.]+%;top:[\d.]+%;width:([\d.]+)%;height:([\d.]+)%}")
    areas = [
        float(width) * float(height) / 100
        for rule in rules(kinds, (1200, 400))
        for _, width, height in size.findall(rule)
    ]
    assert areas == pytest.approx([60, 30, 10], abs=0.05)  # a place has two decimals


def test_nothing_in_memory():
    """No tile, no rule."""
    kinds = tree(table([("special", "[vsyscall]", 0)]), "pss_kib")
    assert (kinds, list(rules(kinds, (1200, 400)))) == ((), [])
