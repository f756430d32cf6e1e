"""The colours of a comparison, and what looks alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetpmap.export.as_html.heat import Heat, heat, marks, together
from fleetpmap.report.model import NOT_MAPPED, Cell, Column, Table, Unit


def comparison(hosts: dict[str, list[Cell]], medians: list[Cell], unit: Unit = "KiB", **outliers: int) -> Table:
    """A comparison of these hosts, its first row the counts of processes; `outliers`: a host's row."""
    return Table(
        "rows",
        (
            Column("mapping", "text", ["processes", *(f"m{row}" for row in range(len(medians)))]),
            *(
                Column(name, unit, [4, *cells], outliers=frozenset({outliers[name]} if name in outliers else ()))
                for name, cells in hosts.items()
            ),
            Column("median_kib", "KiB", [4, *medians]),
        ),
        counts=1,
    )


def marked(found: Heat) -> dict[tuple[int, str], str]:
    """The CSS classes of the cells by row of the table and host."""
    cells = ((slot, marks(found, [slot])) for slot in range(len(found.hosts)))
    return {(row, found.hosts[slot].name): css for slot, rows in cells for row, css in rows.items()}


@pytest.mark.parametrize(
    ("cell", "median", "mark"),
    [
        (2023, 1000, ""),
        (2024, 1000, ""),
        (2025, 1000, "a1"),
        (5097, 1000, "a2"),
        (17385, 1000, "a3"),
        (66537, 1000, "a4"),
        (0, 1025, "b1"),
        (NOT_MAPPED, 70_000, "b4"),
        (None, 70_000, ""),
        (90_000, 100_000, ""),
        (89_999, 100_000, "b2"),
    ],
)
def test_colour_is_the_distance_from_the_median(cell: Cell, median: int, mark: str):
    """Above 1, 4, 16 and 64 MiB, and 10 % of the median; not mapped counts as 0, unknown is none."""
    table = comparison({"web-01": [cell]}, [median])
    assert marked(heat(table)).get((1, "web-01"), "") == mark


def test_delta_is_its_own_distance():
    """With a baseline the cells are differences already; the baseline's own have no colour, and it comes first."""
    table = comparison({"web-02": [5000]}, [9000], "delta")
    base = Column("web-01", "KiB", [4, 99_999])
    columns = (table.columns[0], *table.columns[1:], base)
    found = heat(Table("rows", columns, counts=1))
    assert (marked(found), found.names) == ({(1, "web-02"): "a2"}, ("web-01", "web-02"))


def test_outliers_are_marked():
    """An outlier of the report is marked, at any distance."""
    table = comparison({"w1": [1000, 9000], "w2": [1000, 1000]}, [1000, 1000], w1=2, w2=1)
    assert marked(heat(table)) == {(1, "w2"): "out", (2, "w1"): "a2 out"}


def test_counts_have_no_colour():
    """The row of processes is no size."""
    assert heat(comparison({"web-01": [1000]}, [1000])).rows.tolist() == [1]


def test_hosts_that_look_alike_share_a_column():
    """Noise has no colour, so it parts no hosts; those furthest from the medians come first, unknown ones last."""
    table = comparison(
        {
            **{f"web-{n:02}": [90_000 + n, 500] for n in range(1, 4)},
            "web-04": [400_000, 500],
            "web-05": [None, None],
            "web-06": [NOT_MAPPED, 500],
        },
        [90_002, 500],
    )
    assert heat(table).names == ("web-04", "web-06", "web-[01-03]", "web-05")


def test_a_host_that_is_an_outlier_is_alone():
    """Even where its cells look as those of others."""
    table = comparison({f"w{n}": [1000] for n in range(1, 5)}, [1000], w3=1)
    assert heat(table).groups == ((0, 1, 3), (2,))


def test_what_explains_most_comes_first():
    """In percent of all distances; rows without a colour come last, and are counted."""
    cells = {"w1": [10_000, 500, 900_000], "w2": [10_000, 700, 100_000], "w3": [60_000, 600, 100_000]}
    found = heat(comparison(cells, [10_000, 600, 100_000]))
    assert found.rows.tolist() == [3, 1, 2]
    assert [round(percent, 2) for percent in found.explained.tolist()] == [94.1, 5.88, 0.02]
    assert found.plain_rows == 1


def test_the_row_for_the_rest_has_no_colour():
    """`(N more)` is no mapping."""
    table = comparison({"w1": [9000, 90_000], "w2": [1000, 10_000]}, [1000, 10_000])
    assert heat(replace(table, more=3)).rows.tolist() == [1]


def test_a_column_of_many_hosts_has_the_middle_of_their_sizes():
    """Unknown sizes do not count; what none has is as the first says."""
    columns = [
        Column("w1", "KiB", [5, NOT_MAPPED, None], "sum", 50),
        Column("w2", "KiB", [7, 3, None], "sum", 10),
        Column("w3", "KiB", [6, NOT_MAPPED, None], "sum", 70),
    ]
    shared = together(columns, "w[1-3]")
    assert (shared.name, shared.cells(), shared.total) == ("w[1-3]", [6, 3, None], 50)
