"""Leak, step, saw-tooth, plateau or noise: each is told from the others, and noise is no leak."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fleetpmap.history import Series, judged

MIB = 1024
RUNS = 300
RUN = np.arange(RUNS)
ONE_LIFE = np.zeros(RUNS, int)
DAILY = RUN // 24
MIB_AN_HOUR = 24 * MIB


def _noise(scale: float, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, RUNS)


def _series(sizes: np.ndarray, lives: np.ndarray = ONE_LIFE) -> Series:
    """Hourly runs."""
    return Series(np.arange(len(sizes)) / 24, np.round(sizes).astype(float), lives[: len(sizes)])


def _wave(hours: int, scale: float) -> np.ndarray:
    return scale * np.sin(2 * np.pi * RUN / hours)


LEAKS = {
    "alone": (RUN * MIB, ONE_LIFE),
    "in noise": (RUN * MIB + _noise(2 * MIB), ONE_LIFE),
    "in a daily wave": (RUN * MIB + _wave(24, 10 * MIB), ONE_LIFE),
    "with a restart half way": (RUN % 150 * MIB + _noise(500), RUN // 150),
    "with a restart at the end": (np.where(RUN < 270, RUN, RUN - 270) * MIB + _noise(500), (RUN >= 270) * 1),
    "through daily restarts": (RUN * MIB + _noise(2 * MIB), DAILY),
    "under daily teeth": (RUN * MIB + RUN % 24 * 3 * MIB, DAILY),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak(name: str):
    """Of 1 MiB an hour, found within 5 %, and the interval is above 0 and has it."""
    grown, lives = LEAKS[name]
    found = judged(_series(200 * MIB + grown, lives))
    assert found.kind == "leak"
    assert found.trend is not None
    assert found.trend.slope == pytest.approx(MIB_AN_HOUR, rel=0.05)
    assert 0 < found.trend.low <= MIB_AN_HOUR <= found.trend.high


def test_a_leak_in_chunks():
    """An allocator takes 64 MiB at a time."""
    found = judged(_series(200 * MIB + RUN // 64 * 64 * MIB))
    assert found.kind == "leak"


STEPS = {
    "with a deploy": (36 * MIB * (RUN >= 120), (RUN >= 120) * 1, 120),
    "in one life": (36 * MIB * (RUN >= 250), ONE_LIFE, 250),
    "down": (-20 * MIB * (RUN >= 77), ONE_LIFE, 77),
    "eight runs ago": (36 * MIB * (RUN >= 292), (RUN >= 292) * 1, 292),
    "the second of two": (36 * MIB * (RUN >= 100) + 36 * MIB * (RUN >= 200), (RUN >= 100) * 1 + (RUN >= 200), 200),
    "the last of four deploys": (RUN // 60 * 30 * MIB, RUN // 60, 240),
    "some runs after its restart": (np.minimum(36 * MIB, (RUN - 119).clip(0) * 12 * MIB), (RUN >= 120) * 1, 120),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step(name: str):
    """With the run at which it came, and what it was before and after; a step is no growth from then on."""
    grown, lives, run = STEPS[name]
    found = judged(_series(58 * MIB + grown + _noise(300), lives))
    assert (found.kind, found.step) == ("step", run)
    assert found.levels is not None
    height = np.diff(found.levels)[0]
    assert abs(height) == pytest.approx(abs(np.median(grown[run:]) - np.median(grown[run - 20 : run])), rel=0.05)
    assert found.trend is None or abs(found.trend.slope) < MIB


OTHERS = {
    "teeth in one life": (RUN % 30 * 4 * MIB + _noise(2 * MIB), ONE_LIFE, "sawtooth"),
    "teeth by daily restarts": (RUN % 24 * 2 * MIB + _noise(500), DAILY, "sawtooth"),
    "three slow teeth": (RUN % 90 * MIB + _noise(2 * MIB), ONE_LIFE, "sawtooth"),
    "noise": (_noise(4 * MIB), ONE_LIFE, "noise"),
    "small noise": (_noise(400), ONE_LIFE, "noise"),
    "a daily wave": (_wave(24, 5 * MIB) + _noise(300), ONE_LIFE, "noise"),
    "another level every day": (_noise(3 * MIB)[DAILY] + _noise(200, 8), DAILY, "noise"),
    "four KiB up and down": (4.0 * (RUN % 3 - 1), ONE_LIFE, "plateau"),
    "nothing": (0.0 * RUN, ONE_LIFE, "plateau"),
    "daily restarts": (_noise(100), DAILY, "plateau"),
    "warming up": (40 * MIB * (1 - np.exp(-RUN / 30)) + _noise(200), ONE_LIFE, "plateau"),
    "a bump": (36 * MIB * ((RUN >= 100) & (RUN < 200)) + _noise(100), ONE_LIFE, "plateau"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_neither_leak_nor_step(name: str):
    """It is called what it is."""
    grown, lives, kind = OTHERS[name]
    assert judged(_series(60 * MIB + grown, lives)).kind == kind


@pytest.mark.parametrize("runs", [1, 2, 9])
def test_fewer_than_ten_runs_have_no_class(runs: int):
    """However clear they look."""
    found = judged(_series(MIB * np.arange(runs)))
    assert (found.kind, found.trend) == (None, None)


def test_a_few_minutes_have_no_class():
    """A rate for a day cannot be told from 300 runs within 5 minutes; from 10 minutes on it can."""
    days, sizes = np.arange(300) / 86400, MIB * np.arange(300.0)
    assert judged(Series(days, sizes, ONE_LIFE)).kind is None
    assert judged(Series(2.01 * days, sizes, ONE_LIFE)).kind == "leak"


def test_ten_clear_runs_are_enough():
    """A line without noise is a leak."""
    assert judged(_series(MIB * np.arange(10))).kind == "leak"


def test_growth_within_the_noise_floor_is_none():
    """400 KiB of growth are a plateau; and so are 8 MiB of a GiB, which are less than 1 %."""
    assert judged(_series(50 * MIB + RUN * 400 / RUNS)).kind == "plateau"
    assert judged(_series(1024 * MIB + RUN * 8 * MIB / RUNS)).kind == "plateau"


def _noise_of(kind: str, random: np.random.Generator, runs: int) -> np.ndarray:
    if kind == "uniform":
        return random.uniform(-2, 2, runs)
    if kind == "spikes":
        return random.standard_t(3, runs)
    noise = random.normal(0, 1, runs)
    if kind == "slow":  # half of it is still there in the next run
        for run in range(1, runs):
            noise[run] += 0.5 * noise[run - 1]
    return noise


@pytest.mark.parametrize("kind", ["normal", "uniform", "spikes", "slow"])
def test_fifty_directories_of_noise_raise_at_most_one_alarm(kind: str):
    """Fifty series in each for each kind of noise, of any size; a step would be a false alarm, too."""
    random = np.random.default_rng(len(kind))
    alarms: Counter[int] = Counter()
    for directory in range(50):
        runs = int(random.choice([12, 24, 60, 120, 300]))
        for _ in range(50):
            size = 10 ** random.uniform(3.7, 6.5)
            sizes = size * (1 + 10 ** random.uniform(-2, -0.8) * _noise_of(kind, random, runs))
            if judged(_series(sizes.clip(0), np.zeros(runs, int))).kind in ("leak", "step"):
                alarms[directory] += 1
    assert len(alarms) <= 1
