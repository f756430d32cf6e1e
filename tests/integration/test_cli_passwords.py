"""Where secrets are asked for: on the terminal and by a command, before any host is contacted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh.keys import locked_files
from passwords import server_for, set_authentication, set_password
from program import BARE, fleetpmap
from sshd import Sshd
from terminal import Terminal

PASSWORD = "staple battery 4"


def inventory(path: Path, server: Sshd, hosts: int, *lines: str) -> tuple[str, ...]:
    """Words that ask that many hosts of the server for this process."""
    file = path / "inventory.toml"
    named = "".join(f"[hosts.box-{number}]\n" for number in range(1, hosts + 1))
    file.write_text(
        f'[defaults]\naddress = "127.0.0.1"\nport = {server.port}\nknown_hosts = "{server.known_hosts}"\n'
        + "".join(f"{line}\n" for line in lines)
        + named
    )
    return ("-i", str(file), "--ssh-config", server.ssh_config, "--pid", str(os.getpid()))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts `fleetpmap run` on a terminal of its own; the environment's words are added."""
    started: list[Terminal] = []

    def start(*words: str, **environment: str) -> Terminal:
        argv = [sys.executable, "-m", "fleetpmap", "run", *words, "--view", "hosts", "--columns", "host,status"]
        started.append(Terminal(argv, BARE | {"TERM": "xterm"} | environment, columns=200, cwd=tmp_path))
        return started[-1]

    yield start
    for terminal in started:
        terminal.__exit__()


@pytest.fixture
def locked(sshd: Sshd, tmp_path: Path) -> tuple[str, ...]:
    """Words that ask three hosts which take one key, that has a passphrase."""
    key = sshd.new_key(f"locked-{tmp_path.name}", passphrase=PASSWORD)
    sshd.authorize(sshd.user, str(key))
    return inventory(tmp_path, sshd, 3, f'user = "{sshd.user}"', f'identity_file = "{key}"')


def test_passphrase_is_asked_once_for_three_hosts(run: Callable[..., Terminal], locked: tuple[str, ...]):
    """Before the run; all three log in with the key, and nothing of what was typed is shown."""
    terminal = run(*locked)
    terminal.wait_for("passphrase for ")
    terminal.type(PASSWORD)
    assert terminal.status() == 0
    assert terminal.shown.count("passphrase for ") == 1
    assert PASSWORD not in terminal.shown


def test_wrong_passphrase_is_asked_for_again(run: Callable[..., Terminal], locked: tuple[str, ...]):
    """Three times, as ssh does."""
    terminal = run(*locked)
    terminal.wait_for("passphrase for ")
    terminal.type("not this one")
    terminal.wait_for("passphrase for ", times=2)
    terminal.type(PASSWORD)
    assert terminal.status() == 0


def test_no_passphrase_leaves_the_key_out(run: Callable[..., Terminal], locked: tuple[str, ...]):
    """Enter alone is "I do not know": the error then names the key and ssh-add."""
    terminal = run(*locked)
    terminal.wait_for("passphrase for ")
    terminal.type("")
    assert terminal.status() == 4
    assert "needs its passphrase (ssh-add it)" in " ".join(terminal.shown.split())


def test_without_a_terminal_no_passphrase_is_asked_for(locked: tuple[str, ...]):
    """A timer's run says which key to add to an agent."""
    done = fleetpmap("run", *locked)
    assert done.returncode == 4
    assert "needs its passphrase (ssh-add it)" in done.stderr


def test_key_that_the_agent_holds_is_not_asked_for(
    run: Callable[..., Terminal], sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The agent signs with it; nobody needs the file's passphrase."""
    key = sshd.new_key("locked-and-held")
    sshd.authorize(sshd.user, str(key))
    socket = tmp_path / "agent"
    subprocess.run(["ssh-agent", "-a", str(socket)], check=True, capture_output=True)
    pid = subprocess.run(["pgrep", "-f", f"ssh-agent -a {socket}"], check=True, capture_output=True, text=True).stdout
    try:
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=BARE | {"SSH_AUTH_SOCK": str(socket)})
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSWORD, "-f", str(key)], check=True, capture_output=True)
        words = inventory(tmp_path, sshd, 1, f'user = "{sshd.user}"', f'identity_file = "{key}"')
        terminal = run(*words, SSH_AUTH_SOCK=str(socket))
        assert terminal.status() == 0
    finally:
        os.kill(int(pid.split()[0]), 15)
    assert "passphrase" not in terminal.shown


