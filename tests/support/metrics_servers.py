"""Debian's node_exporter and Prometheus, run on loopback for a test.   .prom files ─► [metrics_servers] ─► tests"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bounded import wait_until
from ports import free_port

PROGRAMS = ("prometheus", "promtool", "prometheus-node-exporter")
REASON = "needs Debian's packages prometheus and prometheus-node-exporter"


def missing() -> str:
    """Why none of them can run here; empty if they can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{REASON}: no {' and no '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Server:
    """A program that answers on a port of loopback, and its log."""

    port: int
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def api(self, path: str, **parameters: str) -> object:
        """The data of an answer of Prometheus' API."""
        return json.loads(self.get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))["data"]

    def query(self, expression: str) -> list[dict]:
        """The samples that an expression gives now."""
        return self.api("query", query=expression)["result"]


@contextlib.contextmanager
def node_exporter(textfiles: Path, directory: Path) -> Iterator[Server]:
    """node_exporter with its textfile collector alone."""
    words = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={textfiles}"]
    with _running(["prometheus-node-exporter", *words], "/", directory) as server:
        yield server


@contextlib.contextmanager
def prometheus(directory: Path) -> Iterator[Server]:
    """Prometheus over the blocks in `directory`/data; it scrapes nothing."""
    config = directory / "prometheus.yml"
    config.write_text("{}")
    words = [f"--config.file={config}", f"--storage.tsdb.path={directory}/data", "--storage.tsdb.retention.time=10y"]
    with _running(["prometheus", *words], "/-/ready", directory) as server:
        yield server


@contextlib.contextmanager
def _running(words: list[str], ready: str, directory: Path) -> Iterator[Server]:
    server = Server(free_port("127.0.0.1"), directory / f"{words[0]}.log")
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory)}
    with server.log_file.open("w") as log:
        process = subprocess.Popen(
            [*words, f"--web.listen-address=127.0.0.1:{server.port}"],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=directory,
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(server, ready))
        assert process.poll() is None, server.log
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _answers(server: Server, path: str) -> bool:
    try:
        server.get(path)
    except (urllib.error.URLError, OSError):
        return False
    return True
