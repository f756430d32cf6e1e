"""Parse a host's output into replies.   transport ─► [wire] ─► processes, smaps

    decoder          the stream: noise, frames, phases; truncated output is an error that gives the bytes received
      ▼
    phase            one phase, gunzipped within limits; phase_body finds its sections
      ▼
    section_readers  one section's bytes to plain values: the output of grep and tail
    stats            the same for the stat files of all processes at once
    links            the same for tar's output: the targets of symbolic links
    accounting       the same for the files of cgroups, of meminfo, of status, and for the names of containers
      ▼
    replies          sections to a Listing or a Reading; decides the status of each process
      ▼
    reply_types      the types that leave the room

memory bounds what the listings of all hosts hold together. This room parses the framing and leaves smaps as bytes.
The grammar stands at the top of probe/probe.sh, which prints it.
"""

from fleetpmap.wire.decoder import Decoder
from fleetpmap.wire.phase import DECODED_LIMIT, PROCESS_LIMIT, Limits, PackedReading
from fleetpmap.wire.reply_types import (
    Capabilities,
    CgroupMemory,
    ContainerName,
    HostMemory,
    ListedProcess,
    Listing,
    Pressure,
    Processes,
    ProcessReading,
    Reading,
    ReadStatus,
    Resident,
)

__all__ = [
    "DECODED_LIMIT",
    "PROCESS_LIMIT",
    "Capabilities",
    "CgroupMemory",
    "ContainerName",
    "Decoder",
    "HostMemory",
    "Limits",
    "ListedProcess",
    "Listing",
    "PackedReading",
    "Pressure",
    "ProcessReading",
    "Processes",
    "ReadStatus",
    "Reading",
    "Resident",
]