def test_usual_key_is_asked_for_only_where_nothing_else_is_at_hand(sshd: Sshd, tmp_path: Path):
    """Of ssh's own names the first, and none where another of them is open; a named one in any case."""
    names = [tmp_path / f"id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")]
    for name in names[:2]:
        sshd.new_key(f"new-{name.name}-{tmp_path.name}", passphrase=PASSWORD).rename(name)
    settings = ssh_config.resolve("box", SshOptions(ssh_config="none"))
    usual = replace(settings, identity_files=tuple(map(str, names)), identity_agent="")
    host = Host("box")
    assert locked_files([(host, usual)]) == (str(names[0]),)
    sshd.new_key(f"open-{tmp_path.name}").rename(names[2])
    assert locked_files([(host, usual)]) == ()
    assert locked_files([(replace(host, identity_file=(str(names[1]),)), usual)]) == (str(names[1]),)


@pytest.fixture(scope="module")
def server(sshd: Sshd, account: Callable[..., str]) -> Iterator[tuple[Sshd, str]]:
    """An sshd and its account that takes a password, for itself and for sudo."""
    assert sshd  # where it cannot run, these tests cannot either
    user = account("asked")
    set_password(user, PASSWORD)
    rule = Path(f"/etc/sudoers.d/{user}")
    rule.write_text(f"{user} ALL=(root) ALL\n")
    rule.chmod(0o440)
    with server_for(set_authentication(user, PasswordAuthentication="yes")) as running:
        yield running, user
    rule.unlink()


def test_login_password_is_asked_once_and_taken_for_sudo(
    run: Callable[..., Terminal], server: tuple[Sshd, str], tmp_path: Path
):
    """--ask-pass and --ask-become-pass each ask once for two hosts; Enter alone takes the first for the second."""
    words = inventory(tmp_path, server[0], 2, f'user = "{server[1]}"')
    terminal = run(*words, "--sudo", "--ask-pass", "--ask-become-pass")
    terminal.wait_for("login password: ")
    terminal.type(PASSWORD)
    terminal.wait_for("sudo password (empty: the login password): ")
    terminal.type("")
    assert terminal.status() == 0
    assert PASSWORD not in terminal.shown


def test_command_gives_the_login_password(server: tuple[Sshd, str], tmp_path: Path):
    """The first line that it prints; what follows is the user's own."""
    file = tmp_path / "pass word"
    file.write_text(f"{PASSWORD}\nurl: elsewhere\n")
    words = inventory(tmp_path, server[0], 2, f'user = "{server[1]}"')
    done = fleetpmap("run", *words, "--password-command", f"cat '{file}'")
    assert (done.returncode, PASSWORD in done.stdout + done.stderr) == (3, False), done.stderr
    assert "run with --sudo to read it" in done.stderr


def test_command_gives_the_sudo_password(server: tuple[Sshd, str], tmp_path: Path):
    """With --ask-become-pass alone it is for sudo, and logging in is the keys' work."""
    server[0].authorize(server[1], server[0].identity_file)
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    words = inventory(tmp_path, server[0], 1, f'user = "{server[1]}"', f'identity_file = "{server[0].identity_file}"')
    done = fleetpmap("run", *words, "--sudo", "--ask-become-pass", "--password-command", f"cat {file}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ask-pass",), "--ask-pass: there is no terminal to ask on"),
        (("--sudo", "--ask-become-pass"), "--ask-become-pass: there is no terminal to ask on"),
        (("--ask-become-pass",), "--ask-become-pass, but no host uses sudo"),
        (("--password-command", "false"), "--password-command false: ended with status 1"),
        (("--password-command", "true"), "--password-command true: printed nothing"),
        (("--password-command", "/no/such/program"), "--password-command /no/such/program: No such file or directory"),
        (("--password-command", ""), "--password-command is empty"),
        (("--password-command", "cat 'x"), "--password-command cat 'x: No closing quotation"),
    ],
)
def test_secret_that_cannot_be_had_is_a_usage_error(words: tuple[str, ...], message: str):
    """Exit status 2 before anything is contacted."""
    done = fleetpmap("run", "-H", "192.0.2.1", "--all", *words)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, message)
