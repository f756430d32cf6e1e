"""What a host sends: the stream in pieces, then its list and its reading, every process of them made."""

from __future__ import annotations

import gzip

from fleetpmap.probe import Script
from fleetpmap.wire import Decoder

NONCE = b"00112233445566778899aabbccddeeff"
_SCRIPT = Script(command="sh -s", stdin=b"", nonce=NONCE.decode(), proc_root="/proc")
_BEGIN = (
    b"N begin 1 uid=0 kernel=6.1.0 page_size=4096 boot_id=0f pid_namespace=4 reader=gnu compression=gzip probe_pid=\n"
)
_STAT = b"7 (my (odd) x) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184\n"
_LIST = (
    b"""N stat
7/stat:%bN cmdline
7/cmdline:odd\x007/cmdline:\x00N uid
7/status:Uid:\t1000\t1001\t1000\t1000
N passwd
app:x:1001:1001::/srv/app:/bin/sh
N cgroup
7/cgroup:0::/a:b
N end
"""
    % _STAT
)
_READ = (
    b"""N smaps
==> /dev/null <==

==> 7/smaps <==
00400000-00401000 r-xp 00000000 08:01 9  /bin/odd
Rss:  4 kB

==> 8/smaps <==
N access
7 ok
8 gone
N uid
7/status:Uid:\t1000\t1001\t1000\t1000
N facts
7/stat:%b\x007/cmdline:odd\x007/smaps_rollup:00400000-00401000 ---p 00000000 00:00 0 [rollup]
Rss: 4 kB
\x00N time
1.00 1.01
N end
"""
    % _STAT
)


def _stream(packing: bytes) -> bytes:
    pack = gzip.compress if packing == b"gzip" else bytes
    phases = [
        b"N %b %b\n%bN over\n" % (name, packing, pack(body.replace(b"N ", NONCE + b" ")))
        for name, body in ((b"list", _LIST), (b"read", _READ))
    ]
    return b"hello\n" + b"".join((_BEGIN, *phases)).replace(b"N ", NONCE + b" ") + NONCE + b" bye\n"


SEEDS = (_stream(b"plain"), _stream(b"plain"), _stream(b"gzip"))
WORDS = (
    *(
        NONCE,
        NONCE + b" ",
        b" begin 1 ",
        b" list plain\n",
        b" read gzip\n",
        b" over\n",
        b" end\n",
        b" void\n",
        b" bye\n",
    ),
    *(b"7/stat:", b"7/cmdline:", b"8/status:Uid:", b"==> 7/smaps <==\n", b"\n\n==> /dev/null <==\n", b"\x00", b"("),
    *(b")", b"\xff", b"\n", b" ok\n", b"7/smaps_rollup:", b"page_size="),
)
_SIZES = (1 << 20, 1 << 20, 700, 61)


def read(data: bytes) -> object:
    """Feed it in pieces whose size depends on its length, and unpack what came."""
    decoder = Decoder(_SCRIPT, host="web-03")
    size = _SIZES[len(data) % 4]
    for at in range(0, len(data), max(size, len(data) >> 10)):
        decoder.feed(data[at : at + max(size, len(data) >> 10)])
    if decoder.reading is not None:
        decoder.reading.unpack()
    if decoder.listing is not None:
        assert all(process.pid > 0 for process in decoder.listing.processes)
    decoder.eof()
    return decoder
