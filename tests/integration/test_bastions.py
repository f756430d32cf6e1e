"""Jump hosts: the way as ssh would go it, one connection to each bastion, and what is said when one fails."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import psutil
import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.errors import (
    AuthError,
    DeadlineError,
    HostError,
    HostKeyError,
    RefusedError,
    ResolveError,
    UnreachableError,
)
from fleetpmap.inventory.hosts import Host
from fleetpmap.processes import Selection
from fleetpmap.report.failures import folded
from fleetpmap.transport import Bastions, Transport, Way, open_transport, route, ssh
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.ssh.translate import Peer
from sshd import Sshd


@pytest.fixture
def config(tmp_path):
    """Options with an ssh_config of these lines."""

    def make(*lines: str, **changes) -> SshOptions:
        path = tmp_path / "config"
        path.write_text("\n".join(lines) + "\n")
        return SshOptions(**({"ssh_config": str(path)} | changes))

    return make


def _jumps(way: Way) -> list[str]:
    return [hop.jump for hop in way.hops]


def test_chain_is_resolved_hop_by_hop(config):
    """Each hop by its own name: an alias, a user and port of the jump's, an IPv6 address, a URI."""
    options = config("Host gate", "  HostName 10.0.0.1", "  User ops", "  Port 2200")
    host = Host("web-01", proxy_jump="gate,root@[2001:db8::2]:2222,ssh://me@last")
    assert _jumps(route(host, options).way) == ["ops@10.0.0.1:2200", "root@[2001:db8::2]:2222", "me@last:22"]


def test_host_s_own_login_is_not_the_bastions(config):
    """user, port and identity_file of the inventory are the host's, as -l, -p and -i are in ssh."""
    host = Host("web-01", user="ops", port=2222, identity_file=("/keys/web",), proxy_jump="gate")
    (hop,) = route(host, config("User everybody")).way.hops
    assert (hop.settings.user, hop.settings.port, hop.host.identity_file) == ("everybody", 22, ())


def test_only_the_first_hop_follows_its_own_proxy_jump(config):
    """As in ssh: the others are reached from the hop before them."""
    options = config("User me", "Host a", "  ProxyJump outer", "Host b", "  ProxyJump unused")
    assert _jumps(route(Host("web-01", proxy_jump="a,b"), options).way) == ["me@outer:22", "me@a:22", "me@b:22"]


def test_first_hop_may_have_a_proxy_command(config):
    """It carries the connection to the first bastion."""
    way = route(Host("web-01"), config("Host gate", "  ProxyCommand nc %h %p", "Host web-*", "  ProxyJump gate")).way
    assert (len(way.hops), way.proxy_command) == (1, "nc %h %p")


@pytest.mark.parametrize("line", ["ProxyJump gate", "ProxyCommand nc %h %p"])
def test_none_in_the_inventory_is_a_direct_way(config, line):
    """The inventory's `none` beats ssh_config."""
    assert route(Host("web-01", proxy_jump="none"), config("Host web-*", f"  {line}")).way == Way()


def test_inventory_beats_ssh_config(config):
    """A jump host of the inventory takes the place of ssh_config's, and of its ProxyCommand."""
    way = route(Host("web-01", proxy_jump="me@ours"), config("Host web-*", "  ProxyCommand nc %h %p")).way
    assert (_jumps(way), way.proxy_command) == (["me@ours:22"], None)


def test_circle_is_named(config):
    """Two bastions that are reached through each other."""
    options = config("User me", "Host a", "  ProxyJump b", "Host b", "  ProxyJump a")
    with pytest.raises(UnreachableError) as caught:
        route(Host("web-01", proxy_jump="a"), options)
    assert caught.value.message == "the jump hosts go round in a circle: web-01 through a through b through a"
    assert caught.value.stage == "config"


def test_bastion_that_is_its_own_jump_host(config):
    """The defaults of an inventory that has the bastion among its hosts; the hint is the line to add."""
    with pytest.raises(UnreachableError) as caught:
        route(Host("gate", proxy_jump="gate"), config("User me"))
    assert caught.value.message == "the jump hosts go round in a circle: gate through gate"
    assert caught.value.hint.startswith('set proxy_jump = "none" for gate')


