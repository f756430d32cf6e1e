"""Logging in, against real OpenSSH servers: keys, certificates, agents, passwords, and both."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from fleetpmap.errors import AuthError, FleetpmapError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import open_transport
from fleetpmap.transport.base import Deadline, SshOptions, Transport
from fleetpmap.transport.secret import Secret
from passwords import server_for, set_authentication, set_password
from sshd import Sshd

PASSWORD = "correct horse 1"


@pytest.fixture(scope="module")
def accounts(sshd: Sshd, account: Callable[..., str]) -> dict[str, str]:
    """Accounts of the same password, by how they are let in."""
    assert sshd  # where it cannot run, these tests cannot either
    names = {purpose: account(purpose) for purpose in ("password", "interactive", "both", "expired")}
    for name in names.values():
        set_password(name, PASSWORD)
    return names


@pytest.fixture(scope="module")
def server(accounts: dict[str, str]) -> Iterator[Sshd]:
    """An sshd that lets each of the accounts in its own way."""
    with server_for(
        set_authentication(accounts["password"], AuthenticationMethods="password", PasswordAuthentication="yes"),
        set_authentication(
            accounts["interactive"],
            AuthenticationMethods="keyboard-interactive",
            KbdInteractiveAuthentication="yes",
        ),
        set_authentication(accounts["both"], AuthenticationMethods="publickey,password", PasswordAuthentication="yes"),
        set_authentication(accounts["expired"], KbdInteractiveAuthentication="yes"),
    ) as running:
        running.authorize(accounts["both"], running.identity_file)
        yield running


def log_in(server: Sshd, options: SshOptions | None = None, password: str = "", **changes: object) -> Transport:
    options = replace(options or server.options, password=Secret(password) if password else None)
    return open_transport(server.host(**changes), deadline=Deadline.after(30), options=options)


def who(transport: Transport) -> str:
    with transport, transport.run("id -un") as channel:
        return b"".join(iter(channel.receive, b"")).decode().strip()


@pytest.mark.parametrize("way", ["password", "interactive", "both"])
def test_password_logs_in(server: Sshd, accounts: dict[str, str], way: str):
    """As such, by keyboard-interactive, and as the second factor behind a key."""
    assert who(log_in(server, password=PASSWORD, user=accounts[way])) == accounts[way]


@pytest.mark.parametrize(("way", "tried"), [("password", "password"), ("interactive", "keyboard-interactive")])
def test_wrong_password_is_named_as_tried(server: Sshd, accounts: dict[str, str], way: str, tried: str):
    """The error says that a password was tried, and does not say which."""
    with pytest.raises(AuthError) as caught:
        log_in(server, password="wrong battery 2", user=accounts[way], identity_file=())
    assert f"tried: {tried};" in caught.value.message
    assert "wrong battery" not in str(caught.value)


def test_refused_password_is_not_sent_again(account: Callable[..., str], server: Sshd, tmp_path: Path):
    """A password refused by keyboard-interactive would be refused by `password` too, and count as another failure."""
    user = account("either")
    set_password(user, PASSWORD)
    methods = {"PasswordAuthentication": "yes", "KbdInteractiveAuthentication": "yes"}
    with server_for(set_authentication(user, **methods)) as either, pytest.raises(AuthError) as caught:
        log_in(either, password="wrong battery 2", user=user, identity_file=())
    assert "(tried: keyboard-interactive; it takes: " in caught.value.message


def test_host_that_takes_passwords_says_ask_pass(server: Sshd, accounts: dict[str, str]):
    """Without a password the error says what the host takes and the hint which option gives it."""
    with pytest.raises(AuthError) as caught:
        log_in(server, user=accounts["password"])
    assert caught.value.message == (
        f'cannot log in as "{accounts["password"]}" (there was no key to try; it takes: password)'
    )
    assert caught.value.hint.startswith("give a password with --ask-pass, or ")


def test_second_factor_that_is_missing_is_named(server: Sshd, accounts: dict[str, str]):
    """The key was taken; the error says that the host still wants a password."""
    with pytest.raises(AuthError) as caught:
        log_in(server, user=accounts["both"])
    assert f"(tried: {server.identity_file}; it still wants: password)" in caught.value.message


def test_expired_password_is_not_answered_with_itself(server: Sshd, accounts: dict[str, str]):
    """The host takes the password and asks for a new one: that prompt is quoted, and left to a human."""
    subprocess.run(["chage", "-d", "0", accounts["expired"]], check=True, capture_output=True)
    with pytest.raises(AuthError) as caught:
        log_in(server, password=PASSWORD, user=accounts["expired"], identity_file=())
    assert "tried: keyboard-interactive; not: an answer to " in caught.value.message
    assert "assword" in caught.value.message


def test_system_ssh_takes_no_password(server: Sshd, accounts: dict[str, str]):
    """The openssh transport runs in batch mode; its error says so."""
    transport = log_in(server, password=PASSWORD, user=accounts["password"], transport="openssh")
    with transport, transport.run("id -un") as channel, pytest.raises(AuthError) as caught:
        channel.receive()
    assert caught.value.hint.startswith("the system's ssh is given no password (batch mode)")


def test_preferred_authentications_choose_the_method(account: Callable[..., str], server: Sshd, tmp_path: Path):
    """`PreferredAuthentications password` leaves keyboard-interactive out, which would come first."""
    user = account("preferred")
    set_password(user, PASSWORD)
    config = tmp_path / "config"
    config.write_text("PreferredAuthentications password\n")
    methods = {"PasswordAuthentication": "yes", "KbdInteractiveAuthentication": "yes"}
    with server_for(set_authentication(user, **methods)) as either:
        options = replace(either.options, ssh_config=str(config))
        with pytest.raises(AuthError) as caught:
            log_in(either, options, password="wrong battery 2", user=user, identity_file=())
    assert "(tried: password; not: publickey: ssh_config switches it off, keyboard-interactive: ssh_config" in (
        caught.value.message
    )


class _Granting(paramiko.ServerInterface):
    """Lets everyone in by one method without a question; records the methods that it was asked for."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.asked: list[str] = []
        self._rounds = 0

    def get_allowed_auths(self, username: str) -> str:
        return f"publickey,{self.method}"

    def _granted(self, method: str) -> int:
        self.asked.append(method)
        return paramiko.AUTH_SUCCESSFUL if method == self.method else paramiko.AUTH_FAILED

    def check_auth_none(self, username: str) -> int:
        return self._granted("none")

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._granted("publickey")

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("Welcome", "pushed to your phone")

    def check_auth_interactive_response(self, responses: list[str]) -> int | paramiko.InteractiveQuery:
        self._rounds += 1
        if self._rounds < 3:
            return paramiko.InteractiveQuery("Welcome", f"still waiting, {self._rounds}")
        return self._granted("keyboard-interactive")


