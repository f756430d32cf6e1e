"""A real OpenSSH server on loopback, with keys of its own.   [sshd] ─► conftest ─► tests

Runs as root and as an ordinary user (who can then log in as nobody else). Nothing of the machine's SSH set-up is read
or changed. All files lie in one directory that any account may enter, since sshd reads authorized keys as the account.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import SshOptions
from ports import free_port

_ADDRESSES_EACH = 16
"""sshd listens on this many addresses at most (MAX_LISTEN_SOCKS): for more, more sshds with the same keys."""
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"


def missing() -> str:
    """Why no sshd can run here; empty if one can."""
    absent = [name for name in ("sshd", "ssh", "ssh-keygen") if shutil.which(name, path=_PATH) is None]
    return f"no {' and no '.join(absent)} on this machine" if absent else ""


class Sshd:
    """A running sshd: `host()` is how to reach it, `options` how to trust it. `close()` ends it.

    Attributes:
        addresses: where it listens, all on `port`.
        user: who logs in unless another account is allowed by `authorize`.
        identity_file: the private key that `user` is let in with.
        known_hosts: a file with its host keys, for all addresses.
        ssh_config: an empty file, for `--ssh-config`: nothing of the user's own configuration takes part.
    """

    def __init__(self, directory: Path, addresses: Sequence[str] = ("127.0.0.1",), *, settings: str = "") -> None:
        self.addresses = tuple(addresses)
        self.user = getpass.getuser()
        self._directory = directory
        directory.chmod(0o755)
        self.host_keys = {kind: self.new_key(f"host_{kind}", kind) for kind in ("ed25519", "ecdsa", "rsa")}
        self.identity_file = str(self.new_key("identity"))
        self.ssh_config = str(self._write("ssh_config", ""))
        (directory / "authorized_keys").mkdir(mode=0o755)
        self.authorize(self.user, self.identity_file)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own requirement as root
        self.port = free_port(*self.addresses)
        self._processes = [
            self._start(self.addresses[first : first + _ADDRESSES_EACH], settings)
            for first in range(0, len(self.addresses), _ADDRESSES_EACH)
        ]
        self.known_hosts = str(self._write("known_hosts", "".join(self.known_hosts_lines())))

    def host(self, name: str = "box", **changes: Any) -> Host:
        """The server as a host of an inventory."""
        settings = {
            "address": self.addresses[0],
            "port": self.port,
            "user": self.user,
            "identity_file": (self.identity_file,),
        }
        return Host(name, **(settings | changes))

    @property
    def log(self) -> str:
        """What it logged so far; how much that is, `LogLevel` in the settings says."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._directory.glob("sshd_*.log")))

    @property
    def pids(self) -> list[int]:
        """The processes that listen."""
        return [process.pid for process in self._processes]

    @property
    def defaults(self) -> str:
        """The lines of an inventory's `[defaults]` by which its hosts are this server."""
        return (
            f'[defaults]\naddress = "127.0.0.1"\nport = {self.port}\nuser = "{self.user}"\n'
            f'identity_file = "{self.identity_file}"\nknown_hosts = "{self.known_hosts}"\n'
        )

    @property
    def options(self) -> SshOptions:
        """Trusts this server, and keeps the user's own configuration out."""
        return SshOptions(known_hosts=(self.known_hosts,), ssh_config=self.ssh_config)

    def known_hosts_lines(self, *kinds: str) -> list[str]:
        """Lines of known_hosts for these kinds of key (all, if none is named)."""
        names = ",".join(f"[{address}]:{self.port}" for address in self.addresses)
        return [f"{names} {self.public_key(self.host_keys[kind])}\n" for kind in kinds or self.host_keys]

    def public_key(self, path: Path) -> str:
        """Type and base64 of the public half of a key."""
        return " ".join(path.with_suffix(".pub").read_text().split()[:2])

    def new_key(self, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        """A fresh private key in the server's directory."""
        path = self._directory / name
        argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", str(path)]
        argv += ["-b", "2048"] if kind == "rsa" else []  # found in a fifth of the time that ssh-keygen's 3072 bits take
        subprocess.run(argv, check=True, capture_output=True)
        return path

    def authorize(self, user: str, identity_file: str, options: str = "") -> None:
        """Let `user` in with this key, in addition to what was authorized before; `options` as in authorized_keys."""
        allowed = self._directory / "authorized_keys" / user
        with allowed.open("a") as file:
            file.write(f"{options} {self.public_key(Path(identity_file))}\n".lstrip())
        allowed.chmod(0o644)

    def forced(self, name: str, program: str, text: str, **changes: Any) -> Host:
        """A host called `name` where `program`, which reads `text` as its file, runs in place of what is asked for."""
        key, script = self.new_key(f"forced_{name}"), self._write(f"forced_{name}.script", text)
        self.authorize(self.user, str(key), f'command="{program} {script}"')
        return self.host(name, identity_file=(str(key),), **changes)

    def close(self) -> None:
        """End the server; sessions that are open end with their connections."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(timeout=60)

    def config_for(self, addresses: Sequence[str], settings: str = "") -> Path:
        """A configuration by which an sshd listens there with our keys; `settings` come before ours."""
        lines = [
            *(f"ListenAddress {address}:{self.port}" for address in addresses),
            "MaxStartups 200",  # the one option of which sshd takes the last value it finds
            settings,  # before ours: sshd takes the first value it finds
            *(f"HostKey {path}" for path in self.host_keys.values()),
            f"AuthorizedKeysFile {self._directory}/authorized_keys/%u",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UseDNS no",
            "MaxSessions 200",
            # bash reads the user's own .bashrc for each command of sshd. One of pyenv takes 0.2 s of CPU, and a login
            # that is killed in it leaves a lock for which each later one waits 60 s.
            f"Match User {self.user}",
            f"SetEnv HOME={self._directory}",
        ]
        return self._write(f"sshd_config_{addresses[0]}", "\n".join(lines) + "\n")

    def _start(self, addresses: Sequence[str], settings: str) -> subprocess.Popen[bytes]:
        config = self.config_for(addresses, settings)
        log = self._directory / f"sshd_{addresses[0]}.log"
        program = shutil.which("sshd", path=_PATH)
        assert program is not None  # sshd insists on being called by its absolute path
        with log.open("wb") as stderr:
            argv = [program, "-D", "-e", "-f", str(config)]
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        for address in addresses:
            _wait_for(address, self.port, process, log)
        return process

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text)
        return path


def _wait_for(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"sshd ended: {log.read_text(errors='replace')}")
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"sshd does not listen on {address}:{port}")
