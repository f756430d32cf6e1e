"""Which keys are offered, in which order, and what is signed: real OpenSSH servers, real agents and soft ones."""

from __future__ import annotations

import base64
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleetpmap.errors import AuthError
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions, Transport
from fleetpmap.transport.secret import Secret
from passwords import server_for, set_authentication
from soft_agents import SoftAgent, security_key, text
from sshd import Sshd, missing

POLICY = (
    "PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "sk-ecdsa-sha2-nistp256@openssh.com,ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,"
    "sk-ssh-ed25519-cert-v01@openssh.com,rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,"
    "rsa-sha2-512-cert-v01@openssh.com"
)
"""As Fedora's and RHEL's crypto policy sets it for every host."""


@pytest.fixture(scope="module")
def once() -> Iterator[Sshd]:
    """A server that hangs up after one key, trusts an authority, and grants `none` to accounts without a password."""
    if absent := missing():
        pytest.skip(reason=f"what takes a key is a real sshd: {absent}")
    with tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-") as directory:
        authority = Path(directory, "authority")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(authority)], check=True)
        passwords = "PermitEmptyPasswords yes\nPasswordAuthentication yes"
        server = Sshd(Path(directory), settings=f"MaxAuthTries 1\nTrustedUserCAKeys {authority}.pub\n{passwords}")
        yield server
        server.close()


def configured(server: Sshd, path: Path, *lines: str) -> SshOptions:
    """Trusts the server, with these lines in ssh_config."""
    config = path / f"config-{len(list(path.iterdir()))}"  # what ssh says of a file is asked once
    config.write_text("".join(f"{line}\n" for line in lines))
    return replace(server.options, ssh_config=str(config))


def log_in(server: Sshd, options: SshOptions, **changes: object) -> Transport:
    """By what ssh_config names."""
    return open_transport(server.host(**{"identity_file": ()} | changes), deadline=Deadline.after(20), options=options)


def public(path: Path | str) -> bytes:
    """A public key as it travels."""
    return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])


def test_agents_keys_come_before_files(once: Sshd, agent: Callable[[Path], None], tmp_path: Path):
    """The right key is the agent's, the files are of others, and the server gives one try: ssh logs in."""
    agent(Path(once.identity_file))
    strangers = [once.new_key(f"before-files-{kind}", kind) for kind in ("rsa", "ed25519")]
    options = configured(once, tmp_path, *(f"IdentityFile {key}" for key in strangers))
    log_in(once, options).close()


def test_agents_key_that_a_file_names_comes_before_its_others(
    once: Sshd, agent: Callable[[Path], None], tmp_path: Path
):
    """IdentityFile without IdentitiesOnly picks the ninth key of the agent for the one try."""
    for number in range(8):
        agent(once.new_key(f"unnamed-{number}"))
    agent(Path(once.identity_file))
    log_in(once, configured(once, tmp_path, f"IdentityFile {once.identity_file}.pub")).close()


def test_order_is_that_of_ssh(sshd: Sshd, agent: Callable[[Path], None], tmp_path: Path):
    """Named certificate, agent's keys in files, agent's others, files: as `ssh -v` lists them."""
    keys = {name: sshd.new_key(f"order-{name}") for name in ("one", "two", "three", "four")}
    for name in ("four", "three", "two"):
        agent(keys[name])
    authority = sshd.new_key("order-authority")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", sshd.user, f"{keys['three']}.pub"]
    subprocess.run(argv, check=True)
    named = Path(f"{keys['three']}-cert.pub").rename(tmp_path / "named.pub")
    options = configured(
        sshd, tmp_path, *(f"IdentityFile {keys[name]}" for name in ("one", "two", "three")), f"CertificateFile {named}"
    )
    address = [f"-oPort={sshd.port}", f"-oUserKnownHostsFile={sshd.known_hosts}", "-oBatchMode=yes", "127.0.0.1"]
    ssh = subprocess.run(
        ["ssh", "-v", "-F", str(options.ssh_config), *address, "true"], capture_output=True, text=True, check=False
    )
    with pytest.raises(AuthError) as caught:
        log_in(sshd, options)
    by_ssh = [Path(line).name for line in re.findall(r"Offering public key: (\S+)", ssh.stderr)]
    assert by_ssh == ["named.pub", "order-three", "order-two", "order-four", "order-one"]
    tried = f"{keys['three']} with {named}, {keys['three']}, {keys['two']}, agent's order-four, {keys['one']}"
    assert f"(tried: {tried})" in caught.value.message


