"""A command line that is almost right is refused in one sentence, with the line that was probably meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from program import fleetpmap

LOCAL = ("-H", "local")


def _refused(*words: str, **environment: str) -> tuple[str, str]:
    """Return the sentence and the hint of a command line that exits with 2 and writes nothing else."""
    done = fleetpmap(*words, **environment)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    said, hint = done.stderr.splitlines()
    assert hint.startswith("hint: ")
    return said, hint.removeprefix("hint: ")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("run", "nginx"), "fleetpmap run --match nginx"),
        (("run", "8960"), "fleetpmap run --pid 8960"),
        (("run", "8960", "8961"), "fleetpmap run --pid 8960,8961"),
        (("ps", "nginx"), "fleetpmap ps --match nginx"),
        (("watch", "8960"), "fleetpmap watch --pid 8960"),
        (("run", "nginx", "redis"), "fleetpmap run --match 'nginx|redis'"),
        (("run", "*nginx"), "fleetpmap run --match nginx"),
        (("run", "my app"), "fleetpmap run --match 'my app'"),
        (("run", "--match", "nginx", "web-01"), "fleetpmap run --match nginx -H web-01"),
        (
            ("run", "-H", "web[01-02]", "nginx", "--view", "hosts"),
            "fleetpmap run -H 'web[01-02]' --view hosts --match nginx",
        ),
        (("run", "nginx", "-H", "nginx"), "fleetpmap run -H nginx --match nginx"),
        (("run", "-H", "nginx", "--all", "nginx"), "fleetpmap run -H nginx --all --match nginx"),
    ],
)
def test_a_bare_word_is_answered_with_the_option_that_takes_it(words: tuple[str, ...], meant: str):
    """A number is a pid, any other word a name; the other options stay, also where one has the same value."""
    said, hint = _refused(*words)
    assert "is not an option" in said
    assert hint == f"did you mean `{meant}`?"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("run", "web-01", "nginx"), "run -H web-01 --match nginx"),
        (("run", "web-02", "1843", "web-01"), "run -H web-02,web-01 --pid 1843"),
        (("run", "front", "nginx"), "run -g front --match nginx"),
        (("run", "web-01"), "run -H web-01 --all"),
        (("run", "web-01", "-u", "app"), "run -u app -H web-01"),
        (("ps", "web-01"), "ps -H web-01"),
        (("web-01", "nginx"), "run -H web-01 --match nginx"),
    ],
)
def test_a_bare_word_that_the_inventory_has_is_a_host_or_a_group(tmp_path: Path, words: tuple[str, ...], meant: str):
    """As ssh and kubectl take them: the host first, then what runs there."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[groups.front]\nhosts = "web-[01-02]"\n')
    _, hint = _refused(*words, FLEETPMAP_INVENTORY=str(inventory))
    assert hint.startswith(f"did you mean `fleetpmap {meant}`?")


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("run", "--mach", "x"), "fleetpmap run: there is no option --mach", "did you mean --match? "),
        (("run", "-n"), "fleetpmap run: there is no option -n", "`fleetpmap run --help` lists"),
        (("run", "-g"), "fleetpmap run: -g needs a value", "`fleetpmap run --help` lists"),
        (("run", "--all=1"), "fleetpmap run: --all takes no value", "`fleetpmap run --help` lists"),
        (("run", "--timeout", "1m"), '--timeout: "1m" is not a number of seconds', "write 0.5, 10 or 600"),
        (("show",), "fleetpmap show: PATH... is missing", "`fleetpmap show --help` lists"),
        (("-V",), "fleetpmap: there is no option -V", "did you mean --version? "),
        (("version",), 'fleetpmap: there is no command "version"', "did you mean `fleetpmap --version`?"),
    ],
)
def test_what_the_parser_refuses_is_one_sentence(words: tuple[str, ...], said: str, hint: str):
    """No usage, no frame: the mistake, and what to do."""
    sentence, what_to_do = _refused(*words)
    assert sentence == said
    assert what_to_do.startswith(hint)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("-g", "web", "run", "--all"), "fleetpmap run -g web --all"),
        (("-x", "8960"), "fleetpmap run -x -H local --pid 8960"),
    ],
)
def test_an_option_before_its_command(words: tuple[str, ...], meant: str):
    """kubectl takes it there, and pmap has no command."""
    said, hint = _refused(*words)
    assert said == f"fleetpmap: {words[0]} is an option of a command, and comes after it"
    assert hint == f"did you mean `{meant}`?"


