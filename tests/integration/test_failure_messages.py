"""What a user reads when a host fails: the host's own reason, whose fault it is, and advice that helps."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.errors import (
    AuthError,
    DeadlineError,
    ExhaustedError,
    HostError,
    HostKeyError,
    ProtocolError,
    RemoteError,
)
from fleetpmap.inventory.hosts import Host
from fleetpmap.probe.startup import broke_off
from fleetpmap.processes import Selection
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.openssh import classify
from fleetpmap.transport.ssh.certificate import validity
from passwords import server_for, set_authentication, set_password
from sshd import Sshd

SECONDS = 30
"""How long a failure may take to be told, where the host is given 60 s."""


def run(host: Host, options: SshOptions) -> None:
    """Run a command there, whatever comes of it."""
    with (
        open_transport(host, deadline=Deadline.after(60), options=options) as transport,
        transport.run("true") as channel,
    ):
        channel.receive()


def fail(host: Host, options: SshOptions) -> HostError:
    """Run a command there; the error that comes of it, in good time."""
    started = time.monotonic()
    with pytest.raises(HostError) as caught:
        run(host, options)
    assert time.monotonic() - started < SECONDS
    return caught.value


@pytest.fixture
def serve(sshd: Sshd) -> Iterator[Callable[[str], Sshd]]:
    """Starts servers of other settings, which end with the test."""
    assert sshd  # where it cannot run, these cannot either
    with contextlib.ExitStack() as servers:

        def start(settings: str) -> Sshd:
            directory = Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-")))
            return servers.enter_context(contextlib.closing(Sshd(directory, settings=settings)))

        yield start


def signed(sshd: Sshd, name: str, kind: str, when: str) -> Path:
    """A key with a certificate for everyone beside it, valid from and to as ssh-keygen -V takes them."""
    authority = sshd.new_key(f"{name}-authority")
    key = sshd.host_keys["rsa"] if kind == "rsa" else sshd.new_key(name, kind)  # making one of RSA takes a second
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", name, "-n", sshd.user, "-V", when, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    return key


def test_certificate_that_has_expired(sshd: Sshd) -> None:
    """The host refuses it without a reason; that we know from the certificate itself."""
    key = signed(sshd, "expired", "ed25519", "-5h:-3h")
    error = fail(sshd.host(identity_file=(str(key),)), sshd.options)
    assert type(error) is AuthError
    assert f"{key} with {key}-cert.pub (expired 3 h ago)" in error.message
    assert error.hint.startswith("have the certificate signed anew, or ")


@pytest.mark.parametrize(
    ("kind", "seconds", "text"),
    [
        ("ed25519", 0, ""),
        ("ed25519", 3600 + 45, "expired 45 s ago"),
        ("ecdsa", 3600 + 360, "expired 6 min ago"),
        ("ed25519", 3600 + 3 * 86400 + 30, "expired 3 d ago"),
        ("rsa", -7230, "not valid for another 60 min"),
    ],
)
def test_validity_of_each_type(sshd: Sshd, kind: str, seconds: int, text: str) -> None:
    """The dates stand behind the key's own fields, of which each type has others."""
    now = int(time.time())
    # Dates, since the seconds that ssh-keygen takes to start would count into -1h:+1h.
    valid = ":".join(time.strftime("%Y%m%d%H%M%S", time.localtime(now + hours * 3600)) for hours in (-1, 1))
    key = signed(sshd, f"valid-{kind}-{abs(seconds)}", kind, valid)
    certificate = base64.b64decode(Path(f"{key}-cert.pub").read_text().split()[1])
    assert validity(certificate, now + seconds) == text


def test_certificate_that_is_garbage_has_no_validity() -> None:
    """What is cut, or has a length of four gigabytes, says nothing."""
    assert validity(b"\x00\x00\x00\x1cssh-rsa-cert-v01@openssh.com\xff\xff\xff\xff") == ""
    assert validity(b"") == ""


def test_account_that_has_expired(account: Callable[..., str]) -> None:
    """The host tells it by a banner before it hangs up: its sentence is the message."""
    user = account("lapsed")
    subprocess.run(["usermod", "--expiredate", "1970-01-02", user], check=True, capture_output=True)
    with server_for() as server:
        server.authorize(user, server.identity_file)
        error = fail(server.host(user=user), server.options)
    assert type(error) is AuthError
    assert "the host hung up, and said" in error.message
    assert "Your account has expired; please contact your system administrator." in error.message


def test_greeting_of_each_login_is_no_reason(serve: Callable[[str], Sshd], tmp_path: Path) -> None:
    """The legal notice of sshd's Banner comes before any answer, and tells nothing about this login."""
    (tmp_path / "notice").write_text("Authorized use only\n")
    server = serve(f"Banner {tmp_path}/notice")
    error = fail(server.host(identity_file=(str(server.new_key("stranger")),)), server.options)
    assert type(error) is AuthError
    assert "Authorized use" not in error.message


