"""Memory by kind and mapping, and what its script needs."""

from __future__ import annotations

from fleetpmap.export.as_html.treemap import tree, treemap_data
from fleetpmap.report import VIEWS, ViewOptions, page
from fleetpmap.report.model import Column, Table
from snapshots import small_fleet


def table(rows: list[tuple[str, str, int | None]]) -> Table:
    """The table of merged by kind and mapping."""
    kinds, names, sizes = zip(*rows, strict=True)
    return Table(
        "rows", (Column("pss_kib", "KiB", sizes), Column("kind", "text", kinds), Column("mapping", "text", names))
    )


def test_kinds_and_mappings_largest_first():
    """Each kind with its mappings; nothing and unknown have no row."""
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


def test_the_smallest_are_put_together():
    """All mappings that are too small share one row with their number, and no size is lost."""
    (kind,) = tree(table([("library", f"lib{n}.so", 1 if n else 10_000) for n in range(200)]), "pss_kib")
    assert [(tile.name, tile.kib) for tile in kind.tiles] == [("lib0.so", 10_000), ("(199 more)", 199)]


def test_nothing_in_memory():
    """No row."""
    assert tree(table([("special", "[vsyscall]", 0)]), "pss_kib") == ()


def test_the_rule_of_the_comparison_goes_with_the_leaves():
    """The steps of colours, the floor, and the hosts that were not read completely."""
    found = treemap_data(page(VIEWS["summary"], small_fleet(), ViewOptions()))
    assert found == {
        "steps": (1, 4, 16, 64),
        "floor": 0.10,
        "partial": ["web-01", "web-03", "web-04", "web-05"],
        "kinds": None,
    }
