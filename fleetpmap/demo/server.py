"""SSH servers in this process, for a demo and for tests.   recorded trees ─► [server] ─► Inventory

Each is a real SSH server (paramiko's) on a port of 127.0.0.1: throwaway keys, one user, public key only. What a client
asks to execute runs here, as a child of this process with real pipes, in a session of its own.

Threads: one accepts; per connection one waits for its end, beside paramiko's own; per command one waits for the child
and three pump its pipes. All of them, and every child, are gone when the server is closed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, OPEN_SUCCEEDED

from fleetpmap.inventory.hosts import Host, Inventory

ADDRESS = "127.0.0.1"
USER = "demo"
"""The only one who may log in; commands run as whoever runs this process."""

_BLOCK = 64 * 1024
_LOG = "fleetpmap.demo.server"
# Without a handler of its own, paramiko's talk about a client that went away would end up on stderr.
logging.getLogger(_LOG).addHandler(logging.NullHandler())


class Key:
    """A throwaway Ed25519 key pair."""

    def __init__(self) -> None:
        # paramiko reads Ed25519 keys and cannot make them.
        secret = Ed25519PrivateKey.generate()
        self.openssh = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        """The private key as the text of an identity file."""
        self.pkey = paramiko.Ed25519Key.from_private_key(io.StringIO(self.openssh))

    def write(self, path: Path) -> None:
        """Make `path` an identity file that OpenSSH accepts: readable by its owner alone."""
        path.touch(mode=0o600)
        path.write_text(self.openssh)


class DemoServer(socketserver.ThreadingTCPServer):
    """One SSH server: `with DemoServer(key) as server: …`, in which USER may log in with `key`.

    Leaving it ends every connection and child, and joins every thread.
    """

    request_queue_size = 128  # a run connects to many hosts at once

    def __init__(self, authorized: Key) -> None:
        super().__init__((ADDRESS, 0), _Connection)
        self.authorized = authorized
        self.host_key = Key()
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="demo-accept")

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the system."""
        return int(self.server_address[1])

    @property
    def host_key_line(self) -> str:
        """Its line for a known_hosts file."""
        key = self.host_key.pkey
        return f"[{ADDRESS}]:{self.port} {key.get_name()} {key.get_base64()}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):  # already closed by its own thread
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()  # joins the connections' threads

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it, so that leaving can end it."""
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(request)
        return request, address

    def close_request(self, request: Any) -> None:
        """Forget and close a connection that ended."""
        self._connections.discard(request)
        super().close_request(request)


class _Connection(socketserver.BaseRequestHandler):
    """One client, from its banner to its end."""

    server: DemoServer

    def handle(self) -> None:
        transport = paramiko.Transport(self.request)
        transport.set_log_channel(_LOG)
        transport.add_server_key(self.server.host_key.pkey)
        door = _Door(self.server.authorized.pkey)
        try:
            # Raises for a client that does not speak SSH or leaves early: that is its own affair.
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=door)
                transport.join()
        finally:
            transport.close()
            for command in door.commands:
                command.kill()
            for command in door.commands:
                command.join()


class _Door(paramiko.ServerInterface):
    """Who may come in, and what for."""

    def __init__(self, authorized: paramiko.PKey) -> None:
        self.commands: list[_Command] = []
        self._authorized = authorized
        self._one_fence = threading.Lock()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        welcome = username == USER and key == self._authorized
        return AUTH_SUCCESSFUL if welcome else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        try:
            words = shlex.split(command.decode())
        except ValueError:  # an open quote, or not UTF-8
            return False
        if not words:
            return False
        self.commands.append(_Command(channel, words, self._one_fence))
        self.commands[-1].start()
        return True


class _Command(threading.Thread):
    """One command: a child, and the pipes between it and its channel."""

    def __init__(self, channel: paramiko.Channel, words: list[str], one_fence: threading.Lock) -> None:
        super().__init__(name=f"demo-{words[0]}")
        self._channel = channel
        self._words = words
        self._one_fence = one_fence
        self._child: subprocess.Popen[bytes] | None = None
        self._alive = threading.Lock()
        self._open_streams = threading.Semaphore(1)  # one of stdout and stderr may end without ending the output

    def run(self) -> None:
        # This thread was started before paramiko replied to the exec request, and a client that gets the command's end
        # before that reply takes it for refused. Requests are handled one by one, so once the client has answered a
        # question of ours, the reply is out. One question at a time: paramiko keeps one answer per connection.
        with self._one_fence:
            self._channel.get_transport().global_request("keepalive@fleetpmap", wait=True)
        try:
            child = subprocess.Popen(  # noqa: S603  # who has the key of this demo may run what they like
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        except OSError as error:
            self._answer(127, f"{self._words[0]}: {error.strerror}\n")
            return
        self._child = child
        self._attend(child)

    def _attend(self, child: subprocess.Popen[bytes]) -> None:
        feed = _started(self._feed, child.stdin)
        pumps = (
            _started(self._pump, child.stdout, self._channel.sendall),
            _started(self._pump, child.stderr, self._channel.sendall_stderr),
        )
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.kill()  # what the command left running
        with self._alive:
            child.wait()
            self._child = None
        for pump in pumps:
            pump.join()
        self._answer(child.returncode)
        feed.join()

    def _answer(self, status: int, complaint: str = "") -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.closing(self._channel):
            if complaint:
                self._channel.sendall_stderr(complaint.encode())
            # A death by signal has no status, and paramiko cannot send the signal's name.
            if status >= 0 and not self._channel.closed:
                self._channel.send_exit_status(status)

    def kill(self) -> None:
        """End the child and everything in its session. Safe to call at any time."""
        with self._alive:
            # Not waited for yet, so its number is still its own.
            if self._child is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def _feed(self, stdin: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError), stdin:
            while block := self._channel.recv(_BLOCK):
                stdin.write(block)
                stdin.flush()
        # A client never sends an exit status, so this waits for the channel's end: the client's doing, or our answer.
        self._channel.recv_exit_status()
        self.kill()

    def _pump(self, pipe: IO[bytes], send: Callable[[bytes], None]) -> None:
        with pipe:
            while block := os.read(pipe.fileno(), _BLOCK):
                try:
                    send(block)
                except OSError:  # the client is gone
                    self.kill()
                    return
        if not self._open_streams.acquire(blocking=False):
            with contextlib.suppress(OSError):
                self._channel.shutdown_write()  # as sshd does, though the child may live on


def _started(target: Callable[..., None], *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, name=f"demo{target.__name__}")
    thread.start()
    return thread


@contextlib.contextmanager
def serve(proc_roots: Mapping[str, str]) -> Iterator[Inventory]:
    """An SSH server for each host name, as an inventory with all it takes to log in.

    `proc_roots` says for each name what its `proc_root` is: `/proc`, or a recorded tree.
    """
    with tempfile.TemporaryDirectory(prefix="fleetpmap-demo-") as directory, contextlib.ExitStack() as stack:
        key, identity, known_hosts = Key(), Path(directory, "id_ed25519"), Path(directory, "known_hosts")
        key.write(identity)
        servers = {name: stack.enter_context(DemoServer(key)) for name in proc_roots}
        known_hosts.write_text("".join(f"{server.host_key_line}\n" for server in servers.values()))
        pattern = Host(
            name="",
            address=ADDRESS,
            user=USER,
            identity_file=(str(identity),),
            known_hosts=(str(known_hosts),),
            transport="ssh",
            proxy_jump="none",  # whatever the user's ssh_config says of all hosts
        )
        yield Inventory(
            hosts={
                name: replace(pattern, name=name, port=server.port, proc_root=proc_roots[name])
                for name, server in servers.items()
            }
        )
