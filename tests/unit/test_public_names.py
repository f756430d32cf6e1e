"""The names that programs rely on, and the promise that the changelog tells of every change."""

from __future__ import annotations

import re
import rlcompleter
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fleetpmap

ROOT = Path(__file__).parents[2]
LISTED = re.compile(r"^\| `([\w.]+)(.*?)` \|", re.MULTILINE)


def signatures(text: str) -> dict[str, str]:
    """Names to signatures, of the lines of a release."""
    return {line.partition("(")[0]: line for line in text.splitlines()}


def current() -> dict[str, str]:
    """Names to signatures, of the reference; test_docs holds it to the code."""
    page = (ROOT / "docs" / "reference" / "library.md").read_text()
    return {name: name + rest for name, rest in LISTED.findall(page)}


def unreleased() -> str:
    """The changelog's first section."""
    return (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]


def changed(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    """The names that are new, gone or have another signature."""
    yield from (name for name in {**old, **new} if old.get(name) != new.get(name))


def test_the_changelog_names_every_change():
    """Since the last release, by the name in backticks: `run`, `Snapshot.to_polars`, `report.hosts`."""
    released = signatures((ROOT / "tests" / "data" / "released_names.txt").read_text())
    told = {word for code in re.findall(r"`([^`]+)`", unreleased()) for word in re.findall(r"[\w.]+", code)}
    assert sorted({*changed(released, current())} - told) == []


def test_a_change_is_one_that_a_program_notices():
    """A new name, a lost one, another signature."""
    old = signatures("run(hosts)\nplain(report)\nselect(fleet)\n")
    assert [*changed(old, signatures("run(hosts, *, match)\nplain(report)\nload(file)\n"))] == ["run", "select", "load"]


def test_dir_has_the_names_that_there_are():
    """Each can be imported, and Tab offers it."""
    assert dir(fleetpmap) == sorted(fleetpmap.__all__)
    assert all(hasattr(fleetpmap, name) for name in fleetpmap.__all__)
    assert {name.partition(".")[0] for name in current()} == {*fleetpmap.__all__} - {"__version__"}
    completer = rlcompleter.Completer({"fleetpmap": fleetpmap})
    assert completer.complete("fleetpmap.load_s", 0) == "fleetpmap.load_snapshot("


def test_a_wrong_name_is_an_attribute_error():
    """As of any module, so that hasattr and Tab work."""
    with pytest.raises(AttributeError, match="module 'fleetpmap' has no attribute 'colect'"):
        fleetpmap.colect  # noqa: B018 - the access is the test


def test_importing_the_library_imports_none_of_its_stages():
    """Each name is imported on first use."""
    code = (
        "import sys, fleetpmap; dir(fleetpmap); print(*(name for name in sys.modules if name in ('numpy', 'paramiko')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
