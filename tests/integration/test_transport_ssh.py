"""SSH inside this process, against a real sshd: host keys, logins, many at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import psutil
import pytest

from fleetpmap.errors import AuthError, DeadlineError, HostError, RemoteError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.ssh import keys
from sshd import Sshd


@pytest.fixture
def connect(sshd):
    """Opens a transport to the sshd, with changes to the host and to the options."""

    def make(options: SshOptions | None = None, **changes):
        return open_transport(sshd.host(**changes), deadline=Deadline.after(30), options=options or sshd.options)

    return make


def _says(transport) -> bytes:
    with transport, transport.run("id -un") as channel:
        return b"".join(iter(channel.receive, b""))


def _trusting(sshd, tmp_path, *lines: str, **changes) -> SshOptions:
    path = tmp_path / "trusted"
    path.write_text("".join(lines))
    return SshOptions(known_hosts=(str(path),), ssh_config=sshd.ssh_config, **changes)


def test_logs_in_as_the_user_of_the_host(connect, sshd):
    """The inventory's user, key and port."""
    assert _says(connect()) == f"{sshd.user}\n".encode()


def test_logs_in_to_another_account(connect, sshd, account):
    """Another user than the one running the tests."""
    ops = account("ops")
    sshd.authorize(ops, sshd.identity_file)
    transport = connect(user=ops)
    assert not transport.is_root
    assert _says(transport) == f"{ops}\n".encode()


def test_aes_gcm_is_agreed_on(connect):
    """The cipher that is quickest here."""
    with connect() as transport:
        assert transport._session.remote_cipher == "aes128-gcm@openssh.com"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_the_key_we_know_is_the_one_asked_for(connect, sshd, tmp_path, kind):
    """A server with three keys shows the one that known_hosts has."""
    with connect(_trusting(sshd, tmp_path, *sshd.known_hosts_lines(kind))) as transport:
        assert transport.notes == ()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_kind_of_identity_logs_in(connect, sshd, kind):
    """RSA (by SHA-2), ECDSA and ed25519 keys."""
    key = sshd.new_key(f"user-{kind}", kind)
    sshd.authorize(sshd.user, str(key))
    assert _says(connect(identity_file=(str(key),))) == f"{sshd.user}\n".encode()


def test_bad_line_of_known_hosts_is_a_note(connect, sshd, tmp_path):
    """It is told with its number, and does no harm to the others."""
    options = _trusting(sshd, tmp_path, "nonsense\n", *sshd.known_hosts_lines())
    with connect(options) as transport:
        assert transport.notes == (f"{tmp_path}/trusted:1: not a line of known_hosts, skipped",)


def test_accept_new_writes_one_line_and_says_so(connect, sshd, tmp_path):
    """A new host is written down once; the next time it is known."""
    options = _trusting(sshd, tmp_path, host_key="accept-new")
    with connect(options) as transport:
        assert transport.notes[0].startswith("accepted the new host key ssh-ed25519 SHA256:")
    with connect(options) as transport:
        assert transport.notes == ()
    assert (tmp_path / "trusted").read_text() == sshd.known_hosts_lines("ed25519")[0]


def test_accept_new_without_a_place_to_write_goes_on(connect, sshd):
    """As ssh does: the host is believed, and a note says that it was not remembered."""
    options = SshOptions(known_hosts=("/proc/no/such/file",), ssh_config=sshd.ssh_config, host_key="accept-new")
    with connect(options) as transport:
        assert "but could not write it down" in transport.notes[0]


def test_alias_is_looked_up_without_the_port(connect, sshd, tmp_path):
    """HostKeyAlias of ssh_config names the host in known_hosts."""
    config = tmp_path / "config"
    config.write_text("HostKeyAlias fleet\n")
    known = tmp_path / "known"
    known.write_text(f"fleet {sshd.public_key(sshd.host_keys['ed25519'])}\n")
    with connect(SshOptions(known_hosts=(str(known),), ssh_config=str(config))) as transport:
        assert transport.notes == ()


