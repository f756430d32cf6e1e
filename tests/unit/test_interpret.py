"""interpret: many replies at once give what each gives alone, and an oddity of one stays with it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from bounded import within
from fleetpmap.collection.batch import snapshots
from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.host import ask_host
from fleetpmap.collection.interpret import interpret
from fleetpmap.collection.question import Question
from fleetpmap.collection.reply import HostReply
from fleetpmap.collection.sessions import OneShotSessions
from fleetpmap.errors import DeadlineError, ProtocolError, SmapsError
from fleetpmap.evidence import Evidence
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.smaps import parse_processes
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.table import MappingTable
from fleetpmap.transport import Deadline

TREES = Path(__file__).parents[1] / "fake_proc"
QUESTION = Question(Selection(match=re.compile("nginx|gunicorn|postgres|bash|python")))


def _reply(tree: str, question: Question = QUESTION) -> HostReply:
    """A recorded host's reply, still packed."""
    host = Host(tree, transport="local", proc_root=str(TREES / tree))
    reply = ask_host(host, question, sessions=OneShotSessions(), deadline=Deadline.after(60))
    assert isinstance(reply, HostReply)
    return replace(reply, deadline=None)


def _unpacked(tree: str) -> HostReply:
    return _reply(tree).unpacked(QUESTION.selection)


def _with_text(one: HostReply, change: Any) -> HostReply:
    """The same with `change` made to the text of its last process."""
    reading = one.reading
    assert reading is not None
    *others, last = reading.processes
    text = change(reading.smaps[last.start : last.stop])
    smaps = reading.smaps[: last.start] + text
    changed = replace(reading, smaps=smaps, processes=(*others, replace(last, stop=len(smaps))))
    return replace(one, reading=changed)


def _plain(table: MappingTable) -> dict[str, Any]:
    """A table's content, however it lies in memory."""
    arrays = {name: getattr(table, name).tolist() for name in ("process", "mappings", "start", "end", "deleted")}
    texts = {name: getattr(table, name).texts() for name in ("perms", "device", "path", "mapping", "kind", "flags")}
    return arrays | texts | {key: column.tolist() for key, column in table.fields.items()}


def _judged(evidence: Evidence | None) -> Any:
    """The content of evidence, in whichever order its rows and names are."""
    if evidence is None:
        return None
    columns = [evidence.holder, evidence.held, *evidence.sizes.values()]
    rows = zip(evidence.mapping.texts(), *(column.tolist() for column in columns), strict=True)
    return sorted(rows, key=str), [evidence.codes[number] for number in evidence.code.tolist()]


def _same(one: HostSnapshot, other: HostSnapshot) -> bool:
    facts = [replace(snapshot, table=None, evidence=None) for snapshot in (one, other)]  # type: ignore[arg-type]  # compared below
    judged = [_judged(snapshot.evidence) for snapshot in (one, other)]
    return facts[0] == facts[1] and judged[0] == judged[1] and _plain(one.table) == _plain(other.table)


def _alone(one: HostReply, **how: Any) -> HostSnapshot:
    return snapshots([one], rollups=False, **how)[0]


@pytest.mark.parametrize(
    "sums", [None, (), ("path",), ("path", "perms")], ids=["rows", "by process", "by path", "by perms"]
)
def test_hosts_parsed_together_come_to_what_each_comes_to_alone(sums: tuple[str, ...] | None) -> None:
    """Rows, fields, their order, processes and statuses: the same, with mappings or only sums."""
    batch = [_unpacked(tree) for tree in ("web-01", "web-02", "web-01", "web-03")]
    together = snapshots(batch, rollups=False, sums=sums)
    assert [len(one.processes) > 0 for one in together] == [True] * 4
    assert [_same(one, _alone(own, sums=sums)) for one, own in zip(together, batch, strict=True)] == [True] * 4
    assert [one.evidence is None for one in together] == [sums is None] * 4


def _cut(text: bytes) -> bytes:
    return text[: text.rindex(b"\nRss:")]


def _flooded(text: bytes) -> bytes:
    """The last mapping has three hundred keys of its own making."""
    return text + b"".join(b"Key%d: %8d kB\n" % (number, number) for number in range(300))


def _with_another_key(text: bytes) -> bytes:
    return text + b"Another: %14d kB\n" % 7


