"""docs/reference/ssh-config.md, row by row, on a real sshd: every option named there is set, and does what is said."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.errors import AuthError, HostError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport, route
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.ssh_config import config_files as ssh_config_file
from fleetpmap.transport.ssh_config.keywords import ROWS, Row
from sshd import Sshd

# What each option is set to in these tests; one that is not here is set in a test of its own.
VALUES = {
    "IgnoreUnknown": "*",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "ConnectTimeout": "7",
    "ConnectionAttempts": "3",
    "AddressFamily": "inet",
    "Ciphers": "aes256-ctr,aes256-cbc",
    "KexAlgorithms": "curve25519-sha256,diffie-hellman-group14-sha256",
    "MACs": "hmac-sha2-256,hmac-sha1",
    "HostKeyAlgorithms": "rsa-sha2-512,ssh-ed25519",
    "PubkeyAcceptedAlgorithms": "+ssh-rsa",
    "CanonicalizeHostname": "yes",
    "CanonicalDomains": "example.com",
    "CanonicalizeMaxDots": "0",
    "CanonicalizeFallbackLocal": "no",
    "CanonicalizePermittedCNAMEs": "none",
    "BindInterface": "lo",
    "PKCS11Provider": "/nonexistent/token.so",
    "SecurityKeyProvider": "/nonexistent/fido.so",
    "VerifyHostKeyDNS": "yes",
    "KnownHostsCommand": "/bin/true",
    "RevokedHostKeys": "/dev/null",
    "HostbasedAuthentication": "yes",
    "GSSAPIKexAlgorithms": "gss-group14-sha256-",
    "GSSAPIClientIdentity": "ops@EXAMPLE",
    "GSSAPIServerIdentity": "host.example",
    "PreferredAuthentications": "publickey",
    "KbdInteractiveDevices": "pam",
    "NumberOfPasswordPrompts": "1",
    "ControlMaster": "auto",
    "ControlPath": "/nonexistent/%C",
    "ControlPersist": "1m",
    "ForwardX11Timeout": "1m",
    "LocalForward": "127.0.0.1:1 127.0.0.1:1",
    "RemoteForward": "127.0.0.1:1 127.0.0.1:1",
    "DynamicForward": "127.0.0.1:1",
    "PermitRemoteOpen": "any",
    "StreamLocalBindMask": "0177",
    "TunnelDevice": "any:any",
    "XAuthLocation": "/bin/false",
    "RemoteCommand": "echo not this",
    "RequestTTY": "force",
    "SessionType": "none",
    "EscapeChar": "none",
    "LocalCommand": "echo not here",
    "SendEnv": "LANG LC_*",
    "SetEnv": "FLEET=1",
    "IPQoS": "lowdelay",
    "RekeyLimit": "1G",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "2",
    "FingerprintHash": "md5",
    "CASignatureAlgorithms": "ssh-ed25519",
    "RequiredRSASize": "2048",
    "LogLevel": "DEBUG3",
    "LogVerbose": "none",
    "SyslogFacility": "USER",
    "HostbasedAcceptedAlgorithms": "ssh-ed25519",
    "CompressionLevel": "6",
    "Protocol": "2",
    "Cipher": "3des",
}
# Set by the configuration that every test here has, or in a test of its own.
ELSEWHERE = {
    *("Host", "Match", "Include", "HostName", "User", "Port", "IdentityFile", "CertificateFile", "ProxyJump"),
    *(
        "UserKnownHostsFile",
        "GlobalKnownHostsFile",
        "HostKeyAlias",
        "StrictHostKeyChecking",
        "ProxyCommand",
        "BindAddress",
    ),
}
Write = Callable[..., SshOptions]


@pytest.fixture
def config(sshd: Sshd, tmp_path: Path) -> Write:
    """Options with an ssh_config of these lines, behind which `Host box` (or `bastion`) leads to the sshd."""

    def make(*lines: str, server: Sshd = sshd) -> SshOptions:
        box = {
            "HostName": "127.0.0.1",
            "Port": server.port,
            "User": server.user,
            "IdentityFile": server.identity_file,
            "UserKnownHostsFile": server.known_hosts,
        }
        (tmp_path / "config").write_text(
            "\n".join([*lines, "Host box bastion", *(f"{key} {box[key]}" for key in box), ""])
        )
        return SshOptions(ssh_config=str(tmp_path / "config"))

    return make


@pytest.fixture(scope="module")
def old_sshd(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[Sshd]:
    """A server with a cipher that no client offers by default."""
    server = Sshd(tmp_path_factory.mktemp("old"), settings="Ciphers aes256-cbc")
    yield server
    server.close()


def _says(options: SshOptions, command: str = "echo done") -> tuple[str, tuple[str, ...]]:
    """The output of a command on `box`, and the route's notes."""
    with (
        open_transport(Host("box"), deadline=Deadline.after(30), options=options) as transport,
        transport.run(command) as channel,
    ):
        return b"".join(iter(channel.receive, b"")).decode().strip(), transport.notes


