"""Snapshot, Report and Table in a program and in a notebook."""

from __future__ import annotations

import json
from io import BytesIO

import polars
import pytest

from fleetpmap import run
from fleetpmap.errors import UsageError
from fleetpmap.export.as_json import write_json
from fleetpmap.export.as_parquet import write_parquet
from fleetpmap.library import conversion
from fleetpmap.report import VIEWS, ViewOptions, compare, hosts, merged, pmap
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.snapshot import Snapshot
from snapshots import failed, host, mapping, process, small_fleet, snapshot


def twins() -> Snapshot:
    """Two hosts; only the first maps a library, and a third could not be reached."""
    heap = mapping("[heap]", size=400, Rss=300, Pss=200, Private_Dirty=100, Private_Clean=4)
    library = mapping("/usr/lib/libz.so.1", start=0x90000, perms="r-xp", size=80, Rss=70, Pss=60)
    return snapshot(
        host("web-01", process(812, "nginx", heap, library)),
        host("web-02", process(913, "nginx", heap)),
        failed("web-03", "auth", "web-03: cannot log in", hint="run `ssh web-03 true`"),
    )


def test_a_repr_is_one_line():
    """A prompt shows how much was asked and answered, and not a thousand rows."""
    fleet = twins()
    assert repr(fleet) == ("<Snapshot 2026-03-14 15:09:26+0000: 2 of 3 hosts answered, 2 of 2 processes read>")
    assert repr(hosts(fleet)) == "<Report hosts: 3 hosts; 2 of 3 hosts answered, 2 of 2 processes read>"
    assert repr(merged(fleet).tables[0]) == "<Table rows: 2 rows, 13 columns>"


def test_blanks_at_the_end_are_no_part_of_a_command():
    """Redis and PostgreSQL write their titles over their arguments, and leave NULs or a space."""
    assert process(1, "redis-server", arguments=("redis *:6379", "", "")).process.command == "redis *:6379"
    assert process(2, "postgres", arguments=("postgres: walwriter ",)).process.command == "postgres: walwriter"
    assert process(3, "x", arguments=("", "")).process.command == "[x]"


@pytest.mark.parametrize("hosts_and_groups", [{"hosts": []}, {"hosts": (), "groups": ()}, {"groups": []}])
def test_an_empty_list_of_hosts_is_not_the_whole_inventory(hosts_and_groups):
    """A program that computed it means no host at all."""
    with pytest.raises(UsageError, match="no host"):
        run(match="nginx", **hosts_and_groups)


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "pmap"])
def test_dictionaries_are_the_rows_of_json(view: str):
    """Names, order, numbers and null."""
    report = VIEWS[view](small_fleet(), ViewOptions())
    file = BytesIO()
    write_json(report, file)
    assert report.to_dicts() == json.loads(file.getvalue())["rows"]


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "pmap"])
def test_a_polars_frame_is_the_parquet_file(view: str):
    """Names, order, types and null."""
    report = VIEWS[view](small_fleet(), ViewOptions())
    file = BytesIO()
    write_parquet(report, file)
    assert report.to_polars().equals(polars.read_parquet(file.getvalue()))


def test_a_snapshot_stands_for_its_mappings():
    """A row for each mapping of each process."""
    rows = twins().to_polars().select("host", "pid", "mapping", "rss_kib").rows()
    assert rows == [
        ("web-01", 812, "[heap]", 300),
        ("web-01", 812, "libz.so.1", 70),
        ("web-02", 913, "[heap]", 300),
    ]


def test_a_failed_host_is_null_in_a_frame():
    """Unknown, and not zero."""
    assert hosts(twins()).to_polars()["pss_kib"].to_list() == [260, 200, None]


def test_a_table_alone_still_tells_what_is_not_mapped():
    """A comparison has zeros there, and the column `not_mapped` names the hosts."""
    frame = compare(twins()).tables[0].to_polars()
    row = frame.filter(polars.col("mapping") == "libz.so.1").row(0, named=True)
    assert (row["web-01"], row["web-02"], row["not_mapped"]) == (60, 0, ["web-02"])


def test_arrow_reads_a_report():
    """polars stands for all libraries that read Arrow's stream."""
    report = hosts(twins())
    assert polars.DataFrame(report).equals(report.to_polars())


def test_a_pandas_frame_keeps_null_apart_from_zero():
    """Integers with a mask, and no float."""
    pandas = pytest.importorskip("pandas", reason="pandas is in the docs group: `make docs` installs it")
    frame = hosts(twins()).to_pandas()
    assert [str(kind) for kind in frame[["host", "pss_kib", "ram_share"]].dtypes] == ["str", "Int64", "float64"]
    assert frame["pss_kib"].tolist() == [260, 200, pandas.NA]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    """The error says what to install."""
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="a polars data frame needs polars"):
        hosts(twins()).to_polars()
    with pytest.raises(UsageError, match="a pandas data frame needs pandas"):
        hosts(twins()).to_pandas()


def test_html_of_a_snapshot_is_the_summary():
    """The mappings with their total, the hosts, the coverage and the failure, under one style."""
    html = twins()._repr_html_()
    assert html.count("<table>") == 2
    assert '<td class="">[heap]</td>' in html
    assert '<td class="n add">460</td>' in html
    assert "2 of 3 hosts answered; 1 did not: 1 auth; 2 of 2 processes read" in html
    assert "<p>web-03: cannot log in (hint: run `ssh web-03 true`)</p>" in html
    assert html.count("<style>") == 1
    assert "<script" not in html


def test_html_escapes_what_a_host_sent():
    """A mapping's path is no markup, and a control character is shown."""
    html = merged(snapshot(host("a", process(1, "x", mapping("/<b>\x1b[2J", Rss=5, Pss=5)))))._repr_html_()
    assert "/&lt;b&gt;\\x1b[2J" in html
    assert "<b>" not in html


def test_html_of_a_long_table_is_its_beginning():
    """A thousand rows would bury the notebook; the number of the others is told."""
    numbers = Column("pss_kib", "KiB", list(range(1000, 0, -1)), "sum", 500500)
    html = Table("rows", (Column("mapping", "text", [f"m{n}" for n in range(1000)]), numbers))._repr_html_()
    assert html.count("<tr>") == 32  # the header, 30 rows, the total
    assert "m29" in html
    assert "m30" not in html
    assert "(970 more rows)" in html
    assert "500,500" in html


def test_html_of_a_text_is_its_lines():
    """pmap is a text by nature."""
    html = pmap(twins())._repr_html_()
    assert "<pre>" in html
    assert "812:" in html


def test_a_report_without_rows_is_still_html():
    """No host matched: the coverage says so."""
    empty: Report = merged(snapshot(failed("web-03", "dns", "web-03: unknown")))
    assert "1 did not" in empty._repr_html_()
