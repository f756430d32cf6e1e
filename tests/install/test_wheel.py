"""The files that a release uploads, and what pip, uv and pipx make of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from installed import BIN, ROOT, Built, Installed, run


def test_the_files_are_fit_for_an_upload(built: Built):
    """twine finds nothing wrong: the README renders, the metadata is whole."""
    told = run("twine", "check", "--strict", built.wheel, built.sdist)
    assert told.count("PASSED") == 2


def test_the_sdist_can_be_tested(built: Built):
    """It holds the tests, the docs and what builds them."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "docs/site/conf.py", "Makefile", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_the_installed_program_runs_with_its_extras(installed: Installed):
    """The demo, from the wheel alone, into a file of each extra."""
    files = ("-o", "page.html", "--export", "mappings=all.parquet", "--capture", "kept.tar.zst")
    done = installed.run("fleetpmap", "demo", *files)
    assert done.returncode == 0, done.stderr
    assert all((installed.root / file).stat().st_size > 100 for file in ("page.html", "all.parquet", "kept.tar.zst"))


def test_the_same_wheel_installs_by_pip_without_extras(built: Built, tmp_path: Path):
    """pip, from the index; an extra that is not there is named."""
    run("uv", "venv", "--quiet", "--seed", "--python", sys.executable, tmp_path / "plain")
    pip = tmp_path / "plain" / "bin" / "pip"
    words = [
        "install",
        "--quiet",
        "--no-compile",
        "--extra-index-url",
        built.index.as_uri(),
        f"fleetpmap=={_version(built)}",
    ]
    subprocess.run(
        [pip, *words], check=True, capture_output=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    )
    done = subprocess.run(
        [tmp_path / "plain" / "bin" / "fleetpmap", "demo", "-o", "x.html"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "fleetpmap[html]" in done.stderr


def _version(built: Built) -> str:
    return built.wheel.name.split("-")[1]


def test_uv_installs_it_as_a_tool(built: Built, tmp_path: Path):
    """`uv tool install`: the program is in its directory of programs."""
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run("uv", "tool", "install", "--quiet", "--python", sys.executable, f"{built.wheel}[html]", **places)
    assert _version_of(tmp_path / "bin" / "fleetpmap") == f"fleetpmap {_version(built)}\n"


def test_pipx_installs_it_with_its_manual(built: Built, tmp_path: Path):
    """`pipx install`: the program and the manual are linked."""
    places = {name: str(tmp_path / name) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
    run("pipx", "install", "--quiet", "--backend", "uv", "--python", sys.executable, f"{built.wheel}[html]", **places)
    assert _version_of(tmp_path / "PIPX_BIN_DIR" / "fleetpmap") == f"fleetpmap {_version(built)}\n"
    assert (tmp_path / "PIPX_MAN_DIR" / "man1" / "fleetpmap-run.1").exists()


def _version_of(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout


def test_man_finds_and_renders_the_manual(installed: Installed, needs):
    """`man fleetpmap`, with nothing but the program's directory in PATH."""
    needs(["man"])
    done = installed.run("man", "fleetpmap", MANWIDTH="80", MANPAGER="cat", PAGER="cat")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fleetpmap-run(1)" in done.stdout
    assert "EXIT STATUS" in installed.run("man", "fleetpmap-run", MANPAGER="cat").stdout


SCRIPT = """
import fleetpmap
from fleetpmap import Snapshot, report

snapshot: Snapshot = fleetpmap.run("web[01-20]", match="nginx")
hosts = report.hosts(snapshot)
total: int | None = hosts.tables[0].column("pss_kib").total
rows: list[dict[str, object]] = hosts.to_dicts()
name: str = snapshot.hosts[0].name
fleetpmap.run("web01", mach="nginx")
"""


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_type_checker_checks_a_users_script(installed: Installed, tmp_path: Path, checker: str):
    """Its one mistake is found, and nothing else: the types in the wheel are read (py.typed)."""
    strict = {"mypy": ["--strict", "--python-executable"], "pyright": ["--pythonpath"]}[checker]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    argv = [BIN / checker, *strict, installed.root / "bin" / "python", script]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert re.findall(r"script\.py:(\d+).* error: ", done.stdout) == ["10"], done.stdout
    assert '"mach"' in done.stdout


def test_the_notebook_runs_from_the_wheel(installed: Installed):
    """Its cells, by a kernel of the clean environment."""
    packages = ["ipykernel", "nbclient", "matplotlib", "pandas"]
    run("uv", "pip", "install", "--quiet", "--python", installed.root, *packages)
    code = (
        "import nbclient, nbformat, sys; book = nbformat.read(sys.argv[1], 4); "
        "nbclient.NotebookClient(book, timeout=120, kernel_name='python3').execute(); "
        "print(sum(bool(cell.get('outputs')) for cell in book.cells))"
    )
    done = installed.run("python", "-c", code, str(ROOT / "docs" / "guides" / "library-notebook.ipynb"))
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
