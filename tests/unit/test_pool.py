"""Pool: each reply is yielded once, and no worker thread is left waiting. The hosts here are names."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpmap.collection import pool
from fleetpmap.collection.pool import Pool
from fleetpmap.errors import HostError, UnreachableError
from fleetpmap.inventory import Host

HOSTS = [Host(f"box-{number:02}") for number in range(40)]
SOON_S = 0.02


def reply(host: Host) -> HostError:
    """What stands for a reply: any value of that host's."""
    return UnreachableError("asked", host=host.name, stage="read")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as eight:
        yield eight


@pytest.mark.parametrize("jobs", [1, 8])
def test_each_reply_is_yielded_once_with_its_hosts_place(jobs: int):
    """Forty hosts, without a thread or with eight."""
    hosts: dict[int, str] = {}
    with Pool(jobs) as threads:
        for batch in threads.map_as_completed(reply, HOSTS):
            for place, error in batch:
                assert isinstance(error, HostError)
                assert place not in hosts
                hosts[place] = error.host
    assert hosts == {place: host.name for place, host in enumerate(HOSTS)}


def test_what_is_no_reply_is_raised(threads: ThreadPoolExecutor):
    """A bug in asking."""

    def ask(host: Host) -> HostError:
        raise ZeroDivisionError

    with Pool(8, threads) as eight, pytest.raises(ZeroDivisionError):
        list(eight.map_as_completed(ask, HOSTS))


def test_leaving_early_frees_the_threads_that_wait(threads: ThreadPoolExecutor):
    """All the threads wait for room, as while a large batch is parsed, when the run ends."""
    asked = Counter[str]()

    def ask(host: Host) -> HostError:
        asked[host.name] += 1
        return reply(host)

    with Pool(8, threads) as eight:
        eight.map_as_completed(ask, HOSTS)
        until = time.monotonic() + 10
        while len(asked) < pool._ROOM + 8:
            assert time.monotonic() < until
            time.sleep(SOON_S)
    threads.shutdown(wait=True)  # it would hang if a thread did
    assert len(asked) == pool._ROOM + 8
