"""The one place where answers are unpacked.   conversation ─► [batches] ─► batch

A reply stays packed until its turn, and its text is let go of as soon as it is parsed. A call for ten small hosts costs
little more than a call for one, so whoever has several answers brings them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from fleetpmap.collection.batch import snapshots
from fleetpmap.collection.clock import Clock
from fleetpmap.collection.conversation import Answered, Conversation, Question
from fleetpmap.collection.redaction import redacted
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.smaps import signature
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.table import ROLLUP
from fleetpmap.unexpected import host_error

_BATCH = 4 << 20
"""Bytes of smaps parsed at once, unless one host has more."""

_GATE = re.compile(rb"-ffffffffff[0-9a-f]{6}(?= ---p 00000000 00:00 0 +%b\n)" % re.escape(ROLLUP.encode()))
"""Where the sums end before Linux 4.20: with [vsyscall], far above all else, so that no mapping could be as large."""
_BELOW_GATE = b"-00007ffffffff000"

Keep = Callable[[Host, Conversation, HostSnapshot], None]
"""Takes what a host answered, raw and parsed, before the raw text is let go."""


def digest(
    answers: Sequence[Answered],
    question: Question,
    *,
    clock: Clock | None = None,
    sums: Collection[str] | None = None,
    keep: Keep | None = None,
) -> list[HostSnapshot | HostError]:
    """What each answer comes to, in order; an error for one that is not the wire format.

    `clock` bounds the time that each may take; those under a megabyte come first, so that no huge one holds them up.
    `sums`: None where every mapping keeps its row; else only sums are wanted, by process and by what it names (see
    table.summed).
    """
    found: dict[int, HostSnapshot | HostError] = {}
    clock = clock or Clock()
    for slots, batch in _batches(answers, question, clock, found):
        for slot, one, result in zip(slots, batch, _results(batch, question, clock, sums), strict=True):
            if keep is not None and isinstance(result, HostSnapshot):
                keep(one.host, one.answer, result)
            found[slot] = result
    return [found[slot] for slot in range(len(answers))]


def host_snapshot(host: Host, answer: Conversation, notes: tuple[str, ...], *, rollups: bool) -> HostSnapshot:
    """What one answer comes to that was kept, and is not packed; `rollups`: they were asked for."""
    return snapshots([Answered(host, answer, notes)], rollups=rollups)[0]


def _results(
    batch: Sequence[Answered], question: Question, clock: Clock, sums: Collection[str] | None
) -> list[HostSnapshot | HostError]:
    """What each answer of a batch comes to. If anything is raised, each is tried alone, and it is that one's error."""
    try:
        return [*snapshots(batch, rollups=question.rollups, sums=sums, check=clock.turn(batch))]
    except BaseException as error:
        if len(batch) == 1:
            return [_failure(error, batch[0], question)]
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    return [result for one in batch for result in _results([one], question, clock, sums)]


def _failure(error: BaseException, one: Answered, question: Question) -> HostError:
    failure = question.redaction.error(host_error(error, one.host.name, "read"))
    failure.said = failure.said or one.answer.said
    return failure


def _batches(
    answers: Sequence[Answered], question: Question, clock: Clock, failed: dict[int, HostSnapshot | HostError]
) -> Iterator[tuple[list[int], list[Answered]]]:
    """The answers unpacked, with their places, in batches of hosts whose smaps begin alike; errors go to `failed`."""
    slots: list[int] = []
    batch: list[Answered] = []
    labels, size = b"", 0
    for slot, answer in sorted(enumerate(answers), key=lambda pair: _size(pair[1]) >> 20):
        try:
            one = _unpacked(answer, question, clock)
            own_labels = signature(one.text, 0, len(one.text))
        except BaseException as error:
            failed[slot] = _failure(error, answer, question)
            continue
        if batch and (size + len(one.text) > _BATCH or (own_labels and labels and own_labels != labels)):
            yield slots, batch
            slots, batch, labels, size = [], [], b"", 0
        slots.append(slot)
        batch.append(one)
        labels, size = labels or own_labels, size + len(one.text)
    if batch:
        yield slots, batch


def _size(one: Answered) -> int:
    return one.answer.packed.size if one.answer.packed else len(one.text)


def _unpacked(one: Answered, question: Question, clock: Clock) -> Answered:
    answer, notes = one.answer.unpacked(clock.turn([one])), one.notes
    if question.redaction:
        answer = redacted(answer, question.redaction)
    if question.rollup_only and answer.reading is not None:
        # Each smaps_rollup becomes the text of one mapping.
        totals = answer.reading.smaps.replace(b" [rollup]\n", b" %b\n" % ROLLUP.encode())
        totals = _GATE.sub(_BELOW_GATE, totals)
        if totals == answer.reading.smaps != b"":
            notes = (*notes, "its kernel has no smaps_rollup (before 4.14), so smaps was read")
        answer = replace(answer, reading=replace(answer.reading, smaps=totals))
    return replace(one, answer=answer, notes=notes)
