"""Options in, stages called in order, exit status out.   command line ─► [cli] ─► everything"""

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit. Nothing is imported before ^C ends the program without a traceback."""
    interrupts = signal.getsignal(signal.SIGINT)
    if interrupts is signal.default_int_handler:  # else somebody wants ^C to be ignored, as nohup does
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))  # interrupt.INTERRUPTED, without an import
    from fleetpmap.cli.entry import run

    run(interrupts)
