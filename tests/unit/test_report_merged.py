"""merged: the same mapping of all processes as one row."""

from __future__ import annotations

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.render import plain
from fleetpmap.report import merge_keys, merged
from fleetpmap.report.model import Report
from snapshots import expected, failed, host, mapping, process, sizes, small_fleet, snapshot


def _column(report: Report, name: str) -> list[object]:
    return next(column.cells() for column in report.tables[0].columns if column.name == name)


def _rule(report: Report, name: str) -> str | None:
    return next(column.rule for column in report.tables[0].columns if column.name == name)


def _total(report: Report, name: str) -> int | None:
    return next(column.total for column in report.tables[0].columns if column.name == name)


def test_a_row_per_mapping():
    """By mapping, libc of three hosts is one row: its sizes summed, its hosts, processes and paths counted once."""
    text = plain(merged(small_fleet()))
    assert text == expected("merged.txt", text)


def test_by_several_keys():
    """Each combination of the keys is a row, and the keys stand last, in the order asked for."""
    text = plain(merged(small_fleet(), ("host", "perms", "kind", "path")))
    assert text == expected("merged_by_host_perms_kind_path.txt", text)


def test_by_process_and_user():
    """A user without a name is its number."""
    report = merged(small_fleet(), ("process", "user"))
    assert _column(report, "user") == ["www", "33"]
    assert _column(report, "process") == ["nginx", "nginx"]
    assert _column(report, "processes") == [2, 1]


def test_unknown_user_is_null():
    """An unknown user is null, and a group of its own."""
    report = merged(snapshot(host("a", process(1, "x", mapping(), user=None, uid=None))), ("user",))
    assert _column(report, "user") == [None]


def test_distinct_counts_do_not_add_up():
    """Two mappings of one process are one host and one process, in their row and in the total."""
    fleet = snapshot(host("a", process(1, "x", mapping("/l.so", start=0x1000), mapping("/l.so", start=0x9000))))
    report = merged(fleet)
    assert [_column(report, name) for name in ("hosts", "processes", "mappings", "paths")] == [[1], [1], [2], [1]]
    assert [_total(report, name) for name in ("hosts", "processes", "mappings", "paths")] == [1, 1, 2, 1]


def test_largest_pss_first_then_rss_then_name():
    """Equal PSS is ordered by RSS, equal RSS by name."""
    maps = [mapping("/b", Pss=2, Rss=5), mapping("/a", Pss=2, Rss=5), mapping("/c", Pss=2, Rss=9), mapping("/d", Pss=7)]
    assert _column(merged(snapshot(host("a", process(1, "x", *maps)))), "mapping") == ["/d", "/c", "/a", "/b"]


def test_without_any_pss_rss_decides():
    """On kernels without Pss the largest RSS comes first."""
    maps = [mapping("/b", Rss=5), mapping("/a", Rss=3), mapping("/c", Rss=9)]
    assert _column(merged(snapshot(host("a", process(1, "x", *maps)))), "mapping") == ["/c", "/b", "/a"]


def test_over_several_processes_rss_is_an_upper_bound():
    """RSS counts a shared page once per process; PSS and USS add."""
    report = merged(small_fleet())
    assert [_rule(report, name) for name in ("size_kib", "rss_kib", "pss_kib", "uss_kib", "hosts")] == [
        "upper bound",
        "upper bound",
        "sum",
        "sum",
        "distinct",
    ]


def test_of_one_process_rss_is_a_sum():
    """Within one process no page is counted twice."""
    report = merged(snapshot(host("a", process(1, "x", mapping(Rss=3)), process(2, "x", status="denied"))))
    assert _rule(report, "rss_kib") == "sum"


def test_sum_of_nulls_is_null():
    """A row, or a total, without any known number is null, not zero."""
    report = merged(snapshot(host("a", process(1, "x", mapping(Rss=3)))))
    assert _column(report, "pss_kib") == [None]
    assert _total(report, "pss_kib") is None


def test_nothing_matched_is_zero():
    """Hosts that answered without a match are known to hold nothing."""
    report = merged(snapshot(host("a"), host("b")))
    assert len(report.tables[0]) == 0
    assert (_total(report, "pss_kib"), _total(report, "mappings")) == (0, 0)


def test_nobody_answered_is_unknown():
    """With nothing but failures no size is known."""
    assert _total(merged(snapshot(failed("a", "dns", "a: no address"))), "pss_kib") is None


def test_sums_pass_32_bits():
    """A fleet's total may be more than 2 TiB."""
    big = {"size": 4, **sizes(4, 2**31, 2**31, 0, 2**31, 0, 0, 0, 0, 0)}
    report = merged(snapshot(host("a", process(1, "x", mapping("/m", **big), mapping("/m", **big)))))
    assert _column(report, "pss_kib") == [4294967296]


def test_merge_keys_are_read_in_order_and_once():
    """`--by` is a comma-separated list."""
    assert merge_keys("host, mapping,host") == ("host", "mapping")


@pytest.mark.parametrize("text", ["mappings", "", "host,"])
def test_unknown_key_names_the_nearest_and_all(text):
    """A key that does not exist is the user's mistake, and the hint lists the keys."""
    with pytest.raises(UsageError, match="--by: there is no key") as error:
        merge_keys(text)
    keys = "host, service, unit, container, pod, slice, process, user, mapping, path, perms, kind"
    assert f"the keys are {keys}" in error.value.hint


def test_unknown_key_in_the_library():
    """The function itself checks too."""
    with pytest.raises(UsageError) as error:
        merged(small_fleet(), ("proces",))
    assert error.value.hint.startswith("did you mean process?")