def _set(row: Row) -> list[str]:
    """The row's options, all set; unknown ones of other versions are ignored, as `IgnoreUnknown` can have it."""
    return ["IgnoreUnknown *", *(f"{name} {VALUES.get(name, 'yes')}" for name in row.names if name not in ELSEWHERE)]


def _id(row: Row) -> str:
    return row.names[0]


@pytest.mark.parametrize("row", [row for row in ROWS if row.with_ssh != "openssh"], ids=_id)
def test_works_or_has_no_effect(config: Write, row: Row):
    """With all of the row's options set, the built-in client runs the command, and it alone."""
    assert _says(config(*_set(row))) == ("done", ())


@pytest.mark.parametrize("name", [name for row in ROWS if row.with_ssh == "openssh" for name in row.names])
def test_goes_by_openssh_with_a_note(config: Write, name: str):
    """An option that only ssh can honour: ssh runs the command, and the note names the option."""
    said, notes = _says(config(f"{name} {VALUES[name]}" if name in VALUES else f"{name} yes"))
    assert said == "done"
    assert [note.startswith(f"goes by the system's ssh: ssh_config says {name}") for note in notes] == [True]


@pytest.mark.parametrize("row", ROWS, ids=_id)
def test_without_ssh(config: Write, row: Row):
    """The reader for machines without ssh takes the row's options, or refuses the first that changes something."""
    options = config(*_set(row))
    if row.without_ssh != "refused":
        assert ssh_config_file.read("box", options.ssh_config)["hostname"] == ("127.0.0.1",)
    else:
        with pytest.raises(HostError, match=r"line \d+: \w+ needs ssh"):
            ssh_config_file.read("box", options.ssh_config)


def test_match_and_include(config: Write, sshd: Sshd, tmp_path: Path):
    """Match exec and an included file decide the port."""
    (tmp_path / "more").write_text(f"Match originalhost box exec true\n  Port {sshd.port}\nMatch all\n  Port 1\n")
    assert _says(config(f"Include {tmp_path}/more")) == ("done", ())


def test_certificate_file(config: Write, sshd: Sshd, tmp_path: Path):
    """A key that is not in known_hosts, with a certificate of an authority that the account trusts."""
    authority, key = sshd.new_key("authority"), sshd.new_key("certified")
    sshd.authorize(sshd.user, str(authority), "cert-authority")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-n", sshd.user, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    certificate = Path(f"{key}-cert.pub").rename(tmp_path / "elsewhere.pub")
    options = config("IdentitiesOnly yes", f"CertificateFile {certificate}", "Host box", f"IdentityFile {key}")
    assert _says(options)[0] == "done"


def test_global_known_hosts_and_alias(config: Write, sshd: Sshd, tmp_path: Path):
    """The host is known in the second file, by its other name."""
    (tmp_path / "global").write_text("".join(f"fleet {sshd.public_key(key)}\n" for key in sshd.host_keys.values()))
    options = config("UserKnownHostsFile none", f"GlobalKnownHostsFile {tmp_path}/global", "HostKeyAlias fleet")
    assert _says(options) == ("done", ())


