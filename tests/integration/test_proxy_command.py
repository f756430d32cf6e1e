"""ProxyCommand: a command of the user's in place of TCP."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bounded import wait_until, within
from fleetpmap.errors import AuthError, ConfigError, DeadlineError, HostError, UnreachableError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import Bastions, Transport, open_transport
from fleetpmap.transport.base import Deadline, SshOptions
from fleetpmap.transport.ssh.proxy_command import expand
from fleetpmap.transport.ssh.translate import Peer

# What `nc HOST PORT` does, on machines that have no nc: both ways until either side is done.
NETCAT = """\
import os, select, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as there:
    while True:
        for ready in select.select([0, there], [], [])[0]:
            piece = os.read(ready if ready == 0 else there.fileno(), 65536)
            if not piece:
                sys.exit()
            there.sendall(piece) if ready == 0 else os.write(1, piece)
"""


@pytest.fixture
def netcat(tmp_path) -> str:
    """A command that connects to %h and %p."""
    program = tmp_path / "netcat.py"
    program.write_text(NETCAT)
    return f"{shlex.quote(sys.executable)} {program} %h %p"


@pytest.fixture
def options(sshd, tmp_path):
    """Options with a ProxyCommand for every host, and more lines before it."""

    numbers = itertools.count(1)

    def make(command: str, *lines: str) -> SshOptions:
        config = tmp_path / f"config-{next(numbers)}"
        config.write_text("\n".join([*lines, "Host *", f"ProxyCommand {command}"]) + "\n")
        return SshOptions(ssh_config=str(config), known_hosts=(sshd.known_hosts,), retries=0)

    return make


def _open(host: Host, options: SshOptions) -> Transport:
    return open_transport(host, deadline=Deadline.after(30), options=options)


def _says(host: Host, options: SshOptions) -> bytes:
    with _open(host, options) as transport, transport.run("echo here") as channel:
        return b"".join(iter(channel.receive, b""))


def _fails(host: Host, options: SshOptions) -> HostError:
    with pytest.raises(HostError) as caught:
        _says(host, options)
    return caught.value


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
def test_command_carries_the_connection(sshd, options, netcat, kind):
    """As nc would, with the resolved address and port."""
    assert _says(sshd.host(transport=kind), options(netcat)) == b"here\n"


def test_ssh_w_through_another_host(sshd, options):
    """The way of jumping from before there was ProxyJump."""
    command = (
        f"ssh -F none -o BatchMode=yes -o UserKnownHostsFile={sshd.known_hosts} -i {sshd.identity_file} "
        f"-p {sshd.port} -W %h:%p {sshd.user}@127.0.0.1"
    )
    assert _says(sshd.host(), options(command)) == b"here\n"


def test_bastion_may_have_a_command(sshd, sshd_of_fifty, tmp_path, netcat):
    """The first hop's connection is the command's, the host's goes through the hop."""
    config = tmp_path / "config"
    config.write_text(
        f"Host gate\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.identity_file}\n"
        f" ProxyCommand {netcat}\n"
    )
    trusted = SshOptions(ssh_config=str(config), known_hosts=(sshd.known_hosts, sshd_of_fifty.known_hosts))
    assert _says(sshd_of_fifty.host(proxy_jump="gate"), trusted) == b"here\n"


def test_none_is_no_command(sshd, options):
    """A host that is excepted from what holds for all."""
    assert _says(sshd.host(), options("false", "Host 127.0.0.1", "ProxyCommand none")) == b"here\n"


def test_tokens_are_replaced(sshd, options, tmp_path, netcat):
    """Address, name, port and login; %% is a percent sign, and the rest is the shell's."""
    said = tmp_path / "said"
    command = f"sh -c 'echo \"%n %h %p %r 100%%\" >{said}; exec {netcat}'"
    host = sshd.host("box", address="alias")
    assert _says(host, options(command, "Host alias", "HostName 127.0.0.1")) == b"here\n"
    assert said.read_text() == f"alias 127.0.0.1 {sshd.port} {sshd.user} 100%\n"


