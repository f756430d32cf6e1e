"""Secrets are in no argument list, environment, output, log, traceback or file, of a run that shows all it can."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.secret import Secret
from passwords import server_for, set_authentication, set_password
from program import BARE
from sshd import Sshd
from terminal import Terminal

PASSWORD = "Xyzzy-never-seen-5"
PASSPHRASE = "Plugh-never-seen-6"
SECRETS = (PASSWORD, PASSPHRASE)
_WITH_A_BUG = """
import time
from fleetpmap.collection import session

def choose(*args, **options):  # a bug of ours, behind login and sudo; they stay a moment, to be looked at
    time.sleep(1)
    raise ZeroDivisionError

session.choose = choose
from fleetpmap.cli import main
main()
"""


def test_secret_is_shown_to_nobody():
    """Printed, formatted, or inside something that is printed: three stars."""
    secret = Secret(PASSWORD)
    options = SshOptions(password=secret, passphrases={"/keys/id": Secret(PASSPHRASE)})
    assert [str(secret), repr(secret), f"{secret}", "%s" % secret] == ["***"] * 4  # noqa: UP031 - as a log would
    assert not any(text in repr(options) for text in SECRETS)


@pytest.mark.parametrize(
    ("secret", "said", "shown"),
    [
        ("hunter2-S3cret", "cat hunter2-S3cret, xhunter2-S3crety", "cat ***, x***y"),
        ("hunter2-S3cret", "hunt\nhunter2-\r\nS3cret", "hunt\n***"),
        ("hunter2-S3cret", 'it said "hunter2-S3c"', 'it said "***"'),
        ("hunter2-S3cret", 'said "xx hunt..." and hunte', 'said "xx ***..." and ***'),
        ("hunter2-S3cret", "hunter and hun", "hunter and hun"),
        ("a&b c/d", "a%26b%20c%2Fd a&amp;b c/d a%26b+c%2Fd", "*** *** ***"),
        ('quote"d', r"quote\"d", "***"),
        ("hunter2-S3cret", "aHVudGVyMi1TM2NyZXQ=", "***="),
        ("ab", "cabbage, ab", "cabbage, ***"),
        ("pässwort", b"p\xe4sswort".decode(errors="surrogateescape"), "***"),
    ],
    ids=["whole", "over-lines", "cut", "cut-earlier", "other-word", "escaped", "json", "base64", "short", "latin-1"],
)
def test_redacting_takes_the_secret_out(secret: str, said: str, shown: str):
    """Wherever it stands in what a host said, escaped or cut; a very short one only where it stands alone."""
    assert Secret(secret).redact(said) == shown


class Watch:
    """Looks at every process's arguments and environment until it is left. Attributes: `seen`, all that it read."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        ours = str(os.getpid())
        while not self._over.wait(0.01):
            for directory in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        if directory.name != ours:
                            self.seen.add((directory / name).read_bytes())
                    except OSError:
                        continue  # it has ended


@pytest.fixture(scope="module")
def words(sshd: Sshd, account: Callable[..., str]) -> Iterator[tuple[str, ...]]:
    """What logs in with a locked key and a password, and takes the password for sudo."""
    assert sshd  # where it cannot run, these tests cannot either
    user = account("secret")
    set_password(user, PASSWORD)
    rule = Path(f"/etc/sudoers.d/{user}")
    rule.write_text(f"{user} ALL=(root) ALL\n")
    rule.chmod(0o440)
    block = set_authentication(user, AuthenticationMethods="publickey,password", PasswordAuthentication="yes")
    with server_for(block) as server:
        key = server.new_key("locked", passphrase=PASSPHRASE)
        server.authorize(user, str(key))
        file = Path(server.identity_file).with_name("inventory.toml")
        file.write_text(
            f'[hosts.box]\naddress = "127.0.0.1"\nport = {server.port}\nuser = "{user}"\n'
            f'identity_file = "{key}"\nknown_hosts = "{server.known_hosts}"\nsudo = true\n'
        )
        options = (
            "--ask-pass",
            "--ask-become-pass",
            "-vv",
            "--ssh-config",
            server.ssh_config,
            "--pid",
            str(os.getpid()),
        )
        yield ("run", "-i", str(file), *options)
    rule.unlink()


@pytest.mark.parametrize(
    ("program", "status"), [(("-m", "fleetpmap"), 0), (("-X", "dev", "-c", _WITH_A_BUG), 4)], ids=["whole", "bug"]
)
def test_secrets_are_nowhere(words: tuple[str, ...], tmp_path: Path, program: tuple[str, ...], status: int):
    """On the terminal, in files, in /proc of us, of sshd and of sudo: after a whole run, and after a traceback."""
    argv = [sys.executable, *program, *words, "-o", "run.json", "--export", "hosts=hosts.csv"]
    with Watch() as watch, Terminal(argv, BARE | {"TERM": "xterm", "HOME": str(tmp_path)}, cwd=tmp_path) as run:
        for prompt, secret in (("login password", PASSWORD), ("sudo password", PASSWORD), ("passphrase", PASSPHRASE)):
            run.wait_for(prompt)
            run.type(secret)
        assert run.status() == status, run.shown
    assert ("Traceback" in run.shown) == (status == 4)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == (3 if status else 2)  # with what is missing from the csv
    assert any(b"--ask-become-pass" in text for text in watch.seen)
    assert any(b"SUDO_USER" in text for text in watch.seen)
    for secret in SECRETS:
        assert secret not in run.shown
        assert not [text for text in (*written, *watch.seen) if secret.encode() in text]


def test_journal_of_paramiko_holds_no_secret(words: tuple[str, ...], tmp_path: Path):
    """Even with its log turned up to everything."""
    log = tmp_path / "paramiko.log"
    program = (
        "import logging\n"
        f"logging.basicConfig(filename={str(log)!r}, level=1)\n"
        "import paramiko.transport, fleetpmap.transport.ssh.session\n"
        "logging.getLogger('paramiko').propagate = True\n"
        "from fleetpmap.cli import main\n"
        "main()\n"
    )
    with Terminal([sys.executable, "-c", program, *words], BARE | {"TERM": "xterm"}, cwd=tmp_path) as run:
        for prompt, secret in (("login password", PASSWORD), ("sudo password", PASSWORD), ("passphrase", PASSPHRASE)):
            run.wait_for(prompt)
            run.type(secret)
        assert run.status() == 0
    text = log.read_text()
    assert "Authentication continues" in text
    assert not any(secret in text for secret in SECRETS)
