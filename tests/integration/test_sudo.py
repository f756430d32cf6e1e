"""Reading as root: real sudo and doas behind a real OpenSSH server, with each refusal by its own name."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpmap.collection.host import ask_host
from fleetpmap.collection.question import Question
from fleetpmap.collection.reply import HostReply
from fleetpmap.collection.sessions import OneShotSessions
from fleetpmap.errors import DeadlineError, HostError, RemoteError, SudoError
from fleetpmap.probe.sudo import explain_refusal, sudoers_line
from fleetpmap.processes import Selection
from fleetpmap.transport.base import Deadline
from fleetpmap.transport.secret import Secret
from passwords import server_for, set_authentication, set_password
from sshd import Sshd

PASSWORD = "horse staple 3"
NEVER = "this is no password of ours"

Ask = Callable[..., HostReply]


@pytest.fixture(scope="module")
def user(sshd: Sshd, account: Callable[..., str]) -> str:
    """An account with a password, which the server lets in by key."""
    if shutil.which("sudo") is None:
        pytest.skip(reason="no sudo on this machine")
    name = account("sudo")
    set_password(name, PASSWORD)
    sshd.authorize(name, sshd.identity_file)
    return name


@pytest.fixture
def allow(user: str) -> Iterator[Callable[..., None]]:
    """Writes sudoers for the account: allow("ALL", "requiretty") is the rule and the defaults."""
    rule = Path(f"/etc/sudoers.d/{user}")

    def write(commands: str, *defaults: str) -> None:
        rule.write_text("".join(f"Defaults:{user} {word}\n" for word in defaults) + f"{user} ALL=(root) {commands}\n")
        rule.chmod(0o440)

    yield write
    rule.unlink(missing_ok=True)


@pytest.fixture
def ask(sshd: Sshd, user: str) -> Ask:
    """Asks the server for its process 1 as root, with this password for sudo."""

    def make(password: str = "", *, server: Sshd = sshd, transport: str = "ssh", seconds: float = 40) -> HostReply:
        host = server.host(user=user, sudo=True, transport=transport)
        secret = Secret(password) if password else None
        question = Question(Selection(pids=(1,)), smaps=False, ssh=server.options, become_password=secret)
        reply = ask_host(host, question, sessions=OneShotSessions(), deadline=Deadline.after(seconds))
        if isinstance(reply, HostError):
            raise reply
        return reply

    return make


def uid(answer: HostReply) -> int:
    return answer.listing.capabilities.uid


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_sudo_with_a_password(ask: Ask, allow: Callable[..., None], transport: str):
    """sudo asks, gets the password, and the script runs as root; what is kept of the talk does not hold it."""
    allow("/bin/sh")
    answer = ask(PASSWORD, transport=transport)
    assert uid(answer) == 0
    assert PASSWORD not in answer.other_output


@pytest.mark.parametrize("commands", ["NOPASSWD: ALL", "NOPASSWD: /bin/sh -s"])
def test_sudo_that_needs_no_password_never_gets_one(ask: Ask, allow: Callable[..., None], commands: str):
    """A password is at hand, but `sudo -n` is enough: nothing but the script goes to its stdin."""
    allow(commands)
    answer = ask(NEVER)
    # Where the machine's own name cannot be resolved, sudo says so on stderr.
    said = [line for line in answer.other_output.splitlines() if not line.startswith("sudo: unable to resolve host")]
    assert (uid(answer), said) == (0, [])


@pytest.mark.parametrize("defaults", ["use_pty", "passwd_tries=1", "!lecture", "timestamp_timeout=0"])
def test_sudo_under_other_defaults(ask: Ask, allow: Callable[..., None], defaults: str):
    """A pty of its own, one attempt, no lecture, no memory: the handshake is the same."""
    allow("ALL", defaults)
    assert uid(ask(PASSWORD)) == 0


def test_one_session_is_enough(ask: Ask, allow: Callable[..., None], user: str):
    """MaxSessions 1: the second way waits until sshd has let go of the first."""
    allow("ALL")
    with server_for(set_authentication(user, MaxSessions="1")) as server:
        server.authorize(user, server.identity_file)
        assert [uid(ask(PASSWORD, server=server)) for _ in range(5)] == [0] * 5


@pytest.mark.parametrize(
    ("commands", "defaults", "password", "message", "hint"),
    [
        ("ALL", "!lecture", "", "sudo: a password is needed", "--ask-become-pass"),
        ("ALL", "!lecture", NEVER, "sudo: the password is wrong", "--ask-become-pass"),
        ("ALL", "passwd_tries=1", NEVER, "sudo: the password is wrong", "--ask-become-pass"),
        ("NOPASSWD: ALL", "requiretty", PASSWORD, "sudo: its sudoers asks for a terminal", "requiretty"),
        ("/bin/true", "!lecture", PASSWORD, "sudo: sudoers allows this user other commands, not `sh`", "/bin/sh"),
    ],
)
def test_each_refusal_has_its_message(
    ask: Ask, allow: Callable[..., None], commands: str, defaults: str, password: str, message: str, hint: str
):
    """What sudo says no for, and what to do; never the password."""
    allow(commands, defaults)
    with pytest.raises(SudoError) as caught:
        ask(password)
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert NEVER not in caught.value.said


@pytest.mark.parametrize("whose", ["targetpw", "rootpw", "runaspw"])
def test_password_of_another_account(ask: Ask, allow: Callable[..., None], user: str, whose: str):
    """sudo asks for root's, as on openSUSE: the login's password is wrong there, and the message says why."""
    allow("ALL", whose, "!lecture", "passwd_tries=1")
    with pytest.raises(SudoError) as caught:
        ask(PASSWORD)
    assert caught.value.message == f"sudo: the password is wrong: it asks for the password of root, not of {user}"
    assert "targetpw" in caught.value.hint


def test_sh_that_may_start_nothing(ask: Ask, allow: Callable[..., None]):
    """NOEXEC lets `sh` run and no other program: that is sudo's refusal, not a broken connection."""
    allow("NOPASSWD:NOEXEC: /bin/sh -s")
    started = time.monotonic()
    with pytest.raises(SudoError) as caught:
        ask()
    assert caught.value.message == "sudo: `sh` may start no other program there (NOEXEC in sudoers)"
    assert time.monotonic() - started < 40