def test_key_that_the_host_does_not_take_is_not_signed_with(sshd: Sshd, tmp_path: Path, monkeypatch):
    """No touch and no confirmation is asked of the user for a host that would not accept the key."""
    wanted, other = security_key(), security_key()
    with (Path(sshd.identity_file).parent / "authorized_keys" / sshd.user).open("a") as authorized:
        authorized.write(f"sk-ssh-ed25519@openssh.com {base64.b64encode(wanted[0]).decode()}\n")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with SoftAgent(tmp_path / "agent", [other, wanted]) as agent:
        log_in(sshd, configured(sshd, tmp_path, POLICY)).close()
        assert agent.signed == [wanted[0]]
        with pytest.raises(AuthError) as caught:
            log_in(sshd, configured(sshd, tmp_path, "PubkeyAcceptedAlgorithms ssh-ed25519"))
    assert "not: agent's soft: PubkeyAcceptedAlgorithms leaves it out" in caught.value.message


def test_agent_that_refuses_to_sign_is_named(sshd: Sshd, tmp_path: Path, monkeypatch):
    """The host would take the key; the agent's refusal is the agent's, and the next key has its turn."""
    refused = public(sshd.identity_file)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with SoftAgent(tmp_path / "agent", [(refused, None)]), pytest.raises(AuthError) as caught:
        log_in(sshd, configured(sshd, tmp_path))
    assert "(tried: agent's soft; not: agent's soft: the agent did not sign: it refused)" in caught.value.message


