"""Cgroups and systemd units that --cgroup and --unit name.   wire.Listing ─► [cgroup_globs] ─► processes

systemd names a cgroup after its unit, so both options are matched with the paths of a process's cgroups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from fleetpmap.wire import ListedProcess

_PATH_LENGTH = 4096
"""Characters in the path of a cgroup at most (PATH_MAX)."""
_UNIT_SUFFIXES = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")
"""Units that can have processes."""
_MOST_NAMED = 5
"""Units that a note names; the rest is counted."""


def is_in_cgroup(process: ListedProcess, glob: str) -> bool:
    """Return True if the glob matches the path of one of its cgroups, or of one above; without a slash, a part."""
    if "/" not in glob:
        return any(fnmatchcase(part, glob) for path in _short_paths(process) for part in path.split("/") if part)
    return any(
        fnmatchcase(path, glob)
        or any(fnmatchcase(path[: slash.start()] or "/", glob) for slash in re.finditer("/", path))
        for path in _short_paths(process)
    )


def unit_of(process: ListedProcess, unit: str) -> str | None:
    """Return the unit that --unit means and that the process is in; None for none. An instance comes last."""
    globs = _globs(unit)
    instance = None
    for path in _short_paths(process):
        parts = [part.removeprefix("_") for part in path.split("/") if part.endswith(_UNIT_SUFFIXES)]
        if globs.manager:
            above = next((place for place, part in enumerate(parts) if fnmatchcase(part, globs.manager)), len(parts))
            parts = parts[above + 1 :]
        for part in parts:
            if fnmatchcase(part, globs.own):
                return part
            if globs.instance and instance is None and fnmatchcase(part, globs.instance):
                instance = part
    return instance


def note_on_instances(processes: Iterable[ListedProcess], unit: str) -> str:
    """Return a note if --unit selected instances of this unit, since their names are longer; else an empty text."""
    globs = _globs(unit)
    units = {found for process in processes if (found := unit_of(process, unit))}
    instances = sorted(each for each in units if not fnmatchcase(each, globs.own))
    if not instances:
        return ""
    more = f" and {len(instances) - _MOST_NAMED} more" if len(instances) > _MOST_NAMED else ""
    named = ", ".join(instances[:_MOST_NAMED]) + more
    return f"--unit {unit}: also its instance{'s' if len(instances) > 1 else ''} {named}"


class _UnitGlobs(NamedTuple):
    """Globs for the parts of a cgroup's path that --unit means."""

    manager: str
    """A part that has to be above; empty for none: `user@1000.service` of `user@1000/foo`."""
    own: str
    instance: str
    """The instances of a unit that is no template itself: `foo@*.service` of `foo`."""


@lru_cache(16)
def _globs(unit: str) -> _UnitGlobs:
    manager, _, name = unit.rpartition("/")
    # No unit's name holds a glob's characters. `getty@` is every instance of the template, and a cgroup must not be
    # called like a file of the kernel's: such names have a _ in front (cg_escape in systemd's cgroup-util.c).
    own = _with_suffix(name).removeprefix("_").replace("@.", "@*.")
    stem, dot, suffix = own.rpartition(".")
    return _UnitGlobs(_with_suffix(manager) if manager else "", own, f"{stem}@*{dot}{suffix}" if "@" not in own else "")


def _with_suffix(name: str) -> str:
    return name if name.endswith(_UNIT_SUFFIXES) else f"{name}.service"


def _short_paths(process: ListedProcess) -> Iterator[str]:
    """Yield the paths of its cgroups, without those that no kernel has: a glob would take long on an endless path."""
    return (path for path in process.cgroups or () if len(path) <= _PATH_LENGTH)
