"""Captures: the manifest's JSON, the blocks of a tar, and whole archives.

A manifest and the blocks are read from memory. Of the archives that hold together some are written to a file and shown
as `fleetpmap show` does, in two views. Every second archive gets right checksums for its headers, since else hardly any
change would be seen by what comes after them.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zlib
from hashlib import sha256
from pathlib import Path

from fleetpmap.capture import load
from fleetpmap.capture.manifest import ManifestError, parse
from fleetpmap.capture.tar import BLOCK, KindError, Tar, TarError
from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, ViewOptions
from odd_json import with_odd_values

_CAN = {"uid": 0, "kernel": "6.1.0", "page_size": 4096, "boot_id": "e9d87d88", "pid_namespace": "4026531836",
        "reader": "gnu", "compression": "gzip", "probe_pid": 7, "booted": 1764434123.5}  # fmt: skip
_STAT = b"812 (nginx) S 1 812 812 0 -1 4194560 " + b"0 " * 12 + b"991 4096 3 " + b"0 " * 27 + b"0\n"
_SMAPS = b"""\
00400000-00402000 r-xp 00001000 fd:01 1311                               /usr/sbin/nginx
Size:                  8 kB
Rss:                   4 kB
Pss:                   3 kB
VmFlags: rd ex mr mw me
"""
_GROUP = "sys/fs/cgroup/system.slice/nginx.service"
_FILES = {
    "sys/kernel/osrelease": b"6.1.0\n",
    "meminfo": b"MemTotal: 2017104\nSwapFree: 0\n",
    "pressure/memory": b"some avg10=1.00 avg60=0.00 avg300=0.00\nfull avg10=0.00 avg60=0.00 avg300=0.00\n",
    "container-names": b'../var/lib/docker/containers/%b/config.v2.json:"Name":"/web"\n' % (b"ab" * 32),
    f"{_GROUP}/memory.current": b"8192\n",
    f"{_GROUP}/memory.max": b"max\n",
    f"{_GROUP}/memory.stat": b"anon 4096\nfile 4096\n",
    "sys/fs/cgroup/system.slice/memory.max": b"16384\n",
    "812/stat": _STAT,
    "812/status": b"Uid:\t33\t33\t33\t33\nVmRSS:\t 4 kB\n",
    "812/cgroup": b"0::/system.slice/nginx.service\n",
    "812/oom_score_adj": b"-1000\n",
    "812/cmdline": b"nginx\0-g\0",
    "812/smaps": _SMAPS,
}
_MANIFEST = json.dumps({
    "fleetpmap": {"capture": 1, "version": "0.3.0"},
    "run": {"started": "2026-03-14T15:09:26+00:00", "elapsed_s": 2.5, "command": "fleetpmap run --match nginx",
            "ended": "whole", "rollups": False, "machines_once": False},
    "hosts": [
        {"name": "web-01", "directory": "web-01", "status": "ok", "failure": None, "capabilities": _CAN, "sudo": False,
         "local": False, "notes": ["slow"], "said": "", "read_s": 0.01,
         "processes": [{"pid": 812, "status": "read", "reason": "", "uid": 33, "user": "www", "left_out": False,
                        "reading": {"stopped": False, "start_stack": 140737488347136, "seconds": None}}],
         "files": {path: sha256(content).hexdigest() for path, content in _FILES.items()}},
        {"name": "web-02", "directory": "web-02", "status": "auth", "capabilities": None, "sudo": False, "local": False,
         "notes": [], "said": "", "processes": [], "files": {}, "read_s": None,
         "failure": {"host": "web-02", "status": "auth", "stage": "auth", "message": "no", "hint": "", "said": ""}},
    ],
}).encode()  # fmt: skip


def _tar(kind: int, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid = len(content), 33
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()[: -tarfile.RECORDSIZE] + bytes(2 * BLOCK)


_TREE = {f"web-01/{path}": content for path, content in _FILES.items()}
_DEEP = {"x" * 150 + f"/{path}": content for path, content in _FILES.items()}
SEEDS = (
    *(_MANIFEST,) * 3,
    _tar(tarfile.GNU_FORMAT, {"manifest.json": _MANIFEST} | _TREE),
    _tar(tarfile.PAX_FORMAT, {"ä/812/stat": _STAT}),
    _tar(tarfile.PAX_FORMAT, _DEEP),
    _tar(tarfile.GNU_FORMAT, {"etc/passwd": b"www:x:33:33::/:/bin/sh\n"} | _DEEP),
    _tar(tarfile.USTAR_FORMAT, _TREE),
)
WORDS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b'"',
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"1e308",
    b"\\ud800",
    b"\\u0000",
    b"..",
    b"/",
    b"812/smaps.denied",
    b"812/smaps_rollup",
    b'"pid"',
    b'"files"',
    b"9999-12-31T23:59:59",
    b"0001-01-01T00:00:00+14:00",
    b"ustar\0",
    b"ustar  \0",
    b"L",
    b"x",
    b"g",
    b"S",
    b"\0" * 512,
    b"20 path=../x/1/stat\n",
    b"12 size=-1\n",
    b"22 GNU.sparse.major=1\n",
    b"\x80" + b"\xff" * 11,
)
_FILE = Path(tempfile.mkdtemp(prefix="fleetpmap-fuzz-")) / "capture.tar"
_SHOWN = 32
"""Of so many archives that hold together, one is shown."""


def read(data: bytes) -> object:
    """Read it as what it looks like."""
    try:
        if data.startswith(b"{"):
            number = zlib.crc32(data)
            odd = number % 2 and data not in SEEDS
            return parse(json.dumps(with_odd_values(_MANIFEST, number)).encode() if odd else data)
        if zlib.crc32(data) % 2:
            data = _with_checksums(data)
        tar = Tar(io.BytesIO(data))
        for member in tar.members():
            if member.is_file and member.size < 1 << 20:
                tar.read()
    except (ManifestError, TarError, KindError) as error:
        raise UsageError(str(error)) from error
    return None if zlib.crc32(data) % _SHOWN and data not in SEEDS else _shown(data)


def _shown(data: bytes) -> list[str]:
    _FILE.write_bytes(data)
    snapshot = load(_FILE, Selection())
    return [plain(VIEWS[view](snapshot, ViewOptions())) for view in ("hosts", "pmap")]


def _with_checksums(data: bytes) -> bytes:
    blocks = [data[at : at + BLOCK] for at in range(0, min(len(data), 40 * BLOCK), BLOCK)]
    for place, block in enumerate(blocks):
        if block[257:262] == b"ustar" and len(block) == BLOCK:
            total = 256 + sum(block[:148]) + sum(block[156:])
            blocks[place] = block[:148] + b"%06o\0 " % total + block[156:]
    return b"".join(blocks) + data[40 * BLOCK :]
