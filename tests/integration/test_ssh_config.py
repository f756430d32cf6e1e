"""The settings of a host by `ssh -G`: when ssh is asked, and how its values are read."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import paramiko
import pytest

from fleetpmap.errors import HostError, ResolveError, UsageError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import route, ssh_config
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh_config.keywords import BUILT_IN

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


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The number of times that ssh was run so far."""
    log, wrapper = tmp_path / "calls", tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho >>{log}\nsleep 0.05\nexec {shutil.which("ssh")} "$@"\n')
    wrapper.chmod(0o755)
    # Patched because what is on PATH cannot be handed over otherwise.
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    return lambda: log.read_text().count("\n") if log.exists() else 0


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
    """The inventory's values take precedence, also in the tokens."""
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
    """Options that this process cannot honour are passed on as written."""
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
def test_one_call_serves_all_hosts_where_the_file_treats_them_alike(config, calls):
    """Global settings and `Host *` need no further look."""
    options = config("User ops", "Host *", "  Port 2222", "  IdentityFile /keys/id")
    resolved = [ssh_config.resolve(f"web-{number}", options) for number in range(20)]
    assert calls() == 1
    assert [settings.hostname for settings in resolved[:2]] == ["web-0", "web-1"]
    assert {(settings.user, settings.port) for settings in resolved} == {("ops", 2222)}


@needs_ssh
def test_threads_that_want_the_same_share_one_call(config, calls):
    """Eight hosts at the same moment: one of them asks, the others wait for the answer."""
    options = config("Port 2222")
    with ThreadPoolExecutor(8) as threads:
        ports = list(threads.map(lambda number: ssh_config.resolve(f"web-{number}", options).port, range(8)))
    assert (ports, calls()) == ([2222] * 8, 1)


@needs_ssh
def test_a_failed_call_is_not_remembered(config, calls):
    """A second try after correcting the file gets the new values."""
    options = config("Host web", "  Port many")
    with pytest.raises(UsageError):
        ssh_config.resolve("web", options)
    config("Host web", "  Port 2222")
    assert ssh_config.resolve("web", options).port == 2222


@needs_ssh
@pytest.mark.parametrize(
    "lines",
    [
        ("Host web-1", "  Port 2222"),
        ("Host=web-?", "  HostName web-1"),
        ('Host "web-1"', "  Port 2222"),
        ("Match host web-1", "  Port 2222"),
        ("match all", "  Port 2222"),
        ("HostName %h.example",),
        ("UserKnownHostsFile /keys/%h",),
        ("CanonicalizeHostname yes",),
    ],
)
def test_every_host_is_asked_for_where_the_file_may_tell_them_apart(config, calls, lines):
    """When in doubt, ssh decides for each host."""
    options = config(*lines)
    ssh_config.resolve("web-1", options)
    ssh_config.resolve("web-2", options)
    assert calls() == 2


@needs_ssh
def test_one_call_serves_the_hosts_of_the_same_blocks(config, calls):
    """Hosts that fit the same `Host` lines differ in nothing but their names."""
    blocks = ("Host web-* !web-9?", "  Port 2222", "  User ops", "Host *-9?", "  HostName gate.example")
    options = config(*blocks, "Host db-1", "  Port 5432", "Host *", "  IdentityFile /keys/id")
    names = [*(f"web-{number}" for number in range(80, 99)), *(f"cache-{number}" for number in range(20)), "db-1"]
    resolved = {name: ssh_config.resolve(name, options) for name in names}
    assert calls() == 4
    facts = {name: (one.hostname, one.port, one.user) for name, one in resolved.items()}
    assert facts["web-80"] == ("web-80", 2222, "ops")
    assert facts["web-81"] == ("web-81", 2222, "ops")
    assert facts["web-90"] == facts["web-91"] == ("gate.example", 22, USER)
    assert facts["cache-0"][:2] == ("cache-0", 22)
    assert facts["db-1"][:2] == ("db-1", 5432)


