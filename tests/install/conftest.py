"""The wheel as its users get it: built once, in an index of its own, installed into a clean environment."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence

import pytest

from installed import BIN, ROOT, Built, Installed, run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist, and the wheel that is built from it."""
    for program in ("pyproject-build", "uv", "twine"):
        if not (BIN / program).exists():
            pytest.skip(reason=f"{program} is in the release group: `make wheel` installs it")
    index = tmp_path_factory.mktemp("index")
    place = index / "fleetpmap"
    run("pyproject-build", "--installer", "uv", "--outdir", place, ROOT)
    (wheel,), (sdist,) = place.glob("*.whl"), place.glob("*.tar.gz")
    links = "".join(f'<a href="{file.name}">{file.name}</a>\n' for file in (wheel, sdist))
    (place / "index.html").write_text(f"<!doctype html>\n{links}")
    (index / "index.html").write_text('<!doctype html>\n<a href="fleetpmap/">fleetpmap</a>\n')
    return Built(wheel, sdist, index)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A clean environment with `fleetpmap[all]`, which pip found in the index."""
    root = tmp_path_factory.mktemp("clean")
    run("uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, root)
    requirement = f"fleetpmap[all]=={built.wheel.name.split('-')[1]}"
    run("uv", "pip", "install", "--quiet", "--python", root, "--index", built.index.as_uri(), requirement)
    return Installed(root)


@pytest.fixture
def needs() -> Callable[[Sequence[str]], None]:
    """Skips a test if one of these programs is not on this machine."""

    def check(programs: Sequence[str]) -> None:
        for program in programs:
            if shutil.which(program) is None:
                pytest.skip(reason=f"no {program} on this machine")

    return check
