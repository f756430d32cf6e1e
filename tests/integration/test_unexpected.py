"""An exception that nothing foresaw is one host's failure: the other hosts of the run are whole."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import paramiko
import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.collection.host import ask_host
from fleetpmap.collection.interpret import interpret
from fleetpmap.collection.reply import HostReply
from fleetpmap.collection.sessions import OneShotSessions
from fleetpmap.errors import HostError, SudoError, UnexpectedError, UsageError
from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.transport import Deadline, SshOptions, Transport, open_transport
from fleetpmap.transport.secret import Secret
from program import fleetpmap

TREES = Path(__file__).parents[1] / "fake_proc"
FLEET = [Host(name, transport="local", proc_root=str(TREES / name)) for name in ("web-01", "web-02", "web-03")]
SECRET = Secret("hunter2")
QUESTION = Question(become_password=SECRET)


def _climb(n: int = 0) -> int:
    return _climb(n + 1) + 1


class _Panic(BaseException):
    """As cryptography's PanicException: no Exception."""


def _raise(error: BaseException) -> Any:
    raise error


_AT = {function: f"test_unexpected.py:{function.__code__.co_firstlineno + 1}" for function in (_climb, _raise)}
"""Where each raises."""


def _transport_for(fails: Callable[[], object]) -> Callable[..., Transport]:
    """Opens the way to every host but web-02, where it does `fails()` in place of it."""

    def transport_for(host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        if host.name == "web-02":
            fails()
        return open_transport(host, deadline=deadline, options=options)

    return transport_for


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (_climb, f"unexpected RecursionError at {_AT[_climb]}: maximum recursion depth exceeded"),
        (lambda: _raise(TypeError("no str")), f"unexpected TypeError at {_AT[_raise]}: no str"),
        (lambda: _raise(MemoryError()), f"unexpected MemoryError at {_AT[_raise]}"),
        (lambda: json.loads("{"), "unexpected JSONDecodeError at test_unexpected.py:"),
        (lambda: _raise(_Panic("a panic")), f"unexpected _Panic at {_AT[_raise]}: a panic"),
        (lambda: _raise(KeyError("x" * 10**6)), f"unexpected KeyError at {_AT[_raise]}: '{'x' * 199}…"),
        (lambda: _raise(ValueError("it is hunter2")), f"unexpected ValueError at {_AT[_raise]}: it is ***"),
    ],
    ids=["recursion", "type", "memory", "in-the-standard-library", "panic", "long", "secret"],
)
@pytest.mark.parametrize("jobs", [1, 3])
def test_exception_at_one_host_is_its_failure(fails: Callable[[], object], message: str, jobs: int):
    """Its row has the status `error`, the kind and the place; what else was asked is whole."""
    snapshot = collect(FLEET, QUESTION, jobs=jobs, transport_for=_transport_for(fails))
    assert [host.status for host in snapshot.hosts] == ["partial", "error", "partial"]
    [failure] = snapshot.coverage.failures
    assert failure.message.startswith(message)
    assert "report it" in failure.hint
    assert "hunter2" not in failure.traceback
    assert "Traceback" in failure.traceback
    assert len(failure.traceback) < 10_000


def test_mistake_in_one_hosts_settings_is_its_failure():
    """A UsageError that comes up while one host is asked keeps its words and its hint."""
    fails = _transport_for(lambda: _raise(UsageError("ssh_config: ${NOSUCH} is not set", hint="set it")))
    snapshot = collect(FLEET, QUESTION, transport_for=fails)
    assert [host.status for host in snapshot.hosts] == ["partial", "error", "partial"]
    [failure] = snapshot.coverage.failures
    assert (failure.stage, failure.message, failure.hint) == ("config", "ssh_config: ${NOSUCH} is not set", "set it")
    assert failure.traceback == ""


@pytest.mark.parametrize("callback", ["on_start", "on_host", "keep"])
def test_what_a_callback_raises_ends_the_run(callback: str):
    """It is the caller's own, and no host's."""
    with pytest.raises(ZeroDivisionError):
        collect(FLEET, QUESTION, **{callback: lambda *_: _raise(ZeroDivisionError())})


def test_the_end_of_the_program_is_no_failure():
    """SystemExit goes through."""
    with pytest.raises(SystemExit):
        collect(FLEET, QUESTION, jobs=1, transport_for=_transport_for(lambda: _raise(SystemExit(143))))


@dataclass(frozen=True)
class _Packed:
    """A packed reply at which unpacking fails."""

    host = "web-02"
    size = 1

    def unpack(self, check: Callable[[], None]) -> Any:
        raise AttributeError("no such section")


