"""Destinations of the output, and the errors when they cannot be written."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import BARE, fleetpmap
from targets import Target

ONE = ("-H", "local", "--pid", str(os.getpid()))
"""A run whose coverage is complete."""


@pytest.fixture
def lacking(tmp_path: Path) -> tuple[str, ...]:
    """A run in which this machine answers and another host does not."""
    inventory = tmp_path / "fleet.toml"
    inventory.write_text('[hosts.gone]\naddress = "127.0.0.1"\nport = 1\n')
    return ("-i", str(inventory), "--ssh-config", "none", "-H", "gone,local", "--pid", str(os.getpid()))


@pytest.fixture
def formula() -> Iterator[str]:
    """The pid of a process whose command line a spreadsheet would compute."""
    sleep = shutil.which("sleep")
    assert sleep
    with subprocess.Popen(["=1+1", "60"], executable=sleep) as process:
        yield str(process.pid)
        process.kill()


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def _shell(words: tuple[str, ...], redirection: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = shlex.join([sys.executable, "-m", "fleetpmap", *words])
    return subprocess.run(
        ["sh", "-c", f"{program} {redirection}"],
        env=BARE | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_many_files_of_one_run(tmp_path: Path):
    """One snapshot, so the files agree; each holds all rows and columns even if the main report shows fewer."""
    hosts, all_, merged = (str(tmp_path / name) for name in ("hosts.csv", "all.json", "m.csv"))
    exports = ("--export", f"hosts={hosts}", "--export", f"mappings={all_}", "--export", merged)
    done = fleetpmap("run", *ONE, *exports, "--columns", "mapping,pss", "--top", "1", "--human")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["mapping", "pss"]
    (host,) = _rows(tmp_path / "hosts.csv")
    mappings = json.loads((tmp_path / "all.json").read_text())["rows"]
    rows = _rows(tmp_path / "m.csv")
    assert host["mappings"] == str(len(mappings))
    assert int(host["rss_kib"]) == sum(row["rss_kib"] for row in mappings) == sum(int(row["rss_kib"]) for row in rows)
    assert len(rows) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.json", "hosts.csv", "m.csv"]


def test_what_csv_lacks_is_beside_it(lacking: tuple[str, ...], tmp_path: Path):
    """A csv file cannot list the hosts missing from it, so a file beside it does, and stderr names that."""
    main, hosts, whole = (tmp_path / name for name in ("main.csv", "hosts.csv", "all.json"))
    done = fleetpmap("run", *lacking, "-o", str(main), "--export", f"hosts={hosts}", "--export", str(whole))
    assert done.returncode == 3
    for file in (main, hosts):
        beside = Path(f"{file}.coverage.json")
        coverage = json.loads(beside.read_text())
        assert coverage["coverage"]["hosts"] == {"asked": 2, "refused": 1, "ok": 1}
        assert [failure["host"] for failure in coverage["failures"]] == ["gone"]
        assert f"{file} lacks a part of what was asked for: {beside} says which\n" in done.stderr
    assert not Path(f"{whole}.coverage.json").exists()


def test_quiet_does_not_say_it(lacking: tuple[str, ...], tmp_path: Path):
    """The file is there all the same."""
    done = fleetpmap("run", *lacking, "--quiet", "-o", str(tmp_path / "x.csv"))
    assert "lacks" not in done.stderr
    assert (tmp_path / "x.csv.coverage.json").exists()


def test_a_stale_coverage_file_goes(tmp_path: Path):
    """When nothing is missing any more, nothing says so."""
    stale = tmp_path / "x.csv.coverage.json"
    stale.write_text("{}")
    fleetpmap("run", *ONE, "-o", str(tmp_path / "x.csv"))
    assert not stale.exists()


def test_the_list_of_hosts_lacks_nothing(tmp_path: Path):
    """`hosts` asks no host, so none failed to answer."""
    fleetpmap("hosts", "-H", "web[01-02]", "--ssh-config", "none", "-o", str(tmp_path / "x.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_csv_safe(formula: str, tmp_path: Path):
    """On request, in every csv of the run; without it a text is what it is."""
    words = ("run", "-H", "local", "--pid", formula, "--view", "processes")
    file = tmp_path / "x.csv"
    done = fleetpmap(*words, "--format", "csv", "--csv-safe", "--export", str(file))
    assert ",'=1+1 60,read," in done.stdout
    assert file.read_text() == done.stdout
    assert ",=1+1 60,read," in fleetpmap(*words, "--format", "csv").stdout


def test_an_export_that_fails_takes_nothing_with_it(tmp_path: Path):
    """The report and the other files are written, what failed is said, and the status tells scripts."""
    (tmp_path / "full.csv").symlink_to("/dev/full")
    full, other = (str(tmp_path / name) for name in ("full.csv", "other.csv"))
    done = fleetpmap("run", *ONE, "--view", "hosts", "--export", full, "--export", other)
    assert done.returncode == 2
    assert done.stderr.startswith(f"--export {full}: No space left on device\nhint: ")
    assert done.stdout.startswith("host ")
    assert len(_rows(tmp_path / "other.csv")) == 1


@pytest.mark.parametrize("format_", ["table", "plain", "csv", "json", "jsonl", "markdown", "parquet"])
@pytest.mark.parametrize(("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_stdout_that_takes_nothing(format_: str, where: str, why: str):
    """A report that is lost is told, in one sentence."""
    done = _shell(("run", *ONE, "--quiet", "--view", "hosts", "--format", format_), where)
    said = f"stdout: {why}\nhint: make room, or write elsewhere with -o FILE\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_streams_that_the_report_does_not_need(redirection: str):
    """The report is written, even if another stream is closed or full."""
    done = _shell(("run", *ONE, "--view", "hosts", "--format", "csv"), redirection)
    assert done.returncode == 0
    assert done.stdout.startswith("host,status,")


def test_no_stream_at_all(tmp_path: Path):
    """As from a daemon: the file is written, and nothing else goes into it."""
    file = tmp_path / "x.csv"
    done = _shell(("run", *ONE, "--view", "hosts", "-o", str(file)), "<&- >&- 2>&-")
    assert done.returncode == 0
    assert len(_rows(file)) == 1


@pytest.mark.parametrize("format_", ["table", "plain", "csv", "json", "jsonl", "markdown"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough(format_: str, unbuffered: str):
    """`… | head -1` ends us with the status of SIGPIPE and without a word; the report is longer than a pipe holds."""
    words = ("run", "-H", "local", "--all", "--view", "mappings", "--quiet", "--format", format_)
    script = f"{{ {shlex.join([sys.executable, '-m', 'fleetpmap', *words])}; echo $? >&2; }} | head -c 1 >/dev/null"
    # The pipe of a shell holds 64 KiB, and one process has some hundred mappings: --all is more than enough.
    done = subprocess.run(
        ["sh", "-c", script],
        env=BARE | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == "141\n"


def test_a_reader_that_has_seen_enough_of_the_help():
    """The same of --help, which typer prints."""
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "fleetpmap", "run", "--help"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, env=BARE, timeout=120, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_stdout_is_appended_to(tmp_path: Path):
    """`-o /dev/stdout >> log` leaves what the log holds."""
    log = tmp_path / "log"
    log.write_text("kept\n")
    _shell(("run", *ONE, "--view", "hosts", "--format", "csv", "-o", "/dev/stdout"), f">> {shlex.quote(str(log))}")
    assert [line.split(",")[0] for line in log.read_text().splitlines()] == ["kept", "host", "local"]


def test_a_name_that_is_not_utf8(tmp_path: Path):
    """A file is written under the bytes that the shell gave; a report tells them escaped."""
    name = os.fsdecode(b"\xff.json")
    done = fleetpmap("run", *ONE, "-m", os.fsdecode(b"\xff|."), "-o", str(tmp_path / name))
    assert done.returncode == 0
    assert r"\xff|." in json.loads((tmp_path / name).read_text())["run"]["command"]


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "", "LANG": "POSIX"},
        {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:replace"},
    ],
)
def test_a_locale_that_knows_ascii_only(environment: dict[str, str]):
    """Bars, rules and the sign of an upper bound are ASCII, and none of them is a code or a question mark."""
    with Target("in-ascii-a") as one, Target("in-ascii-b") as other:
        words = ("run", "-H", "local", "--pid", f"{one.pid},{other.pid}", "--format", "table")
        done = fleetpmap(*words, COLUMNS="100", **environment)
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    assert re.search(r" up to \d+\.\dM ", done.stdout)
    assert "up to: at most" in done.stdout
    assert "<" not in done.stdout.replace("<0.1%", "")
    assert "####" in done.stdout
    assert "\\" not in done.stdout


def test_the_help_in_a_locale_that_knows_ascii_only():
    """Its frames are lines of ASCII, and its text is whole."""
    done = fleetpmap("run", "--help", COLUMNS="80", LC_ALL="C")
    assert done.stdout.isascii()
    assert "+- Which hosts ---" in done.stdout
    assert "\\" not in done.stdout


def test_a_locale_that_knows_more():
    """The signs as they are; the C locale too, where the user names an encoding."""
    for environment in ({}, {"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}):
        with Target("in-utf-8-a") as one, Target("in-utf-8-b") as other:
            words = ("run", "-H", "local", "--pid", f"{one.pid},{other.pid}", "--format", "table")
            assert "≤: at most" in fleetpmap(*words, COLUMNS="100", **environment).stdout
