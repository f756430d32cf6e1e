"""fleetpmap doctor: the steps to a host, where they end, and the fix."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.doctor import STEPS, diagnose
from fleetpmap.errors import ProtocolError
from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostFailure, HostSnapshot
from fleetpmap.transport.base import SshOptions
from program import fleetpmap
from snapshots import failed, host, process, snapshot
from targets import Target

NO_CONFIG = SshOptions(ssh_config="none", known_hosts=("/nonexistent",))
ALL_PASSED = {"config": 0.5, "dns": 0.51, "tcp": 0.53, "kex": 0.57, "auth": 0.65, "list": 0.81, "read": 1.13}


def _states(fleet_host: Host, answer: HostSnapshot, passed: dict[str, float] | None = None) -> str:
    """The steps' states, as a letter each: o(k), F(ailed), . for not reached, - for not needed."""
    times = {fleet_host.name: passed or {}}
    (one,) = diagnose(snapshot(answer), [fleet_host], times, NO_CONFIG, listed_only=False)
    letters = {"ok": "o", "failed": "F", "not-reached": ".", "not-needed": "-"}
    return "".join(letters[one.states[step]] for step in STEPS)


def _passed(until: str) -> dict[str, float]:
    names = list(ALL_PASSED)
    return {name: ALL_PASSED[name] for name in names[: names.index(until) + 1]}


BOX = Host("box")


@pytest.mark.parametrize(
    ("stage", "passed", "states"),
    [
        ("config", "", "F-.....-.."),
        ("dns", "config", "F-.....-.."),
        ("tcp", "dns", "o-F....-.."),
        ("banner", "tcp", "o-oF...-.."),
        ("kex", "tcp", "o-oF...-.."),
        ("host-key", "kex", "o-ooF..-.."),
        ("auth", "kex", "o-oooF.-.."),
        ("exec", "auth", "o-ooooF-.."),
        ("read", "auth", "o-ooooF-.."),
        ("list", "auth", "o-ooooo-F."),
        ("read", "list", "o-ooooo-oF"),
    ],
)
def test_step_that_failed(stage, passed, states):
    """What came before it is done, what comes after it was not reached."""
    answer = failed("box", "unreachable", "no", stage=stage)
    assert _states(BOX, answer, _passed(passed) if passed else {}) == states


def test_sudo_is_a_step_where_it_is_asked_for():
    """Not where the login is root's already."""
    refused = failed("box", "sudo", "no", stage="sudo")
    assert _states(replace(BOX, sudo=True, user="ops"), refused, _passed("auth")) == "o-oooooF.."
    assert _states(replace(BOX, sudo=True, user="root"), host("box", process(1, "x")), ALL_PASSED) == "o-ooooo-oo"


def test_failure_of_a_bastion_is_no_step_of_the_host():
    """Of the way to the host behind it nothing was done."""
    behind = replace(BOX, proxy_jump="ops@bastion")
    assert _states(behind, failed("box", "auth", "bastion: no", stage="bastion")) == "-F.....-.."
    assert _states(replace(behind, transport="openssh"), failed("box", "auth", "no", stage="auth")) == "--oooF.-.."


def test_host_that_was_not_asked():
    """Nothing was tried."""
    assert _states(BOX, failed("box", "not-asked", "interrupted", stage="queue")) == ".-.....-.."


def test_this_machine_needs_no_connection():
    """Without SSH there is nothing before the shell."""
    assert _states(replace(BOX, transport="local"), host("box", process(1, "x"))) == "------o-oo"


def test_denied_process_is_a_failed_step():
    """Logged in, but not allowed to read what matched."""
    answer = host("box", process(1, "x"), process(2, "x", status="denied"))
    assert _states(BOX, answer, ALL_PASSED) == "o-ooooo-oF"


def test_process_that_has_ended_is_no_failed_step():
    """It was not to be read; the counts are those of ps and run all the same."""
    answer = host("box", process(1, "x"), process(2, "x", status="zombie"), process(3, "x", status="gone"))
    (one,) = diagnose(snapshot(answer), [BOX], {"box": ALL_PASSED}, NO_CONFIG, listed_only=False)
    assert (one.readable, one.matched, one.states["proc"], one.error) == (1, 3, "ok", "")