def test_password_that_has_expired(ask: Ask, allow: Callable[..., None], user: str):
    """sudo says so and goes on to ask for a new one: it is told at once, not when the time is up."""
    allow("ALL", "!lecture")
    subprocess.run(["chage", "-d", "0", user], check=True)
    started = time.monotonic()
    try:
        with pytest.raises(SudoError) as caught:
            ask(PASSWORD)
    finally:
        subprocess.run(["chage", "-d", "-1", user], check=True)
    assert caught.value.message == "sudo: the password has expired"
    assert time.monotonic() - started < 40


@pytest.mark.parametrize(
    ("talk", "kind", "message"),
    [
        ("echo 'You are required to change your password immediately.'", SudoError, "sudo: the password has expired"),
        ("echo 'sudo: account validation failure, is your account locked?'", SudoError, "sudo: the account is locked"),
        ("printf 'Verification code: '", DeadlineError, 'sudo printed "Verification code:"'),
        ("echo 'You are not allowed to be here.'; printf 'Code: '", DeadlineError, 'sudo printed "Code:"'),
    ],
)
def test_sudo_that_goes_on_to_wait(
    ask: Ask,
    only: Callable[..., contextlib.AbstractContextManager[Sshd]],
    talk: str,
    kind: type[HostError],
    message: str,
):
    """What stands on stderr is looked at while sudo waits (a stand-in prints it); other words are no refusal."""
    waiting = _SUDO_RS.replace("for attempt in", f"{{ {talk}; }} >&2\nIFS= read -r answer || exit 1\nfor attempt in")
    started = time.monotonic()
    with only(sudo=waiting) as server, pytest.raises(kind) as caught:
        ask(PASSWORD, server=server, seconds=6)
    assert message in caught.value.message
    assert time.monotonic() - started < 40


