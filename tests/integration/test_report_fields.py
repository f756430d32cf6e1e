"""fleetpmap fields: the table of kernel fields as a report."""

from __future__ import annotations

import json

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.render import plain
from fleetpmap.report import Shape, fields
from program import fleetpmap


def test_a_row_for_each_field():
    """Kernel's name, ours, unit, first kernel, how it totals and what it is."""
    rows = fields().tables[0].rows()
    assert ("Pss_Dirty", "pss_dirty_kib", "KiB", "6.0", "sum", "The part of Pss in dirty pages.") in rows
    assert ("THPeligible", "thp_eligible", "flag", "5.0", "none") in [row[:5] for row in rows]
    assert len(rows) == 32


def test_columns_and_sort():
    """As of every other table."""
    report = fields("", Shape(columns=("since", "field"), sort="field"))
    assert plain(report).splitlines()[:3] == ["since   field", "2.6.39  AnonHugePages", "2.6.37  Anonymous"]
    assert report.brief is None
    with pytest.raises(UsageError, match='there is no column "pss"'):
        fields("", Shape(columns=("pss",)))


def test_in_a_pipe():
    """Aligned, a line a field, the sentence last; no hosts, so nothing on stderr and status 0."""
    found = fleetpmap("fields")
    assert (found.returncode, found.stderr) == (0, "")
    header, *rows = found.stdout.splitlines()
    assert header.split() == ["field", "column", "unit", "since", "totals", "meaning"]
    assert "Swap             swap_kib              KiB     2.6.26  upper bound  Memory of the mapping" in "\n".join(
        rows
    )


def test_on_a_terminal():
    """The meaning of a field is printed below it, uncut."""
    lines = fleetpmap("fields", "--format", "table", COLUMNS="80").stdout.splitlines()
    at = lines.index("Pss              pss_kib                KiB    2.6.25  sum")
    assert lines[at + 1] == "    Rss with each page divided by the number of mappings that have it."
    assert max(map(len, lines)) <= 80


def test_for_programs(tmp_path):
    """csv and json, to stdout or a file."""
    assert fleetpmap("fields", "--columns", "field,unit", "--format", "csv").stdout.startswith("field,unit\nSize,KiB\n")
    fleetpmap("fields", "-o", str(tmp_path / "fields.json"))
    document = json.loads((tmp_path / "fields.json").read_text())
    assert document["view"] == "fields"
    assert document["rows"][3]["field"] == "Rss"
