"""SSH servers in this process, for a demo and for tests.   recorded trees ─► [server] ─► Inventory

Each is a real SSH server (paramiko's) on a port of 127.0.0.1: throwaway keys, one user, public key only. A client's
command runs as a child of this process with real pipes, in a session of its own.

Threads: one accepts connections; one per connection waits for its end, beside paramiko's own; one per command waits for
the child, and three copy its pipes. Closing the server ends all threads and children.
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
"""The only user that may log in; commands run as the user of this process."""

_BLOCK = 64 * 1024
_LOG = "fleetpmap.demo.server"
# Without a handler, logging would print paramiko's messages about a disconnected client on stderr.
logging.getLogger(_LOG).addHandler(logging.NullHandler())


class Key:
    """A throwaway Ed25519 key pair."""

    def __init__(self) -> None:
        # Made by cryptography: paramiko can load Ed25519 keys but not generate them.
        secret = Ed25519PrivateKey.generate()
        self.openssh = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        """Private key, as the text of an identity file."""
        self.pkey = paramiko.Ed25519Key.from_private_key(io.StringIO(self.openssh))

    def write(self, path: Path) -> None:
        """Write an identity file that OpenSSH accepts: readable only by its owner."""
        path.touch(mode=0o600)
        path.write_text(self.openssh)


class DemoServer(socketserver.ThreadingTCPServer):
    """One SSH server, as a context manager: `with DemoServer(key) as server: …`. USER may log in with `key`.

    Its end closes every connection, kills every child, and joins every thread.
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
        """Port that it listens on, chosen by the system."""
        return int(self.server_address[1])

    @property
    def host_key_line(self) -> str:
        """The server's line for a known_hosts file."""
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
        """Accept a connection and record it, so that __exit__ can close it."""
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(request)
        return request, address

    def close_request(self, request: Any) -> None:
        """Close a connection that has ended, and remove it from the record."""
        self._connections.discard(request)
        super().close_request(request)


class _Connection(socketserver.BaseRequestHandler):
    """Handler of one client's connection."""

    server: DemoServer

    def handle(self) -> None:
        transport = paramiko.Transport(self.request)
        transport.set_log_channel(_LOG)
        transport.add_server_key(self.server.host_key.pkey)
        access = _Access(self.server.authorized.pkey)
        try:
            # Raises for a client that does not speak SSH or disconnects early: no fault of the server.
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=access)
                transport.join()
        finally:
            transport.close()
            for command in access.commands:
                command.kill()
            for command in access.commands:
                command.join()


class _Access(paramiko.ServerInterface):
    """Access rules of a server: USER with the authorized key may execute commands, and nothing else."""

    def __init__(self, authorized: paramiko.PKey) -> None:
        self.commands: list[_Command] = []
        self._authorized = authorized
        self._one_fence = threading.Lock()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_allowed = username == USER and key == self._authorized
        return AUTH_SUCCESSFUL if is_allowed else AUTH_FAILED

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
    """Thread of one command: runs the child, and copies between its pipes and the channel."""

    def __init__(self, channel: paramiko.Channel, words: list[str], one_fence: threading.Lock) -> None:
        super().__init__(name=f"demo-{words[0]}")
        self._channel = channel
        self._words = words
        self._one_fence = one_fence
        self._child: subprocess.Popen[bytes] | None = None
        self._alive = threading.Lock()
        self._open_streams = threading.Semaphore(1)  # taken by the first of stdout and stderr that ends

    def run(self) -> None:
        # This thread was started before paramiko replies to the exec request. A client that gets the command's end
        # before that reply treats the command as refused. paramiko handles requests one by one, so once the client has
        # replied to a request of ours, its own reply has been sent. The lock allows one such request at a time, since
        # paramiko stores one reply per connection.
        with self._one_fence:
            self._channel.get_transport().global_request("keepalive@fleetpmap", wait=True)
        try:
            child = subprocess.Popen(  # noqa: S603  # a client with the demo's key may run any command
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
        self.kill()  # processes that the command left running
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
            # A child killed by a signal has no exit status, and paramiko cannot send the signal's name.
            if status >= 0 and not self._channel.closed:
                self._channel.send_exit_status(status)

    def kill(self) -> None:
        """End the child and everything in its session. Safe to call at any time."""
        with self._alive:
            # The child has not been waited for, so its pid cannot belong to another process.
            if self._child is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def _feed(self, stdin: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError), stdin:
            while block := self._channel.recv(_BLOCK):
                stdin.write(block)
                stdin.flush()
        # A client never sends an exit status, so this waits for the channel's end, by the client or by _answer.
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
    """Run an SSH server for each host name, and yield an inventory with everything needed to log in.

    `proc_roots` maps each name to its `proc_root`: `/proc`, or a recorded tree.
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
            proxy_jump="none",  # overrides a ProxyJump for all hosts in the user's ssh_config
        )
        yield Inventory(
            hosts={
                name: replace(pattern, name=name, port=server.port, proc_root=proc_roots[name])
                for name, server in servers.items()
            }
        )
