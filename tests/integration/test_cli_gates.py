"""--fail-if in run, show, diff and history: exit status 6, what stderr and json say, and which status comes first."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import deploy
from bounded import within
from fleet_of_forty import forty_hosts
from fleet_of_twenty import twenty_hosts
from fleetpmap.cli.commands import app
from fleetpmap.cli.deliver import print_stderr
from fleetpmap.errors import UsageError
from fleetpmap.snapshot import Snapshot
from fleetpmap.snapshot_file import entries, write_snapshot
from kept_runs import MIB, Service, keep
from program import fleetpmap
from snapshots import host, mapping, process, snapshot

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
HINT_OF_NAMES = "hint: did you mean stale?\n"


class Done(NamedTuple):
    """The end of a command."""

    status: int
    stdout: str
    stderr: str


Program = Callable[..., Done]


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str]) -> Program:
    """The program, run in this process."""

    def run(*words: str) -> Done:
        status = 0
        try:
            app(args=[*words], prog_name="fleetpmap")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        except UsageError as error:  # as entry.run does
            status = 2
            for line in str(error).splitlines():
                print_stderr(line)
        return Done(status, *capfd.readouterr())

    return run


def stored(*words: str) -> Done:
    """The program on stored runs. It forks to read them, so it needs a process of its own: polars has threads here."""
    done = fleetpmap(*words)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The three recorded hosts, read without SSH."""
    hosts = (f'[hosts.web-0{n}]\ntransport = "local"\nproc_root = "{FAKE_PROC}/web-0{n}"\n' for n in (1, 2, 3))
    file = tmp_path / "inventory.toml"
    file.write_text("".join(hosts))
    return file


@pytest.fixture
def run(program: Program, inventory: Path) -> Program:
    """`fleetpmap run` of gunicorn on these hosts."""
    return partial(program, "run", "-i", str(inventory), "-m", "gunicorn", "--format", "csv")


def _saved(path: Path, snapshot_: Snapshot) -> str:
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    with path.open("wb") as file:
        write_snapshot(snapshot_, file)
    return str(path)


# A test for each rule.


@pytest.mark.parametrize(
    ("words", "rule", "sentence"),
    [
        (("--view", "hosts"), "pss>23M", "pss of web-03 is 23.3M"),
        (("--view", "hosts"), "rss>=42M", "rss of web-03 is 42.4M"),
        (("--view", "hosts"), "uss<6M", "uss of web-01 is 5.6M"),
        (("--view", "hosts"), "ram_share>2%", "ram_share of web-02 is 2.2%"),
        (("--view", "services"), "limit_share>60%", "limit_share of gunicorn.service is 67.9%"),
        (
            ("--view", "services", "--by", "host,service"),
            *("cgroup_current>40M", "cgroup_current of gunicorn.service on web-02 is 43.5M"),
        ),
        (("--view", "processes"), "pss>12M", "pss of gunicorn.service on web-03 (pid 20512) is 12.4M"),
        (("--view", "compare"), "spread>1M", "spread of [anon] is 2.0M"),
        ((), "limit", "gunicorn.service on web-02 (pid 1702): 2 oom kills; 67.9% of its limit of 64.0M is charged"),
        (
            *(
                (),
                "drift",
                "gunicorn.service: /usr/lib/x86_64-linux-gnu/libssl.so.3: 2 builds by layout, on web-[01,03]",
            ),
        ),
        ((), "stale", "gunicorn.service on web-03: 2 processes map the old /usr/lib/x86_64-linux-gnu/libcrypto.so.3 "),
        (
            *(("--view", "stale", "--file", "libssl*"), "stale"),
            "/usr/lib/x86_64-linux-gnu/libssl.so.3 was deleted or replaced, and 2 processes map the old one on web-03 ",
        ),
    ],
)
def test_a_rule_of_run(run: Program, words: tuple[str, ...], rule: str, sentence: str):
    """Broken: 6, and what breaks it on stderr, also with --quiet; the report itself is the same."""
    done = run(*words, "--fail-if", rule, "--quiet")
    assert done.status == 6
    assert done.stderr.startswith(f"--fail-if {rule}: {sentence}")
    assert (done.stderr.count("\n"), done.stdout) == (1, run(*words, "--quiet").stdout)


