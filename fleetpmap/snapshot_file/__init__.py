"""A snapshot on disk, without loss.   Snapshot ⇄ [snapshot_file] ⇄ FILE.parquet, DIR/

    document   all but the mappings ⇄ json, checked against the types when it comes back
    frame      the mappings ⇄ a flat table, as --view mappings has it
    parquet    both in one file: the table as its rows, the document as its metadata
    dataset    a directory of such files, one for each run, found again by time

Needs the extra [parquet], and imports it when it is used.
"""

from fleetpmap.snapshot_file.dataset import entries, entry_at, save_in
from fleetpmap.snapshot_file.parquet import load_snapshot, write_snapshot

__all__ = ["entries", "entry_at", "load_snapshot", "save_in", "write_snapshot"]
