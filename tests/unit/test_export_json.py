"""json: a report as one document."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from fleetpmap.check import Checks, Finding
from fleetpmap.export import EXPORTERS
from fleetpmap.export.as_json import coverage_json
from fleetpmap.report import VIEWS, ViewOptions, hosts, mappings, merged, processes, summary
from fleetpmap.version import __version__
from snapshots import expected, host, mapping, process, small_fleet, snapshot


def _text(report):
    file = io.BytesIO()
    EXPORTERS["json"].write(report, file)
    return file.getvalue().decode("utf-8")


@pytest.mark.parametrize("view", ["summary", "processes"])
def test_whole_document(view):
    """The schema, with every status counted and every failure explained."""
    text = _text(VIEWS[view](small_fleet(), ViewOptions())).replace(f'"version": "{__version__}"', '"version": "X.Y.Z"')
    assert text == expected(f"{view}.json", text)


def test_summary_has_the_rows_of_hosts_beside_its_own():
    """`rows` are merged's, `hosts` those of the view hosts."""
    document = json.loads(_text(summary(small_fleet())))
    assert document["rows"] == json.loads(_text(merged(small_fleet())))["rows"]
    assert document["hosts"] == json.loads(_text(hosts(small_fleet())))["rows"]


def test_null_is_null():
    """An unknown value is neither 0 nor left out."""
    row = json.loads(_text(processes(snapshot(host("a", process(1, "x", status="denied"))))))["rows"][0]
    assert (row["mappings"], row["pss_kib"]) == (None, None)


def test_total_has_the_columns_that_total():
    """A column without a rule has no total, an unknown total is null."""
    document = json.loads(_text(processes(snapshot(host("a", process(1, "x", mapping(size=8, Rss=5)))))))
    assert document["total"] == {
        "mappings": 1,
        "size_kib": 8,
        "rss_kib": 5,
        "pss_kib": None,
        "uss_kib": None,
        "dirty_kib": None,
        "swap_kib": None,
        "swap_pss_kib": None,
        "hugetlb_kib": None,
    }


def test_a_document_without_rows():
    """Nothing matched: an empty list."""
    assert json.loads(_text(merged(snapshot(host("a")))))["rows"] == []


def test_texts_are_valid_and_harmless():
    """Undecodable bytes and control characters are escaped as in every format."""
    report = mappings(snapshot(host("a", process(1, "\x1bx", mapping("/not\udcffutf8 é")))))
    row = json.loads(_text(report))["rows"][0]
    assert (row["name"], row["path"]) == (r"\x1bx", r"/not\xffutf8 é")


def test_coverage_alone():
    """The file beside a csv has the coverage, without the tables."""
    document = json.loads(coverage_json(merged(small_fleet())))
    assert list(document) == ["fleetpmap", "run", "coverage", "reading", "memory", "checks", "failures", "notes"]
    assert document["coverage"]["hosts"] == {"asked": 7, "partial": 1, "ok": 2, "no-match": 1, "auth": 1, "timeout": 2}
    assert document["coverage"]["processes"] == {"matched": 5, "read": 3, "denied": 1, "gone": 1}


def test_rows_pass_the_chunk():
    """More rows than are written at a time are all written, in order."""
    maps = [mapping(start=number * 4096) for number in range(16_386)]
    rows = json.loads(_text(mappings(snapshot(host("a", process(1, "x", *maps))))))["rows"]
    assert [row["start"] for row in rows[16_383:]] == ["03fff000", "04000000", "04001000"]


def test_checks_are_counted_and_explained():
    """Each check by verdict, and what is amiss with the figures, harmless like every text."""
    off = Finding("rss_identity", "failed", "mapping 00200000: Rss is 9 kB, its four parts 8 kB")
    held = dict.fromkeys(("mappings_apart", "last_block_whole", "start_time_unchanged"), "held")
    checks = Checks({"rss_identity": "failed", **held}, (off,))
    one = process(7, "x", mapping(size=4, Rss=4))
    report = merged(snapshot(host("a\x1b", replace(one, process=replace(one.process, checks=checks)))))
    assert json.loads(coverage_json(report))["checks"] == {
        "processes": 1,
        "rss_identity": {"failed": 1},
        "mappings_apart": {"held": 1},
        "last_block_whole": {"held": 1},
        "start_time_unchanged": {"held": 1},
        "findings": [
            {
                "host": r"a\x1b",
                "pid": 7,
                "check": "rss_identity",
                "verdict": "failed",
                "message": "mapping 00200000: Rss is 9 kB, its four parts 8 kB",
            }
        ],
    }