@pytest.mark.parametrize("jump", ["gate,", "a b", "gate:99999", "gate:0", "-oProxyCommand=true", "ops@", "::1:22"])
def test_what_is_no_jump_host(config, jump):
    """A word that ssh would not take, or would take for something else."""
    with pytest.raises(UnreachableError) as caught:
        route(Host("web-01", proxy_jump=jump), config())
    assert caught.value.message.endswith('" is not a jump host')


def test_connections_stay_in_their_process():
    """A process pool's workers get None, and so each host its own bastions."""
    assert pickle.loads(pickle.dumps(Bastions())) is None


class Site:
    """Two bastions, gate-1 and gate-2 behind it, and hosts; all of them real sshds."""

    def __init__(self, gate: Sshd, inner: Sshd, directory: Path) -> None:
        self.gate = gate
        self.inner = inner
        self._directory = directory
        self._keys = [*gate.known_hosts_lines(), *inner.known_hosts_lines()]

    def host(self, name: str = "web-01", number: int = 2, **changes) -> Host:
        """A host behind gate-1, at one of the addresses of the inner sshd."""
        settings = {"address": f"127.0.1.{number}", "proxy_jump": "gate-1", "connect_timeout_s": 20.0}
        return self.inner.host(name, **(settings | changes))

    def options(self, *lines: str, wrong: str = "", **changes) -> SshOptions:
        """Options with an ssh_config that has the gates; `wrong` is an address whose known key is another."""
        gates = (
            *lines,
            *("Host gate-1", f"HostName {self.gate.addresses[0]}", f"Port {self.gate.port}"),
            f"IdentityFile {self.gate.identity_file}",
            *("Host gate-2", f"HostName {self.inner.addresses[0]}", f"Port {self.inner.port}"),
            f"IdentityFile {self.inner.identity_file}",
            "ProxyJump gate-1",
            "Host *",
            f"UserKnownHostsFile {self._directory}/known_hosts",
        )
        keys = [line for line in self._keys if not wrong]
        if wrong:
            stranger = self.gate.public_key(Path(self.gate.identity_file))
            for server in (self.gate, self.inner):
                for address in server.addresses:
                    for kind in server.host_keys:
                        key = stranger if address == wrong else server.public_key(server.host_keys[kind])
                        keys.append(f"[{address}]:{server.port} {key}\n")
        (self._directory / "config").write_text("\n".join(gates) + "\n")
        (self._directory / "known_hosts").write_text("".join(keys))
        return SshOptions(**({"ssh_config": f"{self._directory}/config"} | changes))

    def logins(self) -> int:
        """The number of logins to gate-1 so far."""
        log = Path(self.gate.identity_file).with_name(f"sshd_{self.gate.addresses[0]}.log")
        return log.read_text().count("Accepted publickey")

    def cut(self) -> None:
        """Kill gate-1's sessions, not its listener."""
        for child in psutil.Process(self.gate.pids[0]).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@pytest.fixture(scope="module")
def gate(sshd) -> Iterator[Sshd]:
    """A bastion that drops connections when many come at once, and opens one session for each connection."""
    assert sshd  # where it cannot run, this one cannot either
    settings = "MaxStartups 10:30:100\nMaxSessions 1"
    with (
        tempfile.TemporaryDirectory(prefix="fleetpmap-gate-") as directory,
        contextlib.closing(Sshd(Path(directory), settings=settings)) as server,
    ):
        yield server


@pytest.fixture
def site(gate, sshd_of_fifty, tmp_path) -> Site:
    return Site(gate, sshd_of_fifty, tmp_path)


def _open(host: Host, options: SshOptions, bastions: Bastions | None = None) -> Transport:
    return open_transport(host, deadline=Deadline.after(60), options=options, bastions=bastions)


def _says(host: Host, options: SshOptions, bastions: Bastions | None = None) -> bytes:
    with _open(host, options, bastions) as transport, transport.run("echo here") as channel:
        return b"".join(iter(channel.receive, b""))