def test_one_wrong_key_and_no_second_try(serve: Callable[[str], Sshd]) -> None:
    """MaxAuthTries 1: the host's farewell, which key was tried, and the option."""
    server = serve("MaxAuthTries 1")
    key = server.new_key("wrong")
    error = fail(server.host(identity_file=(str(key),)), server.options)
    assert type(error) is AuthError
    assert f"tried: {key}" in error.message
    assert "Too many authentication failures; its MaxAuthTries" in error.message


@pytest.mark.parametrize(
    ("settings", "theirs", "option"),
    [
        ("Ciphers aes256-cbc", "it has aes256-cbc; fleetpmap has aes", "`Ciphers +NAME`"),
        ("KexAlgorithms diffie-hellman-group1-sha1", "it has diffie-hellman-group1-sha1", "`KexAlgorithms +NAME`"),
    ],
)
def test_nothing_in_common(serve: Callable[[str], Sshd], settings: str, theirs: str, option: str) -> None:
    """Which side has what, and the option that would allow it; the system's ssh could not either."""
    server = serve(settings)
    error = fail(server.host(), server.options)
    assert type(error) is ProtocolError
    assert error.message.startswith(f"no common ground with 127.0.0.1 port {server.port}: ")
    assert theirs in error.hint
    assert option in error.hint


@pytest.mark.parametrize(
    "settings",
    ["KexAlgorithms sntrup761x25519-sha512@openssh.com", "Ciphers aes256-ctr\nMACs umac-64-etm@openssh.com"],
)
def test_newer_algorithm_is_not_called_old(serve: Callable[[str], Sshd], settings: str) -> None:
    """Where only the system's ssh has what the server wants, the note does not say which of them is the older."""
    server = serve(settings)
    with open_transport(server.host(), deadline=Deadline.after(60), options=server.options) as transport:
        assert transport.notes[0].startswith("goes by the system's ssh, which knows other algorithms: no common ground")


def test_host_that_allows_no_session(serve: Callable[[str], Sshd]) -> None:
    """MaxSessions 0 lets us log in and nothing more."""
    server = serve("MaxSessions 0")
    error = fail(server.host(), server.options)
    assert (type(error), error.stage) == (RemoteError, "exec")
    assert error.message == f"127.0.0.1 port {server.port} opens no session: Connect failed"
    assert "MaxSessions" in error.hint
    by_ssh = collect([server.host(transport="openssh")], Question(Selection(), ssh=server.options)).hosts[0].failure
    assert by_ssh is not None
    assert "MaxSessions" in by_ssh.hint


def test_revoked_key_is_never_to_be_accepted(sshd: Sshd, tmp_path: Path) -> None:
    """RevokedHostKeys of ssh_config, which the system's ssh reads: the message is its own, the advice is ours."""
    revoked, config = tmp_path / "revoked", tmp_path / "config"
    revoked.write_text("".join(f"{sshd.public_key(key)}\n" for key in sshd.host_keys.values()))
    config.write_text(f"RevokedHostKeys {revoked}\n")
    error = fail(sshd.host(), replace(sshd.options, ssh_config=str(config)))
    assert type(error) is HostKeyError
    assert "revoked" in error.message
    assert "accept" not in error.hint


@pytest.mark.parametrize(
    ("stderr", "kind", "stage", "hint"),
    [
        ("Certificate invalid: expired\nHost key verification failed.", HostKeyError, "host-key", "signed anew"),
        ("Certificate invalid: name is not a listed principal\n", HostKeyError, "host-key", "signed anew"),
        (
            "Host key ED25519 SHA256:XW revoked by file /etc/ssh/rev\nHost key verification failed.",
            HostKeyError,
            "host-key",
            "give the host a new one",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            HostKeyError,
            "host-key",
            "may be listening in between",
        ),
        (
            "No ED25519 host key is known for web-03 and you have requested strict checking.\n",
            HostKeyError,
            "host-key",
            "accept-new for a host that is new",
        ),
        ("Host key verification failed.", HostKeyError, "host-key", "the key of a bastion on the way"),
        ("channel 0: open failed: connect failed: open failed", RemoteError, "exec", "MaxSessions"),
        ("socket: Too many open files", ExhaustedError, "tcp", "--jobs"),
        (
            "kex_exchange_identification: Connection closed by remote host",
            ProtocolError,
            "banner",
            "PerSourcePenalties",
        ),
    ],
)
def test_complaints_of_ssh(stderr: str, kind: type[HostError], stage: str, hint: str) -> None:
    """The first line that says why decides; only an unknown key may be accepted."""
    error = classify(stderr, "web-03", anything_came=False)
    assert error is not None
    assert (type(error), error.stage) == (kind, stage)
    assert hint in error.hint
    assert ("accept-new" in error.hint) == ("No ED25519" in stderr)


