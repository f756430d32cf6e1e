"""The entry point: the exit status of everything that can end a run.   fleetpmap ─► [main] ─► app

1 our fault (a traceback) · 2 usage or inventory · 3, 4, 5 from the coverage · 130 interrupted.
"""

from __future__ import annotations

import os
import sys

from fleetpmap.errors import FleetpmapError, UsageError


def main() -> None:
    """Run the command line and exit."""
    from fleetpmap.cli.app import app

    try:
        app()
    except FleetpmapError as error:
        sys.exit(_say(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read us has seen enough. The interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _say(error: FleetpmapError) -> int:
    from fleetpmap.escape import escape

    for line in str(error).splitlines():
        print(escape(line), file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1
