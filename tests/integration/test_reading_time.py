"""What looking cost: a large process is read by itself, and told with its time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from program import fleetpmap

_LARGE = """
import mmap, signal
memory = mmap.mmap(-1, 520 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def large() -> Iterator[int]:
    """A process of more than 512 MiB."""
    process = subprocess.Popen([sys.executable, "-S", "-c", _LARGE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process.pid
    process.kill()
    process.communicate()


def test_json_names_the_large_process(large: int):
    """Beside each host's seconds; small processes, which share a `tail`, are not in the list."""
    small = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    pids = ",".join(map(str, [large, *(one.pid for one in small)]))
    done = fleetpmap("run", "-H", "local", "--pid", pids, "--format", "json")
    for one in small:
        one.kill()
        one.wait()
    reading = json.loads(done.stdout)["reading"]
    assert [*reading["seconds"]] == ["local"]
    assert [(one["host"], one["pid"]) for one in reading["slowest"]] == [("local", large)]
    assert 0 <= reading["slowest"][0]["seconds"] <= reading["seconds"]["local"]


def test_verbose_says_so(large: int):
    """On stderr, with its name."""
    done = fleetpmap("run", "-H", "local", "--pid", str(large), "--view", "hosts", "-v")
    assert re.search(
        rf"^local: reading process {large} \(python\S*\) took \d+\.\d\d s there$", done.stderr, re.MULTILINE
    )
