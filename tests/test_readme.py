"""The README's snippets are run, and what they print is what the README shows.

UPDATE_EXPECTED=1 rewrites the outputs in the README, and then fails so that nobody takes that for a pass.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.demo import demo_inventory
from fleetpmap.inventory import Inventory, load

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
WIDTH = 100
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def blocks(language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(README.read_text()) if kind == language]


def consoles() -> list[str]:
    return [body for body in blocks("console") if body.startswith("$ fleetpmap")]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose inventory.toml is the demo's three hosts, as the group web."""
    directory = tmp_path_factory.mktemp("fleet")
    with demo_inventory() as inventory:
        (directory / "inventory.toml").write_text(as_toml(inventory))
        yield directory


def as_toml(inventory: Inventory) -> str:
    tables = ['[groups.web]\nhosts = "web-[01-03]"\n']
    for host in inventory.hosts.values():
        keys = f'address = "{host.address}"\nport = {host.port}\nuser = "{host.user}"\nproc_root = "{host.proc_root}"\n'
        keys += (
            f'identity_file = "{host.identity_file[0]}"\nknown_hosts = "{host.known_hosts[0]}"\nproxy_jump = "none"\n'
        )
        tables.append(f"[hosts.{host.name}]\n{keys}")
    return "\n".join(tables)


def in_terminal(command: str, directory: Path) -> str:
    """What a terminal of WIDTH columns shows when `command` is typed; without colour."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    environment = {"PATH": path, "HOME": str(directory), "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    with subprocess.Popen(
        ["sh", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=directory, env=environment
    ) as child:
        os.close(theirs)
        shown = b"".join(iter(lambda: read(ours), b""))
        child.wait(timeout=60)
    os.close(ours)
    return ESCAPES.sub("", shown.decode()).replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the last writer is gone
        return b""


def test_every_console_shows_what_the_program_prints(fleet: Path):
    """Each command is typed in a terminal; the lines under it are its output."""
    text = README.read_text()
    assert len(consoles()) == 4
    for console in consoles():
        command = console.splitlines()[0].removeprefix("$ ")
        shown = f"$ {command}\n{in_terminal(command, fleet)}"
        if os.environ.get("UPDATE_EXPECTED"):
            text = text.replace(f"```console\n{console}```", f"```console\n{shown}```")
        else:
            assert shown == console
    if os.environ.get("UPDATE_EXPECTED"):
        README.write_text(text)
        pytest.fail("README.md was rewritten: look at the difference")


def test_the_two_commands_are_targets():
    """`make demo` and `make test` exist; CI runs the second."""
    (commands,) = (body for body in blocks("console") if "make" in body)
    assert commands.split() == ["$", "make", "demo", "$", "make", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_inventory_loads(tmp_path: Path):
    """The ten-line inventory is one."""
    (snippet,) = blocks("toml")
    file = tmp_path / "inventory.toml"
    file.write_text(snippet)
    inventory = load(file)
    assert len(inventory.groups["web"]) == 20
    assert (inventory.hosts["db-primary"].port, inventory.hosts["db-primary"].sudo) == (2222, True)


def test_the_library_example_runs(fleet: Path):
    """The five lines of Python print a row for each host."""
    (snippet,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", snippet], cwd=fleet, capture_output=True, text=True, check=True)
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:4]] == [
        ["web-01", "ok"],
        ["web-02", "ok"],
        ["web-03", "ok"],
    ]


def test_links_lead_somewhere():
    """Every relative link of the README is a file."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target
