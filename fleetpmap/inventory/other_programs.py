"""Recognizes what other programs print about hosts.   reader, host_lists ─► [other_programs] ─► messages

An inventory, a list of hosts and the output of kubectl are easily mistaken for each other. The message of such a
mistake names the program and the option that takes its output.
"""

from __future__ import annotations

import re

_TABLE_HEADS = {
    re.compile(r"NAME\s+STATUS\s+ROLES\s+AGE\b"): (
        "kubectl get nodes",
        "kubectl get nodes -o json",
        "items[].metadata.name",
    ),
    re.compile(r"Node\s+Address\s+(ID|Status)\b"): (
        "consul members",
        "curl http://127.0.0.1:8500/v1/catalog/nodes",
        "[].Address",
    ),
}
"""First lines of tables for people: the command, the one that prints json instead, and the path in that."""
_SECTION = re.compile(r"\[[A-Za-z_][^\]]*\]")
_KUBECTL_NAME = re.compile(r"(node|pod)s?/[a-z0-9.-]+")
_NAME = re.compile(r"(?:[\w@*?]|\[[0-9A-Fa-f:.]+\])[\w.:@\[\],*?-]*")
_MOST_LINES = 1000
"""Lines that are looked at."""


def path_in(document: object) -> tuple[str, str]:
    """Return what the json document is, as a clause, and the path of the hosts in it; empty if it is not known."""
    match document:
        case {"Reservations": [*_]}:
            return "the output of `aws ec2 describe-instances`", "Reservations[].Instances[].PrivateDnsName"
        case {"kind": str(), "items": [{"kind": "Pod"}, *_]}:
            return "the output of `kubectl get pods -o json`", "items[].spec.nodeName"
        case {"kind": str(), "items": [*_]}:
            return "the output of `kubectl get nodes -o json`", "items[].metadata.name"
        case [{"Node": {"Node": str()}}, *_]:
            return "an answer of Consul's /v1/health/service", "[].Node.Address"
        case [{"Node": str(), "Address": str()}, *_]:
            return "an answer of Consul's /v1/catalog", "[].Address"
        case {"fleetpmap": {}, "rows": [*_]}:
            return "a report of fleetpmap", "rows[].host"
        case _:
            return "", ""


def table_of(text: str) -> tuple[str, str]:
    """Return what a table for people is, as half a sentence, and what to do; empty for another text."""
    first = next((line for line in _lines(text) if line and not line.startswith("#")), "")
    for head, (command, instead, path) in _TABLE_HEADS.items():
        if head.match(first):
            return f"the table of `{command}`", f"run `{instead} > hosts.json`, and --hosts-from 'hosts.json:{path}'"
    if _KUBECTL_NAME.fullmatch(first):
        hint = "run `kubectl get nodes -o json > hosts.json`, and --hosts-from 'hosts.json:items[].metadata.name'"
        return "what `kubectl get -o name` prints", hint
    return "", ""


def has_sections(text: str) -> bool:
    """Return whether a text has a line `[section]`, as inventories have."""
    return any(map(_SECTION.fullmatch, _lines(text)))


def is_list(text: str) -> bool:
    """Return whether a text can only be a list of hosts: a name a line, and nothing else."""
    lines = [line.partition("#")[0].strip() for line in _lines(text)]
    return any(lines) and all(_NAME.fullmatch(line) and not _SECTION.fullmatch(line) for line in lines if line)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()[:_MOST_LINES]]
