"""The difference of a list from a marked one: rows found again by their keys, and cells that are not known."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.explore.differences import SINCE_MARK, Differences, difference, rows_in
from fleetpmap.explore.listing import Sort, order_of
from fleetpmap.explore.places import Place
from fleetpmap.report import VIEWS, Column, Report, Table, ViewOptions
from fleetpmap.report.grouping import HexTexts, coded
from fleetpmap.snapshot import HostSnapshot
from snapshots import failed, host, mapping, process, snapshot


def _table(hosts: list[str | None], pids: list[int], starts: list[int]) -> Table:
    return Table(
        "rows",
        (
            Column("host", "text", coded(hosts)),
            Column("pid", "number", np.array(pids, dtype=np.int64)),
            Column("start", "address", HexTexts(np.array(starts, dtype=np.uint64))),
        ),
    )


def test_rows_are_found_again_by_all_their_keys():
    """In any order; a row whose host, pid or address is another is not there."""
    before = _table(["a", "b", "a", None], [7, 7, 8, 7], [0x1000, 0x1000, 0x7FFF_FFFF_F000, 0x1000])
    now = _table(["a", "c", None, "b", "a"], [8, 7, 7, 7, 7], [0x7FFF_FFFF_F000, 0x1000, 0x1000, 0x2000, 0x1000])
    keys = ("host", "pid", "start")
    assert rows_in(before, now, keys).tolist() == [2, -1, 3, -1, 0]
    assert rows_in(now, now, keys).tolist() == [0, 1, 2, 3, 4]


def test_no_row_is_in_an_empty_table():
    """As of a run in which nothing matched."""
    assert rows_in(_table([], [], []), _table(["a"], [7], [0x1000]), ("host", "pid", "start")).tolist() == [-1]


def test_many_keys_together_are_still_told_apart():
    """Codes whose product has no room in a number are numbered anew."""
    count = 3000
    starts = [slot << 34 for slot in range(count)]
    before = _table([f"h{slot}" for slot in range(count)], [8_000_000 - slot for slot in range(count)], starts)
    now = _table([f"h{slot}" for slot in range(count)], [8_000_000 - slot for slot in range(count)], starts[::-1])
    assert rows_in(before, before, ("host", "pid", "start")).tolist() == [*range(count)]
    assert set(rows_in(before, now, ("host", "pid", "start")).tolist()) == {-1}


def _web(name: str, heap: int) -> HostSnapshot:
    return host(name, process(7, "nginx", mapping("[heap]", start=0x1000, size=heap, Rss=heap, Pss=heap)))


def _listed(*hosts: HostSnapshot) -> Report:
    return VIEWS["hosts"](snapshot(*hosts), ViewOptions())


def test_a_difference_of_minus_one_is_a_number():
    """An array of a column has -1 for what is not known; differences are no such array."""
    before, now = _listed(_web("a", 50), _web("b", 9)), _listed(_web("a", 49), _web("b", 9), _web("c", 4))
    column = difference(now.tables[0], before, Place("hosts"), everywhere=False).column(SINCE_MARK)
    assert (column.cells(), column.cells(1, 2)) == ([-1, 0, 4], [0])


def test_what_is_not_known_on_one_side_has_no_difference():
    """A host that failed then, or now."""
    before = _listed(_web("a", 50), failed("b", "auth", "b: no"), _web("c", 8))
    now = _listed(_web("a", 80), _web("b", 9), failed("c", "auth", "c: no"))
    table = difference(now.tables[0], before, Place("hosts"), everywhere=True)
    assert table.column("pss_kib").cells() == [30, None, None]


@pytest.mark.parametrize(("reverse", "rows"), [(False, [1, 2, 0, 3]), (True, [3, 0, 2, 1])])
def test_the_order_is_by_magnitude_with_unknown_ones_last(reverse: bool, rows: list[int]):
    """As --sort has differences; or the other way round."""
    cells = Differences(np.array([0, -900, 30, 5]), np.array([True, True, True, False]))
    table = Table("rows", (Column("since_mark_kib", "delta", cells),))
    assert order_of(table, Sort("since_mark_kib", reverse)).tolist() == rows
