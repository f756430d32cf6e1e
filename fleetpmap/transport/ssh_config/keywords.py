"""Every option of ssh_config, with its effect here.   [keywords] ─► host_settings, config_files, docs

A table with one row for each option or group of options. It defines the settings that only the system's ssh supports,
the options that the reader for machines without ssh accepts, and the table in the documentation.
Source: ssh_config(5) of OpenSSH 9.2, and what later versions added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

WithSsh = Literal["works", "openssh", "no effect"]
WithoutSsh = Literal["works", "refused", "no effect"]


class Row(NamedTuple):
    """Options with the same effect."""

    names: tuple[str, ...]
    """Names in the manual's spelling."""
    with_ssh: WithSsh
    """Effect on a machine with ssh. `openssh`: the host goes by the system's ssh, with a note."""
    without_ssh: WithoutSsh
    """Effect on a machine without ssh. `refused`: an error with file and line."""
    meaning: str


ROWS = (
    Row(("Host",), "works", "works", "patterns with `*`, `?` and `!`, as ssh has them"),
    Row(
        ("Match",),
        "works",
        "works",
        "without ssh only `all`, `host`, `originalhost`, `user` and `localuser`; `exec` and the others are refused",
    ),
    Row(("Include",), "works", "works", "globs, `~` and relative paths; without ssh no `%` and no `$`"),
    Row(("IgnoreUnknown",), "works", "works", ""),
    Row(("HostName", "User", "Port"), "works", "works", "the inventory's `address`, `user` and `port` beat them"),
    Row(
        ("IdentityFile", "IdentitiesOnly", "IdentityAgent"),
        "works",
        "works",
        "the inventory's `identity_file` beats them",
    ),
    Row(("CertificateFile",), "works", "works", "user certificates"),
    Row(
        ("UserKnownHostsFile", "GlobalKnownHostsFile"),
        "works",
        "works",
        "`--known-hosts` and the inventory's `known_hosts` beat both",
    ),
    Row(("HostKeyAlias",), "works", "works", "the name in known_hosts"),
    Row(
        ("StrictHostKeyChecking",),
        "works",
        "works",
        "`yes` and `ask` are strict; `accept-new` and `no` accept the key of a host that is new, with a note. "
        "A changed key is always refused. `--host-key` beats it",
    ),
    Row(
        ("ProxyJump", "ProxyCommand"),
        "works",
        "works",
        "the first of the two counts; the inventory's `proxy_jump` beats them",
    ),
    Row(("ConnectTimeout",), "works", "works", "until the login is done; the inventory's `connect_timeout_s` beats it"),
    Row(("ConnectionAttempts",), "works", "works", "as `--retries`, which beats it, plus one"),
    Row(("AddressFamily", "BindAddress"), "works", "works", ""),
    Row(
        ("Ciphers", "KexAlgorithms", "MACs", "HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"),
        "works",
        "works",
        "those that the built-in client has, in that order; with none of them the host goes by the system's ssh",
    ),
    Row(("CanonicalizeHostname",), "works", "refused", "ssh looks the name up"),
    Row(
        ("CanonicalDomains", "CanonicalizeMaxDots", "CanonicalizeFallbackLocal", "CanonicalizePermittedCNAMEs"),
        "works",
        "no effect",
        "they say how, where `CanonicalizeHostname` is on",
    ),
    Row(("BindInterface",), "openssh", "refused", ""),
    Row(("PKCS11Provider", "SecurityKeyProvider"), "openssh", "refused", "keys on tokens that need a library"),
    Row(("VerifyHostKeyDNS", "KnownHostsCommand", "RevokedHostKeys"), "openssh", "refused", "host keys from elsewhere"),
    Row(("HostbasedAuthentication",), "openssh", "refused", "login by the key of this machine"),
    Row(
        (
            *("GSSAPIAuthentication", "GSSAPIDelegateCredentials", "GSSAPIKeyExchange", "GSSAPIKexAlgorithms"),
            *("GSSAPIClientIdentity", "GSSAPIServerIdentity", "GSSAPIRenewalForcesRekey", "GSSAPITrustDns"),
        ),
        "no effect",
        "no effect",
        'distributions set it for every host; where you log in by Kerberos, set `transport = "openssh"` for the host',
    ),
    Row(
        (
            *("PubkeyAuthentication", "PasswordAuthentication", "KbdInteractiveAuthentication"),
            *("PreferredAuthentications", "NumberOfPasswordPrompts"),
        ),
        "works",
        "works",
        "the password is what `--ask-pass` or `--password-command` gives; no prompt appears during the run",
    ),
    Row(("KbdInteractiveDevices", "BatchMode"), "no effect", "no effect", "no question is ever asked"),
    Row(
        ("ControlMaster", "ControlPath", "ControlPersist"),
        "no effect",
        "no effect",
        'no master is opened; one that is open serves `transport = "openssh"`, and any host that refuses our login',
    ),
    Row(
        (
            *("ForwardAgent", "ForwardX11", "ForwardX11Timeout", "ForwardX11Trusted", "LocalForward", "RemoteForward"),
            *("DynamicForward", "GatewayPorts", "PermitRemoteOpen", "ClearAllForwardings", "ExitOnForwardFailure"),
            *("StreamLocalBindMask", "StreamLocalBindUnlink", "Tunnel", "TunnelDevice", "XAuthLocation"),
        ),
        "no effect",
        "no effect",
        "nothing is ever forwarded",
    ),
    Row(
        (
            *("RemoteCommand", "RequestTTY", "SessionType", "StdinNull", "ForkAfterAuthentication", "EscapeChar"),
            *("LocalCommand", "PermitLocalCommand", "EnableEscapeCommandline"),
        ),
        "no effect",
        "no effect",
        "one command of ours is run, without a terminal, and none on this machine",
    ),
    Row(("SendEnv", "SetEnv"), "no effect", "no effect", "the built-in client sends no variables"),
    Row(
        ("Compression", "IPQoS", "RekeyLimit", "TCPKeepAlive", "ServerAliveInterval", "ServerAliveCountMax"),
        "no effect",
        "no effect",
        "the answer comes packed, and `--timeout` bounds a silent host",
    ),
    Row(
        ("HashKnownHosts", "UpdateHostKeys", "CheckHostIP", "NoHostAuthenticationForLocalhost"),
        "no effect",
        "no effect",
        "known_hosts is read, hashed names too; only a key that is accepted is written, its name in clear",
    ),
    Row(
        (
            *("CASignatureAlgorithms", "RequiredRSASize", "HostbasedAcceptedAlgorithms", "EnableSSHKeysign"),
            *("AddKeysToAgent", "ProxyUseFdpass", "VisualHostKey", "FingerprintHash", "UseKeychain"),
            *("LogLevel", "LogVerbose", "SyslogFacility", "ObscureKeystrokeTiming", "WarnWeakCrypto"),
        ),
        "no effect",
        "no effect",
        "",
    ),
    Row(
        (
            *("Protocol", "Cipher", "RSAAuthentication", "RhostsRSAAuthentication", "CompressionLevel"),
            *("UsePrivilegedPort", "UseRoaming", "DSAAuthentication"),
        ),
        "no effect",
        "no effect",
        "of old versions: ssh ignores them too, or says that it does not know them",
    ),
)

