"""The entry point, which turns everything that can end a run into an exit status.   fleetpmap ─► [entry] ─► app

1 a fault of the program (a traceback) · 2 usage or inventory · 3, 4, 5 from the coverage · 6 a broken rule ·
124, 130, 143 cut short · 141 the reader of stdout has ended.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from fleetpmap.errors import FleetpmapError, UsageError


def run(interrupts: Callable[[int, FrameType | None], object] | int | None) -> None:
    """Run the command line and exit. `interrupts` handles ^C once everything is imported."""
    _fill_closed_streams()
    from fleetpmap.cli import complete
    from fleetpmap.cli.commands import app
    from fleetpmap.cli.deliver import READER_LEFT
    from fleetpmap.cli.interrupt import INTERRUPTED, TERMINATED, end_now, raise_once
    from fleetpmap.cli.pmap_options import is_c_locale

    if is_c_locale() and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="ascii", errors="backslashreplace")  # for the frames of --help
    complete.prepare()
    try:
        if not complete.is_asked():  # completion keeps the handler that ends the program at once
            signal.signal(signal.SIGINT, raise_once if interrupts is signal.default_int_handler else interrupts)
        app(prog_name="fleetpmap")  # also for `python -m`: typer derives the completion variable from it
    except FleetpmapError as error:
        sys.exit(_status_of(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
        if isinstance(end.__context__, BrokenPipeError):  # typer, whose reader left during --help, exits with 1
            sys.exit(READER_LEFT)
        if status == TERMINATED or _hosts_hang():  # files are complete: an orderly exit would wait for the hosts
            with contextlib.suppress(OSError, ValueError):  # a reader that left, or a stream that is closed
                sys.stdout.flush()
            end_now(status)
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Only --help and --version get here: deliver handles a full disk for reports.
        sys.exit(_status_of(UsageError(f"stdout: {error.strerror}", hint="make room, or write elsewhere")))
    else:
        if _hosts_hang():
            end_now(0)


def _hosts_hang() -> bool:
    """Return True if a pool's threads (fleetpmap_0, …) still wait for hosts that were given up."""
    return any(thread.name.startswith("fleetpmap_") for thread in threading.enumerate())


def _fill_closed_streams() -> None:
    """Open /dev/null for standard streams that the caller closed (`>&-`).

    Otherwise the next file or connection would get the stream's number, and receive its output. The stand-in for stdout
    is opened for reading, so that writing fails as on the closed stream; the one for stderr discards its input.
    """
    for name, mode in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            # open() takes the lowest free number: that of this stream, since the lower ones are open by now.
            number = os.open(os.devnull, mode)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


def _status_of(error: FleetpmapError) -> int:
    """Print the error, and return the exit status that it means."""
    from fleetpmap.cli.deliver import print_error

    print_error(error)
    return 2 if isinstance(error, UsageError) else 1
