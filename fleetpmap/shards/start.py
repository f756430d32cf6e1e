"""The first lines of a worker process.   processes ─► [start] ─► worker

The settings of the process come before numpy and paramiko, so this module imports neither.
"""

from __future__ import annotations

from multiprocessing.connection import Connection

from fleetpmap.tuning import trim_footprint


def main(pipe: Connection) -> None:
    """Be a worker for the run at the other end of the pipe."""
    trim_footprint()
    from fleetpmap.shards.worker import work

    work(pipe)
