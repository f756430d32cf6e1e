"""The generated parts of the documentation.   the code ─► [generate] ─► docs/**/*.md

    python docs/generate.py            rewrite what is between the marks in every page
    python docs/generate.py --check    only list the pages that are not current; exit status 1 if any is
    python docs/generate.py --release  keep the names of the library as those of a release

A part stands in a page between these marks; the prose around them is written by hand.

    <!-- generated: NAME -->
    <!-- end -->
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import manpages
import typer
from command_line import all_commands, is_option, is_shown, option_row, panel_of, sentence

import fleetpmap
from fleetpmap.catalogue import KEYS, REPORTS
from fleetpmap.cli.commands import app
from fleetpmap.cli.commands.hosts import routes
from fleetpmap.cli.options import HistoryOptions
from fleetpmap.defaults import MAX_RSS, MAX_RSS_SUM
from fleetpmap.doctor import doctor
from fleetpmap.export.as_openmetrics import HOSTS, PROCESSES
from fleetpmap.export.as_openmetrics import METRICS as OPENMETRICS
from fleetpmap.history import Gathering, History, attributes_for
from fleetpmap.inventory.hosts import SETTINGS, Host, TransportName
from fleetpmap.inventory.toml_tables import MEMBERS
from fleetpmap.report import VIEWS, Report, ViewOptions, diff, fields, ps
from fleetpmap.report.views.history import history
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.smaps.parser import FILES_LIMIT, MAPPINGS_LIMIT
from fleetpmap.snapshot import HOST_STATUSES, PROCESS_STATUSES, Run, Snapshot
from fleetpmap.snapshot_file import Part
from fleetpmap.table import KERNEL_KEYS, METRICS, concatenate
from fleetpmap.tabular import Tabular
from fleetpmap.transport import SshOptions
from fleetpmap.transport.base import BACKLOG_LIMIT, STDERR_LIMIT
from fleetpmap.transport.ssh.agent import AT_ONCE
from fleetpmap.transport.ssh.channel import WINDOW
from fleetpmap.transport.ssh.packets import FREE, FREE_PER_S, HANDSHAKE_LIMIT, PACKET_LIMIT
from fleetpmap.transport.ssh_config import CONNECT_TIMEOUT_S
from fleetpmap.transport.ssh_config.keywords import ROWS
from fleetpmap.wire import DECODED_LIMIT, PROCESS_LIMIT, Limits
from fleetpmap.wire.accounting import CGROUPS_LIMIT
from fleetpmap.wire.decoder import NOISE_LIMIT
from fleetpmap.wire.phase import IN_MEMORY
from fleetpmap.wire.section_readers import PROCESSES_LIMIT

DOCS = Path(__file__).parent
RELEASED = DOCS.parent / "tests" / "data" / "released_names.txt"
"""The names of the library in the last release; empty before the first."""
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Keys without a docstring in the model.
_PLAIN_KEYS = {
    "user": "Login name. Without it ssh_config's, else yours.",
    "port": "Port of its sshd. Without it ssh_config's, else 22.",
    "transport": "`ssh` is built in, `openssh` runs the system's ssh, `local` is this machine without SSH.",
    "sudo": "Read as root, by `sudo -n sh -s`.",
    "zone": "Where the host is, for a run on a cluster (`--on`): only workers that offer this zone ask it.",
    "labels": "Words of your own about the host. They merge key by key.",
    "hosts": "Only in `[groups.NAME]`: the group's own hosts, as node sets.",
    "children": "Only in `[groups.NAME]`: groups whose hosts belong to this one too.",
}
_TOML_TYPES = {
    str | None: "string",
    str: "string",
    int | None: "integer",
    float: "number",
    float | None: "number",
    bool: "true or false",
    tuple[str, ...]: "string or list of strings",
    Mapping[str, str]: "table of strings",
    TransportName: " ".join(f'`"{name}"`' for name in get_args(TransportName)),
}
_COLUMN_IS = {
    "absent": "processes that matched and could not be read",
    "address": "where the mapping begins, hex (also in `fleetpmap hosts`: where to connect)",
    "cgroup_current_kib": "what the kernel charges to [their cgroups](../concepts/services.md#the-columns)",
    "cgroup_peak_kib": "the most that each of these cgroups was charged, added up",
    "bastion": "the bastions on the way, a step of `doctor`",
    "banner": "SSH banner and key exchange: `ok`, `failed`, `not-reached`, `not-needed`, as every step of `doctor`",
    "banner_ms": "milliseconds that the step took; empty where it failed, or nobody could tell",
    "class": "`leak`, `step`, `sawtooth`, `plateau` or `noise`, by [these rules](../guides/history.md#classes); empty"
    " where there are too few runs",
    "column": "our name of the field",
    "command": "the whole command line; the name in brackets where there is none",
    "container": "`RUNTIME:NAME`, or the first 12 digits of its id if the name is unknown; none: `-`, empty in csv",
    "compression": "`gzip`, or `plain` where the host has none",
    "deleted": "the file was unlinked, so it is still there only because it is mapped",
    "drift": "how the processes of a service [differ](../concepts/services.md#drift); empty if they do not",
    "device": "the file's device, `major:minor`",
    "end": "first address after the mapping, hex",
    "error": "why the host has no numbers; in `fleetpmap doctor` with the fix",
    "field": "the kernel's name of the field",
    "first_kib": "the size in the first run that has one",
    "groups": "the host's groups, nearest first",
    "host": "the name by which you know the host",
    "growth_each_kib": "the same per process: `new_kib` / `processes` less `old_kib` / `old_processes`",
    "growth_kib": "`new_kib` less `old_kib`",
    "growth_kib_per_hour": "`growth_kib` by the time between the runs; empty if a process did not live through both,"
    " or if they are less than a minute apart",
    "high": "upper end of the interval of `slope_kib_per_day`",
    "hosts": "hosts that have the mapping",
    "hwm_kib": "the largest RSS that the process ever had",
    "inode": "the file's inode",
    "kernel": "the host's kernel",
    "key": "the host key, compared with known_hosts",
    "kind": "what the mapping is, see [names](../concepts/numbers.md#names-of-mappings)",
    "last_kib": "the size in the last run that has one",
    "limit_in_days": "days until a leak reaches the limit of its cgroup, or fills the host; empty without either",
    "limit_kib": "the memory limit nearest to being reached; `-` where there is none",
    "limit_share": "percent of this limit that is used; `-` where there is none",
    "login": "the login",
    "login_ms": "as `banner_ms`",
    "low": "lower end of the interval of `slope_kib_per_day`",
    "mapping": "the name to compare by, see [names](../concepts/numbers.md#names-of-mappings)",
    "mappings": "mappings that were read",
    "median_kib": "of the hosts that are [judged](../guides/compare.md#when-is-a-host-an-outlier)",
    "meaning": "what the field says, in one sentence",
    "mem_available_kib": "what programs can have of the host's memory without swapping",
    "mem_total_kib": "the host's memory",
    "mode": "permissions as pmap prints them",
    "name": "process name, completed from the command line where the kernel cut it",
    "new_kib": "the size in the later run; 0 where it is gone",
    "newest": "when the newest of the processes started",
    "note": "why the host is reached in another way than its settings say",
    "offset": "where in the file the mapping begins, hex",
    "oom_kills": "processes that the kernel killed because one of these cgroups was out of memory",
    "old_kib": "the size in the earlier run; 0 where it is new",
    "old_pid": "process id in the earlier run; another one after a restart, empty where it is new",
    "oom_score_adj": "-1000 to 1000: how soon the kernel kills the process when memory is short",
    "old_processes": "processes of the earlier run",
    "on_hosts": "the hosts themselves, folded: `web[01-17]`",
    "outliers": "hosts that stand apart, folded; or `split:` and the groups",
    "path": "the kernel's path, without ` (deleted)`",
    "paths": "different paths among the mappings of that name",
    "perms": "permissions, the kernel's four characters",
    "pid": "process id",
    "pod": "Kubernetes pod, `NAMESPACE/NAME`, or its uid where the name is not known; none: `-`, empty in csv",
    "port": "port to connect to",
    "proc": "reading the processes that matched; without a process option, listing all",
    "proc_ms": "as `banner_ms`",
    "processes": "processes that were read; in merged and services also those of which only RSS and swap are known",
    "pss_per_process_kib": "the PSS divided by the processes that were read",
    "ram_share": "percent of the hosts' memory that the processes hold",
    "readable": "how many of the processes the login may read",
    "reader": "tools that read /proc there: `gnu`, `busybox`, or `sh` for the shell alone",
    "resolve": "the name's addresses",
    "resolve_ms": "as `banner_ms`",
    "rss_source": "file in /proc/PID that RSS and swap are from: `smaps`, or `status` where smaps could not be read",
    "service": "the systemd unit, else the container, else the process name",
    "restarted": "processes that replaced one of the earlier run",
    "shell": "starting a shell",
    "shell_ms": "as `banner_ms`, with sudo, the tools and the list of processes",
    "since": "the first kernel that prints the field",
    "slope_kib_per_day": "the [trend](../guides/history.md#trend): growth in a day",
    "spread_kib": "largest less smallest, of the hosts that are judged",
    "started": "when the process started, in UTC",
    "start": "where the mapping begins, hex",
    "status": "the host's or the process's [status](../concepts/coverage.md);"
    " in `fleetpmap diff` [what changed](../guides/over-time.md#diff)",
    "sudo": "whether the host is read as root; in `fleetpmap doctor` the step",
    "tcp": "the connection",
    "tcp_ms": "as `banner_ms`",
    "tools": "the tools that read /proc there",
    "totals": "what the field's total over processes is: `sum`, `upper bound` or `none`",
    "transport": "`ssh`, `openssh` or `local`",
    "uid": "the uid that reads there, after sudo",
    "unit": "the systemd unit; none: `-`, empty in csv. In `fleetpmap fields` `KiB`, `flag`, `number` or `text`",
    "user": "effective user: name, or number where the host has no name for it",
    "via": "bastions on the way, nearest first, or the command that connects",
}


def commands() -> str:
    """Every command with what it does and which options it takes."""
    rows = []
    for name, command in all_commands().items():
        panels = dict.fromkeys(panel_of(option) for option in command.params if is_shown(option))
        links = ", ".join(f"[{panel.lower()}](#{panel.lower().replace(' ', '-')})" for panel in panels)
        context = typer.Context(command, info_name=name)
        pieces = [parameter.get_usage_pieces(context) for parameter in command.params if not is_option(parameter)]
        arguments = " ".join(piece for several in pieces for piece in several)
        rows.append((f"`fleetpmap {name} {arguments}".rstrip() + "`", sentence(command.help), links))
    return _table(("command", "what it does", "options"), rows)


def options() -> str:
    """Every option once, by panel."""
    panels: dict[str, dict[tuple[str, str, str], list[str]]] = {}
    for name, command in {"": typer.main.get_command(app), **all_commands()}.items():
        context = typer.Context(command, info_name=name)
        for option in filter(is_shown, command.params):
            row = option_row(option, context)
            panels.setdefault(panel_of(option), {}).setdefault(row, []).append(name)
    return "\n".join(_panel_section(panel, rows) for panel, rows in panels.items())


def _panel_section(panel: str, rows: Mapping[tuple[str, str, str], list[str]]) -> str:
    everywhere = {name for names in rows.values() for name in names}
    cells = [
        (spelling, default, text if set(names) == everywhere else f"{text} (Only {_codes(names, ', ')}.)")
        for (spelling, default, text), names in rows.items()
    ]
    return f"## {panel}\n\n{_table(('option', 'default', 'meaning'), cells)}"


def inventory_keys() -> str:
    """Every key of an inventory."""
    docs, types = _attribute_docs(Host), get_type_hints(Host)
    defaults = Host(name="")
    rows = [
        (
            f"`{key}`",
            _TOML_TYPES[types[key]],
            _toml(getattr(defaults, key)),
            _PLAIN_KEYS.get(key) or docs[key].replace("None:", "without it"),
        )
        for key in SETTINGS
    ]
    rows += [(f"`{key}`", _TOML_TYPES[tuple[str, ...]], "", _PLAIN_KEYS[key]) for key in MEMBERS]
    return _table(("key", "value", "default", "meaning"), rows)


def _attribute_docs(kind: type) -> dict[str, str]:
    """The strings under a dataclass's attributes, each on one line."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - what getsource gives for a class
    docs = {}
    for attribute, after in pairwise(definition.body):
        if (
            isinstance(attribute, ast.AnnAssign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            docs[ast.unparse(attribute.target)] = " ".join(str(after.value.value).split())
    return docs


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f'`"{value}"`' if value else ""


def kernel_fields() -> str:
    """The table of kernel fields."""
    rows = (
        (
            f"`{kernel_field.key}`",
            f"`{kernel_field.column}`",
            kernel_field.unit,
            kernel_field.since,
            "–" if kernel_field.totals == "none" else kernel_field.totals,
            kernel_field.meaning,
        )
        for kernel_field in FIELDS
    )
    return _table(("kernel's name", "column", "unit", "since", "over processes", "meaning"), rows)


def views() -> str:
    """The meaning of a row of each view, and its columns in order."""
    rows = []
    reports = _reports()
    for kind in REPORTS:
        names = _codes((column.name for column in reports[kind.name].tables[0].columns), " ")
        name = f"`fleetpmap {kind.command}`" if kind.command else kind.name
        rows.append((name, kind.row_is, _shortened(names)))
    return _table(("view", "a row is", "columns"), rows)


def _shortened(names: str) -> str:
    """Shorten the columns of the sizes to the first and the last of them."""
    first, *between, last = METRICS
    return names.replace(_codes((first, *between, last), " "), f"`{first}` … `{last}`")


def columns() -> str:
    """Every column but the sizes, with its unit."""
    units: dict[str, dict[str, None]] = {}
    for report in _reports().values():
        for column in (column for table in report.tables for column in table.columns if column.name not in METRICS):
            units.setdefault(column.name, {})[column.unit] = None
    rows = ((f"`{name}`", ", ".join(units[name]), _COLUMN_IS[name]) for name in sorted(units))
    return _table(("column", "unit", "meaning"), rows)


def _reports() -> dict[str, Report]:
    """Every view of an empty snapshot, and what `ps`, `hosts`, `doctor`, `fields`, `diff` and `history` print."""
    snapshot = Snapshot.assemble([], Run(datetime.now(UTC), 0.0, ""))
    reports = {name: view(snapshot, ViewOptions()) for name, view in VIEWS.items()}
    reports["ps"] = ps(snapshot)
    reports["routes"] = routes([Host("local", transport="local")], SshOptions(), "")
    reports["doctor"] = doctor(snapshot, [], {}, SshOptions(), listed_only=True, full=True)
    reports["fields"] = fields()
    reports["diff"] = diff(snapshot, snapshot)
    reports["history"] = history(_no_history(), snapshot, snapshot.run)
    return reports


def _no_history() -> History:
    """Return a history of one run without a host, by the keys that `fleetpmap history` has by default."""
    gathering = Gathering(tuple(HistoryOptions().by.split(",")), "pss_kib")
    gathering.add(
        Part(Run(datetime.now(UTC), 0.0, ""), {}, {}, {name: [] for name in attributes_for(KEYS)}, concatenate([]))
    )
    return gathering.history()


def sizes() -> str:
    """The eight sizes: the kernel's fields in them, and what their sum over processes is."""
    rows = (
        (f"`{name}`", " + ".join(f"`{key}`" for key in KERNEL_KEYS.get(name, ())) or "end − start", rule)
        for name, rule in METRICS.items()
    )
    return _table(("column", "kernel's fields", "over processes"), rows)


def metrics() -> str:
    """The gauges of openmetrics, and the columns that they are."""
    rows = [(f"`{metric.name}`", f"`{column}`", metric.help) for column, metric in OPENMETRICS.items()]
    rows += [(f"`{metric.name}`", "the coverage", metric.help) for metric in (HOSTS, PROCESSES)]
    return _table(("metric", "column", "meaning"), rows)


def statuses() -> str:
    """The statuses, in order."""
    return f"- Of a host: {_codes(HOST_STATUSES, ' ')}\n- Of a process: {_codes(PROCESS_STATUSES, ' ')}\n"


def limits() -> str:
    """The limits of size and time for one host."""
    host = Host(name="")
    rows = (
        ("reply of one host, after gunzip", f"{DECODED_LIMIT >> 30} GiB"),
        ("smaps kept of one host, and of one process; beyond it processes are `cut`", f"{PROCESS_LIMIT >> 20} MiB"),
        ("mappings read of one host; beyond it processes are `cut`", f"{MAPPINGS_LIMIT:,}, of {FILES_LIMIT:,} files"),
        ("list of processes of one host", f"{Limits().listing >> 20} MiB, {PROCESSES_LIMIT:,} processes"),
        ("cgroups of one host, with those above them", f"{CGROUPS_LIMIT:,}"),
        ("reply that waits in memory, and not in a temporary file without a name", f"{IN_MEMORY >> 20} MiB"),
        ("data on its way over one connection: its window", f"{WINDOW >> 20} MiB"),
        ("output that comes while we send, beside as much as was sent", f"{BACKLOG_LIMIT >> 20} MiB"),
        ("an SSH packet; before the first keys", f"{PACKET_LIMIT >> 10} KiB; {HANDSHAKE_LIMIT >> 10} KiB"),
        ("all that comes before and with an SSH banner", f"{HANDSHAKE_LIMIT >> 10} KiB"),
        ("SSH messages without data", f"{FREE:,}, and {FREE_PER_S} a second"),
        ("noise before the reply (banners, login scripts) that is kept", f"{NOISE_LIMIT >> 10} KiB"),
        ("stderr that is kept", f"{STDERR_LIMIT >> 10} KiB"),
        ("until the login is done: `--connect-timeout`", f"{CONNECT_TIMEOUT_S:g} s"),
        ("all of one host: `--timeout`", f"{host.timeout_s:g} s"),
        ("requests to one agent at a time", str(AT_ONCE)),
        ("RSS of a process that is read: `--max-rss`", MAX_RSS),
        ("RSS of all that is read on one host: `--max-rss-sum`", MAX_RSS_SUM),
    )
    return _table(("what", "at most"), rows)


def ssh_options() -> str:
    """The effect of every option of ssh_config."""
    verdicts = {"openssh": "by the system's ssh, with a note", "no effect": "no effect here"}
    rows = (
        (
            _codes(row.names, " "),
            verdicts.get(row.with_ssh, row.with_ssh),
            verdicts.get(row.without_ssh, row.without_ssh),
            row.meaning,
        )
        for row in ROWS
    )
    return _table(("option", "with ssh on this machine", "without", "notes"), rows)


def library() -> str:
    """Every public name of the library, with its signature and the first sentence of its docstring."""
    return _table(("name", "what it is"), [(f"`{line}`", meaning) for line, meaning in surface().items()])


def surface() -> Mapping[str, str]:
    """Return the library's public names with their signatures, each with its first sentence."""
    lines = {}
    for name in sorted(set(fleetpmap.__all__) - {"__version__", "report"}, key=str.lower):
        lines |= _public(name, getattr(fleetpmap, name))
    reports = fleetpmap.report
    for name in sorted(set(reports.__all__) & {*VIEWS, "ps", "diff", "fields"}):
        lines |= _public(f"report.{name}", getattr(reports, name))
    return lines


def _public(name: str, value: Any) -> dict[str, str]:
    """Return the line of a function, or those of a class and its public methods."""
    if not isinstance(value, type):
        return {f"{name}{_signature(value)}": _first_sentence(value)}
    lines = {f"{name}{_fields(value)}": _first_sentence(value)}
    for member in sorted(vars(value).keys() | vars(Tabular).keys() if issubclass(value, Tabular) else vars(value)):
        method = inspect.getattr_static(value, member)
        called = getattr(value, member)
        if not member.startswith("_") and getattr(method, "__doc__", None) and callable(called):
            lines[f"{name}.{member}{_signature(called)}"] = _first_sentence(method)
    return lines


def _signature(function: Any) -> str:
    """Return the names of the parameters, as they are called: types are in the API reference."""
    parameters = inspect.signature(function).parameters.values()
    shown = [
        p.replace(annotation=p.empty, default="…" if p.default is not p.empty else p.empty)
        for p in parameters
        if p.name != "self"
    ]
    return str(inspect.Signature(shown)).replace("'…'", "…")


def _fields(kind: type) -> str:
    """Return the fields of a dataclass; empty for another class."""
    fields_of = getattr(kind, "__dataclass_fields__", {})
    return f"({', '.join(fields_of)})" if fields_of else ""


def _first_sentence(thing: Any) -> str:
    return re.split(r"(?<=\.)\s", sentence(inspect.getdoc(thing)) + " ")[0]


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "options": options,
    "inventory-keys": inventory_keys,
    "kernel-fields": kernel_fields,
    "views": views,
    "columns": columns,
    "sizes": sizes,
    "metrics": metrics,
    "statuses": statuses,
    "limits": limits,
    "ssh-options": ssh_options,
    "library": library,
}
"""Names of marks to the functions that write the text between them."""


def _codes(words: Iterable[str], between: str) -> str:
    return between.join(f"`{word}`" for word in words)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. A bar inside a cell would end it, in code too."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def current_pages() -> Iterator[tuple[Path, str]]:
    """Every page of the documentation and of the manual, with the text it should have."""
    yield from manpages.pages().items()
    for page in sorted(DOCS.rglob("*.md")):
        yield (
            page,
            _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", page.read_text(encoding="utf-8")),
        )


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or with --check only list those that are not current."""
    if "--release" in arguments:
        RELEASED.write_text("".join(f"{line}\n" for line in surface()), encoding="utf-8")
    stale = [(page, text) for page, text in current_pages() if not page.exists() or page.read_text() != text]
    for page, text in stale:
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
        print(page.relative_to(DOCS.parent))
    if stale and "--check" in arguments:
        print("not current: run `python docs/generate.py`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