def test_many_bare_words_are_no_suggestion():
    """The shell has put the names of files in the place of a pattern without quotes."""
    said, hint = _refused("run", "a.txt", "b.txt", "c.txt", "d.txt")
    assert said == 'fleetpmap run: "a.txt" is not an option'
    assert hint == "`fleetpmap run --help` lists what it takes"


def test_a_command_without_process_options_takes_a_bare_word_for_a_host():
    """It has no option that could take a process; a command of stored runs has none for a host either."""
    assert _refused("hosts", "web-01") == (
        'fleetpmap hosts: "web-01" is not an option',
        "did you mean `fleetpmap hosts -H web-01`?",
    )
    assert _refused("history", "runs/", "web-01") == (
        'fleetpmap history: "web-01" is not an option',
        "`fleetpmap history --help` lists what it takes",
    )


@pytest.mark.parametrize("words", [(), ("run",)])
def test_help_is_an_option(words: tuple[str, ...]):
    """Other programs have it as a command; it is no process to look for."""
    said, hint = _refused("help", *words)
    assert said == 'fleetpmap: there is no command "help"'
    assert hint == f"did you mean `{' '.join(['fleetpmap', *words, '--help'])}`?"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("8960",), "`fleetpmap run -H local --pid 8960`"),
        (("8960", "-x"), "`fleetpmap run -x -H local --pid 8960`"),
        (("8960", "-H", "web-01"), "`fleetpmap run -H web-01 --pid 8960`"),
        (("nginx",), "`fleetpmap run --match nginx`"),
        (("nginx", "-g", "web"), "`fleetpmap run -g web --match nginx`"),
        (("rnu",), "`fleetpmap run` or `fleetpmap run --match rnu`"),
        (("doktor", "web-01"), "`fleetpmap doctor web-01` or `fleetpmap run --match 'doktor|web-01'`"),
    ],
)
def test_an_unknown_command_is_answered_with_the_line_that_was_meant(words: tuple[str, ...], meant: str):
    """A number is a process of this machine, a name near a command is that command, any other name a process."""
    said, hint = _refused(*words)
    assert said == f'fleetpmap: there is no command "{words[0]}"'
    assert hint == (
        f"did you mean {meant}? "
        "the commands are run, show, explore, watch, diff, history, ps, hosts, doctor, fields, demo"
    )


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("run", "-m", "nginx", "-m", "redis"), "--match is given 2 times", "write one pattern for all"),
        (("hosts", "-i", "a.toml", "-i", "b.toml"), "--inventory is given 2 times", "give it once"),
        (("run", "--all", "-o", "a.csv", "-o", "b.csv", "-o", "c.csv"), "--output is given 3 times", "give it once"),
        (("run", "--all", "--by", "host", "--by", "service"), "--by is given 2 times", "separate the keys by commas"),
        (("run", "--all", "--view", "hosts", "--view", "stale"), "--view is given 2 times", "--export VIEW=FILE"),
    ],
)
def test_two_values_of_an_option_that_takes_one(words: tuple[str, ...], said: str, hint: str):
    """The last one alone would count, and the hosts or processes of the other be missing without a word."""
    sentence, what_to_do = _refused(*words)
    assert sentence == f"{said}, and takes one value"
    assert hint in what_to_do


def test_options_that_may_come_twice():
    """Lists add up. Of the options that say how, the last one counts: a script's own come before its user's."""
    pids = {1, os.getpid()}
    words = ("ps", *LOCAL, *LOCAL, *(word for pid in pids for word in ("--pid", str(pid))), "-v", "-v")
    done = fleetpmap(*words, "--timeout", "0.001", "--timeout", "60", "--format", "csv", "--format", "json")
    assert done.returncode in (0, 3), done.stderr
    assert sorted(row["pid"] for row in json.loads(done.stdout)["rows"]) == sorted(pids)


