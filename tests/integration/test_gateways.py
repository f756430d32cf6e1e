"""run --shard I/N --save DIR/ on ten gateways, and their files as one run: show, diff, history."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.snapshot_file import entries, load_snapshot
from gateways import NAMES, NOON, asked, recorded_fleet, save_shards
from program import fleetpmap

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
GATEWAYS = 10


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Host]:
    """24 recorded hosts."""
    return recorded_fleet(tmp_path_factory.mktemp("trees"))


@pytest.fixture(scope="module")
def replies(trees: Sequence[Host]) -> list[HostSnapshot]:
    """Their gunicorn processes."""
    return asked(trees, "gunicorn")


@pytest.fixture(scope="module")
def run(trees: Sequence[Host], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CompletedProcess[str]]:
    """Runs `fleetpmap run --all WORDS` over them."""
    inventory = tmp_path_factory.mktemp("inventory") / "inventory.toml"
    tables = (f'[hosts.{host.name}]\ntransport = "local"\nproc_root = "{host.proc_root}"\n' for host in trees)
    inventory.write_text("".join(tables))
    return lambda *words: fleetpmap("run", "-i", str(inventory), "--all", *words)


@pytest.fixture(scope="module")
def saved(run: Callable[..., CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ten gateways saved, one after the other."""
    directory = tmp_path_factory.mktemp("saved")
    for number in range(1, GATEWAYS + 1):
        done = run("--shard", f"{number}/{GATEWAYS}", "--save", f"{directory}/", "--view", "hosts", "--format", "csv")
        assert done.stderr.startswith(f"shard {number} of {GATEWAYS}: "), done.stderr
    return directory


def _without_run(document: str) -> str:
    """A json report without when it ran, how long, and its command line."""
    return re.sub(r'^"run": .*$', "", document, count=1, flags=re.MULTILINE)


@pytest.mark.parametrize("view", ["summary", "processes"])
def test_ten_gateways_are_one_run(view: str, saved: Path, run: Callable[..., CompletedProcess[str]]):
    """What is shown of their files is what one run over all hosts reports, byte for byte, notes and status with it."""
    whole = run("--view", view, "--format", "json")
    shown = fleetpmap("show", f"{saved}/", "--view", view, "--format", "json")
    assert _without_run(shown.stdout) == _without_run(whole.stdout)
    assert (shown.returncode, whole.returncode) == (3, 3)
    assert json.loads(shown.stdout)["coverage"]["hosts"]["asked"] == len(NAMES)
    # Findings name the next command, in which only a run has -i.
    assert shown.stderr == whole.stderr


def test_the_run_of_all_gateways(saved: Path):
    """It began with the first and has its command, without the shard."""
    first = load_snapshot(min(saved.iterdir())).run
    document = json.loads(fleetpmap("show", str(saved), "--format", "json").stdout)["run"]
    assert document["started"] == first.started.isoformat()
    assert document["elapsed_s"] > first.elapsed_s
    assert "--shard" in first.command
    assert document["command"] == first.command.replace(f"--shard 1/{GATEWAYS} ", "")


def test_a_gateway_s_own_report(run: Callable[..., CompletedProcess[str]]):
    """A shard has its own hosts, and a line that says so; the notes can be switched off."""
    words = ("--shard", "3/10", "--view", "hosts", "--format", "csv", "--columns", "host,status")
    done = run(*words)
    assert done.stdout.splitlines() == ["host,status", "web-09,partial", "db-09,partial", "web-08,partial"]
    assert done.stderr.splitlines()[0] == "shard 3 of 10: 3 of 24 hosts, from web-09 to web-08"
    assert "shard" not in run(*words, "--quiet").stderr


def test_more_gateways_than_hosts(tmp_path: Path):
    """An empty shard is a result, and saved, so that it is not missing later."""
    here = ("run", "-H", "local", "--pid", str(os.getpid()), "--save", f"{tmp_path}/", "--view", "hosts")
    one, two = (fleetpmap(*here, "--shard", f"{number}/2", "--format", "csv") for number in (1, 2))
    assert [one.returncode, two.returncode] == [0, 0]
    assert one.stderr.splitlines()[0] == "shard 1 of 2: 1 of 1 hosts, local"
    assert two.stderr == "shard 2 of 2: 0 of 1 hosts, as there are more shards than hosts\n"
    assert len(two.stdout.splitlines()) == 1
    [entry] = entries(tmp_path)
    assert len(entry.paths) == 2
    shown = fleetpmap("show", str(tmp_path), "--view", "hosts", "--format", "csv")
    assert (shown.returncode, shown.stdout) == (0, one.stdout)