@needs_ssh
def test_hosts_of_one_call_are_what_ssh_says_of_each(config, calls):
    """The values of a shared call are those of a call for each host."""
    blocks = ("Host web-*", "  Port 2222", "Host *-?", "  User ops", "Host * !cache-*", "  Compression yes")
    names = [f"{kind}-{number}" for kind in ("web", "db", "cache") for number in (1, 2, 10, 11)]
    shared = config(*blocks)
    each = config(*blocks, "UserKnownHostsFile /keys/known", "ControlPath none%%", name="asked for each")
    told = {name: ssh_config.resolve(name, shared) for name in names}
    assert calls() == 6
    for name in names:
        alone = ssh_config.resolve(name, each)
        assert (told[name].hostname, told[name].port, told[name].user) == (alone.hostname, alone.port, alone.user)
        assert told[name].identity_files == alone.identity_files
    assert calls() == 6 + len(names)


@needs_ssh
def test_included_files_are_looked_at_too(config, tmp_path):
    """A block in an included file counts as one in the file itself."""
    config("Host web", "  Port 2222", name="included.conf")
    options = config(f"Include {tmp_path}/*.conf", "User ops")
    assert ssh_config.resolve("web", options).port == 2222
    assert ssh_config.resolve("db", options).port == 22


@needs_ssh
def test_a_host_is_asked_for_once(config, calls):
    """The answer is kept for the run."""
    options = config("Host web", "  Port 2222")
    ssh_config.resolve("web", options)
    ssh_config.resolve("web", options)
    assert calls() == 1


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
    settings = ssh_config.resolve("WEB", SshOptions(ssh_config="none"), user="ops", port=2222)
    assert (settings.hostname, settings.user, settings.port) == ("web", "ops", 2222)
    assert settings.identity_files == tuple(f"{HOME}/.ssh/{name}" for name in ("id_rsa", "id_ecdsa", "id_ed25519"))
    assert settings.user_known_hosts == (f"{HOME}/.ssh/known_hosts", f"{HOME}/.ssh/known_hosts2")


@needs_ssh
@pytest.mark.parametrize(
    ("line", "option", "expected"),
    [
        ("StrictHostKeyChecking accept-new", None, ("accept-new", True)),
        ("StrictHostKeyChecking no", None, ("no", True)),
        ("StrictHostKeyChecking off", None, ("no", True)),
        ("StrictHostKeyChecking yes", None, ("yes", False)),
        ("StrictHostKeyChecking ask", None, ("ask", False)),
        ("Port 22", None, ("ask", False)),
        ("StrictHostKeyChecking no", "strict", ("yes", False)),
        ("StrictHostKeyChecking yes", "accept-new", ("accept-new", True)),
    ],
)
def test_host_key_checking(config, line, option, expected):
    """ssh_config decides about unknown keys, and --host-key beats it."""
    settings = ssh_config.resolve("web", replace(config(line), host_key=option))
    assert (settings.strict_host_key_checking, settings.accepts_new_keys) == expected


@needs_ssh
@pytest.mark.parametrize(
    ("line", "retries", "expected"),
    [("Port 22", None, 1), ("ConnectionAttempts 4", None, 3), ("ConnectionAttempts 4", 0, 0), ("Port 22", 5, 5)],
)
def test_retries(config, line, retries, expected):
    """--retries, else what ConnectionAttempts has beyond the first, else one."""
    assert ssh_config.resolve("web", replace(config(line), retries=retries)).retries == expected


@needs_ssh
@pytest.mark.parametrize(("line", "seconds"), [("ConnectTimeout 1m30", 90.0), ("ConnectTimeout none", 10.0)])
def test_connect_timeout(config, line, seconds):
    """In ssh's own notation of time; ten seconds unless it is said."""
    assert ssh_config.resolve("web", config(line)).connect_timeout_s == seconds


