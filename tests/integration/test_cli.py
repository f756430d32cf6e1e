"""The command line: mistakes in one clear sentence, exit statuses, and what goes to which stream."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer.main
from rich.markup import render

from fleetpmap import report
from fleetpmap.cli.commands import app
from fleetpmap.cli.examples import EXAMPLES, examples_of
from fleetpmap.cli.option_values import Format, View
from fleetpmap.export import EXPORTERS
from fleetpmap.snapshot import Run, Snapshot
from program import fleetpmap

LOCAL = ("-H", "local")
OURSELVES = (*LOCAL, "--pid", str(os.getpid()))


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (("run", *LOCAL), "no process option: only the processes that you name are read", "--match NAME, or --all"),
        (("run", *LOCAL, "-m", ""), "--match is empty", "leave it out"),
        (("run", *LOCAL, "--unit", ""), "--unit is empty", "leave it out"),
        (("run", *LOCAL, "--container", ""), "--container is empty", "leave it out"),
        (("ps", *LOCAL, "--pod", ""), "--pod is empty", "leave it out"),
        (("run", *LOCAL, "--user", ""), "--user is empty", "leave it out"),
        (("run", *LOCAL, "--pid", ","), '--pid: "," names nothing', "leave it out"),
        (("run", *LOCAL, "--pid", "9" * 5000), "is not a process id", "--pid 1234,5678"),
        (("run", *LOCAL, "-m", "ba(sh"), "is not a regular expression", "backslash"),
        (("run", *LOCAL, "-m", "[[:alpha:]]"), "have no [:alpha:]", "write a range"),
        (("run", *LOCAL, "--pid", "12x"), '--pid: "12x" is not a process id', "--pid 1234,5678"),
        (("run", *LOCAL, "--all", "--max-rss", "much"), '--max-rss: "much" is not a size', "64G"),
        (("run", *LOCAL, "--newest", "--oldest"), "exclude each other", "leave one of them out"),
        (("run", *LOCAL, "--all", "--full"), "--full and --exact say how --match is matched", "add --match"),
        (("run", "-H", "web[01-", "--all"), "web[01-", ""),
        (("run", "-g", "web", "--all"), "web", ""),
        (("run", "-i", "/nonexistent/fleet.toml", "--all"), "/nonexistent/fleet.toml", ""),
        (
            ("run", "--hosts-from", "/nonexistent/hosts", "--all"),
            "--hosts-from /nonexistent/hosts: No such file",
            "one host",
        ),
        (("run", *LOCAL, "--all", "--view", "merged", "--by", "colour"), "colour", ""),
        (("run", *LOCAL, "--all", "--view", "hosts", "--by", "user"), "--by is for --view merged", "leave one"),
        (("run", *LOCAL, "--all", "--columns", "pps"), '--columns: there is no column "pps"', "did you mean pss?"),
        (("ps", *LOCAL, "--columns", "pss"), '--columns: there is no column "pss"', "did you mean rss?"),
        (("run", *LOCAL, "--all", "--export", "nope=x.csv"), 'there is no view "nope"', "the views are summary"),
        (("run", *LOCAL, "--all", "-x", "--view", "hosts"), "-x is an option of --view pmap", "leave one"),
        (("run", *LOCAL, "--all", "-x", "--format", "csv"), "-x is pmap's own text", "--view mappings"),
        (
            ("run", *LOCAL, "--all", "-o", "report.dat"),
            "report.dat: its suffix does not name a format",
            "or add --format",
        ),
        (("run", *LOCAL, "--all", "-o", "/nonexistent/r.csv"), "there is no directory /nonexistent", "make it first"),
        (("run", *LOCAL, "--all", "--format", "csv", "-o", "/"), "-o /: is a directory", "name a file"),
        (("run", *LOCAL, "--all", "--ssh-config", "~nobody-of-that-name/c"), "c: no such file", "exists"),
        (
            ("run", *LOCAL, "--all", "--known-hosts", "/nonexistent/k"),
            "--known-hosts /nonexistent/k: no such file",
            "exists",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(words: tuple[str, ...], sentence: str, hint: str):
    """The message names the mistake, its place and the remedy: no traceback, nothing on stdout, no host asked."""
    done = fleetpmap(*words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    said, _, advice = done.stderr.partition("\nhint: ")
    assert sentence in said
    assert hint in advice
    assert advice.strip()
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "--jobs", "0"), '--jobs: "0" is not a whole number from 1 on'),
        (("run", "--jobs", "x"), '--jobs: "x" is not a whole number from 1 on'),
        (("run", "--top", "-1"), '--top: "-1" is not a whole number from 0 on'),
        (("run", "--timeout", "0"), '--timeout: "0" is not a number of seconds'),
        (("run", "--connect-timeout", "nan"), '--connect-timeout: "nan" is not a number of seconds'),
        (("run", "--deadline", "inf"), '--deadline: "inf" is not a number of seconds'),
    ],
)
def test_a_malformed_number_exits_2(words: tuple[str, ...], named: str):
    """It is the parser's to refuse."""
    done = fleetpmap(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_every_mistake_of_an_inventory_at_once(tmp_path: Path):
    """One run tells them all, each with its address."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[defaults]\nprot = 22\n[hosts.web-03]\nport = "22a"\nsudo = "yes"\n')
    done = fleetpmap("run", "-i", str(inventory), "--all")
    assert done.returncode == 2
    for address in ("defaults.prot", "hosts.web-03.port", "hosts.web-03.sudo"):
        assert f"at {address}" in done.stderr


def test_help_is_cheap():
    """--help imports neither numpy nor paramiko."""
    program = (
        "import sys\nfrom fleetpmap.cli.commands import app\n"
        "try:\n    app(['run', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'paramiko', 'ClusterShell') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [("run",), ("watch", "--count", "1")], ids=["run", "watch"])
def test_without_a_screen_nothing_imports_textual(words: tuple[str, ...]):
    """It takes 0.15 s of CPU."""
    argv = [*words, "-H", "local", "--pid", str(os.getpid()), "--quiet"]
    program = (
        f"import sys\nfrom fleetpmap.cli.commands import app\ntry:\n    app({argv})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'textual') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "['numpy']"


def test_every_view_and_format_of_the_options_has_its_module():
    """--view and --format are made from the catalogue, and each name in it finds its function."""
    empty = Snapshot.assemble((), Run(datetime.now(UTC), 0.0, ""))
    reports = [report.VIEWS[view.value](empty, report.ViewOptions()).view for view in View]
    assert reports == [view.value for view in View]
    assert [format_.value for format_ in Format] == ["table", "plain", *EXPORTERS]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_command_line(name: str):
    """Every command has one, whose options it has; --help ends with them."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # an app with commands is a group
    assert {*EXAMPLES} == {"", *commands}
    for line in examples_of(name):
        program, called, *words = shlex.split(line)
        assert (program, called in commands) == ("fleetpmap", True)
        context = commands[called].context_class(commands[called])
        assert commands[called].make_parser(context).parse_args(words)
        assert line in (commands[name].epilog if name else app.info.epilog)


def test_help_is_called_by_its_name():
    """However it was started."""
    assert "Usage: fleetpmap run" in fleetpmap("run", "--help").stdout


def test_help_loses_no_word():
    """rich drops text that looks like markup, such as `[heap]`, without an error."""
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]  # an app with commands is a group
    told = [option.help for command in commands for option in command.params if option.help]
    assert len(told) > 100
    assert [text for text in told if render(text).plain != text] == []


