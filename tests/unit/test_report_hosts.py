"""hosts: every host asked is a row."""

from __future__ import annotations

from fleetpmap.render import plain
from fleetpmap.report import hosts
from snapshots import expected, failed, host, mapping, process, small_fleet, snapshot


def _rows(report):
    names = [column.name for column in report.tables[0].columns]
    return [dict(zip(names, row, strict=True)) for row in report.tables[0].rows()]


def test_a_row_per_host():
    """Hosts in the order asked; a failed one has its error and no numbers."""
    text = plain(hosts(small_fleet()))
    assert text == expected("hosts.txt", text)


def test_failed_host_has_nulls():
    """Counts and sizes of a host that did not answer are unknown, not zero."""
    row = _rows(hosts(snapshot(failed("web-03", "auth", "web-03: cannot log in"))))[0]
    assert {name: row[name] for name in ("status", "processes", "absent", "mappings", "rss_kib", "error")} == {
        "status": "auth",
        "processes": None,
        "absent": None,
        "mappings": None,
        "rss_kib": None,
        "error": "cannot log in",
    }


def test_host_without_a_match_has_zeros():
    """A host that answered "nothing matches" is known to hold nothing."""
    row = _rows(hosts(snapshot(host("db-01"))))[0]
    assert (row["status"], row["processes"], row["rss_kib"], row["hugetlb_kib"], row["error"]) == (
        "no-match",
        0,
        0,
        0,
        "",
    )


def test_host_with_nothing_but_kernel_threads_has_zeros():
    """They have no memory of their own, so nothing is missing; and the totals are known."""
    report = hosts(snapshot(host("a", process(2, "kthreadd", status="kernel"), process(3, "x", status="zombie"))))
    row = _rows(report)[0]
    assert (row["status"], row["absent"], row["rss_kib"], row["pss_kib"]) == ("ok", 2, 0, 0)
    assert report.tables[0].column("pss_kib").total == 0


def test_host_with_only_denied_processes_is_unknown():
    """Processes were there, and their memory is not known to be zero."""
    row = _rows(hosts(snapshot(host("a", process(1, "x", status="denied")))))[0]
    assert (row["status"], row["processes"], row["absent"], row["rss_kib"]) == ("partial", 0, 1, None)


def test_absent_counts_what_matched_and_was_not_read():
    """processes + absent is what matched."""
    one = host("a", process(1, "x", mapping(Rss=5)), process(2, "x", status="gone"), process(3, "x", status="cut"))
    row = _rows(hosts(snapshot(one)))[0]
    assert (row["processes"], row["absent"]) == (1, 2)
