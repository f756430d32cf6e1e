"""What tests share: a real sshd, and accounts on this machine to log in to."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sshd import Sshd, missing

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder: `pytest -m unit` runs tests/unit. The longest file comes first."""
    for item in items:
        item.add_marker(item.path.relative_to(_HERE).parts[0])
    items.sort(key=lambda item: item.path.stem != "test_fuzz")  # else one worker is left with it at the end


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """A real sshd on 127.0.0.1, in which the user who runs the tests may log in."""
    yield from _running(("127.0.0.1",))


@pytest.fixture(scope="session")
def sshd_of_fifty() -> Iterator[Sshd]:
    """The same on 127.0.1.1 to 127.0.1.50, one port: fifty hosts."""
    yield from _running(tuple(f"127.0.1.{number}" for number in range(1, 51)))


@pytest.fixture(scope="session")
def account() -> Iterator[Callable[..., str]]:
    """Makes accounts: `account("ops")` is the name of a fresh one, without a password, gone after the tests.

    `account("ops", shell="/bin/bash")` has that login shell.
    """
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    useradd, usermod, userdel = (shutil.which(name, path=path) for name in ("useradd", "usermod", "userdel"))
    if os.geteuid() != 0 or not (useradd and usermod and userdel):
        pytest.skip(reason="making accounts takes root and useradd")
    made: dict[str, str] = {}

    def make(purpose: str, shell: str = "/bin/sh") -> str:
        if purpose not in made:
            name = f"fpm-{os.getpid()}-{purpose}"
            subprocess.run([useradd, "--create-home", "--shell", shell, name], check=True, capture_output=True)
            made[purpose] = name
            # useradd locks the account with "!", which sshd without PAM takes for "no login at all".
            subprocess.run([usermod, "--password", "*", name], check=True, capture_output=True)
        return made[purpose]

    yield make
    for name in made.values():
        subprocess.run([userdel, "--force", "--remove", name], check=False, capture_output=True)


@pytest.fixture
def agent(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A real ssh-agent, empty; `agent(key)` adds a key, and the certificate beside it, to it."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))  # where ssh, and so we, look for it

    def add(key: Path) -> None:
        subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)

    while not path.exists() and process.poll() is None:
        threading.Event().wait(0.01)
    yield add
    process.terminate()
    process.wait(10)


def _running(addresses: tuple[str, ...]) -> Iterator[Sshd]:
    if reason := missing():
        if os.environ.get("FLEETPMAP_REQUIRE_SSHD") == "1":
            pytest.fail(f"FLEETPMAP_REQUIRE_SSHD=1, but {reason}")
        pytest.skip(reason=f"no sshd to test with: {reason}")
    # Not tmp_path: accounts other than ours must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-") as directory:
        server = Sshd(Path(directory), addresses)
        try:
            yield server
        finally:
            server.close()
