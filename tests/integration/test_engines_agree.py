"""One process, several, the workers of a Dask cluster, and shards of gateways give the same reports."""

from __future__ import annotations

import re

import pytest

import test_workers
from dask_cluster import DaskCluster
from program import fleetpmap
from test_workers import run

inventory = test_workers.inventory

VIEWS = ("summary", "merged", "hosts", "services", "processes", "compare", "stale", "mappings")


@pytest.fixture(scope="module")
def exports(inventory, tmp_path_factory):
    """Every view as csv and json by each engine."""
    by_engine: dict[str, dict[str, str]] = {}
    said = []

    def export(engine: str, *words: str) -> None:
        directory = inventory.parent / engine
        directory.mkdir()
        files = [f"--export={view}={directory}/{view}.{suffix}" for view in VIEWS for suffix in ("csv", "json")]
        done = fleetpmap(*words, "--format", "plain", *files)
        assert done.returncode == 3, done.stderr
        by_engine[engine] = {path.name: without_time(path.read_text()) for path in sorted(directory.iterdir())}
        said.append((done.stdout, done.stderr.replace(str(directory), "")))

    asked = ("run", "-i", str(inventory), "--ssh-config", "none", "--all")
    export("one", *asked)
    export("workers-3", *asked, "--workers", "3")
    with DaskCluster(tmp_path_factory.mktemp("dask")) as cluster:
        for count in (2, 4):
            cluster.have(count)
            export(f"dask-{count}", *asked, "--on", cluster.address, "-j", "10")
        saved = {"saved-by-dask": ("--on", cluster.address), "saved-by-workers": ("--workers", "2"), "saved-by-one": ()}
        for name, words in saved.items():
            kept = f"{inventory.parent}/{name}.parquet"
            assert run(inventory, "--all", "--save", kept, *words).returncode == 3
            export(name, "show", kept)
    assert said[1:] == said[:1] * 6
    directory = f"{inventory.parent}/saved/"
    for number in (3, 1, 2):
        assert run(inventory, "--all", "--shard", f"{number}/3", "--save", directory).returncode == 3
    export("shards", "show", directory)
    return by_engine


@pytest.mark.parametrize(
    "engine", ["workers-3", "dask-2", "dask-4", "saved-by-one", "saved-by-workers", "saved-by-dask", "shards"]
)
@pytest.mark.parametrize("view", VIEWS)
def test_reports_do_not_show_which_engine_asked(exports, view, engine):
    """Sixty hosts, ten of them with faults: byte for byte the report of one process."""
    for name in (f"{view}.csv", f"{view}.json"):
        assert len(exports["one"][name]) > 400
        assert exports[engine][name] == exports["one"][name]


def without_time(text: str) -> str:
    """Blank what two runs never have in common: their own times."""
    text = re.sub(r'"(elapsed_s|command)": [^\n]*', r'"\1": 0', text)
    return re.sub(r'("started": )"20\d\d[^"]*"', r"\1T", text)
