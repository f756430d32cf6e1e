"""The command line: reads options, calls the stages in order, exits with a status.   [cli] ─► all stages"""

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit. Nothing is imported before ^C ends the program without a traceback."""
    interrupts = signal.getsignal(signal.SIGINT)
    if interrupts is signal.default_int_handler:  # otherwise the caller ignores ^C, as nohup does
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))  # interrupt.INTERRUPTED, without an import
    from fleetpmap.cli.entry import run

    run(interrupts)