def test_user_who_is_not_in_sudoers(ask: Ask):
    """sudo tells only who has given the right password."""
    with pytest.raises(SudoError) as caught:
        ask(PASSWORD)
    assert caught.value.message == "sudo: the user is not in sudoers"


@pytest.fixture
def only(user: str, sshd: Sshd) -> Iterator[Callable[..., contextlib.AbstractContextManager[Sshd]]]:
    """Servers on which the account finds only these programs (and what the probe itself looks for)."""
    assert sshd  # where it cannot run, this one cannot either
    with tempfile.TemporaryDirectory(prefix="fleetpmap-path-") as directory:
        path = Path(directory)
        path.chmod(0o755)

        @contextlib.contextmanager
        def serve(**programs: str) -> Iterator[Sshd]:
            for name, text in ({"sh": ""} | programs).items():
                if text:
                    (path / name).write_text(text)
                    (path / name).chmod(0o755)
                else:
                    (path / name).symlink_to(str(shutil.which(name)))
            with server_for(set_authentication(user, SetEnv=f"PATH={path}")) as server:
                server.authorize(user, server.identity_file)
                yield server

        yield serve


def test_host_without_sudo_and_doas(ask: Ask, only: Callable[..., contextlib.AbstractContextManager[Sshd]]):
    """Both were looked for."""
    with only() as server, pytest.raises(SudoError) as caught:
        ask(PASSWORD, server=server)
    assert caught.value.message == "neither sudo nor doas is installed there"


@pytest.mark.skipif(shutil.which("doas") is None, reason="no doas on this machine")
@pytest.mark.skipif(Path("/etc/doas.conf").exists(), reason="doas.conf is somebody's own, and not ours to change")
@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("permit nopass {user} as root cmd sh args -s", "0"),
        ("permit {user} as root", "doas: a password is needed, which doas reads from a terminal only"),
        ("permit nopass {user} as root cmd true", "doas: doas.conf does not allow this user `sh -s`"),
    ],
)
def test_doas_where_there_is_no_sudo(
    ask: Ask, only: Callable[..., contextlib.AbstractContextManager[Sshd]], user: str, rule: str, outcome: str
):
    """`doas -n` is the way there without a password; with one it cannot be used, and says so."""
    configuration = Path("/etc/doas.conf")
    configuration.write_text(rule.format(user=user) + "\n")
    configuration.chmod(0o400)
    try:
        with only(doas="") as server:
            try:
                found = str(uid(ask(PASSWORD, server=server)))
            except SudoError as error:
                found = error.message
    finally:
        configuration.unlink()
    assert found == outcome


_SUDO_RS = """#!/bin/sh
# Stands in for sudo-rs, which is not packaged everywhere: it prints what sudo-rs prints, and becomes nobody else.
case $1 in
    -n) echo "sudo: interactive authentication is required" >&2; exit 1 ;;
esac
prompt=$3
shift 3
for attempt in 1 2 3; do
    printf '[sudo: %s] ' "$prompt" >&2
    IFS= read -r password || exit 1
    if [ "$password" = "horse staple 3" ]; then
        exec "$@"
    fi
    echo "sudo: Authentication failed, try again." >&2
done
echo "sudo: Maximum 3 incorrect authentication attempts" >&2
exit 1
"""


@pytest.mark.parametrize(("password", "outcome"), [(PASSWORD, "probe runs"), (NEVER, "sudo: the password is wrong")])
def test_sudo_rs_prompt(
    ask: Ask, only: Callable[..., contextlib.AbstractContextManager[Sshd]], password: str, outcome: str
):
    """Our prompt between `[sudo: ` and `]` (a stand-in prints it) is still ours."""
    with only(sudo=_SUDO_RS) as server:
        try:
            found = "probe runs" if ask(password, server=server).listing.processes else "nothing"
        except SudoError as error:
            found = error.message
    assert found == outcome


