"""Whether two snapshots hold what can be compared.   old, new ─► [likeness] ─► diff

Two runs that looked for other processes, or of which one read only sums, differ in more than what grew meanwhile.
"""

from __future__ import annotations

from fleetpmap.errors import UsageError
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import is_rollup


def differences(old: Snapshot, new: Snapshot, by: str, looked_for: tuple[str, str]) -> list[str]:
    """A sentence for each way in which they are not alike; `by` and `looked_for` as in diff.

    Raises:
        UsageError: one has the mappings that `by` needs, and the other only their sums.
    """
    notes = []
    before, after = looked_for
    if before and after and before != after:
        notes.append(
            f"the old run looked for {before}, the new one for {after}: "
            "whom only one of them looked for counts as new or gone, whether anything changed or not"
        )
    rolled = [name for name, one in (("old", old), ("new", new)) if is_rollup(one.table.path).any()]
    if len(rolled) == 1:
        if by in ("mapping", "kind"):
            why = f"the {rolled[0]} one holds only a sum for each process (--rollup), and no {by} to compare"
            raise UsageError(why, hint="add --by process or --by host")
        notes.append(
            f"the {rolled[0]} one holds only a sum for each process (--rollup): "
            "size_kib cannot be compared, nor how many mappings there are"
        )
    return notes
