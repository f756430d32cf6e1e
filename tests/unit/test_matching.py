"""The --match pattern: what Python's re finds, and never for long."""

from __future__ import annotations

import contextlib
import re
import time
import warnings

import pytest

from fleetpmap.matching import Matcher, TooSlowError
from fleetpmap.processes import Selection, choose, compile_match
from fleetpmap.wire import Capabilities, ListedProcess, Listing, Processes

TEXTS = [
    *("nginx", "nginx: worker process", "java -cp /opt/kafka.jar", "a{e<=1}", "x{2}", "aaa", "[b]", "c--d", "e&&f|g"),
    *("naïve²", "o\u0306x", "½", "Größe_7", "tab\there", "line\nbreak", "\x1cfs", "STRASSE", "ß", "", "\udcff!"),
]
PATTERNS = [
    *(
        "nginx",
        "^nginx$",
        "worker|kafka",
        r"\bkafka\.jar\b",
        "(?i)NGINX",
        "java.*kafka",
        r"[a-z]+\.jar",
        "n(g)inx",
        ".",
    ),
    *(r"\w\W\w", r"[^\W_]", r"[\W]", r"[^\w]", r"\S\s\S", r"[\s.]", r"[^\S]", r"\d", r"\Bn", r"\b.\b", "[à-ü]", r"\Z"),
    *("a{e<=1}", "{", "}", "a{2}", "a{,2}$", "a{2,}", "a{,}", "x{}", "x{2}", r"\{2\}", "[{]", "(?#c[{)x", r"\x41"),
    *("[]b]", "[^]b]", "[[]b", r"[\]]", r"[\[]", "[,--d]", "[e&&f]", "[f||g]", "c--d", "[&|~-]", r"[\w-]+$"),
    *(
        "(a)?(?(1)b|n)",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(?=n)",
        "(?<!n)g",
        "(?>a*)a",
        "a*+a",
        "(?s:.)b",
        "(?m:^)b",
        "(?i:ss)",
    ),
    *(r"\N{LATIN SMALL LETTER SHARP S}", r"\u00ef", "(?a)\\w²", "(?x) n g # [ {", "[^a-z]", "a|b|", "(?:ab|a)*$"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_pattern_means_what_it_means_to_python(pattern: str):
    """Found, and matched as a whole, in the same texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of sets in sets, which Python may have one day
        known = re.compile(pattern)
    search, exact = Matcher(known), Matcher(known, exact=True)
    for text in filter(None, TEXTS):
        assert search.matches(text) is (known.search(text) is not None), text
        assert exact.matches(text) is (known.fullmatch(text) is not None), text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("java.*kafka", "java " * 300_000),
        ("(.*,){20}x", "a," * 3_000),
        (r"(a|aa)+(?!b)\b[^c]$", "a" * 80 + "b"),
        (r"^(\w+\s?)*\1:$", "word " * 40 + "!"),
        ("(a+)+$", "a" * 60 + "b"),
    ],
    ids=["quadratic", "counted", "either", "backreference", "nested"],
)
@pytest.mark.timed
def test_no_search_takes_long(pattern: str, text: str):
    """Where Python's re would take hours or years it is given up soon, unless the answer is known by then: no."""
    matcher = Matcher(re.compile(pattern))
    began = time.process_time()
    with contextlib.suppress(TooSlowError):
        assert not matcher.matches(text)
    assert time.process_time() - began < 3


@pytest.mark.timed
def test_all_texts_of_a_host_together_are_bounded():
    """Thousands of such command lines take no longer than a few, and each is told."""
    matcher = Matcher(re.compile("(.*,){20}x"))
    began, slow = time.process_time(), 0
    for number in range(10_000):
        try:
            matcher.matches("a," * 200 + f"{number}")
        except TooSlowError:
            slow += 1
    assert slow > 9_000  # a few are searched to their end in what is left
    assert time.process_time() - began < 6


def _listing(*processes: tuple[int, str, tuple[str, ...]]) -> Listing:
    can = Capabilities(1000, "6.1.0", 4096, "", "", "gnu", "gzip", None)
    listed = [
        ListedProcess(pid, name, "S", 1, pid, 500 + pid, 100 + pid, arguments, kernel_thread=False)
        for pid, name, arguments in processes
    ]
    return Listing(can, Processes.of(listed), {})


def test_a_process_on_which_the_pattern_takes_too_long_is_skipped():
    """It is named with the reason, and the others are found, also those that are listed behind it."""
    evil = [(pid, "java", ("java",) * 300_000) for pid in range(10, 15)]
    good = (99, "java", ("java", "kafka"))
    selection = Selection(match=compile_match("java.*kafka"), full=True)
    choice = choose(_listing(*evil, good, (100, "sh", ("sh",))), selection)
    assert [process.pid for process in choice.read] == [99]
    assert [(left.process.pid, left.status) for left in choice.skipped] == [(pid, "skipped") for pid in range(10, 15)]
    assert choice.skipped[0].reason == "--match took more than 0.5 s on it"
    assert choice.skipped[4].reason == "--match took more than 2 s on this host, and did not come to it"
    assert choice.undecided == 5


def test_a_slow_process_that_is_not_meant_is_not_mentioned():
    """Its user, its exe or its cgroup rules it out."""
    evil = (10, "java", ("java",) * 300_000)
    selection = Selection(match=compile_match("java.*kafka"), full=True, exe="kafka")
    assert choose(_listing(evil), selection).skipped == ()
