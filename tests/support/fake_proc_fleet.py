"""Who the processes of tests/fake_proc are said to be.   [fake_proc_fleet] ─► record_fake_proc

Three hosts that differ as a fleet differs:

    web-01  6.1   a script whose name the kernel cut at 15 bytes; its child is a zombie
    web-02  6.12  newer: another build of libssl.so.3, libtinfo.so.6.4; a bash of root's that may not be read
    web-03  4.19  fields missing; libssl, libcrypto and libtinfo replaced on disk without a restart

What they belong to and what that is charged: see fake_proc_memory.
"""

from __future__ import annotations

from dataclasses import dataclass

APP = 1000
ROOT = 0
UNNAMED = 10007
"""A uid that the passwd file does not know, as of a container's process."""
PASSWD = """\
root:x:0:0:root:/root:/bin/bash
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
postgres:x:114:120:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash
app:x:1000:1000:The application:/srv/app:/bin/bash
"""


@dataclass(frozen=True)
class Kernel:
    """What tells a kernel's /proc from the recording one's."""

    release: str
    lacks: frozenset[str]
    """Keys of smaps that came later."""
    locked_is_pss: bool = False
    """4.14 to 4.19 print Pss in the Locked line."""


BOOKWORM = Kernel("6.1.0-27-amd64", frozenset({"KSM"}))
BACKPORTS = Kernel("6.12.12+bpo-amd64", frozenset())
BUSTER = Kernel(
    "4.19.0-26-amd64",
    frozenset({"Pss_Dirty", "Pss_Anon", "Pss_File", "Pss_Shmem", "KSM", "FilePmdMapped", "THPeligible"}),
    locked_is_pss=True,
)


@dataclass(frozen=True)
class Identity:
    """Who a recorded process is said to be."""

    pid: int
    ppid: int
    start_ticks: int
    uid: int
    cmdline: tuple[str, ...]
    name: str | None = None
    """The process name; None: as recorded."""


@dataclass(frozen=True)
class Host:
    """One host to record. The sizes differ from host to host so that no two numbers are alike."""

    name: str
    kernel: Kernel
    boot_id: str
    device: str
    inodes: int
    """Added to every inode, since no two file systems number alike."""
    gunicorn: tuple[Identity, Identity]
    sizes_kib: tuple[int, int, int]
    """What the server fills before the fork, its shared board, and what the worker writes anew."""
    swapped_kib: tuple[int, int]
    """Paged out of the server's data: of each process's own pages, and of those the two share."""
    shells: tuple[tuple[Identity, int], ...]
    """With the bytes that each keeps in a variable."""
    collector: Identity | None
    zombie: Identity
    denied: tuple[Identity, ...]
    newer_libssl_kib: int = 0
    tinfo: str = "libtinfo.so.6.3"
    replaced: tuple[str, ...] = ()
    """Libraries replaced on disk since the processes started."""


def _server(pid: int, ppid: int, start_ticks: int) -> Identity:
    cmdline = ("/usr/bin/python3", "/usr/bin/gunicorn", "--workers", "1", "shop.wsgi:application")
    return Identity(pid, ppid, start_ticks, APP, cmdline)


def _shell(pid: int, start_ticks: int, uid: int = APP) -> Identity:
    return Identity(pid, pid - 1, start_ticks, uid, ("-bash",), "bash")


def _system(sshd_pid: int) -> tuple[Identity, Identity]:
    listener = ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",)
    return (
        Identity(1, 0, 3, ROOT, ("/sbin/init",), "systemd"),
        Identity(sshd_pid, 1, 611, ROOT, listener, "sshd"),
    )


FLEET = (
    Host(
        name="web-01",
        kernel=BOOKWORM,
        boot_id="5b0c9a52-6f0e-4a39-9d2b-0e5a7c1f4d11",
        device="08:01",
        inodes=0,
        gunicorn=(_server(1843, 1, 4210), _server(1851, 1843, 4388)),
        sizes_kib=(1400, 64, 520),
        swapped_kib=(36, 96),
        shells=((_shell(2290, 901177), 30_000), (_shell(2307, 955013), 190_000)),
        collector=Identity(
            2411,
            1,
            5120,
            APP,
            ("/bin/sh", "/usr/local/bin/metrics-collector", "--every", "60"),
        ),
        zombie=Identity(2466, 2411, 1803312, APP, (), "curl"),
        denied=_system(612),
    ),
    Host(
        name="web-02",
        kernel=BACKPORTS,
        boot_id="c2f1d7e8-15aa-4f7c-8a60-93b8d2e44b22",
        device="fd:01",
        inodes=524288,
        gunicorn=(_server(1702, 1, 3977), _server(1710, 1702, 4102)),
        sizes_kib=(2200, 128, 904),
        swapped_kib=(52, 160),
        shells=((_shell(3120, 733201), 75_000),),
        collector=None,
        zombie=Identity(3304, 1702, 812009, APP, (), "openssl"),
        denied=(*_system(598), _shell(3177, 740555, ROOT)),
        newer_libssl_kib=12,
        tinfo="libtinfo.so.6.4",
    ),
    Host(
        name="web-03",
        kernel=BUSTER,
        boot_id="0e9d3b76-b1c4-4c55-b7f9-6a2e81d05c33",
        device="fe:03",
        inodes=1310720,
        gunicorn=(_server(20512, 1, 88190), _server(20519, 20512, 88301)),
        sizes_kib=(3100, 192, 1320),
        swapped_kib=(200, 424),
        shells=((_shell(21004, 9120733), 410_000),),
        collector=None,
        zombie=Identity(21377, 1, 9204118, UNNAMED, (), "healthcheck"),
        denied=_system(871),
        replaced=("libssl.so.3", "libcrypto.so.3", "libtinfo.so.6.3"),
    ),
)