@pytest.mark.parametrize("value", ["accept-new", "no"])
def test_strict_host_key_checking(config: Write, tmp_path: Path, value: str):
    """A new host is written down, with a note; the second time it is known."""
    options = config(f"StrictHostKeyChecking {value}", f"UserKnownHostsFile {tmp_path}/new")
    said, notes = _says(options)
    assert said == "done"
    assert [note.startswith("accepted the new host key ssh-ed25519 SHA256:") for note in notes] == [True]
    assert _says(options) == ("done", ())


def test_known_hosts_that_forget(config: Write):
    """`UserKnownHostsFile /dev/null` with `StrictHostKeyChecking no`, as many labs have it."""
    assert _says(config("StrictHostKeyChecking no", "UserKnownHostsFile /dev/null"))[0] == "done"


def test_proxy_jump(config: Write, tmp_path: Path):
    """Through the same server, by another name, to itself."""
    bastion = ("Host bastion", "HostName localhost", "StrictHostKeyChecking no", f"UserKnownHostsFile {tmp_path}/new")
    said, notes = _says(config("Host box", "ProxyJump bastion", *bastion))
    assert said == "done"
    assert not [note for note in notes if "the system's ssh" in note]


def test_proxy_command(config: Write, sshd: Sshd):
    """A command of the user's carries the connection."""
    jump = f"ssh -F none -i {sshd.identity_file} -o UserKnownHostsFile={sshd.known_hosts} -o BatchMode=yes"
    assert _says(config(f"ProxyCommand {jump} -p %p -W %h:%p {sshd.user}@127.0.0.1"))[0] == "done"


def test_bind_address(config: Write):
    """The server sees the connection come from there."""
    assert _says(config("BindAddress 127.0.0.5"), "echo $SSH_CLIENT")[0].split()[0] == "127.0.0.5"


def test_timeout_and_attempts(config: Write):
    """They are the host's, unless the inventory or the command line says otherwise."""
    settings = route(Host("box"), config("ConnectTimeout 7", "ConnectionAttempts 3")).settings
    assert (settings.connect_timeout_s, settings.retries) == (7.0, 2)


def test_ciphers(config: Write, old_sshd: Sshd):
    """An old server is reached by the built-in client with the cipher that ssh_config allows for it."""
    assert _says(config("Ciphers aes256-cbc", server=old_sshd)) == ("done", ())


def test_pubkey_accepted_algorithms(config: Write, sshd: Sshd):
    """A key of another kind is not offered, and the error says so."""
    options = config("PubkeyAcceptedAlgorithms rsa-sha2-512", "IdentitiesOnly yes")
    with pytest.raises(AuthError, match=f"{sshd.identity_file}: PubkeyAcceptedAlgorithms leaves it out"):
        _says(options)


def test_rsa_keys_by_sha1(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory):
    """A server that takes RSA keys by SHA-1 only lets us in where ssh_config allows that, and nowhere else."""
    assert sshd  # where it cannot run, this one cannot either
    directory = tmp_path_factory.mktemp("sha1")
    directory.chmod(0o755)
    with contextlib.closing(Sshd(directory, settings="PubkeyAcceptedAlgorithms ssh-rsa")) as server:
        key = server.new_key("old", "rsa")
        server.authorize(server.user, str(key))
        host = server.host(identity_file=(str(key),))
        (directory / "allows").write_text("PubkeyAcceptedAlgorithms ssh-rsa\n")
        options = replace(server.options, ssh_config=str(directory / "allows"))
        with open_transport(host, deadline=Deadline.after(30), options=options) as transport:
            assert transport.notes == ()
        with pytest.raises(AuthError):
            open_transport(host, deadline=Deadline.after(30), options=replace(options, ssh_config="none"))


def test_host_key_algorithms(config: Write):
    """The server shows the kind of key that is asked for."""
    _, notes = _says(
        config("HostKeyAlgorithms rsa-sha2-512", "StrictHostKeyChecking accept-new", "UserKnownHostsFile /dev/null")
    )
    assert [note.startswith("accepted the new host key ssh-rsa SHA256:") for note in notes] == [True]


def test_a_cipher_that_only_ssh_has(config: Write):
    """The host goes by the system's ssh."""
    said, notes = _says(config("Ciphers chacha20-poly1305@openssh.com"))
    assert said == "done"
    assert notes == ("goes by the system's ssh: ssh_config says Ciphers chacha20-poly1305@openssh.com",)