@needs_ssh
def test_algorithms_in_the_order_of_the_file(config):
    """Algorithms that paramiko does not have are dropped; another name of the same algorithm is replaced."""
    settings = ssh_config.resolve(
        "web",
        config(
            "Ciphers chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr",
            "KexAlgorithms curve25519-sha256",
            "MACs hmac-sha2-512",
            "HostKeyAlgorithms rsa-sha2-512,ssh-ed25519",
            "PubkeyAcceptedAlgorithms rsa-sha2-256",
        ),
    )
    assert settings.ciphers == ("aes256-ctr", "aes128-ctr")
    assert settings.kex_algorithms == ("curve25519-sha256@libssh.org",)
    assert settings.macs == ("hmac-sha2-512",)
    assert settings.host_key_algorithms == ("rsa-sha2-512", "ssh-ed25519")
    assert settings.pubkey_algorithms == ("rsa-sha2-256",)
    assert settings.only_openssh == ()


@needs_ssh
def test_algorithms_of_another_host_change_nothing(config):
    """ssh prints its own choice for every host; ours is another where the file says nothing of the host."""
    options = config("Host old", "  Ciphers aes128-cbc", "  KexAlgorithms diffie-hellman-group14-sha256")
    web, old = ssh_config.resolve("web", options), ssh_config.resolve("old", options)
    assert (web.ciphers, web.kex_algorithms) == ((), ())
    assert (old.ciphers, old.kex_algorithms) == (("aes128-cbc",), ("diffie-hellman-group14-sha256",))


@needs_ssh
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BindInterface lo", ("BindInterface lo",)),
        ("PKCS11Provider /lib/token.so", ("PKCS11Provider /lib/token.so",)),
        ("PKCS11Provider none", ()),
        ("VerifyHostKeyDNS yes", ("VerifyHostKeyDNS true",)),
        ("VerifyHostKeyDNS ask", ()),
        ("RevokedHostKeys /keys/revoked", ("RevokedHostKeys /keys/revoked",)),
        ("Ciphers chacha20-poly1305@openssh.com", ("Ciphers chacha20-poly1305@openssh.com",)),
        ("GSSAPIAuthentication yes", ()),
    ],
)
def test_what_only_the_systems_ssh_can_honour(config, line, expected):
    """It is named, so that the note can say why."""
    assert ssh_config.resolve("web", config(line)).only_openssh == expected


@needs_ssh
def test_tokens_and_variables_in_paths(config, monkeypatch):
    """%k, %l, %L, %i and ${VARIABLE}, as ssh expands them."""
    monkeypatch.setenv("KEYS", "/media/keys")
    options = config("HostKeyAlias fleet", "IdentityFile ${KEYS}/%k-%i", "IdentityFile /keys/%n.%%")
    assert ssh_config.resolve("Web", options).identity_files == (f"/media/keys/fleet-{os.getuid()}", "/keys/Web.%")


