"""The user running fleetpmap, as ssh sees it: from the passwd entry, not $HOME or $USER.   [this_user] ─► ssh_config"""

from __future__ import annotations

import os
import pwd
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def home() -> Path:
    """Return the home directory."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a container that runs under a number without a passwd entry
        return Path.home()


@lru_cache(maxsize=1)
def login_name() -> str:
    """Return the login name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("LOGNAME", str(os.getuid()))
