"""A Dask cluster of the user's, looked at before a run.   dask://HOST:PORT ─► [dask_cluster] ─► on_dask

Everything that would give a worker's hosts other results than this machine's is told here, by the worker's name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import TimeoutError as WaitedTooLongError
from typing import TYPE_CHECKING, Any

from fleetpmap.collection.question import Question
from fleetpmap.errors import UsageError
from fleetpmap.installation import command_for
from fleetpmap.inventory import Host
from fleetpmap.shards.shard_task import Fitness, fitness
from fleetpmap.version import __version__

if TYPE_CHECKING:
    from distributed import Client

SCHEME = "dask://"
_CONNECT_S = 10.0
_SKEW_S = 2.0
"""Seconds by which a worker's clock may be off, where the run has a deadline."""


def refuse_unfit(scheduler: str, hosts: Iterable[Host], question: Question) -> None:
    """Refuse what no cluster can do, before any connection.

    Raises:
        UsageError: the question holds a password, or a host is this machine.
    """
    if question.ssh.password or question.ssh.passphrases or question.become_password:
        raise UsageError(
            f"--on {scheduler}: passwords do not travel to the workers of a cluster",
            hint="give the workers' accounts a key or an agent, and sudo without a password; or use --workers",
        )
    if here := [host.name for host in hosts if host.is_here]:
        raise UsageError(
            f"--on {scheduler}: {here[0]} is this machine without SSH, for which each worker would take its own",
            hint=f"leave it out (--exclude {here[0]}), or reach it over SSH",
        )


def connected(scheduler: str) -> Client:
    """Return a client of the scheduler, with TLS if Dask's own configuration says so.

    Raises:
        UsageError: Dask is not installed here, or no scheduler answers there.
    """
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        hint = f"run `{command_for('dask')}` here, and the same on the workers"
        raise UsageError(f"--on {scheduler}: needs Dask, which is not installed here", hint=hint) from error
    security = Security()  # from Dask's own configuration
    address = f"{'tls' if security.tls_ca_file else 'tcp'}://{scheduler.removeprefix(SCHEME)}"
    try:
        return Client(address, timeout=_CONNECT_S, security=security, set_as_default=False, name="fleetpmap")
    except MemoryError as error:  # the client takes the first bytes of any reply, such as `HTTP/1.1`, for a length
        raise UsageError(
            f"--on {scheduler}: the program that answers there is no scheduler",
            hint="name the port that `dask scheduler` prints as tcp://HOST:PORT (8786), and not that of its dashboard",
        ) from error
    except (OSError, ValueError, WaitedTooLongError) as error:
        raise UsageError(
            f"--on {scheduler}: no scheduler answers there ({first_line(error)})",
            hint="start one with `dask scheduler`, and workers with `dask worker HOST:PORT`; for TLS, see the guide",
        ) from error


def workers_of(client: Client) -> Mapping[str, Mapping[str, Any]]:
    """Return what the scheduler knows of each worker, by its address: `name`, `nthreads`, `resources`, …"""
    found: Mapping[str, Mapping[str, Any]] = client.scheduler_info(n_workers=-1)["workers"]
    return found


def may_ask(worker: Mapping[str, Any], zone: str | None) -> bool:
    """Return whether a worker may ask hosts of that zone."""
    return zone is None or zone in worker.get("resources", {})


def check_workers(
    client: Client, scheduler: str, hosts: Sequence[Host], question: Question, *, has_deadline: bool
) -> int:
    """Refuse workers that would give other results; return the number of shards that they can ask at a time.

    Raises:
        UsageError: a zone has no worker, or a worker has another version, lacks a file, or has a wrong clock.
    """
    workers = workers_of(client)
    if not workers:
        raise UsageError(f"--on {scheduler}: it has no workers", hint="start some with `dask worker HOST:PORT`")
    by_zone: dict[str | None, list[Host]] = {}
    for host in hosts:
        by_zone.setdefault(host.zone, []).append(host)
    if homeless := [zone for zone in by_zone if not any(may_ask(worker, zone) for worker in workers.values())]:
        raise UsageError(
            f"--on {scheduler}: no worker offers the zone {', '.join(map(str, homeless))}",
            hint=f'start one there with `dask worker --resources "{homeless[0]}=1" HOST:PORT`',
        )
    files_of_zone = {zone: files_of(of_zone, question) for zone, of_zone in by_zone.items()}
    files = [*dict.fromkeys(file for of_zone in files_of_zone.values() for file in of_zone)]
    asking = {
        address: {file for zone in zones for file in files_of_zone[zone]}
        for address, worker in workers.items()
        if (zones := [zone for zone in by_zone if may_ask(worker, zone)])
    }
    began = time.time()
    answers = client.run(fitness, files, on_error="return", workers=[*asking])
    clock = (began, time.time()) if has_deadline else None
    unfit: dict[str, list[str]] = {}
    for address, answer in answers.items():
        if why := _unfit(answer, asking[address], clock):
            unfit.setdefault(why, []).append(str(workers[address].get("name") or address))
    if unfit:
        told = "; ".join(f"worker {', '.join(sorted(names))} {why}" for why, names in unfit.items())
        raise UsageError(
            f"--on {scheduler}: {told}",
            hint="install the same version on every worker, with the keys and known_hosts that the inventory names",
        )
    return sum(int(workers[address].get("nthreads", 1)) for address in asking)


def files_of(hosts: Sequence[Host], question: Question) -> list[str]:
    """Return the files that the inventory and the options name for these hosts: keys and known_hosts."""
    named = (path for host in hosts if host.is_ssh for path in (*host.identity_file, *host.known_hosts))
    config = question.ssh.ssh_config
    options = (*question.ssh.known_hosts, *([config] if config and config != "none" else []))
    return [*dict.fromkeys((*named, *options))]


def first_line(error: BaseException) -> str:
    """Return an exception in one line."""
    name = "" if type(error) is Exception else type(error).__name__  # Dask's own wrapper of one that cannot be sent
    return ": ".join(filter(None, [name, *str(error).splitlines()[:1]]))


def _unfit(answer: Fitness | Exception, files: set[str], clock: tuple[float, float] | None) -> str:
    """Return why a worker cannot do the work, as a clause; empty if it can.

    `files`: those that it needs. `clock`: our time before and after it was asked; None where its clock has no part.
    """
    if isinstance(answer, Exception):
        if "No module named 'fleetpmap'" in str(answer):
            return "has no fleetpmap"
        return f"cannot run fleetpmap {__version__} ({first_line(answer)})"
    if answer.version != __version__:
        return f"has fleetpmap {answer.version}, not {__version__}"
    if answer.python != sys.version_info[:2]:
        return f"runs Python {'.'.join(map(str, answer.python))}, not {'.'.join(map(str, sys.version_info[:2]))}"
    if missing := [file for file in answer.missing if file in files]:
        return f"cannot read {', '.join(missing)}"
    if clock and not clock[0] - _SKEW_S <= answer.clock_s <= clock[1] + _SKEW_S:
        return f"has a clock that is {answer.clock_s - clock[1]:+.0f} s off, by which it would keep the deadline"
    return ""
