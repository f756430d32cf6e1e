"""processes: every process that matched is a row."""

from __future__ import annotations

from fleetpmap.render import plain
from fleetpmap.report import processes
from snapshots import expected, host, mapping, process, small_fleet, snapshot


def test_a_row_per_process():
    """Read or not, each has a row, by host and pid."""
    text = plain(processes(small_fleet()))
    assert text == expected("processes.txt", text)


def test_unread_process_has_nulls():
    """A process that was not read has a status and no number."""
    report = processes(snapshot(host("a", process(7, "x", mapping(Rss=5)), process(8, "x", status="denied"))))
    cells = {column.name: column.cells() for column in report.tables[0].columns}
    assert cells["status"] == ["read", "denied"]
    assert cells["mappings"] == [1, None]
    assert cells["rss_kib"] == [5, None]


def test_columns_of_csv_and_json():
    """The names and their order are a promise."""
    assert [column.name for column in processes(small_fleet()).tables[0].columns] == [
        *("host", "pid", "user", "name", "command", "status", "mappings"),
        *("size_kib", "rss_kib", "pss_kib", "uss_kib", "dirty_kib", "swap_kib", "swap_pss_kib", "hugetlb_kib"),
        *("service", "unit", "container", "pod", "started", "oom_score_adj", "hwm_kib", "rss_source"),
        *("cgroup_current_kib", "limit_kib", "limit_share"),
    ]


def test_process_without_a_command_line_is_its_name_in_brackets():
    """As ps shows it."""
    report = processes(snapshot(host("a", process(2, "kthreadd", arguments=(), status="kernel"))))
    assert report.tables[0].columns[4].cells() == ["[kthreadd]"]