@pytest.mark.parametrize("view", ["summary", "compare", "pmap"])
def test_an_empty_shard_in_a_view(view: str):
    """No host is needed for the columns of compare, nor for the text of pmap."""
    words = ("--shard", "2/2", "--view", view, "--format", "plain")
    done = fleetpmap("run", "-H", "local", "--all", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr


def test_what_is_no_shard():
    """It is said before any host is asked."""
    done = fleetpmap("run", "-H", "local", "--all", "--shard", "11/10")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == '--shard: "11/10" is none of 10 shards\nhint: they are numbered from 1 to 10\n'


def test_a_gateway_is_down(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Its hosts were not asked: rows with the reason, one sentence on stderr, exit status 3."""
    save_shards(tmp_path, replies, GATEWAYS, without=[3])
    done = fleetpmap("show", f"{tmp_path}/", "--view", "hosts", "--format", "csv", "--columns", "host,status,error")
    assert done.returncode == 3
    rows = done.stdout.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [*NAMES]
    assert [row for row in rows if "not-asked" in row] == [
        f"{name},not-asked,shard 3 of 10 is missing" for name in ("web-09", "db-09", "web-08")
    ]
    lines = done.stderr.splitlines()
    assert "db-09,web-[08-09]: shard 3 of 10 is missing" in lines
    assert "  hint: see why the machine that runs with --shard 3/10 did not save, or not in time" in lines
    assert lines[-1].startswith("18 of 24 hosts answered; 6 did not: ")


def test_all_gateways_but_an_empty_one_are_down(replies: Sequence[HostSnapshot], tmp_path: Path):
    """No host answered."""
    save_shards(tmp_path, replies[:1], 2, without=[1])
    done = fleetpmap("show", str(tmp_path), "--view", "hosts", "--format", "csv")
    assert (done.returncode, "web-12: shard 1 of 2 is missing" in done.stderr) == (4, True)


def test_what_is_left_out_is_named(replies: Sequence[HostSnapshot], tmp_path: Path):
    """A shard that came twice, and one of another fleet, which is missing in this one."""
    save_shards(tmp_path, replies, GATEWAYS, without=[7])
    again = save_shards(tmp_path, replies, GATEWAYS, without={*range(1, 11)} - {2}, late_s={2: 40})
    other = save_shards(tmp_path, replies[1:], GATEWAYS, without={*range(1, 11)} - {7})
    words = (str(tmp_path), "--view", "hosts", "--format", "csv")
    done = fleetpmap("show", *words)
    assert done.returncode == 3
    first, second, *others = done.stderr.splitlines()
    assert first.endswith(f"since it is shard 2 of 10, which came again 40 s later: {again[2].name} is taken")
    assert second.startswith(f"{other[7].name}: left out, since it is shard 7 of 10 of a fleet of other hosts")
    assert any(line.endswith("shard 7 of 10 is missing") for line in others)
    assert "left out" not in fleetpmap("show", *words, "--quiet").stderr


def test_shards_by_their_files(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Files that are named one by one are shown as they are, and say which shard they are."""
    files = save_shards(tmp_path, replies, 3)
    done = fleetpmap("show", str(files[3]), str(files[1]), "--view", "hosts", "--format", "csv", "--columns", "host")
    assert done.stdout.split() == ["host", *NAMES[16:], *NAMES[:8]]
    assert done.stderr.splitlines()[:2] == [
        f"{files[3]}: shard 3 of 3: 8 of 24 hosts, from web-04 to db-01",
        f"{files[1]}: shard 1 of 3: 8 of 24 hosts, from web-12 to db-09",
    ]


def test_diff_and_history(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Twelve runs of three gateways, one of which was down once: twelve runs, and a gap."""
    for number in range(12):
        started = NOON + timedelta(minutes=5 * number)
        save_shards(tmp_path, replies, 3, started=started, without=[2] if number == 4 else [], late_s={1: 90})
    told = fleetpmap("history", f"{tmp_path}/", "--format", "json", "--by", "service,host,mapping")
    document = json.loads(told.stdout)
    assert any(note.startswith("12 runs from 2026-11-23 12:00:00") for note in document["notes"])
    # Of its eight hosts one never answers.
    assert "db-[05-08],web-[06-08] gave no answer, or was not asked, in 1 of 12 runs: gaps, not zeros" in "\n".join(
        document["notes"]
    )
    assert {row["class"] for row in document["rows"]} == {"plateau"}
    same = fleetpmap("diff", f"{tmp_path}@first", f"{tmp_path}@last", "--format", "json")
    assert json.loads(same.stdout)["total"]["growth_kib"] == 0
    gap = fleetpmap("diff", f"{tmp_path}@2026-11-23T12:20:30Z", f"{tmp_path}@last")
    assert (gap.returncode, "shard 2" in gap.stderr) == (3, False)
    assert "so it is unknown whether anything grew there" in gap.stderr
