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
            "Ask the hosts from N processes of this machine, each with its share of --jobs. auto: one for each core, "
            "at most one for each 200 hosts.",
            parser=workers,
        ),
    ] = "1"
    on: Annotated[
        str | None,
        option(
            RUNNING,
            "--on dask://HOST:PORT",
            "Ask the hosts from the workers of a Dask cluster, with the workers' own keys and known_hosts. Workers "
            'that offer a zone as a resource (`dask worker --resources "eu=1"`) ask the hosts of that zone.',
        ),
    ] = None

    @property
    def processes(self) -> int | Literal["auto"]:
        """The value of --workers."""
        return "auto" if self.workers == "auto" else int(self.workers)