@pytest.mark.parametrize("oddity", [_cut, _flooded, _with_another_key])
def test_an_odd_host_does_not_touch_the_others(oddity: Any) -> None:
    """A torn text, a flood of keys, a key that only one mapping has: its neighbours are as if alone."""
    odd, neighbour = _with_text(_unpacked("web-01"), oddity), _unpacked("web-01")
    first, second, third = snapshots([neighbour, odd, neighbour], rollups=False)
    assert not _same(first, second)
    assert _same(second, _alone(odd))
    assert _same(first, _alone(neighbour))
    assert _same(third, _alone(neighbour))


@pytest.mark.parametrize(
    ("text", "is_live", "rest", "status"),
    [
        ("below", True, 4096, "cut"),
        ("empty", True, 4096, "cut"),
        ("below", True, 0, "read"),
        ("below", False, 4096, "read"),
        ("empty", False, 4096, "empty"),
        ("whole", True, 4096, "read"),
        ("before", True, 4096, "cut"),
        ("before", True, 0, "read"),
    ],
    ids=[
        "exec",
        "exec at once",
        "its stack is unmapped",
        "recorded",
        "recorded, empty",
        "it has grown",
        "exec at the end",
        "its stack is elsewhere",
    ],
)
def test_a_text_without_the_stack(text: str, is_live: bool, rest: int, status: str) -> None:
    """It is of another program if a process of this moment has `rest` bytes more than it: exec changes both.

    The text ends below the stack, or is whole, with the stack before its first mapping.
    """
    one = _unpacked("web-01")
    assert one.reading is not None
    *others, last = one.reading.processes
    columns, _ = parse_processes(one.text[last.start :], [(0, last.stop - last.start)])
    assert last.start_stack
    kept = {"below": int((columns.end <= last.start_stack).sum()), "empty": 0}.get(text, len(columns.end))
    assert 0 < (columns.end <= last.start_stack).sum() < len(columns.end)
    starts = [match.start() for match in re.finditer(rb"(?m)^[0-9a-f]+-[0-9a-f]+ ", one.text[last.start :])]
    one = _with_text(one, lambda smaps: smaps[: [*starts, len(smaps)][kept]])
    size = int((columns.end[:kept] - columns.start[:kept]).sum()) + rest
    stack = int(columns.start[0]) - 1 if text == "before" else last.start_stack
    status_sent: Literal["empty", "read"] = "empty" if text == "empty" else "read"
    last = replace(one.processes[-1], status=status_sent, address_space=size, start_stack=stack)
    can = replace(one.listing.capabilities, probe_pid=77 if is_live else None)
    one = replace(
        one,
        listing=replace(one.listing, capabilities=can),
        reading=replace(one.reading, processes=(*others, last)),
    )
    neighbour = _unpacked("web-02")
    odd, beside = snapshots([one, neighbour], rollups=False)
    assert {process.pid: process.status for process in odd.processes}[last.pid] == status
    assert odd.table.mappings[odd.table.process == len(odd.processes) - 1].sum() == (kept if status == "read" else 0)
    assert _same(beside, _alone(neighbour))


def test_sums_stay() -> None:
    """What is summed by process, path and kind has the sums of the mappings, and says of how many."""
    rows, sums = _alone(_unpacked("web-01")).table, _alone(_unpacked("web-01"), sums=("path",)).table
    assert len(sums) < len(rows) / 2
    assert sums.mappings.sum() == len(rows)
    assert {name: values.sum() for name, values in sums.metrics.items()} == {
        name: values.sum() for name, values in rows.metrics.items()
    }


@dataclass(frozen=True)
class _Bomb:
    """A packed reply that cannot be unpacked."""

    host = "web-02"
    size = 1000

    def unpack(self, check: Callable[[], None]) -> Any:
        raise ProtocolError("a gzip bomb", host="web-02", stage="read", hint="")


def test_one_that_cannot_be_unpacked_fails_alone() -> None:
    """The others have their snapshots, in their order; its error has its other output."""
    trees = ("web-01", "web-02", "web-03")
    first, second, third = (replace(_reply(tree), notes=("noted",)) for tree in trees)
    bomb = replace(second, packed=_Bomb(), other_output="hello")  # type: ignore[arg-type]  # as good as one
    *before, failed, after = interpret([first, second, bomb, third], QUESTION)
    assert isinstance(failed, ProtocolError)
    assert failed.said == "hello"
    for tree, result in zip(trees, [*before, after], strict=True):
        assert isinstance(result, HostSnapshot)
        assert _same(result, _alone(replace(_unpacked(tree), notes=("noted",))))


