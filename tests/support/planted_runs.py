"""300 hourly runs of six services, each with a heap of its own way.   [planted_runs] ─► tests of history, pictures"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kept_runs import GIB, MIB, Service, keep

RUNS = 300
RUN = np.arange(RUNS)


def keep_planted(directory: Path) -> None:
    """Save the runs; web-02 is away in three of them."""
    keep(directory, _planted(), away=lambda host, run: host == "web-02" and run in (50, 51, 200))


def _noise(seed: int, scale: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, RUNS)


def _planted() -> list[Service]:
    """Six services over 300 hours, each with a heap that does one thing, and a library that does nothing."""
    daily = frozenset(range(24, RUNS, 24))
    heaps = {
        ("web-01", "api"): (200 * MIB + RUN * MIB + _noise(1, MIB), frozenset()),
        ("web-01", "cart"): (58 * MIB + (RUN >= 180) * 36 * MIB + _noise(2, 300), frozenset({180})),
        ("web-02", "cache"): (100 * MIB + (RUN % 30) * 3 * MIB + _noise(3, 500), frozenset()),
        ("web-02", "search"): (300 * MIB + _noise(4, 4 * MIB), frozenset()),
        ("web-02", "report"): (80 * MIB + (RUN % 24) * MIB + _noise(5, 300), daily),
        ("web-01", "cron"): (20 * MIB + _noise(6, 4), frozenset(range(24, 150, 24))),
    }
    return [
        Service(
            *(host, name),
            {"[heap]": np.round(sizes), "/usr/lib/libc.so.6": np.full(RUNS, 900)},
            restarts,
            deploys=restarts if name == "cart" else frozenset(),  # other code, and a larger heap
            limit_kib=2 * GIB if name == "api" else None,
            used_kib=600 * MIB,
        )
        for (host, name), (sizes, restarts) in heaps.items()
    ]
