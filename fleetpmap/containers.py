"""Find the processes of the container or pod that a name or an id means.   wire.Listing ─► [containers] ─► processes

    --container shop-db             the containers of exactly this name; Kubernetes gives one name to many
    --container 4f9a                else the one container with an id that begins so
    --container docker:4f9a         the same with the runtime in front, as the column `container` prints it
    --pod shop/api-7d9, api-7d9     the pods of exactly this name
    --pod 2c48                      else the one pod with a uid that begins so

A beginning that fits two is refused, as docker does: the numbers of two containers together would look like those of
one. It fails that host alone, because only its containers are ambiguous there, and no other host has their ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from fleetpmap.errors import AmbiguousError
from fleetpmap.membership import RUNTIMES, Container, Membership, membership
from fleetpmap.wire import ContainerName, Listing

_MOST_NAMED = 5
"""Containers or pods that an error names; the rest is counted."""
_WHOLE_ID = re.compile("[0-9a-f]{64}")
_SHORT_ID = re.compile("[0-9a-f]{12}")
"""Id of a podman pod: membership keeps no more of it."""


@dataclass(frozen=True, slots=True)
class Members:
    """The processes of a host that belong to what --container and --pod mean."""

    pids: frozenset[int]
    is_unnamed: bool
    """True if a container of the host is known by its id alone."""


def members(listing: Listing, container: str | None, pod: str | None, host: str) -> Members:
    """Return the processes in one of the containers and in one of the pods; None for either: it does not matter.

    Commas separate several. `host` is the name in the errors.

    Raises:
        AmbiguousError: the text is the beginning of two ids.
    """
    names = listing.names
    belonging = {process.pid: membership(process.cgroups) for process in listing.processes if process.cgroups}
    pids = set(belonging)
    if container is not None:
        in_containers = [_container_test(each, belonging.values(), names, host) for each in container.split(",")]
        pids = {pid for pid in pids if any(is_in(belonging[pid]) for is_in in in_containers)}
    if pod is not None:
        in_pods = [_pod_test(each, belonging.values(), names, host) for each in pod.split(",")]
        pids = {pid for pid in pids if any(is_in(belonging[pid]) for is_in in in_pods)}
    is_unnamed = any(each.container and not _name(each.container, names) for each in belonging.values())
    return Members(frozenset(pids), is_unnamed)


def _container_test(
    text: str, all_: Collection[Membership], names: Mapping[str, ContainerName], host: str
) -> Callable[[Membership], bool]:
    runtime, colon, wanted = text.partition(":")
    if not colon or runtime not in RUNTIMES:
        runtime, wanted = "", text
    found = {each.container for each in all_ if each.container and runtime in ("", each.container.runtime)}
    meant = {each for each in found if wanted and wanted == _name(each, names)}
    if not meant:
        meant = {each for each in found if each.has_digits and each.id.startswith(wanted)}
        if len(ids := {each.id: each for each in meant}) > 1:
            _refuse("--container", text, (_described(each, names, wanted) for each in ids.values()), host)
    return lambda belongs: belongs.container in meant


def _pod_test(
    text: str, all_: Collection[Membership], names: Mapping[str, ContainerName], host: str
) -> Callable[[Membership], bool]:
    pods = {each.pod: "" for each in all_ if each.pod}
    meant = set[str]()
    containers = set[Container]()
    for each in all_:
        known = names.get(each.container.id) if each.container else None
        if known is None or not known.pod or each.container is None:
            continue
        path = f"{known.namespace}/{known.pod}"
        if each.pod:
            pods[each.pod] = path
        if text in (known.pod, path):
            containers.add(each.container)
            meant |= {each.pod} if each.pod else set()
    if not containers:
        meant = {uid for uid in pods if uid.startswith(text) or (_SHORT_ID.fullmatch(uid) and _cut(text) == uid)}
        if len(meant) > 1:
            _refuse("--pod", text, (f"{uid} ({pods[uid]})" if pods[uid] else uid for uid in meant), host)
    # A container that has no name of its own is in the pod by its path.
    return lambda belongs: belongs.container in containers or belongs.pod in meant


def _cut(text: str) -> str:
    """Return the short form of a whole id, and any other text as it is."""
    return text[:12] if _WHOLE_ID.fullmatch(text) else text


def _name(container: Container, names: Mapping[str, ContainerName]) -> str:
    """Return the name of a container; empty if it is not known. That of lxc and nspawn is its id."""
    if not container.has_digits:
        return container.id
    known = names.get(container.id)
    return known.name if known else ""


def _described(container: Container, names: Mapping[str, ContainerName], wanted: str) -> str:
    """Return `docker:4f9a1c2b3d4e (shop-db)`, with the whole id if more digits than that are `wanted`."""
    label = container.label()
    if len(wanted) >= len(container.short_id):
        label = label.replace(container.short_id, container.id)
    name = _name(container, names)
    return f"{label} ({name})" if name else label


def _refuse(option: str, text: str, fitting: Iterable[str], host: str) -> NoReturn:
    named = sorted(fitting)
    shown = named[:_MOST_NAMED]
    more = f" and {len(named) - len(shown)} more" if len(named) > len(shown) else ""
    between = " and " if len(named) == 2 else ", "
    kind = option.removeprefix("--")
    message = f"{option} {text} fits {len(named)} {kind}s: {between.join(shown)}{more}"
    raise AmbiguousError(message, host=host, stage="read", hint="give more digits, or the whole name")
