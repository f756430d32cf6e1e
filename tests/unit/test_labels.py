"""--label KEY=VALUE: what it may be, and where it goes."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import output_from
from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS
from fleetpmap.labels import OWN, Label, labels_from, together
from fleetpmap.report import hosts, merged, processes
from fleetpmap.report.shape import Shape
from fleetpmap.snapshot import Snapshot
from snapshots import small_fleet


def _labelled(*labels: Label) -> Snapshot:
    fleet = small_fleet()
    return replace(fleet, run=replace(fleet.run, labels=labels))


def _text(format_: str, report) -> str:
    file = io.BytesIO()
    EXPORTERS[format_].write(report, file)
    return file.getvalue().decode()


def _refused(*texts: str, to: OutputOptions | None = None, view: str = "hosts") -> UsageError:
    options = replace(to or OutputOptions(format=Format.openmetrics), label=[*texts])
    with pytest.raises(UsageError) as error:
        output_from(ShowOptions(view=View(view)), ShapeOptions(), options)
    assert error.value.hint
    return error.value


def test_a_value_is_any_text():
    """Only the first = separates."""
    assert labels_from(["service=shop", "query=a=b c"]) == (Label("service", "shop"), Label("query", "a=b c"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("shop", "the value is missing"),
        ("service=", "the value is missing"),
        ("=shop", '"" cannot be a key'),
        ("7up=x", '"7up" cannot be a key'),
        ("service.name=x", '"service.name" cannot be a key'),
        ("__name__=x", '"__name__" cannot be a key'),
        ("é=x", '"é" cannot be a key'),
        *((f"{key}=x", f'fleetpmap sets "{key}" itself') for key in OWN),
    ],
)
def test_what_is_no_label(text: str, why: str):
    """Each is refused with the reason, and what to write."""
    error = _refused(text)
    assert error.message.startswith(f"--label {text}: {why}")
    assert error.hint == "write --label service=shop"


def test_one_key_twice():
    """Neither of the two is taken for the later one."""
    assert _refused("env=prod", "env=test").message == "--label env=test: env is prod already"


@pytest.mark.parametrize("format_", ["csv", "markdown", "html", "plain"])
def test_formats_without_a_place_for_labels(format_: str):
    """The error names those that have one."""
    error = _refused("service=shop", to=OutputOptions(format=Format(format_)))
    assert error.message == f"--label service: {format_} has no place for labels"
    assert error.hint == "json, jsonl, openmetrics and parquet have one, and what --save keeps"


def test_one_file_that_keeps_labels_is_enough(tmp_path):
    """The report may be a table if a file of --export has the labels, or the stored run."""
    options = OutputOptions(format=Format.plain, label=["service=shop"])
    exports = ShowOptions(view=View.hosts, export=[f"{tmp_path}/x.prom"])
    assert output_from(exports, ShapeOptions(), options).labels == (Label("service", "shop"),)
    assert output_from(ShowOptions(), ShapeOptions(), options, saved=True).labels == (Label("service", "shop"),)


@pytest.mark.parametrize("view", [hosts, processes, merged], ids=lambda view: view.__name__)
def test_every_sample_has_the_labels(view):
    """Those of the coverage too, so that the files of two runs have no series in common."""
    text = _text("openmetrics", view(_labelled(Label("service", 'a"b'), Label("env", "prod"))))
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) > 20
    assert all(r',service="a\"b",env="prod"} ' in line for line in samples)


def test_the_rest_of_the_rows_has_the_labels():
    text = _text("openmetrics", merged(_labelled(Label("env", "prod")), shape=Shape(top=1)))
    assert 'fleetpmap_pss_bytes{more="true",env="prod"} ' in text


def test_rows_keep_their_own_label():
    """The coverage has that of the run: `--view services --label service=nginx.service` labels every sample."""
    text = _text("openmetrics", merged(_labelled(Label("mapping", "mine"))))
    assert 'fleetpmap_pss_bytes{mapping="[heap]"} ' in text
    assert 'fleetpmap_hosts{status="ok",mapping="mine"} ' in text


def test_json_has_them_with_the_run():
    """Only where there are some, as readers of earlier versions expect."""
    assert json.loads(_text("json", hosts(_labelled(Label("env", "p\x1b")))))["run"]["labels"] == {"env": "p\\x1b"}
    assert "labels" not in json.loads(_text("json", hosts(small_fleet())))["run"]
    last = _text("jsonl", hosts(_labelled(Label("env", "prod")))).splitlines()[-1]
    assert json.loads(last)["run"]["labels"] == {"env": "prod"}


def test_the_later_of_two_counts():
    """`show --label` beside those of the stored run."""
    both = together([Label("env", "prod"), Label("service", "shop")], [Label("env", "test")])
    assert both == (Label("env", "test"), Label("service", "shop"))


def test_runs_that_are_joined_keep_what_they_have_in_common():
    """As the shards of one run do."""
    one, two = (_labelled(Label("env", "prod"), Label("gate", gate)) for gate in "ab")
    assert Snapshot.joined([one, two]).run.labels == (Label("env", "prod"),)
