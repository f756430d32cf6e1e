"""Files in the shape in which the probe sends them.   stored ─► [body] ─► wire's Listing and Reading

The probe prints a file's lines behind its path; here the same is done with files, so that wire's own parsers read them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection
from fleetpmap.wire import PROCESS_LIMIT, Capabilities, Listing, Reading
from fleetpmap.wire.phase_body import Body
from fleetpmap.wire.replies import build_listing, build_reading


def listing_of(can: Capabilities, files: Mapping[str, bytes], pids: Sequence[int], passwd: bytes = b"") -> Listing:
    """Phase one of these processes.

    Raises:
        MalformedError: a file that is not what its name says.
    """
    sections = {
        "stat": lines_of(files, pids, "stat"),
        "cmdline": lines_of(files, pids, "cmdline", end=b"\0"),
        "uid": owners_of(files, pids),
        "passwd": passwd,
        "cgroup": lines_of(files, pids, "cgroup"),
    }
    return build_listing(can, _body(sections))


def reading_of(listing: Listing, files: Mapping[str, bytes], pids: Sequence[int], passwd: bytes) -> Reading:
    """Phase two of these processes; one without an smaps is `denied`.

    Raises:
        MalformedError: a file that is not what its name says.
    """
    texts = {pid: files[f"{pid}/smaps"] for pid in pids if f"{pid}/smaps" in files}
    headed = (b"\n==> %d/smaps <==\n%b" % (pid, text) for pid, text in texts.items())
    sections = {
        "smaps": b"==> /dev/null <==\n" + b"".join(headed),
        "access": b"".join(b"%d %b\n" % (pid, b"ok" if pid in texts else b"denied") for pid in pids),
        "facts": _facts(files, pids),
        "uid": owners_of(files, pids),
        "passwd": passwd,
    }
    return build_reading(listing, _body(sections), PROCESS_LIMIT)


def lines_of(files: Mapping[str, bytes], pids: Iterable[int], name: str, *, end: bytes = b"\n") -> bytes:
    """What grep -H prints of these processes' files of this name."""
    texts = ((pid, files.get(f"{pid}/{name}", b"")) for pid in pids)
    return b"".join(
        b"%d/%b:%b%b" % (pid, name.encode(), line, end)
        for pid, text in texts
        if text
        for line in text.removesuffix(end).split(end)
    )


def _facts(files: Mapping[str, bytes], pids: Iterable[int]) -> bytes:
    """What grep -zH prints of these processes' files."""
    names = ("stat", "cmdline", "smaps_rollup")
    return b"".join(lines_of(files, pids, name, end=b"\0") for name in names)


def owners_of(files: Mapping[str, bytes], pids: Iterable[int]) -> bytes:
    """The Uid line of each status."""
    lines = lines_of(files, pids, "status").splitlines(keepends=True)
    return b"".join(line for line in lines if b"/status:Uid:" in line[:32])


def check_cgroups(listing: Listing, selection: Selection, host: str) -> None:
    """See that a selection by cgroup has something to go by: without, nobody would match.

    Raises:
        UsageError: no process of this host has a cgroup file.
    """
    there = listing.processes
    if there and (selection.cgroup or selection.unit) and all(process.cgroups is None for process in there):
        hint = "select by --match or --user; a run that selects by --unit or --cgroup keeps them"
        raise UsageError(f"{host}: the capture does not hold the cgroups of its processes", hint=hint)


def _body(sections: Mapping[str, bytes]) -> Body:
    nonce = secrets.token_hex(16).encode()
    body = Body(nonce)
    for name, content in sections.items():
        body.add(b"%b %b\n%b" % (nonce, name.encode(), content))
    body.add(nonce + b" end\n")
    return body
