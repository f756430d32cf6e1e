"""A real Dask cluster on loopback: a scheduler and workers, each a process.   [dask_cluster] ─► tests"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class DaskCluster:
    """A scheduler, and workers by name. A context manager: leaving it ends all of them.

    `environment`: variables that the scheduler has besides. `tls`: the words by which scheduler and workers use TLS.
    """

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str] | None = None, tls: tuple[str, ...] = ()
    ) -> None:
        self._directory = directory
        self._file = directory / "scheduler.json"
        self._tls = tls
        self._started = 0
        words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", *(["--protocol", "tls"] if tls else [])]
        self.scheduler = self._start("scheduler", *words, environment=environment)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.address = "dask://" + str(self._json()["address"]).partition("://")[2]

    def add(self, *names: str, zone: str = "", environment: Mapping[str, str] | None = None) -> None:
        """Start workers of one thread each, and wait for them; `environment`: variables that they have besides."""
        for name in names:
            self._add(name, zone=zone, environment=environment)
        self._wait()

    def have(self, count: int) -> None:
        """Have just so many workers: forget those that were killed, and start or end others."""
        alive = [name for name, worker in self.workers.items() if worker.poll() is None]
        self._end(*(self.workers.keys() - alive), *alive[count:])
        self.add(*(f"worker-{self._started + number}" for number in range(1, count - len(alive) + 1)))

    @contextlib.contextmanager
    def extra(self, *names: str, environments: Sequence[Mapping[str, str]] = ()) -> Iterator[None]:
        """More workers within the block; `environments`: variables that each has besides."""
        for name, environment in zip_longest(names, environments):
            self._add(name, environment=environment)
        self._wait()
        try:
            yield
        finally:
            self._end(*names)
            self._wait()

    def connected_to(self, port: int) -> list[str]:
        """The names of the workers that have connections to that port, one for each connection."""
        return [
            name
            for name, worker in self.workers.items()
            if worker.poll() is None
            for connection in psutil.Process(worker.pid).net_connections("tcp")
            if connection.raddr and connection.raddr.port == port
        ]

    def log(self) -> str:
        """What the processes wrote."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._directory.glob("*.log")))

    def _start(self, kind: str, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        self._started += 1
        with (self._directory / f"{self._started:02}-{kind}.log").open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file), *self._tls, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(environment or {})},
                cwd=self._directory,
            )

    def _add(self, name: str, *, zone: str = "", environment: Mapping[str, str] | None = None) -> None:
        words = ["--name", name, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--no-nanny"]
        words += ["--local-directory", str(self._directory)]
        words += ["--resources", f"{zone}=1"] if zone else []
        self.workers[name] = self._start("worker", *words, environment=environment)

    def _end(self, *names: str) -> None:
        for worker in [self.workers.pop(name) for name in names]:
            worker.kill()
            worker.wait()

    def _wait(self) -> None:
        """Wait until the scheduler has just these workers."""
        from distributed import Client  # takes a second, which few tests need
        from distributed.security import Security

        ca, cert, key = self._tls[1::2] or (None, None, None)
        tls = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key) if ca else None
        with Client(str(self._json()["address"]), timeout=30, security=tls, set_as_default=False) as client:
            until = time.monotonic() + 60
            while len(client.scheduler_info(n_workers=-1)["workers"]) != len(self.workers):
                assert time.monotonic() < until, self.log()
                time.sleep(0.05)

    def _json(self) -> dict[str, object]:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                found: dict[str, object] = json.loads(self._file.read_text())
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
            else:
                return found
        raise AssertionError(self.log())

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
