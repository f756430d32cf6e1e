"""Start the program without the half second of imports that a start costs.   [warm] ─► program

A server imports the program once, and forks for every command: each still is a process with its own session, files,
environment, working directory and exit status. Between the test and the fork stands a small client, a child of the test
that ends as the fork does, so a test sees what it would see of the program: pipes, a time limit, an exit status.

What shows in a fresh interpreter only (a locale, a PYTHON variable, a missing package) needs a fresh interpreter.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_CLIENT = str(Path(__file__).with_name("warm_client.py"))
_LENGTH = struct.Struct("!I")
_ALIKE = frozenset({"HOME", "COLUMNS"})
"""Variables that are read when they are needed, not when a module is imported."""
_SELDOM = ("explore", "shards.on_dask", "__main__")
"""Modules of the program that only a few commands need, and that import much."""


class Starter:
    """The server of one test process, and how to start the program through it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start the server with the environment that commands have unless they ask for more."""
        self._environment = environment
        self._place = tempfile.TemporaryDirectory(prefix="fleetpmap-tests-")
        self._started = 0
        self._path = str(Path(self._place.name, "server"))
        argv = [sys.executable, __file__, self._path]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        assert self._process.stdout is not None
        self._process.stdout.read(1)  # it listens

    def argv(self, words: Iterable[str], environment: Mapping[str, str]) -> list[str]:
        """Return what to execute for `fleetpmap WORDS…` with these variables added."""
        if environment.keys() <= _ALIKE:
            self._started += 1
            task = Path(self._place.name, str(self._started))
            task.write_text(json.dumps([*words]))  # in the client's arguments, --match would find them
            return [sys.executable, "-I", "-S", _CLIENT, self._path, str(task)]
        return [sys.executable, "-m", "fleetpmap", *words]

    def end(self) -> None:
        """End the server. Its forks have ended, unless a test left one."""
        self._process.communicate()
        self._place.cleanup()


def _serve(path: str) -> None:
    """Fork for each client until stdin ends. Nothing here may be undone at exit, since the forks return from it."""
    package = importlib.import_module("fleetpmap")
    for module in pkgutil.walk_packages(package.__path__, "fleetpmap."):
        if not module.name.removeprefix("fleetpmap.").startswith(_SELDOM):
            importlib.import_module(module.name)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    os.write(1, b"\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so the kernel reaps them
    while True:
        readable, _, _ = select.select([listener, 0], [], [])
        if 0 in readable:
            os._exit(0)
        client, _ = listener.accept()
        if os.fork() == 0:
            break
        client.close()
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    start, files, _, _ = socket.recv_fds(client, _LENGTH.size, 3)
    task = json.loads(_exactly(client, *_LENGTH.unpack(start)))
    pid = os.fork()
    if pid:
        _end_with(pid, client)
    client.close()
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(task["place"])
    os.environ.clear()
    os.environ.update(task["environment"])
    random.seed()
    sys.argv[1:] = json.loads(task["words"])
    runpy.run_module("fleetpmap", run_name="__main__", alter_sys=True)


def _end_with(pid: int, client: socket.socket) -> None:
    """Tell the client how the command ended; kill the command if the client goes first."""
    ended = os.pidfd_open(pid)
    if client in select.select([ended, client], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    client.send(_LENGTH.pack(status))
    os._exit(0)


def _exactly(stream: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = stream.recv(length - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {length} bytes")
        data += piece
    return data


if __name__ == "__main__":
    _serve(sys.argv[1])
