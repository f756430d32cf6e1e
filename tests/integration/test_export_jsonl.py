"""jsonl: a row a line, and the coverage in the last; on stdout as hosts finish."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bounded import wait_until
from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import OutputPlan, output_from
from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS
from fleetpmap.report import hosts, mappings, processes
from program import BARE, fleetpmap, waiting
from snapshots import host, mapping, process, small_fleet, snapshot
from sshd import Sshd

OURSELVES = ("--pid", str(os.getpid()))
HANGING = "import time; time.sleep(60)\n"
"""A stand-in for the probe on a host that does not finish."""


def _lines(report):
    file = io.BytesIO()
    EXPORTERS["jsonl"].write(report, file)
    return [json.loads(line) for line in file.getvalue().decode("utf-8").splitlines()]


def _document(report):
    file = io.BytesIO()
    EXPORTERS["json"].write(report, file)
    return json.loads(file.getvalue())


@pytest.mark.parametrize("view", [hosts, processes, mappings], ids=lambda view: view.__name__)
def test_rows_and_the_rest_are_those_of_json(view):
    """Every line but the last is a row, and the last is the document without rows."""
    *rows, last = _lines(view(small_fleet()))
    document = _document(view(small_fleet()))
    assert rows == document.pop("rows")
    assert last == document


def test_only_the_last_line_tells_of_the_run():
    """So a reader recognises it, and misses it if the stream was cut."""
    *rows, last = _lines(hosts(small_fleet()))
    assert ["fleetpmap" in row for row in rows] == [False] * 7
    assert last["coverage"]["hosts"]["asked"] == 7


def test_no_rows():
    """A fleet without a host is one line."""
    (last,) = _lines(hosts(snapshot()))
    assert last["coverage"]["hosts"] == {"asked": 0}


def test_a_name_stays_on_its_line():
    """Line ends of any kind are escaped."""
    report = processes(snapshot(host("a", process(1, "a\nb\u2028\x85\r{", mapping()))))
    file = io.BytesIO()
    EXPORTERS["jsonl"].write(report, file)
    first, _ = file.getvalue().decode("utf-8").splitlines()
    assert json.loads(first)["name"] == r"a\x0ab\u2028\u0085\x0d{"


@pytest.mark.parametrize("view", ["summary", "merged", "compare", "stale", "pmap"])
def test_a_view_that_no_host_can_give_alone(view: str):
    """It is refused before any host is queried."""
    with pytest.raises(UsageError) as error:
        _output(view)
    assert error.value.message == f"--format: jsonl cannot hold the view {view}"
    assert error.value.hint == "name one of --view hosts, services, processes and mappings, or use json"


def test_what_takes_all_hosts_is_no_stream():
    """The order and the largest are known only at the end, and a file is there only when it is whole."""
    assert _output("hosts").is_stream
    assert not _output("hosts", sort="host").is_stream
    assert not _output("hosts", top=1).is_stream
    assert not _output("hosts", to="x.jsonl").is_stream


def _output(view: str, to: str | None = None, **shape: object) -> OutputPlan:
    options = OutputOptions(format=Format.jsonl, output=to)
    return output_from(ShowOptions(view=View(view)), ShapeOptions(**shape), options)


def _inventory(directory: Path, sshd: Sshd, *names: str, hanging: str = "") -> tuple[str, ...]:
    """Options for hosts of these names on one sshd; `hanging`: one more, first in order, that does not answer."""
    plain = sshd.host()
    told = [(name, plain) for name in names]
    if hanging:
        told.insert(0, (hanging, sshd.forced(hanging, f"{sys.executable} -IS", HANGING)))
    tables = [
        f'[hosts.{name}]\naddress = "{one.address}"\nport = {one.port}\nuser = "{one.user}"\n'
        f'identity_file = "{(one.identity_file or (sshd.identity_file,))[0]}"\ntimeout_s = 60\n'
        for name, one in told
    ]
    file = directory / "fleet.toml"
    file.write_text("\n".join(tables))
    return ("-i", str(file), "--known-hosts", str(sshd.known_hosts), "--ssh-config", "none", *OURSELVES)


def test_a_hosts_rows_come_when_it_has_answered(sshd: Sshd, tmp_path: Path):
    """Even if a host before it in order has not answered yet."""
    words = ("run", *_inventory(tmp_path, sshd, "quick", hanging="slow"), "--view", "hosts", "--format", "jsonl")
    with subprocess.Popen(
        [sys.executable, "-m", "fleetpmap", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=BARE
    ) as program:
        assert program.stdout is not None
        row = json.loads(program.stdout.readline())
        assert program.poll() is None
        program.kill()
    assert (row["host"], row["status"]) == ("quick", "ok")


def test_a_reader_that_has_seen_enough_waits_for_nobody(sshd: Sshd, tmp_path: Path):
    """`… | head -1` ends the run with the status of SIGPIPE, though a host is still being asked."""
    words = ("run", *_inventory(tmp_path, sshd, "a", "b", "c", hanging="hangs"), "--view", "mappings", "--quiet")
    program = shlex.join([sys.executable, "-m", "fleetpmap", *words, "--format", "jsonl"])
    began = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", f"{{ {program}; echo $? >&2; }} | head -c 1"],
        env=BARE,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{", "141\n")
    assert time.monotonic() - began < 40  # the host that hangs would take 60 s


@pytest.mark.parametrize("how", ["jsonl", "csv"])
def test_sigterm_ends_a_program_whose_reader_does_not_read(how: str):
    """As below a pager: the pipe is full, and the status is that of SIGTERM."""
    words = ("run", "-H", "local", "--all", "--view", "mappings", "--format", how)
    with subprocess.Popen(
        [sys.executable, "-m", "fleetpmap", *words], env=BARE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        assert program.stdout is not None
        wait_until(lambda: waiting(program.stdout) >= 60_000)  # of the 64 KiB that it holds
        program.terminate()
        assert program.wait(60) == 143


def test_a_stream_says_the_same_as_a_file(sshd: Sshd, tmp_path: Path):
    """The same rows, in the order in which they came, and the same last line; a file has the order of the hosts."""
    words = ("run", *_inventory(tmp_path, sshd, "a", "b"), "--view", "processes", "--columns", "host,pid,name,status")
    stream = [json.loads(line) for line in fleetpmap(*words, "--format", "jsonl").stdout.splitlines()]
    fleetpmap(*words, "-o", str(tmp_path / "x.jsonl"))
    file = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [row["host"] for row in file[:-1]] == ["a", "b"]
    assert sorted(stream[:-1], key=lambda row: row["host"]) == file[:-1]
    assert stream[-1]["coverage"] == file[-1]["coverage"]


def test_one_machine_under_two_names(sshd: Sshd, tmp_path: Path):
    """Which name is the first one is known only when all have answered: it is no stream either."""
    words = _inventory(tmp_path, sshd, "a", "b")
    done = fleetpmap("run", *words, "--view", "hosts", "--format", "jsonl", "--once-per-machine")
    *rows, last = (json.loads(line) for line in done.stdout.splitlines())
    assert [(row["host"], row["processes"]) for row in rows] == [("a", 1), ("b", 0)]
    assert last["coverage"]["processes"] == {"matched": 1, "read": 1}


def test_hosts_that_failed_are_rows_too():
    """A stream has a row for each host asked, as the view has."""
    done = fleetpmap(
        *("run", "-H", "local,127.0.0.1:1", "--ssh-config", "none", *OURSELVES, "--view", "hosts", "--format", "jsonl")
    )
    *rows, last = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 3
    assert sorted(row["status"] for row in rows) == ["ok", "refused"]
    assert len(last["failures"]) == 1


def test_an_exported_file(tmp_path: Path):
    """--export recognises it by its suffix, beside any report."""
    file = tmp_path / "all.ndjson"
    done = fleetpmap("run", "-H", "local", *OURSELVES, "--export", f"mappings={file}")
    assert done.returncode == 0, done.stderr
    *rows, last = (json.loads(line) for line in file.read_text().splitlines())
    assert len(rows) > 10
    assert last["view"] == "mappings"
