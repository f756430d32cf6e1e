r"""Derive unit, slice, container, pod and service of a process from its cgroups.   wire ─► [membership] ─► processes

    /system.slice/nginx.service                                      unit nginx.service
    /user.slice/user-1000.slice/user@1000.service/app.slice/a.service  unit user@1000/a.service
    /user.slice/user-1000.slice/session-3.scope                      no unit: a login session
    /system.slice/docker-4f9a….scope, /docker/4f9a…                  container docker:4f9a1c2b3d4e
    /kubepods.slice/…-pod2c48….slice/cri-containerd-77ab….scope      pod 2c48…, container containerd:77ab…
    /lxc.payload.web/system.slice/nginx.service                      container lxc:web, and in it unit nginx.service

systemd, the container runtimes and the kubelet name a cgroup after what it holds. Sources: systemd's CGROUP_DELEGATION
and cg_path_get_unit (src/basic/cgroup-util.c); the cgroup drivers `systemd` and `cgroupfs` of runc, crun, podman
(libpod), cri-o, containerd's CRI plugin and the kubelet; lxc.container.conf; systemd-nspawn and systemd-machined.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from fleetpmap.wire import ContainerName

_SHORT_ID = 12
"""Digits of a container's id that docker ps and the others print."""
_PATH_LENGTH = 4096
"""Characters in the path of a cgroup at most (PATH_MAX)."""
_HIERARCHIES = 64
"""Paths of a process at most. The kernel has one for each of some fifteen controllers, and a few named ones."""

_ID = "[0-9a-f]{64}"
_RUNTIME_OF_PREFIX = {
    "docker": "docker",
    "libpod": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}
RUNTIMES = frozenset({*_RUNTIME_OF_PREFIX.values(), "lxc", "nspawn"})
# systemd's driver: PREFIX-ID.scope. Podman and cri-o use PREFIX-ID with cgroupfs too. The last form is that of a
# runtime that was told the driver cgroupfs and a parent in systemd's spelling: SLICE:PREFIX:ID.
_BY_ID = re.compile(rf"(?:[^:]*:)?(?P<prefix>{'|'.join(_RUNTIME_OF_PREFIX)})[-:](?P<id>{_ID})(?:\.scope)?")
_BARE_ID = re.compile(_ID)
_LXC = re.compile(r"lxc\.payload\.(?P<name>.+)")
_MACHINE = re.compile(r"machine-(?P<name>.+)\.scope")
_NSPAWN = re.compile(r"systemd-nspawn@(?P<name>.+)\.service")
_NO_CONTAINER = re.compile(r"(?:libpod|crio)-conmon-.*|qemu\\x2d.*")
"""A container's monitor, which runs beside it, and a virtual machine of libvirt."""
_POD_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_POD = re.compile(rf"(?:kubepods(?:-[a-z]+)?-)?pod(?P<uid>{_POD_UID})(?:\.slice)?(?::.*)?")
_LIBPOD_POD = re.compile(rf"machine-libpod_pod_(?P<id>{_ID})\.slice|user-libpod_pod_(?P<user_id>{_ID})\.slice")
_SESSION = re.compile(r"session-c?\d+\.scope")
_USER_MANAGER = re.compile(r"(?P<manager>user@\d+)\.service")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Container:
    """A container: its runtime and its id."""

    runtime: str
    """docker, podman, containerd, cri-o, lxc or nspawn; empty if the path does not tell."""
    id: str
    """The whole id: 64 hexadecimal digits, or the name that lxc and nspawn give instead."""

    @property
    def has_digits(self) -> bool:
        """True if the id is digits, False if it is a name."""
        return _BARE_ID.fullmatch(self.id) is not None

    @property
    def short_id(self) -> str:
        """The id as `docker ps` prints it."""
        return self.id[:_SHORT_ID] if self.has_digits else self.id

    def label(self, name: str = "") -> str:
        """Return the text for a column: the runtime, and the container's name or else its short id."""
        text = name or self.short_id
        return f"{self.runtime}:{text}" if self.runtime else text


