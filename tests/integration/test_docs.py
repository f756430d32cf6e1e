"""The documentation says what the program does: outputs, tables, options, statuses and links are held to the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import deploy
from fleetpmap import write_snapshot
from fleetpmap.cli.commands import app
from fleetpmap.errors import InventoryError
from fleetpmap.inventory import load
from fleetpmap.snapshot import HOST_STATUSES, PROCESS_STATUSES
from planted_runs import keep_planted
from snippets import blocks, check_consoles, consoles, dead_links, demo_directory, in_terminal

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAMES = [str(page.relative_to(DOCS)) for page in PAGES]
OTHER_PROGRAMS_OPTIONS = {
    *("--check", "--list", "--name", "--nthreads", "--resources"),  # generate.py's, ansible-inventory's, dask's
    *("--from", "--upgrade", "--force"),  # uv's and pipx's
    *("--rm", "--pid", "--cgroupns", "--privileged", "--profile", "--image"),  # docker's, kubectl's
    *("--output", "--leaks", "--aggregate", "--base", "--text", "--heapsnapshot-signal", "--enable-prof"),  # profilers'
    *("--system", "--create-home", "--home-dir", "--now", "--failed"),  # useradd's, systemctl's
    "--release",  # generate.py's
}
"""Options in the pages that belong to other programs."""

# Beside the demo's hosts one on which nothing listens, as a fleet has it: tcpmux, which nobody runs, on loopback.
_REFUSING = """
[groups.db]
hosts = "db-01"

[hosts.db-01]
address = "127.0.2.11"
port = 1
user = "ops"
proxy_jump = "none"
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose inventory.toml is the demo's three hosts as group web, and one that refuses as group db."""
    with demo_directory(tmp_path_factory.mktemp("fleet")) as directory:
        with (directory / "inventory.toml").open("a") as inventory:
            inventory.write(_REFUSING)
        yield directory


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory with the first inventory of the first guide."""
    (tmp_path / "inventory.toml").write_text(blocks(DOCS / "guides" / "first-fleet.md", "toml")[0])
    return tmp_path


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the runs around a deploy, and with runs/, which are hourly."""
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    directory = tmp_path_factory.mktemp("stored")
    (directory / "runs").mkdir()
    keep_planted(directory / "runs")
    for name, snapshot in (("before", deploy.before()), ("after", deploy.after())):
        with (directory / f"{name}.parquet").open("wb") as file:
            write_snapshot(snapshot, file)
    return directory


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_console_shows_what_the_program_prints(
    page: Path, fleet: Path, written: Path, request: pytest.FixtureRequest
):
    """Each command is typed in a terminal; `fleetpmap hosts`, which contacts nobody, reads the guide's inventory."""

    def directory_of(console: str) -> Path:
        command = console.split()[2]
        if command in ("diff", "history"):
            return request.getfixturevalue("stored")
        return written if command == "hosts" else fleet

    check_consoles(page, directory_of)


def test_there_are_consoles():
    """The test above has something to run."""
    assert sum(len(consoles(page)) for page in PAGES) >= 10


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path):
    """Every relative link is a file, and its anchor a heading there."""
    assert dead_links(page) == []


def test_every_page_is_on_the_map():
    """docs/README.md links to every other page, but for the decisions, which their own index lists."""
    maps = (DOCS / "README.md", DOCS / "decisions" / "README.md")
    linked = {
        (file.parent / link).resolve()
        for file in maps
        for link in re.findall(r"\]\(([\w./-]+\.md)\)", file.read_text())
    }
    assert linked >= set(PAGES) - {DOCS / "README.md"}


