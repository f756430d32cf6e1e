"""wire.memory: the memory that all hosts share for large listings."""

from __future__ import annotations

import threading

from fleetpmap.wire.memory import MemoryBudget


class Owner:
    """An object that holds memory."""


def test_one_thread_at_a_time_has_its_turn() -> None:
    """A second thread waits, and has its turn afterwards."""
    budget = MemoryBudget(100, patience_s=5)
    turns: list[bool] = []

    def take_turn() -> None:
        with budget.turn() as has_come:
            turns.append(has_come)

    with budget.turn() as first:
        other = threading.Thread(target=take_turn)
        other.start()
        other.join(0.05)
        assert (first, turns) == (True, [])
    other.join()
    assert turns == [True]


def test_no_turn_comes_until_held_memory_is_released() -> None:
    """A thread that waits too long gets False."""
    budget = MemoryBudget(8 << 20, patience_s=0.05)
    owner = Owner()
    budget.hold(owner, 9 << 20)
    with budget.turn() as has_come:
        assert not has_come
    del owner
    with budget.turn() as has_come:
        assert has_come


def test_small_objects_are_not_counted() -> None:
    """A thousand hosts with short listings never wait."""
    budget = MemoryBudget(8 << 20, patience_s=0.0)
    owners = [Owner() for _ in range(1000)]
    for owner in owners:
        budget.hold(owner, 4 << 20)
    with budget.turn() as has_come:
        assert has_come