def _fails(host: Host, options: SshOptions) -> HostError:
    with pytest.raises(HostError) as caught:
        _says(host, options)
    return caught.value


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
@pytest.mark.parametrize("jump", ["gate-1", "gate-2", "gate-1,gate-2"])
def test_host_behind_bastions(site, jump, kind):
    """One hop, a hop with a hop of its own, and a chain, each with a login and a host key of its own."""
    assert _says(site.host(proxy_jump=jump, transport=kind, known_hosts=(site.inner.known_hosts,)), site.options()) == (
        b"here\n"
    )


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
@pytest.mark.parametrize("jump", ["gate-2", "gate-1,gate-2"])
def test_known_hosts_and_host_key_hold_for_bastions_too(site, tmp_path, jump, kind):
    """The keys of two hops and of the host are written to that file alone, and then suffice for a strict run."""
    new = tmp_path / "100% new"
    host = site.host(proxy_jump=jump, transport=kind)
    options = site.options("UserKnownHostsFile /dev/null", known_hosts=(str(new),), host_key="accept-new")
    assert _says(host, options) == b"here\n"
    of = [site.gate.addresses[0], site.inner.addresses[0], host.address]
    assert {line.split()[0].split("]")[0].lstrip("[") for line in new.read_text().splitlines()} == set(of)
    assert _says(host, dataclasses.replace(options, host_key="strict")) == b"here\n"


@pytest.mark.parametrize("wrong", ["127.0.0.1", "127.0.1.1"], ids=["hop 1", "hop 2"])
def test_wrong_key_of_a_bastion_is_refused_by_the_systems_ssh(site, tmp_path, wrong):
    """The file of --known-hosts counts, and not ssh_config's, which has the right keys."""
    site.options()
    right = (tmp_path / "known_hosts").rename(tmp_path / "right")
    given = (str(tmp_path / "known_hosts"),)
    options = site.options(f"UserKnownHostsFile {right}", wrong=wrong, known_hosts=given)
    error = _fails(site.host(proxy_jump="gate-2", transport="openssh"), options)
    assert (type(error), error.stage) == (HostKeyError, "host-key")
    assert f"[{wrong}]:" in error.message


def test_jump_host_of_ssh_config(site):
    """An alias with a ProxyJump needs nothing in the inventory."""
    assert _says(site.host(proxy_jump=None), site.options("Host 127.0.1.2", "ProxyJump gate-1")) == b"here\n"


def test_nine_megabytes_come_through_two_bastions(site):
    """More than the windows of the channels, whole and in order."""
    with (
        _open(site.host(proxy_jump="gate-2"), site.options()) as transport,
        transport.run("head -c 9000000 /dev/zero") as channel,
    ):
        assert sum(map(len, iter(channel.receive, b""))) == 9_000_000


def test_nothing_is_left_of_a_way_of_ones_own(site):
    """A transport opened without bastions has its own, which are closed with it."""
    before = threading.active_count()
    _says(site.host(proxy_jump="gate-2"), site.options())
    assert threading.active_count() == before


def test_eighty_hosts_go_through_one_connection(site):
    """MaxStartups 10:30:100 and MaxSessions 1 are no hindrance: the bastion sees one login."""
    proc = str(Path(__file__).parents[1] / "fake_proc" / "web-01")  # few processes: what is asked does not matter
    hosts = [site.host(f"web-{number:02}", 2 + number % 49, proc_root=proc) for number in range(1, 81)]
    before = site.logins()
    snapshot = collect(hosts, Question(Selection(pids=(1,)), smaps=False, ssh=site.options()))
    assert [host.name for host in snapshot.hosts if host.failure] == []
    assert len(snapshot.hosts) == 80
    assert site.logins() == before + 1


def test_gates_share_their_way_too(site):
    """Hosts behind gate-2 and hosts behind gate-1 use the same connection to gate-1."""
    before, options = site.logins(), site.options()
    with Bastions() as bastions:
        assert _says(site.host(proxy_jump="gate-2"), options, bastions) == b"here\n"
        assert _says(site.host(), options, bastions) == b"here\n"
    assert site.logins() == before + 1