OTHER_NAMES: Mapping[str, str] = {
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
    "tisauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "smartcarddevice": "pkcs11provider",
}
"""Present names of older spellings, both in lower case."""

SPELLING = {name.lower(): name for row in ROWS for name in row.names}
"""Spelling of every option in the manual, by its lower case."""
ONLY_OPENSSH = tuple(name.lower() for row in ROWS if row.with_ssh == "openssh" for name in row.names)
WITHOUT_SSH: Mapping[str, WithoutSsh] = {name.lower(): row.without_ssh for row in ROWS for name in row.names}

CIPHERS = (
    "aes128-gcm@openssh.com",  # first: a third faster here than aes128-ctr with its separate MAC
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
"""Ciphers that the built-in client offers unless ssh_config sets others."""
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "ciphers": (*CIPHERS, "aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"),
    "kexalgorithms": (
        "mlkem768x25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group14-sha256",
    ),
    "macs": (
        *("hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"),
        *("hmac-sha1", "hmac-md5", "hmac-sha1-96", "hmac-md5-96"),
    ),
    "hostkeyalgorithms": (
        *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
        *("rsa-sha2-512", "rsa-sha2-256"),
    ),
    "pubkeyacceptedalgorithms": (
        *("ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com"),
        *("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com"),
        *("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"),
        *("rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"),
        *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
        *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),  # an agent signs with these
        *("rsa-sha2-512", "rsa-sha2-256"),
    ),
}
"""Algorithms of the built-in client, by option, in its order. Listed here because the choice of a transport must not
import paramiko."""
SHA1_SIGNATURES = ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com")
"""Signatures of RSA keys by SHA-1: supported, but made only if ssh_config asks for them, as in ssh."""
RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
"""Signature algorithms of a key of the type ssh-rsa."""
SAME_ALGORITHM: Mapping[str, str] = {"curve25519-sha256": "curve25519-sha256@libssh.org"}
"""Names of an algorithm that the built-in client has under another name only."""
