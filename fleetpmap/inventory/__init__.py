"""The hosts of a fleet, and the selection among them.   inventory.toml, options ─► [inventory] ─► tuple[Host, …]

find_inventory ─► load ─► Inventory ─► select ─► hosts

hosts          Host, Inventory
reader         finds and loads the file; reports all mistakes in it
  toml_tables    TOML, table by table, with each value checked (settings, names)
  ansible        the same for Ansible's JSON (ansible_vars: variables to settings; ansible_ini: plain INI to that JSON)
  layers         host table, node-set tables, groups, parents, defaults: the nearest wins
host_lists     --hosts-from: text, csv and json of other programs to names
other_programs recognizes files that are something else than the option takes
selection      -H -g --hosts-from --limit --exclude to an ordered tuple of hosts
  patterns       the language of those options (narrowing: Ansible's language, in --limit and --exclude)
nodesets       web[01-20] to names and back
  cluster_groups groups of ClusterShell's own configuration; only these two import ClusterShell
"""

from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.nodesets import fold
from fleetpmap.inventory.reader import find_inventory, load
from fleetpmap.inventory.selection import select

__all__ = ["LOCAL", "Host", "Inventory", "find_inventory", "fold", "load", "select"]