def test_keep_gets_the_raw_text() -> None:
    """Host by host, with its snapshot."""
    kept: list[tuple[str, bytes, int]] = []

    def keep(host: Host, reply: HostReply, snapshot: HostSnapshot) -> None:
        assert reply.reading is not None
        kept.append((host.name, reply.reading.smaps[:18], len(snapshot.processes)))

    interpret([_reply("web-01"), _reply("web-02")], QUESTION, keep=keep)
    assert kept == [("web-01", b"00400000-0041f000 ", 4), ("web-02", b"00400000-0041f000 ", 4)]


@dataclass(frozen=True)
class _Endless:
    """A packed reply without end."""

    host = "web-02"
    size = 1000

    def unpack(self, check: Callable[[], None]) -> Any:
        while True:
            time.sleep(0.01)
            check()


def _clocks() -> dict[str, tuple[RunClock, float]]:
    """Clocks, by the bound that is over, each with the seconds that the reply may take at most."""
    interrupted = threading.Event()
    interrupted.set()
    return {
        "its own": (RunClock(), 2.5),
        "the run's": (RunClock(Deadline(10, time.monotonic() - 2.5)), 1.0),
        "interrupted": (RunClock(Deadline.after(60), interrupted), 1.0),
    }


@pytest.mark.parametrize("which", ["its own", "the run's", "interrupted"])
@pytest.mark.timed
def test_a_reply_that_takes_too_long_is_a_timeout_and_holds_no_other(which: str) -> None:
    """It is given up once its time, or the run's, is over; the others have their snapshots."""
    first, second = _reply("web-01"), _reply("web-03")
    endless = replace(first, host=Host("web-02"), packed=_Endless())  # type: ignore[arg-type]  # as good as one
    clock, longest = _clocks()[which]
    with within(longest + 20):
        before, late, after = interpret([first, endless, second], QUESTION, clock=clock)
    assert isinstance(late, DeadlineError)
    assert (late.host, late.status, late.stage) == ("web-02", "timeout", "read")
    assert "its reply was read here (1,000 bytes, packed" in late.message
    assert _same(before, _alone(_unpacked("web-01")))  # type: ignore[arg-type]  # else it fails
    assert _same(after, _alone(_unpacked("web-03")))  # type: ignore[arg-type]  # else it fails


HUGE = 8 << 20
NO_SMAPS = {
    "one line": b"=" * HUGE,
    "no lines": b"\n" * HUGE,
    "no lines, and then a word": b"\n" * HUGE + b"x",
    "beginnings": b"00400000-00401000 r-xp \n" * (HUGE // 24),
    "one mapping": b"00400000-00401000 r-xp 00000000 08:01 9 /x\n" + b"Key:\n" * (HUGE // 5),
    "one name": b"00400000-00401000 r-xp 00000000 08:01 9 /" + b"x" * HUGE + b"\nRss: 4 kB\n",
}


@pytest.mark.parametrize("text", NO_SMAPS.values(), ids=NO_SMAPS)
@pytest.mark.timed
def test_text_that_is_no_smaps_is_refused_at_once(text: bytes) -> None:
    """Megabytes of it cost no more than a look: no message, search or split goes through the whole."""
    good = b"00400000-00401000 r-xp 00000000 08:01 9 /bin/x\nRss: 4 kB\n"
    spans = [(0, len(good)), (len(good), len(good) + len(text)), (len(good) + len(text), 2 * len(good) + len(text))]
    began = time.process_time()
    columns, errors = parse_processes(good + text + good, spans)
    assert time.process_time() - began < 6
    assert columns.process.tolist() == [0, 2]
    assert [*errors] == [1]
    assert isinstance(errors[1], SmapsError)
    assert len(str(errors[1])) < 500


def test_parsing_can_be_given_up() -> None:
    """Between two windows, and while the mistake in a long text is looked for."""
    block = b"%08x-%08x r-xp 00000000 08:01 9 /bin/x\nRss: 4 kB\nPss: 3 kB\n"
    for count, end, calls_at_least in ((80_000, b"", 3), (5_000, b"Rss: x kB\n", 5)):
        text = b"".join(block % (number * 4096, number * 4096 + 4096) for number in range(1, count)) + end
        calls: list[None] = []
        parse_processes(text, [(0, len(text))], lambda calls=calls: calls.append(None))
        assert len(calls) >= calls_at_least
