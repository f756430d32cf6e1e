"""The behaviour that all transports share.   A new one adds a fixture and its name to ROUTES.

A route is a Host and the SshOptions to open it with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fleetpmap.errors import DeadlineError, RemoteError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import STDERR_LIMIT, Channel, Deadline, SshOptions, Transport

ROUTES = ["local_route", "ssh_route", "openssh_route", "demo_route"]

MIB = 1 << 20
Route = tuple[Host, SshOptions]
Open = Callable[..., Transport]


@pytest.fixture
def local_route() -> Route:
    return Host("here", transport="local"), SshOptions()


@pytest.fixture
def ssh_route(sshd) -> Route:
    return sshd.host(), sshd.options


@pytest.fixture
def openssh_route(sshd) -> Route:
    return sshd.host(transport="openssh"), sshd.options


_DEMO_SERVER = """
import json, sys
from fleetpmap.demo.server import serve
with serve({"demo": "/proc"}) as inventory:
    host = inventory.hosts["demo"]
    keys = ("name", "address", "port", "user", "identity_file", "known_hosts")
    print(json.dumps({key: getattr(host, key) for key in keys}), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def demo_route() -> Iterator[Route]:
    """The demo's server; in a process of its own, so that what a test counts here is the transport's alone."""
    argv = [sys.executable, "-c", _DEMO_SERVER]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield Host(**json.loads(server.stdout.readline())), SshOptions(ssh_config="none")
        server.communicate()


@pytest.fixture(params=ROUTES)
def connect(request: pytest.FixtureRequest) -> Open:
    """Opens the transport under test, with so many seconds for everything."""
    host, options = request.getfixturevalue(request.param)
    return lambda seconds=60.0: open_transport(host, deadline=Deadline.after(seconds), options=options)


@pytest.fixture
def nothing_left(connect: Open) -> Iterator[None]:
    """Fails a test after which a thread, a descriptor or a child of this process is left."""
    connect().close()  # what an import or a first use keeps for the whole run is not a leak
    before = _belongings()
    yield
    assert _belongings() == before


def _belongings() -> tuple[set[str], list[str], set[int]]:
    threads = {thread.name for thread in threading.enumerate()}
    # Those that are still there: the listing's own descriptor is not.
    descriptors = sorted(entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists())
    return threads, descriptors, {child.pid for child in psutil.Process().children()}


def _everything(channel: Channel) -> bytes:
    return b"".join(iter(channel.receive, b""))


def test_every_byte_value_passes_both_ways(connect):
    """No byte is special: no pty, no newline translation, no text decoding."""
    sent = bytes(range(256)) * 4
    with connect() as transport, transport.run("head -c 1024") as channel:
        channel.send(sent)
        assert _everything(channel) == sent
        assert channel.finish() == 0


def test_both_streams_flow_at_the_same_time(connect):
    """8 MiB of output and 4 MiB of complaints at once neither hang nor mix."""
    script = b"head -c 4194304 /dev/zero >&2 & head -c 8388608 /dev/zero | tr '\\0' x; wait\n"
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(script + b"exit\n")
        assert _everything(channel) == b"x" * (8 * MIB)
        assert channel.finish() == 0


def test_stderr_is_kept_from_its_beginning_and_bounded(connect):
    """The first words of stderr explain a failure; a flood after them is read and dropped."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"echo first >&2; head -c 1000000 /dev/zero >&2; exit\n")
        assert _everything(channel) == b""
        assert channel.finish() == 0
        assert channel.stderr.startswith(b"first\n\0")
        assert len(channel.stderr) == STDERR_LIMIT


def test_exit_status_is_the_commands(connect):
    """Statuses arrive as the command gave them."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"echo bye; exit 3\n")
        assert _everything(channel) == b"bye\n"
        assert channel.finish() == 3


def test_status_255_without_a_word_is_the_commands(connect):
    """255 is also ssh's own status for failure, but ssh would say why."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"exit 255\n")
        assert _everything(channel) == b""
        assert channel.finish() == 255


def test_command_ended_by_a_signal_has_no_status(connect):
    """A signal is no exit status; the system's ssh says 255 then, and a login shell that waits for the command 137."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"kill -9 $$\n")
        assert _everything(channel) == b""
        assert channel.finish() in (None, 255, 137)


def test_far_side_may_close_its_output_before_it_ends(connect):
    """The end of stdout is not the end of the command: finish() waits for that."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"echo last; exec >&- 2>&-; sleep 0.3; exit 4\n")
        assert _everything(channel) == b"last\n"
        assert channel.finish() == 4


def test_large_input_is_echoed_while_it_is_sent(connect):
    """4 MiB go in before anything is received, although the far side echoes from the first byte."""
    sent = bytes(range(256)) * 4096 * 4
    with connect() as transport, transport.run("head -c 4194304") as channel:
        channel.send(sent)
        assert _everything(channel) == sent
        assert channel.finish() == 0


def test_input_that_nobody_reads_is_dropped(connect):
    """A command that ended takes no input; its own status is what counts."""
    with connect() as transport, transport.run("true") as channel:
        channel.send(b"x" * (4 * MIB))
        assert _everything(channel) == b""
        assert channel.finish() == 0


def test_dialogue_on_one_channel(connect):
    """The bytes sent are answered before more are sent: the two phases of a probe."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(b"echo one\n")
        assert channel.receive() == b"one\n"
        channel.send(b"echo two; exit\n")
        assert _everything(channel) == b"two\n"


SLOWLY = {
    "in time": b"echo one; sleep 0.2; echo two; sleep 0.2; echo end; cat",
    "in two messages": b"echo one; sleep 0.2; echo two; printf en; sleep 0.2; echo d; cat",
    "never": b"echo one; sleep 0.2; echo two; exit",
    "behind a lot": b"head -c 1000000 /dev/zero; sleep 0.2; echo end; cat",
    "beside a flood of stderr": b"head -c 20000000 /dev/zero >&2; echo one; sleep 0.2; echo end; cat",
}
CAME = {"never": b"one\ntwo\n", "behind a lot": bytes(1_000_000) + b"end\n", "beside a flood of stderr": b"one\nend\n"}


@pytest.mark.parametrize("when", SLOWLY)
def test_waiting_for_an_end_loses_nothing(connect, when):
    """receive(until) gives everything up to those bytes, in one piece or more, and what there is if they do not
    come."""
    with connect() as transport, transport.run("sh -s") as channel:
        channel.send(SLOWLY[when] + b"\n")
        came = b""
        while not came.endswith(b"end\n") and (piece := channel.receive(b"end\n")):
            came += piece
        assert came == CAME.get(when, b"one\ntwo\nend\n")


def test_what_came_before_the_deadline_is_not_held_back(connect):
    """The bytes that were waited for did not come in time; the others may tell why."""
    with connect(6) as transport, transport.run("sh -s") as channel:
        channel.send(b"echo why; sleep 30\n")
        assert channel.receive(b"end\n") == b"why\n"
        with pytest.raises(DeadlineError):
            channel.receive(b"end\n")


def test_command_not_found_is_an_error_or_127(connect):
    """There is no such program: told at once, or by the login shell's 127."""
    with connect() as transport:
        try:
            channel = transport.run("no-such-program-anywhere --help")
        except RemoteError as error:
            told = (error.stage, error.message)
            assert told == ("exec", "cannot start no-such-program-anywhere: No such file or directory")
        else:
            assert _everything(channel) == b""
            assert channel.finish() == 127
            assert b"no-such-program-anywhere" in channel.stderr


def test_two_commands_on_one_transport(connect):
    """A transport runs one command after the other."""
    with connect() as transport:
        for word in (b"one\n", b"two\n"):
            with transport.run("sh -s") as channel:
                channel.send(b"echo " + word + b"exit\n")
                assert _everything(channel) == word


def test_is_root_says_who_logs_in(connect, request):
    """root by name over SSH, by uid on this machine."""
    host, _ = request.getfixturevalue(request.node.callspec.params["connect"])
    with connect() as transport:
        assert transport.is_root == (os.geteuid() == 0 if host.user is None else host.user == "root")


@pytest.mark.usefixtures("nothing_left")
def test_deadline_ends_a_silent_command(connect):
    """A command that says nothing costs no more than the deadline, and leaves nothing here."""
    with connect(1.5) as transport, transport.run("sleep 30") as channel:
        with pytest.raises(DeadlineError) as caught:
            channel.receive()
        assert caught.value.stage == "read"
        assert caught.value.message == "no time left after 1.5 s, while waiting for what the command says"


@pytest.mark.usefixtures("nothing_left")
def test_deadline_ends_a_flood(connect):
    """A command that never stops talking is cut as well."""
    with connect(1.5) as transport, transport.run("yes") as channel, pytest.raises(DeadlineError):
        deque(iter(channel.receive, b""), maxlen=0)


@pytest.mark.usefixtures("nothing_left")
def test_deadline_ends_a_send_that_nobody_takes(connect):
    """Input that the far side leaves in the pipe blocks until the deadline, not for ever."""
    with connect(1.5) as transport, transport.run("sleep 30") as channel, pytest.raises(DeadlineError):
        channel.send(b"x" * (32 * MIB))


def _to_the_end(channel: Channel) -> None:
    # A login shell that waits for the command keeps the output open itself: then receive() is what waits.
    assert _everything(channel) == b"\n"
    channel.finish()


@pytest.mark.usefixtures("nothing_left")
def test_deadline_ends_the_wait_for_the_end(connect):
    """A command that closed its output but does not end is not waited for beyond the deadline."""
    with connect(1.5) as transport, transport.run("sh -s") as channel:
        channel.send(b"echo; exec >&- 2>&-; exec sleep 30\n")
        with pytest.raises(DeadlineError):
            _to_the_end(channel)


@pytest.mark.usefixtures("nothing_left")
def test_closing_in_the_middle_leaves_nothing(connect):
    """Closing early leaves no thread, descriptor or child, and closing twice is safe."""
    with connect() as transport:
        channel = transport.run("yes")
        assert channel.receive().startswith(b"y\n")
        channel.close()
        channel.close()
    transport.close()


@pytest.mark.usefixtures("nothing_left")
def test_transport_closes_its_channels(connect):
    """A channel that was forgotten ends with its transport."""
    with connect() as transport:
        forgotten = transport.run("yes")
        assert forgotten.receive().startswith(b"y\n")
