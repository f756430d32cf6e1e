"""Process options over a saved run: as a run that looked for these processes."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from fleetpmap import Host, Question, Selection, UsageError, collect, load_snapshot, report, write_snapshot
from fleetpmap.cli.commands.explore import _runs
from fleetpmap.cli.run_loader import RunLoader
from fleetpmap.report import Table
from fleetpmap.snapshot import Snapshot
from fleetpmap.snapshot_file import save_in
from fleetpmap.snapshot_file.selected import selected
from fleetpmap.transport import SshOptions
from program import fleetpmap

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
HOSTS = [
    Host(name, transport="local", proc_root=str(FAKE_PROC / name)) for name in ("web-01", "web-02", "web-03", "db-01")
]
SELECTIONS = {
    "name": Selection(match=re.compile("gunicorn")),
    "command line": Selection(match=re.compile("worker|master"), full=True),
    "exact": Selection(match=re.compile("gunicorn"), exact=True),
    "a part of a name, exactly": Selection(match=re.compile("gunic"), exact=True),
    "pids": Selection(pids=(1843, 1702, 999999)),
    "newest": Selection(match=re.compile("n"), newest=True),
    "oldest": Selection(oldest=True),
    "user": Selection(match=re.compile("gunicorn|nginx"), users=("app", "0")),
    "unit": Selection(match=re.compile("gunicorn|nginx"), unit="nginx,gunicorn*"),
    "cgroup": Selection(match=re.compile("gunicorn|nginx"), cgroup="system.slice"),
    "two together": Selection(match=re.compile("gunicorn"), pids=(1843,)),
    "none": Selection(match=re.compile("no such")),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    path = tmp_path_factory.mktemp("saved") / "all.parquet"
    with path.open("wb") as file:
        write_snapshot(_run(Selection()), file)
    return load_snapshot(path)


def _run(selection: Selection) -> Snapshot:
    return collect([*HOSTS, Host("away", address="127.0.0.1", port=1)], Question(selection, ssh=SshOptions()))


@pytest.mark.parametrize("name", SELECTIONS)
def test_as_a_run_that_looked_for_them(saved: Snapshot, name: str) -> None:
    """Rows, totals, statuses of hosts, coverage and findings; the host that failed stays."""
    part, run = selected(saved, SELECTIONS[name]), _run(SELECTIONS[name])
    assert part.coverage == run.coverage
    assert [(host.name, host.status, host.keys) for host in part.hosts] == [
        (host.name, host.status, host.keys) for host in run.hosts
    ]
    for view in (report.processes, report.merged, report.hosts, report.services):
        ours, theirs = view(part).tables, view(run).tables
        assert [_cells(one) for one in ours] == [_cells(one) for one in theirs]
    assert view(part).findings == view(run).findings


def _cells(table: Table) -> tuple[object, ...]:
    return table.rows(), [column.total for column in table.columns]


def test_exe_is_not_in_a_saved_run(saved: Snapshot) -> None:
    with pytest.raises(UsageError, match="--exe: a saved run does not have the paths of programs"):
        selected(saved, Selection(exe="nginx"))


def test_each_run_of_a_directory_that_is_explored(tmp_path: Path) -> None:
    """Else all the other processes would have begun or ended between two of them."""
    for _ in range(2):
        save_in(tmp_path, _run(Selection()))
    with closing(RunLoader()) as loader:
        runs = _runs(tmp_path, loader, SELECTIONS["name"])
        assert [{one.name for one in run.load().processes} for run in runs] == [{"gunicorn"}] * 2


def test_no_match_says_what_is_near_and_what_the_run_looked_for(tmp_path: Path) -> None:
    """The name may be misspelled, or not have been looked for."""
    inventory, runs = tmp_path / "inventory.toml", f"{tmp_path}/runs/"
    inventory.write_text(f'[hosts.web-01]\ntransport = "local"\nproc_root = "{FAKE_PROC / "web-01"}"\n')
    fleetpmap("run", "-i", str(inventory), "--match", "gunicorn", "--save", runs)
    done = fleetpmap("show", runs, "--match", "gunicrn")
    assert done.returncode == 5
    assert f"{runs}: has the processes of `fleetpmap run -i {inventory} --match gunicorn --save {runs}`" in done.stderr
    assert "gunicorn" in done.stderr.replace(f"{runs}: has", "").partition("no process matched")[2]
    assert fleetpmap("show", runs, "--match", "gunicorn", "--pid", "1843").returncode == 0