@needs_ssh
@pytest.mark.parametrize("letter", "CLdhiklnpru")
def test_a_token_stands_for_what_ssh_says(config, letter):
    """In a key's path, which ssh -G leaves as it is, as in ControlPath, which it expands."""
    options = config(
        *("Host Web", "HostName %h.example", "User ops", "Port 2222", "HostKeyAlias fleet"),
        *(f"IdentityFile /keys/%{letter}", f"ControlPath /keys/%{letter}"),
    )
    argv = ["ssh", "-F", options.ssh_config, "-G", "Web"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    expected = next(line.partition(" ")[2] for line in said.splitlines() if line.startswith("controlpath "))
    assert ssh_config.resolve("Web", options).identity_files == (expected,)


@needs_ssh
@pytest.mark.parametrize(
    ("jump", "host"),
    [("gate", "gate"), ("one,ops@two:2222", "two"), ("one,[2001:db8::1]:22", "2001:db8::1"), ("none", "")],
)
def test_the_token_of_the_jump_host(config, jump, host):
    """%j is the last hop's name; ssh has it since 9.6."""
    options = config(f"ProxyJump {jump}", "IdentityFile /keys/%j")
    assert ssh_config.resolve("web", options).identity_files == (f"/keys/{host}",)


VALUES_THAT_MEAN_NOTHING = {
    "IdentityFile /keys/${FLEET_UNSET}": 'IdentityFile cannot be "/keys/${FLEET_UNSET}": the variable FLEET_UNSET is '
    "not set",
    "IdentityFile /keys/%x": 'IdentityFile cannot be "/keys/%x": %x means nothing there',
    "IdentityFile /keys/%": 'IdentityFile cannot be "/keys/%": % means nothing there',
    "IdentityFile /keys/${HOME": 'IdentityFile cannot be "/keys/${HOME": a ${ has no }',
    "CertificateFile /keys/${FLEET_UNSET}": 'CertificateFile cannot be "/keys/${FLEET_UNSET}": the variable '
    "FLEET_UNSET is not set",
    "UserKnownHostsFile ${FLEET_UNSET}": "ssh refuses what its configuration says of it: vdollar_percent_expand: env "
    "var ${FLEET_UNSET} has no value",
    "ControlPath ${FLEET_UNSET}": "ssh refuses what its configuration says of it: vdollar_percent_expand: env "
    "var ${FLEET_UNSET} has no value",
    "HostName %n.example": "ssh refuses what its configuration says of it: vdollar_percent_expand: unknown key %n",
    "ProxyJump ${FLEET_UNSET}": 'ProxyJump cannot be "${FLEET_UNSET}": the variable FLEET_UNSET is not set',
    "ProxyJump gate-%x": 'ProxyJump cannot be "gate-%x": %x means nothing there',
    "ProxyJump ${HOME}": f'"{HOME}" is not a jump host',
}


@needs_ssh
@pytest.mark.parametrize(("line", "message"), VALUES_THAT_MEAN_NOTHING.items(), ids=VALUES_THAT_MEAN_NOTHING)
def test_a_value_that_means_nothing_fails_its_own_host(config, line, message):
    """It is the host's failure, at stage config; the host beside it has its way."""
    options = config("Host bad", f"  {line}", "Host good", "  Port 2222")
    with pytest.raises(HostError) as caught:
        route(Host("box", address="bad"), options)
    assert (caught.value.host, caught.value.stage, caught.value.message) == ("box", "config", message)
    assert route(Host("good"), options).settings.port == 2222


@needs_ssh
def test_paths_that_ssh_has_expanded_are_not_expanded_again(config):
    """`ssh -G` prints what UserKnownHostsFile and IdentityAgent mean: a percent sign that is left is one."""
    settings = ssh_config.resolve("web", config("UserKnownHostsFile /keys/100%%h", "IdentityAgent /run/%%h"))
    assert (settings.user_known_hosts, settings.identity_agent) == (("/keys/100%h",), "/run/%h")


@needs_ssh
def test_policy_of_a_distribution_keeps_every_name(config):
    """Fedora lists certificates and security keys for every host; `+ssh-rsa` is kept, and none of it needs ssh."""
    policy = "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,rsa-sha2-256"
    settings = ssh_config.resolve("web", config(f"PubkeyAcceptedAlgorithms {policy}"))
    assert settings.pubkey_algorithms == tuple(policy.split(","))
    added = ssh_config.resolve("web", config("PubkeyAcceptedAlgorithms +ssh-rsa", name="added"))
    assert added.pubkey_algorithms[-1] == "ssh-rsa"
    assert (settings.only_openssh, added.only_openssh) == ((), ())


def test_the_built_in_client_has_what_we_say_it_has():
    """The table replaces a question to paramiko, whose import the choice of a transport must not cost."""
    has = paramiko.Transport
    assert set(BUILT_IN["ciphers"]) <= set(has._cipher_info)
    assert set(BUILT_IN["macs"]) <= set(has._mac_info)
    assert set(BUILT_IN["kexalgorithms"]) <= set(has._kex_info)
    assert set(BUILT_IN["hostkeyalgorithms"]) <= set(has._key_info)
    ours = {name for name in BUILT_IN["pubkeyacceptedalgorithms"] if not name.startswith("sk-")}
    assert ours <= set(has._key_info)
