"""The steps to each host: the time that each took, and the one that failed.   collector ─► [doctor] ─► Report

    resolve ─► bastion ─► tcp ─► banner ─► key ─► login ─► shell ─► sudo ─► tools ─► proc

Nothing is tried that a run does not do: `collect` asks the hosts. A failure's stage gives the step that failed; the
times are those at which transport and session report a stage as passed, to the Stopwatch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from fleetpmap.errors import FleetpmapError
from fleetpmap.inventory import Host
from fleetpmap.report import Cell, Column, Report, Table
from fleetpmap.report.model import Unit
from fleetpmap.report.notes import notes_on_listed
from fleetpmap.snapshot import INCOMPLETE, HostResult, Process, Snapshot
from fleetpmap.transport import Route, SshOptions, route
from fleetpmap.transport.base import watch_stages
from fleetpmap.wire import Capabilities

State = Literal["ok", "failed", "not-reached", "not-needed"]
STEPS = ("resolve", "bastion", "tcp", "banner", "key", "login", "shell", "sudo", "tools", "proc")
_CONNECTING = STEPS[: STEPS.index("shell")]
_STEP_OF = {
    "config": "resolve",
    "dns": "resolve",
    "bastion": "bastion",
    "tcp": "tcp",
    "banner": "banner",
    "kex": "banner",
    "host-key": "key",
    "auth": "login",
    "exec": "shell",
    "sudo": "sudo",
    "list": "tools",
    "read": "proc",
    "ask": "proc",  # or an earlier one: see _states
}
"""The step of each stage of a HostError."""
_TIMED = {"resolve": "dns", "tcp": "tcp", "banner": "kex", "login": "auth", "shell": "list", "proc": "read"}
"""Steps with a time, and the stage that ends each; the other steps take no time of their own."""

Times = Mapping[str, float]
"""Seconds from the beginning to the end of each stage that a host passed, by stage."""


class Stopwatch:
    """Records the times at which hosts pass stages. `start` is for `on_start` of collect."""

    def __init__(self) -> None:
        self.times: dict[str, dict[str, float]] = {}

    def start(self, host: Host) -> None:
        """Watch the host that this thread asks next."""
        self.times[host.name] = {}
        watch_stages(partial(self._passed, host.name, time.monotonic()))

    def _passed(self, asked: str, began: float, host: str, stage: str) -> None:
        if host == asked:  # not a bastion on the way
            self.times[asked][stage] = time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One host: the state of every step, and facts that explain it."""

    result: HostResult
    states: Mapping[str, State]
    seconds: Mapping[str, float]
    """Duration of each timed step that was passed."""
    transport: str
    via: str
    """The bastions or the command in between; empty for neither."""
    matched: int
    """Number of processes that matched."""
    readable: int
    """Number of these that were read, or that a run would read."""
    unreadable: int
    """Number of these that this login may not read, or that are left out for another reason; the rest have ended."""

    @property
    def error(self) -> str:
        """Sentence that names the problem and the fix; empty if there is no problem."""
        if failure := self.result.failure:
            message = failure.message.removeprefix(f"{failure.host}: ")
            return f"{message}; {failure.hint}" if failure.hint else message
        if self.states["proc"] != "failed":
            return ""
        return f"{self.unreadable} of {self.matched} processes cannot be read"


def diagnose(
    snapshot: Snapshot, fleet: Sequence[Host], times: Mapping[str, Times], options: SshOptions, *, listed_only: bool
) -> list[Diagnosis]:
    """Return each host's steps, derived from its result and times. `listed_only`: no smaps was read."""
    processes: dict[str, list[Process]] = {}
    for process in snapshot.processes:
        processes.setdefault(process.host, []).append(process)
    diagnoses = []
    for host, result in zip(fleet, snapshot.hosts, strict=True):
        passed, matched = times.get(host.name, {}), processes.get(host.name, [])
        way = _route(host, options)
        not_needed = _not_needed(host, way)
        readable = sum(process.status == "read" for process in matched)
        unreadable = sum(process.status in INCOMPLETE for process in matched)
        states = _states(result, passed, not_needed, watched=bool(way and way.transport == "ssh"))
        if not listed_only and unreadable:
            states["proc"] = "failed"
        transport, via = (way.transport, way.via) if way else (host.transport, "")
        seconds = _seconds(states, passed)
        counts = (len(matched), readable, unreadable)
        diagnoses.append(Diagnosis(result, states, seconds, transport, via, *counts))
    return diagnoses


def _route(host: Host, options: SshOptions) -> Route | None:
    """Return the way to the host; None where there is none."""
    try:
        return route(host, options)
    except FleetpmapError:
        return None


def _not_needed(host: Host, way: Route | None) -> set[str]:
    steps: set[str] = set()
    if not host.is_ssh:
        steps.update(_CONNECTING)
    else:
        hops = way.way.hops if way else ()
        if way and (hops or way.way.proxy_command):
            steps.add("resolve")  # the bastion does it
        if not hops or (way and way.transport == "openssh"):  # the system's ssh does not say where it failed
            steps.add("bastion")
    if not host.sudo or (way and way.settings and way.settings.user == "root"):
        steps.add("sudo")
    return steps