def _reply(host: Host) -> HostReply:
    reply = ask_host(host, QUESTION, sessions=OneShotSessions(), deadline=Deadline.after(60))
    assert isinstance(reply, HostReply)
    return reply


def _cannot_be_unpacked(reply: HostReply) -> HostReply:
    return replace(reply, packed=_Packed())  # type: ignore[arg-type]  # as good as one


def _cannot_be_parsed(reply: HostReply) -> HostReply:
    reply = reply.unpacked(QUESTION.selection)
    assert reply.reading is not None
    return replace(reply, reading=replace(reply.reading, smaps=reply.reading.smaps + b"more"))


@pytest.mark.parametrize("breaks", [_cannot_be_unpacked, _cannot_be_parsed])
def test_one_odd_reply_of_a_batch_fails_alone(breaks: Callable[[HostReply], HostReply]):
    """The hosts that are unpacked and parsed together with it have their snapshots."""
    first, second, third = map(_reply, FLEET)
    before, failed, after = interpret([first, breaks(second), third], QUESTION)
    assert isinstance(before, HostSnapshot)
    assert isinstance(after, HostSnapshot)
    assert isinstance(failed, UnexpectedError)
    assert (failed.host, failed.status, failed.stage) == ("web-02", "error", "read")


def test_error_of_a_host_survives_a_process_pool():
    """With what the host printed, the traceback, and what could help."""
    error = SudoError("no", host="a", stage="sudo")
    error.said, error.traceback, error.needs = "sudo: no tty", "Traceback", "password"
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.said, copy.traceback, copy.needs, str(copy)) == ("sudo: no tty", "Traceback", "password", "no")


class _Server(paramiko.Transport):
    """Answers the request to log in with a message of a type that no standard knows."""

    def _parse_newkeys(self, message: paramiko.Message) -> None:
        super()._parse_newkeys(message)  # type: ignore[misc]  # private, so not in the stubs
        self.auth_handler._parse_service_request = self._answer  # type: ignore[union-attr]  # the same

    def _answer(self, message: paramiko.Message) -> None:
        unknown = paramiko.Message()
        unknown.add_byte(bytes([200]))
        self._send_message(unknown)  # type: ignore[attr-defined]  # the same


@pytest.fixture
def odd_server() -> Iterator[tuple[int, str]]:
    """A real SSH server that speaks out of turn: its port, and a line of known_hosts."""
    key = paramiko.ECDSAKey.generate()
    sessions: list[paramiko.Transport] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(0.02)

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                session = _Server(connection)
                session.add_server_key(key)
                session.start_server(event=threading.Event(), server=paramiko.ServerInterface())
                sessions.append(session)

        pool.submit(serve)
        port = listener.getsockname()[1]
        yield port, f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
        over.set()
        for session in sessions:
            session.close()


def test_unknown_ssh_message_concerns_one_host_only(odd_server: tuple[int, str], tmp_path: Path):
    """It is refused and passed over (RFC 4253, section 11.4): the host is without a login, the other one is read."""
    port, line = odd_server
    (tmp_path / "known_hosts").write_text(line)
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))
    (tmp_path / "inventory.toml").write_text(f"""
        [hosts.odd]
        address = "127.0.0.1"
        port = {port}
        user = "x"
        identity_file = "{tmp_path / "key"}"
        [hosts.good]
        transport = "local"
        proc_root = "{TREES / "web-01"}"
    """)
    words = ("run", "-i", str(tmp_path / "inventory.toml"), "--all", "--view", "hosts", "--format", "csv")
    words += ("--known-hosts", str(tmp_path / "known_hosts"), "--ssh-config", "none", "--columns", "host,status")
    began = time.monotonic()
    done = fleetpmap(*words)
    assert time.monotonic() - began < 60
    assert (done.returncode, done.stdout.split()) == (3, ["host,status", "odd,auth", "good,partial"])


class _AsPythonDoes(pickle.Pickler):
    """Pickles by the classes' own rules. Dask, once it is imported, pickles all exceptions of the process by others."""

    dispatch_table: ClassVar = {}


def test_error_is_pickled_without_its_cause():
    """Exceptions of libraries need not be fit to be sent."""
    error = HostError("no", host="a", stage="read")
    error.__cause__ = OSError(os.strerror(5))
    data = io.BytesIO()
    _AsPythonDoes(data).dump(error)
    assert pickle.loads(data.getvalue()).__cause__ is None
