"""Open a capture's directory or archive.   DIR, FILE.tar… ─► [stored] ─► loader, foreign

Both kinds give the same: the files beside the hosts (`top`), and the files of one host after another (`hosts`).
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from fleetpmap.capture.stored_archive import StoredArchive
from fleetpmap.capture.stored_directory import StoredDirectory
from fleetpmap.capture.tar import KindError, NoTarError, TarError
from fleetpmap.capture.tree import DISTRUST, refused
from fleetpmap.errors import UsageError

Stored = StoredDirectory | StoredArchive
_NO_REPORT = "name what --save or --capture wrote; a report, such as csv, json or html, cannot be shown again"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """Open the directory or archive at this path, and report errors in the `with` block as errors of the capture.

    Raises:
        UsageError: it is neither a directory nor an archive, it is damaged, or it is not safe to read.
    """
    try:
        if path.is_dir():
            yield StoredDirectory(path)
        else:
            yield StoredArchive(path)
    except KindError as error:
        raise refused(path, str(error), hint=DISTRUST) from error
    except NoTarError as error:
        raise refused(path, "neither a saved run nor a capture", hint=_NO_REPORT) from error
    except TarError as error:
        raise refused(path, f"not an archive that tar can read ({error})") from error
    except (EOFError, zlib.error) as error:
        raise refused(path, f"the archive is cut or damaged ({error})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    if error.strerror is None:
        return refused(path, f"the archive is cut or damaged ({error})")
    # A file in a directory was opened by its name below it, so the error has only that.
    file = error.filename if isinstance(error.filename, str) and error.filename != str(path) else ""
    if isinstance(error, PermissionError):
        return refused(path / file, error.strerror, hint="show it as the user who owns it")
    return refused(path / file, error.strerror)