@pytest.mark.parametrize(
    ("method", "asked"),
    [("none", ["none"]), ("keyboard-interactive", ["none", "publickey", "keyboard-interactive"])],
)
def test_host_that_asks_nothing_lets_us_in(sshd: Sshd, tmp_path: Path, method: str, asked: list[str]):
    """By `none`, before a key is shown, as Tailscale's; by keyboard-interactive in three rounds without a question."""
    granting = _Granting(method)
    with _serving(granting) as port:
        host = Host("box", address="127.0.0.1", port=port, user="ops", identity_file=(sshd.identity_file,))
        options = SshOptions(host_key="accept-new", known_hosts=(str(tmp_path / "new"),), ssh_config="none")
        open_transport(host, deadline=Deadline.after(30), options=options).close()
    assert granting.asked == asked


class _Endless(_Granting):
    """Grants every key as the first of ever more factors."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.asked.append("publickey")
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL


def test_host_that_always_wants_another_factor_is_given_up(sshd: Sshd, tmp_path: Path):
    """After eight, long before the deadline."""
    endless = _Endless("gssapi-with-mic")
    with _serving(endless) as port:
        host = Host("box", address="127.0.0.1", port=port, user="ops", identity_file=(sshd.identity_file,))
        options = SshOptions(host_key="accept-new", known_hosts=(str(tmp_path / "new"),), ssh_config="none")
        with pytest.raises(AuthError):
            open_transport(host, deadline=Deadline.after(30), options=options)
    assert len(endless.asked) < 20


class _OfSha1(paramiko.Transport):
    """Says that it takes RSA signatures by SHA-1, as servers of before 2016 do, and no others."""

    _preferred_pubkeys = ("ssh-rsa",)


class _WithoutRsa(paramiko.Transport):
    """Says that it takes no RSA keys."""

    _preferred_pubkeys = ("ssh-ed25519",)


@pytest.mark.parametrize(
    ("transport", "why"),
    [
        (_OfSha1, "signatures of RSA keys by SHA-1 only; `PubkeyAcceptedAlgorithms +ssh-rsa` in ssh_config allows it"),
        (_WithoutRsa, "no signature that this key can make, only ssh-ed25519"),
    ],
)
def test_key_that_can_sign_by_nothing_the_host_takes(
    sshd: Sshd, tmp_path: Path, transport: type[paramiko.Transport], why: str
):
    """It is not offered, and the error says why rather than that the host refused it."""
    key = str(sshd.new_key(f"alone_{transport.__name__}", "rsa"))  # without a certificate beside it
    with _serving(_Granting("gssapi-with-mic"), transport) as port:
        host = Host("box", address="127.0.0.1", port=port, user="ops", identity_file=(key,))
        options = SshOptions(host_key="accept-new", known_hosts=(str(tmp_path / "new"),), ssh_config="none")
        with pytest.raises(AuthError) as caught:
            open_transport(host, deadline=Deadline.after(30), options=options)
    assert f"(there was no key to try; not: {key}: the host takes {why};" in caught.value.message


@contextlib.contextmanager
def _serving(
    interface: paramiko.ServerInterface, transport: type[paramiko.Transport] = paramiko.Transport
) -> Iterator[int]:
    """The port of a server that takes one connection."""
    sessions: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            sessions.append(session := transport(connection))
            session.add_server_key(paramiko.ECDSAKey.generate())
            session.start_server(server=interface)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
            sessions[0].close()
            sessions[0].join(5)


class _Asking(paramiko.ServerInterface):
    """Asks one question by keyboard-interactive, and takes no answer; records what it got."""

    def __init__(self, prompt: str, *, echo: bool) -> None:
        self.prompt = (prompt, echo)
        self.answers: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("", "", self.prompt)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.answers += responses
        return paramiko.AUTH_FAILED


def ask_for(prompt: str, tmp_path: Path, *, echo: bool) -> tuple[list[str], FleetpmapError]:
    """The answer that a server with this prompt got, and our error."""
    asking = _Asking(prompt, echo=echo)
    with _serving(asking) as port:
        host = Host("box", address="127.0.0.1", port=port, user="ops", identity_file=("/none",))
        options = SshOptions(host_key="accept-new", known_hosts=(str(tmp_path / "new"),), ssh_config="none")
        options = replace(options, password=Secret(PASSWORD))
        with pytest.raises(AuthError) as caught:
            open_transport(host, deadline=Deadline.after(30), options=options)
    return asking.answers, caught.value


def test_password_prompt_is_answered(tmp_path: Path):
    """One prompt without echo, in any language."""
    answers, _ = ask_for("Kennwort: ", tmp_path, echo=False)
    assert answers == [PASSWORD]


@pytest.mark.parametrize(
    ("prompt", "echo"), [("Verification code: ", False), ("Enter PIN: ", False), ("Name of your pet: ", True)]
)
def test_other_prompts_are_left_alone_and_quoted(tmp_path: Path, prompt: str, echo: bool):
    """A second factor, or anything that shows what is typed, never gets the password."""
    answers, error = ask_for(prompt, tmp_path, echo=echo)
    assert answers == []
    assert f'an answer to "{prompt.strip()}"' in error.message


def test_agent_with_nine_keys_is_asked_until_the_host_hangs_up(sshd: Sshd, agent: Callable[[Path], None]):
    """All are offered, as by ssh; where MaxAuthTries ends it, the error says after how many, and what was left."""
    for number in range(1, 10):
        agent(sshd.new_key(f"one-of-nine-{number}"))
    with pytest.raises(AuthError) as caught:
        log_in(sshd, identity_file=())
    assert "tried: agent's one-of-nine-1, agent's one-of-nine-2," in caught.value.message
    assert "; not: agent's one-of-nine-7, agent's one-of-nine-8, agent's one-of-nine-9: " in caught.value.message
    assert "the host hung up after 6 (Too many authentication failures; its MaxAuthTries" in caught.value.message


def test_identity_file_names_the_one_of_nine(sshd: Sshd, agent: Callable[[Path], None], tmp_path: Path):
    """A public key as identity file picks the agent's key, even the ninth: only that one is offered."""
    for number in range(1, 9):
        agent(sshd.new_key(f"eight-{number}"))
    agent(Path(sshd.identity_file))
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {sshd.identity_file}.pub\nIdentitiesOnly yes\n")
    assert who(log_in(sshd, replace(sshd.options, ssh_config=str(config)), identity_file=())) == sshd.user


