"""A fleet of recorded hosts, and the files of gateways that ask a shard of it each.   [gateways] ─► tests of shards"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleetpmap.collection.collector import Question, collect
from fleetpmap.demo import lay_out, trees
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection, compile_match
from fleetpmap.shards.division import divided
from fleetpmap.snapshot import FleetShard, HostSnapshot, Run, Snapshot
from fleetpmap.snapshot_file import save_in

NAMES = tuple(f"{name}-{number:02}" for number in range(12, 0, -1) for name in ("web", "db"))
"""24 hosts, in an order that no sorting gives."""
BROKEN = ("db-12", "web-05", "db-01")
"""Hosts that give no reply: one at the begin, one in the middle, the last."""
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def recorded_fleet(directory: Path) -> list[Host]:
    """24 hosts over three recorded trees, of different kernels and with denied processes; three hosts have no /proc."""
    recorded = lay_out(trees(), directory)
    roots = [str(directory / recorded[place % len(recorded)]) for place in range(len(NAMES))]
    return [
        Host(name, transport="local", proc_root="/proc/none" if name in BROKEN else root)
        for name, root in zip(NAMES, roots, strict=True)
    ]


def asked(hosts: Sequence[Host], match: str | None = None) -> list[HostSnapshot]:
    """The replies of these hosts, in their order."""
    replies: dict[str, HostSnapshot] = {}
    selection = Selection(match=None if match is None else compile_match(match))
    collect(hosts, Question(selection), on_host=lambda reply: replies.update({reply.name: reply}))
    return [replies[host.name] for host in hosts]


def run_of(replies: Sequence[HostSnapshot], started: datetime = NOON) -> Snapshot:
    """The replies as one run."""
    return Snapshot.assemble(replies, Run(started, 1.5, "fleetpmap run --all --save runs/"))


def save_shards(
    directory: Path,
    replies: Sequence[HostSnapshot],
    of: int,
    *,
    started: datetime = NOON,
    without: Collection[int] = (),
    late_s: Mapping[int, float] = {},  # only read
    looked_for: str = "every process",
) -> dict[int, Path]:
    """Save the replies as so many gateways do; return the file of each shard.

    `without`: shards that are not saved. `late_s`: seconds by which a gateway starts later.
    """
    fleet = tuple(reply.name for reply in replies)
    files: dict[int, Path] = {}
    for number, part in enumerate(divided(replies, of), 1):
        if number in without:
            continue
        begin = started + timedelta(seconds=late_s.get(number, 0))
        command = f"fleetpmap run --all --shard {number}/{of} --save runs/"
        run = Run(begin, 1.5, command, shard=FleetShard(number, of, fleet, looked_for))
        files[number] = save_in(directory, Snapshot.assemble(part, run))
    return files
