"""run --save DIR/ and show DIR/: growth since an earlier run of the directory, and groups kept in files."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fleetpmap.snapshot_file import entries
from kept_runs import MIB, Service, keep
from program import fleetpmap

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")

GROWS = """
import mmap, sys
held = []
print("ready", flush=True)
for line in sys.stdin:
    part = mmap.mmap(-1, int(line) << 20, flags=mmap.MAP_PRIVATE)
    for at in range(0, len(part), 4096):
        part[at] = 1
    held.append(part)
    print("ready", flush=True)
"""


class Growing:
    """A process that takes more memory when it is told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.process.stdout.readline()

    def grow(self, mib: int) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{mib}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@pytest.fixture
def growing() -> Iterator[Growing]:
    made = Growing()
    with made.process:  # closes its pipes and waits for it
        yield made
        made.process.kill()


def _run(directory: Path, growing: Growing, *options: str) -> subprocess.CompletedProcess[str]:
    done = fleetpmap("run", "-H", "local", "--pid", str(growing.process.pid), "--save", f"{directory}/", *options)
    assert done.returncode == 0, done.stderr
    return done


def test_a_run_tells_what_has_grown_since_the_one_before(tmp_path: Path, growing: Growing):
    """The first says that there is none before; then 40 MiB are one finding, which the next command shows."""
    first = _run(tmp_path / "runs", growing)
    assert "growth" not in first.stderr  # the first run of a directory has nothing to be compared with
    growing.grow(40)
    document = json.loads(_run(tmp_path / "runs", growing, "--format", "json").stdout)
    (finding,) = document["findings"]
    pid = growing.process.pid
    assert re.fullmatch(rf".* on local \(pid {pid}\): \[anon\] grew by 40M in .*", finding["text"])
    assert (finding["kind"], finding["host"], finding["pid"], finding["mapping"]) == ("growth", "local", pid, "[anon]")
    assert finding["metric"] == "pss_kib"
    assert finding["value_kib"] - finding["reference_kib"] == pytest.approx(40 * MIB, abs=512)
    assert not [note for note in document["notes"] if "growth" in note]
    program, *words = shlex.split(finding["next"])
    again = fleetpmap(*words)
    assert (program, again.returncode) == ("fleetpmap", 0), again.stderr
    assert f"(pid {pid}): [anon] grew by 40M" in again.stderr
    shown = fleetpmap("show", f"{tmp_path}/runs/", "--format", "json")
    assert json.loads(shown.stdout)["findings"] == [finding]


def test_what_does_not_grow_is_not_told(tmp_path: Path, growing: Growing):
    """Neither is less than 16 MiB."""
    _run(tmp_path, growing)
    growing.grow(8)
    done = _run(tmp_path, growing)
    assert "grew" not in done.stderr
    assert "growth" not in done.stderr


@pytest.mark.parametrize("format_", ["markdown", "html", "openmetrics", "plain"])
def test_every_format_has_the_finding(tmp_path: Path, growing: Growing, format_: str):
    """openmetrics counts it."""
    _run(tmp_path, growing)
    growing.grow(40)
    done = _run(tmp_path, growing, "--format", format_, *(("--view", "processes") if format_ == "openmetrics" else ()))
    text = done.stderr if format_ == "plain" else done.stdout
    if format_ == "openmetrics":
        assert 'fleetpmap_findings{kind="growth"} 1' in text
    else:
        assert "grew by 40M" in text
        assert "fleetpmap diff " in text


