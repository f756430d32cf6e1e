"""Arrivals: each reply arrives once, and no worker thread is left waiting. The hosts here are names."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpmap.collection import pool as arrivals
from fleetpmap.collection.pool import Arrivals, Arrived
from fleetpmap.errors import HostError, UnreachableError
from fleetpmap.inventory import Host

HOSTS = [Host(f"box-{number:02}") for number in range(40)]
SOON_S = 0.02


def reply(host: Host) -> Arrived:
    """What stands for a reply: any value of that host's."""
    return UnreachableError("asked", host=host.name, stage="read")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_each_reply_arrives_once_at_its_hosts_place(threads: ThreadPoolExecutor):
    """Forty hosts, eight threads."""
    hosts: dict[int, str] = {}

    def take(slots: Sequence[int], replies: Sequence[Arrived]) -> None:
        for slot, one in zip(slots, replies, strict=True):
            assert isinstance(one, HostError)
            assert slot not in hosts
            hosts[slot] = one.host

    with Arrivals(reply, HOSTS, threads) as coming:
        coming.hand_to(take)
    assert hosts == {slot: host.name for slot, host in enumerate(HOSTS)}


def test_what_is_no_reply_is_raised(threads: ThreadPoolExecutor):
    """A bug in asking."""

    def ask(host: Host) -> Arrived:
        raise ZeroDivisionError

    with Arrivals(ask, HOSTS, threads) as coming, pytest.raises(ZeroDivisionError):
        coming.hand_to(lambda slots, some: None)


def test_leaving_early_frees_the_threads_that_wait(threads: ThreadPoolExecutor):
    """All the threads wait for room, as while a large batch is parsed, when the run ends."""
    asked = Counter[str]()

    def ask(host: Host) -> Arrived:
        asked[host.name] += 1
        return reply(host)

    with Arrivals(ask, HOSTS, threads):
        until = time.monotonic() + 10
        while len(asked) < arrivals._ROOM + 8:
            assert time.monotonic() < until
            time.sleep(SOON_S)
    threads.shutdown(wait=True)  # it would hang if a thread did
    assert len(asked) == arrivals._ROOM + 8
