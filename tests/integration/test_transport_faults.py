"""Hosts that go wrong, on real sockets: each has its own class, stage, message and hint, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest

from bounded import within
from fleetpmap.collection.collector import Question, collect
from fleetpmap.errors import (
    AuthError,
    DeadlineError,
    HostError,
    HostKeyError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ResolveError,
    UnreachableError,
)
from fleetpmap.inventory.hosts import Host
from fleetpmap.processes import Selection
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions
from ports import refused_port
from sshd import Sshd

NO_CONFIG = SshOptions(ssh_config="none", known_hosts=("/nonexistent/known_hosts",))
Behaviour = Callable[[socket.socket, threading.Event], object]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fails a test after which a thread or a descriptor of this process is left."""
    with contextlib.suppress(HostError):
        # paramiko's import and the resolver keep descriptors of their own.
        _fail(Host("warm-up", address="127.0.0.1", port=1, user="x"), NO_CONFIG)
    before = _belongings()
    yield
    assert _belongings() == before


def _belongings() -> tuple[set[threading.Thread], list[str]]:
    # Those that are still there: the listing's own descriptor is not.
    descriptors = sorted(entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists())
    return set(threading.enumerate()), descriptors


@contextlib.contextmanager
def _server(behave: Behaviour) -> Iterator[int]:
    """The port of a server on loopback that calls `behave(connection, over)` for each connection."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)

    def serve() -> None:
        with listener:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        behave(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()


def _host(port: int, **changes) -> Host:
    settings = {"name": "web-03", "address": "127.0.0.1", "port": port, "user": "ops", "connect_timeout_s": 1.0}
    return Host(**(settings | changes))


def _fail(host: Host, options: SshOptions, seconds: float = 60.0) -> HostError:
    """Ask for one command; the error that comes of it."""
    with (
        within(seconds / 2),
        pytest.raises(HostError) as caught,
        open_transport(host, deadline=Deadline.after(seconds), options=options) as transport,
        transport.run("true") as channel,
    ):
        channel.receive()
    return caught.value


@pytest.fixture(params=["ssh", "openssh"])
def kind(request) -> str:
    """Both ways over SSH."""
    return request.param


@contextlib.contextmanager
def _black_hole() -> Iterator[int]:
    """A port that swallows connections: its queue of those not yet accepted is full, so the kernel drops the next."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _reset(connection: socket.socket, over: threading.Event) -> None:
    """Hang up without a goodbye: RST, as a firewall or a crash does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _half_banner(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-Open")
    over.wait(20)


def _dribble(connection: socket.socket, over: threading.Event) -> None:
    """A byte now and then, of a banner that never ends."""
    while not over.wait(0.2):
        connection.sendall(b"S")


def test_refused_port(kind):
    """Nothing listens there."""
    with refused_port() as port:
        error = _fail(_host(port, transport=kind), NO_CONFIG)
    assert type(error) is RefusedError
    assert (error.host, error.stage) == ("web-03", "tcp")
    assert error.message in (
        f"127.0.0.1 port {port} refused the connection",
        f"ssh: connect to host 127.0.0.1 port {port}: Connection refused",
    )
    assert error.hint == "is sshd running there, and on that port?"


def test_name_that_does_not_resolve(kind):
    """The name has no address (.invalid never has one, RFC 2606)."""
    error = _fail(_host(22, address="no-such-host.invalid", transport=kind, connect_timeout_s=10.0), NO_CONFIG)
    assert type(error) is ResolveError
    assert error.stage == "dns"
    assert "no-such-host.invalid" in error.message
    assert error.hint == "check the name, or set address for this host"


def test_name_that_cannot_be_a_name():
    """An empty label is no crash in Python's IDNA codec, but a name without an address."""
    error = _fail(_host(22, address="web..example"), NO_CONFIG)
    assert type(error) is ResolveError


def test_name_that_looks_like_an_option():
    """A host is never an option of ssh."""
    error = _fail(_host(22, address="-oProxyCommand=true"), NO_CONFIG)
    assert type(error) is ResolveError


def test_server_that_accepts_and_says_nothing(kind):
    """A port that takes the connection and stays silent ends with the connect timeout, while waiting for the banner."""
    with _server(lambda connection, over: over.wait(20)) as port:
        started = time.monotonic()
        error = _fail(_host(port, transport=kind), NO_CONFIG)
    assert time.monotonic() - started < 40
    assert type(error) is DeadlineError
    assert error.stage == "banner"
    assert error.hint


