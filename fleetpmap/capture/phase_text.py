"""Rebuild the probe's output from a capture's files.   stored ─► [phase_text] ─► wire's Listing and Reading

The probe prints each line of a file behind the file's path. The same is done here, so that the parsers of `wire` can
parse the files.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from fleetpmap.capture.tree import MEMINFO, NAMES, PRESSURE, is_cgroup_file
from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection
from fleetpmap.wire import PROCESS_LIMIT, Capabilities, Listing, Reading
from fleetpmap.wire.phase_body import Body
from fleetpmap.wire.replies import build_listing, build_reading


def listing_of(can: Capabilities, files: Mapping[str, bytes], pids: Sequence[int], passwd: bytes = b"") -> Listing:
    """Return the listing of these processes.

    Raises:
        MalformedError: a file does not have the format of its name.
    """
    sections = {
        "stat": lines_of(files, pids, "stat"),
        "cmdline": lines_of(files, pids, "cmdline", end=b"\0"),
        "uid": owners_of(files, pids),
        "passwd": passwd,
        "cgroup": lines_of(files, pids, "cgroup"),
        "memory": files.get(MEMINFO, b"") + b"\n" + files.get(PRESSURE, b""),
        "names": files.get(NAMES, b""),
    }
    return build_listing(can, _body(sections))


def reading_of(listing: Listing, files: Mapping[str, bytes], pids: Sequence[int], passwd: bytes) -> Reading:
    """Return the reading of these processes; one without an smaps is `denied`.

    Raises:
        MalformedError: a file does not have the format of its name.
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
    """Return the output of grep -H for the files of this name: `PID/NAME:LINE` for each line."""
    texts = ((pid, files.get(f"{pid}/{name}", b"")) for pid in pids)
    return b"".join(
        b"%d/%b:%b%b" % (pid, name.encode(), line, end)
        for pid, text in texts
        if text
        for line in text.removesuffix(end).split(end)
    )


def _facts(files: Mapping[str, bytes], pids: Iterable[int]) -> bytes:
    """Return the output of grep -zH for the files of these processes and of all cgroups: `PATH:TEXT` and a NUL."""
    names = ("stat", "cmdline", "status", "oom_score_adj", "cgroup", "smaps_rollup")
    of_processes = (lines_of(files, pids, name, end=b"\0") for name in names)
    return b"".join((*of_processes, *(record + b"\0" for record in cgroup_records(files))))


def cgroup_records(files: Mapping[str, bytes]) -> list[bytes]:
    """Return the files of cgroups as the probe prints them, `PATH:TEXT`, without the NUL."""
    return [b"%b:%b" % (path.encode(), text) for path, text in files.items() if text and is_cgroup_file(path)]


def owners_of(files: Mapping[str, bytes], pids: Iterable[int]) -> bytes:
    """Return the Uid line of each status, as grep prints it."""
    lines = lines_of(files, pids, "status").splitlines(keepends=True)
    return b"".join(line for line in lines if b"/status:Uid:" in line[:32])


def check_cgroups(listing: Listing, selection: Selection, host: str) -> None:
    """Check that a selection by what cgroups tell can match: a capture may lack cgroups, and then no process would.

    Raises:
        UsageError: no process of this host has a cgroup file.
    """
    processes = listing.processes
    needed = selection.cgroup or selection.unit or selection.container or selection.pod
    if processes and needed and all(process.cgroups is None for process in processes):
        hint = "select by --match or --user; a run that selects by --unit, --cgroup, --container or --pod keeps them"
        raise UsageError(f"{host}: the capture does not hold the cgroups of its processes", hint=hint)


def _body(sections: Mapping[str, bytes]) -> Body:
    nonce = secrets.token_hex(16).encode()
    body = Body(nonce)
    for name, content in sections.items():
        body.add(b"%b %b\n%b" % (nonce, name.encode(), content))
    body.add(nonce + b" end\n")
    return body
