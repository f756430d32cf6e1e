"""A fleet asked by this process, or by several.   run, ps ─► [spread] ─► pipeline or shards ─► Snapshot"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from fleetpmap.cli.interrupt import interruptible
from fleetpmap.cli.options import RunningOptions, SpreadOptions
from fleetpmap.cli.pipeline import collect_fleet, collect_options, progress_for, question_from
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.collection.parts import OnRows
    from fleetpmap.inventory import Host
    from fleetpmap.processes import Selection
    from fleetpmap.snapshot import Snapshot


def check_spread(spread: SpreadOptions, how: RunningOptions, *, captures: bool) -> None:
    """Check --workers and --on, before any host is asked.

    Raises:
        UsageError: they exclude each other, or --capture; --on is no address, or a password would have to travel.
    """
    option = "--on" if spread.on else "--workers"
    if spread.on and spread.processes != 1:
        raise UsageError("--on and --workers exclude each other", hint="a cluster has workers of its own")
    if spread.on and not re.fullmatch(r"dask://\S+:\d+", spread.on):
        raise UsageError(f"--on {spread.on}: is not an address", hint="write --on dask://HOST:PORT")
    passwords = {
        "--ask-pass": how.ask_pass,
        "--ask-become-pass": how.ask_become_pass,
        "--password-command": how.password_command is not None,
    }
    if spread.on and (given := [name for name, is_given in passwords.items() if is_given]):
        raise UsageError(
            f"{given[0]} and --on exclude each other: passwords do not travel to the workers of a cluster",
            hint="give the workers' accounts a key or an agent, and sudo without a password; or use --workers",
        )
    if captures and (spread.on or spread.processes not in ("auto", 1)):
        hint = f"leave out {option}, or keep the parsed run with --save"
        raise UsageError("--capture keeps what the hosts sent, which other processes do not pass on", hint=hint)


def collect_spread(
    fleet: Sequence[Host],
    selection: Selection,
    how: RunningOptions,
    spread: SpreadOptions,
    *,
    smaps: bool = True,
    sums: Collection[str] | None = None,
    on_part: Callable[[Snapshot], None] | None = None,
    on_rows: OnRows | None = None,
    keep: Keep | None = None,
) -> Snapshot:
    """Ask every host from as many processes as the options say; the other arguments are those of `collect_fleet`.

    With `keep` it is this process alone.
    """
    from fleetpmap.shards.division import workers_for

    workers = 1 if keep else workers_for(len(fleet), spread.processes)
    if workers == 1 and not spread.on:
        return collect_fleet(fleet, selection, how, smaps=smaps, sums=sums, on_part=on_part, on_rows=on_rows, keep=keep)
    # The keys of a cluster's workers are their own, so a passphrase typed here would open none of them.
    question = question_from(fleet, selection, how, smaps=smaps, asks=not spread.on)
    with interruptible() as stop, progress_for(fleet, how, stop, prints_rows=on_part is not None) as progress:
        options: dict[str, Any] = {
            **collect_options(how, stop),
            "sums": sums,
            "on_status": lambda host, status: progress.done(host.name, status),
            "on_part": on_part,
            "on_rows": on_rows,
        }
        if spread.on:
            from fleetpmap.shards.on_dask import collect_on_dask

            if not how.verbose:
                logging.disable()  # Dask logs a lost scheduler with a traceback; the report says it in a sentence
            return collect_on_dask(fleet, question, scheduler=spread.on, on_shard=progress.shard_done, **options)
        from fleetpmap.shards.processes import collect_in_processes

        return collect_in_processes(
            fleet, question, workers=workers, on_start=lambda host: progress.started(host.name), **options
        )
