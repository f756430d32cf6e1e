"""An answer without root: an ordinary account reads the processes of others, by a real sshd.

The kernel lets every user read a process's status, and its smaps only its own user and root. What the program says is
compared with /proc/PID/status, as the test reads it here.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from program import fleetpmap
from sshd import Sshd
from targets import Target

NAME = f"fpmw{os.getpid() % 100000}"
OTHERS = 26


@pytest.fixture(scope="module")
def login(sshd: Sshd, account: Callable[..., str]) -> str:
    """An ordinary account, without sudo."""
    name = account("plain")
    sshd.authorize(name, sshd.identity_file)
    return name


@pytest.fixture(scope="module")
def others(account: Callable[..., str]) -> Iterator[list[int]]:
    """Pids of 26 stopped processes, half of root, half of another account, each of another size."""
    owner = account("owner")
    with ExitStack() as ends:
        started = [
            ends.enter_context(Target(NAME, dirty_kib=400 + 100 * number, user=owner if number % 2 else None))
            for number in range(OTHERS)
        ]
        yield [target.pid for target in started]


@pytest.fixture
def run(sshd: Sshd, login: str, tmp_path: Path) -> Callable[..., Any]:
    """Runs the program on the host `box`, which it logs in to as the ordinary account."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(sshd.defaults.replace(f'user = "{sshd.user}"', f'user = "{login}"') + '[hosts."box"]\n')

    def started(*words: str) -> Any:
        command = ("run", "-i", str(inventory), "-H", "box", "--ssh-config", sshd.ssh_config, "--match", f"^{NAME}$")
        return fleetpmap(*command, *words)

    return started


def _status(pid: int, key: str) -> int:
    """A size of its status, in KiB."""
    found = re.search(rf"(?m)^{key}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text())
    assert found, f"{key} of {pid}"
    return int(found[1])


def _rows(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_rss_of_every_process(run: Callable[..., Any], others: list[int], transport: str) -> None:
    """All of them are denied, and have the RSS, the swap and the largest RSS that their status has."""
    done = run("--view", "processes", "--format", "json", "--transport", transport)
    assert done.returncode == 3, done.stderr
    rows = _rows(done.stdout)
    assert {(row["status"], row["rss_source"]) for row in rows} == {("denied", "status")}
    assert {row["pid"]: (row["rss_kib"], row["swap_kib"], row["hwm_kib"]) for row in rows} == {
        pid: tuple(_status(pid, key) for key in ("VmRSS", "VmSwap", "VmHWM")) for pid in others
    }
    assert {row[name] for row in rows for name in ("pss_kib", "uss_kib", "size_kib", "mappings")} == {None}


@pytest.mark.parametrize("view", ["hosts", "merged", "processes", "summary"])
def test_every_total_of_rss_is_whole(run: Callable[..., Any], others: list[int], view: str) -> None:
    """The totals are the sums over the statuses; PSS is unknown, and a note says why and what to do."""
    done = run("--view", view, "--format", "json")
    document = json.loads(done.stdout)
    whole = (sum(_status(pid, "VmRSS") for pid in others), sum(_status(pid, "VmSwap") for pid in others))
    assert (document["total"]["rss_kib"], document["total"]["swap_kib"], document["total"]["pss_kib"]) == (*whole, None)
    [note] = document["notes"]
    assert note.startswith(
        f"the totals have only RSS and swap of {OTHERS} denied processes, from /proc/PID/status; "
        "PSS and USS are not known: "
    )
    assert "--sudo" in note
    assert done.returncode == 3


def test_a_terminal_has_no_table_of_question_marks(run: Callable[..., Any], others: list[int]) -> None:
    """Each row says what is known; the columns of which nothing is known are named in a sentence."""
    table = run("--view", "processes", "--format", "table", "--kib")
    assert "?" not in table.stdout
    assert "not known of any row, so not shown: mappings, size, pss, uss, dirty, swap_pss, hugetlb" in table.stdout
    assert all(re.search(rf"(?m)^box +{pid} .* denied .* {_status(pid, 'VmRSS')} ", table.stdout) for pid in others)
    summary = run("--format", "table")
    assert re.search(rf"(?m)^ +1 +{OTHERS} .*\(not readable\)$", summary.stdout)
    assert "?" not in summary.stdout
    assert (table.returncode, summary.returncode) == (3, 3)


def test_csv_has_them_too(run: Callable[..., Any], others: list[int]) -> None:
    """One row of all of them, with empty cells for what is unknown."""
    [row] = csv.DictReader(io.StringIO(run("--view", "merged", "--format", "csv").stdout))
    assert (row["mapping"], row["processes"], row["pss_kib"]) == ("(not readable)", str(OTHERS), "")
    assert int(row["rss_kib"]) == sum(_status(pid, "VmRSS") for pid in others)


def test_own_processes_beside_them(run: Callable[..., Any], login: str, others: list[int]) -> None:
    """The account's own process is read whole: rows are compared by its PSS, and RSS is the sum of both kinds."""
    with Target(NAME, user=login) as own:
        done = run("--view", "hosts", "--format", "json")
        [row] = _rows(done.stdout)
        smaps = Path(f"/proc/{own.pid}/smaps").read_text()
        read = {
            key: sum(map(int, re.findall(rf"(?m)^{key}: +(\d+)", smaps))) for key in ("Rss", "Pss", "Private_Dirty")
        }
    assert (row["status"], row["processes"], row["absent"]) == ("partial", 1, OTHERS)
    assert row["rss_kib"] == read["Rss"] + sum(_status(pid, "VmRSS") for pid in others)
    assert row["mappings"] == len(re.findall(r"(?m)^Rss:", smaps))
    assert abs(row["pss_kib"] - read["Pss"]) <= read["Rss"] // 10  # others share its files meanwhile
    assert done.returncode == 3


def test_sums_alone(run: Callable[..., Any], others: list[int]) -> None:
    """With --rollup the kernel refuses smaps_rollup as it does smaps; the status is read all the same."""
    done = run("--view", "hosts", "--rollup", "--format", "json")
    [row] = _rows(done.stdout)
    assert (row["rss_kib"], row["pss_kib"]) == (sum(_status(pid, "VmRSS") for pid in others), None)
    assert done.returncode == 3


def test_saved_and_shown_again(run: Callable[..., Any], others: list[int], tmp_path: Path) -> None:
    """A snapshot and a capture give the rows of the run that made them."""
    done = run(
        "--view", "processes", "--format", "csv", "--save", f"{tmp_path}/a.parquet", "--capture", f"{tmp_path}/b"
    )
    assert done.returncode == 3, done.stderr
    for kept in ("a.parquet", "b"):
        shown = fleetpmap("show", f"{tmp_path}/{kept}", "--view", "processes", "--format", "csv")
        assert (shown.stdout, shown.returncode) == (done.stdout, 3), shown.stderr
    assert len(done.stdout.splitlines()) == OTHERS + 1
