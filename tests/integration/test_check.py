"""The self-check: what each check finds, what it calls that, and how it is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.check import Checks, Finding, Rollup, check_processes, not_passed
from fleetpmap.report import check_sentences, hosts
from fleetpmap.report.notes import notes_on
from fleetpmap.smaps import parse_processes
from program import fleetpmap
from smaps_blocks import Block
from snapshots import failed, host, mapping, process, snapshot
from sshd import Sshd
from targets import Target

PASSED = Checks(dict.fromkeys(("rss_identity", "mappings_apart", "last_block_whole", "start_time_unchanged"), "held"))
SUMS_HELD = Checks({**PASSED.verdicts, "rollup": "held"})
_HAS_ROLLUP = Path("/proc/self/smaps_rollup").exists()
needs_rollup = pytest.mark.skipif(not _HAS_ROLLUP, reason="this kernel has no smaps_rollup (4.14)")
FOUR = ("Rss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")


def _checks(*processes: list[dict[str, int]], rollups: dict[int, Rollup] | None = None) -> dict[int, Checks]:
    """The checks of processes that are lists of their mappings' fields; mapping N begins at N << 20."""
    texts = [
        "".join(
            Block((n + 1) << 20, (n + 2) << 20, "rw-p", 0, "00:00", 0, "", fields).render()
            for n, fields in enumerate(mappings)
        ).encode()
        for mappings in processes
    ]
    ends = [sum(map(len, texts[: n + 1])) for n in range(len(texts))]
    columns, errors = parse_processes(b"".join(texts), list(zip([0, *ends], ends, strict=False)))
    assert not errors
    return check_processes(columns, rollups)


def _parts(*kib: int) -> dict[str, int]:
    return dict(zip(FOUR, kib, strict=True))


def test_rss_identity_holds():
    """Rss is the sum of its four parts in every mapping of both processes."""
    assert _checks([_parts(15, 1, 2, 4, 8), _parts(0, 0, 0, 0, 0)], [_parts(7, 7, 0, 0, 0)]) == {0: PASSED, 1: PASSED}


def test_rss_identity_fails():
    """The process, the first such mapping and its figures are told; the one beside it passes."""
    found = _checks([_parts(15, 1, 2, 4, 8)], [_parts(7, 7, 0, 0, 0), _parts(9, 1, 2, 2, 3), _parts(3, 0, 0, 0, 2)])
    assert found[0] == PASSED
    assert found[1].verdicts == {**PASSED.verdicts, "rss_identity": "failed"}
    assert found[1].findings == (
        Finding("rss_identity", "failed", "mapping 00200000: Rss is 9 kB, its four parts 8 kB, and 1 more mapping"),
    )


def test_rss_identity_unknown():
    """WSL1 prints Pss and nothing else: there is nothing to compare, and that is no failure."""
    assert _checks([{"Pss": 3}])[0].verdicts["rss_identity"] == "unknown"


def test_rss_identity_of_a_host_with_both():
    """A mapping that lacks a part is left out; the others are checked."""
    bare, whole = {"Rss": 4, "Swap": 0}, {**_parts(5, 1, 1, 1, 1), "Swap": 0}
    found = _checks([bare], [bare, whole])
    assert [found[slot].verdicts["rss_identity"] for slot in (0, 1)] == ["unknown", "failed"]


def test_nobody_read():
    """No mappings, no checks."""
    assert _checks() == {}


def _rolled(still: bool, rollup: dict[str, int], *mappings: dict[str, int]) -> Checks:
    return _checks(list(mappings), rollups={0: Rollup(rollup, still=still)})[0]


def test_sums_hold():
    """Pss may be up to one kB a mapping more in the rollup, which keeps the fractions; all else is exact."""
    maps = [{**_parts(4, 4, 0, 0, 0), "Pss": 1}, {**_parts(8, 4, 0, 0, 4), "Pss": 5}]
    for pss in (6, 7):
        assert _rolled(False, {"Rss": 12, "Pss": pss, "Pss_Anon": 4, "Private_Dirty": 4}, *maps) == SUMS_HELD


@pytest.mark.parametrize("pss", [5, 8])
def test_pss_off_by_more_than_its_fractions(pss: int):
    """Less than the sum, or a whole kB a mapping more: others come and go, even while a process is stopped."""
    maps = [{**_parts(4, 4, 0, 0, 0), "Pss": 1}, {**_parts(8, 4, 0, 0, 4), "Pss": 5}]
    (finding,) = _rolled(True, {"Pss": pss}, *maps).findings
    assert finding.message == (
        f"Pss is {pss} kB in smaps_rollup, 6 kB in the sum of its mappings (others moved its shares)"
    )
    assert finding.verdict == "differs"


def test_a_running_process_differs():
    """Between the two readings it ran on, which is no failure."""
    checks = _rolled(False, {"Rss": 16, "Private_Dirty": 8, "Shared_Clean": 8}, _parts(12, 8, 0, 0, 4))
    message = "Rss is 16 kB in smaps_rollup, 12 kB in the sum of its mappings, and 1 more field (the process ran on)"
    assert checks.findings == (Finding("rollup", "differs", message),)


