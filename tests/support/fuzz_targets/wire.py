"""What a host sends: the stream in pieces, then its list and its reading, with every process and cgroup of them."""

from __future__ import annotations

import gzip
from dataclasses import fields

from fleetpmap.membership import labels, membership
from fleetpmap.probe import Script
from fleetpmap.wire import Decoder
from fleetpmap.wire.accounting import SIZE_LIMIT

NONCE = b"00112233445566778899aabbccddeeff"
_SCRIPT = Script(command="sh -s", stdin=b"", nonce=NONCE.decode(), proc_root="/proc")
_BEGIN = (
    b"N begin 1 uid=0 kernel=6.1.0 page_size=4096 boot_id=0f pid_namespace=4 reader=gnu compression=gzip probe_pid=\n"
)
_STAT = b"7 (my (odd) x) S 1 7 5 0 -1 4194304 9 8 7 6 5 4 3 2 20 0 1 0 4711 8192000 33 184\n"
_PRESSURE = b"".join(b"%b avg10=1.25 avg60=0.50 avg300=0.00 total=9\n" % kind for kind in (b"some", b"full"))
_ID = b"ab" * 32
_LIST = b"""N stat
7/stat:%bN cmdline
7/cmdline:odd\x007/cmdline:\x00N uid
7/status:Uid:\t1000\t1001\t1000\t1000
N passwd
app:x:1001:1001::/srv/app:/bin/sh
N cgroup
7/cgroup:0::/a:b
N memory
MemTotal: 2017104
MemAvailable: 1402208
SwapTotal: 0
SwapFree: 0
%bN names
../var/lib/docker/containers/%b/config.v2.json:"Name":"/shop-web"
../run/containerd/io.containerd.runtime.v2.task/k8s.io/%b/config.json:"io.kubernetes.pod.name": "shop-1"
../var/lib/containers/storage/overlay-containers/containers.json:"id":"%b","names":["cache"
N end
""" % (_STAT, _PRESSURE, _ID, _ID, _ID)
_READ = b"""N smaps
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
\x007/status:Name:\todd
VmHWM:\t    5000 kB
VmRSS:\t    4800 kB
RssAnon:\t    1200 kB
\x007/oom_score_adj:-1000
\x007/cgroup:%b\x00%bN time
1.00 1.01
N end
"""


def _reading(cgroup: bytes, files: dict[bytes, bytes]) -> bytes:
    records = (b"../sys/fs/cgroup%b:%b\x00" % record for record in files.items())
    return _READ % (_STAT, cgroup, b"".join(records))


_V2 = {
    b"/a.slice/b:c.service/memory.current": b"5242880\n",
    b"/a.slice/b:c.service/memory.max": b"max\n",
    b"/a.slice/memory.max": b"8388608\n",
    b"/a.slice/b:c.service/memory.stat": b"anon 4096\nfile 8192\nkernel_stack 16384\nslab 512\n",
    b"/a.slice/b:c.service/memory.events": b"low 0\noom 1\noom_kill 2\n",
    b"/a.slice/b:c.service/memory.pressure": _PRESSURE,
    b"/a.slice/b:c.service/cgroup.procs": b"7\n8\n",
}
_V1 = {
    b"/memory/lxc/101/memory.usage_in_bytes": b"4096\n",
    b"/memory/lxc/101/memory.limit_in_bytes": b"9223372036854771712\n",
    b"/memory/lxc/memory.limit_in_bytes": b"8388608\n",
    b"/memory/lxc/101/memory.stat": b"cache 4096\nhierarchical_memory_limit 8388608\ntotal_rss 4096\n",
    b"/memory/lxc/101/memory.oom_control": b"oom_kill_disable 0\noom_kill 3\n",
}
_READINGS = (
    _reading(b"0::/a.slice/b:c.service\n", _V2),
    _reading(b"4:cpu,memory:/lxc/101\n1:name=systemd:/\n0::/\n", _V1),
)


def _stream(packing: bytes, reading: bytes = _READINGS[0]) -> bytes:
    pack = gzip.compress if packing == b"gzip" else bytes
    phases = [
        b"N %b %b\n%bN over\n" % (name, packing, pack(body.replace(b"N ", NONCE + b" ")))
        for name, body in ((b"list", _LIST), (b"read", reading))
    ]
    return b"hello\n" + b"".join((_BEGIN, *phases)).replace(b"N ", NONCE + b" ") + NONCE + b" bye\n"


SEEDS = (_stream(b"plain"), _stream(b"plain", _READINGS[1]), _stream(b"gzip"))
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
    *(b"../sys/fs/cgroup/", b"/memory.max:", b"/memory.current:", b"/memory.usage_in_bytes:", b"/unified", b"/../"),
    *(b"7/cgroup:", b"0::/", b"memory", b"max\n", b"MemTotal: ", b'"Name":"/', b"VmRSS:\t", b" kB\n", _ID, b".slice/"),
)
_SIZES = (1 << 20, 1 << 20, 700, 61)


def read(data: bytes) -> object:
    """Feed it in pieces whose size depends on its length, and unpack what came."""
    decoder = Decoder(_SCRIPT, host="web-03")
    size = _SIZES[len(data) % 4]
    for at in range(0, len(data), max(size, len(data) >> 10)):
        decoder.feed(data[at : at + max(size, len(data) >> 10)])
    if decoder.reading is not None:
        reading = decoder.reading.unpack()
        for process in reading.processes:
            labels(membership(process.cgroups or ()), reading.names, process.name or "")
        sizes = [getattr(group, field.name) for group in reading.cgroups for field in fields(group)]
        assert all(0 <= size <= SIZE_LIMIT for size in sizes if type(size) is int)
    if decoder.listing is not None:
        assert all(process.pid > 0 for process in decoder.listing.processes)
    decoder.eof()
    return decoder