@pytest.mark.parametrize(
    ("view", "rule"),
    [
        ("hosts", "pss>24M"),
        ("hosts", "ram_share>2.2%"),
        ("services", "limit_share>67.9%"),
        ("summary", "outlier"),
        ("compare", "split"),
        ("compare", "outlier"),
    ],
)
def test_a_rule_that_holds(run: Program, view: str, rule: str):
    """0, and nothing on stderr."""
    assert run("--view", view, "--fail-if", rule, "--quiet")[::2] == (0, "")


def test_a_file_that_is_not_stale(run: Program):
    """--file selects what the gate judges."""
    done = run("--view", "stale", "--file", "*/libm.so*", "--fail-if", "stale")
    assert done.status == 0
    assert "--file */libm.so*: none of the deleted or replaced files has such a name" in done.stderr


@pytest.mark.parametrize(
    ("fleet", "view", "rule", "sentence"),
    [
        (forty_hosts(1, 400 * MIB), "summary", "outlier", "web-07"),
        (twenty_hosts(), "compare", "outlier", "[heap]"),
        (twenty_hosts(), "compare", "drift", "libcrypto"),
    ],
    ids=["alone", "compare", "drift"],
)
def test_a_rule_of_show(tmp_path: Path, fleet: Snapshot, view: str, rule: str, sentence: str):
    """On a stored run, as on a live one."""
    done = stored("show", _saved(tmp_path / "x.parquet", fleet), "--view", view, "--fail-if", rule, "--quiet")
    assert done.status == 6
    assert [line for line in done.stderr.splitlines() if line.startswith(f"--fail-if {rule}: ") and sentence in line]


