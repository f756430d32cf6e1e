"""Who is asked in a thread and who on the line, and that each answer arrives once. The hosts here are names."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpmap import arrivals
from fleetpmap.arrivals import Arrivals, Arrived
from fleetpmap.errors import HostError, UnreachableError
from fleetpmap.inventory import Host

HOSTS = [Host(f"box-{number:02}") for number in range(40)]
SOON_S = 0.02


def said(host: Host, how: str) -> Arrived:
    """What stands for an answer: any value of that host's."""
    return UnreachableError(how, host=host.name, stage="read")


class Lines:
    """Every host is on the line, and answers soon."""

    def __init__(self) -> None:
        self.asked = self.most = 0
        self.late: list[Callable[[], None]] = []

    def __contains__(self, host: Host) -> bool:
        return True

    def ask(self, host: Host, heard: Callable[[], None]) -> bool:
        self.asked += 1
        self.most = max(self.most, self.asked)
        threading.Timer(SOON_S, heard).start()
        return True

    def take(self, host: Host) -> Arrived | None:
        self.asked -= 1
        return said(host, "on the line")


class Deaf(Lines):
    """Nobody hears them until somebody calls the late ones."""

    def ask(self, host: Host, heard: Callable[[], None]) -> bool:
        self.late.append(heard)
        return True


class Refusing(Lines):
    """They were on the line."""

    def ask(self, host: Host, heard: Callable[[], None]) -> bool:
        return False


class Changed(Lines):
    """What they say is not all that is wanted."""

    def take(self, host: Host) -> Arrived | None:
        return None


class Half(Lines):
    """Every other host."""

    def __contains__(self, host: Host) -> bool:
        return int(host.name[-2:]) % 2 == 0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def arrived(threads: ThreadPoolExecutor, lines: Lines | None, *, jobs: int = 8) -> Counter[str]:
    """How the answers came: each host's at its own slot, and once."""
    ways: Counter[str] = Counter()
    slots: list[int] = []

    def take(some: Sequence[int], answers: Sequence[Arrived]) -> None:
        slots.extend(some)
        for slot, answer in zip(some, answers, strict=True):
            assert isinstance(answer, HostError)
            assert answer.host == HOSTS[slot].name
            ways[answer.message] += 1

    with Arrivals(lambda host: said(host, "in a thread"), HOSTS, threads, jobs, lines) as coming:
        coming.hand_to(take)
    assert sorted(slots) == [*range(len(HOSTS))]
    return ways


def test_without_lines_all_are_asked_in_threads(threads: ThreadPoolExecutor):
    """As in a run that is made once."""
    assert arrived(threads, None) == {"in a thread": 40}


@pytest.mark.parametrize("jobs", [1, 8, 100])
def test_on_the_line_no_thread_is_needed_and_no_more_are_asked_than_jobs(threads: ThreadPoolExecutor, jobs: int):
    """Later rounds of a watch."""
    lines = Lines()
    assert arrived(threads, lines, jobs=jobs) == {"on the line": 40}
    assert lines.most == min(jobs, 40)


@pytest.mark.parametrize("lines", [Refusing(), Changed()])
def test_what_the_line_does_not_give_a_thread_asks(threads: ThreadPoolExecutor, lines: Lines):
    """It broke, or other processes match now."""
    assert arrived(threads, lines) == {"in a thread": 40}


def test_some_on_the_line_and_some_not(threads: ThreadPoolExecutor):
    """Each its own way."""
    assert arrived(threads, Half()) == {"in a thread": 20, "on the line": 20}


def test_who_takes_long_is_left_to_a_thread(threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch):
    """It knows the deadline. What is heard after that is no second answer."""
    monkeypatch.setattr(arrivals, "_PATIENCE_S", SOON_S)
    lines = Deaf()
    answers: list[Arrived] = []

    def ask(host: Host) -> Arrived:
        for heard in lines.late:
            heard()
        return said(host, "in a thread")

    with Arrivals(ask, HOSTS, threads, 8, lines) as coming:
        coming.hand_to(lambda slots, some: answers.extend(some))
    assert len(answers) == 40
    assert len(lines.late) == 40


def test_what_is_no_answer_is_raised(threads: ThreadPoolExecutor):
    """A bug in asking."""

    def ask(host: Host) -> Arrived:
        raise ZeroDivisionError

    with Arrivals(ask, HOSTS, threads, 8) as coming, pytest.raises(ZeroDivisionError):
        coming.hand_to(lambda slots, some: None)


def test_when_nobody_takes_them_any_more_no_thread_waits(threads: ThreadPoolExecutor):
    """All the threads are waiting for room, as while a large batch is digested, when the run ends."""
    asked = Counter[str]()

    def ask(host: Host) -> Arrived:
        asked[host.name] += 1
        return said(host, "in a thread")

    with Arrivals(ask, HOSTS, threads, 8):
        until = time.monotonic() + 10
        while len(asked) < arrivals._ROOM + 8:
            assert time.monotonic() < until
            time.sleep(SOON_S)
    threads.shutdown(wait=True)  # it would hang if a thread did
    assert len(asked) == arrivals._ROOM + 8
