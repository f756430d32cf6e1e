"""fleetpmap: where a service's memory is, on all its hosts.

    import fleetpmap

    snapshot = fleetpmap.run("web[01-20]", match="gunicorn")
    print(fleetpmap.plain(fleetpmap.report.hosts(snapshot)))

The same in stages, each of which can be replaced:

    hosts = fleetpmap.select(fleetpmap.load_inventory("inventory.toml"), groups=["web"])
    question = fleetpmap.Question(fleetpmap.Selection(match=fleetpmap.compile_match("gunicorn")))
    snapshot = fleetpmap.collect(hosts, question)

The names of this module are the library; everything else may change between versions. Each is imported on first use,
so that `fleetpmap --help` need not wait for numpy.
"""

from fleetpmap.version import __version__

# Not from typing: until cli.main handles ^C, each import is a moment in which ^C would end in a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from fleetpmap import report
    from fleetpmap.collection.collector import Question, collect, collect_host
    from fleetpmap.demo import demo_inventory
    from fleetpmap.errors import FleetpmapError, HostError, InventoryError, SmapsError, UsageError
    from fleetpmap.inventory import Host, Inventory, select
    from fleetpmap.inventory import load as load_inventory
    from fleetpmap.library.one_call import run
    from fleetpmap.processes import Selection, compile_match
    from fleetpmap.render import plain
    from fleetpmap.report.model import Column, Report, Table
    from fleetpmap.shards.on_dask import collect_on_dask
    from fleetpmap.shards.processes import collect_in_processes
    from fleetpmap.smaps import SmapsColumns
    from fleetpmap.smaps import parse as parse_smaps
    from fleetpmap.snapshot import Coverage, Snapshot
    from fleetpmap.snapshot_file import load_snapshot, write_snapshot
    from fleetpmap.transport import SshOptions

_HOMES = {
    "Column": "report.model",
    "Coverage": "snapshot",
    "FleetpmapError": "errors",
    "Host": "inventory",
    "HostError": "errors",
    "Inventory": "inventory",
    "InventoryError": "errors",
    "Question": "collection.collector",
    "Report": "report.model",
    "Selection": "processes",
    "SmapsColumns": "smaps",
    "SmapsError": "errors",
    "Snapshot": "snapshot",
    "SshOptions": "transport",
    "Table": "report.model",
    "UsageError": "errors",
    "collect": "collection.collector",
    "collect_host": "collection.collector",
    "collect_in_processes": "shards.processes",
    "collect_on_dask": "shards.on_dask",
    "compile_match": "processes",
    "demo_inventory": "demo",
    "load_inventory": "inventory",
    "load_snapshot": "snapshot_file",
    "parse_smaps": "smaps",
    "plain": "render",
    "run": "library.one_call",
    "select": "inventory",
    "write_snapshot": "snapshot_file",
}
_OTHER_NAMES_THERE = {"load_inventory": "load", "parse_smaps": "parse"}

__all__ = [
    "Column",
    "Coverage",
    "FleetpmapError",
    "Host",
    "HostError",
    "Inventory",
    "InventoryError",
    "Question",
    "Report",
    "Selection",
    "SmapsColumns",
    "SmapsError",
    "Snapshot",
    "SshOptions",
    "Table",
    "UsageError",
    "__version__",
    "collect",
    "collect_host",
    "collect_in_processes",
    "collect_on_dask",
    "compile_match",
    "demo_inventory",
    "load_inventory",
    "load_snapshot",
    "parse_smaps",
    "plain",
    "report",
    "run",
    "select",
    "write_snapshot",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "report":
        return import_module("fleetpmap.report")
    if name not in _HOMES:
        raise AttributeError(f"module 'fleetpmap' has no attribute {name!r}")
    return getattr(import_module(f"fleetpmap.{_HOMES[name]}"), _OTHER_NAMES_THERE.get(name, name))
