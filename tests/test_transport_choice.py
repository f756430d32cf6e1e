"""open_transport: which way a host goes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fleetpmap.inventory.model import Host
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.local import LocalTransport
from fleetpmap.transport.openssh import OpensshTransport, arguments


def _open(host: Host, options: SshOptions = SshOptions(ssh_config="none")):  # noqa: B008 - frozen
    return open_transport(host, deadline=Deadline.after(20), options=options)


@pytest.fixture
def config(tmp_path):
    """Options with an ssh_config of these lines."""

    def make(*lines: str) -> SshOptions:
        path = tmp_path / "config"
        path.write_text("\n".join(lines) + "\n")
        return SshOptions(ssh_config=str(path))

    return make


def test_local_is_this_machine():
    """transport = local asks no ssh."""
    with _open(Host("here", transport="local")) as transport:
        assert isinstance(transport, LocalTransport)
        assert transport.notes == ()


def test_openssh_on_request_needs_no_note():
    """Who asked for it knows."""
    with _open(Host("web-01", transport="openssh")) as transport:
        assert isinstance(transport, OpensshTransport)
        assert transport.notes == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ProxyJump bastion", "ssh_config names the jump host bastion"),
        ("ProxyCommand nc %h %p", "ssh_config names a ProxyCommand"),
        ("CertificateFile /keys/id-cert.pub", "ssh_config names a certificate"),
    ],
)
def test_what_paramiko_does_not_do_goes_by_openssh(config, line, reason):
    """A jump host, a ProxyCommand or a certificate of ssh_config, with a note."""
    with _open(Host("web-01"), config("Host web-*", f"  {line}")) as transport:
        assert isinstance(transport, OpensshTransport)
        assert transport.notes == (f"goes by the system's ssh: {reason}",)


def test_jump_host_of_the_inventory_goes_by_openssh():
    """Until bastions are built into ssh."""
    with _open(Host("web-01", proxy_jump="ops@bastion")) as transport:
        assert transport.notes == ("goes by the system's ssh: the inventory names the jump host ops@bastion",)


def test_inventory_switches_the_jump_host_off(sshd, config):
    """proxy_jump = none is a direct connection, whatever ssh_config says."""
    options = config("ProxyJump bastion.invalid", f"UserKnownHostsFile {sshd.known_hosts}")
    with _open(sshd.host(proxy_jump="none"), options) as transport:
        assert not isinstance(transport, OpensshTransport)


def test_jump_host_is_really_jumped(sshd_of_fifty, tmp_path):
    """Through one address of a server to another, by the system's ssh."""
    server = sshd_of_fifty
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {server.identity_file}\nUserKnownHostsFile {server.known_hosts}\n")
    host = server.host(address="127.0.1.2", identity_file=(), proxy_jump=f"{server.user}@127.0.1.1:{server.port}")
    with _open(host, SshOptions(ssh_config=str(config))) as transport, transport.run("sh -s") as channel:
        channel.send(b"echo there; exit\n")
        assert channel.receive() == b"there\n"


def test_arguments_carry_what_the_inventory_says():
    """User, port, keys (and no others), jump host, known hosts and configuration; the name comes after --."""
    host = Host(
        "web-01",
        address="10.0.0.13",
        user="ops",
        port=2222,
        identity_file=("/keys/100%",),
        known_hosts=("/keys/my hosts",),
        proxy_jump="bastion",
        connect_timeout_s=7.0,
    )
    argv = arguments(host, SshOptions(ssh_config="none", host_key="accept-new"), Deadline.after(60))
    text = " ".join(argv)
    assert argv[:4] == ["ssh", "-T", "-a", "-x"]
    assert argv[-2:] == ["--", "10.0.0.13"]
    for part in (
        "-F none",
        "-o BatchMode=yes",
        "-o ConnectTimeout=7",
        "-o StrictHostKeyChecking=accept-new",
        '-o UserKnownHostsFile="/keys/my hosts" -o GlobalKnownHostsFile=none',
        "-o IdentitiesOnly=yes",
        "-o ProxyJump=bastion",
        "-l ops -p 2222 -i /keys/100%%",
    ):
        assert part in text


def test_arguments_are_silent_where_the_inventory_is():
    """ssh's own configuration decides the rest; strict is the default."""
    argv = arguments(Host("web-01"), SshOptions(), Deadline.after(60))
    assert "StrictHostKeyChecking=yes" in argv
    assert not {"-F", "-l", "-p", "-i"} & set(argv)
    assert not [word for word in argv if word.startswith(("UserKnownHostsFile", "IdentitiesOnly", "ProxyJump"))]


def test_paramiko_is_imported_only_for_a_host_that_needs_it():
    """It takes a quarter of a second, which a local run or a --help does not have to wait for."""
    code = (
        "import sys; from fleetpmap.transport import *; from fleetpmap.inventory.model import Host\n"
        "with open_transport(Host('h', transport='local'), deadline=Deadline.after(5)): pass\n"
        "sys.exit('paramiko' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paramikos_logger_is_quiet_and_no_other_is_touched():
    """Its tracebacks stay off stderr; the root logger is the program's own."""
    code = (
        "import logging, fleetpmap.transport.ssh\n"
        "logging.getLogger('paramiko.transport').error('not to be seen')\n"
        "logging.getLogger('mine').error('to be seen')\n"
        "assert not logging.getLogger().handlers"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"to be seen\n"