def test_generated_parts_are_current():
    """What `python docs/generate.py` would write is what is there."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_options_exist(page: Path):
    """No page names an option that no command has."""
    program = typer.main.get_command(app)
    commands = (program, *program.commands.values())  # type: ignore[attr-defined]  # an app with commands is a group
    options = [option for command in commands for option in command.params]
    known = {spelling for option in options for spelling in (*option.opts, *option.secondary_opts)}
    named = re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", page.read_text())  # which `--x--`, a mode of pmap's, is not
    assert set(named) <= known | {"--help"} | OTHER_PROGRAMS_OPTIONS


def test_every_status_is_explained():
    """The two tables of coverage.md have a row for each status, in order."""
    hosts, processes = (DOCS / "concepts" / "coverage.md").read_text().split("## Processes")
    assert tuple(re.findall(r"^\| `([\w-]+)` \|", hosts, re.MULTILINE)) == HOST_STATUSES
    assert tuple(re.findall(r"^\| `([\w-]+)` \|", processes, re.MULTILINE)) == PROCESS_STATUSES


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_inventories_load(page: Path, tmp_path: Path):
    """Every inventory shown is one."""
    for number, snippet in enumerate(blocks(page, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(snippet)
        load(file)


def test_mistakes_are_told_so(tmp_path: Path):
    """The two mistakes of the inventory's page are reported in these words."""
    (shown,) = blocks(DOCS / "reference" / "inventory.md", "text")
    file = tmp_path / "inventory.toml"
    file.write_text('[hosts.web-07]\nprot = 22\n[groups.web]\nport = "22a"\n')
    with pytest.raises(InventoryError) as caught:
        load(file)
    assert caught.value.message.replace(str(file), "inventory.toml") == shown.rstrip("\n")


def test_the_timer_is_one(tmp_path: Path):
    """systemd finds no fault in the units; the program that they start need not be there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip(reason="no systemd-analyze on this machine")
    service, timer = blocks(DOCS / "guides" / "timer.md", "ini")
    (tmp_path / "fleetpmap.service").write_text(service.replace("/opt/fleetpmap/bin/fleetpmap", "/bin/true"))
    (tmp_path / "fleetpmap.timer").write_text(timer)
    argv = ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_manual_renders():
    """groff finds no fault in any page, and the page of a command has its options."""
    if shutil.which("groff") is None:
        pytest.skip(reason="no groff on this machine")
    pages = sorted((DOCS / "man").glob("*.1"))
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", *pages], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(pages) > 10
    assert "--cgroup GLOB" in re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)  # without the marks of bold


def test_python_reads_the_csv(fleet: Path):
    """The reader of the exports guide tells an empty cell from zero."""
    (snippet,) = blocks(DOCS / "guides" / "exports.md", "python")
    in_terminal("fleetpmap run -m gunicorn --view hosts --columns host,pss --quiet -o pss.csv", fleet)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=fleet, capture_output=True, text=True, check=True)
    assert done.stdout == "web-01 21034\nweb-02 22506\nweb-03 23836\ndb-01 None\n"


def test_duckdb_reads_the_parquet(fleet: Path):
    """The SQL of the exports guide: the largest mappings, and who answered."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is in the dev group: pip install --group dev")
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    (snippet,) = blocks(DOCS / "guides" / "exports.md", "sql")
    largest, about = snippet.replace("all.parquet", str(fleet / "all.parquet")).split(";\n")[:2]
    in_terminal("fleetpmap run -m gunicorn --quiet --export mappings=all.parquet", fleet)
    assert duckdb.sql(largest).fetchall() == [("[anon]", 29660), ("python3.11", 13764), ("[heap]", 11984)]
    assert json.loads(duckdb.sql(about).fetchall()[0][0]) == {"asked": 4, "ok": 3, "refused": 1}


def test_json_has_this_shape(fleet: Path):
    """The document of output.md has the keys that the program writes, level by level."""
    (shown,) = blocks(DOCS / "reference" / "output.md", "json")
    in_terminal("fleetpmap run -m gunicorn --view hosts --quiet -o shape.json", fleet)
    example, written = json.loads(shown), json.loads((fleet / "shape.json").read_text())
    assert list(example) == list(written)
    for key in ("fleetpmap", "run", "coverage"):
        assert list(example[key]) == list(written[key])
    for key in ("failures", "columns"):
        assert list(example[key][0]) == list(written[key][0])
    assert (example["coverage"], example["view"]) == (written["coverage"], written["view"])
    assert {**written["rows"][0], **example["rows"][0]} == written["rows"][0]
    assert {**written["total"], **example["total"]} == written["total"]