def test_a_stopped_process_fails():
    """Nobody but the process itself gets it more memory, and it did not run."""
    checks = _rolled(True, {"Private_Dirty": 8, "Rss": 16}, _parts(12, 8, 0, 0, 4))
    message = "Rss is 16 kB in smaps_rollup, 12 kB in the sum of its mappings, and 1 more field"
    assert checks.verdicts["rollup"] == "failed"
    assert checks.findings == (Finding("rollup", "failed", f"{message}, though the process is stopped"),)


def test_a_stopped_process_whose_pages_became_shared():
    """Another process that maps the same pages turns private ones into shared ones."""
    checks = _rolled(True, {"Rss": 12, "Shared_Clean": 12, "Private_Clean": 0}, _parts(12, 8, 0, 4, 0))
    assert checks.verdicts["rollup"] == "differs"


def test_sums_unknown():
    """A process without a rollup, as before 4.14, is unknown, not failed."""
    found = _checks([_parts(4, 4, 0, 0, 0)], [_parts(8, 8, 0, 0, 0)], rollups={1: Rollup({"Rss": 8}, still=True)})
    assert [found[slot].verdicts["rollup"] for slot in (0, 1)] == ["unknown", "held"]


def _checked(pid: int, checks: Checks, status: str = "read", name: str = "web"):
    one = process(pid, name, mapping(size=4, Rss=4), status=status)
    return replace(one, process=replace(one.process, checks=checks))


OFF = Checks(
    {**PASSED.verdicts, "rss_identity": "failed"},
    (Finding("rss_identity", "failed", "mapping 00200000: Rss is 9 kB, its four parts 8 kB"),),
)
MOVED = Checks({**PASSED.verdicts, "rollup": "differs"}, (Finding("rollup", "differs", "Rss is …"),))


def _sentences(*processes) -> list[str]:
    return check_sentences(snapshot(host("a", *processes)).coverage.checked)


def test_one_sentence_when_all_is_well():
    """What was checked in how many processes."""
    assert _sentences(_checked(1, PASSED), _checked(2, PASSED)) == [
        "self-check: 2 of 2 processes: RSS identity, mappings apart, last block whole, start time unchanged"
    ]


def test_each_failure_is_a_sentence():
    """With host, pid and figures; also a process that for its failure was not read at all."""
    torn = not_passed("last_block_whole", "cut off in the middle of a mapping")
    other = not_passed("start_time_unchanged", "ended, and its pid went to another process")
    processes = (_checked(1, PASSED), _checked(2, OFF), _checked(3, torn, "cut"), _checked(4, other, "reused"))
    assert _sentences(*processes) == [
        "self-check: 1 of 4 processes: RSS identity, mappings apart, last block whole, start time unchanged",
        "a: process 2 (web): mapping 00200000: Rss is 9 kB, its four parts 8 kB",
        "a: process 3 (web): cut off in the middle of a mapping",
        "a: process 4 (web): ended, and its pid went to another process",
    ]


def test_what_differs_or_is_unknown_is_counted():
    """Neither is a failure."""
    unknown = Checks({**PASSED.verdicts, "rss_identity": "unknown", "rollup": "unknown"})
    assert _sentences(_checked(1, MOVED), _checked(2, unknown), _checked(3, SUMS_HELD)) == [
        "self-check: 3 of 3 processes: RSS identity, mappings apart, last block whole, start time unchanged, "
        "sums of smaps_rollup; RSS identity unknown in 1; sums of smaps_rollup unknown in 1; "
        "sums of smaps_rollup different in 1, since the memory of a live process changes"
    ]


def test_nothing_checked_is_no_sentence():
    """ps reads nobody's smaps."""
    assert check_sentences(snapshot(failed("a", "dns", "a: no address")).coverage.checked) == []


def test_a_failure_casts_doubt_on_the_totals():
    """Every report says so without -v; the numbers stay what the kernel gave."""
    report = hosts(snapshot(host("a", _checked(1, PASSED), _checked(2, OFF)), host("b", _checked(7, MOVED))))
    assert "the totals may be wrong: 1 process did not pass the self-check: 2 on a (-v says why)" in report.notes
    assert report.tables[0].column("rss_kib").total == 12


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """An inventory of web-01's recorded tree: 1843's text is torn, 1851's first figure is 512 kB too much."""
    tree = shutil.copytree(Path(__file__).parents[1] / "fake_proc" / "web-01", tmp_path / "web-01")
    torn, off = tree / "1843" / "smaps", tree / "1851" / "smaps"
    torn.write_bytes(torn.read_bytes()[:-200])
    off.write_text(re.sub(r"Rss:  ( +)4 kB", r"Rss:\g<1>516 kB", off.read_text(), count=1))
    inventory = tmp_path / "fleet.toml"
    inventory.write_text(f'[hosts.web-01]\ntransport = "local"\nproc_root = "{tree}"\n')
    return inventory


