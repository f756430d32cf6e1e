"""csv: a table in full precision."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from fleetpmap.export import EXPORTERS
from fleetpmap.export.as_csv import write_csv
from fleetpmap.report import Column, Table, compare, hosts, mappings, merged, processes, summary
from snapshots import expected, failed, host, mapping, process, sizes, small_fleet, snapshot


def _csv(report):
    file = io.BytesIO()
    EXPORTERS["csv"].write(report, file)
    return file.getvalue().decode("utf-8")


def _command(*arguments):
    text = _csv(processes(snapshot(host("a", process(1, "x", arguments=arguments)))))
    return next(csv.DictReader(io.StringIO(text)))["command"]


def _safe_row(command):
    arguments = (command,) if command else ()
    file = io.BytesIO()
    write_csv(processes(snapshot(host("a", process(1, "x", mapping(), arguments=arguments)))), file, safe=True)
    return next(csv.DictReader(io.StringIO(file.getvalue().decode())))


@pytest.mark.parametrize("view", [merged, hosts, processes, mappings], ids=lambda view: view.__name__)
def test_every_view(view):
    """Names, nulls and flags of each view."""
    text = _csv(view(small_fleet()))
    assert text == expected(f"{view.__name__}.csv", text)


def test_summary_is_merged():
    """A format of one table writes the first."""
    assert _csv(summary(small_fleet())) == _csv(merged(small_fleet()))


def test_line_ends_are_newlines():
    """No carriage return."""
    assert "\r" not in _csv(hosts(small_fleet()))


def test_comma_quote_and_space_are_quoted_as_rfc_4180_says():
    """Any reader gives back what the process was called."""
    assert _command("a, b", 'say "x"') == 'a, b say "x"'


def test_control_and_undecodable_bytes_are_escaped():
    """The file is UTF-8 without control characters."""
    assert _command("café", "\x1b[2J", "\udcff") == r"café \x1b[2J \xff"


@pytest.mark.parametrize("command", ["=HYPERLINK(1)", "@SUM(1)", "-bash", "--xp"])
def test_a_text_stays_as_it_is(command):
    """csv is data: nothing is put before a text that a spreadsheet might compute."""
    assert _command(command) == command


@pytest.mark.parametrize(
    "command", ["=HYPERLINK(1)", "+1", "-bash", "@SUM(1)", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_safe_keeps_a_spreadsheet_from_computing(command):
    """On request such a text has an apostrophe before it."""
    assert _safe_row(command)["command"] == f"'{command}"


@pytest.mark.parametrize(
    ("command", "written"), [("\t=1", r"\x09=1"), ("\r=1", r"\x0d=1"), ("a=1", "a=1"), (" =1", " =1"), ("", "[x]")]
)
def test_safe_leaves_harmless_texts(command, written):
    """A text that does not begin like a formula stays; a tab or carriage return is always escaped."""
    assert _safe_row(command)["command"] == written


def test_safe_leaves_numbers():
    """Only texts can be formulas: a number is never touched, nor is an empty cell."""
    row = _safe_row("x")
    assert (row["pid"], row["mappings"], row["size_kib"], row["pss_kib"]) == ("1", "1", "4", "")


def _two_hosts():
    return snapshot(
        host("a", process(1, "x", mapping("/x.so", **sizes(8, 7, 6, 5, 4, 3, 2, 1, 0, 0)))),
        host("b", process(2, "x", mapping("/=y", **sizes(16, 15, 14, 13, 12, 11, 9, 8, 0, 0)))),
        failed("c", "timeout", "c: no answer"),
    )


def test_compare_tells_not_mapped_from_unknown():
    """A mapping that a host does not have is `not-mapped`; an unknown cell is empty."""
    lines = _csv(compare(_two_hosts())).splitlines()
    assert [line.rsplit(",", 3)[0] for line in lines] == [
        "mapping,a,b,c",
        "processes,1,1,",
        "/=y,not-mapped,14,",
        "x.so,6,not-mapped,",
    ]


def test_safe_leaves_differences():
    """A number below zero begins with -, and is no formula."""
    file = io.BytesIO()
    write_csv(compare(_two_hosts(), baseline="a"), file, safe=True)
    lines = file.getvalue().decode().splitlines()
    assert [line.rsplit(",", 3)[0] for line in lines[1:]] == ["processes,1,1,", "/=y,not-mapped,14,", "x.so,6,-6,"]


def test_file_stays_open():
    """The writer leaves the file open."""
    file = io.BytesIO()
    EXPORTERS["csv"].write(hosts(small_fleet()), file)
    assert not file.closed


def test_rows_pass_the_chunk():
    """More rows than are written at a time are all written, in order."""
    table = Table("rows", (Column("n", "number", np.arange(70_000)), Column("text", "text", ["x"] * 70_000)))
    rows = _csv(replace(hosts(small_fleet()), tables=(table,))).splitlines()
    assert rows == ["n,text", *(f"{number},x" for number in range(70_000))]
