"""openmetrics: read by Prometheus' own parsers, of OpenMetrics and of the older text format."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import output_from
from fleetpmap.errors import UsageError
from fleetpmap.escape import escape
from fleetpmap.export import EXPORTERS
from fleetpmap.report import Shape, hosts, merged, processes, summary
from program import fleetpmap
from snapshots import expected, failed, host, mapping, process, sizes, small_fleet, snapshot

REASON = "prometheus_client is in the dev group: pip install --group dev"
openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser", reason=REASON).text_string_to_metric_families
text_format = pytest.importorskip("prometheus_client.parser", reason=REASON).text_string_to_metric_families
OURSELVES = ("-H", "local", "--pid", str(os.getpid()))


def _text(report):
    file = io.BytesIO()
    EXPORTERS["openmetrics"].write(report, file)
    return file.getvalue().decode("utf-8")


def _samples(text, parser=openmetrics):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser(text)
        for sample in family.samples
    }


def _refused(show, shape=None):
    with pytest.raises(UsageError) as error:
        output_from(show, shape or ShapeOptions(), OutputOptions(format=Format.openmetrics))
    return error.value


@pytest.mark.parametrize("view", [hosts, processes, merged], ids=lambda view: view.__name__)
def test_whole_document(view):
    """Every gauge of the view, then the coverage."""
    text = _text(view(small_fleet()))
    assert text == expected(f"{view.__name__}.prom", text)


@pytest.mark.parametrize("view", [hosts, processes, merged, summary], ids=lambda view: view.__name__)
def test_both_parsers_read_the_same(view):
    """Prometheus scrapes the one, node_exporter's textfile collector reads only the other."""
    text = _text(view(small_fleet()))
    assert _samples(text) == _samples(text, text_format)
    assert text.endswith("\n# EOF\n")


def test_sizes_are_bytes():
    """A KiB of the kernel is 1024 bytes, and the unit is named."""
    text = _text(hosts(snapshot(host("a", process(1, "x", mapping(size=8, Rss=5, Pss=3))))))
    assert _samples(text)["fleetpmap_pss_bytes", (("host", "a"),)] == 3072
    families = {family.name: family for family in openmetrics(text)}
    assert (families["fleetpmap_rss_bytes"].type, families["fleetpmap_rss_bytes"].unit) == ("gauge", "bytes")
    assert families["fleetpmap_rss_bytes"].documentation.startswith("Resident set size.")
    assert families["fleetpmap_mappings"].unit == ""


def test_unknown_has_no_sample():
    """Neither 0 nor anything else; what is zero is 0."""
    text = _text(hosts(snapshot(host("old", process(1, "x", mapping(Rss=0))), failed("gone", "dns", "gone: no name"))))
    samples = _samples(text)
    assert samples["fleetpmap_rss_bytes", (("host", "old"),)] == 0
    assert not [key for key in samples if key[0] == "fleetpmap_pss_bytes" or ("host", "gone") in key[1]]


def test_coverage_is_every_status():
    """0 too, so that an alert on a status has a series."""
    samples = _samples(_text(hosts(small_fleet())))
    status = {key[1][0][1]: value for key, value in samples.items() if key[0] == "fleetpmap_hosts"}
    assert (status["ok"], status["timeout"], status["dns"], len(status)) == (2, 2, 0, 14)
    status = {key[1][0][1]: value for key, value in samples.items() if key[0] == "fleetpmap_processes"}
    assert (status["read"], status["denied"], status["cut"], len(status)) == (3, 1, 0, 10)


def test_labels_are_what_tells_rows_apart():
    """Not the command line or the status, which change: a series would end, and another begin."""
    assert 'fleetpmap_pss_bytes{host="web-01",pid="812",name="nginx"} ' in _text(processes(small_fleet()))
    assert 'fleetpmap_pss_bytes{host="web-01",kind="heap"} ' in _text(merged(small_fleet(), ("host", "kind")))


def test_what_top_leaves_out_is_one_series():
    """With a label that no row has, so that the sum is whole and nothing can pass for it."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/(1 more)", **sizes(9, 9, 9, 0, 0, 9, 0, 0, 0, 0)))),
        host("b", process(1, "x", mapping("/y", **sizes(4, 4, 4, 0, 0, 4, 0, 0, 0, 0)))),
        host("c", process(1, "x", mapping("/z", **sizes(2, 2, 2, 0, 0, 2, 0, 0, 0, 0)))),
    )
    samples = _samples(_text(merged(fleet, shape=Shape(top=2))))
    rows = {key[1]: value for key, value in samples.items() if key[0] == "fleetpmap_pss_bytes"}
    assert rows == {
        (("mapping", "/(1 more)"),): 9216,
        (("mapping", "/y"),): 4096,
        (("more", "true"),): 2048,
    }


@pytest.mark.parametrize("name", ['"', "\\", 'a"} 1\nforged{x="', "\n# EOF\n", "\udcff\u202e\x1b", "{}", "\\n", "a\\"])
def test_a_name_is_only_a_label(name):
    """Readers give back any name as every format shows it."""
    text = _text(processes(snapshot(host("a", process(1, name, mapping(Rss=1))))))
    for parser in (openmetrics, text_format):
        samples = _samples(text, parser)
        assert samples["fleetpmap_rss_bytes", (("host", "a"), ("name", escape(name)), ("pid", "1"))] == 1024
        assert not [key for key in samples if "forged" in key[0]]


@pytest.mark.parametrize("view", ["mappings", "pmap", "compare", "stale"])
def test_a_view_that_is_no_series(view: str):
    """It is refused before any host is queried."""
    error = _refused(ShowOptions(view=View(view)))
    assert error.message == f"--format: openmetrics cannot hold the view {view}"
    assert error.hint.startswith("name one of --view hosts, services, processes and merged")


@pytest.mark.parametrize(
    ("view", "columns", "lacking"),
    [("hosts", "pss", "host"), ("processes", "host,name,pss", "pid"), ("merged", "pss", "mapping")],
)
def test_rows_that_would_be_one_series(view: str, columns: str, lacking: str):
    """Without what tells the rows apart they are no metric."""
    error = _refused(ShowOptions(view=View(view)), ShapeOptions(columns=columns))
    assert error.message == f"--columns: without {lacking} openmetrics cannot tell the rows apart"


def test_a_file_for_the_textfile_collector(tmp_path: Path):
    """The suffix names the format; nothing but the file is left in the directory that the collector reads."""
    file = tmp_path / "fleetpmap.prom"
    done = fleetpmap("run", *OURSELVES, "--view", "hosts", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fleetpmap.prom"]
    assert _samples(file.read_text(), text_format)["fleetpmap_hosts", (("status", "ok"),)] == 1
    assert not re.search(r"} \d+ \d", file.read_text())  # a timestamp, which it refuses


@pytest.mark.parametrize("command", ["ps", "hosts", "fields", "doctor"])
def test_commands_that_have_no_metrics(command: str):
    """Only run and demo report memory."""
    done = fleetpmap(command, "--format", "openmetrics")
    assert done.returncode == 2
    assert "openmetrics cannot hold" in done.stderr