@dataclass(frozen=True, slots=True)
class Membership:
    """What one process belongs to; None for what it does not belong to."""

    unit: str | None = None
    """The innermost service or scope of systemd that is no login session and no container's scope."""
    slice: str | None = None
    """The innermost slice."""
    container: Container | None = None
    pod: str | None = None
    """The uid of its Kubernetes pod, with dashes; the short id of its podman pod."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A membership as the texts of columns."""

    unit: str | None
    slice: str | None
    container: str | None
    """RUNTIME:NAME, or RUNTIME:ID where the name is not known."""
    pod: str | None
    """NAMESPACE/NAME, or its uid where these are not known."""
    service: str
    """The unit; else the container; else the name of the process."""


def membership(cgroups: tuple[str, ...]) -> Membership:
    """Return what the cgroup paths of a process tell, one path for each hierarchy.

    Hierarchies may disagree: the one that knows a container counts, then the deepest.
    """
    # A hostile host may send any number of lines of any length: what is cached is short.
    paths = tuple(path for path in cgroups[:_HIERARCHIES] if len(path) <= _PATH_LENGTH)
    return (_cached if sum(map(len, paths)) <= _PATH_LENGTH else _of_paths)(paths)


def _of_paths(paths: tuple[str, ...]) -> Membership:
    found = map(_of_path, paths)
    # max() returns the first of equals.
    return max(found, key=lambda each: (each[0].container is not None, each[1]), default=(Membership(), 0))[0]


_cached = lru_cache(1 << 12)(_of_paths)


def labels(belongs: Membership, names: Mapping[str, ContainerName], process_name: str) -> Labels:
    """Return the texts for columns. `names` is what the host knows of its containers, by id."""
    container, known = belongs.container, names.get(belongs.container.id) if belongs.container else None
    label = container.label(known.name if known else "") if container else None
    pod = f"{known.namespace}/{known.pod}" if known and known.namespace and known.pod else belongs.pod
    service = belongs.unit or (_container_service(known, label) if label else None) or process_name
    return Labels(belongs.unit, belongs.slice, label, pod, service)


def _container_service(known: ContainerName | None, label: str) -> str:
    """Return the name under which a container is compared with those of other hosts.

    A pod has another name on each host, so of Kubernetes it is the namespace and the container's own name.
    """
    if known is None or not known.name:
        return label
    return f"{known.namespace}/{known.name}" if known.namespace else known.name


def _of_path(path: str) -> tuple[Membership, int]:
    """Return what one path tells, and the number of its parts."""
    unit = slice_ = pod = manager = None
    container: Container | None = None
    parts = [part.removeprefix("_") for part in path.split("/") if part]  # cg_escape puts the _ in front
    for before, part in zip(["", *parts], parts, strict=False):
        if part.endswith(".slice"):
            slice_ = part
        if match := _POD.fullmatch(part):
            pod = match["uid"].replace("_", "-")
        elif match := _LIBPOD_POD.fullmatch(part):
            pod = (match["id"] or match["user_id"])[:_SHORT_ID]
        if inside := _container(before, part):
            container, unit, manager = inside, None, None
            if not _NSPAWN.fullmatch(part):
                continue
        if match := _USER_MANAGER.fullmatch(part):
            manager = match["manager"]
        if _is_unit(part, manager is not None or container is not None):
            unit = part if manager is None or match else f"{manager}/{part}"
    return Membership(unit, slice_, container, pod), len(parts)


def _is_unit(part: str, is_nested: bool) -> bool:
    """Return whether this part of a path is a unit. `init.scope` is the manager itself, so below another it is none."""
    if not part.endswith((".service", ".scope")) or _SESSION.fullmatch(part):
        return False
    return not (is_nested and part == "init.scope")


def _container(before: str, part: str) -> Container | None:
    """Return the container that a part of a path is named after; `before` is the part above it."""
    if _NO_CONTAINER.fullmatch(part):
        return None
    if match := _BY_ID.fullmatch(part):
        return Container(_RUNTIME_OF_PREFIX[match["prefix"]], match["id"])
    if _BARE_ID.fullmatch(part):
        return Container("docker" if before == "docker" else "", part)
    if match := _LXC.fullmatch(part):
        return Container("lxc", match["name"])
    if before in ("lxc", "lxc.payload"):
        return Container("lxc", part)
    if match := (_MACHINE.fullmatch(part) or _NSPAWN.fullmatch(part)):
        name = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), match["name"])
        return None if name.startswith("qemu-") else Container("nspawn", name)
    return None