def test_what_a_host_sent_is_checked(recorded: Path):
    """A torn text and a wrong number, from the host to json and stderr; a failure is said without -v too."""
    words = ("run", "-i", str(recorded), "--pid", "1851,1843,2290", "--format", "json")
    found, loud = fleetpmap(*words), fleetpmap(*words, "-v")
    checks = json.loads(found.stdout)["checks"]
    assert [(one["pid"], one["check"], one["verdict"]) for one in checks.pop("findings")] == [
        (1843, "last_block_whole", "failed"),
        (1851, "rss_identity", "failed"),
    ]
    assert checks == {
        "processes": 3,
        "rss_identity": {"failed": 1, "held": 1},
        "mappings_apart": {"held": 2},
        "last_block_whole": {"failed": 1, "held": 2},
        "start_time_unchanged": {"held": 2},
    }
    doubt = "the totals may be wrong: 1 process did not pass the self-check: 1851 on web-01 (-v says why)\n"
    assert doubt in found.stderr
    assert (
        "self-check: 1 of 3 processes: RSS identity, mappings apart, last block whole, start time unchanged\n"
        in loud.stderr
    )
    assert re.search(
        r"web-01: process 1851 \(gunicorn\): mapping \w+: Rss is 516 kB, its four parts 4 kB\n", loud.stderr
    )


@pytest.fixture
def stopped():
    """A stopped process of a name of its own."""
    with Target(f"fpmc{os.getpid() % 100000}") as target:
        yield target


@needs_rollup
def test_a_stopped_process_over_ssh(sshd: Sshd, stopped: Target, tmp_path: Path):
    """All sums of a stopped process hold, and json and stderr say that they were checked."""
    inventory = tmp_path / "fleet.toml"
    inventory.write_text(
        f'[hosts.box]\naddress = "127.0.0.1"\nport = {sshd.port}\nuser = "{sshd.user}"\n'
        f'identity_file = "{sshd.identity_file}"\n'
    )
    trust = ("--known-hosts", sshd.known_hosts, "--ssh-config", sshd.ssh_config)
    for _ in range(5):  # somebody else's python may map or leave the same pages just then
        found = fleetpmap("run", "-i", str(inventory), *trust, "--pid", str(stopped.pid), "-vv", "--format", "json")
        checks = json.loads(found.stdout)["checks"]
        if not checks["findings"]:
            break
    assert checks == {
        "processes": 1,
        "rss_identity": {"held": 1},
        "mappings_apart": {"held": 1},
        "last_block_whole": {"held": 1},
        "start_time_unchanged": {"held": 1},
        "rollup": {"held": 1},
        "findings": [],
    }
    assert (
        "self-check: 1 of 1 process: RSS identity, mappings apart, last block whole, start time unchanged, "
        "sums of smaps_rollup\n" in found.stderr
    )


def test_rollup_is_read_on_request_only(stopped: Target):
    """-v does not make the kernel walk the page tables again."""
    found = fleetpmap("run", "-H", "local", "--pid", str(stopped.pid), "-v", "--format", "json")
    assert "rollup" not in json.loads(found.stdout)["checks"]
    assert (
        "self-check: 1 of 1 process: RSS identity, mappings apart, last block whole, start time unchanged\n"
        in found.stderr
    )


GROWING = (
    "b = bytearray(); print(flush=True)\nwhile True: b += bytes(65536); b = b if len(b) < 1 << 27 else bytearray()"
)


@needs_rollup
def test_a_running_process_never_fails():
    """A process that allocates all the while differs at most: exit 0, and no doubt about the totals."""
    with subprocess.Popen([sys.executable, "-S", "-c", GROWING], stdout=subprocess.PIPE) as growing:
        assert growing.stdout is not None
        growing.stdout.readline()
        found = fleetpmap("run", "-H", "local", "--pid", str(growing.pid), "-vv", "--format", "json")
        growing.send_signal(signal.SIGKILL)
    document = json.loads(found.stdout)
    assert found.returncode == 0
    assert document["notes"] == []
    assert {finding["verdict"] for finding in document["checks"]["findings"]} <= {"differs"}


def test_a_mapping_that_grew_while_it_was_read():
    """It comes twice and ends further on the second time: kept, and how much is counted twice is said."""
    text = "".join(
        Block(0x10000, end, "rw-p", 0, "00:00", 0, "", _parts(4, 0, 0, 0, 4)).render() for end in (0x20000, 0x24000)
    ).encode()
    columns, errors = parse_processes(text * 2, [(0, len(text)), (len(text), 2 * len(text))])
    assert not errors
    found = check_processes(columns)[1]
    grew = Finding(
        "mappings_apart", "differs", "mapping 00010000 grew while it was read: up to 64 KiB are counted twice"
    )
    assert found == Checks({**PASSED.verdicts, "mappings_apart": "differs"}, (grew,))
    one = process(7, "web")
    fleet = snapshot(host("a", replace(one, process=replace(one.process, checks=found))))
    assert notes_on(fleet) == (
        "the totals may count some memory twice: 1 process grew while read: 7 on a (-v says how much)",
    )
    assert check_sentences(fleet.coverage.checked)[1:] == [f"a: process 7 (web): {grew.message}"]