@pytest.mark.parametrize("harm", ["cut", "changed", "unsealed", "empty"])
def test_a_broken_earlier_run_is_one_note(tmp_path: Path, growing: Growing, harm: str):
    """The run is whole without it, and the run before the broken one is compared."""
    _run(tmp_path, growing)
    _run(tmp_path, growing)
    growing.grow(40)
    path = entries(tmp_path)[-1].path
    content = path.read_bytes()
    seal = content.rfind(b"fleetpmap_sha256")
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "changed": content[:100] + bytes([content[100] ^ 255]) + content[101:],
            "unsealed": content[:seal] + b"fleetpmap_sha999" + content[seal + 16 :],
            "empty": b"",
        }[harm]
    )
    done = _run(tmp_path, growing)
    assert done.stderr.count("growth leaves out an earlier run that cannot be read") == 1
    assert str(path) in done.stderr
    assert "grew by 40M" in done.stderr


def test_other_selections_in_the_directory_are_passed_over(tmp_path: Path, growing: Growing):
    """The newest earlier run in which a process was there already counts."""
    _run(tmp_path, growing)
    growing.grow(40)
    fleetpmap("run", "-H", "local", "--pid", str(os.getpid()), "--save", f"{tmp_path}/", "--quiet")
    assert "grew by 40M" in _run(tmp_path, growing).stderr


def test_only_a_process_that_lived_through_both_has_grown(tmp_path: Path):
    """A larger successor is no growth; that nothing is comparable is said."""
    service = Service("web-01", "api", {"[heap]": [10 * MIB, 60 * MIB]}, restarts=frozenset({1}))
    keep(tmp_path, [service], every=timedelta(minutes=10))
    done = fleetpmap("show", f"{tmp_path}/")
    assert "grew" not in done.stderr
    assert f"growth is not known: {tmp_path}: none of the processes was there in the earlier run" in done.stderr


def test_show_of_any_run_compares_with_the_one_before_it(tmp_path: Path):
    """On a terminal's first lines, and with a time; the first run has none before."""
    keep(tmp_path, [Service("web-01", "api", {"[heap]": [10 * MIB, 60 * MIB, 61 * MIB]})], every=timedelta(minutes=10))
    moments = [entry.started.isoformat() for entry in entries(tmp_path)]
    second = fleetpmap("show", f"{tmp_path}@{moments[1]}")
    assert re.search(r"api on web-01 \(pid \d+\): \[heap\] grew by 50M in 10 min, 5.0M a minute", second.stderr)
    assert f"fleetpmap diff {tmp_path}@{moments[0]} {tmp_path}@{moments[1]} --by host,process,mapping" in second.stderr
    assert "growth" not in fleetpmap("show", f"{tmp_path}@first").stderr
    assert "grew" not in fleetpmap("show", f"{tmp_path}/").stderr


def test_groups_are_kept_in_a_capture_and_a_saved_run(tmp_path: Path, growing: Growing):
    """--peers group works on both; on a capture without them it says what to do."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[groups.web]\nhosts = ["here"]\n[hosts.here]\ntransport = "local"\n')
    capture, saved = tmp_path / "capture", tmp_path / "run.parquet"
    done = fleetpmap(
        *("run", "-i", str(inventory), "--pid", str(growing.process.pid), "--peers", "group"),
        *("--capture", str(capture), "--save", str(saved)),
    )
    assert done.returncode == 0, done.stderr
    for stored in (capture, saved):
        table = json.loads(
            fleetpmap("show", str(stored), "--view", "compare", "--peers", "group", "--format", "json").stdout
        )
        assert {row["group"] for row in table["rows"]} == {"", "web"}
    manifest = capture / "manifest.json"
    document = json.loads(manifest.read_text())
    assert document["hosts"][0].pop("groups") == ["web"]
    manifest.write_text(json.dumps(document))
    refused = fleetpmap("show", str(capture), "--peers", "group")
    assert refused.returncode == 2
    assert "the groups of here are not known" in refused.stderr
    assert "store a run anew with this version, or compare by --peers service" in refused.stderr
    assert fleetpmap("show", str(capture)).returncode == 0
    ad_hoc = fleetpmap("run", "-H", "local", "--pid", str(growing.process.pid), "--peers", "group")
    assert (ad_hoc.returncode, "none of the hosts is in a group of an inventory" in ad_hoc.stderr) == (2, True)
