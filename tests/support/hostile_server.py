"""SSH servers in this process that do what no sshd does.   [hostile_server] ─► test_hostile_beside_good

Each is paramiko's server side on a port of loopback, whose transport or whose command a test replaces. Whoever logs in
is let in; the host key is the same for all.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import paramiko

from fleetpmap.demo.server import Key
from program import BARE

_LOG = "fleetpmap.tests.hostile"
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False

Answer = Callable[[paramiko.Channel, bytes], None]
"""What a server does once the script is in: it gets the channel and the nonce."""
Behaviour = Callable[[socket.socket], None]
"""What a server does that speaks no SSH."""


HOST_KEY, IDENTITY = Key().pkey, Key()


class Door(paramiko.ServerInterface):
    """Lets everybody in, and gives each command to `answer`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # the client hung up
            script = b""
            while b"\nmain\n" not in script:
                piece = channel.recv(1 << 16)
                if not piece:
                    return
                script += piece
            self._answer(channel, script.split(b"set -- ", 1)[1].split(b" ")[0])


class Server:
    """One server, on a port of its own. A context manager."""

    def __init__(
        self,
        answer: Answer,
        *,
        transport: type[paramiko.Transport] = paramiko.Transport,
        door: type[Door] = Door,
        behave: Behaviour | None = None,
    ) -> None:
        self._answer, self._transport, self._door, self._behave = answer, transport, door, behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[Any] = []

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append(connection)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # the client hung up
            if self._behave is not None:
                self._behave(connection)
                return
            transport = self._transport(connection)
            transport.set_log_channel(_LOG)
            transport.add_server_key(HOST_KEY)
            self._open.append(transport)
            transport.start_server(server=self._door(self._answer))

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for one in self._open:
            one.close()


@contextlib.contextmanager
def fleet(servers: Mapping[str, Server], directory: Path, settings: str = "") -> Iterator[list[str]]:
    """Words of fleetpmap that ask these servers, while they run."""
    identity = directory / "id"
    IDENTITY.write(identity)
    key = f"{HOST_KEY.get_name()} {HOST_KEY.get_base64()}"
    known_hosts = directory / "known_hosts"
    known_hosts.write_text("".join(f"[127.0.0.1]:{server.port} {key}\n" for server in servers.values()))
    inventory = directory / "inventory.toml"
    inventory.write_text(
        f'[defaults]\nuser = "ops"\naddress = "127.0.0.1"\nidentity_file = "{identity}"\n'
        f'known_hosts = "{known_hosts}"\n{settings}\n'
        + "".join(f"[hosts.{name}]\nport = {server.port}\n" for name, server in servers.items())
    )
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        yield ["-i", str(inventory), "--ssh-config", "none"]


def start(*words: str) -> subprocess.Popen[str]:
    """The program, with what it says going into pipes."""
    argv = [sys.executable, "-m", "fleetpmap", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE)


class Done(NamedTuple):
    """What the program came to."""

    stdout: str
    stderr: str
    status: int
    memory: int
    """The peak of its RSS in bytes."""


def measured(*words: str) -> Done:
    """The program, to its end."""
    argv = [sys.executable, "-m", "fleetpmap", *words]
    peak = 0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=BARE)
        while program.poll() is None:
            # Not its ru_maxrss, in which the kernel counts what this process had when it forked.
            with contextlib.suppress(OSError, IndexError):
                status = Path(f"/proc/{program.pid}/status").read_text()
                peak = max(peak, int(status.split("VmHWM:")[1].split()[0]))
            time.sleep(0.02)
        out.seek(0)
        err.seek(0)
        return Done(out.read(), err.read(), program.returncode, peak << 10)


STAT = b"(%b) S 1 %d %d 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 500 100000000 1000 18446744073709551615 "
FIELDS = b"Rss:  4 kB\nPss:  1 kB\nPrivate_Clean:  0 kB\nPrivate_Dirty:  4 kB\nVmFlags: rd ex \n"
BLOCK = b"00400000-00401000 r-xp 00000000 08:01 7 /usr/bin/svc\n" + FIELDS


def begin(nonce: bytes, packing: bytes = b"plain") -> bytes:
    """The first frame. Each server is a machine of its own, since the nonce is its boot."""
    return (
        b"%b begin 1 uid=0 kernel=6.1.0 page_size=4096 boot_id=%b pid_namespace=4026531836 reader=gnu compression=%b"
        b" probe_pid=\n" % (nonce, nonce, packing)
    )


def body(nonce: bytes, *sections: tuple[bytes, bytes]) -> bytes:
    """The sections of one phase."""
    return b"".join(b"%b %b\n%b" % (nonce, *section) for section in sections) + nonce + b" end\n"


def listed(*pids: int) -> tuple[tuple[bytes, bytes], ...]:
    """The sections of a list of processes called svc."""
    stats = b"".join(b"%d/stat:%d " % (pid, pid) + STAT % (b"svc", pid, pid) + b"\n" for pid in pids)
    return (b"stat", stats), (b"cmdline", b"")


def read(texts: Mapping[int, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """The sections of a reading of these processes."""
    smaps = b"".join(b"\n==> %d/smaps <==\n" % pid + text for pid, text in texts.items())
    rest = b"1 1 140000000000 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0\n\0"
    stats = b"".join(b"%d/stat:%d " % (pid, pid) + STAT % (b"svc", pid, pid) + rest for pid in texts)
    return (
        (b"smaps", b"==> /dev/null <==\n" + smaps),
        (b"access", b"".join(b"%d ok\n" % pid for pid in texts)),
        (b"uid", b"".join(b"%d/status:Uid:\t0\t0\t0\t0\n" % pid for pid in texts)),
        (b"facts", stats),
        (b"time", b"1.00 1.01\n"),
    )


def phase(nonce: bytes, name: bytes, content: bytes, packing: bytes = b"plain") -> bytes:
    """A phase with the frames around it."""
    packed = gzip.compress(content, 1) if packing == b"gzip" else content
    return nonce + b" " + name + b" " + packing + b"\n" + packed + nonce + b" over\n"


def line_of(channel: paramiko.Channel) -> bytes:
    """The next line that the client sends; b"" at the end."""
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.recv(4096)
        if not piece:
            return b""
        line += piece
    return line


def good(channel: paramiko.Channel, nonce: bytes) -> None:
    """A host with two processes called svc, of one mapping each, that answers as long as it is asked."""
    texts = {101: BLOCK, 102: BLOCK}
    channel.sendall(begin(nonce) + phase(nonce, b"list", body(nonce, *listed(*texts))))
    while line := line_of(channel):
        if line.startswith(b"read"):
            channel.sendall(phase(nonce, b"read", body(nonce, *read(texts))))
        elif line == b"list\n":
            channel.sendall(phase(nonce, b"list", body(nonce, *listed(*texts))))
        else:
            channel.sendall(body(nonce, *listed(*texts)) + body(nonce, *read(texts)) + nonce + b" over\n")
