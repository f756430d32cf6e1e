"""What a run leaves behind: no thread, no descriptor, no child, whatever the hosts did."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import SshOptions


@pytest.fixture
def black_holes() -> Iterator[list[Host]]:
    """Ports that take a connection and never say a word, and one whose queue is full so that it takes none."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        ports = {"silent": silent.getsockname()[1], "full": full.getsockname()[1]}
        yield [
            Host(f"{kind}-{transport}", address="127.0.0.1", port=port, transport=transport, connect_timeout_s=1.0)
            for kind, port in ports.items()
            for transport in ("ssh", "openssh")
            for _ in range(3)
        ]


def _belongings() -> tuple[set[str], list[str], list[psutil.Process]]:
    descriptors = sorted(entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists())
    return {thread.name for thread in threading.enumerate()}, descriptors, psutil.Process().children(recursive=True)


def test_nothing_is_left_of_hosts_that_are_black_holes(black_holes: list[Host]):
    """Twelve hosts at once, by both transports, that swallow all we send: every one a timeout, and nothing stays."""
    question = Question(ssh=SshOptions(ssh_config="none", known_hosts=("/nonexistent/known_hosts",)))
    collect(black_holes[:1], question)  # paramiko's import keeps descriptors of its own
    before = _belongings()
    snapshot = collect(black_holes, question)
    assert [answer.status for answer in snapshot.hosts] == ["timeout"] * 12
    assert _belongings() == before