def test_system_ssh_tells_no_stages():
    """Its failure's stage is all there is: what comes before it is done."""
    answer = failed("box", "auth", "ssh: Permission denied", stage="auth")
    assert _states(replace(BOX, transport="openssh"), answer) == "o-oooF.-.."


def test_seconds_of_each_step():
    """From the end of the step before it; what was done before the first is not counted."""
    (one,) = diagnose(snapshot(host("box", process(1, "x"))), [BOX], {"box": ALL_PASSED}, NO_CONFIG, listed_only=False)
    assert {step: round(seconds, 3) for step, seconds in one.seconds.items()} == {
        "resolve": 0.01,
        "tcp": 0.02,
        "banner": 0.04,
        "login": 0.08,
        "shell": 0.16,
        "proc": 0.32,
    }


def test_listed_processes_that_may_not_be_read_are_no_failed_step():
    """Where nobody asked for a process, a plain login may read its own only."""
    answer = host("box", process(1, "init", status="denied"), process(7, "x"))
    (one,) = diagnose(snapshot(answer), [BOX], {"box": ALL_PASSED}, NO_CONFIG, listed_only=True)
    assert (one.readable, one.matched, one.states["proc"]) == (1, 2, "ok")


def test_error_is_the_message_and_the_fix():
    """One cell for both, since a file has no line below."""
    error = ProtocolError("box: no", host="box", stage="list", hint="look there")
    answer = HostSnapshot.failed(HostFailure.from_error(error))
    (one,) = diagnose(snapshot(answer), [BOX], {}, NO_CONFIG, listed_only=False)
    assert one.error == "no; look there"


# The command, against real servers


@pytest.fixture
def inventory(sshd_of_fifty, tmp_path) -> Path:
    """A host that is well, the same by the system's ssh and through a bastion, and three that are not."""
    server = sshd_of_fifty
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    path = tmp_path / "inventory.toml"
    path.write_text(
        f'[defaults]\naddress = "127.0.1.2"\nport = {server.port}\nuser = "{server.user}"\n'
        f'identity_file = "{server.identity_file}"\n[hosts.well]\n[hosts.by-ssh]\ntransport = "openssh"\n'
        f'[hosts.behind]\nproxy_jump = "{server.user}@127.0.1.1:{server.port}"\n'
        f'[hosts.shut]\nproxy_jump = "nobody-here@127.0.1.1:{server.port}"\n'
        f'[hosts.stranger]\nidentity_file = "{server.new_key(f"stranger-{tmp_path.name}")}"\n'
        f'[hosts.refused]\naddress = "127.0.0.1"\nport = {closed}\n'
        '[hosts.nowhere]\naddress = "nowhere.invalid"\n[hosts.local]\n'
    )
    return path


@pytest.fixture
def doctor(sshd_of_fifty, inventory, tmp_path):
    """Runs `fleetpmap doctor WORDS` on that inventory."""
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {sshd_of_fifty.identity_file}\n")  # for the bastion, which has no table

    def run(*words: str):
        files = ("-i", str(inventory), "--known-hosts", sshd_of_fifty.known_hosts, "--ssh-config", str(config))
        return fleetpmap("doctor", *files, *words)

    return run


def _rows(text: str) -> dict[str, dict[str, str]]:
    return {row["host"]: row for row in csv.DictReader(io.StringIO(text))}


def test_every_step_to_real_hosts(doctor):
    """Where each of them ended; the exit status is run's."""
    done = doctor("--format", "csv", "--retries", "0")
    letters = {"ok": "o", "failed": "F", "not-reached": ".", "not-needed": "-"}
    rows = _rows(done.stdout)
    assert {name: "".join(letters[row[step]] for step in STEPS) for name, row in rows.items()} == {
        "well": "o-ooooo-oo",
        "by-ssh": "o-ooooo-oo",
        "behind": "-oooooo-oo",
        "shut": "-F.....-..",
        "stranger": "o-oooF.-..",
        "refused": "o-F....-..",
        "nowhere": "F-.....-..",
        "local": "------o-oo",
    }
    assert done.returncode == 3
    assert {name: (row["transport"], bool(row["via"])) for name, row in rows.items() if row["uid"]} == {
        "well": ("ssh", False),
        "by-ssh": ("openssh", False),
        "behind": ("ssh", True),
        "local": ("local", False),
    }
    assert rows["refused"]["error"].endswith("refused the connection; is sshd running there, and on that port?")
    assert rows["well"]["kernel"] == os.uname().release
    assert int(rows["well"]["uid"]) == os.geteuid()