def test_echo_of_the_password_is_redacted(ask: Ask, only: Callable[..., contextlib.AbstractContextManager[Sshd]]):
    """A broken pty that echoes what it is told: what we keep of it has `***` in its place."""
    echoing = _SUDO_RS.replace('if [ "$password"', 'echo "$password" >&2\n    if [ "$password"')
    with only(sudo=echoing) as server:
        said = ask(PASSWORD, server=server).other_output
    assert PASSWORD not in said
    assert "] ***" in said


@pytest.mark.parametrize(
    ("user", "login"),
    [
        *(("ops", "ops"), ("www-data", "www-data"), ("first.last_2", "first.last_2")),
        *(
            ("", "#1000"),
            ("root", "#1000"),
            ("a b", "#1000"),
            ("ALL", "ALL"),
            ("DOM\\ops", "#1000"),
            ("%wheel", "#1000"),
        ),
        *(("ops\nALL", "#1000"), ("o" * 65, "#1000"), ("-x", "#1000"), ("***", "#1000")),
    ],
)
def test_line_for_sudoers(user: str, login: str):
    """The host sends the name: only a plain one gets into the line, and any other is the uid."""
    assert sudoers_line(user, 1000) == f"{login} ALL=(root) NOPASSWD: /bin/sh -s"


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("sudo: account validation failure, is your account locked?", "sudo: the account is locked"),
        ("sudo: Account or password is expired, reset your password and try again", "sudo: the password has expired"),
        (
            'sudo: Account expired or PAM config lacks an "account" section for sudo, contact your administrator',
            "sudo: the account has expired",
        ),
        (
            'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
            "sudo: it cannot become root there (no new privileges)",
        ),
        ("I'm sorry ops. I'm afraid I can't do that", "sudo: sudoers does not allow this user `sh`"),
        ("Sorry, user ops may not run sudo on web-03.", "sudo: the user may not run sudo"),
        ("sudo: no tty present and no askpass program specified", "sudo: a password is needed"),
        (
            "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set?",
            "sudo: it cannot become root there (nosuid)",
        ),
        (
            "/etc/sudoers:3:1: syntax error\nsudo: no valid sudoers sources found, quitting",
            "sudo: its sudoers cannot be read",
        ),
        ("sudo: unable to resolve host x: no\nsudo: Kein Zutritt", "sudo: Kein Zutritt"),
        ("sudo: Ein Passwort ist notwendig", "sudo: Ein Passwort ist notwendig"),
    ],
)
def test_refusals_that_are_hard_to_stage(sshd: Sshd, stderr: str, message: str):
    """As sudo 1.9 and sudo-rs print them."""
    refusal = explain_refusal(stderr, sshd.host())
    assert refusal is not None
    assert refusal.message == message


def test_other_words_are_no_refusal(sshd: Sshd):
    """A shell that fails is not sudo."""
    assert explain_refusal("sh: 1: syntax error\n", sshd.host()) is None
    assert explain_refusal("sudo: unable to resolve host web-03: Name or service not known\n", sshd.host()) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"ForceCommand": "internal-sftp", "ChrootDirectory": "/usr"},
            "the account is for sftp only: no command runs there",
        ),
        (
            {"ForceCommand": "echo Backups only"},
            "the shell there ended with exit status 0 before the probe began: Backups only",
        ),
    ],
)
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_account_that_runs_something_else(ask: Ask, user: str, settings: dict[str, str], message: str, transport: str):
    """A chrooted account for sftp, and a forced command: what answered in place of the shell is quoted."""
    with server_for(set_authentication(user, **settings)) as server:
        server.authorize(user, server.identity_file)
        with pytest.raises(HostError) as caught:
            ask(server=server, transport=transport)
    assert (type(caught.value), caught.value.message) == (RemoteError, message)