def test_server_with_half_a_banner():
    """A banner without an end is waited for like none."""

    with _server(_half_banner) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert type(error) is DeadlineError
    assert error.stage == "banner"
    assert error.message == "no time left after 1 s, while waiting for its SSH banner"


def test_server_that_trickles_lines():
    """A line now and then does not win a server more time than its deadline."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.05):
            connection.sendall(b"please hold the line\r\n")

    with _server(behave) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert (type(error), error.stage) == (DeadlineError, "banner")


def test_server_that_dribbles_a_byte_at_a_time():
    """Each byte in time is not an answer in time. (ssh itself waits for such a banner until our own deadline.)"""
    with _server(_dribble) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert (type(error), error.stage) == (DeadlineError, "banner")


def test_black_hole(kind):
    """An address that answers nothing costs the connect timeout."""
    with _black_hole() as port:
        error = _fail(_host(port, transport=kind), NO_CONFIG)
    assert (type(error), error.stage) == (DeadlineError, "tcp")
    assert error.hint


def test_server_that_resets_the_connection():
    """Before its banner: as one that hangs up."""
    with _server(_reset) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert type(error) in (ProtocolError, UnreachableError)
    assert error.stage in ("banner", "tcp")


def test_address_that_has_a_penalty():
    """OpenSSH 9.8 shuts out an address that failed too often: the hint says so, and it is not asked again."""
    came = []

    def refuse(connection: socket.socket, over: threading.Event) -> None:
        came.append(connection)
        _shut(connection, b"Not allowed at this time\r\n")

    with _server(refuse) as port:
        error = _fail(_host(port), replace(NO_CONFIG, retries=2))
    assert (type(error), error.stage) == (ProtocolError, "banner")
    assert error.message == f'127.0.0.1 port {port} said "Not allowed at this time" instead of an SSH banner'
    assert "PerSourcePenalties" in error.hint
    assert len(came) == 1


def test_full_max_startups(sshd, tmp_path):
    """A real sshd that is busy with clients that do not log in; the hint names the setting."""
    assert sshd  # where it cannot run, this one cannot either
    with contextlib.closing(Sshd(tmp_path, settings="MaxStartups 1:100:1")) as full, contextlib.ExitStack() as others:
        greeted = False
        while not greeted:  # sshd may still be busy with who waited for it to start
            other = others.enter_context(socket.create_connection(("127.0.0.1", full.port)))
            greeted = other.recv(1) == b"S"
        error = _fail(full.host("web-03"), replace(full.options, retries=0))
    assert (type(error), error.stage) == (ProtocolError, "banner")
    assert error.message in (  # newer ones are so polite as to say why
        f'127.0.0.1 port {full.port} said "Exceeded MaxStartups" instead of an SSH banner',
        f"127.0.0.1 port {full.port} hung up before an SSH banner",
    )
    assert "MaxStartups" in error.hint
    assert error.may_pass


def test_host_that_hung_up_is_asked_again(sshd):
    """A failure before the login may be a passing crowd: one more try, a moment later."""
    came = []

    def second_time_lucky(connection: socket.socket, over: threading.Event) -> None:
        came.append(connection)
        if len(came) > 1:
            _pass_on(connection, sshd.port, over)

    options = SshOptions(known_hosts=(_any_port(sshd),), ssh_config="none")
    with (
        _server(second_time_lucky) as port,
        open_transport(sshd.host(port=port), deadline=Deadline.after(20), options=options) as transport,
        transport.run("echo here") as channel,
    ):
        assert channel.receive() == b"here\n"
    assert len(came) == 2


def test_server_that_stops_after_its_banner():
    """The key exchange is under the same deadline, and says so."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"SSH-2.0-Silent\r\n")
        over.wait(20)

    with _server(behave) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert (type(error), error.stage) == (DeadlineError, "kex")


def _shut(connection: socket.socket, farewell: bytes) -> None:
    """Say a last word, read what the other side says until it is done."""
    connection.sendall(farewell)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def test_server_that_speaks_http(kind):
    """A text that is not SSH is quoted, without its control characters."""
    with _server(lambda connection, _: _shut(connection, b"HTTP/1.1 400 \x1b[31mBad\r\n\r\n")) as port:
        error = _fail(_host(port, transport=kind), NO_CONFIG)
    assert type(error) is ProtocolError
    assert error.stage == "banner"
    assert "\x1b" not in str(error)
    if kind == "ssh":
        assert error.message == f'127.0.0.1 port {port} said "HTTP/1.1 400 ?[31mBad" instead of an SSH banner'