@pytest.mark.parametrize(("room", "resets"), [(4, 0), (1000, 3)], ids=["little-room", "resets"])
def test_agent_that_resets_connections_is_asked_by_few_and_again(
    sshd: Sshd, tmp_path: Path, monkeypatch, room: int, resets: int
):
    """As gpg-agent does when many sign at once: all hosts log in, with four connections to it at most."""
    key = serialization.load_ssh_private_key(Path(sshd.identity_file).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    keys = [(public(sshd.identity_file), lambda data: text(b"ssh-ed25519") + text(key.sign(data)))]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    options = configured(sshd, tmp_path)
    with SoftAgent(tmp_path / "agent", keys, room=room, resets=resets) as agent, ThreadPoolExecutor(16) as threads:
        for transport in threads.map(lambda _: log_in(sshd, options), range(16)):
            transport.close()
    assert len(agent.signed) == 16
    assert (
        agent.most_at_once <= 4 + 4
    )  # the agent sees the end of a connection later than the client, which opens the next


def test_agent_that_answers_nonsense_is_told_as_the_agents_fault(sshd: Sshd, tmp_path: Path, monkeypatch):
    """An agent that always hangs up costs its keys, never the files', and is never "the connection failed"."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with SoftAgent(tmp_path / "agent", [], resets=1000):
        log_in(sshd, configured(sshd, tmp_path, f"IdentityFile {sshd.identity_file}")).close()
        with pytest.raises(AuthError) as caught:
            log_in(sshd, configured(sshd, tmp_path))
    assert f"not: the agent at {tmp_path}/agent did not tell its keys: " in caught.value.message
    assert "connection to" not in caught.value.message


@pytest.mark.parametrize("lines", [(), (POLICY,)], ids=["plain", "rhel"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_certificate_on_disk_of_a_key_in_the_agent(
    once: Sshd, agent: Callable[[Path], None], tmp_path: Path, kind: str, lines: tuple[str, ...]
):
    """The private file is gone, or locked: the agent signs for KEY-cert.pub beside it."""
    key = once.new_key(f"held-{kind}-{len(lines)}", kind)
    agent(key)
    authority = Path(once.identity_file).with_name("authority")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", once.user, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    key.unlink()
    named = f"CertificateFile {key}-cert.pub"
    log_in(once, configured(once, tmp_path, named, f"IdentityFile {key}", *lines)).close()


def as_pkcs8(text: bytes, passphrase: bytes | None) -> bytes:
    key = serialization.load_ssh_private_key(text, None)
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize(
    ("before", "passphrase"),
    [(b"", None), (b"", b"open sesame"), (b"\n\nBag Attributes\n    friendlyName: aws\nKey Attributes: <No>\n", None)],
    ids=["plain", "encrypted", "behind-text"],
)
def test_pkcs8_key_file_logs_in(sshd: Sshd, tmp_path: Path, kind: str, before: bytes, passphrase: bytes | None):
    """Keys as openssl, Terraform and cloud consoles write them, also with text before the key."""
    key = sshd.host_keys[kind]
    sshd.authorize(sshd.user, str(key))
    file = tmp_path / "key"
    file.write_bytes(before + as_pkcs8(key.read_bytes(), passphrase))
    file.chmod(0o600)
    options = replace(sshd.options, passphrases={str(file): Secret((passphrase or b"").decode())} if passphrase else {})
    log_in(sshd, options, identity_file=(str(file),)).close()


def test_key_of_putty_is_named_with_its_remedy(sshd: Sshd, tmp_path: Path):
    """A .ppk is no key file of OpenSSH's; the error says what makes it one."""
    (tmp_path / "key.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    with pytest.raises(AuthError) as caught:
        log_in(sshd, sshd.options, identity_file=(f"{tmp_path}/key.ppk",))
    assert "puttygen FILE -O private-openssh turns it into" in caught.value.message


def test_none_is_asked_before_any_key(once: Sshd, account: Callable[..., str], agent: Callable[[Path], None], tmp_path):
    """A host that lets the account in without a key does so before a stranger's key uses up its one try."""
    user = account("empty")
    subprocess.run(["passwd", "--delete", user], check=True, capture_output=True)
    agent(once.new_key("none-stranger"))
    stranger = once.new_key("none-stranger-file")
    for lines in (("IdentityFile none",), (f"IdentityFile {stranger}",)):
        log_in(once, configured(once, tmp_path, *lines), user=user).close()


def test_two_keys_one_after_the_other(sshd: Sshd, account: Callable[..., str]):
    """`AuthenticationMethods publickey,publickey`: the second factor is another key; one alone does not do."""
    user = account("two-keys")
    with server_for(set_authentication(user, AuthenticationMethods="publickey,publickey")) as server:
        keys = [server.new_key(f"factor-{number}") for number in (1, 2)]
        for key in keys:
            server.authorize(user, str(key))
        log_in(server, server.options, user=user, identity_file=tuple(map(str, keys))).close()
        with pytest.raises(AuthError) as caught:
            log_in(server, server.options, user=user, identity_file=(str(keys[0]),))
    assert f"(tried: {keys[0]}" in caught.value.message


def test_rsa_by_sha_1_where_ssh_config_asks_for_it(tmp_path: Path):
    """A server that takes such a key by SHA-1 only, as those of before 2016, takes it by ours; without, it refuses."""
    if absent := missing():
        pytest.skip(reason=f"what takes a key is a real sshd: {absent}")
    with tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-") as directory:
        server = Sshd(Path(directory), settings="PubkeyAcceptedAlgorithms ssh-rsa,ssh-ed25519")
        try:
            key = server.host_keys["rsa"]
            server.authorize(server.user, str(key))
            named = f"IdentityFile {key}"
            asked_for = configured(server, tmp_path, named, "PubkeyAcceptedAlgorithms ssh-rsa,ssh-ed25519")
            with log_in(server, asked_for) as transport:
                assert type(transport).__name__ == "SshTransport"
            with pytest.raises(AuthError):
                log_in(server, configured(server, tmp_path, named))
        finally:
            server.close()


def test_pubkey_authentication_no_offers_no_key(sshd: Sshd, tmp_path: Path):
    """The right key is left out, and the error says by what."""
    options = configured(sshd, tmp_path, f"IdentityFile {sshd.identity_file}", "PubkeyAuthentication no")
    with pytest.raises(AuthError) as caught:
        log_in(sshd, options)
    assert "(there was no key to try; not: publickey: ssh_config switches it off)" in caught.value.message


def test_security_key_in_a_file_goes_by_the_systems_ssh(sshd: Sshd, tmp_path: Path):
    """Once the host would take it: the library that talks to the token is ssh's, and a note says so."""
    blob, _ = security_key()
    line = f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()}\n"
    with (Path(sshd.identity_file).parent / "authorized_keys" / sshd.user).open("a") as authorized:
        authorized.write(line)
    (tmp_path / "id_ed25519_sk").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "id_ed25519_sk.pub").write_text(line)
    with log_in(sshd, configured(sshd, tmp_path, f"IdentityFile {tmp_path}/id_ed25519_sk")) as transport:
        assert type(transport).__name__ == "OpensshTransport"
        [note] = transport.notes
    assert note.startswith("goes by the system's ssh, which can sign with a security key: cannot log in as ")