def test_version():
    """--version prints the program and its version."""
    assert fleetpmap("--version").stdout == "fleetpmap 0.1.0\n"


def test_no_match_anywhere_is_5():
    """A host that has nothing to show is no failure, but a script has to know."""
    done = fleetpmap("run", *LOCAL, "--match", "^no-such-process-name$")
    assert done.returncode == 5
    assert "no process matched" in done.stderr


def test_no_host_answers_is_4(tmp_path: Path):
    """If no host could be asked, the report has a row with the reason and empty numbers."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[hosts.gone]\naddress = "127.0.0.1"\nport = 1\n')
    words = ("run", "-i", str(inventory), "--all", "--ssh-config", "none", "--view", "hosts", "--format", "csv")
    done = fleetpmap(*words)
    assert done.returncode == 4
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (row["host"], row["status"], row["processes"], row["rss_kib"]) == ("gone", "refused", "", "")
    assert done.stderr.startswith("gone: ")
    assert "  hint: " in done.stderr


def test_output_takes_its_format_from_the_suffix(tmp_path: Path):
    """-o FILE.json holds json and stdout stays empty."""
    file = tmp_path / "report.json"
    done = fleetpmap("run", *OURSELVES, "-o", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(file.read_text())["view"] == "summary"


def test_stdout_is_the_report_and_nothing_else():
    """In a pipe the report is plain text; what is said about it goes to stderr."""
    done = fleetpmap("run", *OURSELVES, "--view", "processes")
    assert done.stdout.splitlines()[0].split() == [
        *("host", "pid", "user", "name", "status", "mappings", "size_kib", "rss_kib", "pss_kib", "uss_kib"),
        *("dirty_kib", "swap_kib", "swap_pss_kib", "hugetlb_kib", "service", "unit", "container", "pod", "started"),
        *("oom_score_adj", "hwm_kib", "rss_source", "cgroup_current_kib", "limit_kib", "limit_share", "command"),
    ]
    assert done.stderr == "1 of 1 host answered; 1 of 1 process read\n"


def test_quiet_says_nothing_when_all_is_well():
    """--quiet leaves only errors on stderr."""
    assert fleetpmap("run", *OURSELVES, "--quiet").stderr == ""


def test_hosts_contacts_nobody(tmp_path: Path):
    """`hosts` lists the route to each host, in the inventory's order."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(
        '[defaults]\nuser = "ops"\n[groups.web]\nhosts = "web[01-02]"\n'
        '[hosts.db]\naddress = "10.0.0.5"\nport = 2222\nsudo = true\n[hosts.behind]\nproxy_jump = "bastion"\n'
    )
    done = fleetpmap("hosts", "-i", str(inventory), "--ssh-config", "none", "--format", "csv")
    assert done.returncode == 0
    listed = {row["host"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert sorted(listed) == ["behind", "db", "web01", "web02"]
    assert [listed["db"][key] for key in ("transport", "address", "port", "user", "sudo")] == [
        *("ssh", "10.0.0.5", "2222", "ops", "true"),
    ]
    assert listed["web01"]["groups"] == "web"
    assert listed["behind"]["transport"] == "ssh"
    assert listed["behind"]["via"].endswith("@bastion:22")
    assert listed["db"]["via"] == ""


def test_hosts_lists_a_host_that_has_no_way(tmp_path: Path):
    """A mistake of ssh_config for one host is in its row; the other rows are whole."""
    config = tmp_path / "config"
    config.write_text("Host bad\n IdentityFile ${FLEET_UNSET}/id\nHost Good\n Port 2222\n")
    done = fleetpmap("hosts", "-H", "bad,Good", "--ssh-config", str(config), "--format", "csv")
    assert done.returncode == 0
    bad, good = csv.DictReader(io.StringIO(done.stdout))
    assert bad["note"] == 'no way: IdentityFile cannot be "${FLEET_UNSET}/id": the variable FLEET_UNSET is not set'
    assert (good["host"], good["port"]) == ("good", "2222")


def test_ps_needs_no_process_option():
    """`ps` lists everything when nothing is asked for."""
    done = fleetpmap("ps", *LOCAL, "--format", "jsonl")
    assert os.getpid() in {json.loads(line).get("pid") for line in done.stdout.splitlines()}


def test_the_library_shows_its_names():
    """`dir(fleetpmap)`, and so a Tab in an interactive session, before any of them is imported."""
    code = "import fleetpmap; print(dir(fleetpmap) == sorted(fleetpmap.__all__), 'collect' in dir(fleetpmap))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
