"""Options in, stages called in order, exit status out.   command line ─► [cli] ─► everything"""

from fleetpmap.cli.main import main

__all__ = ["main"]