@pytest.mark.parametrize(
    ("words", "rule", "status", "sentence"),
    [
        ((), "growth>10%", 6, "[heap] grew by 863.6M (30.2%), from 2.8G to 3.6G"),
        ((), "growth>50M", 6, "[heap] grew by 863.6M (30.2%), from 2.8G to 3.6G"),
        (("--by", "service"), "growth>100%", 6, "gunicorn.service grew by 868.6M (166.1%), from 523.0M to 1.4G"),
        ((), "growth_each>10M", 6, "growth_each of [heap] is 18.5M"),
        (("--top", "1", "--columns", "mapping"), "growth>50M", 6, "[heap] grew by 863.6M (30.2%), from 2.8G to 3.6G"),
        ((), "growth>31%", 0, ""),
        ((), "growth>1G", 0, ""),
    ],
)
def test_a_rule_of_diff(tmp_path: Path, words: tuple[str, ...], rule: str, status: int, sentence: str):
    """A deploy on eight hosts."""
    runs = [
        _saved(tmp_path / f"{name}.parquet", fleet)
        for name, fleet in (("old", deploy.before()), ("new", deploy.after()))
    ]
    done = stored("diff", *runs, *words, "--fail-if", rule, "--quiet")
    assert done.status == status
    assert done.stderr == (f"--fail-if {rule}: {sentence}\n" if sentence else "")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty hourly runs of two hosts: a leak of 1 MiB an hour on one, a step on the other."""
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    runs, directory = np.arange(60), tmp_path_factory.mktemp("runs")
    keep(
        directory,
        [
            Service("web-01", "api", {"[heap]": 200 * MIB + runs * MIB, "/usr/lib/libc.so.6": np.full(60, 900)}),
            Service("web-02", "cart", {"[heap]": (58 + 36 * (runs >= 30)) * MIB}),
        ],
    )
    return directory


@pytest.mark.parametrize(
    ("rule", "status", "sentence"),
    [
        ("leak", 6, "[heap] of api.service on web-01 grows by 24.0M a day"),
        ("step", 6, "[heap] of cart.service on web-02 went from 58.0M to 94.0M in the run of"),
        ("growth>30M", 6, "[heap] of api.service on web-01 grew by 59.0M (29.5%), from 200.0M to 259.0M"),
        ("growth>50%", 6, "[heap] of cart.service on web-02 grew by 36.0M (62.1%), from 58.0M to 94.0M"),
        ("slope_kib_per_day>20M", 6, "slope_kib_per_day of [heap] of api.service on web-01 is 24.0M"),
        ("growth>1G", 0, ""),
    ],
)
def test_a_rule_of_history(kept: Path, rule: str, status: int, sentence: str):
    """Of what is there in the last run; --top does not hide a row from it."""
    done = stored("history", f"{kept}/", "--top", "1", "--fail-if", rule, "--quiet")
    assert done.status == status
    assert done.stderr.startswith(f"--fail-if {rule}: {sentence}" if sentence else "")
    assert bool(done.stderr) == bool(sentence)


def test_a_history_without_a_leak(tmp_path: Path):
    """Of a size that rests."""
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    keep(tmp_path, [Service("web-02", "cart", {"[heap]": np.full(30, 58 * MIB)})])
    assert stored("history", f"{tmp_path}/", "--fail-if", "leak", "--fail-if", "step").status == 0


def test_over_ssh_and_the_demo(sshd, tmp_path: Path):
    """A real sshd with recorded processes behind it, and the demo, which only says which status a run would have."""
    file = tmp_path / "inventory.toml"
    file.write_text(f'{sshd.defaults}[hosts.web-03]\nproc_root = "{FAKE_PROC}/web-03"\n')
    words = ("--view", "hosts", "--quiet", "--fail-if", "pss>23M", "--fail-if", "stale")
    done = fleetpmap("run", "-i", str(file), "-m", "gunicorn", "--ssh-config", sshd.ssh_config, *words)
    assert (done.returncode, done.stderr.count("\n")) == (6, 2), done.stderr
    assert "--fail-if pss>23M: pss of web-03 is 23.3M\n" in done.stderr
    demo = fleetpmap("demo", "--match", "gunicorn", *words)
    assert demo.returncode == 0
    assert "would exit with status 6 here" in demo.stderr


def test_too_few_runs_are_not_judged(kept: Path):
    """Nine runs show no leak, and a note says that none could be found."""
    done = stored("history", f"{kept}/", "--until", "2026-11-01T08:00Z", "--by", "service", "--fail-if", "leak")
    assert done.status == 0
    assert "not judged by --fail-if: leak of api.service, cart.service, which is unknown\n" in done.stderr


# What it says.


def test_json(run: Program):
    """Every broken rule as an object, by rule; a share has a value in percent, a size one in KiB."""
    words = ("--view", "hosts", "--fail-if", "pss>22000K", "--fail-if", "ram_share>2%", "--format", "json")
    document = json.loads(run(*words).stdout)
    nothing = {"service": None, "pid": None, "mapping": None}
    assert document["broken_rules"] == [
        {"rule": "pss>22000K", "host": "web-03", **nothing, "value_kib": 23836, "value": None}
        | {"text": "pss of web-03 is 23.3M"},
        {"rule": "pss>22000K", "host": "web-02", **nothing, "value_kib": 22506, "value": None}
        | {"text": "pss of web-02 is 22.0M"},
        {"rule": "ram_share>2%", "host": "web-02", **nothing, "value_kib": None, "value": 2.2}
        | {"text": "ram_share of web-02 is 2.2%"},
    ]


def test_json_without_a_broken_rule(run: Program):
    """An empty list if the rules hold; no member without rules."""
    held = json.loads(run("--fail-if", "pss>1G", "--format", "json").stdout)
    assert held["broken_rules"] == []
    assert "broken_rules" not in json.loads(run("--format", "json").stdout)


def test_the_last_line_of_jsonl_and_a_further_file(run: Program, tmp_path: Path):
    """Rows that are written as hosts answer have the broken rules behind them; files of --export have them, too."""
    words = ("--view", "hosts", "--fail-if", "stale", "--format", "jsonl", "--export", f"services={tmp_path}/x.json")
    done = run(*words)
    assert done.status == 6
    for text in (done.stdout.splitlines()[-1], (tmp_path / "x.json").read_text()):
        (broken,) = json.loads(text)["broken_rules"]
        assert (broken["rule"], broken["host"], broken["pid"]) == ("stale", "web-03", 20512)


def test_rows_and_columns_that_are_not_shown(run: Program):
    """--top and --columns leave out what breaks the rule."""
    done = run("--view", "hosts", "--top", "1", "--sort", "mem_total", "--columns", "host,rss", "--fail-if", "pss<21M")
    assert done.status == 6
    assert "web-01," not in done.stdout
    assert "--fail-if pss<21M: pss of web-01 is 20.5M\n" in done.stderr


def test_ten_are_named_and_the_others_counted(run: Program):
    """The first of each rule in any case."""
    lines = run("--view", "mappings", "--fail-if", "rss>100K", "--fail-if", "pss>100K", "--quiet").stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *(["--fail-if rss>100K"] * 9),
        *("--fail-if pss>100K", "--fail-if"),
    ]
    assert lines[-1].endswith(" more; `--format json` has all of them")
    document = json.loads(run("--view", "mappings", "--fail-if", "rss>100K", "--format", "json", "--quiet").stdout)
    assert f"--fail-if: {len(document['broken_rules']) - 10} more; " in (
        run("--view", "mappings", "--fail-if", "rss>100K", "--quiet").stderr
    )


def test_a_host_s_text_is_escaped(tmp_path: Path):
    """What a host called its mapping cannot move a terminal's cursor."""
    fleet = snapshot(host("a", process(1, "x\x1b[2J", mapping("/tmp/\x1b[31m", Rss=4096, Pss=4096))))
    path = _saved(tmp_path / "x.parquet", fleet)
    done = stored("show", path, "--view", "mappings", "--fail-if", "pss>1M", "--quiet", "--format", "json")
    assert done.status == 6
    assert "\x1b" not in done.stderr + done.stdout


