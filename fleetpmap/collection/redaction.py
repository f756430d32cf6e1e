"""Remove the run's secrets from a reply.   interpret ─► [redaction] ─► batch, capture

A host can send a password back in any text: a process's name, arguments, cgroup or exe, the path of a mapping, a user's
name, its kernel's release. So all of a reply is redacted here, after the choice (--match may look for a word that is
also the password) and before anything of it is shown, counted or kept. Numbers stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from fleetpmap.collection.reply import HostReply
from fleetpmap.processes import Choice, Skipped
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.transport.secret import Redaction
from fleetpmap.wire import Capabilities, CgroupMemory, ContainerName, ListedProcess, Reading
from fleetpmap.wire.accounting import STAT_KEYS, STATUS_KEYS
from fleetpmap.wire.section_readers import CGROUP_DIRECTORIES

_PATH = re.compile(rb"^([0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ +)(\S.*)$", re.MULTILINE)
"""A mapping's first line, where it ends in a path."""
_KNOWN = b"|".join(field.key.encode() for field in FIELDS)
_OTHER = re.compile(rb"^(?![0-9a-f]+-[0-9a-f]|(?:%b):[ \t]*\d+(?: kB)?$).+$" % _KNOWN, re.MULTILINE)
"""A line that is neither a mapping's first one nor a known field with its number."""
_STATS = b"|".join(key.encode() for key in STAT_KEYS)
_KEY = re.compile(rb"[A-Za-z_][A-Za-z0-9_.()]*(?=:)")
_STATUS_TEXT = re.compile(rb"^(?!Uid:|(?:%b):\s*\d+ kB$).+$" % "|".join(STATUS_KEYS).encode(), re.MULTILINE)
"""A line of a status that is neither its uids nor a size."""
_PRESSURE = rb"(?:some|full)(?: (?:avg10|avg60|avg300|total)=[0-9.]+)+"
_CGROUP_TEXT = re.compile(rb"^(?!(?:(?:%b) )?(?:\d+|max)$|%b$).+$" % (_STATS, _PRESSURE), re.MULTILINE)
"""A line of a cgroup's file that is neither a number, with a known key or without, nor a pressure."""
_COMM = re.compile(rb"\(.*\)", re.DOTALL)


def redacted(reply: HostReply, secrets: Redaction) -> HostReply:
    """Return the reply without these secrets."""
    listing, reading = reply.listing, reply.reading
    listing = replace(
        listing,
        capabilities=_capabilities(listing.capabilities, secrets),
        users=_names(listing.users, secrets),
        names=_container_names(listing.names, secrets),
        raw=_sections(listing.raw, secrets),
    )
    reading = reading and _reading(reading, secrets)
    near = reply.near and reply.near.rewritten(secrets.text)
    return replace(reply, listing=listing, choice=_choice(reply.choice, secrets), reading=reading, near=near)


def _capabilities(can: Capabilities, secrets: Redaction) -> Capabilities:
    return replace(
        can,
        kernel=secrets.text(can.kernel),
        boot_id=secrets.text(can.boot_id),
        pid_namespace=secrets.text(can.pid_namespace),
        reader=secrets.text(can.reader),
        user=secrets.text(can.user),
    )


def _names(users: Mapping[int, str], secrets: Redaction) -> dict[int, str]:
    return {uid: secrets.text(name) for uid, name in users.items()}


def _container_names(names: Mapping[str, ContainerName], secrets: Redaction) -> dict[str, ContainerName]:
    return {
        id_: ContainerName(secrets.text(known.name), secrets.text(known.pod), secrets.text(known.namespace))
        for id_, known in names.items()
    }


def _group(group: CgroupMemory, secrets: Redaction) -> CgroupMemory:
    return replace(group, path=secrets.text(group.path), limit_path=secrets.text(group.limit_path))


def _choice(choice: Choice, secrets: Redaction) -> Choice:
    return replace(
        choice,
        read=tuple(_process(process, secrets) for process in choice.read),
        skipped=tuple(
            Skipped(_process(each.process, secrets), each.status, secrets.text(each.reason)) for each in choice.skipped
        ),
    )


