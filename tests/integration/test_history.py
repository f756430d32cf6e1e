"""fleetpmap history: what grew over all runs of a directory, and what only moves."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from charged import of
from fleetpmap.snapshot_file import entries, load_snapshot, save_in
from kept_runs import MIB
from page_text import page_text
from planted_runs import keep_planted
from program import fleetpmap
from snapshots import host, mapping, process, snapshot

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 hourly runs; web-02 is away in three of them."""
    directory = tmp_path_factory.mktemp("runs")
    keep_planted(directory)
    return directory


def _history(directory: Path, *options: str) -> dict:
    done = fleetpmap("history", f"{directory}/", "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def document(planted: Path) -> dict:
    """The json of all 300 runs, with no option."""
    return _history(planted)


def test_each_is_named_for_what_it_does(document: dict):
    """Leak, step, saw-tooth and noise; a service that restarts daily is a saw-tooth, or nothing at all."""
    rows = document["rows"]
    classes = {row["service"].removesuffix(".service"): row["class"] for row in rows if row["mapping"] == "[heap]"}
    assert classes == {
        "api": "leak",
        "cart": "step",
        "cache": "sawtooth",
        "search": "noise",
        "report": "sawtooth",
        "cron": "plateau",
    }
    assert {row["class"] for row in rows if row["mapping"] == "libc.so.6"} == {"plateau"}
    assert list(rows[0])[-7:] == [
        *("first_kib", "last_kib", "slope_kib_per_day", "low", "high"),
        *("class", "limit_in_days"),
    ]


def test_the_leak_comes_first_with_its_rate_and_the_days_that_are_left(document: dict):
    """1 MiB an hour, within 5 %; 1,448 MiB are left of its limit, which takes 60 days."""
    leak = document["rows"][0]
    assert leak["service"] == "api.service"
    assert leak["slope_kib_per_day"] == pytest.approx(24 * MIB, rel=0.05)
    assert leak["low"] <= 24 * MIB <= leak["high"]
    assert leak["limit_in_days"] in (59, 60, 61)


def test_sentences_on_the_leak_and_the_step(document: dict):
    """With the limit that is reached, and the run of the deploy."""
    leak, step = (finding["text"] for finding in document["findings"])
    assert re.fullmatch(
        r"\[heap\] of api\.service on web-01 grows by (23|24)\.\dM a day \(2\d\.\dM to 2\d\.\dM\): "
        r"reaches its limit of 2\.0G in \d\d to \d\d days",
        leak,
    )
    assert re.fullmatch(
        r"\[heap\] of cart\.service on web-01 went from 5[78]\.\dM to 9[34]\.\dM "
        r"in the run of 2026-11-08 12:00:00\+00:00, with a restart",
        step,
    )


def test_the_next_command_of_a_step_compares_the_runs_around_it(document: dict):
    """As typed, it shows the restart and its growth."""
    step = document["findings"][1]
    program, *words = shlex.split(step["next"])
    done = fleetpmap(*words)
    assert program == "fleetpmap"
    assert done.returncode in (0, 3), done.stderr
    assert re.search(r"cart on web-01: 1 process restarted .*; 5\dM → 9\dM", done.stderr), done.stderr


def test_runs_without_a_host_are_gaps(document: dict):
    """They are said, and no size is 0 for them."""
    assert "web-02 gave no answer, or was not asked, in 3 of 300 runs: gaps, not zeros" in document["notes"]
    assert {row["class"] for row in document["rows"] if row["host"] == "web-02"} == {"sawtooth", "noise", "plateau"}


def test_over_hosts_a_sum_without_one_of_them_is_no_size(planted: Path):
    """libc of both hosts is 5,400 KiB in every run that both answered, never the 2,700 of one."""
    rows = _history(planted, "--by", "mapping")["rows"]
    assert {row["mapping"]: (row["first_kib"], row["class"]) for row in rows}["libc.so.6"] == (5400, "plateau")


def test_since_and_until(planted: Path):
    """A week of runs without the deploy has no step."""
    until = _history(planted, "--until", "2026-11-08T11:59Z")
    assert until["notes"][0].startswith("180 runs from 2026-11-01 00:00:00+00:00 to 2026-11-08 11:00:00+00:00")
    assert "step" not in {row["class"] for row in until["rows"]}
    since = _history(planted, "--since", "2026-11-08T12:00Z", "--until", "last")
    assert since["notes"][0].startswith("120 runs from 2026-11-08 12:00:00+00:00")


def test_too_few_runs_are_unknown_not_nothing(planted: Path):
    """Nine runs have sizes, and neither slope nor class."""
    document = _history(planted, "--until", "2026-11-01T08:00Z")
    assert {(row["class"], row["slope_kib_per_day"]) for row in document["rows"]} == {(None, None)}
    assert document["notes"][-1].startswith("no trend and no class for 12 rows: these take at least 10 runs")


def test_top_keeps_the_order_of_the_view(planted: Path):
    """The leak and the step stay, though other rows are larger."""
    rows = _history(planted, "--top", "2")["rows"]
    assert [row["class"] for row in rows] == ["leak", "step", None]
    assert rows[-1]["service"] == "(10 more)"


def test_a_sparkline_on_a_terminal(planted: Path):
    """The leak rises from the lowest sign to the highest, libc is flat, and a gap is a gap."""
    drawn = fleetpmap("history", f"{planted}/", "--format", "table", COLUMNS="160").stdout
    heaps = {line.split()[0]: line for line in drawn.splitlines() if line.endswith("[heap]")}
    assert "▁▁▁▂▂▃▃▄▄▅▅▆▆▇▇█" in heaps["api.service"]
    flat = [line for line in drawn.splitlines() if "libc" in line]
    assert flat
    assert all("▁" * 16 in line and not set(line) & set("▂▃▄▅▆▇█") for line in flat)


def test_a_page_with_charts(planted: Path, tmp_path: Path):
    """A chart for each row that moves, with the trend of the leak and a tick at every restart; it fetches nothing."""
    page = tmp_path / "history.html"
    done = fleetpmap("history", f"{planted}/", "-o", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count('<svg class="chart"') == 5
    assert text.count('class="trend"') == 1
    assert text.count('class="mark"') == 13
    assert "src=" not in text
    assert "grows by" in text
    assert "| 1 (1 deploy)\n" in page_text(text)
    assert "pss in 240 runs from 2026-11-01 00:00 UTC to 2026-11-13 11:00 UTC. In 3 of them a host was away" in text


def test_the_page_of_the_last_run_draws_those_before(planted: Path, tmp_path: Path):
    """`show DIR/ -o page.html` has the services over the last runs, with a gap where web-02 was away."""
    page = tmp_path / "page.html"
    done = fleetpmap("show", f"{planted}/", "-o", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "pss in 100 runs from 2026-11-09 08:00 UTC to 2026-11-13 11:00 UTC. In 1 of them a host was away" in text
    assert f"The last 100 of 300 runs: <code>fleetpmap history {planted}</code> draws more of them." in text
    (growth,) = re.findall(r"<tr><th scope=\"row\">api.service<td.*>([+]\S+)<td", text)
    assert growth.startswith("+9")
    earlier = tmp_path / "first.html"
    assert fleetpmap("show", f"{planted}@first", "-o", str(earlier)).returncode == 0
    assert "Services over time" not in earlier.read_text()


def test_a_page_draws_the_runs_that_looked_for_the_same(planted: Path, tmp_path: Path):
    """Runs of another selection are counted; the only run of its selection has nothing to be drawn beside."""
    for run in entries(planted)[:4]:
        (tmp_path / run.path.name).write_bytes(run.path.read_bytes())
    other = load_snapshot(entries(planted)[4].path)
    save_in(tmp_path, replace(other, run=replace(other.run, command="fleetpmap run -m api")))
    page = tmp_path / "page.html"
    assert fleetpmap("show", f"{tmp_path}/", "-o", str(page)).returncode == 0
    assert "Services over time" not in page.read_text()
    same = load_snapshot(entries(planted)[5].path)
    save_in(tmp_path, same)
    assert fleetpmap("show", f"{tmp_path}/", "-o", str(page)).returncode == 0
    assert "pss in 5 runs from 2026-11-01 00:00 UTC to 2026-11-01 05:00 UTC" in page.read_text()
    assert "Runs that looked for other processes, and are not drawn: 1." in page.read_text()


def test_a_page_tells_a_deploy_from_a_restart(tmp_path: Path):
    """Both replace the process; the program is another build after the second."""
    for hour, (pid, kib) in enumerate(((1, 400), (2, 400), (3, 408))):
        code = mapping("/usr/bin/api", size=kib, perms="r-xp", Rss=8, Pss=8)
        run = snapshot(host("w", of("api", process(pid, "api", code), cgroup="/api")))
        save_in(tmp_path, replace(run, run=replace(run.run, started=run.run.started + timedelta(hours=hour))))
    page = tmp_path / "page.html"
    assert fleetpmap("history", f"{tmp_path}/", "-o", str(page)).returncode == 0
    assert "| 2 (1 deploy)\n" in page_text(page.read_text(encoding="utf-8"))


def test_a_torn_file_is_named_and_the_rest_is_used(planted: Path, tmp_path: Path):
    """So are a file of another program and one with a wrong checksum; the exit status says that runs are missing."""
    for run in entries(planted)[:40]:
        (tmp_path / run.path.name).write_bytes(run.path.read_bytes())
    paths = [run.path for run in entries(tmp_path)]
    paths[3].write_bytes(paths[3].read_bytes()[:500])
    paths[7].write_bytes(b"PAR1 is what it begins with")
    whole = bytearray(paths[9].read_bytes())
    whole[1000] ^= 1
    paths[9].write_bytes(whole)
    done = fleetpmap("history", f"{tmp_path}/", "--format", "json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["notes"][0].startswith("37 runs from ")
    assert "3 of 40 runs could not be read, and are left out:" in document["notes"]
    assert sum(str(tmp_path) in note for note in document["notes"]) == 3
    assert "leak" in {row["class"] for row in document["rows"]}


def test_nothing_can_be_read(planted: Path, tmp_path: Path):
    """One error, and exit status 2."""
    name = entries(planted)[0].path.name
    (tmp_path / name).write_bytes(b"nothing")
    done = fleetpmap("history", f"{tmp_path}/")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of its 1 runs can be read" in done.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--by", "servce"), '--by: there is no key "servce"'),
        (("--since", "yesterday"), '"yesterday" is not a time'),
        (("--since", "2030-01-01"), "has no run from 2030-01-01 to last"),
        (("--sort", "slop"), '--sort: there is no column "slop"'),
        (("--format", "openmetrics"), "openmetrics cannot hold the view history"),
    ],
)
def test_a_wrong_option(planted: Path, options: tuple[str, ...], why: str):
    """It says what is wrong, with exit status 2."""
    done = fleetpmap("history", f"{planted}/", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr


def test_without_the_extra(planted: Path, tmp_path: Path):
    """One sentence names what to install."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['polars'] = None\n")  # as if it were not there
    done = fleetpmap("history", f"{planted}/", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "needs polars, not installed here\nhint: run `" in done.stderr
    assert done.stderr.endswith("install 'fleetpmap[parquet]'`\n")


def test_no_other_command_imports_it():
    """The room is not imported with all views."""
    program = "import sys, fleetpmap.cli.commands, fleetpmap.report\nprint('fleetpmap.history' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_a_directory_that_is_none(tmp_path: Path):
    """It says so."""
    done = fleetpmap("history", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
