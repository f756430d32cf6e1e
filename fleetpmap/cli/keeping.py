"""What a run leaves behind besides its report.   --capture, --save ─► [keeping] ─► capture, snapshot_file"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import say
from fleetpmap.cli.options import KeepOptions, RunningOptions
from fleetpmap.cli.saving import Save, save_to
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.capture import CaptureWriter
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is being kept."""

    capture: CaptureWriter | None
    save: Save | None

    @property
    def host(self) -> Keep | None:
        """What `collect` has to call for every host that answers."""
        return self.capture.keep if self.capture else None

    def finish(self, snapshot: Snapshot, how: RunningOptions) -> bool:
        """Whether all that was to be kept is: what could not be written says so, and does not take the report along."""
        steps: list[Callable[[], None]] = []
        if self.capture is not None:
            once = how.once_per_machine
            steps.append(partial(self.capture.finish, snapshot, rollups=how.verbose > 1, machines_once=once))
        if self.save is not None:
            steps.append(partial(self.save, snapshot))
        done = [_done(step) for step in steps]
        return all(done)


def _done(step: Callable[[], None]) -> bool:
    try:
        step()
    except UsageError as error:
        for line in str(error).splitlines():
            say(line)
        return False
    return True


@contextlib.contextmanager
def keeping(options: KeepOptions) -> Iterator[Keeping]:
    """Opens what the options name, before any host is asked; what is not finished is gone afterwards.

    Raises:
        UsageError: it cannot be written there.
    """
    save = save_to(options.save)
    if options.capture is None:
        yield Keeping(None, save)
        return
    from fleetpmap.capture import CaptureWriter

    with CaptureWriter(Path(options.capture)) as capture:
        yield Keeping(capture, save)