# Mistakes.


@pytest.mark.parametrize(
    ("words", "stderr"),
    [
        (("--fail-if", "stael"), f'--fail-if stael: --view summary has no "stael" to judge\n{HINT_OF_NAMES}'),
        (
            ("--fail-if", "stale", "--fail-if", "pss=>2G"),
            '--fail-if pss=>2G: "=>" is no comparison\nhint: the comparisons are <, <=, > and >=\n',
        ),
        (
            ("--fail-if", "growth>10%"),
            '--fail-if growth>10%: --view summary has no "growth" to judge\n'
            "hint: that is for fleetpmap diff and fleetpmap history\n",
        ),
        (("--fail-if", ""), "--fail-if is empty\nhint: give it a value, or leave it out\n"),
        (
            ("--fail-if", "stale", "--rollup", "--view", "hosts"),
            "--fail-if stale: --rollup reads no names of files\nhint: leave out --rollup\n",
        ),
    ],
)
def test_a_mistake_is_found_before_any_host_is_asked(program: Program, words: tuple[str, ...], stderr: str):
    """Nothing connects, nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        done = program("run", "-H", f"127.0.0.1:{port}", "--ssh-config", "none", "-m", "x", *words)
        assert done == Done(2, "", stderr)
        with pytest.raises(TimeoutError):
            server.accept()


def test_limit_share_is_in_a_summary_of_every_process(program: Program, inventory: Path):
    """Since that has the table of services; of a stored run, too."""
    words = ("--all", "--fail-if", "limit_share>60%", "--format", "csv")
    assert program("run", "-i", str(inventory), *words).status == 6
    shown = stored("show", str(FAKE_PROC / "web-02"), "--fail-if", "limit_share>60%", "--format", "csv")
    assert shown.status == 6


def test_watch_takes_none(program: Program):
    """It has no last report."""
    done = program("watch", "-H", "local", "-m", "x", "--fail-if", "stale")
    assert done.status == 2
    assert "--fail-if" in done.stderr


@pytest.mark.parametrize("command", [("diff", "a", "b"), ("history", "a/")])
def test_a_mistake_is_found_before_a_file_is_read(command: tuple[str, ...]):
    """The files do not exist."""
    done = stored(*command, "--fail-if", "pss>2G")
    assert done.status == 2
    assert done.stderr.startswith(f'--fail-if pss>2G: fleetpmap {command[0]} has no "pss" to judge\n')


# Which status comes first.


def _with(inventory: Path, name: str, port: int) -> None:
    """Add a host that does not run here."""
    settings = f'[hosts.{name}]\naddress = "127.0.0.1"\nport = {port}\nproxy_jump = "none"\n'
    inventory.write_text(inventory.read_text() + settings)


def test_6_before_3(run: Program, inventory: Path):
    """A host failed: the rules are judged on the rest, and a note says so."""
    _with(inventory, "db-01", 1)
    words = ("--ssh-config", "none", "--view", "hosts", "--fail-if")
    assert run(*words, "pss>1G").status == 3
    done = run(*words, "pss>23M")
    assert done.status == 6
    assert "not judged by --fail-if: db-01, which gave no answer\n" in done.stderr
    assert "not judged" not in run(*words, "pss>23M", "--quiet").stderr


def test_6_before_5(program: Program, inventory: Path):
    """Nothing matched: each host holds nothing."""
    words = ("run", "-i", str(inventory), "-m", "no-such-program", "--view", "hosts", "--fail-if")
    assert program(*words, "pss>1M").status == 5
    assert program(*words, "pss<1M").status == 6


def test_4_before_6(program: Program, inventory: Path):
    """No host answered: nothing is known, so nothing is broken."""
    inventory.write_text("")
    _with(inventory, "db-01", 1)
    words = ("run", "-i", str(inventory), "-m", "x", "--ssh-config", "none", "--view", "hosts")
    done = program(*words, "--fail-if", "pss<1G")
    assert done.status == 4
    assert "--fail-if pss<1G:" not in done.stderr


def test_124_before_6(run: Program, inventory: Path):
    """What came until the deadline is judged, and what breaks a rule is named."""
    with socket.create_server(("127.0.0.1", 0)) as silent, within(60):
        _with(inventory, "db-01", silent.getsockname()[1])
        done = run(
            "--ssh-config",
            "none",
            "--connect-timeout",
            "60",
            "--deadline",
            "8",
            "--view",
            "hosts",
            "--fail-if",
            "pss>23M",
        )
    assert done.status == 124
    assert "--fail-if pss>23M: pss of web-03 is 23.3M\n" in done.stderr


def test_2_before_6(run: Program, tmp_path: Path):
    """A file could not be written."""
    (tmp_path / "full.csv").symlink_to("/dev/full")
    done = run("--fail-if", "stale", "--export", f"hosts={tmp_path}/full.csv")
    assert done.status == 2
    assert "--fail-if stale: gunicorn.service" in done.stderr


def test_6_before_3_in_diff(tmp_path: Path):
    """A host did not answer in the old run."""
    fleets = {"old": deploy.before(without_first=True), "new": deploy.after()}
    runs = [_saved(tmp_path / f"{name}.parquet", fleet) for name, fleet in fleets.items()]
    assert stored("diff", *runs, "--fail-if", "growth>5G").status == 3
    done = stored("diff", *runs, "--fail-if", "growth>10%")
    assert done.status == 6
    assert "not judged by --fail-if: web01, which gave no answer\n" in done.stderr


def test_6_before_3_in_history(kept: Path, tmp_path: Path):
    """A run could not be read."""
    for number, entry in enumerate(entries(kept)):
        (tmp_path / entry.path.name).write_bytes(b"torn" if number == 5 else entry.path.read_bytes())
    assert stored("history", f"{tmp_path}/", "--fail-if", "growth>5G").status == 3
    assert stored("history", f"{tmp_path}/", "--fail-if", "leak").status == 6
