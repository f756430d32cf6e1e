"""One place where answers are unpacked.   conversation ─► [turns] ─► batch

A reply stays packed until its turn, and its text is let go of as soon as it is parsed. One thread at a time does that:
several would only take turns in the interpreter, each with megabytes of text. Whoever brings an answer takes along all
that wait, since a call for ten small hosts costs little more than a call for one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

from fleetpmap.conversation import Conversation, Question
from fleetpmap.digest.batch import Unpacked, snapshots
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.smaps import signature
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.table import ROLLUP

_BATCH = 4 << 20
"""Bytes of smaps parsed at once, unless one host has more."""


class Digest:
    """Turns answers into host snapshots; any number of threads may bring theirs.

    `sums`: None where every mapping keeps its row; else only sums are wanted, by process, path and kind, and by what it
    names (`perms`; see table.summed). `keep_text`: the raw text is still wanted.
    """

    def __init__(self, question: Question, *, sums: Collection[str] | None = None, keep_text: bool = False) -> None:
        self._question = question
        self._sums = sums
        self._keep_text = keep_text
        self._waiting: deque[_Brought] = deque()
        self._working = Lock()

    def __call__(
        self, host: Host, answer: Conversation, notes: tuple[str, ...] = ()
    ) -> tuple[HostSnapshot, Conversation]:
        """A host's snapshot, and its answer unpacked, without the text unless that is to be kept.

        Raises:
            HostError: what came is not the wire format.
        """
        brought = _Brought(Unpacked(host, answer, notes))
        self._waiting.append(brought)
        with self._working:
            if brought.result is None:
                self._work([self._waiting.popleft() for _ in range(len(self._waiting))])
        if isinstance(brought.result, BaseException):
            raise brought.result
        assert brought.result is not None  # noqa: S101 - who works gives all that wait a result
        return brought.result, brought.one.answer

    def _work(self, waiting: Sequence[_Brought]) -> None:
        try:
            for batch in _batches(waiting, self._question):
                found = snapshots([brought.one for brought in batch], rollups=self._question.rollups, sums=self._sums)
                for brought, snapshot in zip(batch, found, strict=True):
                    brought.result = snapshot
                    if not self._keep_text:
                        brought.one = brought.one.without_text()
        except BaseException as error:  # a bug, or ^C: whoever waits has to hear of it
            for brought in waiting:
                brought.result = brought.result or error
            raise

    def __reduce__(self) -> tuple[object, ...]:
        """In another process it begins anew."""
        return partial(Digest, sums=self._sums, keep_text=self._keep_text), (self._question,)


def host_snapshot(host: Host, answer: Conversation, notes: tuple[str, ...], *, rollups: bool) -> HostSnapshot:
    """What one answer comes to that was kept, and is not packed; `rollups`: they were asked for."""
    return Digest(Question(rollups=rollups))(host, answer, notes)[0]


@dataclass(slots=True)
class _Brought:
    """An answer that waits for its result, or has it."""

    one: Unpacked
    result: HostSnapshot | BaseException | None = None


def _batches(waiting: Sequence[_Brought], question: Question) -> Iterator[list[_Brought]]:
    """What can be unpacked, in batches of hosts whose smaps begin alike; who cannot has its error as its result."""
    batch: list[_Brought] = []
    labels, size = b"", 0
    for brought in waiting:
        try:
            brought.one = _unpacked(brought.one, rollup_only=question.rollup_only)
        except HostError as error:
            brought.result = error
            continue
        text = brought.one.text
        own_labels = signature(text, 0, len(text))
        if batch and (size + len(text) > _BATCH or (own_labels and labels and own_labels != labels)):
            yield batch
            batch, labels, size = [], b"", 0
        batch.append(brought)
        labels, size = labels or own_labels, size + len(text)
    if batch:
        yield batch


def _unpacked(one: Unpacked, *, rollup_only: bool) -> Unpacked:
    answer, notes = one.answer.unpacked(), one.notes
    if rollup_only and answer.reading is not None:
        # Each smaps_rollup becomes the text of one mapping.
        totals = answer.reading.smaps.replace(b" [rollup]\n", b" %b\n" % ROLLUP.encode())
        if totals == answer.reading.smaps != b"":
            notes = (*notes, "its kernel has no smaps_rollup (before 4.14), so smaps was read")
        answer = replace(answer, reading=replace(answer.reading, smaps=totals))
    return replace(one, answer=answer, notes=notes)
