"""zstd, which Python itself has only from 3.14 on.   [zstd] ─► writer, stored"""

from __future__ import annotations

from types import ModuleType

from fleetpmap.errors import UsageError


def zstandard() -> ModuleType:
    """The package of that name.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import zstandard as package
    except ImportError as error:
        hint = "pip install 'fleetpmap[capture]', or use .tar.gz, which needs nothing"
        raise UsageError("a .tar.zst takes the package zstandard, which is not installed", hint=hint) from error
    return package
