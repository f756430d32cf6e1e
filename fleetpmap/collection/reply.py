"""One host's reply, from the last byte received to the snapshot made of it.   host ─► [reply] ─► interpret

A reply stays packed until `interpret` has room for it: its text is some thirty times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleetpmap.errors import ProtocolError
from fleetpmap.inventory import Host
from fleetpmap.near_misses import NearMisses
from fleetpmap.processes import Choice, Selection, became_another, completed
from fleetpmap.transport import Deadline
from fleetpmap.wire import ContainerName, Listing, PackedReading, ProcessReading, Reading


@dataclass(frozen=True, slots=True)
class HostReply:
    """A host's processes, the choice among them, and the smaps of the chosen ones."""

    host: Host
    listing: Listing
    """Phase one."""
    choice: Choice
    other_output: str = ""
    """Text that the host printed besides the wire format: a banner, a login script's output, stderr."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about the way to the host, and about processes that could not be chosen for sure."""
    packed: PackedReading | None = None
    """Phase two as it was received; None where nothing was to be read, and once it is unpacked."""
    reading: Reading | None = None
    """Phase two unpacked: one entry for each of `choice.read`, in its order."""
    deadline: Deadline | None = None
    """The host's own; None for a reply out of a capture, which takes no host's time."""
    near: NearMisses | None = None
    """What is near the selection, where nothing matches it."""

    @property
    def processes(self) -> Sequence[ProcessReading]:
        """The entries of the reading."""
        return self.reading.processes if self.reading else ()

    @property
    def text(self) -> bytes:
        """The smaps of these processes, one after the other."""
        return self.reading.smaps if self.reading else b""

    @property
    def size(self) -> int:
        """Bytes still to be unpacked, or else to be parsed."""
        return self.packed.size if self.packed else len(self.text)

    @property
    def users(self) -> Mapping[int, str]:
        """Names by uid, as far as the host sent them."""
        return self.listing.users | (self.reading.users if self.reading else {})

    @property
    def names(self) -> Mapping[str, ContainerName]:
        """Names of containers by id, as far as the host sent them."""
        return self.listing.names or (self.reading.names if self.reading else {})

    def unpacked(self, selection: Selection, check: Callable[[], None] = lambda: None) -> HostReply:
        """Return the same reply with `reading` in the place of `packed`.

        A process that called exec between the two phases has its new name then; one that `selection` would not have
        chosen under that name is `reused`. `check` is called now and then, and may raise.

        Raises:
            HostError: the bytes are not the wire format.
        """
        if self.packed is None:
            return self
        reading = self.packed.unpack(check)
        if [process.pid for process in reading.processes] != [process.pid for process in self.choice.read]:
            raise not_our_probe("it answered for other processes than it was asked for", self.packed.host)
        if all(process.status == "unread" for process in reading.processes):
            raise not_our_probe("it read none of the processes that it was asked for", self.packed.host)
        others = {
            listed.pid
            for listed, process in zip(self.choice.read, reading.processes, strict=True)
            if process.status == "read" and became_another(listed, process, selection)
        }
        if others:
            reading = reading.reused(others)
        return replace(self, choice=completed(self.choice, reading), packed=None, reading=reading)


def not_our_probe(message: str, host: str) -> ProtocolError:
    """Return the error of a host that broke the order of the two phases."""
    hint = "what runs there as `sh` or `tail` is not what we know: look at that host"
    return ProtocolError(message, host=host, stage="read", hint=hint)
