"""What `ssh -G` says of a host, and when it is asked."""

from __future__ import annotations

import os
import pwd
import shutil

import pytest

from fleetpmap.errors import ResolveError, UsageError
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import SshOptions

HOME = pwd.getpwuid(os.getuid()).pw_dir
USER = pwd.getpwuid(os.getuid()).pw_name

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh on this machine to ask")


@pytest.fixture
def config(tmp_path):
    """Options with an ssh_config of these lines."""

    def make(*lines: str, name: str = "config") -> SshOptions:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return SshOptions(ssh_config=str(path))

    return make


def _calls() -> int:
    return ssh_config._ask.cache_info().misses


@needs_ssh
def test_what_a_host_block_says_is_used(config):
    """HostName, User, Port, IdentityFile, IdentitiesOnly, HostKeyAlias of the host's own block."""
    options = config(
        "Host web",
        "  HostName 10.0.0.13",
        "  User ops",
        "  Port 2222",
        '  IdentityFile "~/.ssh/fleet key"',
        "  IdentityFile /keys/%r@%h:%p",
        "  IdentitiesOnly yes",
        "  HostKeyAlias fleet",
        "  AddressFamily inet",
    )
    settings = ssh_config.resolve("web", options)
    assert (settings.hostname, settings.user, settings.port) == ("10.0.0.13", "ops", 2222)
    assert settings.identity_files == (f"{HOME}/.ssh/fleet key", "/keys/ops@10.0.0.13:2222")
    assert settings.identities_only
    assert settings.host_key_alias == "fleet"
    assert settings.address_family == "inet"


@needs_ssh
def test_other_hosts_have_the_defaults(config):
    """A block is about its hosts only; names are lower case."""
    settings = ssh_config.resolve("DB", config("Host web", "  Port 2222"))
    assert (settings.hostname, settings.user, settings.port) == ("db", USER, 22)
    assert f"{HOME}/.ssh/id_ed25519" in settings.identity_files
    assert settings.user_known_hosts[0] == f"{HOME}/.ssh/known_hosts"
    assert settings.global_known_hosts[0] == "/etc/ssh/ssh_known_hosts"
    assert (settings.proxy_jump, settings.proxy_command, settings.certificate_files) == (None, None, ())
    assert not settings.identities_only


@needs_ssh
def test_user_and_port_beat_the_file(config):
    """What the inventory says goes before, also into the tokens."""
    options = config("User ops", "Port 2222", "IdentityFile /keys/%r-%p")
    settings = ssh_config.resolve("web", options, user="alice", port=2200)
    assert (settings.user, settings.port) == ("alice", 2200)
    assert settings.identity_files == ("/keys/alice-2200",)


@needs_ssh
def test_user_decides_a_match(config):
    """Match user sees the inventory's user."""
    options = config("Match user alice", "  Port 2200")
    assert ssh_config.resolve("web", options, user="alice").port == 2200
    assert ssh_config.resolve("web", options, user="bob").port == 22


@needs_ssh
def test_known_hosts_files_with_blanks(config):
    """ssh -G prints paths unquoted on one line; a blank belongs to the name unless a path begins after it."""
    options = config('UserKnownHostsFile "/keys/my hosts" /keys/others', "GlobalKnownHostsFile none")
    settings = ssh_config.resolve("web", options)
    assert settings.user_known_hosts == ("/keys/my hosts", "/keys/others")
    assert settings.global_known_hosts == ()


@needs_ssh
def test_proxies_and_certificates_are_told(config):
    """What this process cannot do itself is passed on as it stands."""
    options = config(
        "Host a", "  ProxyJump ops@bastion:2222", "Host b", "  ProxyCommand nc %h %p", "Host c", "  ProxyJump none"
    )
    assert ssh_config.resolve("a", options).proxy_jump == "ops@bastion:2222"
    assert ssh_config.resolve("b", options).proxy_command == "nc %h %p"
    assert ssh_config.resolve("c", options).proxy_jump is None
    assert ssh_config.resolve("c", options).proxy_command is None
    with_certificate = config("CertificateFile /keys/id-cert.pub", name="other")
    assert ssh_config.resolve("a", with_certificate).certificate_files == ("/keys/id-cert.pub",)


