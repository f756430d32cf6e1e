"""The changes of CONTRIBUTING's table, each made in a copy of the package: the files named there are enough."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from program import BARE

ROOT = Path(__file__).parents[2]
VIEW = '''
"""A row for each user."""

from fleetpmap.report.model import Column, Report, Table


def from_options(snapshot, options):
    users = sorted({process.user for process in snapshot.processes})
    return Report("users", (Table("rows", (Column("user", "text", users),)),), (), snapshot.coverage, snapshot.run)
'''
EXPORT = '''
"""The first column, a line for each row."""


def write_lines(report, file):
    for cell in report.tables[0].columns[0].cells():
        file.write(f"{cell}\\n".encode())
'''
FIELD = 'Field("Frozen", "frozen_kib", "KiB", "9.9", "Pages that nothing may write to.", "upper bound"),'
OPTION = (
    'parent: Annotated[int | None, typer.Option("--parent", metavar="PID", help="Children of this process.")] = None'
)
TRANSPORT = '''
"""A way to a host that is named `jail`: a process of this machine."""

from fleetpmap.transport.local import LocalTransport


class JailTransport(LocalTransport):
    notes = ("by the jail",)
'''


class Copy:
    """A copy of the package and of the recorded hosts that `demo` serves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._touched: set[str] = set()
        # With the compiled files: Python compiles anew what is younger than its compiled file.
        shutil.copytree(ROOT / "fleetpmap", directory / "fleetpmap")
        shutil.copytree(ROOT / "tests" / "fake_proc", directory / "tests" / "fake_proc")

    @property
    def recorded(self) -> Path:
        """The recorded hosts."""
        return self._directory / "tests" / "fake_proc"

    def add(self, file: str, text: str) -> None:
        """Add a file of the package."""
        self._touched.add(file)
        (self._directory / "fleetpmap" / file).write_text(text.lstrip())

    def insert(self, file: str, line: str, before: str) -> None:
        """Insert a line in a file of the package, above the first that the pattern matches."""
        self._touched.add(file)
        path = self._directory / "fleetpmap" / file
        text, count = re.subn(f"^(?=( *){before})", rf"\g<1>{line}\n", path.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"no line in {file} begins with {before}"
        path.write_text(text)

    def run(self, *words: str, **environment: str) -> str:
        """Return what the copy's `fleetpmap WORDS…` prints."""
        return self.python("-m", "fleetpmap", *words, **environment)

    def python(self, *words: str, **environment: str) -> str:
        """Return what Python prints where the copy is the package."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self._directory,
            env=BARE | {"COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr
        return done.stdout

    def assert_listed(self, change: str) -> None:
        """Fail unless the files that CONTRIBUTING's row of the change names are those that were touched."""
        (row,) = re.findall(rf"^\| {change} \|(.*?)\|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
        named = {name.replace("NAME", ".*") for name in re.findall(r"`([\w/.]+\.py)`", row)}
        assert {name for name in named if not any(re.fullmatch(name, file) for file in self._touched)} == set()
        assert {file for file in self._touched if not any(re.fullmatch(name, file) for name in named)} == set()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A fresh copy."""
    return Copy(tmp_path)


def test_a_view_is_a_module_and_a_row(copy: Copy) -> None:
    """--help, Tab, every format and a page's heading take it from the row."""
    copy.add("report/views/users.py", VIEW)
    row = 'ReportKind("users", "one user", "Users only", columns=("user",), streams=True),'
    copy.insert("catalogue.py", row, before=r'ReportKind\("pmap"')
    assert re.search(r"--view .*\busers\b", copy.run("run", "--help"))
    words = ("demo", "--match", "gunicorn", "--view", "users", "--format")
    assert copy.run(*words, "csv") == "user\napp\n"
    assert json.loads(copy.run(*words, "json"))["rows"] == [{"user": "app"}]
    assert copy.run(*words, "jsonl").startswith('{"user":')
    assert "Users only" in copy.run(*words, "html")
    asked = {"_FLEETPMAP_COMPLETE": "complete_bash", "COMP_CWORD": "5"}
    assert copy.run(COMP_WORDS="fleetpmap run --view users --columns u", **asked) == "user\n"
    copy.assert_listed("a view")


def test_an_export_is_a_module_and_a_row(copy: Copy) -> None:
    """--help names it, and a file's suffix means it."""
    copy.add("export/as_lines.py", EXPORT)
    copy.insert("catalogue.py", 'OutputFormat("lines", (".lines",)),', before=r'OutputFormat\("csv"')
    assert re.search(r"--format .*\blines\b", copy.run("run", "--help"))
    copy.run("demo", "--match", "gunicorn", "--view", "hosts", "-o", "hosts.lines")
    assert (copy.recorded.parents[1] / "hosts.lines").read_text() == "web-01\nweb-02\nweb-03\n"
    copy.assert_listed("an export")


def test_a_kernel_field_is_a_row(copy: Copy) -> None:
    """`fields` explains it, and the view of mappings has its column."""
    copy.insert("smaps/fields.py", FIELD, before=r'Field\("VmFlags"')
    for smaps in copy.recorded.glob("web-01/*/smaps"):
        smaps.write_text(re.sub("^(?=VmFlags)", "Frozen:  7 kB\n", smaps.read_text(), flags=re.MULTILINE))
    explained = copy.run("fields", "--format", "csv")
    assert "Frozen,frozen_kib,KiB,9.9,upper bound,Pages that nothing may write to." in explained.splitlines()
    cells = copy.run("demo", "-m", "gunicorn", "--view", "mappings", "--columns", "host,frozen_kib", "--format", "csv")
    assert set(cells.splitlines()) == {"host,frozen_kib", "web-01,7", "web-02,", "web-03,"}
    copy.assert_listed("a kernel field")


def test_a_selection_option_is_four_places(copy: Copy) -> None:
    """--help explains it, and it narrows the processes; the data is in the listing already."""
    copy.insert("cli/options/which.py", "import typer\n", before="from dataclasses")
    copy.insert("cli/options/which.py", OPTION, before=r"newest\b")
    copy.insert("cli/inputs.py", "parent=options.parent,", before="exe=options.exe")
    copy.insert("processes.py", "parent: int | None = None", before="newest: bool")
    rule = "if selection.parent not in (None, process.ppid): return False"
    copy.insert("processes.py", rule, before=r"if selection\.cgroup is not")
    assert "Children of this process." in copy.run("run", "--help")
    words = ("--view", "processes", "--columns", "host,name", "--format", "csv")
    assert copy.run("demo", "-m", "gunicorn", "--parent", "1", *words) == (
        "host,name\nweb-01,gunicorn\nweb-02,gunicorn\nweb-03,gunicorn\n"
    )
    copy.assert_listed("a selection option")


def test_a_transport_is_a_module_and_two_places(copy: Copy) -> None:
    """The inventory takes its name, and a run goes by it."""
    copy.add("transport/jail.py", TRANSPORT)
    copy.insert("inventory/hosts.py", 'TransportName = Literal["ssh", "openssh", "local", "jail"]', before="LOCAL =")
    copy.insert(
        "transport/__init__.py",
        'if host.transport == "jail": return Route("jail", None, Way(), "")',
        before=r"if host\.is_here",
    )
    copy.insert("transport/__init__.py", "from fleetpmap.transport.jail import JailTransport", before="from fleetpmap")
    copy.insert(
        "transport/__init__.py",
        'if host.transport == "jail": return JailTransport(host, deadline=deadline)',
        before=r"if taken\.settings is None",
    )
    inventory = copy.recorded.parents[1] / "inventory.toml"
    inventory.write_text(f'[hosts.cell]\ntransport = "jail"\nproc_root = "{copy.recorded / "web-01"}"\n')
    words = ("-m", "gunicorn", "--view", "hosts", "--columns", "host,status", "--format", "csv")
    assert copy.run("run", "-i", str(inventory), *words) == "host,status\ncell,ok\n"
    copy.assert_listed("a transport")
