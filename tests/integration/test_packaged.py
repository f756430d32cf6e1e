"""The wheel's files, and the program run from them alone. `make wheel` installs it as the install guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, as the backend of pyproject.toml builds it."""
    pytest.importorskip("hatchling", reason="hatchling is in the dev group: pip install --group dev")
    directory = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    (file,) = directory.iterdir()
    return zipfile.ZipFile(file)


def test_the_wheel_has_what_runs_and_no_more(wheel: zipfile.ZipFile):
    """The probe, the page's files, the demo's hosts, the types, the manual; no tests and no docs."""
    names = wheel.namelist()
    (data,) = {name.partition("/")[0] for name in names if ".data/" in name}
    pages = {f"{data}/data/share/man/man1/{page.name}" for page in (ROOT / "docs" / "man").glob("*.1")}
    wanted = pages | {
        "fleetpmap/probe/probe.sh",
        "fleetpmap/export/as_html/page.html",
        "fleetpmap/demo/fake_proc/web-01/1843/smaps",
        "fleetpmap/py.typed",
    }
    assert wanted - {*names} == set()
    assert {name.partition("/")[0] for name in names} == {"fleetpmap", data, data.replace(".data", ".dist-info")}


def test_it_runs_from_its_files_alone(wheel: zipfile.ZipFile, tmp_path: Path):
    """The demo over SSH, and the page: no file of the checkout is needed."""
    wheel.extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}
    code = "import fleetpmap.cli, sys; print(fleetpmap.__file__, file=sys.stderr); fleetpmap.cli.main()"
    argv = [sys.executable, "-c", code, "demo", "-o", "page.html"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(str(tmp_path / "site"))
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_every_extra_is_in_all():
    """`all` names the others, each once."""
    extras = dict(PROJECT["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert everything == f"fleetpmap[{','.join(sorted(extras))}]"


def test_every_supported_python_is_in_the_matrix():
    """The versions of the classifiers, in the workflow that runs the suite."""
    named = [found[1] for each in PROJECT["classifiers"] if (found := re.search(r":: (3\.\d+)$", each))]
    matrix = re.search(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert matrix is not None
    assert re.findall(r"3\.\d+", matrix[1]) == named
