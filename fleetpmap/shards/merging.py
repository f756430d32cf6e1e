"""The shards of one run, put together.   Snapshot of each shard ─► [merging] ─► Snapshot of the fleet

A shard that is missing is not left out: its hosts are in the result, with the status `not-asked` and the reason.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from fleetpmap.errors import UsageError
from fleetpmap.shards.division import divided
from fleetpmap.snapshot import FleetShard, HostFailure, HostSnapshot, Run, Snapshot
from fleetpmap.snapshot_file import OtherVersionError, are_of_one_run

_OPTION = "--shard"


def merged(shards: Sequence[Snapshot], unread: Mapping[int, UsageError]) -> Snapshot:
    """Join shards of one fleet, each of which occurs once, into the snapshot that one run over the fleet gives.

    The run lasts from the begin of the first shard to the end of the last one, and has the command of the first shard
    of `shards` without --shard. `unread`: the error of a shard that was saved and is not among `shards`, by its number.

    Raises:
        ValueError: they are not the shards of one run, each once; or one has other hosts than the division of its fleet
            gives it.
    """
    of_run = [snapshot.run.shard for snapshot in shards]
    if not are_of_one_run(of_run):
        raise ValueError("its files are not shards of one run, each once")
    by_number = {shard.number: snapshot for shard, snapshot in zip(of_run, shards, strict=True) if shard}
    run, first = shards[0].run, of_run[0]
    assert first is not None  # noqa: S101  # for the type checker
    parts: list[Snapshot] = []
    for number, names in enumerate(divided(first.fleet, first.of), 1):
        part = by_number.get(number) or _missing(replace(first, number=number), names, run, unread.get(number))
        if [host.name for host in part.hosts] != list(names):
            raise ValueError(f"shard {number} of {first.of} has other hosts than that shard of its fleet has")
        parts.append(part)
    joined = Snapshot.joined(parts)
    return replace(joined, run=replace(joined.run, command=without_shard(run.command), shard=None))


def _missing(shard: FleetShard, hosts: Sequence[str], run: Run, unread: UsageError | None) -> Snapshot:
    """Return a snapshot of the hosts of a missing shard; it has the time of `run`, which is that of another shard."""
    message = f"shard {shard.number} of {shard.of} is missing"
    hint = f"see why the machine that runs with --shard {shard.number}/{shard.of} did not save, or not in time"
    if unread is not None:
        message = f"shard {shard.number} of {shard.of} cannot be read: {unread.message}"
        hint = unread.hint if isinstance(unread, OtherVersionError) else "fetch it again from where it was saved"
    failures = (HostFailure(host, "not-asked", "shard", message, hint) for host in hosts)
    return Snapshot.assemble(map(HostSnapshot.failed, failures), run)


def without_shard(command: str) -> str:
    """Return a command line without its --shard.

    Text that a shell would not read comes back as it is: only a damaged file can hold such a command.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return shlex.join(_kept(words))


def _kept(words: Sequence[str]) -> Iterator[str]:
    yield from words[:1]
    for before, word in pairwise(words):
        if _OPTION not in (before, word) and not word.startswith(f"{_OPTION}="):
            yield word
