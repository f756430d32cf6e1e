"""Import the package zstandard, which is optional.   [zstd] ─► writer, stored_archive, export.compressed

The standard library has zstd only from Python 3.14 on.
"""

from __future__ import annotations

from types import ModuleType

from fleetpmap.errors import UsageError
from fleetpmap.installation import command_for


def zstandard() -> ModuleType:
    """Import and return the package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import zstandard as package
    except ImportError as error:
        hint = f"run `{command_for('capture')}`, or use .tar.gz, which needs nothing"
        raise UsageError("a .tar.zst takes the package zstandard, which is not installed", hint=hint) from error
    return package
