"""What stands out in a run, unasked."""

from __future__ import annotations

import io
import json
import shlex
import time
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from charged import cgroup, of, with_memory
from fleet_of_forty import LEAKING, forty_hosts
from fleetpmap.export import EXPORTERS
from fleetpmap.render import table
from fleetpmap.report import VIEWS, Report, ViewOptions, compare
from fleetpmap.report.drift import without_version
from fleetpmap.report.finding import rows_named
from fleetpmap.report.next_command import next_command
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.snapshot import Snapshot
from snapshots import host, mapping, process, snapshot

MIB = 1024
LEAK = 400 * MIB


def _report(fleet: Snapshot, view: str = "summary", **options) -> Report:
    shown = VIEWS[view](fleet, ViewOptions(services=True, **options))
    return with_findings(shown, partial(standing_out, fleet))


def _screen(report: Report, width: int = 80) -> list[str]:
    console = Console(width=width, soft_wrap=True, color_system=None)
    with console.capture() as drawn:
        console.print(table(report))
    return drawn.get().splitlines()


def test_a_leak_is_said_on_the_first_screen():
    """Of forty hosts of four services, the one with 400 MB more: with its process and the next command."""
    first = _screen(_report(forty_hosts(0, LEAK)))[:24]
    said = " ".join(line.strip() for line in first)
    assert f"gunicorn.service on {LEAKING} (pid 8961): [anon] " in said
    assert f"fleetpmap run -H {LEAKING} --pid 8961 --view mappings --sort pss --top 10" in said


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_is_the_only_finding(seed: int):
    """Nothing is said of databases being databases."""
    (finding,) = standing_out(forty_hosts(seed, LEAK))
    assert (finding.kind, finding.host, finding.service) == ("outlier", LEAKING, "gunicorn.service")
    assert (finding.pid, finding.mapping, finding.metric) == (8961, "[anon]", "pss_kib")
    assert (finding.value_kib or 0) - (finding.reference_kib or 0) > 300 * MIB


@pytest.mark.parametrize("seed", range(10))
def test_ordinary_noise_is_no_finding(seed: int):
    """Other numbers of workers, connections and data, and names that no other host has."""
    assert standing_out(forty_hosts(seed)) == ()


def _app(kib: int, *mappings, pid: int = 1, **facts):
    """A process of 40 MiB and a heap of so many KiB."""
    sizes = {"Rss": kib, "Pss": kib, "Private_Dirty": kib, "Private_Clean": 0, "Shared_Clean": 0, "Shared_Dirty": 0}
    return process(pid, "app", mapping("[heap]", start=1 << 30, size=kib, **sizes), *mappings, **facts)


def _code(path: str, size: int = 400, at: int = 1):
    return mapping(path, start=at << 24, size=size, perms="r-xp", Rss=4, Pss=4)


def test_of_two_hosts_none_is_right():
    """The rule needs three."""
    assert standing_out(snapshot(host("a", _app(50 * MIB)), host("b", _app(900 * MIB)))) == ()
    (finding,) = standing_out(snapshot(*(host(name, _app(50 * MIB)) for name in "ab"), host("c", _app(900 * MIB))))
    assert finding.text == "app on c (pid 1): [heap] 900.0M, 850.0M above the median of 3 hosts"
    assert finding.next == "fleetpmap run -H c --pid 1 --view mappings --sort pss --top 10"


def test_numbers_of_processes_do_not_hide_a_leak():
    """The sums are in two groups, since the numbers are; the host whose processes are larger is one finding."""
    few = [host(f"w{n}", _app(50 * MIB)) for n in range(4)]
    many = [host(f"w{n}", *(_app(50 * MIB, pid=pid) for pid in (1, 2))) for n in range(4, 8)]
    leaky = host("w8", _app(50 * MIB), _app(450 * MIB, pid=2))
    assert standing_out(snapshot(*few, *many)) == ()
    (finding,) = standing_out(snapshot(*few, *many, leaky))
    assert finding.text == (
        "app on w8 (pid 2): [heap] 500.0M, 400.0M above the median of 9 hosts, "
        "250.0M in each of 2 processes, where the median is 50.0M"
    )


