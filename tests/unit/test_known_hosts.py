"""known_hosts: the grammar of sshd(8), the verdicts, and appending."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetpmap.transport import known_hosts


def _key(word: str, key_type: str = "ssh-ed25519") -> bytes:
    """A key blob as on the wire: its type, then something of its own."""
    parts = (key_type.encode(), word.encode())
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


ONE, TWO = _key("one"), _key("two")
ED_ONE, ED_TWO = f"ssh-ed25519 {_text(ONE)}", f"ssh-ed25519 {_text(TWO)}"


@pytest.fixture
def load(tmp_path):
    """Known hosts from lines, in a file of their own; `where` of a verdict is then its name and the line."""

    def make(*lines: str):
        path = tmp_path / "known_hosts"
        path.write_text("".join(f"{line}\n" for line in lines))
        return known_hosts.load((str(path),))

    return make


def _verdict(hosts, name: str, port: int = 22, key: bytes = ONE) -> tuple[str, str]:
    verdict = hosts.check(name, port, key)
    return verdict.status, verdict.where.rpartition(":")[2]


def test_plain_name_is_known(load):
    """A name, a type and a key."""
    assert _verdict(load("# hosts", "web-01 " + ED_ONE), "web-01") == ("known", "2")


def test_other_name_is_unknown(load):
    """Names match as a whole."""
    assert _verdict(load("web-01 " + ED_ONE), "web-0") == ("unknown", "")


def test_names_ignore_case(load):
    """ssh lower-cases host names on both sides."""
    assert _verdict(load("Web-01.Example " + ED_ONE), "WEB-01.example") == ("known", "1")


def test_comma_list_names_one_host_by_many_names(load):
    """Name and address often share a line; a comment may follow."""
    hosts = load(f"web-01,10.0.0.13 {ED_ONE} root@web-01 and more")
    assert _verdict(hosts, "10.0.0.13") == ("known", "1")


def test_another_key_is_changed_and_says_where(load):
    """The line that has the other key is what to look at."""
    assert _verdict(load("other " + ED_ONE, "web-01 " + ED_TWO), "web-01") == ("changed", "2")


def test_one_of_several_keys_is_enough(load):
    """A host may have a key of each type, and old ones beside new ones."""
    assert _verdict(load("web-01 " + ED_TWO, "web-01 " + ED_ONE), "web-01") == ("known", "2")


def test_key_of_another_type_only_is_changed(load):
    """A host known by its RSA key that shows an ed25519 key is not simply new."""
    rsa = _key("one", "ssh-rsa")
    assert _verdict(load(f"web-01 ssh-rsa {_text(rsa)}"), "web-01") == ("changed", "1")


def test_port_other_than_ssh_is_in_brackets(load):
    """[name]:port is that port only."""
    hosts = load("[web-01]:2222 " + ED_ONE)
    assert _verdict(hosts, "web-01", 2222) == ("known", "1")
    assert _verdict(hosts, "web-01", 22) == ("unknown", "")
    assert _verdict(hosts, "web-01", 2200) == ("unknown", "")


def test_key_of_the_bare_name_is_good_on_any_port(load):
    """As ssh does; another key of the bare name says nothing about the port."""
    hosts = load("web-01 " + ED_ONE)
    assert _verdict(hosts, "web-01", 2222) == ("known", "1")
    assert _verdict(hosts, "web-01", 2222, TWO) == ("unknown", "")


def test_ipv6_address_with_a_port(load):
    """Brackets hold the colons together."""
    assert _verdict(load("[::1]:2222 " + ED_ONE), "::1", 2222) == ("known", "1")


def test_hashed_name(load):
    """|1|salt|HMAC-SHA1 of the name, as HashKnownHosts writes it."""
    salt = b"01234567890123456789"
    digest = hmac.new(salt, b"[web-01]:2222", hashlib.sha1).digest()
    hosts = load(f"|1|{_text(salt)}|{_text(digest)} {ED_ONE}")
    assert _verdict(hosts, "web-01", 2222) == ("known", "1")
    assert _verdict(hosts, "web-02", 2222) == ("unknown", "")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen to hash with")
def test_file_hashed_by_ssh_keygen(tmp_path):
    """OpenSSH's own hashes are ours."""
    path = tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    kind, text = (tmp_path / "key.pub").read_text().split()[:2]
    path.write_text(f"web-01,[10.0.0.13]:2222 {kind} {text}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    hosts = known_hosts.load((str(path),))
    assert hosts.check("10.0.0.13", 2222, base64.b64decode(text)).status == "known"
    assert hosts.check("web-01", 22, base64.b64decode(text)).status == "known"
    assert hosts.check("web-01", 22, ONE).status == "changed"


def test_wildcards(load):
    """* is any run of characters, ? is one."""
    hosts = load("web-??.example,*.lab " + ED_ONE)
    assert _verdict(hosts, "web-01.example") == ("known", "1")
    assert _verdict(hosts, "a.b.lab") == ("known", "1")
    assert _verdict(hosts, "web-1.example") == ("unknown", "")


def test_wildcard_with_a_port(load):
    """Brackets in a pattern are themselves, not a set of characters."""
    hosts = load("[*.lab]:2222 " + ED_ONE)
    assert _verdict(hosts, "a.lab", 2222) == ("known", "1")
    assert _verdict(hosts, "a.lab", 22) == ("unknown", "")


def test_negation_wins(load):
    """A name that matches after ! is not meant by the line, wherever it stands."""
    hosts = load("*.lab,!bad.lab " + ED_ONE)
    assert _verdict(hosts, "good.lab") == ("known", "1")
    assert _verdict(hosts, "bad.lab") == ("unknown", "")


def test_negation_alone_means_nobody(load):
    """!name does not match every other name."""
    assert _verdict(load("!bad.lab " + ED_ONE), "good.lab") == ("unknown", "")


def test_revoked_beats_known(load):
    """A revoked key is revoked, also when another line knows it."""
    assert _verdict(load("web-01 " + ED_ONE, "@revoked * " + ED_ONE), "web-01") == ("revoked", "2")


def test_revoked_on_the_bare_name_holds_on_any_port(load):
    """A port does not bring a revoked key back."""
    assert _verdict(load("@revoked web-01 " + ED_ONE), "web-01", 2222) == ("revoked", "1")


def test_revoked_line_is_about_its_key_only(load):
    """Another key of the host is not touched by it, and is not `changed` because of it."""
    assert _verdict(load("@revoked web-01 " + ED_TWO), "web-01") == ("unknown", "")


def test_certificate_authority_is_no_host_key(load):
    """The key of an authority signs hosts; as a host's own key it means nothing."""
    hosts = load("@cert-authority *.lab " + ED_ONE)
    assert _verdict(hosts, "a.lab") == ("unknown", "")
    assert hosts.key_types("a.lab", 22) == ()
    assert hosts.warnings == ()


def test_bad_lines_are_warnings_with_their_number(load):
    """An unreadable line is skipped with a warning; the rest counts."""
    hosts = load(
        "web-01",
        "web-02 ssh-ed25519 not-base64!",
        "@unknown-marker web-03 " + ED_ONE,
        "web-04 1024 35 1234567890",
        "|1|bad|hash|too|long " + ED_ONE,
        "|2|AAAA|AAAA " + ED_ONE,
        "",
        "  # fine",
        "web-05 " + ED_ONE,
    )
    numbers = [warning.split(":")[-2] for warning in hosts.warnings]
    assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert hosts.warnings[0].endswith("known_hosts:1: not a line of known_hosts, skipped")
    assert _verdict(hosts, "web-05") == ("known", "9")


def test_windows_line_ends_are_fine(load):
    """A file edited elsewhere."""
    assert _verdict(load(f"web-01 {ED_ONE}\r"), "web-01") == ("known", "1")


def test_key_types_are_those_known_in_their_order(load):
    """The types to ask the host for, so that it shows the key we know."""
    rsa = f"ssh-rsa {_text(_key('r', 'ssh-rsa'))}"
    hosts = load("web-01 " + rsa, "[web-01]:2222 " + ED_ONE, "@revoked web-01 " + ED_TWO)
    assert hosts.key_types("web-01", 22) == ("ssh-rsa",)
    assert hosts.key_types("web-01", 2222) == ("ssh-ed25519",)
    assert hosts.key_types("web-01", 2223) == ("ssh-rsa",)
    assert hosts.key_types("web-02", 22) == ()


def test_several_files_are_one(tmp_path):
    """The user's file and the system's both count; a missing one has no entries."""
    (tmp_path / "user").write_text("web-01 " + ED_ONE + "\n")
    (tmp_path / "system").write_text("web-02 " + ED_ONE + "\n")
    hosts = known_hosts.load(str(tmp_path / name) for name in ("missing", "user", "system"))
    assert hosts.check("web-01", 22, ONE).where == f"{tmp_path}/user:1"
    assert hosts.check("web-02", 22, ONE).where == f"{tmp_path}/system:1"


def test_a_file_that_grew_is_read_again(tmp_path):
    """Parsed once per state of the file, not once for ever."""
    path = tmp_path / "known_hosts"
    path.write_text("")
    assert known_hosts.load((str(path),)).check("web-01", 22, ONE).status == "unknown"
    known_hosts.append(str(path), "web-01", 22, "ssh-ed25519", ONE)
    assert known_hosts.load((str(path),)).check("web-01", 22, ONE).status == "known"


def test_lines_of_another_program_are_added(tmp_path):
    """A file that grew keeps the numbers of its lines."""
    path = tmp_path / "known_hosts"
    path.write_text(f"web-01 {ED_ONE}\n\n")
    assert _verdict(known_hosts.load((str(path),)), "web-03") == ("unknown", "")
    with path.open("a") as file:
        file.write(f"bad line\nweb-03 {ED_TWO}\n")
    hosts = known_hosts.load((str(path),))
    assert _verdict(hosts, "web-01") == ("known", "1")
    assert _verdict(hosts, "web-03") == ("changed", "4")
    assert hosts.warnings == (f"{path}:3: not a line of known_hosts, skipped",)


def test_a_file_that_grew_after_a_change_is_another_file(tmp_path):
    """A key that was taken out is trusted no more, even if the file is longer than before; likewise a last line that
    goes on."""
    path = tmp_path / "known_hosts"
    path.write_text(f"web-01 {ED_ONE}\n")
    assert _verdict(known_hosts.load((str(path),)), "web-01") == ("known", "1")
    path.write_text(f"web-01 {ED_TWO}\nweb-02 {ED_ONE}\nweb-03 {ED_ONE}")
    hosts = known_hosts.load((str(path),))
    assert [_verdict(hosts, name) for name in ("web-01", "web-03")] == [("changed", "1"), ("known", "3")]
    with path.open("a") as file:
        file.write("AAAA\n")
    hosts = known_hosts.load((str(path),))
    assert _verdict(hosts, "web-03") == ("unknown", "")
    assert hosts.warnings == (f"{path}:3: not a line of known_hosts, skipped",)


@pytest.mark.timed
def test_accepting_many_new_hosts_takes_linear_time(tmp_path):
    """2,000 new hosts take 0.2 s of CPU, not the 12 s of reading the file again for each."""
    path = str(tmp_path / "known_hosts")
    began = time.process_time()
    for number in range(2_000):
        assert known_hosts.load((path,)).check(f"web-{number}", 22, ONE).status == "unknown"
        known_hosts.append(path, f"web-{number}", 22, "ssh-ed25519", ONE)
    assert _verdict(known_hosts.load((path,)), "web-1999") == ("known", "2000")
    assert time.process_time() - began < 4


def test_append_makes_the_file_and_its_directory_private(tmp_path):
    """~/.ssh is 0700 and known_hosts 0600, as ssh makes them."""
    path = tmp_path / "home" / ".ssh" / "known_hosts"
    known_hosts.append(str(path), "web-01", 2222, "ssh-ed25519", ONE)
    assert path.read_text() == f"[web-01]:2222 {ED_ONE}\n"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_append_keeps_what_is_there(tmp_path):
    """One line more, also after a last line without its newline; bytes that are not UTF-8 stay as they are."""
    path = tmp_path / "known_hosts"
    path.write_bytes(b"# caf\xe9\nweb-02 bad line")
    known_hosts.append(str(path), "web-01", 22, "ssh-ed25519", ONE)
    assert path.read_bytes() == b"# caf\xe9\nweb-02 bad line\nweb-01 " + ED_ONE.encode() + b"\n"


def test_appending_from_many_threads_loses_nothing(tmp_path):
    """Fifty new hosts at once, each twice: fifty lines."""
    path = tmp_path / "known_hosts"
    start = threading.Barrier(20)

    def accept(number: int) -> None:
        if number < 20:
            start.wait(20)
        known_hosts.append(str(path), f"web-{number % 50}", 22, "ssh-ed25519", ONE)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(accept, range(100)))
    assert sorted(path.read_text().splitlines()) == sorted(f"web-{number} {ED_ONE}" for number in range(50))


def test_fingerprint_is_ssh_keygens():
    """SHA256 in base64 without padding (the digest of no bytes is well known)."""
    assert known_hosts.fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"


@pytest.mark.timed
def test_ten_thousand_lines_are_quick(load):
    """A fleet's file is no reason to wait (a guard against the quadratic way; it takes some 40 ms)."""
    lines = [f"host-{number}.example,10.0.{number // 256}.{number % 256} {ED_ONE}" for number in range(10_000)]
    began = time.process_time()
    hosts = load(*lines)
    assert time.process_time() - began < 4
    assert _verdict(hosts, "host-9999.example") == ("known", "10000")


@pytest.mark.parametrize(
    "names",
    ["*a" * 100 + "b", "*" * 200_000 + "b", ",".join(f"*{number}?" for number in range(2000)), "?" * 200_000],
    ids=["stars", "many stars", "list", "signs"],
)
@pytest.mark.timed
def test_patterns_are_matched_in_linear_time(names):
    """Any line is matched in time: backtracking through stars would take the age of the universe."""
    began = time.process_time()
    known = known_hosts.parse(f"{names} {ED_ONE}\n", "known_hosts")
    assert known.check("a" * 250, 22, ONE).status == "unknown"
    assert time.process_time() - began < 4
