"""Hosts and processes that lie: real logins to a real sshd, where something else answers in the probe's place."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounded import within
from fleetpmap.collection.collector import Question, collect
from fleetpmap.errors import HostError
from fleetpmap.probe import Script
from fleetpmap.processes import Selection
from fleetpmap.smaps import parse_processes
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import from_columns
from fleetpmap.wire import Decoder
from program import fleetpmap
from sshd import Sshd
from test_wire import LIST, NONCE, link, stream

LIAR = r"""
import os, re, sys, zlib
nonce = sys.stdin.buffer.readline().split()[2].decode()
def say(text):
    sys.stdout.buffer.write(text.replace("NONCE", nonce).encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
def wait(command):
    for line in sys.stdin.buffer:
        if re.fullmatch(command + rb"[0-9 /]*\n", line):  # the script has lines that begin so, too
            return line.decode().split()[1:]
BEGIN = (
    "NONCE begin 1 uid=0 kernel=6.1.0 page_size=4096 boot_id= pid_namespace= reader=gnu compression=plain probe_pid=\n"
)
def stat(pid, name="liar", rss="33", start="4711"):
    name = name.replace("\n", f"\n{pid}/stat:")  # as grep prints each line
    return f"{pid}/stat:{pid} ({name}) S 1 {pid} 5 0 -1 0 9 8 7 6 5 4 3 2 20 0 1 0 {start} 8192000 {rss} 184\n"
def listing(*stats, rest=""):
    say(BEGIN + "NONCE list plain\nNONCE stat\n" + "".join(stats) + rest + "NONCE end\nNONCE over\n")
def reading(smaps, stats=None, access=None):
    pids = list(smaps)
    texts = "==> /dev/null <==\n" + "".join(f"\n==> {pid}/smaps <==\n{text}" for pid, text in smaps.items())
    access = "".join(f"{pid} ok\n" for pid in pids) if access is None else access
    stats = "".join(stat(pid) + "\0" for pid in pids) if stats is None else stats
    say(f"NONCE read plain\nNONCE smaps\n{texts}NONCE access\n{access}NONCE facts\n{stats}NONCE end\nNONCE over\n")
BLOCK = "00400000-00401000 r-xp 00000000 08:01 9 /bin/liar\nRss:   4 kB\nPss:   3 kB\n"
"""

REFUSED = [
    ("nothing", "", "remote-error", "ended with exit status 0 before the probe began: nothing on stderr"),
    ("last-words", "sys.exit('\\x1b[2Jgo away')", "remote-error", "before the probe began"),
    ("garbage", "os.write(1, os.urandom(1 << 20))", "remote-error", "before the probe began"),
    ("endless-noise", "while True: os.write(1, b'x' * 65536)", "protocol", "it sent more than 16,777,216 bytes"),
    ("silence", "wait(b'never')", "timeout", "no time left after 2 s"),
    ("stderr-only", "while True: os.write(2, b'x' * 65536)", "timeout", "no time left after 2 s"),
    ("echo", "say('NONCE list plain\\n'); sys.stdout.write(sys.stdin.readline())", "remote-error", "before the probe"),
    ("begins-twice", "say(BEGIN + BEGIN); wait(b'never')", "protocol", "it began twice"),
    ("version-2", "say(BEGIN.replace('begin 1', 'begin 2'))", "protocol", "does not know the frame"),
    ("endless-frame", "say(BEGIN + 'NONCE ')\nwhile True: os.write(1, b'x' * 65536)", "protocol", "line has no end"),
    ("lists-twice", "listing(stat(7)); listing(stat(7))", "protocol", "twice|list of processes"),
    ("reads-first", "say(BEGIN + 'NONCE read plain\\nNONCE end\\n')", "protocol", "smaps came before the list"),
    ("cut", "say(BEGIN + 'NONCE list plain\\nNONCE stat\\n' + stat(7))", "protocol", "was cut while listing processes"),
    ("negative-pid", "listing(stat(-7))", "protocol", "does not begin with a pid"),
    ("negative-rss", "listing(stat(7, rss='-33'))", "protocol", "7/stat is not a stat line"),
    ("huge-numbers", "listing(stat(7, start='9' * 5000))", "protocol", "7/stat is not a stat line"),
    ("huge-pid", "listing(stat('9' * 5000))", "protocol", "does not begin with a pid"),
    (
        "a-billion-processes",
        "listing(*(stat(pid) for pid in range(70_000)))",
        "protocol",
        "more than 65,536 processes",
    ),
    (
        "gzip-bomb",
        "packer = zlib.compressobj(9, wbits=31)\nsay(BEGIN + 'NONCE list gzip\\n')\n"
        "for _ in range(1 << 8): os.write(1, packer.compress(bytes(1 << 20)))\nsay('NONCE over\\n'); wait(b'never')",
        "protocol",
        "unpacks to more than 200 times its size",
    ),
    ("not-gzip", "say(BEGIN + 'NONCE list gzip\\nnot gzip\\nNONCE over\\n')", "protocol", "is not gzip"),
    (
        "endless-garbage",
        "say(BEGIN + 'NONCE list gzip\\n')\nwhile True: os.write(1, b'x' * 65536)",
        "protocol",
        "more than 33,554",
    ),
    (
        "other-pids",
        "listing(stat(7)); wait(b'read'); reading({8: BLOCK})",
        "protocol",
        "other processes than it was asked",
    ),
    ("more-pids", "listing(stat(7)); wait(b'read'); reading({7: BLOCK, 8: BLOCK})", "protocol", "other processes than"),
    ("fewer-pids", "listing(stat(7), stat(8)); wait(b'read'); reading({7: BLOCK})", "protocol", "other processes than"),
    (
        "text-without-verdict",
        "listing(stat(7)); wait(b'read'); reading({7: BLOCK}, access='')",
        "protocol",
        "do not follow the order",
    ),
    (
        "unasked-reading",
        "listing(stat(7)); reading({1: BLOCK}); wait(b'never')",
        "protocol",
        "other processes than|before it was asked",
    ),
    ("garbage-later", "listing(stat(7)); wait(b'read'); os.write(1, os.urandom(1 << 20))", "protocol", "cut after"),
    ("no-processes", "listing()", "protocol", "the list of its processes is not whole: 0 came"),
    (
        "no-probe",
        "BEGIN = BEGIN[:-1] + '77\\n'; listing(stat(7), stat(8))",
        "protocol",
        r"the list of its processes is not whole: 2 came without the probe's own \(pid 77\)",
    ),
    ("refuses", "say(BEGIN + 'NONCE fail \\x1b[2J\\n')", "remote-error", "the probe refused"),
]

WITHIN_S = 40.0
"""Most take a quarter of a second on a machine that does nothing else, the bombs two or three; each host has 60 s."""


def liar(sshd: Sshd, name: str, code: str, **changes: object) -> Snapshot:
    """What a host gives whose `sh` is this Python program."""
    host = sshd.forced(name, f"{sys.executable} -IS", LIAR + code + "\n", **changes)
    return collect([host], Question(Selection(), ssh=sshd.options))


@pytest.mark.parametrize(("name", "code", "status", "message"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_a_host_that_lies_is_one_clear_error(sshd: Sshd, name: str, code: str, status: str, message: str) -> None:
    """Whatever it says: one status, a message and a hint, as soon as it is wrong, and nothing of it counts."""
    timeout_s = 2.0 if status == "timeout" else 60.0
    with within(WITHIN_S):
        snapshot = liar(sshd, name, code, timeout_s=timeout_s)
    failure = snapshot.hosts[0].failure
    assert failure is not None
    assert (failure.status, snapshot.processes) == (status, ())
    assert re.search(message, failure.message), failure.message
    assert failure.hint


PARTIAL = [
    ("truth", "listing(stat(7)); wait(b'read'); reading({7: BLOCK})", {7: "read"}),
    ("pid-twice", "listing(stat(7), stat(7)); wait(b'read'); reading({7: BLOCK})", {7: "read"}),
    (
        "torn",
        "listing(stat(7), stat(8)); wait(b'read'); reading({7: BLOCK + BLOCK[:-9], 8: BLOCK})",
        {7: "cut", 8: "read"},
    ),
    ("no-smaps", "listing(stat(7), stat(8)); wait(b'read'); reading({7: 'x' * 999, 8: BLOCK})", {7: "cut", 8: "read"}),
    (
        "huge-value",
        "listing(stat(7), stat(8)); wait(b'read'); reading({7: BLOCK.replace('   4', '9' * 18), 8: BLOCK})",
        {7: "cut", 8: "read"},
    ),
    (
        "backwards",
        "listing(stat(7), stat(8)); wait(b'read'); reading({7: BLOCK.replace('00401000', '00300000'), 8: BLOCK})",
        {7: "cut", 8: "read"},
    ),
    (
        "other-start",
        "listing(stat(7)); wait(b'read'); reading({7: BLOCK}, stats=stat(7, start='1') + '\\0')",
        {7: "reused"},
    ),
]


@pytest.mark.parametrize(("name", "code", "statuses"), PARTIAL, ids=[name for name, *_ in PARTIAL])
def test_a_host_that_lies_about_one_process_keeps_the_others(
    sshd: Sshd, name: str, code: str, statuses: dict[int, str]
) -> None:
    """What is no smaps is cut, with the reason; the rest is complete."""
    with within(WITHIN_S):
        snapshot = liar(sshd, name, code)
    assert snapshot.hosts[0].failure is None
    assert {process.pid: process.status for process in snapshot.processes} == statuses
    assert all(process.reason for process in snapshot.processes if process.status != "read")
    read = sum(status == "read" for status in statuses.values())
    assert snapshot.table.metrics["rss_kib"].tolist() == [4] * read


ODD = "\x1b[31m\udcff\u202e[bold]=1+1\n\t"
ODD_HOST = f"""
ODD = {ODD!r}
listing(
    stat(7, ODD),
    rest="NONCE cmdline\\n7/cmdline:" + ODD + "\\x007/cmdline:@SUM(A1)\\x00NONCE uid\\n7/status:Uid:\\t0\\t9\\t0\\t0\\n"
    + "NONCE passwd\\n" + ODD[:-2] + ":x:9:9::/:\\n",
)
wait(b"read")
now = stat(7, ODD).replace("\\n7/stat:", "\\n") + "\\0"
reading({{7: BLOCK.replace("/bin/liar", ODD[:-2] + "\\x07/x.so")}}, stats=now)
"""
FORMATS = ["table", "plain", "csv", "json"]


def assert_clean(text: str) -> None:
    """Nothing moves the cursor, turns the line around or breaks it."""
    assert [sign for sign in text if not sign.isprintable() and sign != "\n"] == []


@pytest.mark.parametrize(
    ("view", "format_"),
    [
        *((view, format_) for view in ("merged", "hosts", "processes", "mappings") for format_ in FORMATS),
        *(("pmap", format_) for format_ in ("table", "plain")),
    ],
)
def test_odd_texts_of_a_host_come_out_escaped(sshd: Sshd, tmp_path: Path, view: str, format_: str) -> None:
    """Names, arguments, users and paths, in every view and format."""
    found = run_on(sshd, tmp_path, ODD_HOST, f"odd-{view}-{format_}", "--view", view, "--format", format_)
    assert found.returncode == 0, found.stderr
    assert_clean(found.stdout)
    assert_clean(found.stderr)
    if format_ == "json":
        json.loads(found.stdout)
    if format_ == "csv":
        widths = {len(row) for row in csv.reader(io.StringIO(found.stdout))}
        assert len(widths) == 1
    if view in ("processes", "mappings") and format_ != "json":
        assert "\\x1b[31m\\xff\\u202e[bold]=1+1" in found.stdout


def test_odd_texts_in_every_file(sshd: Sshd, tmp_path: Path) -> None:
    """Each format's own reader takes every file, and all of them see the same name."""
    polars = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    prometheus = pytest.importorskip("prometheus_client.openmetrics.parser", reason="it is in the dev group")
    views = ("summary", "merged", "hosts", "processes", "mappings", "compare", "stale")
    files = [f"{view}={tmp_path / view}.{suffix}" for view in views for suffix in ("csv", "json", "md", "parquet")]
    files += [f"{view}={tmp_path / view}.jsonl" for view in ("hosts", "processes", "mappings")]
    files += [f"{view}={tmp_path / view}.prom" for view in ("summary", "merged", "hosts", "processes")]
    found = run_on(sshd, tmp_path, ODD_HOST, "odd-files", *(word for file in files for word in ("--export", file)))
    assert found.returncode == 0, found.stderr
    names = [json.loads((tmp_path / "processes.json").read_text())["rows"][0]["name"]]
    for path in [Path(file.partition("=")[2]) for file in files]:
        rows: list[dict[str, object]] = []
        if path.suffix == ".parquet":
            rows = polars.read_parquet(path).to_dicts()
        else:
            assert_clean(path.read_text())
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        if path.suffix == ".prom":
            families = prometheus.text_string_to_metric_families(path.read_text())
            rows = [sample.labels for family in families for sample in family.samples]
        names += [str(row["name"]) for row in rows[:1] if "name" in row]
    assert len(names) == 6  # processes in four formats, mappings in two
    assert set(names) == {r"\x1b[31m\xff\u202e[bold]=1+1\x0a\x09"}
    assert f"`{names[0]}`" in (tmp_path / "processes.md").read_text()


def test_odd_errors_of_a_host_come_out_escaped(sshd: Sshd, tmp_path: Path) -> None:
    """What a host says in place of the probe is quoted in the message, and cannot do more than be read."""
    code = "sys.exit('\\x1b[2J\\u202e[bold]go away')"
    found = run_on(sshd, tmp_path, code, "odd-error", "--format", "json")
    assert found.returncode == 4
    assert "[bold]go away" in found.stderr
    assert_clean(found.stderr)
    assert_clean(found.stdout)


def run_on(sshd: Sshd, directory: Path, code: str, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The program, against a host whose `sh` is this Python program."""
    host = sshd.forced(name, f"{sys.executable} -IS", LIAR + code)
    inventory = directory / "inventory.toml"
    inventory.write_text(
        f'[hosts.box]\naddress = "{host.address}"\nport = {host.port}\nuser = "{host.user}"\n'
        f'identity_file = "{host.identity_file[0]}"\n'
    )
    trust = ("--known-hosts", sshd.known_hosts, "--ssh-config", sshd.ssh_config)
    return fleetpmap("run", "-i", str(inventory), "--all", *trust, *words)


FORGER = r"""
import ctypes, mmap, os, signal, sys
ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[1]))
with open(sys.argv[2], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 4096)
print(flush=True)
signal.pause()
"""


@contextlib.contextmanager
def forger(directory: Path, name: str, mapped: str) -> Iterator[int]:
    """A real process with this name, that has mapped a file with this name."""
    path = directory / mapped
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(4096))
    argv = [sys.executable, "-IS", "-c", FORGER, name, str(path), "=HYPERLINK(1)", "\u202e[red]\x1b[2J"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.parametrize("format_", [*FORMATS, "jsonl", "markdown"])
def test_a_real_process_cannot_forge_anything(sshd: Sshd, tmp_path: Path, format_: str) -> None:
    """Its name, its arguments and a file that it maps look like other lines, headers and colours: they stay texts."""
    with forger(tmp_path, "a)\n1 (\x1b[2J", "\n==> 1/smaps <==\n\x1b[31m/\u202e[b].so") as pid:
        host = sshd.host()
        found = fleetpmap(
            *("run", "-H", f"{host.user}@{host.address}:{host.port}", "--pid", str(pid), "--view", "mappings"),
            *("--format", format_, "--known-hosts", sshd.known_hosts, "--ssh-config", key_config(sshd, tmp_path)),
        )
        smaps = Path(f"/proc/{pid}/smaps").read_bytes()
    assert found.returncode == 0, found.stderr
    assert_clean(found.stdout)
    assert_clean(found.stderr)
    count = len(re.findall(rb"(?m)^[0-9a-f]+-", smaps))
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(found.stdout)))
        assert len(rows) == count
        assert {(row["pid"], row["name"]) for row in rows} == {(str(pid), "a)\\x0a1 (\\x1b[2J")}
        assert any(row["path"].endswith("/\\u202e[b].so") for row in rows)
    if format_ == "json":
        assert len(json.loads(found.stdout)["rows"]) == count
    if format_ == "jsonl":
        *rows, _ = map(json.loads, found.stdout.splitlines())
        assert [row["pid"] for row in rows] == [pid] * count
    if format_ == "markdown":
        rows = [line for line in found.stdout.splitlines() if line.startswith("|")]
        assert len(rows) == count + 3  # the header, its rule and the totals
        assert all("`a)\\x0a1 (\\x1b[2J`" in row for row in rows[2:-1])


def key_config(sshd: Sshd, directory: Path) -> str:
    """An ssh_config that names the key, since -H has no place for one."""
    path = directory / "ssh_config"
    path.write_text(f"IdentityFile {sshd.identity_file}\n")
    return str(path)


TOKENS = [b"\n", b"\0", NONCE.encode(), f"{NONCE} end\n".encode(), b"9" * 30, b"-5", b"\xff", b":", b"(", b")"]
TOKENS += [b"==> 7/smaps <==\n", b"7/stat:", b"Rss: 99999999999999999999 kB\n", b"f" * 16 + b"-", b"0" * 600]


def mutate(text: bytes, chance: random.Random) -> bytes:
    """One to four small changes."""
    changed = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        stop = at + chance.randint(0, 60)
        changed[at:stop] = chance.choice([b"", changed[at:stop] * 2, chance.choice(TOKENS), chance.randbytes(1)])
    return bytes(changed)


@pytest.mark.parametrize("packing", ["gzip", "plain"])
def test_any_change_of_an_answer_is_an_answer_or_an_error_of_ours(packing: str) -> None:
    """A thousand answers with something changed in each: never another exception."""
    chance = random.Random(4711)
    end = f"{NONCE} end\n".encode()
    more = f"{NONCE} cgroup\n7/cgroup:0::/a\n{NONCE} exe\n".encode() + link("7/exe", "/x" * 80)
    whole = stream(packing, listing=LIST.replace(end, more + end))
    ends = {"error": 0, "answer": 0}
    for _ in range(1000):
        decoder = Decoder(Script("sh -s", b"", NONCE, "/proc"), host="web-03")
        try:
            decoder.feed(mutate(whole, chance))
            if decoder.reading is not None:
                decoder.reading.unpack()
            decoder.eof()
        except HostError:
            ends["error"] += 1
        else:
            ends["answer"] += 1
    assert min(ends.values()) > 10


def test_any_change_of_a_smaps_cuts_that_process_alone(request: pytest.FixtureRequest) -> None:
    """Five hundred texts with something changed in each: an error, or numbers that can be; the neighbour is whole."""
    chance = random.Random(4711)
    text = (request.path.parents[1] / "fake_proc/web-01/2290/smaps").read_bytes()
    ends = {"cut": 0, "whole": 0}
    for _ in range(500):
        changed = mutate(text, chance)
        columns, errors = parse_processes(changed + text, [(0, len(changed)), (len(changed), len(changed) + len(text))])
        table = from_columns(columns)
        assert 1 not in errors
        assert all(((metric >= -1) & (metric <= 2**47)).all() for metric in table.metrics.values())
        ends["cut" if 0 in errors else "whole"] += 1
    assert min(ends.values()) > 10
