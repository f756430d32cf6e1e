"""ssh_config without ssh: the same settings as ssh's own for every host asked, or an error with file and line."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.errors import HostError, UsageError
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_config import config_files as ssh_config_file

USER = pwd.getpwuid(os.getuid()).pw_name
HOME = pwd.getpwuid(os.getuid()).pw_dir

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh on this machine to compare with")

CORPUS = {
    "plain": "Host web\n  HostName 10.0.0.13\n  User ops\n  Port 2222\n",
    "other spellings": "HOST=web\n\tHostName = 10.0.0.13\n\tuser\t ops \n  port=2222\n",
    "first value wins": "Host web\n  Port 2201\nHost *\n  Port 2202\n  User late\nHost web\n  User later\n",
    "stars and brackets": "Host *w*e*b* d[b]-?\n  Port 2221\nHost [dw]*\n  User x\n",
    "patterns": "Host w?b db-* !db-9\n  Port 2203\nHost !web *\n  User others\n",
    "negation alone matches nothing": "Host !web\n  Port 2204\n",
    "case of a pattern": "Host WEB\n  Port 2205\nHost Mixed\n  Port 2206\n",
    "comments": "# Host web\nHost web # the web\n  Port 2207 # its port\n\n   # User nobody\n  User ops\n",
    "quotes": 'Host "web" \'db-1\'\n  IdentityFile "/keys/my key"\n  IdentityFile \'/keys/"x"\'\n  User "ops"\n',
    "escapes": 'IdentityFile "/keys/a\\"b"\nIdentityFile /keys/a\\ b\nIdentityFile /keys/a\\b\n',
    "keys add up": "IdentityFile /keys/a\nHost w*\n  IdentityFile /keys/b\nIdentityFile /keys/a\nIdentitiesOnly yes\n",
    "no keys": "IdentityFile none\nCertificateFile /keys/c-cert.pub\n",
    "tokens": "Host *\n  HostName %h.example\n  IdentityFile /keys/%r@%h-%n:%p\n  IdentityFile ~/.ssh/%u%%\n",
    "known hosts": 'UserKnownHostsFile "/keys/my hosts" ~/k2\nGlobalKnownHostsFile none\nHostKeyAlias fleet\n',
    "tokens of every kind": "Host *\n  IdentityFile /keys/%%-%d-%h-%i-%k-%L-%l-%n-%p-%r-%u\n  HostKeyAlias fleet\n",
    "tokens in known hosts": "UserKnownHostsFile ~/%h-%n-%r%% /keys/%k\nGlobalKnownHostsFile /keys/%h ~/more\n",
    "variables": "IdentityFile ${HOME}/${HOME}%%\nUserKnownHostsFile ${HOME}/known\nIdentityAgent ${HOME}/%%%u\n",
    "methods": "PubkeyAuthentication no\nPreferredAuthentications password,none\nNumberOfPasswordPrompts 1\n"
    "Host web\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n",
    "agent": "IdentityAgent ~/agent\nHost web\n  IdentityAgent none\n",
    "match host": "Match host web,db-*\n  Port 2208\nMatch host !web,*\n  User others\n",
    "match sees HostName": "Host web\n  HostName real.example\nMatch host real.example\n  Port 2209\n"
    "Match originalhost web\n  User o\n",
    "match ignores case": "Match host WEB,Db-1\n  Port 2210\nMatch originalhost MIXED\n  Port 2211\n",
    "match user": f"Match user ops\n  Port 2212\nMatch user {USER}\n  Port 2213\n"
    f"Match localuser {USER}\n  HostKeyAlias me\n",
    "match sees User": "User ops\nMatch user ops host web\n  Port 2214\nMatch !user ops\n  Port 2215\n",
    "match all": "Host web\n  Port 2216\nMatch all\n  User all\n",
    "match not": "Match !host web\n  Port 2217\nMatch !originalhost db-*\n  User x\n",
    "match with equals": "Match host=web\n  Port 2218\n",
    "match exec behind a no": "Match host nobody.example exec false\n  Port 2219\n",
    "jump": "Host web\n  ProxyJump ops@bastion:2222\nHost *\n  ProxyCommand nc %h %p\n",
    "jump none": "Host web\n  ProxyJump none\nHost *\n  ProxyJump one,two\n",
    "command first": 'Host web\n  ProxyCommand nc -X 5 "%h" %p # not a comment\n  ProxyJump bastion\n',
    "command none": "ProxyCommand none\n",
    "host keys": "Host web\n  StrictHostKeyChecking accept-new\nHost db-1\n  StrictHostKeyChecking no\n",
    "connection": "ConnectTimeout 1m\nConnectionAttempts 3\nAddressFamily INET6\nBindAddress 127.0.0.1\n",
    "harmless": "ControlMaster auto\nForwardAgent yes\nSendEnv LANG LC_*\nGSSAPIAuthentication yes\n",
    "algorithms": "Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-512\nKexAlgorithms curve25519-sha256\n",
    "old names": "PubkeyAcceptedKeyTypes rsa-sha2-512\nChallengeResponseAuthentication no\n",
    "ignored": "IgnoreUnknown UseNothing,New*\nUseNothing yes\nNewThing 1\nHost web\n  Port 2220\n",
    "empty": "\n\n",
}
HOSTS = ("web", "db-1", "db-9", "WEB", "Mixed", "real.example", "10.0.0.13")


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., SshOptions]:
    """Options with an ssh_config of this text."""

    def make(text: str, name: str = "config") -> SshOptions:
        (tmp_path / name).write_text(text)
        return SshOptions(ssh_config=str(tmp_path / name))

    return make


def _read(name: str, options: SshOptions, user: str | None = None, port: int | None = None) -> SshSettings:
    said = ssh_config_file.read(name, options.ssh_config, user=user, port=port)
    return ssh_config.settings_from(name, said, options)


def _without_default_keys(settings: SshSettings) -> SshSettings:
    """The names that ssh tries by itself depend on its version."""
    return replace(
        settings, identity_files=tuple(path for path in settings.identity_files if f"{HOME}/.ssh/id_" not in path)
    )


def _same_as_ssh(options: SshOptions, hosts: tuple[str, ...] = HOSTS) -> None:
    for host in hosts:
        for user, port in ((None, None), ("ops", 2299)):
            ours = _read(host, options, user, port)
            theirs = ssh_config.resolve(host, options, user=user, port=port)
            assert _without_default_keys(ours) == _without_default_keys(theirs), (host, user)


@needs_ssh
@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_the_same_settings_as_ssh(config, text):
    """Every file of the corpus, for every host, with and without a user and port of ours."""
    _same_as_ssh(config(text))


@needs_ssh
def test_included_files(config, tmp_path):
    """Globs in order, nested, and a file that is included for one host only and has blocks of its own."""
    config("Host web\n  Port 2230\nHost *\n  User ops\n", "web.conf")
    config(f"Include {tmp_path}/deep/*.conf\nHost db-1\n  User dba\n", "a.inc")
    config("Port 2232\n", "b.inc")
    (tmp_path / "deep").mkdir()
    config("Match user dba\n  Port 2231\nHostKeyAlias deep\n", "deep/1.conf")
    _same_as_ssh(
        config(f'Host web\n  Include "{tmp_path}/web.conf"\n  HostName w.example\nHost *\n  Include {tmp_path}/*.inc\n')
    )


@needs_ssh
def test_no_file_at_all():
    """--ssh-config none."""
    _same_as_ssh(SshOptions(ssh_config="none"))


REFUSED = {
    "Match exec true": '"Match exec"',
    "Match final host web": '"Match final"',
    "Match canonical all": '"Match canonical"',
    "Match tagged fast": '"Match tagged"',
    "Match host": '"Match host"',
    "CanonicalizeHostname yes": "CanonicalizeHostname needs ssh",
    "BindInterface eth1": "BindInterface needs ssh",
    "PKCS11Provider /lib/token.so": "PKCS11Provider needs ssh",
    "VerifyHostKeyDNS yes": "VerifyHostKeyDNS needs ssh",
    "KnownHostsCommand /bin/keys %H": "KnownHostsCommand needs ssh",
    "RevokedHostKeys /keys/revoked": "RevokedHostKeys needs ssh",
    "HostbasedAuthentication yes": "HostbasedAuthentication needs ssh",
    "HostName %n.example": 'HostName cannot be "%n.example" without ssh',
    "User %u": 'User cannot be "%u" without ssh',
    "Port ssh": 'Port cannot be "ssh" without ssh',
    "Port 65536": 'Port cannot be "65536" without ssh',
    "Port 22 23": "Port has more than one value",
    "StrictHostKeyChecking maybe": 'StrictHostKeyChecking cannot be "maybe" without ssh',
    "AddressFamily inet4": 'AddressFamily cannot be "inet4" without ssh',
}
UNREADABLE = {
    "HostNaem web.example": "there is no option hostnaem",
    "Port": "Port has no value",
    "=": "not an option with a value",
    "User a\0b": "not an option with a value",
    'IdentityFile "/keys/\\"': "a quotation mark is missing",
    'IdentityFile "/keys/id': "a quotation mark is missing",
    "Include %d/more": "cannot tell which files %d/more means",
    "Include ~ops/config": "cannot tell which files ~ops/config means",
}


@pytest.mark.parametrize(("line", "why"), REFUSED.items(), ids=REFUSED)
def test_what_it_cannot_know_is_refused_with_its_place(config, line, why):
    """Never a guess: the file, the line, and what to do. It is the failure of the host that the line is about."""
    options = config(f"# fleet\n{line}\n")
    with pytest.raises(HostError) as caught:
        _read("web", options)
    assert caught.value.message.startswith(f"{options.ssh_config} line 2: {why}")
    assert (caught.value.host, caught.value.stage) == ("web", "config")
    assert caught.value.hint.startswith("install ssh, which knows")


@pytest.mark.parametrize(("line", "why"), UNREADABLE.items(), ids=UNREADABLE)
def test_a_line_that_nobody_can_read_is_the_file_s_fault(config, line, why):
    """Whichever host it is about."""
    options = config(f"# fleet\nHost other\n{line}\n")
    with pytest.raises(UsageError) as caught:
        _read("web", options)
    assert caught.value.message.startswith(f"{options.ssh_config} line 3: {why}")
    assert caught.value.hint.startswith("install ssh, which knows")


@pytest.mark.parametrize(
    "line",
    [
        "IdentityFile '" + "\\" * 200_000,
        "IdentityFile " + "a\\" * 200_000 + "'",
        "User a" + " " * 200_000 + "b",
        "ConnectTimeout " + "1" * 200_000 + "x",
        "Host " + "*a" * 100_000,
        f"Match host {'*a' * 100}b,{'?' * 200_000}",
        "\n".join(f"IdentityFile /keys/{number}" for number in range(20_000)),
    ],
    ids=["backslashes", "words", "blanks", "time", "stars", "list", "keys"],
)
@pytest.mark.timed
def test_a_line_is_read_in_linear_time(line):
    """Any line is read or refused in time: these took minutes, or the age of the universe."""
    began = time.process_time()
    with contextlib.suppress(HostError, UsageError):
        ssh_config_file.parse("a" * 200, line, "config")
    assert time.process_time() - began < 4


@pytest.mark.parametrize("line", ["BindInterface eth1", "CanonicalizeHostname yes", "Match exec true"])
def test_what_is_about_other_hosts_is_not_refused(config, tmp_path, line):
    """A block that does not hold for the host asks nothing of us."""
    config(f"{line}\n", "others.conf")
    options = config(f"Host db\n  Include {tmp_path}/others.conf\nHost web\n  Port 2240\n")
    assert _read("web", options).port == 2240


def test_a_file_that_includes_itself_ends(config, tmp_path):
    """As for ssh, sixteen deep."""
    options = config(f"Include {tmp_path}/config\n")
    with pytest.raises(UsageError, match="line 1: too many files that include each other"):
        _read("web", options)


def test_a_file_that_was_asked_for_has_to_be_there():
    """It names the file."""
    with pytest.raises(UsageError, match="cannot read the ssh_config /nonexistent/config: No such file"):
        _read("web", SshOptions(ssh_config="/nonexistent/config"))


@pytest.mark.parametrize(
    ("line", "ciphers"),
    [
        ("Ciphers +3des-cbc", ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr")),
        ("Ciphers ^aes256-ctr", ("aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")),
        ("Ciphers -*gcm*,*cbc", ("aes128-ctr", "aes192-ctr", "aes256-ctr")),
    ],
)
def test_changes_to_the_list_of_ciphers(config, line, ciphers):
    """Without ssh, + - and ^ change the built-in client's own list."""
    assert _read("web", config(f"{line}\n")).ciphers[:4] == ciphers


def test_used_where_there_is_no_ssh(config, monkeypatch, tmp_path):
    """`resolve` reads the file itself."""
    options = config("Host web\n  Port 2241\n")
    # Patched because what is on PATH cannot be handed over otherwise.
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ssh_config.resolve("web", options).port == 2241
