"""A host that says the password back: it is in no output, export, capture or snapshot of the run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.capture import CaptureWriter, load
from fleetpmap.collection.collector import Question, collect
from fleetpmap.processes import Selection, compile_match
from fleetpmap.transport.secret import Secret
from fleetpmap.wire import HostMemory, Resident
from program import BARE
from sshd import Sshd
from test_hostile_hosts import LIAR

PASSWORD = "hunter2-S3cret&more"
SAYS = """
os.write(2, b"motd: PW\\n"); os.write(1, b"noise: hunter2-S\\r\\n3cret&more hunter2-S3cret&amp;more\\n")
secret = "PW"
BEGIN = BEGIN.replace("kernel=6.1.0", f"kernel=6.1.0-{secret}").replace("probe_pid=", f"probe_pid= x={secret}")
block = BLOCK.replace("/bin/liar", f"/srv/{secret}/bin") + f"{secret}_Field:  5 kB\\nVmFlags: rd ex {secret}\\n"
facts = stat(7, name=secret[:15]) + "\\0" + "7/cmdline:liar\\0" + f"7/cmdline:-p{secret}\\0"
listing(stat(7, name=secret[:15]), stat(8), rest=f"NONCE cmdline\\n7/cmdline:{secret}\\0" + f"8/cmdline:liar\\0"
        + f"NONCE uid\\n7/status:Uid:\\t0\\t0\\t0\\t0\\nNONCE passwd\\nroot-{secret}:x:0:0:{secret}:/:/bin/sh\\n"
        + f"NONCE cgroup\\n7/cgroup:0::/system.slice/{secret}.service\\n")