@pytest.mark.parametrize(
    ("wrong", "stage", "said"),
    [
        ("127.0.0.1", "bastion", "bastion gate-1: the host key of 127.0.0.1 port "),
        ("127.0.1.1", "bastion", "bastion gate-2: the host key of 127.0.1.1 port "),
        ("127.0.1.2", "host-key", "the host key of 127.0.1.2 port "),
    ],
    ids=["hop 1", "hop 2", "host"],
)
def test_host_key_of_every_hop_is_checked(site, wrong, stage, said):
    """The error names the bastion with the wrong key, and no host behind it is logged in to."""
    error = _fails(site.host(proxy_jump="gate-2"), site.options(wrong=wrong))
    assert (type(error), error.stage, error.host) == (HostKeyError, stage, "web-01")
    assert error.message.startswith(said)
    assert "is not the one at" in error.message


def test_bastion_that_does_not_let_us_in(site):
    """Its name and login are in the message, its ssh command in the hint."""
    error = _fails(site.host(proxy_jump="nobody-of-that-name@gate-1"), site.options())
    assert (type(error), error.stage) == (AuthError, "bastion")
    assert error.message.startswith('bastion gate-1: cannot log in as "nobody-of-that-name" (tried: ')


def test_host_that_does_not_let_us_in_names_the_way(site):
    """The command to try by hand goes through the bastion too."""
    error = _fails(site.host(user="nobody-of-that-name"), site.options())
    assert error.message.startswith('cannot log in as "nobody-of-that-name"')
    assert f"`ssh -J {site.gate.user}@127.0.0.1:{site.gate.port} -p " in error.hint


def test_bastion_that_does_not_forward(site, sshd, tmp_path_factory):
    """A sentence of its own, and what to set where."""
    assert sshd  # where it cannot run, this one cannot either
    directory = tmp_path_factory.mktemp("strict")
    with contextlib.closing(Sshd(directory, settings="AllowTcpForwarding no")) as strict:
        lines = ("Host strict", "HostName 127.0.0.1", f"Port {strict.port}", f"IdentityFile {strict.identity_file}")
        options = site.options(*lines, known_hosts=(strict.known_hosts, site.inner.known_hosts))
        error = _fails(site.host(proxy_jump="strict"), options)
    assert (type(error), error.stage) == (UnreachableError, "tcp")
    assert error.message == f"bastion strict refuses to forward to 127.0.1.2 port {site.inner.port}: open failed"
    assert error.hint == "set AllowTcpForwarding yes (and see PermitOpen) in the sshd_config of strict"


def test_host_that_refuses_the_bastion(site):
    """The bastion is well, and says what it met."""
    error = _fails(site.host(port=1), site.options())
    assert (type(error), error.stage, error.host) == (RefusedError, "tcp", "web-01")
    assert error.message == "127.0.1.2 port 1 refused the connection, seen from gate-1"


def test_name_that_the_bastion_does_not_know(site):
    """Names are looked up where the connection is made."""
    error = _fails(site.host(address="no-such-host.invalid"), site.options())
    assert (type(error), error.stage) == (ResolveError, "dns")
    assert error.message.startswith("no address for no-such-host.invalid, seen from gate-1: ")


def test_host_that_is_silent_behind_a_bastion(site):
    """It has its own connect timeout, and the bastion serves others meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = site.host(address="127.0.0.1", port=silent.getsockname()[1], connect_timeout_s=3.0)
        error = _fails(host, site.options())
    assert (type(error), error.stage, error.host) == (DeadlineError, "banner", "web-01")
    assert error.message == "no time left after 3 s, while waiting for its SSH banner"


def test_dead_bastion_is_one_sentence_and_one_attempt():
    """Seventeen hosts behind a gate that hangs up: it is asked once, and reported once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        came: list[socket.socket] = []

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    came.append(connection)
                    connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        jump = f"ops@127.0.0.1:{listener.getsockname()[1]}"
        hosts = [Host(f"web-{number:02}", user="ops", proxy_jump=jump) for number in range(1, 18)]
        snapshot = collect(hosts, Question(ssh=SshOptions(ssh_config="none", retries=0)), jobs=8)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    failures = folded(snapshot.coverage.failures)
    assert [(failure.hosts, failure.status) for failure in failures] == [("web-[01-17]", "protocol")]
    assert failures[0].message.startswith("bastion 127.0.0.1: 127.0.0.1 port ")
    assert len(came) == 1


