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
from snippets import blocks, check_consoles, consoles, dead_links, demo_directory, in_terminal, leaking_directory

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PICTURES = [path for path in sorted((ROOT / "docs" / "images").glob("*.svg")) if "run-r" in path.read_text()]
CELL = 12.2
"""Width of a terminal cell in a picture of rich, at its font of 20 pixels."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose inventory.toml is the demo's three hosts, as the group web."""
    with demo_directory(tmp_path_factory.mktemp("fleet")) as directory:
        yield directory


def test_every_console_shows_what_the_program_prints(fleet: Path):
    """Each command is typed in a terminal; the lines under it are its output."""
    assert len(consoles(README)) == 2
    check_consoles(README, lambda console: fleet)


def test_the_three_commands_run(fleet: Path):
    """As they are written, to their end."""
    (block,) = (body for body in blocks(README, "sh") if body.startswith("fleetpmap demo"))
    assert len(block.splitlines()) == 3
    for command in block.splitlines():
        assert "3 of 3 hosts answered" in in_terminal(command, fleet)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same with the eight hosts of the first picture."""
    with leaking_directory(tmp_path_factory.mktemp("leaking")) as directory:
        yield directory


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.stem for picture in PICTURES])
def test_a_picture_shows_what_the_program_prints(fleet: Path, leaking: Path, picture: Path):
    """Its first line is the command, the others the output; `docs/pictures.py --run` draws them anew."""
    directory = leaking if picture.stem == "run" else fleet
    svg = picture.read_text()
    drawn: dict[float, str] = {}
    for x, y, text in re.findall(r'<text class="run-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        line = drawn.get(float(y), "").ljust(round(float(x) / CELL))
        drawn[float(y)] = line + html.unescape(text).replace("\xa0", " ")
    lines = [drawn[y].rstrip() for y in sorted(drawn)]
    command = lines[0].removeprefix("$ ")
    printed = in_terminal(command, directory).splitlines()
    assert [line for line in lines[1:] if line] == [line for line in printed if line]
    assert "https" not in re.sub('xmlns="[^"]*"|<!--.*?-->', "", svg)


def test_the_first_picture_says_why_one_host_uses_more():
    """The first line under the command names host, process, mapping and how much more it is."""
    svg = html.unescape((ROOT / "docs" / "images" / "run.svg").read_text()).replace("\xa0", " ")
    first = next(line for line in re.findall(r">([^<]+)</text>", svg) if "(pid" in line)
    assert re.search(r"on web-07 \(pid 1851\): \[heap\] [\d.]+M, [\d.]+M above the median of 8 hosts$", first)


def test_the_two_commands_are_targets():
    """`make demo` and `make test` exist; CI runs the second."""
    (commands,) = (body for body in blocks(README, "console") if "make" in body)
    assert commands.split() == ["$", "make", "demo", "$", "make", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_inventory_loads(tmp_path: Path):
    """The short inventory is one."""
    (snippet,) = blocks(README, "toml")
    file = tmp_path / "inventory.toml"
    file.write_text(snippet)
    inventory = load(file)
    assert len(inventory.groups["web"]) == 20
    assert (inventory.hosts["db-primary"].user, inventory.hosts["db-primary"].sudo) == ("ops", True)


def test_the_library_example_runs(fleet: Path):
    """The lines of Python print a row for each host."""
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    (snippet,) = blocks(README, "python")
    done = subprocess.run([sys.executable, "-c", snippet], cwd=fleet, capture_output=True, text=True, check=True)
    assert re.findall(r"web-\d+|ok|\d{5}", done.stdout) == [
        *("web-01", "ok", "21034", "web-02", "ok", "22506", "web-03", "ok", "23836"),
    ]


def test_a_reader_with_one_minute_can_read_it():
    """It has at most 150 lines, and begins with the picture."""
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert lines[2].startswith("![")


def test_links_lead_somewhere():
    """Every relative link of the README is a file."""
    assert dead_links(README) == []
