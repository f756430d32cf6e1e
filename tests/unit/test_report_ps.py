"""ps: the processes that a run would read."""

from __future__ import annotations

from fleetpmap.render import plain
from fleetpmap.report import ps
from snapshots import expected, failed, host, process, snapshot


def test_a_row_per_process():
    """RSS comes from the listing; the total is an upper bound."""
    first = process(812, "nginx", rss_kib=5312, arguments=("nginx: worker process",))
    second = process(913, "Web Content", rss_kib=70412, user=None, uid=1000)
    report = ps(snapshot(host("web-01", first), host("web-02", second), host("db-01")))
    text = plain(report)
    assert text == expected("ps.txt", text)
    assert (report.tables[0].columns[4].rule, report.tables[0].columns[4].total) == ("upper bound", 75724)


def test_total_of_nothing_and_of_nobody():
    """Zero where no process matched, unknown where no host answered."""
    totals = [ps(snapshot(one)).tables[0].column("rss_kib").total for one in (host("a"), failed("b", "dns", "b: no"))]
    assert totals == [0, None]
