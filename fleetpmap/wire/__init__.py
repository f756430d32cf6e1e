"""Bytes to replies.   transport ─► [wire] ─► processes, smaps

    frames      the stream: noise, frames, phases as they come; a cut is an error that says how much came
      ▼
    unpack      a phase's gzip, with limits; body says where its sections are
      ▼
    sections    one section's bytes to plain values: grep's and tail's output
    stats       the same for stat, of every process at once
    links       the same for tar's: where a symbolic link points
      ▼
    replies     sections to a Listing or a Reading; decides each process's status
      ▼
    model       the types that leave the room

Knows framing, not smaps. The grammar stands at the top of probe/probe.sh, which prints it.
"""

from fleetpmap.wire.decoder import Decoder
from fleetpmap.wire.model import (
    Capabilities,
    ListedProcess,
    Listing,
    Processes,
    ProcessReading,
    Reading,
    ReadStatus,
)
from fleetpmap.wire.phase import DECODED_LIMIT, PROCESS_LIMIT, Limits, PackedReading

__all__ = [
    "DECODED_LIMIT",
    "PROCESS_LIMIT",
    "Capabilities",
    "Decoder",
    "Limits",
    "ListedProcess",
    "Listing",
    "PackedReading",
    "ProcessReading",
    "Processes",
    "ReadStatus",
    "Reading",
]
