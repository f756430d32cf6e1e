"""What stands out in a round: what grew since the first one, and what a run says unasked.   rounds ─► [standing_out]

The screen shows it above the tables of each round. Without a screen, News says what is new in a round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetpmap.catalogue import PeersBy
from fleetpmap.report.finding import MOST_TOLD, Finding
from fleetpmap.report.grouping import share_metric
from fleetpmap.report.standing_out import standing_out
from fleetpmap.report.views.diff import growth_between
from fleetpmap.snapshot import Snapshot

_SIZE = re.compile(r"\d+(\.\d+)?[KMGTP%]")
AGAIN = 2
"""A finding is news again when its figure is so many times what was said."""


class StandingOut:
    """Finds what stands out in each round; it keeps the first round."""

    def __init__(self, peers: PeersBy = "service") -> None:
        self._peers = peers
        self._first: Snapshot | None = None

    def in_round(self, snapshot: Snapshot) -> tuple[Finding, ...]:
        """Return the findings of a round, growth first."""
        first, self._first = self._first, self._first or snapshot
        grown = growth_between(first, snapshot, share_metric(snapshot)) if first is not None else ()
        return (*grown, *standing_out(snapshot, self._peers))


class News:
    """Tells of each finding once, again when it has grown AGAIN times, and when it is over."""

    def __init__(self) -> None:
        self._told: dict[object, Finding] = {}

    def of(self, findings: Sequence[Finding]) -> list[str]:
        """Return the lines to print after a round with these findings."""
        now = {_subject(finding): finding for finding in findings}
        over = [self._told.pop(subject) for subject in [*self._told] if subject not in now]
        lines = [f"no longer: {finding.text}" for finding in over]
        for subject, finding in [*now.items()][:MOST_TOLD]:
            before = self._told.get(subject)
            if before is None or _figure(finding) >= AGAIN * max(_figure(before), 1):
                self._told[subject] = finding
                lines.append(finding.text)
        return lines


def _subject(finding: Finding) -> object:
    """Return what the finding is about, without its figures; texts alone are compared up to their first size."""
    about = (finding.host, finding.service, finding.mapping)  # another process may be the largest in each round
    return (finding.kind, *about, None if any(about) else _SIZE.split(finding.text, maxsplit=1)[0])


def _figure(finding: Finding) -> int:
    """Return the size that a finding tells, in KiB; of an outlier the distance from the median; 0 without any."""
    reference = finding.reference_kib or 0 if finding.kind == "outlier" else 0
    return abs((finding.value_kib or 0) - reference)