@pytest.mark.parametrize("command", ["nc %h %C", "nc %h 100%", "date +%s"])
def test_token_that_means_nothing_is_refused(command):
    """As ssh does: it never reaches the shell."""
    with pytest.raises(ConfigError, match=f'cannot be "{re.escape(command)}": %.? means nothing') as caught:
        expand(command, Peer("web-01", "127.0.0.1", 22, "ops"), "web-01")
    assert caught.value.stage == "config"


@pytest.mark.parametrize("user", ["$(touch made)", "a;b", "`id`", "a b", "-oProxyCommand=true"])
def test_name_that_a_shell_would_act_on_is_refused(user):
    """It never reaches the shell (CVE-2023-51385)."""
    with pytest.raises(UnreachableError) as caught:
        expand("nc %h %p %r", Peer("web-01", "127.0.0.1", 22, user), "web-01")
    assert caught.value.stage == "config"
    assert caught.value.message == f'"{user}" cannot stand in a ProxyCommand: a shell would act on it'


def test_command_that_fails_is_quoted(sshd, options):
    """Its status and its last words, not a missing banner."""
    error = _fails(sshd.host("box"), options("sh -c 'echo trying >&2; echo no route to %h >&2; exit 3'"))
    assert (type(error), error.stage, error.host) == (UnreachableError, "banner", "box")
    assert error.message == (
        f"the ProxyCommand for 127.0.0.1 port {sshd.port} ended with exit status 3: no route to 127.0.0.1"
    )


def test_command_that_is_missing(sshd, options):
    """The shell says so."""
    error = _fails(sshd.host(), options("no-such-program-anywhere"))
    assert "ended with exit status 127: " in error.message
    assert "no-such-program-anywhere" in error.message


def test_command_that_says_nothing_ends_with_the_deadline(sshd, options):
    """Under the connect timeout like any other connection."""
    error = _fails(sshd.host(connect_timeout_s=1.0), options("sleep 60"))
    assert (type(error), error.stage) == (DeadlineError, "banner")


def test_refused_login_is_not_the_commands_fault(sshd, options, netcat):
    """The command ends with the connection, but that is not why."""
    assert type(_fails(sshd.host(user="nobody-of-that-name"), options(netcat))) is AuthError


def test_command_that_complains_without_end_blocks_nothing(sshd, options, netcat):
    """A flood on stderr is read and dropped."""
    flood = f"sh -c 'head -c 3000000 /dev/zero >&2; exec {netcat}'"
    assert _says(sshd.host(), options(flood)) == b"here\n"


def test_command_that_dies_in_the_middle(sshd, options, netcat, tmp_path):
    """The error names the signal that killed it."""
    number = tmp_path / "pid"
    host, trusted = sshd.host("box"), options(f"sh -c 'echo $$ >{number}; exec {netcat}'")
    with _open(host, trusted) as transport, transport.run("sh -s") as channel:
        channel.send(b"echo half; sleep 20\n")
        assert channel.receive() == b"half\n"
        psutil.Process(int(number.read_text())).kill()
        with pytest.raises(UnreachableError) as caught:
            channel.receive()
    assert (caught.value.host, caught.value.stage) == ("box", "read")
    assert caught.value.message == f"the connection to 127.0.0.1 port {sshd.port} broke"


@pytest.fixture
def first_fails(tmp_path, netcat):
    """A ProxyCommand that complains and fails the first time, and connects from then on; and how often it was run."""
    log = tmp_path / "starts"

    def make(complaint: str) -> str:
        program = tmp_path / "first-fails"
        program.write_text(
            f"echo >>{log}\n[ $(wc -l <{log}) = 1 ] || exec {netcat.replace('%h', '$1').replace('%p', '$2')}\n"
            f"echo '{complaint}' >&2\nexit 255\n"
        )
        return f"sh {program} %h %p"

    return make, lambda: log.read_text().count("\n")


