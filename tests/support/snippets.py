"""The code blocks of a page, run as a reader would type them.   README, docs ─► [snippets] ─► test_readme, test_docs

A console block that begins with `$ fleetpmap` is run whole, command by command, in a directory whose inventory.toml is
the demo's fleet. UPDATE_EXPECTED=1 rewrites the outputs in the page, and then fails: nobody is to take that for a pass.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetpmap.demo import demo_fleet, demo_inventory
from fleetpmap.inventory import Inventory
from leaking_trees import lay_out_leaking
from terminal import Terminal

WIDTH = 100
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]*)(#[^)]*)?\)")
_PROGRESS = re.compile(r"\x1b\[\?25l.*?\x1b\[\?25h\r\x1b\[1A\x1b\[2K", re.DOTALL)
"""The progress line, from hiding the cursor to taking the line away again: nothing is left of it on a terminal."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def blocks(page: Path, language: str) -> list[str]:
    """The bodies of the page's blocks of a language."""
    return [body for kind, body in _BLOCK.findall(page.read_text()) if kind == language]


def consoles(page: Path) -> list[str]:
    """The bodies of the blocks that are to be run."""
    return [body for body in blocks(page, "console") if body.startswith("$ fleetpmap")]


def dead_links(page: Path) -> list[str]:
    """The page's relative links that lead to no file, or to no heading in it."""
    return [
        f"{target}{anchor}"
        for target, anchor in _LINK.findall(page.read_text())
        if not (file := page.parent / target if target else page).exists()
        or (anchor and anchor[1:] not in _anchors(file))
    ]


def _anchors(page: Path) -> list[str]:
    """The headings as a browser's address has them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@contextmanager
def demo_directory(directory: Path) -> Iterator[Path]:
    """Makes `directory` one whose inventory.toml is the demo's three hosts, as the group web."""
    with demo_inventory() as inventory:
        (directory / "inventory.toml").write_text(_as_toml(inventory))
        yield directory


@contextmanager
def leaking_directory(directory: Path) -> Iterator[Path]:
    """Makes `directory` one whose inventory.toml is eight hosts, one of which leaks, as the group web."""
    with tempfile.TemporaryDirectory() as trees:
        lay_out_leaking(Path(trees))
        with demo_fleet(Path(trees)) as inventory:
            (directory / "inventory.toml").write_text(_as_toml(inventory))
            yield directory


def _as_toml(inventory: Inventory) -> str:
    tables = [f"[groups.web]\nhosts = {list(inventory.hosts)}\n"]
    for host in inventory.hosts.values():
        keys = f'address = "{host.address}"\nport = {host.port}\nuser = "{host.user}"\nproc_root = "{host.proc_root}"\n'
        keys += (
            f'identity_file = "{host.identity_file[0]}"\nknown_hosts = "{host.known_hosts[0]}"\nproxy_jump = "none"\n'
        )
        tables.append(f"[hosts.{host.name}]\n{keys}")
    return "\n".join(tables)


def check_consoles(page: Path, directory_of: Callable[[str], Path]) -> None:
    """Each command is typed in a terminal; the lines under it are its output. `directory_of(console)`: where."""
    text = page.read_text()
    for console in consoles(page):
        shown = _replayed(console, directory_of(console))
        text = text.replace(f"```console\n{console}```", f"```console\n{shown}```")
    if text == page.read_text():
        return
    if os.environ.get("UPDATE_EXPECTED"):
        page.write_text(text)
        pytest.fail(f"{page.name} was rewritten: look at the difference")
    difference = difflib.unified_diff(page.read_text().splitlines(), text.splitlines(), "shown", "printed", lineterm="")
    pytest.fail("\n".join([f"{page.name} is not what the program prints (UPDATE_EXPECTED=1 rewrites it)", *difference]))


def _replayed(console: str, directory: Path) -> str:
    commands = [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {command}\n{in_terminal(command, directory)}" for command in commands)


def in_terminal(command: str, directory: Path, *, colours: bool = False) -> str:
    """What a terminal of WIDTH columns shows when `command` is typed; without colour, unless asked for."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    environment = {"PATH": path, "HOME": str(directory), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    environment |= {} if colours else {"NO_COLOR": "1"}
    # ssh looks for its files in the home of passwd, not in ours: what they say of all hosts must not show.
    only_ours = (
        "fleetpmap() { case $1 in show | diff | history | fields) ;; *) set -- "
        '"$@" --ssh-config none ;; esac; command fleetpmap "$@"; }; '
    )
    with Terminal(["sh", "-c", only_ours + command], environment, columns=WIDTH, cwd=directory) as terminal:
        terminal.status()
        shown = _PROGRESS.sub("", terminal.shown)
        return shown if colours else _COLOURS.sub("", shown)