def test_a_host_is_judged_with_those_that_run_the_service():
    """Every database is larger than the web hosts; among all hosts, a leak is one of several groups."""
    web = [host(f"web{n}", _app((50 if n else 450) * MIB)) for n in range(6)]
    databases = [host(f"db{n}", replace_name(_app(900 * MIB), "postgres")) for n in range(6)]
    fleet = snapshot(*web, *databases)
    (finding,) = standing_out(fleet)
    assert (finding.host, finding.service) == ("web0", "app")
    assert standing_out(fleet, "all") == ()
    judged = compare(fleet).tables[0]
    assert judged.column("service").cells() == ["", "app", "postgres"]
    assert judged.column("outliers").cells() == ["", "web0", ""]
    assert judged.column("db0").cells() == [1, "not-run", 900 * MIB]
    assert [column.name for column in compare(fleet, peers="all").tables[0].columns][:2] == ["mapping", "web0"]


def replace_name(one, name: str):
    """The same process under another name."""
    return replace(one, process=replace(one.process, name=name))


def test_a_host_without_the_mapping_is_told_from_one_without_the_service():
    """The first has nothing of it, and is judged."""
    data = mapping("/srv/index.bin", size=90, Rss=90 * MIB, Pss=90 * MIB, Private_Dirty=90 * MIB, Private_Clean=0)
    fleet = [host(f"w{n}", _app(50 * MIB, data)) for n in range(5)]
    table_ = compare(snapshot(*fleet, host("x", _app(50 * MIB)), host("y", replace_name(_app(4), "other")))).tables[0]
    row = table_.column("mapping").cells().index("/srv/index.bin")
    assert [table_.column(name).cells()[row] for name in ("w0", "x", "y", "outliers")] == [
        90 * MIB,
        "not-mapped",
        "not-run",
        "x",
    ]


@pytest.mark.parametrize(
    ("name", "merged"),
    [
        ("/dev/shm/PostgreSQL.3974886208", "/dev/shm/PostgreSQL.*"),
        ("/memfd:arena-12345", "/memfd:arena-*"),
        ("/tmp/perf-812.map", "/tmp/perf-*.map"),
        ("/SYSV0052e2c1", "/SYSV*"),
        ("/var/log/journal/7f3b2c9e8d1a4f6b9c0d1e2f3a4b5c6d/system.journal", "/var/log/journal/*/system.journal"),
        ("/srv/kafka/00000000000000001234.index", "/srv/kafka/*.index"),
        ("/srv/app/~umpy/core.bin", "/srv/app/*/core.bin"),
        ("/srv/3.bin", "/srv/3.bin"),
        ("/srv/app-v2/data", "/srv/app-v2/data"),
    ],
)
def test_names_that_differ_on_every_host_are_judged_as_one(name: str, merged: str):
    """By a number, a pid, a hash; other numbers are part of the name."""
    fleet = snapshot(*(host(f"w{n}", _app(8, mapping(name, size=4, Rss=4, Pss=4))) for n in range(2)))
    assert merged in compare(fleet).tables[0].column("mapping").cells()


def test_stale_files_and_drift_are_one_finding_for_a_service():
    """However many files: the first is named, the others are counted."""
    new, old = [_code("/lib/a.so.2"), _code("/lib/b.so", at=2)], [_code("/lib/a.so.1"), _code("/opt/b.so", at=2)]
    fleet = snapshot(host("w1", _app(8, *new)), host("w2", _app(8, *new)), host("w3", _app(8, *old)))
    (drift,) = standing_out(fleet)
    assert (drift.kind, drift.service) == ("drift", "app")
    assert drift.text == "app: a.so.2 on w[1-2], a.so.1 on w3; 1 more file differs"
    assert drift.next == "fleetpmap run -H 'w[1-3]' -m app --exact --view compare"
    gone = [_code("/usr/lib/a.so (deleted)"), _code("/usr/lib/b.so (deleted)", at=2)]
    (stale,) = standing_out(snapshot(host("w1", _app(8, *gone)), host("w2", _app(8, *gone))))
    assert stale.text == (
        "app on w[1-2]: 2 processes map the old /usr/lib/a.so and 1 more, deleted or replaced, until restarted"
    )
    assert stale.next == "fleetpmap run -H 'w[1-2]' -m app --exact --view stale"