@needs_ssh
def test_agent_of_the_configuration(config, monkeypatch):
    """IdentityAgent: a path, none, or a variable; without it $SSH_AUTH_SOCK."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("MY_AGENT", "/run/mine")
    options = config(
        *("Host none", "  IdentityAgent none"),
        *("Host path", "  IdentityAgent ~/agent"),
        *("Host variable", "  IdentityAgent $MY_AGENT"),
    )
    agents = {name: ssh_config.resolve(name, options).identity_agent for name in ("none", "path", "variable", "web")}
    assert agents == {"none": "", "path": f"{HOME}/agent", "variable": "/run/mine", "web": "/run/agent"}


@needs_ssh
def test_one_call_serves_all_hosts_where_the_file_treats_them_alike(config):
    """Global settings and `Host *` need no further look."""
    options = config("User ops", "Host *", "  Port 2222", "  IdentityFile /keys/id")
    before = _calls()
    resolved = [ssh_config.resolve(f"web-{number}", options) for number in range(20)]
    assert _calls() - before == 1
    assert [settings.hostname for settings in resolved[:2]] == ["web-0", "web-1"]
    assert {(settings.user, settings.port) for settings in resolved} == {("ops", 2222)}


@needs_ssh
@pytest.mark.parametrize(
    "lines",
    [
        ("Host web-1", "  Port 2222"),
        ("Host=web-*", "  Port 2222"),
        ('Host "web-1"', "  Port 2222"),
        ("Match host web-1", "  Port 2222"),
        ("match all", "  Port 2222"),
        ("HostName %h.example",),
        ("UserKnownHostsFile /keys/%h",),
        ("CanonicalizeHostname yes",),
        ("Include relative",),
    ],
)
def test_every_host_is_asked_for_where_the_file_may_tell_them_apart(config, lines):
    """When in doubt, ssh decides for each host."""
    options = config(*lines)
    before = _calls()
    ssh_config.resolve("web-1", options)
    ssh_config.resolve("web-2", options)
    assert _calls() - before == 2


@needs_ssh
def test_included_files_are_looked_at_too(config, tmp_path):
    """A block in an included file counts as one in the file itself."""
    config("Host web", "  Port 2222", name="included.conf")
    options = config(f"Include {tmp_path}/*.conf", "User ops")
    assert ssh_config.resolve("web", options).port == 2222
    assert ssh_config.resolve("db", options).port == 22


@needs_ssh
def test_a_host_is_asked_for_once(config):
    """The answer is kept for the run."""
    options = config("Host web", "  Port 2222")
    ssh_config.resolve("web", options)
    before = _calls()
    ssh_config.resolve("web", options)
    assert _calls() == before


@needs_ssh
def test_bad_configuration_is_one_clear_error(config):
    """ssh's own sentence, with file and line."""
    options = config("Host web", "  Bogus yes")
    with pytest.raises(UsageError) as caught:
        ssh_config.resolve("web", options)
    assert caught.value.message == (
        f"ssh refuses its configuration: {options.ssh_config}: line 2: Bad configuration option: bogus"
    )
    assert "--ssh-config" in caught.value.hint


@needs_ssh
def test_missing_configuration_is_an_error():
    """A file that was asked for has to be there."""
    with pytest.raises(UsageError, match="Can't open user config file /nonexistent/config"):
        ssh_config.resolve("web", SshOptions(ssh_config="/nonexistent/config"))


@needs_ssh
def test_name_that_ssh_does_not_take(config):
    """A name with a blank is the host's mistake, not the configuration's."""
    with pytest.raises(ResolveError) as caught:
        ssh_config.resolve("web 1", config("Host db", "  Port 2222"))
    assert (caught.value.host, caught.value.stage) == ("web 1", "dns")


def test_without_ssh_the_defaults_hold(monkeypatch, tmp_path):
    """No ssh here: built-in defaults, what the inventory says, and no error."""
    # Patched because what is on PATH cannot be handed over otherwise.
    monkeypatch.setenv("PATH", str(tmp_path))
    options = SshOptions(ssh_config=str(tmp_path / "not-there-and-not-read"))
    settings = ssh_config.resolve("WEB", options, user="ops", port=2222)
    assert (settings.hostname, settings.user, settings.port) == ("web", "ops", 2222)
    assert settings.identity_files == tuple(f"{HOME}/.ssh/{name}" for name in ("id_rsa", "id_ecdsa", "id_ed25519"))
    assert settings.user_known_hosts == (f"{HOME}/.ssh/known_hosts", f"{HOME}/.ssh/known_hosts2")
