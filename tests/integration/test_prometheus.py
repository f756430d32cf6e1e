"""The metrics of two services through Debian's promtool, node_exporter and Prometheus, and the dashboard's queries."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics_servers import Server, missing, node_exporter, prometheus
from program import fleetpmap
from snippets import blocks

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

_DOCS = Path(__file__).parents[2] / "docs"
GUIDE = _DOCS / "guides" / "prometheus.md"
DASHBOARD = json.loads((_DOCS / "grafana" / "fleetpmap.json").read_text(encoding="utf-8"))
SERVICES = {"gunicorn.service": "gunicorn", "bash": "bash"}
_RANGE_S = 3600


@pytest.fixture(scope="module")
def textfiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the textfile collector, with a file of each service."""
    directory = tmp_path_factory.mktemp("textfiles")
    for service, name in SERVICES.items():
        file = directory / f"fleetpmap-{name}.prom"
        view = ("--view", "services", "--by", "host,service")
        fleetpmap("demo", "--match", name, *view, "--label", f"service={service}", "-o", str(file))
    assert len([*directory.iterdir()]) == 2
    return directory


@pytest.fixture(scope="module")
def exporter(textfiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with node_exporter(textfiles, tmp_path_factory.mktemp("exporter")) as server:
        yield server


@pytest.fixture(scope="module")
def history(exporter: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Prometheus over two hours of recorded data. It scrapes nothing, since it begins that only after five seconds."""
    directory = tmp_path_factory.mktemp("prometheus")
    recorded = directory / "recorded.om"
    recorded.write_text(_recorded(exporter.get("/metrics"), until_s=time.time()))
    words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(recorded), str(directory / "data")]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    with prometheus(directory) as server:
        yield server


def _recorded(text: str, until_s: float) -> str:
    """The samples that node_exporter serves, at every minute of two hours, each one larger than the one before."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(("# TYPE fleetpmap_", "# TYPE node_textfile_mtime")):
            lines.append(line)
        elif line.startswith(("fleetpmap_", "node_textfile_mtime")):
            series, _, value = line.rpartition(" ")
            times = (until_s - 7200 + 60 * minute for minute in range(121))
            lines += [f"{series} {float(value) + minute} {at:.3f}" for minute, at in enumerate(times)]
    return "\n".join([*lines, "# EOF", ""])


def _queries() -> list[tuple[str, str]]:
    queries = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    for variable, value in {"$service": ".*", "$host": ".*", "$__range": f"{_RANGE_S}s"}.items():
        queries = [(title, text.replace(variable, value)) for title, text in queries]
    assert not [text for _, text in queries if "$" in text]
    return queries


def test_promtool_has_nothing_to_say(textfiles: Path):
    """`promtool check metrics` is silent about every file."""
    for file in textfiles.iterdir():
        words = ["promtool", "check", "metrics"]
        done = subprocess.run(words, input=file.read_text(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_files_stand_beside_each_other(exporter: Server):
    """node_exporter serves the samples of both, and its log has no error."""
    text = exporter.get("/metrics")
    assert "node_textfile_scrape_error 0" in text
    for service in SERVICES:
        assert re.search(rf'^fleetpmap_pss_bytes\{{host="web-01",service="{service}"}} \d', text, re.MULTILINE)
        assert re.search(rf'^fleetpmap_hosts\{{service="{service}",status="ok"}} [23]$', text, re.MULTILINE)
    assert "level=error" not in exporter.log


def test_without_labels_they_do_not(textfiles: Path, tmp_path: Path):
    """The reason for --label: node_exporter refuses two files with the same series."""
    for file in textfiles.iterdir():
        text = re.sub(r',?service="[^"]*"', "", file.read_text())
        (tmp_path / file.name).write_text(text)
    with node_exporter(tmp_path, tmp_path) as server:
        server.get("/metrics")
        assert "was collected before with the same name and label values" in server.log


@pytest.mark.parametrize(("title", "query"), _queries(), ids=lambda text: text[:60])
def test_a_query_of_the_dashboard_has_data(history: Server, title: str, query: str):
    """In a real Prometheus, for all services and hosts."""
    samples = history.query(query)
    assert samples, title
    assert all(sample["value"][1] != "NaN" for sample in samples)


def test_the_dashboard_offers_services_and_hosts(history: Server):
    """As Grafana's variables ask for them."""
    found = {
        name: history.api(f"label/{name}/values", **{"match[]": "fleetpmap_pss_bytes"}) for name in ("service", "host")
    }
    assert found == {"service": sorted(SERVICES), "host": ["web-01", "web-02", "web-03"]}
    definitions = [variable.get("definition") for variable in DASHBOARD["templating"]["list"]]
    assert definitions == [None, *(f"label_values(fleetpmap_pss_bytes, {name})" for name in found)]


def test_the_alerts_of_the_guide(tmp_path: Path):
    """`promtool check rules` accepts them."""
    (tmp_path / "rules.yml").write_text(blocks(GUIDE, "yaml")[0])
    done = subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS: 4 rules found" in done.stdout


def test_growth_is_that_of_the_range(history: Server):
    """Each series of the recorded data grows by a byte a minute, and bash runs on three hosts."""
    (growth,) = [text for title, text in _queries() if title.startswith("Growth")]
    grown = {sample["metric"]["service"]: sample["value"][1] for sample in history.query(growth)}
    assert grown == dict.fromkeys(SERVICES, "180")
