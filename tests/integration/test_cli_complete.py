"""Tab: what the program says to the shells' completion functions, run as they run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleetpmap.catalogue import REPORTS
from fleetpmap.report import column_names, diff, fields, ps
from program import BARE, fleetpmap
from snapshots import small_fleet

INVENTORY = '[groups.web]\nhosts = "web[01-02]"\n[groups.db]\nhosts = ["db-primary"]\n'


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """An inventory file of two groups."""
    file = tmp_path / "fleet.toml"
    file.write_text(INVENTORY)
    return str(file)


def _bash(line: str, **environment: str) -> list[str]:
    """The candidates for the last word of a line; a space at its end begins a new one."""
    asked = {"_FLEETPMAP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = fleetpmap(**asked, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ("-H web", ["web01", "web02"]),
        ("-H web01,", ["web01,web02", "web01,db-primary", "web01,@web", "web01,@db"]),
        ("--limit @w", ["@web"]),
        ("--exclude d", ["db-primary"]),
        ("-g ", ["web", "db"]),
        ("--hosts-from ", []),
    ],
)
def test_hosts_and_groups_of_the_inventory(inventory: str, words: str, candidates: list[str]):
    """The inventory that -i names, or the environment, as for the command itself."""
    assert _bash(f"fleetpmap run -i {inventory} {words}") == candidates
    assert _bash(f"fleetpmap run {words}", FLEETPMAP_INVENTORY=inventory) == candidates


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("run --view m", ["merged", "mappings"]),
        ("run --format j", ["json", "jsonl"]),
        ("run --by host,us", ["host,user"]),
        ("run --view hosts --columns host,p", ["host,processes", "host,pss_kib"]),
        ("run --by perms --sort pe", ["perms"]),
        ("ps --sort r", ["rss_kib"]),
        ("run --view services --fail-if limit", ["limit", "limit_share"]),
        ("history x/ --fail-if l", ["leak", "last"]),
        ("run --transport ", ["ssh", "openssh"]),
        ("run --dead", ["--deadline"]),
        ("ru", ["run"]),
        ("--show-completion ", ["bash", "zsh", "fish"]),
        ("run --user r", []),
        ("run -o ", []),
    ],
)
def test_words_of_the_program(line: str, candidates: list[str]):
    """Views, formats, keys, columns of the view, options and commands; for files and users the shell knows better."""
    assert _bash(f"fleetpmap {line}") == candidates


@pytest.mark.parametrize("text", ["[broken", "[hosts.a]\nport = 0\n", "\x00", None])
def test_a_broken_inventory_offers_nothing(tmp_path: Path, text: str | None):
    """Nothing is said either: the line that is being typed would be torn."""
    file = tmp_path / "fleet.toml"
    if text is not None:
        file.write_text(text)
    assert _bash(f"fleetpmap run -i {file} -H ") == []


def test_zsh_and_fish_get_the_same(inventory: str):
    """Each in its own form."""
    line = f"fleetpmap run -i {inventory} -g w"
    zsh = fleetpmap(_FLEETPMAP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert zsh.stdout == "_arguments '*: :((\"web\"))'\n"
    get = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line}
    assert fleetpmap(_FLEETPMAP_COMPLETE="complete_fish", **get).stdout == "web\n"


def test_a_tab_is_cheap(inventory: str):
    """No candidate takes numpy or paramiko."""
    asked = {"_FLEETPMAP_COMPLETE": "complete_bash", "COMP_CWORD": "3", "FLEETPMAP_INVENTORY": inventory}
    for option in ("-H", "--columns"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "fleetpmap"],
            env=BARE | asked | {"COMP_WORDS": f"fleetpmap run {option} "},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout
        assert not [line for line in done.stderr.splitlines() if line.endswith((" numpy", " paramiko"))]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_show_completion_needs_no_known_shell(shell: str):
    """The script of the shell named is printed, also if another shell started the program."""
    done = fleetpmap("--show-completion", shell)
    assert done.returncode == 0
    assert f"complete_{shell}" in done.stdout


def test_show_completion_of_another_shell():
    """The error names those there are."""
    done = fleetpmap("--show-completion", "tcsh")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'bash', 'zsh', 'fish'" in " ".join(done.stderr.replace("│", " ").split())  # it stands in a box


def test_a_real_bash_completes(inventory: str, tmp_path: Path):
    """The function that the script defines fills COMPREPLY."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip(reason="no bash on this machine, whose completion this is")
    program = tmp_path / "fleetpmap"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fleetpmap "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(fleetpmap --show-completion bash)"; COMP_WORDS=(fleetpmap run -g w); COMP_CWORD=3; '
        '_fleetpmap_completion fleetpmap; printf "%s\\n" "${COMPREPLY[@]}"; complete -p fleetpmap'
    )
    path = f"{tmp_path}:{BARE['PATH']}"
    done = subprocess.run(
        [bash, "-c", script],
        env=BARE | {"PATH": path, "FLEETPMAP_INVENTORY": inventory},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["web", "complete -o default -F _fleetpmap_completion fleetpmap"]


def test_the_names_offered_are_those_of_the_reports():
    """The catalogue lists the columns, since the reports import numpy: the two must not part."""
    offered = {report.name: report.columns for report in REPORTS}
    for view in ("summary", "merged"):
        assert (*offered[view], "mapping") == column_names(view)
    for view in ("hosts", "processes"):
        assert offered[view] == column_names(view)
    assert set(offered["mappings"]) < set(column_names("mappings"))
    compared = diff(small_fleet(), small_fleet()).tables[0]
    assert {*offered["diff"], "mapping"} == {column.name for column in compared.columns}
    assert offered["fields"] == tuple(column.name for column in fields().tables[0].columns)
    assert offered["ps"] == tuple(column.name for column in ps(small_fleet()).tables[0].columns)
