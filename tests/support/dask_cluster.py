"""A real Dask cluster on loopback: a scheduler and workers, each a process.   [dask_cluster] ─► tests"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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

    def add(self, *names: str, zone: str = "", environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start workers of one thread each, and wait for them; `environment`: variables that they have besides."""
        for name in names:
            words = ["--name", name, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--no-nanny"]
            words += ["--local-directory", str(self._directory)]
            words += ["--resources", f"{zone}=1"] if zone else []
            self.workers[name] = self._start("worker", *words, environment=environment)
        self._wait()
        return self.workers[names[-1]]

    @contextlib.contextmanager
    def extra(self, name: str, **options: Any) -> Iterator[None]:
        """One more worker within the block."""
        self.add(name, **options)
        try:
            yield
        finally:
            worker = self.workers.pop(name)
            worker.kill()
            worker.wait()
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

    def _wait(self) -> None:
        """Wait until the scheduler has just these workers, as the client of one of them says."""
        code = (
            "import os, sys, time; from distributed import Client\n"
            "from distributed.security import Security\n"
            "ca, cert, key = (sys.argv[3:6] + [None] * 3)[:3]\n"
            "tls = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key) if ca else None\n"
            "client = Client(sys.argv[1], timeout=30, security=tls)\n"
            "until = time.monotonic() + 60\n"
            "while len(client.scheduler_info(n_workers=-1)['workers']) != int(sys.argv[2]):\n"
            "    assert time.monotonic() < until\n"
            "    time.sleep(0.1)\n"
        )
        words = [str(self._json()["address"]), str(len(self.workers)), *self._tls[1::2]]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + self.log()

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
