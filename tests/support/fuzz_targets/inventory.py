"""Inventory files: TOML, and the JSON of ansible-inventory."""

from __future__ import annotations

from pathlib import Path

from fleetpmap.inventory.reader import parse

SEEDS = (
    b'[defaults]\nuser = "ops"\nidentity_file = "~/.ssh/id"\n[groups.web]\nhosts = "web[01-20]"\n'
    b'[groups.all]\nchildren = ["web"]\nsudo = true\n[hosts.db]\naddress = "10.0.0.1"\nport = 22\nlabels = {a = "b"}\n',
    b'{"_meta": {"hostvars": {"web01": {"ansible_host": "10.0.0.1", "ansible_port": 22, "ansible_user": "ops"}}},'
    b' "all": {"children": ["web"]}, "web": {"hosts": ["web01"], "vars": {"ansible_become": true}}}',
)
WORDS = (b"[hosts.", b"[groups.", b"[[", b"]", b'"', b"'''", b"[1-999999999]", b"[0-9]/3", b"[001-3]", b"\\u0000",
         b"{", b"}", b"children", b"hosts", b"_meta", b"@", b"!", b"&", b"{{ x }}", b"\xff", b"\n", b"=")  # fmt: skip


def read(data: bytes) -> object:
    """Load it as the content of a file whose name says which of the two it is."""
    return parse(Path("inventory.json" if data[:1] == b"{" else "inventory.toml"), data)