@pytest.mark.parametrize(
    ("words", "said", "near", "known"),
    [
        (("run", "--view", "host"), '--view: there is no value "host"', "hosts", "values are summary, merged, hosts"),
        (("run", "--format", "jsn"), '--format: there is no value "jsn"', "json", "values are table, plain, csv"),
        (("run", "--format", "md"), '--format: there is no value "md"', "markdown", "values are table, plain, csv"),
        (("run", "--metric", "pps"), '--metric: there is no value "pps"', "pss", "values are pss, rss, uss"),
        (("diff", "a", "b", "--metric", "rrs"), '--metric: there is no value "rrs"', "rss", "values are pss, rss"),
        (
            ("run", "--peers", "servce"),
            '--peers: there is no value "servce"',
            "service",
            "values are service, group, all",
        ),
        (("run", "--all", "--by", "proces"), '--by: there is no key "proces"', "process", "the keys are host, service"),
        (("run", "--all", "--columns", "pss_kb"), 'no column "pss_kb"', "pss_kib", "the columns are hosts, processes"),
        (("run", "--all", "--sort", "procesess"), 'no column "procesess"', "processes", "the columns are hosts"),
        (("run", "--all", "--export", "host=h.csv"), 'no view "host"', "hosts", "the views are summary, merged"),
        (
            ("run", "-H", "web-[01-40]", "--all", "--view", "compare", "--baseline", "web-1"),
            "--baseline web-1: that host is not asked",
            "web-01",
            "the hosts are web-[01-40]",
        ),
    ],
)
def test_an_unknown_value_is_answered_with_the_nearest(words: tuple[str, ...], said: str, near: str, known: str):
    """And with the list of those that there are."""
    sentence, hint = _refused(*words)
    assert said in sentence
    assert hint.startswith(f"did you mean {near}? ")
    assert known in hint


def test_a_value_that_is_near_none_is_answered_with_the_list():
    """A far-fetched suggestion would mislead."""
    assert _refused("run", "--view", "sideways") == (
        '--view: there is no value "sideways"',
        "the values are summary, merged, hosts, services, processes, mappings, pmap, compare, stale",
    )


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("*nginx", "write nginx or '.*nginx'"),
        ("*nginx*", "write nginx or '.*nginx.*'"),
        ("*.py", r"write '\.py' or '.*\.py'"),
        ("*", "write . or '.*'"),
    ],
)
def test_a_glob_that_is_no_regular_expression_is_called_so(pattern: str, hint: str):
    """With the regular expressions to write in its place."""
    assert _refused("run", *LOCAL, "-m", pattern) == (
        f"--match '{pattern}' is a glob, and --match takes a regular expression",
        hint,
    )


@pytest.mark.parametrize("pattern", ["(nginx", "*(nginx", "a**b$"])
def test_a_broken_regular_expression_is_not_called_a_glob(pattern: str):
    """It holds signs that no glob has."""
    said, _ = _refused("run", *LOCAL, "-m", pattern)
    assert "is not a regular expression: " in said


@pytest.mark.parametrize("words", [("hosts", *LOCAL), ("ps", *LOCAL, "--pid", "1"), ("fields",)])
def test_json_is_short_for_format_json(words: tuple[str, ...]):
    """On every command with --format."""
    short, long = fleetpmap(*words, "--json"), fleetpmap(*words, "--format", "json")
    assert json.loads(short.stdout)["columns"] == json.loads(long.stdout)["columns"]
    assert short.returncode == long.returncode


def test_json_and_another_format_exclude_each_other():
    """Neither wins silently; the same format twice is no contradiction."""
    assert _refused("hosts", *LOCAL, "--json", "--format", "csv") == (
        "--json and --format csv exclude each other",
        "leave one of them out",
    )
    assert json.loads(fleetpmap("hosts", *LOCAL, "--json", "--format", "json").stdout)["view"] == "routes"


def test_json_and_a_file_of_another_format_exclude_each_other(tmp_path: Path):
    """As --format json does; no file is written."""
    file = tmp_path / "hosts.csv"
    said, _ = _refused("hosts", *LOCAL, "--json", "-o", str(file))
    assert said == f"--format json and -o {file}: the name of the file means csv"
    assert not file.exists()
