"""diff after a deploy on eight hosts: one screen, the largest growth first, the restart in one sentence."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

import deploy
from fleetpmap import render
from fleetpmap.export import EXPORTERS
from fleetpmap.report import Report, diff
from snapshots import expected

SENTENCE = "gunicorn on web[01-08]: 24 processes restarted; 22M → 58M each, +36M in [heap], on all 8"


def _screen(report: Report, *, human: bool) -> str:
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(render.table(report, human=human))
    return file.getvalue()


def _written(report: Report, format_: str) -> str:
    file = io.BytesIO()
    EXPORTERS[format_].write(report, file)
    return file.getvalue().decode()


def test_it_is_one_screen():
    """Read aloud: what grew, where, and what was not worth a row."""
    text = _screen(diff(deploy.before(), deploy.after()), human=True)
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 80
    assert text == expected("diff_of_a_deploy.txt", text)


@pytest.mark.parametrize("human", [True, False])
@pytest.mark.parametrize("by", ["mapping", "service", "host", "host,service", "host,service,mapping"])
def test_it_is_one_screen_by_any_keys(by: str, human: bool):
    """The rows beyond the first ten are one."""
    text = _screen(diff(deploy.before(), deploy.after(), by.split(",")), human=human)
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 80


def test_the_sentence():
    """The restart of 24 processes is one finding; the job that ended is another."""
    assert diff(deploy.before(), deploy.after()).sentences == (
        SENTENCE,
        "8 processes are gone, which had 320K: logrotate",
    )


def test_nothing_within_the_floor_is_listed():
    """The libraries' PSS moved by 768 KiB each, because other processes came and went: no row, and in the total."""
    table = diff(deploy.before(), deploy.after()).tables[0]
    assert table.column("mapping").cells() == ["[heap]"]
    assert table.column("growth_kib").cells() == [884_344]
    assert table.column("growth_kib").total == 895_288


def test_by_service_it_is_one_row():
    """With the processes of both runs, those that were restarted, and the growth of each."""
    table = diff(deploy.before(), deploy.after(), ["service"]).tables[0]
    (row,) = (dict(zip((column.name for column in table.columns), cells, strict=True)) for cells in table.rows())
    assert row == {
        "hosts": 8,
        "processes": 24,
        "old_processes": 24,
        "restarted": 24,
        "old_kib": 535_596,
        "new_kib": 1_425_036,
        "growth_kib": 889_440,
        "growth_each_kib": 37_060,
        "growth_kib_per_hour": None,
        "service": "gunicorn.service",
        "status": "restarted",
    }


def test_every_format_says_the_same():
    """The row, the sentence and the note on the rest; csv, which holds one table, the row."""
    report = diff(deploy.before(), deploy.after(), ["host", "mapping"])
    document = json.loads(_written(report, "json"))
    rows = [(row["host"], row["growth_kib"], row["growth_each_kib"]) for row in document["rows"]]
    assert len(rows) == 8
    assert rows == sorted(rows, key=lambda row: -row[1])
    assert SENTENCE in [finding["text"] for finding in document["findings"]]
    in_csv = list(csv.DictReader(io.StringIO(_written(report, "csv"))))
    assert [(row["host"], int(row["growth_kib"]), int(row["growth_each_kib"])) for row in in_csv] == rows
    for format_ in ("markdown", "html"):
        text = _written(report, format_).replace("`", "")  # markdown's marks of a literal text
        assert SENTENCE in text
        assert "where no process changed by more than 64K of its own" in text
        at = [text.index(host) for host, _, _ in rows]
        assert len(set(at)) == 8
