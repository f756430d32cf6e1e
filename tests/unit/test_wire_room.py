"""wire.room: what all hosts share."""

from __future__ import annotations

import threading

from fleetpmap.wire.room import Room


class Owner:
    """Something that holds memory."""


def test_one_at_a_time_has_its_turn() -> None:
    """Another waits, and has it afterwards."""
    room = Room(100, patience_s=5)
    came: list[bool] = []

    def take() -> None:
        with room.turn() as has_come:
            came.append(has_come)

    with room.turn() as first:
        other = threading.Thread(target=take)
        other.start()
        other.join(0.05)
        assert (first, came) == (True, [])
    other.join()
    assert came == [True]


def test_what_is_held_leaves_no_room_until_it_is_let_go() -> None:
    """Whoever waits too long is told."""
    room = Room(8 << 20, patience_s=0.05)
    owner = Owner()
    room.hold(owner, 9 << 20)
    with room.turn() as has_come:
        assert not has_come
    del owner
    with room.turn() as has_come:
        assert has_come


def test_small_things_are_not_counted() -> None:
    """A thousand hosts with short lists never wait."""
    room = Room(8 << 20, patience_s=0.0)
    owners = [Owner() for _ in range(1000)]
    for owner in owners:
        room.hold(owner, 4 << 20)
    with room.turn() as has_come:
        assert has_come
