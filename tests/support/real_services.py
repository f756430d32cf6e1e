"""Real nginx, gunicorn, PostgreSQL and Redis on real hosts, each in the cgroup that systemd would make for its unit.

    real_hosts ─► [real_services] ─► tests

They listen on Unix sockets in the directory of their host alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from real_hosts import Fleet, RealHost, program, wait_until

PROGRAMS = ("sshd", "nginx", "gunicorn", "postgres", "initdb", "redis-server")
"""Programs that have to be on this machine."""
NGINX = "/system.slice/nginx.service"
GUNICORN = "/system.slice/gunicorn.service"
POSTGRESQL = "/system.slice/system-postgresql.slice/postgresql@15-main.service"
REDIS = "/system.slice/redis-server.service"
PROCESSES = {NGINX: 3, GUNICORN: 3, POSTGRESQL: 6, REDIS: 1}
"""Number of processes of each: a master and two workers, and PostgreSQL's own five beside the postmaster."""

Ready = Callable[[], bool]
"""Returns True once a service that was started answers, with all its processes."""


def nginx(host: RealHost) -> Ready:
    """A master as root and two workers."""
    place = _directory(host, "nginx")
    temporary = "".join(f"{kind}_temp_path {place}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(
        f"daemon off; user www-data; worker_processes 2; pid {place}/pid; error_log stderr;\n"
        f"events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {place}/body; {temporary}\n"
        f'server {{ listen unix:{place}/socket; return 200 "here\\n"; }} }}\n'
    )
    host.start(NGINX, "nginx", "-e", "stderr", "-p", str(place), "-c", str(place / "nginx.conf"))
    return _ready(host, NGINX, place / "socket")


def gunicorn(host: RealHost) -> Ready:
    """An arbiter and two workers, each with an application that keeps some megabytes."""
    place = _directory(host, "gunicorn", "www-data")
    (place / "app.py").write_text(
        'cache = b"x" * (6 << 20)\n\n\n'
        "def application(environ, start_response):\n"
        '    start_response("200 OK", [])\n'
        '    return [b"here\\n"]\n'
    )
    words = ("--workers", "2", "--chdir", str(place), "--bind", f"unix:{place}/socket", "app:application")
    host.start(GUNICORN, "gunicorn", *words, user="www-data")
    return _ready(host, GUNICORN, place / "socket")


def postgresql(host: RealHost, cluster: Path) -> Ready:
    """A server of a copy of `cluster`."""
    place = _directory(host, "postgresql", "postgres")
    subprocess.run(["cp", "--archive", str(cluster), str(place / "main")], check=True)
    settings = ("listen_addresses=", "shared_buffers=16MB", "max_connections=10", "fsync=off", "autovacuum_naptime=1h")
    words = [word for setting in settings for word in ("-c", setting)]
    host.start(POSTGRESQL, "postgres", "-D", str(place / "main"), "-k", str(place), *words, user="postgres")
    return _ready(host, POSTGRESQL, place / ".s.PGSQL.5432")


def redis(host: RealHost) -> Ready:
    """One process."""
    place = _directory(host, "redis", "redis")
    words = ("--port", "0", "--unixsocket", str(place / "socket"), "--dir", str(place), "--save", "")
    host.start(REDIS, "redis-server", *words, user="redis")
    return _ready(host, REDIS, place / "socket")


def new_cluster(directory: Path) -> Path:
    """An empty PostgreSQL cluster, to be copied."""
    directory.mkdir(mode=0o755)
    shutil.chown(directory, "postgres", "postgres")
    initdb = program("initdb")
    assert initdb is not None
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    words = ["--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8", "-D", str(directory / "main")]
    subprocess.run(
        [*become, initdb, *words],
        check=True,
        capture_output=True,
        cwd=directory,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory)},
    )
    return directory / "main"


def settle(fleet: Fleet, ready: list[Ready]) -> None:
    """Wait until all answer, and until the memory of none has changed for a moment."""
    for each in ready:
        wait_until(each, "a service answers")
    before: list[object] = []

    def is_quiet() -> bool:
        rss = [usage["rss_kib"] for of_host in fleet.read().values() for usage in of_host.values()]
        was, before[:] = list(before), rss
        return was == rss

    wait_until(is_quiet, "the services keep their memory")


def _directory(host: RealHost, name: str, owner: str = "root") -> Path:
    place = host.directory / name
    place.mkdir(mode=0o755)
    shutil.chown(place, owner, owner)
    return place


def _ready(host: RealHost, cgroup: str, path: Path) -> Ready:
    def is_ready() -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            return host.processes(cgroup) == PROCESSES[cgroup]
        return False

    return is_ready
