"""Save and load a snapshot without loss.   Snapshot ⇄ [snapshot_file] ⇄ FILE.parquet, DIR/

    metadata   everything but the mappings ⇄ JSON, checked against the types when it is loaded
    frame      the mappings ⇄ a flat table, like that of --view mappings
    parquet    both in one file: the table as its rows, the JSON as its metadata
    dataset    a directory of such files, one per run, looked up by time

Needs the extra [parquet], which is imported on first use.
"""

from fleetpmap.snapshot_file.dataset import entries, entry_at, save_in
from fleetpmap.snapshot_file.parquet import load_snapshot, write_snapshot

__all__ = ["entries", "entry_at", "load_snapshot", "save_in", "write_snapshot"]
