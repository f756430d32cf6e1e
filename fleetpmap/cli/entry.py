"""The entry point: the exit status of everything that can end a run.   fleetpmap ─► [entry] ─► app

1 our fault (a traceback) · 2 usage or inventory · 3, 4, 5 from the coverage · 124, 130, 143 cut short · 141 the reader
left.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from fleetpmap.errors import FleetpmapError, UsageError


def run(interrupts: Callable[[int, FrameType | None], object] | int | None) -> None:
    """Run the command line and exit. `interrupts` is what is to handle ^C once all is imported."""
    _fill_closed_streams()
    from fleetpmap.cli import complete
    from fleetpmap.cli.commands import app
    from fleetpmap.cli.interrupt import INTERRUPTED, TERMINATED, end_now

    complete.prepare()
    try:
        if not complete.is_asked():  # else ^C goes on to end the program on the spot
            signal.signal(signal.SIGINT, interrupts)
        app(prog_name="fleetpmap")  # however it was started: the name of the completion variable comes from it
    except FleetpmapError as error:
        sys.exit(_say(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if end.code == TERMINATED:  # all is in order, but for the threads that wait for hosts
            end_now(TERMINATED)
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Only --help and --version: a report says itself where it did not fit.
        sys.exit(_say(UsageError(f"stdout: {error.strerror}", hint="make room, or write elsewhere")))


def _fill_closed_streams() -> None:
    """Open what was closed (`>&-`): the next file or connection would get its number, and what is meant for the user.

    A closed stdout is filled with something that refuses to be written, as it would itself; stderr takes and forgets.
    """
    for name, mode in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            # The lowest free number is the one that was closed, since those below it are open by now.
            number = os.open(os.devnull, mode)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


def _say(error: FleetpmapError) -> int:
    from fleetpmap.cli.deliver import print_stderr

    for line in str(error).splitlines():
        print_stderr(line)
    return 2 if isinstance(error, UsageError) else 1
