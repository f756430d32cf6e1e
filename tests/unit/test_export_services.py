"""services in every format: limits that are none, limits that are unknown, and percents."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import polars
import pytest
from rich.console import Console

from charged import cgroup, of, with_memory
from fleetpmap.export import EXPORTERS
from fleetpmap.render import plain, table
from fleetpmap.report import VIEWS, ViewOptions, hosts, page, services
from fleetpmap.wire import HostMemory, Pressure
from snapshots import expected, host, mapping, process, small_fleet, snapshot
from test_report_services import fleet


def written(report, format_):
    """What the exporter writes."""
    file = io.BytesIO()
    EXPORTERS[format_].write(report, file)
    return file.getvalue()


def three() -> object:
    """A service near its limit, one without a limit, and one of which nothing is known."""
    return snapshot(
        with_memory(
            host("a", *(of(name, process(pid, name), cgroup=f"/{name}") for pid, name in enumerate("xyz", start=1))),
            cgroup("/x", current=713, limit=1000),
            cgroup("/y", current=9, unlimited=True),
            total=1000,
        )
    )


LIMITS = {"x": (1000, 71.3), "y": ("-", "-"), "z": (None, None)}


def test_csv_has_a_dash_for_no_limit_and_nothing_for_an_unknown_one():
    """Numbers are plain, so a percent has no sign."""
    rows = list(csv.DictReader(io.StringIO(written(services(three()), "csv").decode())))
    assert {row["service"]: (row["limit_kib"], row["limit_share"]) for row in rows} == {
        "x": ("1000", "71.3"),
        "y": ("-", "-"),
        "z": ("", ""),
    }


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_json_has_the_same(format_):
    """`-` and null."""
    text = written(services(three()), format_).decode()
    rows = json.loads(text)["rows"] if format_ == "json" else [*map(json.loads, text.splitlines()[:-1])]
    assert {row["service"]: (row["limit_kib"], row["limit_share"]) for row in rows} == LIMITS


def test_parquet_has_numbers_and_says_which_nulls_are_unlimited():
    """A column has one type, so both are null there, and `unlimited` tells them apart."""
    frame = polars.read_parquet(io.BytesIO(written(services(three()), "parquet")))
    assert {name: str(frame.schema[name]) for name in ("limit_kib", "limit_share", "ram_share", "unlimited")} == {
        "limit_kib": "Int64",
        "limit_share": "Float64",
        "ram_share": "Float64",
        "unlimited": "Boolean",
    }
    assert frame.select("service", "limit_kib", "limit_share", "unlimited").sort("service").rows() == [
        ("x", 1000, 71.3, False),
        ("y", None, None, True),
        ("z", None, None, None),
    ]


def test_openmetrics():
    """Bytes and ratios, with the labels service and, by host, host."""
    text = written(services(fleet(), by=("host", "service")), "openmetrics").decode()
    assert text == expected("services.prom", text)
    assert 'fleetpmap_pss_bytes{service="shop.service"} 1105920' in written(services(fleet()), "openmetrics").decode()


def test_plain_is_for_awk():
    """71.3 is a number; `71.3%` would be compared as a text."""
    assert [line.split()[15] for line in plain(services(three())).splitlines()[1:4]] == ["71.3", "-", "?"]
    assert plain(services(three()), human=True).splitlines()[1].split()[15] == "71.3%"


@pytest.mark.parametrize("width", [80, 100])
def test_terminal_keeps_what_matters(width):
    """The service, its PSS and how near it is to its limit are there at every width, and nothing sticks out."""
    long = "user@1000/app-org.example.Shop.service"
    one = with_memory(
        host("web-01", of(long, process(7, "shop", mapping(Rss=9_000_000, Pss=9_000_000)), cgroup="/s", started=1e9)),
        cgroup("/s", current=9_500_000, peak=9_900_000, limit=10_000_000, oom=1, oom_kills=1),
        total=64_000_000,
    )
    screen = Console(width=width, file=io.StringIO(), soft_wrap=True)
    screen.print(table(services(snapshot(one))))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    head, row = lines[:2]
    assert {"service", "pss", "limit_share"} <= {*head.split()}
    assert row.startswith(long)
    assert " 8.6G " in f"{row} "
    assert "95.0%" in row
    assert max(map(len, lines)) <= width


def test_html_shows_percents_and_dashes():
    """A page of services begins with them; one of every process has them above the mappings; one of a service none."""
    text = written(page(VIEWS["services"], three(), ViewOptions()), "html").decode()
    cells = re.findall(
        r"<td class=\"n\">(?:<[^>]*>)?([^<\n]*)", text.partition('id="t-services"')[2].partition("</table>")[0]
    )
    assert "71.3%" in cells
    assert "-" in cells
    summary = written(page(VIEWS["summary"], fleet(), ViewOptions()), "html").decode()
    ids = re.findall(r'<table id="t-(\w+)"', summary)
    assert ids[:3] == ["services", "merged", "hosts"]
    one_service = written(page(VIEWS["summary"], small_fleet(), ViewOptions()), "html").decode()
    assert "services" not in re.findall(r'<table id="t-(\w+)"', one_service)


def test_markdown():
    """The services come first in a summary of every process."""
    text = written(VIEWS["summary"](fleet(), ViewOptions(services=True)), "markdown").decode()
    assert text == expected("summary_services.md", text)


def test_hosts_have_their_memory():
    """MemTotal, MemAvailable and the share that the processes hold; a total with an unknown part is unknown."""
    (found,) = hosts(fleet()).tables
    names = ("host", "mem_total_kib", "mem_available_kib", "ram_share")
    assert list(zip(*(found.column(name).cells() for name in names), strict=True)) == [
        ("web-01", 10_000, 4_000, 11.0),
        ("web-02", 30_000, None, 0.3),
        ("web-03", None, None, None),
    ]
    assert [found.column(name).total for name in names[1:3]] == [40_000, None]


def test_json_has_all_that_is_known_of_cgroups_and_hosts():
    """Figures that are no columns of services: a row for each cgroup, and the memory of each host."""
    pressure = Pressure(0.5, 0.25, 0.0, 0.1, 0.0, 0.0)
    one = with_memory(
        host("a", of("x", process(1, "x"), cgroup="/x"), of("y", process(2, "y"), cgroup="/x")),
        cgroup("/x", current=713, limit=1000, limit_path="/", high_kib=900, slab_kib=3, pressure=pressure),
        cgroup("/z", unlimited=True),
    )
    document = json.loads(written(services(snapshot(one)), "json"))
    told = [{name: cell for name, cell in row.items() if cell is not None} for row in document["cgroups"]]
    assert told == [
        {
            **{
                "host": "a",
                "cgroup": "/x",
                "services": "x,y",
                "current_kib": 713,
                "limit_kib": 1000,
                "limit_path": "/",
            },
            **{"high_kib": 900, "slab_kib": 3, "pressure_some_avg10": 0.5, "pressure_some_avg60": 0.25},
            **{"pressure_some_avg300": 0.0, "pressure_full_avg10": 0.1, "pressure_full_avg60": 0.0},
            "pressure_full_avg300": 0.0,
        },
        {"host": "a", "cgroup": "/z", "services": "", "limit_kib": "-", "limit_path": ""},
    ]
    memory = HostMemory(100, 50, 20, 10, pressure)
    document = json.loads(written(hosts(snapshot(replace(one, memory=memory))), "json"))
    assert document["memory"]["a"] == {
        **{"total_kib": 100, "available_kib": 50, "swap_total_kib": 20, "swap_free_kib": 10},
        "pressure": {
            **{"some_avg10": 0.5, "some_avg60": 0.25, "some_avg300": 0.0},
            **{"full_avg10": 0.1, "full_avg60": 0.0, "full_avg300": 0.0},
        },
    }
    assert "cgroups" not in document
