"""fleetpmap, and what people use in its place: the command lines.   lab ─► [contenders] ─► fleet, rivals, far, scale

Each asks 32 hosts at once for the maps of the service's processes. A rival runs on each host what a person would type
there, as one command that finds the processes itself; what it prints goes to files.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lab import HERE, SERVICE, WORKERS, Fleet
from measure import Cost, cost

AT_ONCE = 32
PMAP = f"pmap -X $(pgrep -x {SERVICE})"
RIVALS = HERE.parent / ".venv" / "rivals"
"""Their own virtual environment, made on first use: they are nothing that fleetpmap depends on."""
PACKAGES = ("ansible-core", "asyncssh", "parallel-ssh")
_ANSIBLE = {
    "ANSIBLE_PIPELINING": "1",
    # As it comes but for the 60 s that a connection is kept for the next task, which would serve the next round too.
    "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=1s",
    "LC_ALL": "C.UTF-8",  # it insists on UTF-8
}


@dataclass(frozen=True)
class Contender:
    """A program that asks hosts for their maps."""

    argv: tuple[str, ...]
    proof: str = ""
    """What its output has for each process, or host, that was read: a regular expression for a whole line."""
    proofs: int = 0
    """How many of them have to come; looked for if there is a `proof`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """Why it cannot run here."""

    def run(self, fleet: Fleet) -> Cost:
        """Run it once, in a directory of its own.

        Ends the program if it fails, or if what it printed is not complete.
        """
        directory = fleet.scratch()
        taken = cost(self.argv, at=directory, environment=self.environment)
        if self.proof:
            texts = (path.read_text(errors="replace") for path in directory.iterdir() if path.is_file())
            found = sum(len(re.findall(f"(?m)^{self.proof}\r?$", text)) for text in texts)
            if found != self.proofs:
                sys.exit(f"{found} of {self.proofs} came from {' '.join(self.argv)[:300]}")
        shutil.rmtree(directory)
        return taken


@cache
def program() -> tuple[str, ...]:
    """How fleetpmap is started; its modules are compiled, as an installation does."""
    spec = importlib.util.find_spec("fleetpmap")
    for directory in (spec and spec.submodule_search_locations) or ():
        compileall.compile_dir(directory, quiet=1)
    return (sys.executable, "-m", "fleetpmap")


def fleetpmap(fleet: Fleet, hosts: int, *more: str, view: str = "hosts") -> Contender:
    """`fleetpmap run` over the first hosts of the fleet, to csv, but for a report that is several tables."""
    inventory = fleet.directory / f"inventory_{fleet.port}_{hosts}.toml"
    lines = [f'[hosts.box-{n:04}]\naddress = "{one}"' for n, one in enumerate(fleet.addresses[:hosts], start=1)]
    defaults = f'[defaults]\nport = {fleet.port}\nuser = "{fleet.user}"\nidentity_file = "{fleet.identity_file}"'
    inventory.write_text("\n".join([defaults, *lines]) + "\n")
    to = ("-i", str(inventory), "--ssh-config", "none", "--known-hosts", fleet.known_hosts)
    form = "plain" if view == "summary" else "csv"
    what = ("--match", SERVICE, "--exact", "--view", view, "--format", form, "--quiet")
    proof = rf"box-\d+,ok,{WORKERS},.*" if view == "hosts" else ""  # for the others the exit status has to do
    return Contender((*program(), "run", *to, *what, *more), proof, hosts)


def bare_loop(fleet: Fleet, hosts: int) -> Contender:
    """A loop on paramiko that asks for the same smaps, gzipped, and drops them."""
    return Contender((sys.executable, *_script("bare_paramiko.py", fleet, hosts, SERVICE)), r"\d+", 1)


def rivals(fleet: Fleet, hosts: int) -> dict[str, Contender]:
    """What people use today, by name."""
    config, listed = fleet.directory / "ssh_config", fleet.directory / "addresses"
    config.write_text(
        f"User {fleet.user}\nPort {fleet.port}\nIdentityFile {fleet.identity_file}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {fleet.known_hosts}\nBatchMode yes\n"
    )
    listed.write_text("\n".join(fleet.addresses[:hosts]) + "\n")
    absent = set_up()

    def rival(*argv: str, package: str = "", environment: Mapping[str, str] | None = None) -> Contender:
        totals = r"(.*[ :])?KB *"  # the line below each process
        return Contender(argv, totals, hosts * WORKERS, environment or {}, absent.get(package, ""))

    def script(name: str, package: str) -> Contender:
        return rival(str(RIVALS / "bin/python"), *_script(name, fleet, hosts, PMAP), package=package)

    ssh = f"exec ssh -F {config} {{}} '{PMAP}' >{{}}.txt"
    clush = str(Path(sys.executable).with_name("clush"))
    ansible = (str(RIVALS / "bin/ansible"), "all", "-i", str(listed), "-f", str(AT_ONCE))
    return {
        "xargs -P, ssh, pmap -X": rival("xargs", "-a", str(listed), "-P", str(AT_ONCE), "-I{}", "sh", "-c", ssh),
        "clush, pmap -X": rival(clush, "-S", "-f", str(AT_ONCE), "--hostfile", str(listed), "-o", f"-F {config}", PMAP),
        "Ansible raw, pmap -X": rival(
            *(*ansible, "--ssh-common-args", f"-F {config}", "-m", "raw", "-a", PMAP),
            package="ansible-core",
            environment=_ANSIBLE,
        ),
        "parallel-ssh, pmap -X": script("bare_parallel_ssh.py", "parallel-ssh"),
        "asyncssh, pmap -X": script("bare_asyncssh.py", "asyncssh"),
    }


def set_up() -> dict[str, str]:
    """Install the rivals that are Python packages, as far as they are not yet; those that cannot be had, and why."""
    python = RIVALS / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", RIVALS], check=True)
    absent = {}
    for package in PACKAGES:
        if package in versions():
            continue
        argv = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", package]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            absent[package] = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    return absent


def versions() -> dict[str, str]:
    """Of the rivals in their virtual environment; those that are not there are left out."""
    program = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    try:
        done = subprocess.run([RIVALS / "bin/python", "-c", program], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return {}
    found = {name.lower().replace("_", "-"): version for name, version in json.loads(done.stdout).items()}
    return {name: found[name] for name in PACKAGES if name in found}


def _script(name: str, fleet: Fleet, hosts: int, what: str) -> tuple[str, ...]:
    """One of the scripts beside this file, with the words that all of them take."""
    how = (str(fleet.port), fleet.user, fleet.identity_file, fleet.known_hosts)
    return (str(HERE / name), *how, what, *fleet.addresses[:hosts])