def _process(process: ListedProcess, secrets: Redaction) -> ListedProcess:
    return process._replace(
        name=secrets.text(process.name),
        arguments=tuple(map(secrets.text, process.arguments)),
        cgroups=process.cgroups and tuple(map(secrets.text, process.cgroups)),
        exe=process.exe and secrets.text(process.exe),
    )


def _reading(reading: Reading, secrets: Redaction) -> Reading:
    processes, texts, at = [], [], 0
    changed = secrets.bytes(reading.smaps) is not reading.smaps
    for process in reading.processes:
        text = reading.smaps[process.start : process.stop]
        text = _smaps(text, secrets) if changed else text
        processes.append(
            replace(
                process,
                start=at,
                stop=at + len(text),
                arguments=process.arguments and tuple(map(secrets.text, process.arguments)),
                name=process.name and secrets.text(process.name),
                cgroups=process.cgroups and tuple(map(secrets.text, process.cgroups)),
                memory_cgroup=process.memory_cgroup and secrets.text(process.memory_cgroup),
            )
        )
        texts.append(text)
        at += len(text)
    return replace(
        reading,
        smaps=b"".join(texts) if changed else reading.smaps,
        processes=tuple(processes),
        users=_names(reading.users, secrets),
        cgroups=tuple(_group(group, secrets) for group in reading.cgroups),
        names=_container_names(reading.names, secrets),
        raw=_sections(reading.raw, secrets),
    )


def _smaps(text: bytes, secrets: Redaction) -> bytes:
    """Redact one process's smaps: paths, and lines that no kernel prints."""
    text = _PATH.sub(lambda line: line[1] + secrets.bytes(line[2]), text)
    return _OTHER.sub(lambda line: _line(line[0], secrets), text)


def _line(line: bytes, secrets: Redaction) -> bytes:
    key = _KEY.match(line)
    if key is None or key[0].decode() in _KEYS:
        return secrets.bytes(line) if key is None else key[0] + secrets.bytes(line[key.end() :])
    named = secrets.bytes(key[0])
    return (named if named == key[0] else b"redacted") + secrets.bytes(line[key.end() :])


_KEYS = frozenset(field.key for field in FIELDS)


def _sections(raw: Mapping[str, bytes], secrets: Redaction) -> dict[str, bytes]:
    """Redact sections of records `PID/FILE:TEXT`, as they were received; the probe writes the part before the colon.

    Of the section memory only numbers are kept anywhere. The paths of cgroups and containers are the host's own.
    """
    sections = {}
    for name, section in raw.items():
        end = b"\0" if name == "facts" else b"\n"
        if name == "memory" or secrets.bytes(section) is section:
            sections[name] = section
        elif name == "names":
            sections[name] = secrets.bytes(section)
        else:
            sections[name] = end.join(_record(record, secrets) for record in section.split(end))
    return sections


def _record(record: bytes, secrets: Redaction) -> bytes:
    path, colon, text = record.partition(b":")
    if path.startswith(CGROUP_DIRECTORIES):
        return _of_cgroup(record, secrets)
    if path.endswith(b"/stat"):
        text = _COMM.sub(lambda name: secrets.bytes(name[0]), text)
    elif path.endswith(b"/smaps_rollup"):
        text = _smaps(text, secrets)
    elif path.endswith(b"/status"):
        text = _STATUS_TEXT.sub(lambda line: secrets.bytes(line[0]), text)
    elif not path.endswith(b"/oom_score_adj"):
        text = secrets.bytes(text)
    return path + colon + text


def _of_cgroup(record: bytes, secrets: Redaction) -> bytes:
    """Redact the path of a cgroup's file, and lines of it that are no numbers of the kernel's."""
    first, newline, rest = record.partition(b"\n")
    path, colon, text = first.rpartition(b":")
    directory, slash, name = path.rpartition(b"/")
    text = _CGROUP_TEXT.sub(lambda line: secrets.bytes(line[0]), text + newline + rest)
    return secrets.bytes(directory) + slash + name + colon + text