def test_two_hosts_can_drift_apart():
    """No median tells which of them is right, and the libraries differ all the same."""
    (drift,) = standing_out(snapshot(*(host(f"w{n}", _app(8, _code(f"/usr/lib/a.so.{n}"))) for n in (1, 2))))
    assert drift.text == "app: a.so.1 on w1, a.so.2 on w2"


@pytest.mark.timed
@pytest.mark.parametrize("name", ["a" + "1" * 200_000 + "x", "1." * 100_000 + "x", "-" * 200_000 + ".so"])
def test_a_long_name_takes_no_time(name: str):
    """A host can send a name of any length, and the version in it is looked for in all names."""
    began = time.process_time()
    without_version(name)
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("charged", "kills", "text"),
    [
        (95, 0, "app on w1 (pid 1): 95% of its limit of 100.0M is charged"),
        (50, 3, "app on w1 (pid 1): 3 oom kills; 50% of its limit of 100.0M is charged"),
        (89, 0, None),
    ],
)
def test_limits_nearly_reached(charged: int, kills: int, text: str | None):
    """From 90 percent on, and where the kernel killed a process."""
    one = of("app", _app(8), cgroup="/app.service")
    charge = cgroup("/app.service", current=charged * MIB, limit=100 * MIB, oom_kills=kills)
    found = standing_out(snapshot(with_memory(host("w1", one), charge)))
    assert [finding.text for finding in found] == ([text] if text else [])
    assert {finding.kind for finding in found} <= {"limit"}


def test_a_terminal_has_a_handful_and_counts_the_rest():
    """Each format of files has all of them."""
    gone = _code("/usr/lib/a.so (deleted)")
    fleet = snapshot(host("w1", *(replace_name(_app(8, gone, pid=pid), f"app{pid}") for pid in range(1, 8))))
    report = _report(fleet, "merged")
    assert len(report.findings) == 7
    text = "\n".join(_screen(report, 120))
    assert text.count("map the old") + text.count("maps the old") == 5
    assert "2 more findings: `--format json` has all of them" in text
    for format_ in ("json", "markdown", "html"):
        assert _written(report, format_).count("maps the old") == 7


def _written(report: Report, format_: str) -> str:
    file = io.BytesIO()
    EXPORTERS[format_].write(report, file)
    return file.getvalue().decode()


@pytest.mark.parametrize("view", ["summary", "merged", "hosts", "processes", "services"])
def test_every_format_says_it(view: str):
    """json has the parts, openmetrics the number."""
    report = _report(forty_hosts(0, LEAK), view)
    (found,) = json.loads(_written(report, "json"))["findings"]
    assert list(found) == [
        *("kind", "host", "service", "pid", "mapping", "metric", "value_kib", "reference_kib", "text", "next"),
    ]
    assert (found["kind"], found["host"], found["pid"], found["mapping"]) == ("outlier", LEAKING, 8961, "[anon]")
    assert _written(report, "markdown").startswith("- `gunicorn.service` on web-07 (pid 8961): ")
    assert 'fleetpmap_findings{kind="outlier"} 1\n' in _written(report, "openmetrics")
    assert f"<code>{found['next']}</code>" in _written(report, "html")


def test_nothing_is_said_where_nothing_stands_out():
    """No line, no heading."""
    report = _report(forty_hosts(1))
    assert report.findings == ()
    assert _screen(report)[0].split()[0] == "service"


def test_a_row_that_a_finding_names_is_not_cut():
    """The host is the smallest of sixty; the terminal shows forty, and that one."""
    fleet = snapshot(*(host(f"h{n:02}", _app((900 - n) * MIB)) for n in range(59)), host("small", _app(8 * MIB)))
    named = rows_named(standing_out(fleet))
    assert named == ((("host", "small"), ("service", "app"), ("mapping", "[heap]")),)
    brief = VIEWS["summary"](fleet, ViewOptions(kept=named)).brief
    assert brief is not None
    hosts = brief.tables[1].column("host").cells()
    assert (len(hosts), hosts[-2:]) == (41, ["small", "(20 more)"])