def test_server_that_hangs_up_at_once():
    """An sshd with too many connections closes without a word."""
    with _server(lambda connection, _: _shut(connection, b"")) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert (type(error), error.stage) == (ProtocolError, "banner")
    assert error.message == f"127.0.0.1 port {port} hung up before an SSH banner"
    assert "MaxStartups" in error.hint


def test_server_that_sends_noise_after_its_banner():
    """Malformed packets become a protocol error, with any exception of paramiko's."""
    with _server(lambda connection, _: _shut(connection, b"SSH-2.0-Noise\r\n" + b"\0\0\0\x0c\x04\xff" * 20)) as port:
        error = _fail(_host(port), NO_CONFIG)
    assert type(error) in (ProtocolError, UnreachableError)
    assert error.stage == "kex"


def test_unknown_host_key(sshd, tmp_path, kind):
    """Strict by default: a host that known_hosts does not have is not talked to; the fingerprint is shown."""
    error = _fail(
        sshd.host("new", transport=kind), SshOptions(known_hosts=(str(tmp_path / "none"),), ssh_config="none")
    )
    assert type(error) is HostKeyError
    assert error.stage == "host-key"
    assert "--host-key accept-new" in error.hint
    if kind == "ssh":
        where = f"the host key of 127.0.0.1 port {sshd.port} is unknown: ssh-ed25519 SHA256:"
        assert error.message.startswith(where)
        assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in error.hint


def test_changed_host_key(sshd, tmp_path, kind):
    """A key other than the one we know is refused, also under accept-new; the line that knew better is named."""
    other = sshd.public_key(sshd.new_key(f"other-{kind}"))
    known = tmp_path / "known_hosts"
    known.write_text(f"# ours\n[127.0.0.1]:{sshd.port} {other}\n")
    options = SshOptions(known_hosts=(str(known),), ssh_config="none", host_key="accept-new")
    error = _fail(sshd.host("changed", transport=kind), options)
    assert type(error) is HostKeyError
    assert error.stage == "host-key"
    if kind == "ssh":
        assert f"is not the one at {known}:2: ssh-ed25519 SHA256:" in error.message
        assert error.hint.startswith("if the host was set up anew, remove that line")
    assert known.read_text().count("\n") == 2


def test_revoked_host_key(sshd, tmp_path, kind):
    """A revoked key is refused even if another line knows it."""
    known = tmp_path / "known_hosts"
    revoked = [f"@revoked * {sshd.public_key(path)}\n" for path in sshd.host_keys.values()]
    known.write_text("".join(sshd.known_hosts_lines() + revoked))
    error = _fail(sshd.host(transport=kind), SshOptions(known_hosts=(str(known),), ssh_config="none"))
    assert type(error) is HostKeyError
    if kind == "ssh":
        assert f"is revoked at {known}:4:" in error.message


def test_login_refused(sshd, kind):
    """A key that the host does not take is named; the hint is what to try."""
    stranger = str(sshd.new_key(f"stranger-{kind}"))
    error = _fail(sshd.host(identity_file=(stranger,), transport=kind), sshd.options)
    assert type(error) is AuthError
    assert error.stage == "auth"
    assert "user/identity_file for this host in inventory.toml" in error.hint
    if kind == "ssh":
        assert error.message == f'cannot log in as "{sshd.user}" (tried: {stranger})'
        assert error.hint.startswith(f"run `ssh -p {sshd.port} {sshd.user}@127.0.0.1 true`")


def test_user_that_does_not_exist(sshd, kind):
    """sshd does not say that there is no such user: it refuses the login."""
    error = _fail(sshd.host(user="nobody-of-that-name", transport=kind), sshd.options)
    assert type(error) is AuthError


def test_connection_that_breaks_in_the_middle(sshd, kind):
    """Output that stops because the connection broke is an error, not an end."""
    with (
        _relay(sshd.port) as (port, cut),
        open_transport(
            sshd.host(port=port, transport=kind),
            deadline=Deadline.after(20),
            options=SshOptions(known_hosts=(_any_port(sshd),), ssh_config="none"),
        ) as transport,
        transport.run("sh -s") as channel,
    ):
        channel.send(b"echo half; sleep 20\n")
        assert channel.receive() == b"half\n"
        cut.set()
        with pytest.raises(UnreachableError) as caught:
            channel.receive()
    assert caught.value.stage == "read"