HUNG_UP = "kex_exchange_identification: Connection closed by remote host"


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
@pytest.mark.parametrize(
    "complaint",
    [HUNG_UP, "kex_exchange_identification: read: Connection reset by peer", "Connection closed by 10.0.0.1 port 22"],
)
def test_command_that_was_hung_up_on_is_tried_again(sshd, options, first_fails, kind, complaint):
    """A full MaxStartups of the bastion, as of a host that is reached without one; also where ssh does it all."""
    command, times = first_fails
    again = replace(options(command(complaint)), retries=1)
    assert (_says(sshd.host(transport=kind), again), times()) == (b"here\n", 2)


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
@pytest.mark.parametrize(
    "complaint", ["ops@gate: Permission denied (publickey).", "channel 0: open failed: connect failed: refused"]
)
def test_command_that_was_refused_is_not_tried_again(sshd, options, first_fails, kind, complaint):
    """A failed login counts on the bastion, and what it cannot reach it will not reach in a moment."""
    command, times = first_fails
    _fails(sshd.host(transport=kind), replace(options(command(complaint)), retries=1))
    assert times() == 1


def test_command_that_ends_without_a_word_is_tried_again(sshd, options, tmp_path):
    """nc exits like this if the host hangs up."""
    log = tmp_path / "starts"
    _fails(sshd.host(), replace(options(f"sh -c 'echo >>{log}'"), retries=1))
    assert log.read_text() == "\n\n"


@pytest.mark.parametrize("kind", ["ssh", "openssh"])
def test_hint_of_a_bastion_that_hangs_up(sshd, options, first_fails, kind):
    """It names what helps: fewer hosts at once, or one connection for all."""
    error = _fails(sshd.host(transport=kind), options(first_fails[0](HUNG_UP)))
    assert "--jobs" in error.hint
    assert "ProxyJump" in error.hint


def test_what_was_sent_is_sent_again(sshd, options, first_fails):
    """The system's ssh takes what it is sent before it is through, and the next one gets it too."""
    again = replace(options(first_fails[0](HUNG_UP)), retries=1)
    with _open(sshd.host(transport="openssh"), again) as transport, transport.run("cat") as channel:
        channel.send(b"one\n")
        channel.send(b"two\n")
        said = b""
        while not said.endswith(b"two\n"):
            said += channel.receive()
        assert said == b"one\ntwo\n"


def test_few_connect_through_a_bastion_at_once():
    """The ninth waits for one of eight, a third of its time at most; another bastion's hosts are not counted."""
    bastions = Bastions()
    turns = [bastions.turn("ssh -W %h:%p gate", Deadline.after(60)) for _ in range(8)]
    began = time.monotonic()
    bastions.turn("ssh -W %h:%p gate", Deadline.after(0.6)).over()
    assert time.monotonic() - began > 0.15
    for _ in range(2):  # the second time does nothing
        turns[0].over()
    with within(15):  # a third of a minute is 20 s
        bastions.turn("ssh -W %h:%p gate", Deadline.after(60))
        bastions.turn("ssh -W %h:%p other", Deadline.after(60))


def test_nothing_is_left_of_the_command(sshd, options, netcat, tmp_path):
    """Nor of what it started, nor of what does not listen to SIGHUP: its whole process group is ended."""
    _says(sshd.host(), options(netcat))
    before, number = _belongings(), tmp_path / "pid"
    for command in (
        f"sleep 1000 & echo $! >{number}; {netcat}",
        f"nohup sleep 1000 >/dev/null & echo $! >{number}; {netcat}",
        f"trap : HUP; echo $$ >{number}; sleep 1000; sleep 1000",
    ):
        with contextlib.suppress(DeadlineError):
            _says(sshd.host(connect_timeout_s=1.0), options(f"sh -c '{command}'"))
        wait_until(lambda: _has_ended(int(number.read_text())))
    assert _belongings() == before


def _has_ended(pid: int) -> bool:
    """A child of another process may stay a zombie, and its number may be reused by then."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return "sleep" not in " ".join(psutil.Process(pid).cmdline())
    return True


def _belongings() -> tuple[int, int, list[psutil.Process]]:
    descriptors = [entry for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return threading.active_count(), len(descriptors), psutil.Process().children()
