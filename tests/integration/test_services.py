"""The services of a run: asked for by --view services, and first in a run over every process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from program import fleetpmap

WEB_01 = Path(__file__).parents[1] / "fake_proc" / "web-01"
_HAS_ROLLUP = Path("/proc/self/smaps_rollup").exists()


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """A recorded host, read without SSH."""
    file = tmp_path / "inventory.toml"
    file.write_text(f'[hosts.web-01]\ntransport = "local"\nproc_root = "{WEB_01}"\n')
    return str(file)


def document(*words: str) -> dict:
    """The json document of a run."""
    done = fleetpmap(*words, "--format", "json")
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def test_a_run_over_every_process_begins_with_the_services(inventory: str):
    """In json under `services`; a run over some has no such key, and csv has the mappings as ever."""
    every = document("run", "-i", inventory, "--all")
    assert "gunicorn.service" in {row["service"] for row in every["services"]}
    of_status = every["coverage"]["processes"]
    assert sum(row["processes"] for row in every["services"]) == of_status["read"] + of_status["unsupported"]
    assert "services" not in document("run", "-i", inventory, "--match", "gunicorn")
    done = fleetpmap("run", "-i", inventory, "--all", "--format", "csv")
    assert done.stdout.startswith("hosts,processes,mappings,")


def test_show_begins_with_them_if_every_process_was_asked_for(inventory: str, tmp_path: Path):
    """A saved run of --all, and a copy of /proc; not what was narrowed, by the run or by show."""
    every, some = (tmp_path / name for name in ("every.parquet", "some.parquet"))
    for path, words in ((every, ("--all",)), (some, ("--match", "gunicorn"))):
        done = fleetpmap("run", "-i", inventory, *words, "--save", str(path))
        assert done.returncode in (0, 3), done.stderr
    assert ["services" in document("show", str(path)) for path in (every, some, WEB_01)] == [True, False, True]
    assert "services" not in document("show", str(WEB_01), "--match", "gunicorn")


def test_rows_are_the_same_from_sums_and_from_mappings(inventory: str, tmp_path: Path):
    """A page needs every mapping, so the same run reads them all."""
    of_sums = document("run", "-i", inventory, "--all", "--view", "services", "--by", "host,service")
    of_rows = document(
        *("run", "-i", inventory, "--all", "--view", "services", "--by", "host,service"),
        *("--export", f"mappings={tmp_path / 'all.csv'}"),
    )
    assert of_sums["rows"] == of_rows["rows"]
    assert {row["host"] for row in of_sums["rows"]} == {"web-01"}


@pytest.mark.skipif(not _HAS_ROLLUP, reason="this kernel has no smaps_rollup (4.14)")
def test_rollup_is_enough():
    """All but what depends on the files that the processes map."""
    words = ("run", "-H", "local", "--pid", str(os.getpid()), "--view", "services")
    (row,) = document(*words, "--rollup")["rows"]
    assert row["pss_kib"] > 0
    assert row["ram_share"] > 0
    assert row["started"] == row["newest"]
    assert row["drift"] is None
    (row,) = document(*words)["rows"]
    assert row["drift"] is not None


def test_lines_come_when_the_last_host_has_answered(inventory: str):
    """A row holds several hosts, so nothing is written before; the last line is the rest of the document."""
    done = fleetpmap("run", "-i", inventory, "--all", "--view", "services", "--format", "jsonl")
    *rows, last = map(json.loads, done.stdout.splitlines())
    assert "service" in rows[0]
    assert last["view"] == "services"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--view", "services", "--by", "mapping"), "--by mapping: the rows of --view services are services"),
        (("--view", "services", "--by", "host"), "--by host: the rows of --view services are services"),
        (("--view", "services", "--columns", "pss", "--format", "openmetrics"), "without service openmetrics cannot"),
    ],
)
def test_keys_that_make_no_sense_are_refused(words: tuple[str, ...], message: str):
    """Before any host is asked."""
    done = fleetpmap("run", "-H", "local", "--all", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
