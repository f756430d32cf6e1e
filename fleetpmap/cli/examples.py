"""Examples of every command.   [examples] ─► --help, the manual"""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": ("run -g web --match gunicorn", "ps -H 'web-[01-20]' --match nginx", "explore -g web --all"),
    "run": (
        "-g web --match gunicorn",
        "-g web --all --view services",
        "-H 'web-[06-07]' --all --view compare",
        "-H 'web-[01-20]' --unit app --export hosts=hosts.csv",
        "-H db-01 --unit postgresql -o page.html",
    ),
    "show": ("before.tar.gz --view compare", "/var/lib/fleetpmap@first --view hosts"),
    "explore": ("-g web --all", "before.parquet"),
    "watch": ("-g web --match gunicorn --interval 10",),
    "diff": ("before.parquet after.parquet", "/var/lib/fleetpmap@24h /var/lib/fleetpmap --by service,host"),
    "history": ("/var/lib/fleetpmap/ --since 7d --top 20", "/var/lib/fleetpmap/ --fail-if leak"),
    "ps": ("-g web --match gunicorn",),
    "hosts": ("-g web --limit 'web-0*'",),
    "doctor": ("web-01 db-01",),
    "fields": ("--format markdown",),
    "demo": ("--view compare",),
}
"""Arguments of the examples, by command; the program's own begin with a command."""
_EXIT_STATUS = (
    "Exit status: 0 all is there, 2 usage, 3 a host failed or a process could not be read, 4 no host answered, "
    "5 nothing matched, 6 a rule of --fail-if is broken, 124 deadline, 130 interrupted."
)


def examples_of(command: str) -> tuple[str, ...]:
    """Return whole command lines; an empty name is the program."""
    return tuple(" ".join(filter(None, ("fleetpmap", command, arguments))) for arguments in EXAMPLES[command])


def epilog(command: str) -> str:
    """Return the end of a command's --help."""
    return "\n\n".join(["Examples:", *examples_of(command), *([_EXIT_STATUS] if command == "run" else [])])