def test_no_ssh_on_this_machine(monkeypatch, tmp_path):
    """The openssh transport without ssh says what is missing."""
    # The only patch of these tests: what is on PATH cannot be handed over otherwise.
    monkeypatch.setenv("PATH", str(tmp_path))
    error = _fail(_host(22, transport="openssh"), NO_CONFIG)
    assert type(error) is RemoteError
    assert error.message == "cannot start ssh: No such file or directory"


def _any_port(sshd) -> str:
    """A known_hosts file that knows the server under every port."""
    path = Path(f"{sshd.known_hosts}.any-port")
    path.write_text("".join(f"127.0.0.1 {sshd.public_key(key)}\n" for key in sshd.host_keys.values()))
    return str(path)


@contextlib.contextmanager
def _relay(to: int) -> Iterator[tuple[int, threading.Event]]:
    """A port that leads to another one until the event is set."""
    cut = threading.Event()

    def behave(connection: socket.socket, over: threading.Event) -> None:
        _pass_on(connection, to, over, cut)

    with _server(behave) as port:
        yield port, cut


def _pass_on(connection: socket.socket, to: int, *ends: threading.Event) -> None:
    """Both ways between a connection and a port of ours, until one of the events is set."""
    with socket.create_connection(("127.0.0.1", to)) as onward:
        connection.settimeout(0.01)
        onward.settimeout(0.01)
        while not any(end.is_set() for end in ends):
            for source, sink in ((connection, onward), (onward, connection)):
                with contextlib.suppress(TimeoutError):
                    if not (piece := source.recv(65536)):
                        return
                    sink.sendall(piece)


LIAR = """\
import sys, time, zlib
nonce = sys.stdin.buffer.readline().split()[2].decode()
begin = "begin 1 uid=0 kernel=6.1.0 page_size=4096 boot_id= pid_namespace= reader=gnu compression=gzip probe_pid="
sys.stdout.buffer.write(f"{nonce} {begin}\\n{nonce} list gzip\\n".encode())
packer = zlib.compressobj(wbits=31)
sys.stdout.buffer.write((packer.compress(b"stat\\n" * 9999) + packer.flush())[:-9])
sys.stdout.flush()
"""
"""A host in the probe's place: its answer is gzip, cut short."""


def test_every_fault_at_once_beside_good_hosts(sshd, tmp_path):
    """Each host is reported with its own fault, the good ones are complete, and no host waits for another."""
    stranger = sshd.public_key(sshd.new_key("stranger-of-all"))
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{sshd.port} {stranger}\n")
    good = [sshd.host(f"good-{number}", known_hosts=(sshd.known_hosts,)) for number in range(1, 5)]
    with contextlib.ExitStack() as servers:
        port_of = {
            "silent": servers.enter_context(_server(lambda connection, over: over.wait(20))),
            "dribbles": servers.enter_context(_server(_dribble)),
            "resets": servers.enter_context(_server(_reset)),
            "hangs-up": servers.enter_context(_server(lambda connection, over: _shut(connection, b""))),
            "half-banner": servers.enter_context(_server(_half_banner)),
            "hole": servers.enter_context(_black_hole()),
            "refuses": servers.enter_context(refused_port()),
        }
        bad = [_host(port, name=name) for name, port in port_of.items()]
        bad += [
            sshd.host("changed", known_hosts=(str(changed),)),
            sshd.forced("endless", "sleep 60; true", "", timeout_s=4.0, known_hosts=(sshd.known_hosts,)),
            sshd.forced("cut-short", sys.executable, LIAR, known_hosts=(sshd.known_hosts,)),
        ]
        hosts = [host for pair in zip_longest(bad, good) for host in pair if host]
        started = time.monotonic()
        asked = Question(Selection(pids=(1,)), smaps=False, ssh=SshOptions(ssh_config="none"))
        snapshot = collect(hosts, asked)
    assert time.monotonic() - started < 60
    found = {host.name: (host.status, host.failure.stage) for host in snapshot.hosts if host.failure}
    # A reset can be there before connect() has returned.
    assert found.pop("resets") in (("protocol", "banner"), ("unreachable", "tcp"))
    assert found == {
        "silent": ("timeout", "banner"),
        "dribbles": ("timeout", "banner"),
        "hangs-up": ("protocol", "banner"),
        "half-banner": ("timeout", "banner"),
        "hole": ("timeout", "tcp"),
        "refuses": ("refused", "tcp"),
        "changed": ("host-key", "host-key"),
        "endless": ("timeout", "read"),
        "cut-short": ("protocol", "list"),
    }
    assert [host.name for host in snapshot.hosts if not host.failure] == ["good-1", "good-2", "good-3", "good-4"]
