"""The README's snippets are run, and what they print is what the README shows (see snippets)."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.inventory import load
from snippets import blocks, check_consoles, consoles, dead_links, demo_directory, in_terminal

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SVG = ROOT / "docs" / "images" / "run.svg"
CELL = 12.2
"""Width of a terminal cell in a picture of rich, at its font of 20 pixels."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose inventory.toml is the demo's three hosts, as the group web."""
    with demo_directory(tmp_path_factory.mktemp("fleet")) as directory:
        yield directory


def test_every_console_shows_what_the_program_prints(fleet: Path):
    """Each command is typed in a terminal; the lines under it are its output."""
    assert len(consoles(README)) == 4
    check_consoles(README, lambda console: fleet)


def test_the_picture_shows_what_the_program_prints(fleet: Path):
    """The text in it, line by line; `docs/pictures.py --run` draws it anew. It begins with what stands out."""
    drawn: dict[float, str] = {}
    for x, y, text in re.findall(
        r'<text class="run-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', SVG.read_text()
    ):
        line = drawn.get(float(y), "").ljust(round(float(x) / CELL))
        drawn[float(y)] = line + html.unescape(text).replace("\xa0", " ")
    lines = [drawn[y].rstrip() for y in sorted(drawn)]
    command = lines[0].removeprefix("$ ")
    assert [line for line in lines[1:] if line] == [line for line in in_terminal(command, fleet).splitlines() if line]
    assert "(pid " in lines[1]
    assert "https" not in re.sub('xmlns="[^"]*"|<!--.*?-->', "", SVG.read_text())


def test_the_two_commands_are_targets():
    """`make demo` and `make test` exist; CI runs the second."""
    (commands,) = (body for body in blocks(README, "console") if "make" in body)
    assert commands.split() == ["$", "make", "demo", "$", "make", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_inventory_loads(tmp_path: Path):
    """The ten-line inventory is one."""
    (snippet,) = blocks(README, "toml")
    file = tmp_path / "inventory.toml"
    file.write_text(snippet)
    inventory = load(file)
    assert len(inventory.groups["web"]) == 20
    assert (inventory.hosts["db-primary"].port, inventory.hosts["db-primary"].sudo) == (2222, True)


def test_the_library_example_runs(fleet: Path):
    """The five lines of Python print a row for each host."""
    (snippet,) = blocks(README, "python")
    done = subprocess.run([sys.executable, "-c", snippet], cwd=fleet, capture_output=True, text=True, check=True)
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:4]] == [
        ["web-01", "ok"],
        ["web-02", "ok"],
        ["web-03", "ok"],
    ]


def test_links_lead_somewhere():
    """Every relative link of the README is a file."""
    assert dead_links(README) == []
