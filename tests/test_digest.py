"""digest: many answers at once come to what each would alone, and what is odd about one stays with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleetpmap.conversation import Answered, Conversation, Question, converse
from fleetpmap.digest import digest
from fleetpmap.digest.batch import snapshots
from fleetpmap.errors import ProtocolError
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.snapshot import HostSnapshot
from fleetpmap.table import MappingTable
from fleetpmap.transport import Deadline, SshOptions, open_transport

TREES = Path(__file__).parent / "fake_proc"
QUESTION = Question(Selection(match=re.compile("nginx|gunicorn|postgres|bash|python")))


def _answer(tree: str, question: Question = QUESTION) -> Answered:
    """What a recorded host answers, still packed."""
    host = Host(tree, transport="local", proc_root=str(TREES / tree))
    with open_transport(host, deadline=Deadline.after(60), options=SshOptions()) as transport:
        return Answered(host, converse(transport, host, question))


def _unpacked(tree: str) -> Answered:
    one = _answer(tree)
    return replace(one, answer=one.answer.unpacked())


def _with_text(one: Answered, change: Any) -> Answered:
    """The same with `change` made to the text of its last process."""
    reading = one.reading
    assert reading is not None
    *others, last = reading.processes
    text = change(reading.smaps[last.start : last.stop])
    smaps = reading.smaps[: last.start] + text
    changed = replace(reading, smaps=smaps, processes=(*others, replace(last, stop=len(smaps))))
    return replace(one, answer=replace(one.answer, reading=changed))


def _plain(table: MappingTable) -> dict[str, Any]:
    """A table's content, however it lies in memory."""
    arrays = {name: getattr(table, name).tolist() for name in ("process", "mappings", "start", "end", "deleted")}
    texts = {name: getattr(table, name).texts() for name in ("perms", "device", "path", "mapping", "kind", "flags")}
    return arrays | texts | {key: column.tolist() for key, column in table.fields.items()}


def _same(one: HostSnapshot, other: HostSnapshot) -> bool:
    facts = [replace(snapshot, table=None) for snapshot in (one, other)]  # type: ignore[arg-type]  # compared below
    return facts[0] == facts[1] and _plain(one.table) == _plain(other.table)


def _alone(one: Answered, **how: Any) -> HostSnapshot:
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
    """What cannot be unpacked."""

    host = "web-02"

    def unpack(self) -> Any:
        raise ProtocolError("a gzip bomb", host="web-02", stage="read", hint="")


def test_one_that_cannot_be_unpacked_fails_alone() -> None:
    """The others have their snapshots, in their order; its error says what it said besides."""
    trees = ("web-01", "web-02", "web-03")
    first, second, third = (replace(_answer(tree), notes=("noted",)) for tree in trees)
    bomb = replace(second, answer=replace(second.answer, packed=_Bomb(), said="hello"))  # type: ignore[arg-type]  # as good as one
    *before, failed, after = digest([first, second, bomb, third], QUESTION)
    assert isinstance(failed, ProtocolError)
    assert failed.said == "hello"
    for tree, result in zip(trees, [*before, after], strict=True):
        assert isinstance(result, HostSnapshot)
        assert _same(result, _alone(replace(_unpacked(tree), notes=("noted",))))


def test_who_keeps_gets_the_raw_text() -> None:
    """Host by host, with what it came to."""
    kept: list[tuple[str, bytes, int]] = []

    def keep(host: Host, answer: Conversation, snapshot: HostSnapshot) -> None:
        assert answer.reading is not None
        kept.append((host.name, answer.reading.smaps[:18], len(snapshot.processes)))

    digest([_answer("web-01"), _answer("web-02")], QUESTION, keep=keep)
    assert kept == [("web-01", b"00400000-0041f000 ", 4), ("web-02", b"00400000-0041f000 ", 4)]