def test_ssh_config_is_used_where_the_inventory_is_silent(sshd, tmp_path):
    """An alias with everything in ssh_config needs nothing in the inventory."""
    config = tmp_path / "config"
    config.write_text(
        f"Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.identity_file}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    transport = open_transport(Host("box"), deadline=Deadline.after(30), options=SshOptions(ssh_config=str(config)))
    assert _says(transport) == f"{sshd.user}\n".encode()


def test_next_key_is_tried(connect, sshd):
    """A key that the host does not take is followed by the next."""
    stranger = str(sshd.new_key("stranger-first"))
    assert _says(connect(identity_file=(stranger, sshd.identity_file))) == f"{sshd.user}\n".encode()


def test_sixth_key_logs_in(connect, sshd):
    """Keys are offered until the host hangs up, which sshd does after six."""
    strangers = tuple(str(sshd.new_key(f"stranger-{number}")) for number in range(5))
    with connect(identity_file=(*strangers, sshd.identity_file)) as transport:
        assert transport.notes == ()


def test_locked_key_that_the_host_takes_is_named(connect, sshd):
    """No passphrase is asked for in the middle of a run; the error names the key that needs one."""
    locked = str(sshd.new_key("locked", passphrase="secret"))
    sshd.authorize(sshd.user, locked)
    with pytest.raises(AuthError) as caught:
        connect(identity_file=(locked,))
    assert caught.value.message == (
        f'cannot log in as "{sshd.user}" (tried: {locked}; not: {locked}: needs its passphrase (ssh-add it))'
    )


def test_locked_key_that_the_host_refuses_needs_no_passphrase(connect, sshd):
    """The host was asked by the public half, which is in the clear: the passphrase would change nothing."""
    locked = str(sshd.new_key("locked-stranger", passphrase="secret"))
    with pytest.raises(AuthError) as caught:
        connect(identity_file=(locked,))
    assert caught.value.message == f'cannot log in as "{sshd.user}" (tried: {locked})'


def test_unusable_files_are_named(connect, sshd, tmp_path):
    """A file that is missing, or no key, is the inventory's mistake."""
    (tmp_path / "text").write_text("not a key\n")
    with pytest.raises(AuthError) as caught:
        connect(identity_file=(f"{tmp_path}/missing", f"{tmp_path}/text"))
    assert f"{tmp_path}/missing: no such file" in caught.value.message
    assert f"{tmp_path}/text: not a private key that can be used here" in caught.value.message


def test_agent_is_asked_after_the_files(connect, sshd, agent, tmp_path):
    """Without a key of the inventory's, the agent's keys follow ssh's files."""
    agent(sshd.identity_file)
    config = tmp_path / "config"
    config.write_text("IdentityFile none\n")
    options = SshOptions(known_hosts=(sshd.known_hosts,), ssh_config=str(config))
    assert _says(connect(options, identity_file=())) == f"{sshd.user}\n".encode()


def test_agent_keys_that_fail_are_named(connect, sshd, agent, tmp_path):
    """By their comments, which is how ssh-add lists them."""
    agent(sshd.new_key("stranger-in-agent"))
    config = tmp_path / "config"
    config.write_text("IdentityFile none\n")
    with pytest.raises(AuthError) as caught:
        connect(SshOptions(known_hosts=(sshd.known_hosts,), ssh_config=str(config)), identity_file=())
    assert caught.value.message == f'cannot log in as "{sshd.user}" (tried: agent\'s stranger-in-agent)'


def test_agent_opens_a_locked_file(connect, sshd, agent):
    """The inventory names a key that has a passphrase; the agent holds it open, and offers nothing else."""
    plain = sshd.new_key("held")
    sshd.authorize(sshd.user, str(plain))
    agent(sshd.new_key("stranger-beside"))
    agent(plain)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(plain)], check=True, capture_output=True)
    assert _says(connect(identity_file=(str(plain),))) == f"{sshd.user}\n".encode()


def test_identities_only_keeps_the_agent_out(connect, sshd, agent, tmp_path):
    """The agent's key would do, but ssh_config allows only the files."""
    agent(sshd.identity_file)
    config = tmp_path / "config"
    stranger = sshd.new_key("stranger-only")
    config.write_text(f"IdentitiesOnly yes\nIdentityFile {stranger}\n")
    with pytest.raises(AuthError) as caught:
        connect(SshOptions(known_hosts=(sshd.known_hosts,), ssh_config=str(config)), identity_file=())
    assert caught.value.message == f'cannot log in as "{sshd.user}" (tried: {stranger})'


def test_agent_that_does_not_answer_costs_no_more_than_the_deadline(connect, sshd, tmp_path, monkeypatch):
    """A frozen agent is under the deadline of everything else."""
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "agent"))
        frozen.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        options = SshOptions(known_hosts=(sshd.known_hosts,), ssh_config="none")
        with pytest.raises(DeadlineError) as caught:
            connect(options, identity_file=(), connect_timeout_s=4.0)
    assert caught.value.stage == "auth"
    assert f"the agent at {tmp_path}/agent did not tell its keys: it did not answer in time" in caught.value.message


def test_keys_are_loaded_once(sshd):
    """The same file is the same key for every host of the run."""
    assert keys.load_key(sshd.identity_file) is keys.load_key(sshd.identity_file)


