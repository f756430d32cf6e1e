"""Accounts with real passwords, and servers that ask for them.   [passwords] ─► tests"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sshd import Sshd


def set_password(account: str, password: str) -> None:
    """Give an account of the tests' own a password."""
    if not (chpasswd := shutil.which("chpasswd", path="/usr/sbin:/sbin:/usr/bin:/bin")):
        pytest.skip(reason="setting passwords takes chpasswd")
    subprocess.run([chpasswd], input=f"{account}:{password}\n", text=True, check=True, capture_output=True)


def set_authentication(account: str, **settings: str) -> str:
    """A block of sshd_config for one account: set_authentication("ops", PasswordAuthentication="yes")."""
    return "\n ".join([f"Match User {account}", *(f"{name} {value}" for name, value in settings.items())]) + "\n"


@contextlib.contextmanager
def server_for(*blocks: str) -> Iterator[Sshd]:
    """A real sshd with PAM and these blocks, in a file of their own: a block ends only where its file does."""
    if not Path("/etc/pam.d/sshd").exists():
        pytest.skip(reason="sshd asks by keyboard-interactive only with PAM; there is no /etc/pam.d/sshd here")
    # Not tmp_path: accounts other than ours must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-") as directory:
        include = Path(directory, "accounts.conf")
        include.write_text("".join(blocks))
        with contextlib.closing(Sshd(Path(directory), settings=f"UsePAM yes\nInclude {include}")) as server:
            yield server
