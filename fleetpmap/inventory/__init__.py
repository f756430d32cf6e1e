"""The hosts of a fleet, and the selection among them.   inventory.toml, options ─► [inventory] ─► tuple[Host, …]

find_inventory ─► load ─► Inventory ─► select ─► hosts

hosts          Host, Inventory
reader         finds and loads the file; reports all mistakes in it
  toml_tables    TOML, table by table, with each value checked (settings, names)
  ansible        the same for Ansible's JSON (ansible_vars: variables to settings)
  layers         host table, node-set tables, groups, parents, defaults: the nearest wins
selection      -H -g --hosts-from --limit --exclude to an ordered tuple of hosts
  patterns       the language of those options (narrowing: Ansible's language, in --limit and --exclude)
nodesets       web[01-20] to names and back; the only module that imports ClusterShell
"""

from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.nodesets import fold
from fleetpmap.inventory.reader import find_inventory, load
from fleetpmap.inventory.selection import select

__all__ = ["LOCAL", "Host", "Inventory", "find_inventory", "fold", "load", "select"]
