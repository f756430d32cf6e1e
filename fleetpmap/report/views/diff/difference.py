"""The view diff: sizes before and after, and their growth.   old, new ─► pairs ─► cells ─► [difference] ─► Report

There is a row for each combination of the keys that changed by more than noise, the largest change first. What moved
less, or not at all, is counted in a note, and is in the totals. A host that cannot be compared is unknown, neither new
nor gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import merge_keys_of
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding, rows_named, told
from fleetpmap.report.grouping import coded, key_column, mapped, rule_over
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import counted, notes_on
from fleetpmap.report.shape import AS_IT_IS, Rows, Shape, rows_of, shaped
from fleetpmap.report.views.diff.cells import Compared, Flags
from fleetpmap.report.views.diff.growth_findings import MOST, Context, growth_findings, short, span
from fleetpmap.report.views.diff.growth_findings import growth as growths
from fleetpmap.report.views.diff.lives import Life, lives
from fleetpmap.report.views.diff.noise import FLOOR_KIB, beyond_floor
from fleetpmap.report.views.diff.pairs import comparability_notes, paired
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import KERNEL_KEYS, METRICS, IntArray, distinct, distinct_per_group, is_rollup, total

MOST_ROWS = 10
"""Rows on a terminal, unless --top gives another number: with the sentences, they fill a screen of 24 lines."""
_HOUR_S, _LEAST_S = 3600, 60
"""A rate by the hour needs at least a minute between the runs."""
_COUNTS = ("hosts", "processes", "old_processes", "restarted")


def diff(
    old: Snapshot,
    new: Snapshot,
    by: Sequence[str] = ("mapping",),
    metric: str = "pss_kib",
    *,
    all_changes: bool = False,
    shape: Shape = AS_IT_IS,
    looked_for: tuple[str, str] = ("", ""),
    stored: tuple[str, str] = ("", ""),
) -> Report:
    """Return a row for each combination of the `by` keys that changed, the largest change first.

    `metric`: one of METRICS. `all_changes`: also the rows that moved within the noise floor. `looked_for`: the
    selections of the old and the new run, in words; empty if unknown. `stored`: where they are stored, for the next
    commands; empty if unknown. Coverage and run are those of `new`.

    Raises:
        UsageError: a key that is not in KEYS; a column of `shape` that the table does not have; or `by` needs mappings
            and one run has only sums.
    """
    old, new = mapped(old), mapped(new)
    keys = merge_keys_of(by)
    caveats = comparability_notes(old, new, keys, looked_for)
    difference = _Difference(old, new, keys, metric, all_changes)
    findings = difference.findings(stored)
    report = Report(
        "diff",
        (difference.table(shape),),
        (*caveats, *difference.notes()),
        new.coverage,
        new.run,
        findings=findings,
    )
    kept = rows_named(told(findings)[0])
    brief = replace(shape, top=MOST_ROWS, kept=kept) if shape.top is None else shape
    return replace(report, brief=replace(report, tables=(difference.table(brief, brief=True),)))


def growth_between(old: Snapshot, new: Snapshot, metric: str = "pss_kib") -> tuple[Finding, ...]:
    """Return the findings on processes that lived through both and grew, the largest growth first."""
    return _Difference(mapped(old), mapped(new), ("mapping",), metric, all_changes=False).growth()


class _Difference:
    """Two snapshots, matched, summed and judged."""

    def __init__(self, old: Snapshot, new: Snapshot, by: tuple[str, ...], metric: str, all_changes: bool) -> None:
        self.seconds = (new.run.started - old.run.started).total_seconds()
        self._old, self._new, self._by, self._metric = old, new, by, metric
        self._all_changes = all_changes
        self._pairs = paired(old, new)
        self._compared = Compared(old, new, self._pairs)
        self._cells = self._compared.cells(by, metric)
        self._sums = self._cells.summed(metric)
        self._growth = self._sums.growth
        cells = self._cells
        self._changed = cells.any(cells.changed) & beyond_floor(self._growth)
        status = np.array([pair.status for pair in self._pairs.pairs], dtype="U9")[cells.pair]
        self._of_old, self._of_new = (status != "new"), (status != "gone")
        self._restarted, self._lived = (status == "restarted"), (status == "same")
        self._order = self._ordered()

    def _ordered(self) -> Rows:
        """Return the rows to show, the largest change first, unknown ones last; equal ones by their keys."""
        known = self._sums.known
        is_shown = known & ((self._growth != 0) if self._all_changes else self._changed)
        if self._by == ("host",):
            is_shown |= ~known
        texts = list(zip(*(column.texts() for column in self._cells.keys.values()), strict=True))
        size, growth = np.abs(self._growth).tolist(), known.tolist()
        rows = np.flatnonzero(is_shown).tolist()
        rows.sort(key=lambda row: (not growth[row], -size[row], [text or "" for text in texts[row]]))
        return np.array(rows, dtype=np.intp)

    def table(self, shape: Shape, *, brief: bool = False) -> Table:
        """Return the rows that changed, with the totals of all that was compared.

        `brief`: without columns that say nothing, unless the shape asks for columns.
        """
        columns = [*self._counts(), *self._sizes(), *self._pids()]
        columns += [key_column(key, texts) for key, texts in self._cells.keys.items()]
        columns.append(Column("status", "text", coded(self._statuses())))
        whole = Table("rows", tuple(columns), last=self._by[-1], measure=("growth_kib",))
        table = self._with_unknown_hosts(rows_of(whole, self._order))
        silent = [column.name for column in table.columns if not _tells(column, table)]
        table = shaped(table, shape, self._counted)
        if not brief or shape.columns is not None:
            return table
        return replace(table, columns=tuple(column for column in table.columns if column.name not in silent))

    def _counts(self) -> Iterator[Column]:
        cells, host = self._cells, self._host_of_cells()
        hosts = distinct_per_group(host, cells.row, cells.rows)
        yield Column("hosts", "count", hosts, "distinct", len(distinct(host)))
        for name, of in self._processes():
            yield Column(name, "count", cells.count(of), "distinct", len(distinct(cells.pair[of])))

    def _processes(self) -> Iterator[tuple[str, Flags]]:
        """Yield each column that counts processes, with the cells that count in it."""
        yield from zip(_COUNTS[1:], (self._of_new, self._of_old, self._restarted), strict=True)

    def _counted(self, rows: Rows) -> dict[str, int]:
        """Count hosts and processes of some rows of the table together, each once."""
        left = np.zeros(self._cells.rows, dtype=np.bool_)
        left[self._order[rows[rows < len(self._order)]]] = True
        among = left[self._cells.row]
        counts = {"hosts": len(distinct(self._host_of_cells()[among]))}
        for name, of in self._processes():
            counts[name] = len(distinct(self._cells.pair[among & of]))
        return counts

    def _host_of_cells(self) -> NDArray[np.signedinteger]:
        return self._compared.host_codes[self._cells.pair]

    def _sizes(self) -> Iterator[Column]:
        cells, (old, new) = self._cells, self._sums
        rule = rule_over(len(self._pairs.pairs), METRICS[self._metric])
        before, after = (total(side) if len(side) else 0 for side in (old, new))
        yield Column("old_kib", "KiB", old, rule, before)
        yield Column("new_kib", "KiB", new, rule, after)
        # The difference of two upper bounds bounds nothing, so it gets no total.
        adds_up = rule if rule == "sum" else None
        growth = None if before is None or after is None or not adds_up else after - before
        known = self._sums.known
        yield Column("growth_kib", "delta", _cells(self._growth, known), adds_up, growth)
        is_known = cells.sizes[self._metric].known
        counts = [cells.count(is_known & of) for of in (self._of_old, self._of_new)]
        each = [side / np.maximum(count, 1) for side, count in zip((old, new), counts, strict=True)]
        comparable = known & (counts[0] > 0) & (counts[1] > 0)
        yield Column("growth_each_kib", "delta", _cells(np.rint(each[1] - each[0]), comparable), null="-")
        lived = known & (cells.any(self._lived & cells.was_there & cells.is_there)) & ~cells.any(~self._lived)
        rate = self._growth * (_HOUR_S / max(self.seconds, _LEAST_S))
        has_rate = lived if self.seconds >= _LEAST_S else np.zeros_like(lived)
        yield Column("growth_kib_per_hour", "delta", _cells(np.rint(rate), has_rate), null="-")

    def _pids(self) -> Iterator[Column]:
        """Yield the columns of process ids, where a row is one process of one host."""
        if not {"host", "process"} <= {*self._by}:
            return
        for name, of, side, snapshot in (
            ("old_pid", self._of_old, "old", self._old),
            ("pid", self._of_new, "new", self._new),
        ):
            pids: list[int | None] = [None] * self._cells.rows
            single = self._cells.count(of) == 1
            for row, pair in zip(self._cells.row[of].tolist(), self._cells.pair[of].tolist(), strict=True):
                if single[row]:
                    pids[row] = snapshot.processes[getattr(self._pairs.pairs[pair], side)].pid
            yield Column(name, "number", pids, null="-")

    def _statuses(self) -> Iterator[str]:
        cells = self._cells
        was_there, is_there = cells.any(cells.was_there), cells.any(cells.is_there)
        restarted = cells.any(self._restarted) & ~cells.any(~self._restarted)
        facts = zip(was_there, is_there, restarted, self._sums.known, self._growth, strict=True)
        for was, is_, again, known, growth in facts:
            if not known:
                yield "unknown"
            elif not (was and is_):
                yield "gone" if was else "new"
            elif again:
                yield "restarted"
            else:
                yield "grown" if growth > 0 else "shrunk" if growth < 0 else "same"

    def _with_unknown_hosts(self, table: Table) -> Table:
        """Add a row for each host that cannot be compared, if the rows are hosts."""
        hosts = [*self._pairs.unknown] if self._by == ("host",) else []
        if not hosts:
            return table
        texts = {"host": hosts, "status": ["unknown"] * len(hosts)}
        return replace(table, columns=tuple(_longer(column, texts, len(hosts)) for column in table.columns))

    def findings(self, stored: tuple[str, str]) -> tuple[Finding, ...]:
        """Return the findings on what grew, restarted, came or went."""
        return growth_findings(self._lives(), self._context(stored))

    def growth(self) -> tuple[Finding, ...]:
        """Return the findings on what grew alone."""
        return tuple(islice(growths(self._lives(), self._context(("", ""))), MOST))

    def _context(self, stored: tuple[str, str]) -> Context:
        return Context(self._new, self._metric, self.seconds, stored)

    def _lives(self) -> list[Life]:
        has_only_sums = any(is_rollup(snapshot.table.path).any() for snapshot in (self._old, self._new))
        by = ("process",) if has_only_sums else ("mapping",)
        parts = self._cells if self._by == by else self._compared.cells(by, self._metric)
        return lives(self._old, self._new, self._pairs, parts, self._metric)

    def notes(self) -> Iterator[str]:
        """Yield notes on the times of both, what is not listed, the hosts left out, and the totals of either."""
        began, ended = (snapshot.run.started.isoformat(" ", "seconds") for snapshot in (self._old, self._new))
        if self.seconds > 0:
            yield f"from {began} to {ended}, {span(self.seconds)}"
        else:
            yield f"the new one ({ended}) was not taken after the old one ({began}): there are no rates"
        yield from self._not_listed()
        if self._by == ("process",):
            yield "processes of one name are one row: --by host,process tells the hosts apart, and the pids"
        hosts_by_reason: dict[str, list[str]] = {}
        for host, why in (*self._pairs.unknown.items(), *self._half_known()):
            hosts_by_reason.setdefault(why, []).append(host)
        for why, hosts in hosts_by_reason.items():
            yield f"{fold(hosts)}: {why}, so it is unknown whether anything grew there"
        keys = KERNEL_KEYS.get(self._metric, ())
        of_new = notes_on(self._new, keys)
        yield from of_new
        yield from (f"before, {note}" for note in notes_on(self._old, keys) if note not in of_new)

    def _not_listed(self) -> Iterator[str]:
        """Yield one sentence on the rows that are not in the table, or that nothing changed at all."""
        moved = self._growth != 0
        noise = moved & ~self._changed & (not self._all_changes)
        moved_by_noise, listed = int(noise.sum()), int((moved & ~noise).sum())
        still = int((self._sums.known & ~moved).sum())
        if not listed and (moved_by_noise or still):
            yield self._nothing_changed(moved_by_noise, int(self._growth[noise].sum()))
        elif moved_by_noise:
            rest = f"; {still} did not move" if still else ""
            yield f"not listed: {_noise(moved_by_noise, int(self._growth[noise].sum()))}{rest}"
        elif still:
            yield f"not listed: {counted(still, 'row')} that did not move"

    def _nothing_changed(self, noise: int, growth: int) -> str:
        known = self._cells.sizes[self._metric].known
        hosts, processes = (len(distinct(each[known])) for each in (self._host_of_cells(), self._cells.pair))
        rows = counted(int(self._sums.known.sum()), "row")
        where = f"{rows}, {counted(processes, 'process')} on {counted(hosts, 'host')}"
        return f"nothing changed in {where}" + (f", but for {_noise(noise, growth)}" if noise else "")

    def _half_known(self) -> Iterator[tuple[str, str]]:
        """Yield the hosts with a size that only one of the two runs knows, each with the reason as a clause."""
        old, new = self._cells.sizes[self._metric]
        hosts = dict.fromkeys(
            self._compared.processes[pair].host for pair in self._cells.pair[(old == NULL) != (new == NULL)].tolist()
        )
        yield from ((host, f"{self._metric} is known in only one of the runs") for host in hosts)


def _tells(column: Column, table: Table) -> bool:
    """Return False for a column of a terminal that says nothing, or the same in each row."""
    cells = column.cells()
    processes_differ = table.column("processes").cells() != table.column("old_processes").cells()
    match column.name:
        case "growth_each_kib":
            return any(cells) and cells != table.column("growth_kib").cells()
        case "growth_kib_per_hour":
            return any(cells)
        case "old_processes":
            return processes_differ
        case "processes" if processes_differ:
            return True
        case _:
            return column.name not in _COUNTS or len({*cells}) > 1


def _longer(column: Column, texts: dict[str, list[str]], more: int) -> Column:
    """Return the column with cells of more rows: `texts`, or unknown."""
    if isinstance(column.values, Coded):
        return replace(column, values=coded([*column.values.texts(), *texts.get(column.name, [None] * more)]))
    if isinstance(column.values, np.ndarray):
        return replace(column, values=np.concatenate([column.values, np.full(more, NULL)]))
    return replace(column, values=[*column.cells(), *[None] * more])


def _cells(values: IntArray | NDArray[np.float64], known: NDArray[np.bool_]) -> list[int | None]:
    """Return signed numbers as cells, None where unknown: an array has no null beside negative numbers."""
    return [int(value) if is_known else None for value, is_known in zip(values.tolist(), known.tolist(), strict=True)]


def _noise(rows: int, growth: int) -> str:
    sum_ = f"{'+' if growth > 0 else ''}{short(growth)}"
    return (
        f"{counted(rows, 'row')} where no process changed by more than {short(FLOOR_KIB)} of its own "
        f"({sum_} in all, in the totals; --all-changes lists them)"
    )