def _states(result: HostResult, passed: Times, not_needed: set[str], *, watched: bool) -> dict[str, State]:
    """Return the state of every step.

    `watched`: the transport reports each stage that it passes, so a step without a time was not passed.
    """
    states: dict[str, State] = {step: "not-needed" if step in not_needed else "ok" for step in STEPS}
    if result.failure is None:
        return states
    needed = [step for step in STEPS if step not in not_needed]
    ended = _STEP_OF.get(result.failure.stage, "")
    if ended == "proc" and "list" not in passed:
        ended = "shell"  # time ran out, or the connection broke, before the first output
    failed = needed.index(ended) if ended in needed else len(needed) if result.status == "not-asked" else 0
    if watched:
        # A failure of an unknown stage ended at the first step that was not passed.
        passable = [step for step in needed if step in _CONNECTING and step in _TIMED]
        undone = next((step for step in passable if _TIMED[step] not in passed), None)
        failed = min(failed, needed.index(undone) if undone else failed)
    if result.status == "not-asked":
        failed = -1
    for place, step in enumerate(needed):
        states[step] = "ok" if place < failed else "failed" if place == failed else "not-reached"
    return states


def _seconds(states: Mapping[str, State], passed: Times) -> dict[str, float]:
    """Return the duration of each timed step, from the end of the timed step before it."""
    seconds: dict[str, float] = {}
    before = passed.get("config", 0.0)
    for step, stage in _TIMED.items():
        if states[step] == "ok" and stage in passed:
            seconds[step] = passed[stage] - before
            before = passed[stage]
    return seconds


def doctor(
    snapshot: Snapshot,
    fleet: Sequence[Host],
    times: Mapping[str, Times],
    options: SshOptions,
    *,
    listed_only: bool,
    full: bool,
) -> Report:
    """Return a report with a row for each host, in the order asked.

    Args:
        fleet: the hosts of `snapshot`.
        times: those of a Stopwatch that ran meanwhile.
        full: for programs: a column for each step and one for each time; else for people: a column for each step.
    """
    diagnoses = diagnose(snapshot, fleet, times, options, listed_only=listed_only)
    columns = _full(diagnoses) if full else _brief(diagnoses)
    return Report(
        view="doctor",
        tables=(Table("rows", tuple(columns), last="error" if full else None),),
        notes=notes_on_listed(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
        listed_only=listed_only,
    )


def _full(diagnoses: Sequence[Diagnosis]) -> list[Column]:
    def text(name: str, cells: Sequence[Cell]) -> Column:
        return Column(name, "text", cells)

    def of_answers(name: str, unit: Unit, cell: Callable[[Diagnosis, Capabilities], Cell]) -> Column:
        cans = [(one, one.result.capabilities) for one in diagnoses]
        return Column(name, unit, [cell(one, can) if can else None for one, can in cans])

    return [
        text("host", [one.result.name for one in diagnoses]),
        text("status", [one.result.status for one in diagnoses]),
        text("transport", [one.transport for one in diagnoses]),
        text("via", [one.via for one in diagnoses]),
        *(text(step, [one.states[step] for one in diagnoses]) for step in STEPS),
        *(Column(f"{step}_ms", "number", [_milliseconds(one, step) for one in diagnoses]) for step in _TIMED),
        of_answers("uid", "number", lambda one, can: can.uid),
        of_answers("kernel", "text", lambda one, can: can.kernel),
        of_answers("reader", "text", lambda one, can: can.reader),
        of_answers("compression", "text", lambda one, can: can.compression),
        of_answers("processes", "number", lambda one, can: one.matched),
        of_answers("readable", "number", lambda one, can: one.readable),
        text("error", [one.error for one in diagnoses]),
    ]


def _brief(diagnoses: Sequence[Diagnosis]) -> list[Column]:
    """Return columns for people: a time or a word for each step, without the steps that no host needs."""
    steps = [step for step in STEPS if any(one.states[step] != "not-needed" for one in diagnoses)]
    cans = [one.result.capabilities for one in diagnoses]
    return [
        Column("host", "text", [one.result.name for one in diagnoses]),
        *(Column(step, "text", [_cell(one, step) for one in diagnoses]) for step in steps),
        Column("uid", "text", [str(can.uid) if can else "" for can in cans]),
        Column("kernel", "text", [can.kernel if can else "" for can in cans]),
    ]


def _cell(one: Diagnosis, step: str) -> str:
    state, can = one.states[step], one.result.capabilities
    if step == "proc" and can:
        return f"{one.readable}/{one.matched}" if one.matched else "no match"
    if state != "ok":
        return {"failed": "failed", "not-reached": "", "not-needed": "-"}[state]
    if step == "tools" and can:
        return can.reader if can.compression == "gzip" else f"{can.reader}, no gzip"
    return _shown(one.seconds[step]) if step in one.seconds else "ok"


def _milliseconds(one: Diagnosis, step: str) -> int | None:
    return round(one.seconds[step] * 1000) if step in one.seconds else None


def _shown(seconds: float) -> str:
    """Format seconds: `0.4ms`, `31ms`, `2.5s`."""
    if seconds >= 1:
        return f"{seconds:.1f}s"
    return f"{seconds * 1000:.0f}ms" if seconds >= 0.01 else f"{seconds * 1000:.1f}ms"
