"""open_transport: which way a host goes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport, route, ssh_config
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.local import LocalTransport
from fleetpmap.transport.openssh import OpensshTransport, arguments


def _open(host: Host, options: SshOptions = SshOptions(ssh_config="none")):  # noqa: B008 - frozen
    return open_transport(host, deadline=Deadline.after(20), options=options)


def _arguments(host: Host, options: SshOptions) -> list[str]:
    return arguments(host, ssh_config.resolve(host.name, options), options, Deadline.after(60))


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
    """No note, since the user chose the way."""
    with _open(Host("web-01", transport="openssh")) as transport:
        assert isinstance(transport, OpensshTransport)
        assert transport.notes == ()


def test_what_only_ssh_can_do_goes_by_openssh(config):
    """An option of ssh_config that paramiko has nothing for, with a note."""
    with _open(Host("web-01"), config("Host web-*", "  KnownHostsCommand /bin/keys")) as transport:
        assert isinstance(transport, OpensshTransport)
        assert transport.notes == ("goes by the system's ssh: ssh_config says KnownHostsCommand /bin/keys",)


def test_bastion_may_need_the_systems_ssh_too(config):
    """Then the whole way goes by it, since a connection cannot change hands."""
    way = route(Host("web-01", proxy_jump="gate"), config("Host gate", "  KnownHostsCommand /bin/keys"))
    assert (way.transport, way.note) == (
        "openssh",
        "goes by the system's ssh: ssh_config says KnownHostsCommand /bin/keys",
    )


@pytest.mark.parametrize(
    "line", ["ProxyJump bastion", "ProxyCommand nc %h %p", "CertificateFile /keys/id-cert.pub", "IdentityAgent none"]
)
def test_what_paramiko_does_stays_with_it(config, line):
    """Jump hosts, a ProxyCommand and certificates need no other program."""
    way = route(Host("web-01"), config("Host web-*", f"  {line}"))
    assert (way.transport, way.note) == ("ssh", "")


def test_inventory_switches_the_jump_host_off(sshd, config):
    """proxy_jump = none is a direct connection, even if ssh_config has a jump."""
    options = config("ProxyJump bastion.invalid", f"UserKnownHostsFile {sshd.known_hosts}")
    with _open(sshd.host(proxy_jump="none"), options) as transport:
        assert not isinstance(transport, OpensshTransport)


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
    argv = _arguments(host, SshOptions(ssh_config="none", host_key="accept-new"))
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
    argv = _arguments(Host("web-01"), SshOptions())
    assert "StrictHostKeyChecking=yes" in argv
    assert not {"-F", "-l", "-p", "-i"} & set(argv)
    assert not [word for word in argv if word.startswith(("UserKnownHostsFile", "IdentitiesOnly", "ProxyJump"))]


def test_paramiko_is_imported_only_for_a_host_that_needs_it():
    """It takes a quarter of a second, which a local run or a --help does not have to wait for."""
    code = (
        "import sys; from fleetpmap.transport import *; from fleetpmap.inventory.hosts import Host\n"
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
