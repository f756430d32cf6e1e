"""The promise of the catalogue, tried in a copy of the package: a new view or format is a file and a row."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleetpmap import catalogue
from program import BARE

PACKAGE = Path(catalogue.__file__).parent
VIEW = '''"""The names of the hosts."""

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.snapshot import Snapshot


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return a row for each host."""
    names = Column("host", "text", [host.name for host in snapshot.hosts])
    return Report("names", (Table("rows", (names,)),), (), snapshot.coverage, snapshot.run)
'''
FORMAT = '''"""The rows as words."""


def write_words(report, file):
    """Write a line for each row."""
    for row in report.tables[0].rows():
        file.write(" ".join(map(str, row)).encode() + b"\\n")
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    shutil.copytree(PACKAGE, tmp_path / "fleetpmap", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _add(copy: Path, file: str, text: str, row: str, before: str) -> None:
    (copy / "fleetpmap" / file).write_text(text)
    module = copy / "fleetpmap/catalogue.py"
    source = module.read_text()
    assert source.count(before) == 1
    module.write_text(source.replace(before, f"    {row},\n{before}"))


def _run(copy: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fleetpmap", *words],
        cwd=copy,
        env=BARE | {"PYTHONPATH": str(copy)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_view_is_a_file_and_a_row(copy: Path):
    """The option, its help, Tab, every format, the page's heading and the keys of watch take it from the row."""
    row = 'ReportKind("names", "one host", "Only names", columns=("host",), watch_key=6, streams=True)'
    _add(copy, "report/views/names.py", VIEW, row, '    ReportKind(\n        "ps",\n')
    words = ("run", "-H", "local", "--pid", "1", "--view", "names")
    assert json.loads(_run(copy, *words, "--format", "json"))["rows"] == [{"host": "local"}]
    assert _run(copy, *words, "--format", "jsonl").startswith('{"host":')
    assert "Only names" in _run(copy, *words, "--format", "html")
    assert "stale, names." in _run(copy, "run", "--help", COLUMNS="300")
    asked = {"_FLEETPMAP_COMPLETE": "complete_bash", "COMP_CWORD": "5"}
    assert _run(copy, COMP_WORDS="fleetpmap run --view names --columns h", **asked) == "host\n"
    code = "from fleetpmap.watch import Showing, pressed; print(pressed(Showing('summary'), '6', ()).view)"
    watched = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=BARE | {"PYTHONPATH": str(copy)}, capture_output=True, check=True
    )
    assert watched.stdout == b"names\n"


def test_a_new_format_is_a_file_and_a_row(copy: Path):
    """--format and the suffix of -o take it from the row."""
    _add(
        copy,
        "export/as_words.py",
        FORMAT,
        'OutputFormat("words", (".words",))',
        '    OutputFormat("markdown", (".md",)),\n',
    )
    words = ("run", "-H", "local", "--pid", "1", "--view", "hosts", "--columns", "host,status")
    assert _run(copy, *words, "--format", "words") == "local ok\n"
    _run(copy, *words, "-o", "hosts.words")
    assert (copy / "hosts.words").read_text() == "local ok\n"


def test_the_columns_of_the_sizes_are_those_of_the_options():
    """--metric takes every size, each rank once."""
    assert [size.rank for size in catalogue.BY_RANK] == list(range(1, len(catalogue.SIZES) + 1))


def test_the_catalogue_needs_no_numpy():
    """--help reads it."""
    code = "import sys, fleetpmap.catalogue; print('numpy' in sys.modules, 'typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=BARE, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