def test_bastion_that_refuses_is_one_sentence():
    """The class of every host's failure is the bastion's."""
    hosts = [Host(f"web-{number:02}", user="ops", proxy_jump="ops@127.0.0.1:1") for number in range(1, 18)]
    snapshot = collect(hosts, Question(ssh=SshOptions(ssh_config="none")), jobs=8)
    (failure,) = folded(snapshot.coverage.failures)
    assert (failure.hosts, failure.status) == ("web-[01-17]", "refused")
    assert failure.message == "bastion 127.0.0.1: 127.0.0.1 port 1 refused the connection"


def test_bastion_that_breaks_in_the_middle_of_the_data(site):
    """Every host behind it says so; the others go on."""
    options = site.options()
    through = [site.host(f"web-{number}", number + 1) for number in range(1, 5)]
    beside = site.host("beside", proxy_jump="none")
    with Bastions() as bastions, contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(_open(host, options, bastions)) for host in [*through, beside]]
        channels = [stack.enter_context(transport.run("sh -s")) for transport in open_ones]
        for channel in channels:
            channel.send(b"echo half; read rest; echo $rest; exit\n")
            assert channel.receive() == b"half\n"
        site.cut()
        for channel, host in zip(channels[:4], through, strict=True):
            with pytest.raises(UnreachableError) as caught:
                channel.receive()
            assert (caught.value.host, caught.value.stage) == (host.name, "read")
            assert caught.value.message == (f"bastion gate-1: the connection to 127.0.0.1 port {site.gate.port} broke")
        channels[4].send(b"whole\n")
        assert channels[4].receive() == b"whole\n"


def test_lost_bastion_is_connected_to_once_more_and_no_further(site):
    """The next host brings it back; when it is lost again, those behind it are told."""
    options = site.options()
    with Bastions() as bastions:
        for _ in range(2):
            with _open(site.host(), options, bastions) as transport, transport.run("sh -s") as channel:
                channel.send(b"echo up\n")
                assert channel.receive() == b"up\n"
                site.cut()
                with pytest.raises(UnreachableError):
                    channel.receive()
        before = site.logins()
        with ThreadPoolExecutor(4) as pool:
            errors = list(pool.map(lambda number: _refusal(site.host(number=number), options, bastions), range(2, 6)))
        assert site.logins() == before
    broke = f"bastion gate-1: the connection to 127.0.0.1 port {site.gate.port} broke"
    assert [error.message for error in errors] == [broke] * 4


def _refusal(host: Host, options: SshOptions, bastions: Bastions) -> HostError:
    try:
        _open(host, options, bastions).close()
    except HostError as error:
        return error
    raise AssertionError("it was reached")


def test_closing_while_somebody_sends_does_no_harm_to_the_others(site):
    """sshd hangs up the whole connection if data follows a channel's close, so a send in progress is finished first."""
    host, options = Host("gate-1", connect_timeout_s=20.0), site.options()
    settings = route(host, options).settings
    assert settings is not None
    with ssh.connect(host, settings, deadline=Deadline.after(60), options=options) as bastion:
        peer = Peer("web-01", "127.0.1.2", site.inner.port, "ops")
        tunnel = bastion.tunnel(peer, Deadline.after(20))
        send, about_to_send = bastion._session._send_user_message, threading.Event()

        def send_late(message: paramiko.Message) -> None:
            about_to_send.set()
            threading.Event().wait(0.3)
            send(message)

        # Replaced, since nothing else makes sure that the close falls between the look and the sending.
        bastion._session._send_user_message = send_late
        sender = threading.Thread(target=tunnel.send, args=(b"SSH-2.0-Noise\r\n",))
        sender.start()
        assert about_to_send.wait(30)
        bastion._session._send_user_message = send
        tunnel.close()
        sender.join()
        other = bastion.tunnel(peer, Deadline.after(20))
        assert other.recv(4) == b"SSH-"
        assert bastion.broke() is None
