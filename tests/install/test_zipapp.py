"""`make zipapp`: one file that runs where nothing is installed but Python."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from installed import BIN, ROOT


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, as the Makefile makes it."""
    if not (BIN / "pex").exists():
        pytest.skip(reason="pex is in the release group: `make wheel` installs it")
    file = tmp_path_factory.mktemp("zipapp") / "fleetpmap.pyz"
    subprocess.run(["make", "zipapp", f"ZIPAPP={file}"], cwd=ROOT, check=True, capture_output=True)
    return file


def _run(
    python: Path, zipapp: Path, home: Path, *words: str, path: str = "/usr/bin:/bin"
) -> subprocess.CompletedProcess[str]:
    """Run it with a bare Python: no environment, no site of the user, an empty HOME."""
    environment = {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    argv = [str(python), "-s", str(zipapp), *words]
    return subprocess.run(argv, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False)


def test_it_runs_on_a_bare_python(zipapp: Path, tmp_path: Path):
    """The demo over SSH, and a page: numpy, cryptography and Jinja are in the file."""
    python = Path(sys.base_prefix) / "bin" / "python3"
    done = _run(python, zipapp, tmp_path, "demo", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    again = _run(python, zipapp, tmp_path, "--version")
    assert again.stdout.startswith("fleetpmap ")


def test_it_asks_for_no_newer_glibc_than_the_guide_says(zipapp: Path):
    """The guide's version: the packages would be those of this machine's glibc otherwise."""
    archive = zipfile.ZipFile(zipapp)
    tags = " ".join(archive.read(name).decode() for name in archive.namelist() if name.endswith("dist-info/WHEEL"))
    newest = max(map(int, re.findall(r"manylinux_2_(\d+)", tags)))
    assert f"**glibc has to be 2.{newest} or newer**" in (ROOT / "docs" / "guides" / "install.md").read_text()


def test_another_python_is_told_what_the_file_has(zipapp: Path, tmp_path: Path):
    """A message, and no traceback from the middle of numpy."""
    other = _another_python()
    if other is None:
        pytest.skip(reason="no other version of Python on this machine")
    done = _run(other, zipapp, tmp_path, "--version", path="/nowhere")  # else it takes a Python of the right version
    assert done.returncode != 0
    assert "No interpreter compatible" in done.stderr


def _another_python() -> Path | None:
    """A Python of another version than this one: beside this one, as pyenv has them, or the system's."""
    for python in (*sorted(Path(sys.base_prefix).parent.glob("3.*/bin/python3")), Path("/usr/bin/python3")):
        code = "import sys; print(*sys.version_info[:2])"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.split() not in ([], [str(part) for part in sys.version_info[:2]]):
            return python
    return None
