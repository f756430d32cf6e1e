"""The colours of a comparison, and which of many hosts are shown."""

from __future__ import annotations

import pytest

from fleetpmap.export.as_html.heat import heat, host_columns, shown_hosts
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
    assert heat(table, table.columns).get((1, "web-01"), "") == mark


def test_delta_is_its_own_distance():
    """With a baseline the cells are differences already, and the baseline's own have no colour."""
    table = comparison({"web-02": [5000]}, [9000], "delta")
    base = Column("web-01", "KiB", [4, 99_999])
    columns = (table.columns[0], base, *table.columns[1:])
    assert heat(Table("rows", columns, counts=1), columns) == {(1, "web-02"): "a2"}


def test_outliers_are_marked():
    """An outlier of the report is marked, at any distance."""
    table = comparison({"w1": [1000, 9000], "w2": [1000, 1000]}, [1000, 1000], w1=2, w2=1)
    assert heat(table, table.columns) == {(1, "w2"): " out", (2, "w1"): "a2 out"}


def test_outliers_are_marked_without_the_median():
    """--columns may leave out the column to compare with: then nothing has a colour."""
    mapping, host, _ = comparison({"w1": [9000]}, [1000], w1=1).columns
    assert heat(Table("rows", (mapping, host), counts=1), (mapping, host)) == {(1, "w1"): " out"}


def test_counts_have_no_colour():
    """The row of processes is no size."""
    table = comparison({"web-01": [1000]}, [1000])
    assert heat(table, table.columns) == {}


def test_of_many_hosts_those_that_stand_apart_are_shown():
    """A hundred of them, in their order, an outlier wherever it is."""
    table = comparison({f"web-{n:03}": [1000] for n in range(1, 251)}, [1000], **{"web-250": 1})
    names = [column.name for column in host_columns(shown_hosts(table))]
    assert (len(names), names[:2], names[-2:]) == (100, ["web-001", "web-002"], ["web-099", "web-250"])