def test_changed_host_key_by_the_systems_ssh(sshd: Sshd, tmp_path: Path) -> None:
    """The message names the host, the file and the line of the expected key: not the frame of ssh's warning."""
    known_hosts = tmp_path / "known_hosts"
    other = sshd.public_key(sshd.new_key(f"other-{tmp_path.name}"))
    known_hosts.write_text(f"# one line\n[{sshd.addresses[0]}]:{sshd.port} {other}\n")
    host = sshd.host("web-03", transport="openssh")
    with pytest.raises(HostKeyError) as caught:
        run(host, replace(sshd.options, known_hosts=(str(known_hosts),)))
    assert caught.value.message == (
        f"ssh: Host key for [{sshd.addresses[0]}]:{sshd.port} has changed and you have requested strict checking. "
        f"(Offending ED25519 key in {known_hosts}:2)"
    )


def test_out_of_descriptors_is_no_fault_of_the_host(sshd: Sshd) -> None:
    """Our own limit is reached: the message says so, and what to do."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    host = sshd.host("full", identity_file=(str(sshd.new_key("unused")),))
    with contextlib.suppress(HostError):
        run(host, sshd.options)  # imports what it needs
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, limits[1]))
    with contextlib.ExitStack() as taken:
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.dup(0))
        failure = collect([host], Question(Selection(), ssh=sshd.options)).hosts[0].failure
    assert failure is not None
    assert (failure.status, failure.message) == ("error", "this program has no descriptor left: Too many open files")
    assert "`ulimit -n`" in failure.hint
    assert "--jobs" in failure.hint


def test_slow_match_exec_has_the_time_of_the_host(sshd: Sshd, tmp_path: Path) -> None:
    """ssh runs the command for as long as --connect-timeout; then its line in ssh_config is what to look at."""
    config = tmp_path / "config"
    config.write_text('Match exec "sleep 20"\n ForwardAgent no\n')
    error = fail(sshd.host(connect_timeout_s=0.5), replace(sshd.options, ssh_config=str(config)))
    assert (type(error), error.stage) == (DeadlineError, "config")
    assert "`ssh -G 127.0.0.1` did not say within 0.5 s" in error.message
    assert "`Match exec`" in error.hint


def test_open_connection_of_ssh_is_used_where_we_cannot_log_in(account: Callable[..., str], tmp_path: Path) -> None:
    """A second factor that only the user can give was given to ssh's ControlMaster: the host goes through it."""
    user, program = account("master"), tmp_path / "answer"
    set_password(user, "one time 5")
    program.write_text("#!/bin/sh\necho 'one time 5'\n")
    program.chmod(0o755)
    both = set_authentication(user, AuthenticationMethods="publickey,password", PasswordAuthentication="yes")
    with server_for(both) as server, tempfile.TemporaryDirectory(prefix="fpm-") as short:
        server.authorize(user, server.identity_file)
        config = tmp_path / "config"
        config.write_text(f"ControlPath {short}/%C\n")
        host, options = server.host(user=user), replace(server.options, ssh_config=str(config))
        assert type(fail(host, options)) is AuthError
        argv = ["ssh", "-F", str(config), "-o", "ControlMaster=yes", "-o", f"UserKnownHostsFile={server.known_hosts}"]
        argv += ["-i", server.identity_file, "-p", str(server.port), "-l", user, "-N", "127.0.0.1"]
        environment = {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "PATH": os.environ["PATH"]}
        with subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as master:
            until = time.monotonic() + 60
            while not any(Path(short).iterdir()) and master.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            with open_transport(host, deadline=Deadline.after(60), options=options) as transport:
                assert transport.notes[0].startswith(
                    "goes by the system's ssh, which has a connection open (ControlPath)"
                )
                with transport.run("echo through") as channel:
                    assert channel.receive() == b"through\n"
            master.terminate()


@pytest.mark.parametrize(
    ("stderr", "kind", "message"),
    [
        (
            "gzip: error while loading shared libraries: libc.so.6: failed to map segment from shared object\n",
            RemoteError,
            "a limit of the account stopped the probe: gzip: error while loading",
        ),
        ("sh: 413: Cannot fork\nsh: 2: x: y\n", RemoteError, "a limit of the account stopped the probe: sh: 413"),
        (
            "sh: 1: gzip: Permission denied\n",
            ProtocolError,
            "the answer was cut; it said: sh: 1: gzip: Permission denied",
        ),
        ("", ProtocolError, "the answer was cut"),
    ],
)
def test_answer_that_was_cut_says_why(stderr: str, kind: type[HostError], message: str) -> None:
    """What stands on stderr when the probe breaks off is the reason, a limit of the account above all."""
    error = broke_off(ProtocolError("the answer was cut", host="web-03", stage="list", hint="run it again"), stderr)
    assert type(error) is kind
    assert error.message.startswith(message)
    assert error.hint
