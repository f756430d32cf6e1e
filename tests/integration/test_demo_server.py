"""The demo's SSH servers, seen by paramiko's own client; and the recorded fleet behind them."""

from __future__ import annotations

import contextlib
import gc
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import psutil
import pytest

from bounded import is_running, wait_until
from fleetpmap.collection.collector import Question, collect
from fleetpmap.demo import demo_inventory, lay_out, trees
from fleetpmap.demo.server import ADDRESS, USER, DemoServer, Key
from fleetpmap.transport import SshOptions

HANG_S = 30
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="the system's ssh is not installed")


@pytest.fixture(scope="module")
def key() -> Key:
    return Key()


@pytest.fixture
def server(key: Key) -> Iterator[DemoServer]:
    with DemoServer(key) as server:
        yield server


@pytest.fixture
def client(server: DemoServer, key: Key) -> Iterator[paramiko.Transport]:
    with login(server, key) as client:
        yield client


def login(server: DemoServer, key: Key, user: str = USER) -> paramiko.Transport:
    connection = socket.create_connection((ADDRESS, server.port), HANG_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each command waits 40 ms for an ACK
    client = paramiko.Transport(connection)
    try:
        client.connect(hostkey=server.host_key.pkey, username=user, pkey=key.pkey)
    except paramiko.SSHException:
        client.close()
        raise
    return client


def start(client: paramiko.Transport, command: str) -> paramiko.Channel:
    channel = client.open_session(timeout=HANG_S)
    channel.settimeout(HANG_S)
    channel.exec_command(command)
    return channel


def output_of(channel: paramiko.Channel) -> tuple[bytes, bytes]:
    """All of stdout and stderr, read together."""
    stderr: list[bytes] = []
    reader = threading.Thread(target=lambda: stderr.append(channel.makefile_stderr("rb").read()))
    reader.start()
    stdout = channel.makefile("rb").read()
    reader.join(HANG_S)
    return stdout, stderr[0]


def wait_for(channel: paramiko.Channel, line: bytes) -> None:
    received = b""
    while line not in received:
        block = channel.recv(4096)
        assert block, f"ended before {line!r}: {received!r}"
        received += block


def open_descriptors() -> int:
    gc.collect()  # paramiko's clients of earlier tests close theirs when they are collected
    return len(list(Path("/proc/self/fd").iterdir()))


def test_runs_a_command_and_gives_its_output_and_status(client):
    """The words run with the input sent; both streams and the exit status come back."""
    channel = start(client, "sh -s")
    channel.sendall(b"echo out; echo err >&2; exit 7\n")
    channel.shutdown_write()
    assert output_of(channel) == (b"out\n", b"err\n")
    assert channel.recv_exit_status() == 7


def test_a_command_is_words_not_a_shell_line(client):
    """Quotes group words and nothing is expanded."""
    channel = start(client, "echo '$HOME  x' $HOME ; a")
    assert output_of(channel) == (b"$HOME  x $HOME ; a\n", b"")


def test_a_command_that_does_not_exist_has_status_127(client):
    """The output is that of a shell: the name and the reason on stderr, status 127."""
    channel = start(client, "no-such-command-here")
    assert output_of(channel) == (b"", b"no-such-command-here: No such file or directory\n")
    assert channel.recv_exit_status() == 127


def test_a_command_killed_by_a_signal_has_no_status(client):
    """Death by signal is not an exit status."""
    channel = start(client, "sh -s")
    channel.sendall(b"kill -9 $$\n")
    assert output_of(channel) == (b"", b"")
    assert channel.recv_exit_status() == -1


def test_an_open_quote_is_refused(client):
    """A command that is not words is refused, not guessed."""
    with pytest.raises(paramiko.SSHException):
        start(client, "echo 'x")


def test_a_very_short_command_is_never_taken_for_refused(client):
    """The reply to the request is out before the command's end, however soon that comes."""
    for _ in range(50):
        assert start(client, "no-such-command-here").recv_exit_status() == 127


def test_much_output_on_both_streams(client):
    """8 MiB of stdout and 4 MiB of stderr arrive whole, one after the other: neither waits for the other."""
    channel = start(client, "sh -s")
    channel.sendall(b"head -c 8388608 /dev/zero; head -c 4194304 /dev/zero >&2; exit 3\n")
    channel.shutdown_write()
    stdout, stderr = output_of(channel)
    assert (len(stdout), len(stderr), channel.recv_exit_status()) == (8388608, 4194304, 3)


def test_much_input(client):
    """4 MiB of stdin arrive whole at a command that answers only at its end."""
    channel = start(client, "wc -c")
    channel.sendall(b"x" * 4194304)
    channel.shutdown_write()
    assert output_of(channel)[0].strip() == b"4194304"


def test_input_that_nobody_reads_does_not_hold_the_command(client):
    """A command that ends without reading its stdin is answered all the same."""
    channel = start(client, "sh -s")
    with contextlib.suppress(OSError):  # the channel may be closed before all of it is sent
        channel.sendall(b"exit 4\n" + b"#" * 1000000)
    assert channel.recv_exit_status() == 4


def test_many_connections_and_channels_at_once(server, key):
    """Eight connections with four commands each get each its own answer."""

    def ask(number: int) -> None:
        with login(server, key) as client:
            channels = [start(client, f"echo {number}.{each}") for each in range(4)]
            answers.extend(output_of(channel)[0] for channel in channels)

    answers: list[bytes] = []
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert sorted(answers) == [b"%d.%d\n" % (number, each) for number in range(8) for each in range(4)]


def test_another_key_is_refused(server):
    """Only the key it was given opens it."""
    with pytest.raises(paramiko.AuthenticationException):
        login(server, Key())


def test_another_user_is_refused(server, key):
    """Only its one user may come in."""
    with pytest.raises(paramiko.AuthenticationException):
        login(server, key, user="root")


def test_a_password_is_not_asked_for(server):
    """Public key is the only way in."""
    with paramiko.Transport((ADDRESS, server.port)) as client:
        client.start_client(timeout=HANG_S)
        with pytest.raises(paramiko.BadAuthenticationType) as refusal:
            client.auth_password(USER, "demo")
    assert refusal.value.allowed_types == ["publickey"]


def test_host_key_line_is_a_line_of_known_hosts(server, tmp_path):
    """The line holds the address, the port and the key that the server shows."""
    (tmp_path / "known_hosts").write_text(f"{server.host_key_line}\n")
    known = paramiko.HostKeys(str(tmp_path / "known_hosts"))
    with paramiko.Transport((ADDRESS, server.port)) as client:
        client.start_client(timeout=HANG_S)
        assert known.check(f"[{ADDRESS}]:{server.port}", client.get_remote_server_key())


def test_the_childs_environment_is_not_ours(client, monkeypatch):
    """As over sshd, a command does not get the environment of the server's user."""
    monkeypatch.setenv("A_SECRET", "of ours")
    assert b"A_SECRET" not in output_of(start(client, "env"))[0]


def test_a_client_that_leaves_takes_its_command_along(server, key):
    """A cut connection ends a command that reads nothing and says nothing, and what that started."""
    before = set(psutil.Process().children())
    client = login(server, key)
    channel = start(client, "sh -s")
    channel.sendall(b"sleep 1000 & echo $!; exec sleep 1000\n")
    channel.shutdown_write()
    sleeper = int(channel.recv(64))
    client.close()
    wait_until(lambda: set(psutil.Process().children()) <= before)
    wait_until(lambda: not is_running(sleeper))


def test_a_closed_channel_ends_its_command(client):
    """Closing the channel is enough; the connection stays and serves the next."""
    before = set(psutil.Process().children())
    channel = start(client, "sh -s")
    channel.sendall(b"echo here; exec sleep 1000\n")
    wait_for(channel, b"here\n")
    channel.close()
    wait_until(lambda: set(psutil.Process().children()) <= before)
    assert start(client, "true").recv_exit_status() == 0


def test_what_a_command_leaves_behind_is_ended(client):
    """A child in the background neither holds the channel open nor outlives the command."""
    channel = start(client, "sh -s")
    channel.sendall(b"sleep 1000 &\necho $!; exit 0\n")
    sleeper = int(output_of(channel)[0])
    wait_until(lambda: not is_running(sleeper))


def test_closing_leaves_nothing(key):
    """Closing a busy server leaves no thread, child or descriptor, and frees the port."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    children = set(psutil.Process().children())
    with DemoServer(key) as server:
        idle, client = login(server, key), login(server, key)
        silent = socket.create_connection((ADDRESS, server.port))
        busy = start(client, "sh -s")
        busy.sendall(b"echo here; while :; do echo flood; done\n")
        wait_for(busy, b"here\n")
    for end in (idle, client, silent):
        end.close()
    assert set(psutil.Process().children()) <= children
    wait_until(lambda: set(threading.enumerate()) <= threads)
    del idle, client, busy
    assert open_descriptors() == descriptors
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, server.port))


def test_a_client_that_does_not_speak_ssh_is_no_matter(server, key, capfd):
    """Noise on the port is dropped without a word on stderr, and the next client is served."""
    with socket.create_connection((ADDRESS, server.port)) as noise:
        noise.sendall(b"GET / HTTP/1.0\r\n\r\n" * 200)
        noise.settimeout(HANG_S)
        with contextlib.suppress(ConnectionResetError):
            while noise.recv(4096):
                pass
    with login(server, key) as client:
        assert start(client, "true").recv_exit_status() == 0
    assert capfd.readouterr() == ("", "")


def test_demo_inventory_is_the_recorded_fleet(tmp_path):
    """Each recorded host is in the inventory, over SSH on a port of its own, and its proc_root is its tree."""
    with demo_inventory() as inventory:
        hosts = list(inventory.hosts.values())
        assert [host.name for host in hosts] == ["web-01", "web-02", "web-03"]
        assert len({host.port for host in hosts}) == 3
        assert {host.transport for host in hosts} == {"ssh"}
        for host in hosts:
            key = paramiko.Ed25519Key.from_private_key_file(host.identity_file[0])
            with paramiko.Transport((host.address, host.port)) as client:
                client.connect(username=host.user, pkey=key)
                known = paramiko.HostKeys(host.known_hosts[0])
                assert known.check(f"[{host.address}]:{host.port}", client.get_remote_server_key())
                kernel = output_of(start(client, f"cat {host.proc_root}/sys/kernel/osrelease"))[0]
                assert kernel == (trees() / host.name / "sys/kernel/osrelease").read_bytes()
    assert not any(Path(path).exists() for host in hosts for path in (*host.identity_file, host.proc_root))


@pytest.mark.parametrize("transport", ["ssh", pytest.param("openssh", marks=needs_ssh)])
def test_the_fleet_answers_the_real_client(transport):
    """The real recipe over the real transports reads all of the fleet, each process with its status."""
    with demo_inventory() as inventory:
        hosts = [replace(host, transport=transport) for host in inventory.hosts.values()]
        snapshot = collect(hosts, Question(ssh=SshOptions(ssh_config="none")))
    assert snapshot.coverage.hosts == {"partial": 3}
    assert snapshot.coverage.processes == {"read": 11, "denied": 7, "zombie": 3}
    assert [process.user for process in snapshot.processes if process.pid in (1843, 3177)] == ["app", "root"]


def test_the_identity_file_is_its_owners_alone(tmp_path):
    """OpenSSH refuses a private key that others may read."""
    Key().write(tmp_path / "id")
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o600


def test_a_denied_process_is_there_and_does_not_open(tmp_path):
    """In a laid-out tree the smaps of a denied process exists, and no user can open it, root included."""
    lay_out(trees(), tmp_path)
    smaps = tmp_path / "web-02/3177/smaps"
    assert smaps.exists()
    with pytest.raises(OSError, match=r"Permission denied|No such device or address"):
        smaps.open()


def test_the_passwd_of_a_laid_out_tree_is_beside_its_hosts(tmp_path):
    """The probe looks for users' names in `$proc_root/../etc/passwd`."""
    assert lay_out(trees(), tmp_path) == ("web-01", "web-02", "web-03")
    assert "\napp:x:1000:" in (tmp_path / "web-01/../etc/passwd").read_text()


def test_importing_the_demo_does_not_import_paramiko():
    """Only a run of the demo waits for its imports."""
    code = "import sys, fleetpmap.demo; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
