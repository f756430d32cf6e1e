"""What the tests of pages share: a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browser import Browser, started


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    with started(tmp_path_factory.mktemp("profile")) as window:
        yield window