@pytest.mark.parametrize("width", [80, 100])
def test_compare_folds_like_hosts_where_a_terminal_lacks_room(width: int):
    """Of seven hosts with long names six are alike; the outlier has its column and its row, and so have groups."""
    name = "production-web-{}.example.com"
    fleet = snapshot(*(host(name.format(n), _app((90 if n < 7 else 490) * MIB)) for n in range(1, 8)))
    lines = _screen(compare(fleet), width)
    (heads,) = (line for line in lines if line.startswith("mapping"))
    assert name.format(7) in heads
    (row,) = (line for line in lines if line.startswith("[heap]"))
    assert "490.0M" in row
    groups = snapshot(*(host(name.format(n), _app((90 if n < 5 else 490) * MIB)) for n in range(1, 8)))
    heads = " ".join(line for line in _screen(compare(groups), width) if line.startswith("mapping"))
    assert {name.format("[1-4]"), name.format("[5-7]")} <= {*heads.split()}


@pytest.mark.parametrize(
    ("command", "local", "expected"),
    [
        ("fleetpmap run --all", False, "fleetpmap run -H 'a[1-2]' --pid 7 --view mappings --sort pss --top 10"),
        ("fleetpmap run -i 'my fleet.toml' --all", False, "fleetpmap run -i 'my fleet.toml' -H 'a[1-2]' --pid 7"),
        ("fleetpmap run --inventory=x.toml", True, "fleetpmap run -i x.toml -H 'a[1-2]' --pid 7"),
        ("fleetpmap run -ix.toml --all", True, "fleetpmap run -i x.toml -H 'a[1-2]' --pid 7"),
        ("fleetpmap run --all", True, "fleetpmap run --pid 7 --view mappings --sort pss --top 10"),
        ("fleetpmap demo --all", False, "fleetpmap demo --pid 7 --view mappings --sort pss --top 10"),
        ("no ' shell", True, "fleetpmap run --pid 7 --view mappings --sort pss --top 10"),
    ],
)
def test_the_next_command_reaches_the_same_hosts(command: str, local: bool, expected: str):
    """By the same inventory; without one, this machine needs no name. The demo's hosts end with it."""
    fleet = snapshot(*(host(name, _app(8), local=local) for name in ("a1", "a2")))
    fleet = replace(fleet, run=replace(fleet.run, command=command))
    assert next_command(fleet, ["a1", "a2"], ["--pid", "7"], "mappings").startswith(expected)


def test_names_of_processes_are_no_patterns():
    """The next command selects that name and no other."""
    fleet = snapshot(*(host(f"w{n}", replace_name(_app((9 if n else 900) * MIB), "a.b[c]")) for n in range(3)))
    below = snapshot(*(host(f"w{n}", replace_name(_app((900 if n else 9) * MIB), "a.b[c]")) for n in range(6)))
    assert [one.next for one in standing_out(fleet)] == [
        "fleetpmap run -H w0 --pid 1 --view mappings --sort pss --top 10"
    ]
    (finding,) = standing_out(below)
    assert finding.text == "a.b[c] on w0: [heap] 9.0M, 891.0M below the median of 6 hosts"
    assert shlex.split(finding.next)[4:7] == ["-m", r"a\.b\[c\]", "--exact"]
    assert finding.pid is None


def test_a_leak_in_many_small_mappings_is_found():
    """What a host has of a mapping is the sum of its rows, of which each may be small."""

    def app(pid: int, rows: int):
        sizes = {"Rss": MIB, "Pss": MIB, "Private_Dirty": MIB, "Private_Clean": 0}
        return of("app.service", process(pid, "app", *(mapping(**sizes) for _ in range(rows))))

    fleet = snapshot(*(host(f"web-{number}", app(number, 60 if number == 3 else 10)) for number in range(1, 7)))
    [finding] = standing_out(fleet)
    assert (finding.kind, finding.host, finding.mapping, finding.value_kib) == ("outlier", "web-3", "[anon]", 60 * MIB)
