"""This machine without SSH: what is not in the contract."""

from __future__ import annotations

from bounded import is_running, wait_until
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Deadline
from fleetpmap.transport.local import LocalTransport


def _local() -> LocalTransport:
    return LocalTransport(Host("here", transport="local"), deadline=Deadline.after(30))


def _everything(channel) -> bytes:
    return b"".join(iter(channel.receive, b""))


def test_no_shell_reads_the_command():
    """Words are words: nothing is expanded."""
    with _local() as transport, transport.run("echo '$HOME' *") as channel:
        assert _everything(channel) == b"$HOME *\n"


def test_command_has_our_environment(monkeypatch):
    """LC_ALL and the rest are ours."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with _local() as transport, transport.run("printenv LC_ALL") as channel:
        assert _everything(channel) == b"C.UTF-8\n"


def test_close_ends_what_the_command_started():
    """The whole process group goes, not only its leader."""
    with _local() as transport, transport.run("sh -s") as channel:
        channel.send(b"sleep 300 & echo $!; wait\n")
        grandchild = int(channel.receive())
    wait_until(lambda: not is_running(grandchild))


def test_finish_does_not_wait_for_what_was_left_behind():
    """A process in the background that still holds stderr does not keep the command from being over."""
    with _local() as transport, transport.run("sh -s") as channel:
        channel.send(b"sleep 300 >/dev/null & exit 5\n")
        assert _everything(channel) == b""
        assert channel.finish() == 5


def test_status_is_there_without_reading_everything():
    """finish() discards unread output, so that the command can end."""
    with _local() as transport, transport.run("head -c 1000000 /dev/zero") as channel:
        assert channel.receive()
        assert channel.finish() == 0