@pytest.fixture(scope="module")
def authority(sshd: Sshd) -> Iterator[tuple[Sshd, Callable[..., Path]]]:
    """A server that trusts a certificate authority and no key, and what signs a fresh key for its user."""
    ca = sshd.new_key("user-authority")
    with tempfile.TemporaryDirectory(prefix="fleetpmap-sshd-") as directory:
        server = Sshd(Path(directory), settings=f"TrustedUserCAKeys {ca}.pub\nAuthorizedKeysFile none")

        def signed(name: str, kind: str = "ed25519") -> Path:
            key = server.new_key(name, kind)
            argv = ["ssh-keygen", "-q", "-s", str(ca), "-I", name, "-n", server.user, f"{key}.pub"]
            subprocess.run(argv, check=True, capture_output=True)
            return key

        try:
            yield server, signed
        finally:
            server.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_certificate_beside_the_key_logs_in(authority: tuple[Sshd, Callable[..., Path]], kind: str):
    """KEY-cert.pub is offered with KEY, as ssh does."""
    server, signed = authority
    key = signed(f"beside-{kind}", kind)
    assert who(log_in(server, identity_file=(str(key),))) == server.user


def test_certificate_file_logs_in(authority: tuple[Sshd, Callable[..., Path]], tmp_path: Path):
    """ssh_config's CertificateFile, elsewhere than beside its key; no openssh is needed for it."""
    server, signed = authority
    key = signed("elsewhere")
    certificate = Path(f"{key}-cert.pub").rename(tmp_path / "my-cert.pub")
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {key}\nCertificateFile {certificate}\n")
    options = replace(server.options, ssh_config=str(config))
    with log_in(server, options, identity_file=()) as transport:
        assert transport.notes == ()
        assert type(transport).__name__ == "SshTransport"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_certificate_in_the_agent_logs_in(
    authority: tuple[Sshd, Callable[..., Path]], agent: Callable[[Path], None], kind: str
):
    """ssh-add takes the certificate with the key; both files may be gone."""
    server, signed = authority
    key = signed(f"in-agent-{kind}", kind)
    agent(key)
    for path in (key, Path(f"{key}-cert.pub"), Path(f"{key}.pub")):
        path.unlink()
    assert who(log_in(server, identity_file=())) == server.user


def test_certificate_that_is_refused_is_named(sshd: Sshd, authority: tuple[Sshd, Callable[..., Path]]):
    """A host that does not know the authority was offered both; each has its name in the error."""
    _, signed = authority
    key = signed("unknown-authority")
    with pytest.raises(AuthError) as caught:
        log_in(sshd, identity_file=(str(key),))
    assert f"(tried: {key}, {key} with {key}-cert.pub)" in caught.value.message