wait(b"read"); reading({7: block, 8: BLOCK}, stats=facts + stat(8) + "\\0"); wait(b"never")
"""
FAILS = {
    "fails": "say(BEGIN + 'NONCE fail PW\\n')",
    "broken": "listing(stat(7)); wait(b'read'); reading({7: 'PW is no mapping\\n'})",
    "garbled": "say(BEGIN + 'NONCE PW\\n')",
    "dies": "os.write(2, b'%s PW' % (b'x' * 190)); sys.exit('PW')",
}


@pytest.fixture(scope="module")
def echoing(sshd: Sshd) -> dict[str, Path]:
    """An inventory with hosts that say the password, and what prints it."""
    directory = Path(sshd.identity_file).with_name("echoing")
    directory.mkdir()
    lines = []
    for name, code in {"says": SAYS, **FAILS}.items():
        host = sshd.forced(name, f"{sys.executable} -IS", LIAR + code.replace("PW", PASSWORD) + "\n")
        lines.append(f'[hosts.{name}]\nidentity_file = "{host.identity_file[0]}"\n')
    (directory / "inventory.toml").write_text(sshd.defaults + "".join(lines))
    (directory / "password").write_text(PASSWORD + "\n")
    return {"inventory": directory / "inventory.toml", "password": directory / "password"}


@pytest.mark.parametrize("output", [("--format", "json"), ("-o", "page.html"), ("--save", "run.parquet")])
def test_password_that_hosts_say_back_is_nowhere(sshd: Sshd, echoing: dict[str, Path], tmp_path: Path, output):
    """At -vv, on both streams, in every file that is written, packed or not."""
    argv = [sys.executable, "-m", "fleetpmap", "run", "-i", str(echoing["inventory"]), "-vv", *output]
    argv += ["--ssh-config", sshd.ssh_config, "--password-command", f"cat {echoing['password']}", "--timeout", "10"]
    argv += ["--match", "liar|^h", "--export", "processes=p.csv", "--capture", "capture"]
    run = subprocess.run(argv, capture_output=True, cwd=tmp_path, env=BARE, check=False, stdin=subprocess.DEVNULL)
    assert run.returncode == 3, run.stderr.decode()
    assert b"***" in run.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"p.csv", "manifest.json", "cmdline", "smaps"} <= {path.name for path in files}
    for text in (run.stdout, run.stderr, *(path.read_bytes() for path in files)):
        assert b"hunter2" not in text


def test_processes_are_chosen_before_the_password_is_taken_out(sshd: Sshd):
    """A password that is the name of what is looked for does not turn the run into `no-match`."""
    code = "listing(stat(7)); wait(b'read'); reading({7: BLOCK}); wait(b'never')\n"
    host = sshd.forced("named", f"{sys.executable} -IS", LIAR + code)
    question = Question(Selection(match=compile_match("^liar$")), ssh=replace(sshd.options, password=Secret("liar")))
    [found] = collect([host], question).processes
    assert (found.name, found.status) == ("***", "read")


ID = "ab" * 32
SERVICE = r"""
place = "../sys/fs/cgroup/PW.slice"
files = {
    "7/status": "Name:\tPW\nVmRSS:\t    4800 kB\n",
    "7/cgroup": "0::/PW.slice/docker-DIGITS.scope\n",
    "7/oom_score_adj": "-7\n",
    f"{place}/docker-DIGITS.scope/memory.current": "8192\n",
    f"{place}/docker-DIGITS.scope/memory.stat": "anon 4096\nPW 5\n",
    f"{place}/docker-DIGITS.scope/cgroup.procs": "PW\n",
    f"{place}/memory.max": "16384\n",
}
facts = stat(7) + "\0" + "".join(f"{path}:{text}\0" for path, text in files.items())
names = '../PW/DIGITS/config.v2.json:"Name":"/PW"\n'
listing(stat(7), rest="NONCE memory\nPW: 5\nMemTotal: 4096\n")
wait(b"read")
smaps = "==> /dev/null <==\n\n==> 7/smaps <==\n" + BLOCK
sections = {"smaps": smaps, "access": "7 ok\n", "facts": facts, "names": names, "end": ""}
say("NONCE read plain\n" + "".join(f"NONCE {name}\n{text}" for name, text in sections.items()) + "NONCE over\n")
wait(b"never")
""".replace("DIGITS", ID).replace("PW", "hunter2-S3cret")


def test_a_password_in_the_names_of_services(sshd: Sshd, tmp_path: Path):
    """Cgroups, containers and what is kept of them lose it, and no figure does; the capture says the same."""
    host = sshd.forced("service", f"{sys.executable} -IS", LIAR + SERVICE)
    question = Question(Selection(), ssh=replace(sshd.options, password=Secret("hunter2-S3cret")))
    with CaptureWriter(tmp_path / "cap") as writer:
        snapshot = collect([host], question, keep=writer.keep)
        writer.finish(snapshot, rollups=False, machines_once=False)
    [answered], [found] = snapshot.hosts, snapshot.processes
    assert (found.cgroup, found.slice) == (f"/***.slice/docker-{ID}.scope", "***.slice")
    assert (found.container, found.resident) == ("docker:***", Resident(4800))
    [group] = answered.cgroups
    assert (group.current_kib, group.anon_kib, group.limit_kib, group.limit_path) == (8, 4, 16, "/***.slice")
    assert answered.memory == HostMemory(4096, None, None, None)
    assert "hunter2" not in repr(snapshot)
    for path in (tmp_path / "cap").rglob("*"):
        assert "hunter2" not in str(path)
        assert not path.is_file() or b"hunter2" not in path.read_bytes()
    shown = load(tmp_path / "cap", Selection())
    assert (shown.hosts, shown.processes) == (snapshot.hosts, snapshot.processes)


@pytest.mark.parametrize("password", ["4", "kB", "1234", "Rss", "00400000"])
def test_numbers_are_no_secrets(sshd: Sshd, password: str):
    """A password that looks like a number or a field changes no figure."""
    block = "BLOCK.replace('4 kB', '1234 kB')"
    code = f"listing(stat(7, rss='1234')); wait(b'read'); reading({{7: {block}}}); wait(b'never')\n"
    host = sshd.forced(f"number-{password}", f"{sys.executable} -IS", LIAR + code, timeout_s=9.0)
    question = Question(Selection(), ssh=replace(sshd.options, password=Secret(password)))
    snapshot = collect([host], question)
    assert snapshot.hosts[0].failure is None
    [found] = snapshot.processes
    assert (found.status, found.rss_kib) == ("read", 4936)
    assert snapshot.table.metrics["rss_kib"].tolist() == [1234]
