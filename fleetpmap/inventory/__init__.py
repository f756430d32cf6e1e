"""What a fleet is and who is asked.   inventory.toml, options ─► [inventory] ─► tuple[Host, …] ─► transport

find_inventory ─► load ─► Inventory ─► select ─► hosts

model        Host, Inventory
load         the file: find it, read it, say everything that is wrong with it
  document     table by table, each value checked (settings, names)
  ansible      the same of Ansible's JSON (ansible_vars: variables to settings)
  layers       host table, node-set tables, groups, parents, defaults: nearest wins
selection    -H -g --hosts-from --limit --exclude to an ordered tuple of hosts
  patterns     the language of those options (narrowing: and of Ansible, in --limit and --exclude)
nodesets     web[01-20] to names and back; the one place that knows ClusterShell
"""

from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.nodesets import fold
from fleetpmap.inventory.reader import find_inventory, load
from fleetpmap.inventory.selection import select

__all__ = ["LOCAL", "Host", "Inventory", "find_inventory", "fold", "load", "select"]
