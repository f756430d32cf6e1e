"""Host keys against OpenSSH: the same known_hosts, the same verdict of our transport and of the system's ssh."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.errors import HostKeyError, ProtocolError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport, route
from fleetpmap.transport.base import Deadline, SshOptions
from sshd import Sshd

_OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIJ4Ws2nqtgy4cqQ5HfZTPbrRZ3x9JhBRWd4NUBnLu7vA"
"""An ed25519 key of no host."""

# What stands in known_hosts: {at} is [127.0.0.1]:PORT, {ed}, {ecdsa} and {rsa} the server's keys with their types.
CASES = {
    "its key": ("{at} {ed}", True),
    "nothing": ("", False),
    "another port": ("[127.0.0.1]:1 {ed}", False),
    "the bare name": ("127.0.0.1 {ed}", True),
    "another key": ("{at} ssh-ed25519 {other}", False),
    "another key of the bare name": ("127.0.0.1 ssh-ed25519 {other}", False),
    "another key of the bare name, its own of the port": ("127.0.0.1 ssh-ed25519 {other}\n{at} {ed}", True),
    "another key, then its own": ("{at} ssh-ed25519 {other}\n{at} {ed}", True),
    "only its rsa key": ("{at} {rsa}", True),
    "only its ecdsa key": ("{at} {ecdsa}", True),
    "its rsa key, another ed25519": ("{at} {rsa}\n{at} ssh-ed25519 {other}", False),
    "its key twice": ("{at} {ed}\n{at} {ed}", True),
    "a list of names": ("web-01,{at},10.0.0.1 {ed}", True),
    "stars": ("*.0.0.1,[127.*]:* {ed}", True),
    "question marks": ("[127.0.0.?]:* {ed}", True),
    "a negation": ("[127.*]:*,!{at} {ed}", False),
    "a negation alone": ("!web-01 {ed}", False),
    "a negation of others": ("[127.*]:*,!web-01 {ed}", True),
    "a set of characters, which ssh does not know": ("[127.0.0.[1]]:* {ed}", False),
    "revoked": ("{at} {ed}\n@revoked * {ed}", False),
    "revoked, of another host": ("{at} {ed}\n@revoked web-01 {ed}", True),
    "revoked, another key": ("{at} {ed}\n@revoked * ssh-ed25519 {other}", True),
    "an authority, but no certificate": ("@cert-authority * {ed}", False),
    "an unknown marker": ("@trusted {at} {ed}", False),
    "an unknown marker, then its key": ("@trusted {at} {ed}\n{at} {ed}", True),
    "a comment behind it": ("{at} {ed} root@box # and more", True),
    "blanks before and between": ("  {at}\t \t{ed}", True),
    "Windows line ends": ("{at} {ed}\r", True),
    "commented out": ("# {at} {ed}", False),
    "the key of another type's name": ("{at} ssh-rsa {ed_alone}", False),
    "a bad line, then its key": ("{at} nonsense\n{at} ssh-ed25519 AAAA\n{at} {ed}", True),
    "a bad line of another key": ("{at} ssh-ed25519 {other}=\n{at} {ed}", True),
    "port 22 spelled out": ("[127.0.0.1]:22 {ed}", False),
}


def _known(sshd: Sshd, text: str, path: Path) -> SshOptions:
    keys = {kind: sshd.public_key(file) for kind, file in sshd.host_keys.items()}
    at = f"[127.0.0.1]:{sshd.port}"
    alone = keys["ed25519"].split()[1]
    lines = text.format(at=at, ed=keys["ed25519"], ed_alone=alone, other=_OTHER, **keys)
    path.write_text(f"{lines}\n" if lines else "")
    return SshOptions(known_hosts=(str(path),), ssh_config=sshd.ssh_config, host_key="strict")


def _says(host: Host, options: SshOptions) -> tuple[bytes, tuple[str, ...]]:
    """The output of a command there, and the notes about the way."""
    transport = open_transport(host, deadline=Deadline.after(30), options=options)
    with transport, transport.run("echo here") as channel:
        return b"".join(iter(channel.receive, b"")), transport.notes


def _we_go_on(host: Host, options: SshOptions) -> bool:
    try:
        return _says(host, options)[0] == b"here\n"
    except HostKeyError:
        return False


def _ssh_goes_on(sshd: Sshd, options: SshOptions, *more: str) -> bool:
    """The same of the system's ssh; if it fails for another reason than the host key, so does the test."""
    words = ["-F", sshd.ssh_config, "-i", sshd.identity_file, "-p", str(sshd.port), "-l", sshd.user]
    given = {"UserKnownHostsFile": options.known_hosts[0], "GlobalKnownHostsFile": "none", "BatchMode": "yes"}
    given |= {"StrictHostKeyChecking": "yes" if options.host_key == "strict" else "accept-new", "UpdateHostKeys": "no"}
    words += [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(["ssh", *words, *more, "127.0.0.1", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "Host key verification failed" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("case", CASES)
def test_same_verdict_as_openssh(sshd, tmp_path, case):
    """In strict mode, the verdict on each kind of host key."""
    text, trusted = CASES[case]
    options = _known(sshd, text, tmp_path / "known_hosts")
    assert (_we_go_on(sshd.host(), options), _ssh_goes_on(sshd, options)) == (trusted, trusted)


@pytest.mark.parametrize("case", ["its key", "another key", "a negation", "only its rsa key", "revoked"])
def test_same_verdict_on_hashed_names(sshd, tmp_path, case):
    """The file as `ssh-keygen -H` leaves it: it hashes what has no pattern, and keeps the rest."""
    text, trusted = CASES[case]
    options = _known(sshd, text, tmp_path / "known_hosts")
    subprocess.run(["ssh-keygen", "-H", "-f", options.known_hosts[0]], capture_output=True, check=True)
    assert (_we_go_on(sshd.host(), options), _ssh_goes_on(sshd, options)) == (trusted, trusted)


@pytest.mark.parametrize(("case", "goes_on"), [("nothing", True), ("another key", False), ("another port", True)])
def test_same_verdict_and_file_with_accept_new(sshd, tmp_path, case, goes_on):
    """A new host is believed, a changed one is not; both write the same line, and keep what was there."""
    ours = replace(_known(sshd, CASES[case][0], tmp_path / "ours"), host_key="accept-new")
    theirs = replace(_known(sshd, CASES[case][0], tmp_path / "theirs"), host_key="accept-new")
    assert (_we_go_on(sshd.host(), ours), _ssh_goes_on(sshd, theirs)) == (goes_on, goes_on)
    assert (tmp_path / "ours").read_text() == (tmp_path / "theirs").read_text()


def test_alias_is_looked_up_as_it_is(sshd, tmp_path):
    """HostKeyAlias takes the place of name and port, for us as for ssh."""
    config = tmp_path / "config"
    config.write_text("HostKeyAlias Fleet\n")
    for text, trusted in (("fleet {ed}", True), ("[fleet]:22 {ed}", False), ("{at} {ed}", False)):
        options = replace(_known(sshd, text, tmp_path / "known"), ssh_config=str(config))
        alias = ("-o", "HostKeyAlias=Fleet")
        assert (_we_go_on(sshd.host(), options), _ssh_goes_on(sshd, options, *alias)) == (trusted, trusted), text


def test_unknown_key_says_how_to_trust_it(sshd, tmp_path):
    """The fingerprint as ssh-keygen prints it, and a command that can be copied."""
    options = _known(sshd, "", tmp_path / "known")
    key = str(sshd.host_keys["ed25519"])
    print_it = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()[1]
    with pytest.raises(HostKeyError) as caught:
        open_transport(sshd.host(), deadline=Deadline.after(30), options=options)
    assert caught.value.message == f"the host key of 127.0.0.1 port {sshd.port} is unknown: ssh-ed25519 {print_it}"
    assert caught.value.hint == (
        f"compare it with the host's own (ssh-keygen -lf), then run `ssh-keyscan -p {sshd.port} 127.0.0.1 >> "
        f"{tmp_path}/known`; or trust every host that is new: --host-key accept-new"
    )


def test_unknown_alias_is_for_ssh_to_ask(sshd, tmp_path):
    """ssh-keyscan would write down the address, under which no lookup is made."""
    config = tmp_path / "config"
    config.write_text("HostKeyAlias fleet\n")
    options = replace(_known(sshd, "", tmp_path / "known"), ssh_config=str(config))
    with pytest.raises(HostKeyError) as caught:
        open_transport(sshd.host(), deadline=Deadline.after(30), options=options)
    assert f"then run `ssh -p {sshd.port} {sshd.user}@127.0.0.1 true` and answer yes" in caught.value.hint


def test_changed_key_says_which_line(sshd, tmp_path):
    """File and line of the key that was expected."""
    options = _known(sshd, "# fleet\n{at} ssh-ed25519 {other}", tmp_path / "known")
    with pytest.raises(HostKeyError) as caught:
        open_transport(sshd.host(), deadline=Deadline.after(30), options=options)
    assert f"is not the one at {tmp_path}/known:2: ssh-ed25519 SHA256:" in caught.value.message


class _Certified(Sshd):
    """An sshd whose ed25519 key has a certificate of an authority, for the name 127.0.0.1."""

    def _start(self, addresses, settings):
        self.authority = self.new_key("authority")
        key = self.host_keys["ed25519"]
        sign = ["ssh-keygen", "-q", "-h", "-s", str(self.authority), "-I", "box", "-n", "127.0.0.1", "-V", "+1h"]
        subprocess.run([*sign, str(key)], check=True, capture_output=True)
        return super()._start(addresses, f"{settings}\nHostCertificate {key}-cert.pub")


def test_host_certificate_goes_by_openssh(sshd, tmp_path):
    """@cert-authority: paramiko knows no host certificates, ssh does."""
    assert sshd  # where it cannot run, this one cannot either
    tmp_path.chmod(0o755)
    known = tmp_path / "known"
    with contextlib.closing(_Certified(tmp_path)) as server:
        known.write_text(f"# fleet\n@cert-authority 127.* {server.public_key(server.authority)}\n")
        assert _says(server.host(), replace(server.options, known_hosts=(str(known),))) == (
            b"here\n",
            (f"goes by the system's ssh: {known}:2 trusts an authority for its host key",),
        )


@pytest.fixture(scope="module")
def certified(sshd, tmp_path_factory):
    """A server with a certificate, for all cases below."""
    assert sshd  # where it cannot run, this one cannot either
    directory = tmp_path_factory.mktemp("certified")
    directory.chmod(0o755)
    with contextlib.closing(_Certified(directory)) as server:
        yield server


# {ca} is the authority of the server's certificate, {stale} and {stale_rsa} keys of before it was set up anew.
_AUTHORITY_CASES = {
    "and an old key": ("@cert-authority * {ca}\n{at} {stale}", True),
    "after an old key of another type": ("{at} {stale_rsa}\n@cert-authority * {ca}", True),
    "by the name with its port, an old key by the bare name": ("@cert-authority {at} {ca}\n127.0.0.1 {stale}", True),
    "by the bare name, an old key by the name with its port": ("@cert-authority 127.0.0.1 {ca}\n{at} {stale}", True),
    "in a list of hosts": ("@cert-authority web-*,127.0.0.1,db {ca}\n{at} {stale}", True),
    "behind another authority": ("@cert-authority * {stale}\n@cert-authority * {ca}\n{at} {stale}", True),
    "of other hosts": ("@cert-authority web-*,!127.0.0.1 {ca}\n{at} {stale}", False),
    "of another port": ("@cert-authority [127.0.0.1]:1 {ca}\n{at} {stale}", False),
    "that signed nothing": ("@cert-authority * {stale}\n{at} {stale}", False),
    "that is revoked": ("@cert-authority * {ca}\n@revoked * {ca}\n{at} {stale}", False),
    "and the key itself revoked": ("@cert-authority * {ca}\n@revoked * {ed}\n{at} {stale}", False),
}


@pytest.mark.parametrize("case", _AUTHORITY_CASES)
def test_same_verdict_on_an_authority_beside_an_old_key(certified, sshd, tmp_path, case):
    """A certificate is valid even if another plain key was known before; ssh checks it, and the note says so."""
    text, trusted = _AUTHORITY_CASES[case]
    stale = {kind: sshd.public_key(sshd.host_keys[kind]) for kind in ("ed25519", "rsa")}
    keys = {"ca": certified.public_key(certified.authority), "stale": stale["ed25519"], "stale_rsa": stale["rsa"]}
    keys |= {"at": f"[127.0.0.1]:{certified.port}", "ed": certified.public_key(certified.host_keys["ed25519"])}
    (tmp_path / "known").write_text(text.format(**keys) + "\n")
    options = replace(certified.options, known_hosts=(str(tmp_path / "known"),), host_key="strict")
    assert (_we_go_on(certified.host(), options), _ssh_goes_on(certified, options)) == (trusted, trusted)


def test_authority_beside_an_old_key_is_told(certified, sshd, tmp_path):
    """The note says which line trusts the authority, and which one is out of date."""
    known, at = tmp_path / "known", f"[127.0.0.1]:{certified.port}"
    stale, authority = sshd.public_key(sshd.host_keys["ed25519"]), certified.public_key(certified.authority)
    known.write_text(f"@cert-authority * {authority}\n{at} {stale}\n")
    output, notes = _says(certified.host(), replace(certified.options, known_hosts=(str(known),), host_key="strict"))
    assert output == b"here\n"
    assert notes[0].startswith(
        f"goes by the system's ssh, which checks the certificate that {known}:1 trusts an authority for: the host key "
        f"of 127.0.0.1 port {certified.port} is not the one at {known}:2: ssh-ed25519 SHA256:"
    )


def test_key_that_is_known_beside_an_authority_is_enough(sshd, tmp_path):
    """No reason to pay for ssh's process."""
    options = _known(sshd, "@cert-authority * ssh-ed25519 {other}\n{at} {ed}", tmp_path / "known")
    assert _says(sshd.host(), options) == (b"here\n", ())


def test_security_key_of_a_host_goes_by_openssh(tmp_path):
    """A FIDO host key, which paramiko does not know, and an alias that is looked up as any other name."""
    known = tmp_path / "known"
    key = "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJ4Ws2nqtgy4cqQ5HfZTPbrRZ3x9JhBRWd4NUBnLu7vAAAAABHNzaDo="
    known.write_text(f"10.0.0.13 sk-ssh-ed25519@openssh.com {key}\n")
    options = SshOptions(known_hosts=(str(known),), ssh_config="none")
    taken = route(Host("box", address="10.0.0.13"), options)
    assert taken.transport == "openssh"
    assert taken.note == (f"goes by the system's ssh: {known}:1 knows it by a key of type sk-ssh-ed25519@openssh.com")
    assert route(Host("box", address="10.0.0.14"), options).transport == "ssh"


@pytest.mark.parametrize("checking", ["accept-new", "no"])
def test_no_file_of_the_users_takes_no_new_key(sshd, tmp_path, checking):
    """UserKnownHostsFile none: the system's file is never written, and an unknown host is refused, as by ssh."""
    system = tmp_path / "system"
    system.write_text("# the system's\n")
    config = tmp_path / "config"
    config.write_text(
        f"UserKnownHostsFile none\nGlobalKnownHostsFile {system}\nStrictHostKeyChecking {checking}\n"
        f"IdentityFile {sshd.identity_file}\n"
    )
    argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "-p", str(sshd.port), f"{sshd.user}@127.0.0.1", "true"]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 255
    with pytest.raises(HostKeyError) as caught:
        _says(sshd.host(), SshOptions(ssh_config=str(config)))
    assert caught.value.hint.endswith(
        f"then have it added to {system}; it cannot be accepted, since UserKnownHostsFile none names no file to write "
        "it to"
    )
    assert system.read_text() == "# the system's\n"


def test_the_systems_file_is_read_without_one_of_the_users(sshd, tmp_path):
    """UserKnownHostsFile none and a key that the system's file has."""
    (tmp_path / "system").write_text("\n".join(sshd.known_hosts_lines("ed25519")) + "\n")
    config = tmp_path / "config"
    config.write_text(f"UserKnownHostsFile none\nGlobalKnownHostsFile {tmp_path}/system\nStrictHostKeyChecking no\n")
    assert _says(sshd.host(), SshOptions(ssh_config=str(config))) == (b"here\n", ())


@pytest.mark.parametrize(("file", "note"), [("/dev/null", "written to /dev/null"), ("/proc/known", "could not write")])
def test_a_file_that_keeps_nothing(sshd, tmp_path, file, note):
    """The host is believed, as the user asked for, and the system's file stays as it is."""
    (tmp_path / "system").touch()
    config = tmp_path / "config"
    config.write_text(
        f"UserKnownHostsFile {file}\nGlobalKnownHostsFile {tmp_path}/system\nStrictHostKeyChecking accept-new\n"
    )
    output, notes = _says(sshd.host(), SshOptions(ssh_config=str(config)))
    assert (output, note in notes[0]) == (b"here\n", True)
    assert (tmp_path / "system").read_text() == ""


_OLD = "KexAlgorithms diffie-hellman-group1-sha1"


def test_server_too_old_goes_by_openssh(sshd, tmp_path):
    """If ssh_config allows the algorithm, we use it too, and a note gives the reason for the way."""
    assert sshd  # where it cannot run, this one cannot either
    tmp_path.chmod(0o755)
    with contextlib.closing(Sshd(tmp_path, settings=_OLD)) as server:
        config = tmp_path / "config"
        config.write_text("KexAlgorithms +diffie-hellman-group1-sha1\n")
        output, notes = _says(server.host(), replace(server.options, ssh_config=str(config)))
    assert output == b"here\n"
    assert notes[0].startswith("goes by the system's ssh")


def test_server_too_old_for_ssh_too(sshd, tmp_path):
    """The message names the algorithms of both sides, and how ssh_config allows the host's."""
    assert sshd  # where it cannot run, this one cannot either
    tmp_path.chmod(0o755)
    with contextlib.closing(Sshd(tmp_path, settings=_OLD)) as server, pytest.raises(ProtocolError) as caught:
        _says(server.host(), server.options)
    assert caught.value.message == (
        f"no common ground with 127.0.0.1 port {server.port}: Incompatible ssh peer (no acceptable kex algorithm)"
    )
    assert "`KexAlgorithms +NAME`" in caught.value.hint
