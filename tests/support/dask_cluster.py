"""A real Dask cluster on loopback: a scheduler and workers, each a process.   [dask_cluster] ─► tests"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_QUIET = {
    "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TASKS__TASK_STREAM_LENGTH": "10",
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
}


class DaskCluster:
    """A scheduler, and workers by name. A context manager: leaving it ends all of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.address = "dask://" + self._json()["address"].removeprefix("tcp://")

    def add(
        self, name: str, *, zone: str = "", environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a worker of one thread; `environment`: variables that it has besides."""
        words = ["--name", name, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--no-nanny"]
        words += ["--resources", f"{zone}=1"] if zone else []
        self.workers[name] = self._start("worker", *words, environment=environment)
        return self.workers[name]

    def wait_for(self, count: int) -> None:
        """Wait until so many workers are there."""
        from distributed import Client

        with Client(self.address.replace("dask://", "tcp://"), set_as_default=False, timeout=30) as client:
            client.wait_for_workers(count, timeout=60)

    def log(self) -> str:
        """What the processes wrote."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._directory.glob("*.log")))

    def _start(self, kind: str, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        log = self._directory / f"{kind}-{len(getattr(self, 'workers', ()))}.log"
        with log.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file), *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **_QUIET, **(environment or {})},
                cwd=self._directory,
            )

    def _json(self) -> dict[str, str]:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                found: dict[str, str] = json.loads(self._file.read_text())
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
            else:
                return found
        raise AssertionError(self.log())

    def close(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