def test_hosts_are_arguments_too(doctor):
    """Node sets as in -H, in addition to it; all is well is exit status 0 and a line each."""
    done = doctor("well", "-H", "local")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["host", "local", "well"]
    assert done.returncode == 0


def test_matched_processes_are_tried(doctor):
    """With a process option the maps are read, as run would; nobody who matches is 5, as there."""
    with Target("to-be-tried") as target:
        done = doctor("well", "--pid", str(target.pid), "--format", "csv")
    (row,) = _rows(done.stdout).values()
    assert (row["processes"], row["readable"], row["proc"]) == ("1", "1", "ok")
    assert row["proc_ms"] != ""
    assert done.stderr.splitlines()[-1] == "1 of 1 host answered; 1 of 1 process read"
    assert doctor("well", "--pid", "4194304").returncode == 5


def test_denied_process_says_sudo(sshd_of_fifty, doctor, account):
    """Another user's process may be listed, not read."""
    ops = account("doctor")
    sshd_of_fifty.authorize(ops, sshd_of_fifty.identity_file)
    with Target("of-root") as target:
        done = doctor("-H", f"{ops}@well", "--pid", str(target.pid))
        listed = doctor("-H", f"{ops}@well")
    assert done.returncode == 3
    assert done.stdout.splitlines()[1].split()[-3] == "0/1"
    remedy = f"(run with --sudo to read it, with this line in sudoers there: `{ops} ALL=(root) NOPASSWD: /bin/sh -s`)"
    assert f"run reads only RSS and swap of 1 denied process: {target.pid} on well {remedy}\n" in done.stderr
    found = rf"run reads only RSS and swap of \d+ denied process(es)?: .* on well {re.escape(remedy)}\n"
    assert re.search(found, listed.stderr)
    assert re.search(r"1 of 1 host answered; \d+ of \d+ processes would be read, [1-9]\d* denied", listed.stderr)
    assert listed.returncode == 0


def test_ps_says_denied_where_run_would(sshd_of_fifty, inventory, account):
    """To a plain login: root's process, its own, and its own that the kernel lets nobody but root read."""
    ops = account("listing")
    sshd_of_fifty.authorize(ops, sshd_of_fifty.identity_file)
    words = ("-i", inventory, "-H", f"{ops}@well", "--known-hosts", sshd_of_fifty.known_hosts, "--ssh-config", "none")
    with (
        Target("ps-of-root") as others,
        Target("ps-own", user=ops) as own,
        Target("ps-hidden", user=ops, hidden=True) as hidden,
    ):
        pids = ",".join(str(one.pid) for one in (others, own, hidden))
        listed = fleetpmap("ps", *map(str, words), "--pid", pids, "--format", "json")
        run = fleetpmap("run", *map(str, words), "--pid", pids, "--view", "processes", "--format", "json")
    statuses = [{row["pid"]: row["status"] for row in json.loads(done.stdout)["rows"]} for done in (listed, run)]
    assert statuses[0] == {others.pid: "denied", own.pid: "read", hidden.pid: "denied"}
    assert statuses[1] == statuses[0]
    assert (listed.returncode, run.returncode) == (3, 3)
    assert "1 of 3 processes would be read, 2 denied\n" in listed.stderr


def test_json_has_the_failures_with_their_stage(doctor):
    """The same form as every report's."""
    told = json.loads(doctor("refused", "--format", "json", "--quiet").stdout)
    assert told["view"] == "doctor"
    assert told["rows"][0]["tcp"] == "failed"
    assert told["failures"][0]["stage"] == "tcp"


def test_summary_in_columns(doctor):
    """A time or a word for each step; sudo only where some host wants it."""
    header, *lines = doctor("well", "refused").stdout.splitlines()
    assert header.split() == ["host", *(step for step in STEPS if step not in ("bastion", "sudo")), "uid", "kernel"]
    well, refused = (line.split() for line in lines)
    assert well[0] == "well"
    assert all(time.endswith(("ms", "s")) for time in well[1:4])
    assert refused[2] == "failed"
