"""What stands out in the rounds of a watch: found, and told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fleetpmap.report.finding import Finding
from fleetpmap.watch import News, StandingOut, round_line
from snapshots import host, mapping, process, snapshot

MIB = 1024


def _round(seconds: int, *heaps: int):
    """A round in which each host has one process with a heap of so many MiB."""
    hosts = (
        host(f"web-{n}", process(800 + n, "app", mapping("[heap]", size=mib * MIB, Rss=mib * MIB, Pss=mib * MIB)))
        for n, mib in enumerate(heaps, 1)
    )
    fleet = snapshot(*hosts)
    return replace(fleet, run=replace(fleet.run, started=fleet.run.started + timedelta(seconds=seconds)))


def test_growth_since_the_first_round_comes_first():
    """Then what a run would say; with the host, the process, the figure and the next command."""
    standing_out = StandingOut()
    assert standing_out.in_round(_round(0, 10, 10, 10)) == ()
    assert standing_out.in_round(_round(5, 10, 10, 10)) == ()
    grown, outlier = standing_out.in_round(_round(60, 10, 10, 410))
    assert grown.text == "app on web-3 (pid 803): [heap] grew by 400M in 60 s, 6.7M a second"
    assert (grown.kind, grown.host, grown.service, grown.pid) == ("growth", "web-3", "app", 803)
    assert (grown.mapping, grown.value_kib, grown.reference_kib) == ("[heap]", 410 * MIB, 10 * MIB)
    assert grown.next == "fleetpmap run -H web-3 --pid 803 --view mappings --sort pss --top 10"
    assert (outlier.kind, outlier.host) == ("outlier", "web-3")


def test_growth_on_several_hosts_is_one_finding():
    """With the hosts folded, in the next command too."""
    standing_out = StandingOut()
    standing_out.in_round(_round(0, 10, 10))
    (grown,) = standing_out.in_round(_round(120, 14, 12))
    assert grown.text.startswith("app on web-[1-2], 2 processes: [heap] grew by 6.0M, 3.0M each in 2 min")
    assert (grown.host, grown.pid) == (None, None)
    assert grown.next == "fleetpmap run -H 'web-[1-2]' -m app --exact --view processes"


def _growth(mib: float, host: str = "web-1") -> Finding:
    return Finding("growth", f"{host} grew by {mib:.1f}M", host, "app", 7, "[heap]", "growth_kib", int(mib * MIB))


def test_news_are_told_once_and_again_when_they_have_doubled():
    """And when they are over; a finding that moves a little is no news."""
    news = News()
    told = [news.of(findings) for findings in ([_growth(2)], [_growth(3)], [_growth(4)], [_growth(7)], [], [])]
    assert told == [["web-1 grew by 2.0M"], [], ["web-1 grew by 4.0M"], [], ["no longer: web-1 grew by 4.0M"], []]


def test_findings_are_told_apart_by_what_they_are_about():
    """Another host is news; another pid of the same service there is not."""
    news = News()
    assert news.of([_growth(2)]) == ["web-1 grew by 2.0M"]
    assert news.of([replace(_growth(2), pid=8), _growth(2, "web-2")]) == ["web-2 grew by 2.0M"]


def test_a_finding_without_attributes_is_known_by_its_text():
    """Up to its first size, which may change."""
    news = News()
    texts = [
        "12 processes are new, with 3.0M: job",
        "12 processes are new, with 4.5M: job",
        "13 processes are new, with 5.0M",
    ]
    told = [news.of([Finding("growth", text)]) for text in texts]
    assert [len(lines) for lines in told] == [1, 0, 2]


def test_the_distance_of_an_outlier_is_its_figure():
    """1,000 MiB among peers of 900 is not twice 950."""
    one = Finding("outlier", "far", "a", "app", 7, "[heap]", "pss_kib", 1000 * MIB, 950 * MIB)
    news = News()
    assert news.of([one]) == ["far"]
    assert news.of([replace(one, value_kib=1040 * MIB)]) == []
    assert news.of([replace(one, value_kib=1050 * MIB)]) == ["far"]


def test_the_line_of_a_round_compares_one_size():
    """A host whose kernel has no PSS comes in: both rounds are told by their RSS."""
    web = host("web-1", process(801, "app", mapping("[heap]", Rss=4000, Pss=300)))
    old = host("web-2", process(802, "app", mapping("[heap]", Rss=1000)))
    assert round_line(snapshot(web, old), snapshot(web)).endswith("rss 5000 kB  since start +1000 kB")
    assert round_line(snapshot(web), snapshot(web)).endswith("pss 300 kB  since start +0 kB")
