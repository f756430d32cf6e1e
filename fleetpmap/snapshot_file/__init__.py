"""Save and load a snapshot without loss.   Snapshot ⇄ [snapshot_file] ⇄ FILE.parquet, DIR/

    metadata   everything but the mappings ⇄ JSON, checked against the types when it is loaded
    frame      the mappings ⇄ a flat table, like that of --view mappings
    parquet    both in one file: the table as its rows, the JSON as its metadata
    seal       the checksum of a file
    part       a few columns of a run, for reports over many
    dataset    a directory of such files, one per run, looked up by time
    rounds     the files of a run in shards, which is one run
    selected   the processes of a run that process options mean

Needs the extra [parquet], which is imported on first use.
"""

from fleetpmap.snapshot_file.dataset import Entry, entries, entries_between, entry_at, save_in
from fleetpmap.snapshot_file.parquet import OtherVersionError, load_part, load_snapshot, write_snapshot
from fleetpmap.snapshot_file.part import Part, joined
from fleetpmap.snapshot_file.rounds import are_of_one_run

__all__ = [
    "Entry",
    "OtherVersionError",
    "Part",
    "are_of_one_run",
    "entries",
    "entries_between",
    "entry_at",
    "joined",
    "load_part",
    "load_snapshot",
    "save_in",
    "write_snapshot",
]