def test_fifty_hosts_at_once(sshd_of_fifty):
    """Fifty addresses in parallel, each with its own connection; no thread stays."""
    server = sshd_of_fifty
    before = threading.active_count()

    def ask(address: str) -> bytes:
        host = server.host(address, address=address, connect_timeout_s=60.0)
        return _says(open_transport(host, deadline=Deadline.after(60), options=server.options))

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, server.addresses)) == {f"{server.user}\n".encode()}
    assert threading.active_count() == before


def test_fifty_new_hosts_at_once_are_all_written_down(sshd_of_fifty, tmp_path):
    """accept-new from many threads: a line each, none lost."""
    server = sshd_of_fifty
    options = _trusting(server, tmp_path, host_key="accept-new")

    def visit(address: str) -> None:
        host = server.host(address, address=address, connect_timeout_s=60.0)
        open_transport(host, deadline=Deadline.after(60), options=options).close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(visit, server.addresses))
    lines = (tmp_path / "trusted").read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(
        f"[{address}]:{server.port}" for address in server.addresses
    )


def test_frozen_host_ends_with_the_deadline(sshd):
    """A host whose sshd is stopped, so that TCP takes no more, delays a run no longer than the deadline."""
    deadline = Deadline.after(6)
    transport = open_transport(sshd.host(), deadline=deadline, options=sshd.options)
    with transport, transport.run("sh -s") as channel:
        channel.send(b"echo $$; cat >/dev/null\n")
        shell = psutil.Process(int(channel.receive()))
        session = next(parent.pid for parent in shell.parents() if parent.name().startswith("sshd"))
        os.kill(session, signal.SIGSTOP)
        try:
            with pytest.raises(HostError) as caught:
                channel.send(b"x" * (64 << 20))
        finally:
            os.kill(session, signal.SIGCONT)
    assert type(caught.value) is DeadlineError


def test_reader_sleeps_until_the_end_has_come(connect):
    """Data that is useless alone is not handed out alone: the messages in between wake paramiko's thread only."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"for word in one two three; do echo $word; sleep 0.2; done; echo end; cat\n")
        assert channel.receive(b"end\n") == b"one\ntwo\nthree\nend\n"


def test_forced_command_answers_instead_of_ours(sshd):
    """A key that authorized_keys ties to one command runs that: its status is what we get."""
    key = sshd.new_key("restricted")
    allowed = Path(sshd.identity_file).parent / "authorized_keys" / sshd.user
    before = allowed.read_text()
    allowed.write_text(before + f'command="exit 7" {sshd.public_key(key)}\n')
    try:
        transport = open_transport(
            sshd.host(identity_file=(str(key),)), deadline=Deadline.after(30), options=sshd.options
        )
        with transport, transport.run("sh -s") as channel:
            assert channel.receive() == b""
            assert channel.finish() == 7
    finally:
        allowed.write_text(before)


def test_host_that_opens_no_session(sshd, tmp_path):
    """A login that is good for forwarding only is told so."""
    assert sshd  # where it cannot run, this one cannot either
    with contextlib.closing(Sshd(tmp_path, settings="MaxSessions 0")) as server:
        transport = open_transport(server.host(), deadline=Deadline.after(30), options=server.options)
        with transport, pytest.raises(RemoteError) as caught:
            transport.run("true")
    assert caught.value.stage == "exec"
    assert caught.value.message.startswith(f"127.0.0.1 port {server.port} opens no session: ")


class _Refusing(paramiko.ServerInterface):
    """Accepts every login and runs nothing."""

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        return False


def test_host_that_refuses_the_command(tmp_path):
    """A session without the command is an error at run(), not a hang."""
    key = tmp_path / "key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(key))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        servers = []

        def serve() -> None:
            connection, _ = listener.accept()
            servers.append(server := paramiko.Transport(connection))
            server.add_server_key(paramiko.ECDSAKey.generate())
            server.start_server(server=_Refusing())

        thread = threading.Thread(target=serve)
        thread.start()
        host = Host("box", address="127.0.0.1", port=port, user="ops", identity_file=(str(key),))
        options = SshOptions(known_hosts=(str(tmp_path / "new"),), ssh_config="none", host_key="accept-new")
        try:
            transport = open_transport(host, deadline=Deadline.after(30), options=options)
            with transport, pytest.raises(RemoteError) as caught:
                transport.run("true")
        finally:
            thread.join()
            servers[0].close()
            servers[0].join(5)
    assert caught.value.message == f"127.0.0.1 port {port} does not run commands for this account"
