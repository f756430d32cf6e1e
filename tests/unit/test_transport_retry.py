"""Further attempts before the login: for which failures, how many, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleetpmap.errors import DeadlineError, HostError, UnreachableError
from fleetpmap.transport.base import Deadline
from fleetpmap.transport.retry import jittered, retried


def _error(message: str, *, may_pass: bool = True) -> HostError:
    error = UnreachableError(message, host="web", stage="banner")
    error.may_pass = may_pass
    return error


def _failing(times: int, *, may_pass: bool = True) -> Callable[[], str]:
    """Fails so often, then gives `in`."""
    left = iter(range(times))

    def attempt() -> str:
        for number in left:
            raise _error(f"failure {number + 1}", may_pass=may_pass)
        return "in"

    return attempt


def _at_once(_: int) -> float:
    return 0.0


def test_what_may_pass_is_tried_again():
    """Two failures, two retries."""
    assert retried(_failing(2), 2, Deadline.after(20), pause=_at_once) == "in"


def test_the_last_failure_is_told():
    """One more than the retries."""
    with pytest.raises(HostError, match="failure 3"):
        retried(_failing(3), 2, Deadline.after(20), pause=_at_once)


def test_no_retries():
    """--retries 0."""
    with pytest.raises(HostError, match="failure 1"):
        retried(_failing(1), 0, Deadline.after(20), pause=_at_once)


def test_what_does_not_pass_is_not_tried_again():
    """A refused login, a wrong key, a name without an address."""
    with pytest.raises(HostError, match="failure 1"):
        retried(_failing(1, may_pass=False), 5, Deadline.after(20), pause=_at_once)


def test_not_beyond_the_deadline():
    """A pause that the deadline does not leave room for is not begun."""
    with pytest.raises(HostError, match="failure 1"):
        retried(_failing(1), 5, Deadline.after(20), pause=lambda _: 30.0)


def test_a_reset_is_told_though_the_time_ran_out_in_the_next_attempt():
    """The clock ends the attempts; it is not why the first failed."""
    errors: list[HostError] = [_error("reset"), DeadlineError("no time left", host="web", stage="banner")]

    def attempt() -> str:
        raise errors.pop(0)

    with pytest.raises(UnreachableError, match="reset"):
        retried(attempt, 2, Deadline.after(20), pause=_at_once)
    assert errors == []


def test_each_pause_knows_its_number():
    """So that it can grow."""
    numbers: list[int] = []

    def pause(number: int) -> float:
        numbers.append(number)
        return 0.0

    retried(_failing(3), 3, Deadline.after(20), pause=pause)
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(("number", "shortest", "longest"), [(1, 0.25, 0.75), (2, 0.5, 1.5), (3, 1.0, 3.0)])
def test_pauses_differ_and_grow(number, shortest, longest):
    """Hosts that fail together do not come back together."""
    pauses = {jittered(number) for _ in range(50)}
    assert all(shortest <= pause <= longest for pause in pauses)
    assert len(pauses) > 10
