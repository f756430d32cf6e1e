"""How fleetpmap was installed, and the command that adds an extra to it.   [installation] ─► every hint about an extra

    pipx          pipx_metadata.json in the environment        pipx inject fleetpmap 'fleetpmap[html]'
    uv tool       uv-receipt.toml in the environment           uv tool install 'fleetpmap[html]'
    uvx           an environment in the cache of uv            uvx --from 'fleetpmap[html]' fleetpmap
    uv pip        dist-info/INSTALLER is "uv"                  uv pip install 'fleetpmap[html]'
    pip           otherwise                                    pip install 'fleetpmap[html]'

`uv tool install` and `uvx` remove the extras that they are not told, so their commands name those that are there too.
Source: the code of pipx 1.18 and uv 0.13; https://packaging.python.org/en/latest/specifications/direct-url/
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PACKAGE = "fleetpmap"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['\"]([a-z-]+)['\"]")
_UV_CACHE = re.compile(r"(archive|environments)-v\d+")


@dataclass(frozen=True, slots=True)
class Installation:
    """An installed fleetpmap."""

    prefix: Path
    """Root of the environment that it is in."""
    installer: str = "pip"
    """Content of its dist-info/INSTALLER."""
    extras: tuple[str, ...] = ()
    """The extras whose packages are all there."""
    url: str = ""
    """Where it was installed from, for `fleetpmap @ URL`; empty: a package index."""
    active: bool = True
    """True if `pip`, or for uv the active environment, is the one that fleetpmap is in."""
    python: str = field(default_factory=lambda: sys.executable)

    def command(self, extra: str) -> str:
        """Return the shell command that adds the packages of an extra."""
        with_extra = f"'{PACKAGE}[{extra}]'"
        if (self.prefix / "pipx_metadata.json").is_file():
            return f"pipx inject {PACKAGE} {with_extra}"
        together = f"{PACKAGE}[{','.join(dict.fromkeys((extra, *self.extras)))}]"
        whole = shlex.quote(f"{together} @ {self.url}" if self.url else together)
        if (self.prefix / "uv-receipt.toml").is_file():
            return f"uv tool install {whole}"
        if _UV_CACHE.fullmatch(self.prefix.parent.name):
            return f"uvx --from {whole} {PACKAGE}"
        if self.installer == "uv":
            return f"uv pip install {'' if self.active else f'--python {shlex.quote(self.python)} '}{with_extra}"
        return f"{'pip' if self.active else f'{shlex.quote(self.python)} -m pip'} install {with_extra}"


def command_for(extra: str) -> str:
    """Return the command that adds an extra to the fleetpmap that runs: `pip install 'fleetpmap[html]'`."""
    return _this_one().command(extra)


def _this_one() -> Installation:
    from importlib.metadata import PackageNotFoundError, distribution  # 30 ms to import

    prefix = Path(sys.prefix)
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:  # a source tree, or a zipapp
        return Installation(prefix, active=_is_active(prefix, "pip"))
    installer = (package.read_text("INSTALLER") or "pip").strip()
    return Installation(prefix, installer, _extras(package), _url(package), _is_active(prefix, installer))


def _is_active(prefix: Path, installer: str) -> bool:
    if installer == "uv":
        return os.environ.get("VIRTUAL_ENV", "") == str(prefix)
    pip = shutil.which("pip")
    return pip is not None and Path(pip).parent == prefix / "bin"


def _extras(package: Distribution) -> tuple[str, ...]:
    needs: dict[str, list[str]] = {}
    for requirement in package.requires or ():
        if match := _REQUIREMENT.match(requirement):
            needs.setdefault(match[2], []).append(match[1])
    return tuple(extra for extra, names in needs.items() if extra != "all" and all(map(_is_there, names)))


def _is_there(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _url(package: Distribution) -> str:
    """Return the URL in dist-info/direct_url.json; empty if a package index was asked by name."""
    import json

    try:
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
        if version_control := origin.get("vcs_info"):
            return f"{version_control['vcs']}+{url}@{version_control['commit_id']}"
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""
    return url
