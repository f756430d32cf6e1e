"""Options of a run over several processes.   command line ─► [options.spread] ─► run, ps"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fleetpmap.cli.option_values import workers
from fleetpmap.cli.options.panels import RUNNING, option


@dataclass(frozen=True, slots=True)
class SpreadOptions:
    """Options that say which processes ask the hosts."""

    workers: Annotated[
        str,
        option(
            RUNNING,
            "--workers N",
            "Processes of this machine that ask hosts, each with its share of --jobs; auto: as many as pay, which is "
            "one below some hundred hosts.",
            parser=workers,
        ),
    ] = "1"
    on: Annotated[
        str | None,
        option(
            RUNNING,
            "--on dask://HOST:PORT",
            "Ask from the workers of a Dask cluster, with their own keys and known_hosts; a host with a zone in the "
            'inventory from those with that resource (`dask worker --resources "eu=1"`).',
        ),
    ] = None

    @property
    def processes(self) -> int | Literal["auto"]:
        """The value of --workers."""
        return "auto" if self.workers == "auto" else int(self.workers)
