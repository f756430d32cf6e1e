"""Groups of ClusterShell.   groups.conf ─► [cluster_groups] ─► patterns

    @GROUP           a group of the default source          @SOURCE:GROUP     a group of another source

The files are those of ClusterShell's own commands: /etc/clustershell, ~/.config/clustershell and $CLUSTERSHELL_CFGDIR.
The ones that pip installs with the package are left out: their groups are examples, `@all` among them.
Source: NodeUtils.py of ClusterShell 1.10; https://clustershell.readthedocs.io/en/latest/config.html
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from fleetpmap.inventory.names import name_fault
from fleetpmap.inventory.nodesets import MOST_NAMES

# A source may be a shell command that holds the name, unquoted: `$GROUP` in groups.conf.
_NAME = re.compile(r"(?:[A-Za-z0-9_][\w.+-]*:)?[A-Za-z0-9_][\w.+-]*", re.ASCII)


def cluster_group(name: str) -> list[str]:
    """Return the hosts of a group, sorted; none if there is no such group, or nothing is configured.

    Raises:
        ValueError: the configuration or its source of groups is at fault, or the group has too many hosts.
    """
    if not _NAME.fullmatch(name):
        return []
    import configparser

    from ClusterShell.NodeSet import NodeSet, NodeSetException
    from ClusterShell.NodeUtils import GroupResolverError, GroupResolverSourceError, GroupSourceError

    namespace, _, group = name.rpartition(":")
    try:
        resolver = _resolver()
        node_sets = resolver.group_nodes(group, namespace or None)
        hosts = NodeSet.fromlist(node_sets, resolver=resolver)
    except GroupResolverSourceError:
        return []
    except (GroupResolverError, GroupSourceError, NodeSetException, configparser.Error, ValueError, OSError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"ClusterShell cannot tell the group {name}: {why}") from error
    if len(hosts) > MOST_NAMES:
        raise ValueError(f"ClusterShell's group {name} means more than {MOST_NAMES:,} hosts")
    names = [str(host) for host in hosts]
    for host in names:
        if fault := name_fault(host):
            raise ValueError(f'ClusterShell\'s group {name} has the host "{host}": {fault}')
    return names


@lru_cache(maxsize=1)
def _resolver() -> Any:
    from ClusterShell.Defaults import config_paths
    from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS
    from ClusterShell.NodeUtils import GroupResolverConfig

    by_pip = (Path(sys.prefix) / "etc", Path("~/.local/etc").expanduser())
    files = [file for file in config_paths("groups.conf") if not any(map(Path(file).is_relative_to, by_pip))]
    return GroupResolverConfig(files, ILLEGAL_GROUP_CHARS)
