"""Replies become host snapshots: unpacked, redacted, parsed, checked, named.   pool ─► [interpret] ─► collector

The one place where replies are unpacked. Several are parsed in one call, because a call of the parser costs about
0.5 ms however little it parses: fifty hosts of 46 kB take 0.55 ms each alone, and 0.07 ms each in one call. A batch
gives the same as its members alone: hosts share one only if their texts begin with the same keys, and where anything
about one is odd, each is parsed alone. A reply's text is released as soon as it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from fleetpmap.collection.batch import snapshots
from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.question import Question
from fleetpmap.collection.redaction import redacted
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.smaps import signature
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.table import ROLLUP
from fleetpmap.unexpected import host_error

_BATCH = 4 << 20
"""Bytes of smaps parsed in one call at most, unless one host has more."""

_GATE = re.compile(rb"-ffffffffff[0-9a-f]{6}(?= ---p 00000000 00:00 0 +%b\n)" % re.escape(ROLLUP.encode()))
"""The end of a rollup's address range before Linux 4.20, which covers [vsyscall]: no mapping can end so far above."""
_BELOW_GATE = b"-00007ffffffff000"

Keep = Callable[[Host, HostReply, HostSnapshot], None]
"""Takes a host's reply, unpacked, and its snapshot, before the reply's text is released."""


def interpret(
    replies: Sequence[HostReply | HostError],
    question: Question,
    *,
    clock: RunClock | None = None,
    sums: Collection[str] | None = None,
    keep: Keep | None = None,
) -> list[HostSnapshot | HostError]:
    """Return a snapshot for each reply, in order. An error is passed through; a reply of a wrong format becomes one.

    `clock` bounds the time that each reply may take; those under a megabyte come first, so that no huge one holds them
    up. `sums`: None for a row per mapping; else the sums by process and these columns suffice (see table.summed).
    """
    done: dict[int, HostSnapshot | HostError] = {}
    clock = clock or RunClock()
    for places, batch in _batches(replies, question, clock, done):
        for place, reply, result in zip(places, batch, _results(batch, question, clock, sums), strict=True):
            if keep is not None and isinstance(result, HostSnapshot):
                keep(reply.host, reply, result)
            done[place] = result
    return [done[place] for place in range(len(replies))]


def host_snapshot(reply: HostReply, *, rollups: bool) -> HostSnapshot:
    """Return the snapshot of one reply out of a capture, which is not packed; `rollups`: it may hold smaps_rollup."""
    return snapshots([reply], rollups=rollups)[0]


def _results(
    batch: Sequence[HostReply], question: Question, clock: RunClock, sums: Collection[str] | None
) -> list[HostSnapshot | HostError]:
    """Parse a batch. If anything is raised, parse each reply alone; then it is the error of that host."""
    try:
        return [*snapshots(batch, rollups=question.rollups, sums=sums, check=clock.turn(batch))]
    except BaseException as error:
        if len(batch) == 1:
            return [_failure(error, batch[0], question)]
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    return [result for reply in batch for result in _results([reply], question, clock, sums)]


def _failure(error: BaseException, reply: HostReply, question: Question) -> HostError:
    failure = question.redaction.error(host_error(error, reply.host.name, "read"))
    failure.said = failure.said or reply.other_output
    return failure


def _batches(
    replies: Sequence[HostReply | HostError],
    question: Question,
    clock: RunClock,
    failed: dict[int, HostSnapshot | HostError],
) -> Iterator[tuple[list[int], list[HostReply]]]:
    """Yield the replies unpacked, with their places, in batches of hosts whose smaps begin with the same keys.

    Errors go to `failed`.
    """
    places: list[int] = []
    batch: list[HostReply] = []
    keys, size = b"", 0
    failed |= {place: reply for place, reply in enumerate(replies) if isinstance(reply, HostError)}
    packed = [(place, reply) for place, reply in enumerate(replies) if isinstance(reply, HostReply)]
    for place, reply in sorted(packed, key=lambda pair: pair[1].size >> 20):
        try:
            unpacked = _unpacked(reply, question, clock)
            own_keys = signature(unpacked.text, 0, len(unpacked.text))
        except BaseException as error:
            failed[place] = _failure(error, reply, question)
            continue
        if batch and (size + len(unpacked.text) > _BATCH or (own_keys and keys and own_keys != keys)):
            yield places, batch
            places, batch, keys, size = [], [], b"", 0
        places.append(place)
        batch.append(unpacked)
        keys, size = keys or own_keys, size + len(unpacked.text)
    if batch:
        yield places, batch


def _unpacked(reply: HostReply, question: Question, clock: RunClock) -> HostReply:
    reply = reply.unpacked(question.selection, clock.turn([reply]))
    if question.redaction:
        reply = redacted(reply, question.redaction)
    if not question.rollup_only or reply.reading is None:
        return reply
    # Each smaps_rollup becomes the text of one mapping.
    smaps = reply.reading.smaps.replace(b" [rollup]\n", b" %b\n" % ROLLUP.encode())
    smaps = _GATE.sub(_BELOW_GATE, smaps)
    notes = reply.notes
    if smaps == reply.reading.smaps != b"":
        notes = (*notes, "its kernel has no smaps_rollup (before 4.14), so smaps was read")
    return replace(reply, reading=replace(reply.reading, smaps=smaps), notes=notes)
