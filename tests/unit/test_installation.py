"""The command that adds an extra, for each way to install fleetpmap."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from fleetpmap.installation import Installation, _extras, command_for


def _with(file: str, directory: Path) -> Path:
    (directory / file).write_text("")
    return directory


def test_pip_in_the_active_environment(tmp_path: Path):
    """The `pip` of PATH is that of the environment, so it needs no path."""
    assert Installation(tmp_path).command("html") == "pip install 'fleetpmap[html]'"


def test_pip_of_an_environment_that_is_not_active(tmp_path: Path):
    """The `pip` of PATH would install it elsewhere."""
    there = Installation(tmp_path, active=False, python="/opt/my tools/bin/python")
    assert there.command("html") == "'/opt/my tools/bin/python' -m pip install 'fleetpmap[html]'"


@pytest.mark.parametrize("installer", ["pip", "uv"])  # pipx takes either as its backend
def test_pipx(tmp_path: Path, installer: str):
    """Inject keeps the extras that are there."""
    there = Installation(_with("pipx_metadata.json", tmp_path), installer, ("parquet",), url="file:///f.whl")
    assert there.command("html") == "pipx inject fleetpmap 'fleetpmap[html]'"


def test_uv_tool_removes_the_extras_that_it_is_not_told(tmp_path: Path):
    """So all of them are named, the new one first."""
    there = Installation(_with("uv-receipt.toml", tmp_path), "uv", ("parquet", "capture"))
    assert there.command("html") == "uv tool install 'fleetpmap[html,parquet,capture]'"


def test_uv_tool_of_a_file(tmp_path: Path):
    """uv would look for the name in an index, and it may not be there."""
    there = Installation(_with("uv-receipt.toml", tmp_path), "uv", url="git+https://example.com/f@1a2b")
    assert there.command("html") == "uv tool install 'fleetpmap[html] @ git+https://example.com/f@1a2b'"


def test_uvx(tmp_path: Path):
    """There is nothing to add to: the next run has an environment of its own."""
    there = Installation(tmp_path / "archive-v0" / "XO4Du5", "uv")
    assert there.command("html") == "uvx --from 'fleetpmap[html]' fleetpmap"


def test_uv_pip(tmp_path: Path):
    """An environment of uv has no pip."""
    assert Installation(tmp_path, "uv").command("html") == "uv pip install 'fleetpmap[html]'"
    elsewhere = Installation(tmp_path, "uv", active=False, python="/srv/v/bin/python")
    assert elsewhere.command("html") == "uv pip install --python /srv/v/bin/python 'fleetpmap[html]'"


def test_the_one_that_runs():
    """The tests run in an environment that pip or uv made."""
    assert command_for("html").endswith("install 'fleetpmap[html]'")


def test_an_extra_is_there_if_all_its_packages_are():
    """`all` is no extra of its own, and a package that everyone needs belongs to none."""
    needs = [
        "numpy>=1.26",
        'pytest>=8; extra == "dev"',
        "rich ; extra == 'html'",
        "no-such-package ; extra == 'html'",
        "pytest; extra == 'all'",
    ]
    assert _extras(SimpleNamespace(requires=needs)) == ("dev",)
