"""The rules of --fail-if: their grammar, and what breaks them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import deploy
from fleet_of_twenty import twenty_hosts
from fleetpmap.catalogue import REPORTS, ViewOptions
from fleetpmap.cli.deliver import exit_status
from fleetpmap.cli.gate_rules import quantities, rule_names, rules_from
from fleetpmap.errors import UsageError
from fleetpmap.report import VIEWS, diff
from fleetpmap.report.finding import BrokenRule
from fleetpmap.report.gates import Verdict, verdict, with_verdict
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.snapshot import Run, Snapshot
from fleetpmap.wire import CgroupMemory, HostMemory
from snapshots import ProcessWithMappings, failed, host, mapping, process, snapshot, unreadable

MIB = 1024
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "gates.md"
KINDS = {report.name: report for report in REPORTS}


def _verdict(fleet: Snapshot, view: str, *rules: str, **options) -> Verdict:
    chosen = ViewOptions(**options)
    report = with_findings(VIEWS[view](fleet, chosen), lambda: standing_out(fleet))
    return verdict(report, rules_from(rules, view, chosen), [fleet.coverage])


def _broken(fleet: Snapshot, view: str, *rules: str, **options) -> list[str]:
    return [one.text for one in _verdict(fleet, view, *rules, **options).broken]


def _app(pid: int, kib: int) -> ProcessWithMappings:
    one = process(pid, "app", mapping("[heap]", size=2 * kib, Rss=kib + 3, Pss=kib))
    return replace(one, process=replace(one.process, service="app"))


FLEET = snapshot(
    host("web-01", _app(10, 30 * MIB), _app(11, 10 * MIB)),
    host("web-02", _app(20, 50 * MIB)),
)
"""40M and 50M on two hosts, 90M in all."""


# The grammar.


@pytest.mark.parametrize(
    ("text", "of", "comparison", "limit", "in_percent"),
    [
        ("pss>2G", "pss_kib", ">", 2 << 20, False),
        ("pss_kib>=500M", "pss_kib", ">=", 500 << 10, False),
        (" rss < 1.5g ", "rss_kib", "<", 1572864, False),
        ("uss<=64KiB", "uss_kib", "<=", 64, False),
        ("swap>0", "swap_kib", ">", 0, False),
        ("ram_share>50%", "ram_share", ">", 50, True),
        ("ram_share >= 7.5 %", "ram_share", ">=", 7.5, True),
        ("stale", "stale", None, 0, False),
    ],
)
def test_rules(text: str, of: str, comparison: str | None, limit: float, in_percent: bool):
    """Sizes with K, M, G as everywhere, percent, kinds; spaces do not matter, nor does `_kib`."""
    (rule,) = rules_from([text], "hosts")
    assert (rule.text, rule.of, rule.comparison, rule.limit, rule.in_percent) == (
        *(text.strip(), of),
        *(comparison, limit, in_percent),
    )


@pytest.mark.parametrize(
    ("report", "text", "message", "hint"),
    [
        ("hosts", "pss", "pss needs a limit", "write --fail-if 'pss>2G', in quotes: a shell takes > for a redirection"),
        (
            *("hosts", "ram_share", "ram_share needs a limit"),
            "write --fail-if 'ram_share>90%', in quotes: a shell takes > for a redirection",
        ),
        ("hosts", "pss=>2G", '"=>" is no comparison', "the comparisons are <, <=, > and >="),
        ("hosts", "pss=2G", '"=" is no comparison', "the comparisons are <, <=, > and >="),
        ("hosts", "pss>50%", '"50%" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", "pss>2000", '"2000" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", "pss>-2G", '"-2G" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", "pss>", '"" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", "pss>none", '"none" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", f"pss>{'9' * 400}G", f'"{"9" * 400}G" is no limit for pss', "write a size (64K, 500M, 2G)"),
        ("hosts", "ram_share>2G", '"2G" is no limit for ram_share', "write percent (90%)"),
        ("diff", "growth>5", '"5" is no limit for growth', "write a size (64K, 500M, 2G) or percent (90%)"),
        ("hosts", "PSS>2G", '--view hosts has no "PSS" to judge', "did you mean pss?"),
        ("hosts", "oulier", '--view hosts has no "oulier" to judge', "did you mean outlier?"),
        ("hosts", "processes>2", '--view hosts has no "processes" to judge', None),
        (
            *("summary", "limit_share>90%", '--view summary has no "limit_share" to judge'),
            "that is for --view services and --view processes",
        ),
        ("hosts", "leak", '--view hosts has no "leak" to judge', "that is for fleetpmap history"),
        (
            *("hosts", "growth>10%", '--view hosts has no "growth" to judge'),
            "that is for fleetpmap diff and fleetpmap history",
        ),
        (
            *("diff", "growth", "growth needs a limit"),
            "write --fail-if 'growth>2G', in quotes: a shell takes > for a redirection",
        ),
        ("diff", "stale", 'fleetpmap diff has no "stale" to judge', None),
        ("history", "split", 'fleetpmap history has no "split" to judge', "that is for --view compare"),
        ("compare", "rss>1G", '--view compare has no "rss" to judge', None),
        ("hosts", "stale>1G", "stale takes no limit", "write --fail-if stale"),
        ("hosts", "pss 2G", "that is not a rule", None),
        ("hosts", ">2G", "that is not a rule", None),
        ("hosts", "pss>2G,stale", '"2G,stale" is no limit for pss', None),
        ("pmap", "rss>2G", "--view pmap has no rows that a rule can judge", "use --view mappings"),
    ],
)
def test_a_mistake(report: str, text: str, message: str, hint: str | None):
    """One sentence with what is wrong and where, and what to do; `None`: a hint that lists."""
    with pytest.raises(UsageError) as caught:
        rules_from(["mem_available>1K" if report == "hosts" else text, text], report)
    assert caught.value.message == f"--fail-if {text}: {message}"
    assert caught.value.hint == hint if hint else caught.value.hint


def test_rollup_reads_no_files():
    """So it finds neither old ones nor other ones; a limit it finds."""
    for kind in ("stale", "drift"):
        with pytest.raises(UsageError, match=f"--fail-if {kind}: --rollup reads no names of files"):
            rules_from([kind], "hosts", rollup=True)
    assert len(rules_from(["limit", "outlier"], "hosts", rollup=True)) == 2


def test_a_rule_that_is_given_twice_is_one():
    """Its sentences are printed once."""
    assert len(rules_from(["pss>2G", "stale", "pss>2G "], "hosts")) == 2


def test_every_size_and_share_of_a_view_can_be_named():
    """The catalogue has the same columns as the reports, by name and by unit."""
    nothing = Snapshot.assemble([], Run(datetime.now(UTC), 0.0, ""))
    for name, view in VIEWS.items():
        options = ViewOptions(services=True)
        columns = [column for table in view(nothing, options).tables for column in table.columns]
        judged = {column.name for column in columns if column.unit in ("KiB", "delta", "percent")}
        if name not in ("compare", "mappings", "pmap"):
            assert {*quantities(KINDS[name], options)} == judged, name
    for column in ("pss_kib", "pss_dirty_kib", "anon_huge_pages_kib"):
        assert rules_from([f"{column}>1G"], "mappings")


def test_the_guide_has_rules():
    """Each example in its table is a rule on some report, and every kind is among them."""
    rows = re.findall(r"^\| (`.*?) \|", GUIDE.read_text(), re.MULTILINE)
    examples = [example for row in rows for example in re.findall(r"`([^`]+)`", row)]
    assert len(examples) > 12
    for example in examples:
        assert any(_is_rule(example, report) for report in KINDS), example
    names = {name for report in REPORTS for name in report.findings} - {"growth"}
    assert names <= {*examples}


def _is_rule(text: str, report: str) -> bool:
    try:
        return bool(rules_from([text], report))
    except UsageError:
        return False


def test_names_for_tab():
    """What a rule can begin with."""
    assert rule_names("diff") == [
        *("old", "new", "growth", "growth_each", "growth_kib_per_hour"),
    ]
    assert rule_names("stale") == ["stale", "rss"]


# Rows.


@pytest.mark.parametrize(
    ("view", "rule", "texts"),
    [
        ("hosts", "pss>40M", ["pss of web-02 is 50.0M"]),
        ("hosts", "pss>=40M", ["pss of web-02 is 50.0M", "pss of web-01 is 40.0M"]),
        ("hosts", "pss<50M", ["pss of web-01 is 40.0M"]),
        ("hosts", "pss<=50M", ["pss of web-01 is 40.0M", "pss of web-02 is 50.0M"]),
        ("hosts", "pss>50M", []),
        ("services", "pss>89M", ["pss of app is 90.0M"]),
        ("processes", "pss>29M", ["pss of app on web-02 (pid 20) is 50.0M", "pss of app on web-01 (pid 10) is 30.0M"]),
        ("mappings", "pss>40M", ["pss of [heap] of app on web-02 (pid 20) is 50.0M"]),
        ("merged", "rss>90M", ["rss of [heap] is 90.0M"]),
        ("summary", "pss>40M", ["pss of [heap] is 90.0M", "pss of web-02 is 50.0M"]),
        ("compare", "pss>40M", ["pss of [heap] on web-02 is 50.0M"]),
        ("compare", "spread>9M", ["spread of [heap] is 10.0M"]),
    ],
)
def test_a_row(view: str, rule: str, texts: list[str]):
    """Each row of the view, the furthest first; a total of 90M is none, nor are the counts of compare's first row."""
    assert _broken(FLEET, view, rule) == texts


def test_by_the_keys_of_a_row():
    """A service on a host is a row with --by; the sentence has every key."""
    assert _broken(FLEET, "services", "pss>45M", by=("host", "service")) == ["pss of app on web-02 is 50.0M"]
    assert _broken(FLEET, "merged", "pss>45M", by=("unit",)) == ["pss of what has no unit is 90.0M"]
    assert _broken(FLEET, "merged", "pss>45M", by=("user", "host", "kind")) == ["pss of heap of www on web-02 is 50.0M"]


def test_what_breaks_it_as_data():
    """With the exact figure; members that a row does not have are None."""
    judged = _verdict(FLEET, "processes", "pss>45M")
    assert judged.broken == (
        BrokenRule("pss>45M", "pss of app on web-02 (pid 20) is 50.0M", "web-02", "app", 20, None, 51200, None),
    )


def test_shares():
    """In percent, with one digit; no limit is nothing to judge, and not unknown."""
    fleet = snapshot(_charged("web-01", 93, 100), _charged("web-02", 50, 100), _charged("web-03", 50, None))
    judged = _verdict(fleet, "services", "limit_share>90%", by=("host", "service"))
    text = "limit_share of app on web-01 is 93%"
    assert judged == Verdict((BrokenRule("limit_share>90%", text, "web-01", "app", None, None, None, 93.0),), "")


def _charged(name: str, current: int, limit: int | None):
    one = host(name, _app(10, MIB))
    group = CgroupMemory("/app", current * MIB, None, limit and limit * MIB, limit is None, "/app" if limit else "")
    named = tuple(replace(each, cgroup="/app") for each in one.processes)
    return replace(one, processes=named, cgroups=(group,), memory=HostMemory(1 << 20, 1 << 19, 0, 0))


def test_a_total_counts_only_without_any_row():
    """Nothing matched, so nothing is held; nothing answered, so nothing is known."""
    assert _broken(snapshot(host("web-01")), "merged", "pss<1M") == ["pss of the total is 0K"]
    assert _verdict(snapshot(host("web-01")), "services", "limit_share>1%") == Verdict((), "")
    assert _broken(FLEET, "merged", "pss>80M") == ["pss of [heap] is 90.0M"]
    away = snapshot(failed("web-01", "timeout", "web-01: no answer"))
    assert _verdict(away, "merged", "pss<1M").broken == ()


# Findings.


@pytest.mark.parametrize(
    ("view", "rule", "hosts"),
    [
        ("compare", "outlier", {"web-07"}),
        ("compare", "drift", {None}),
        ("hosts", "stale", {"web-14"}),
        ("stale", "stale", {"web-14"}),
        ("summary", "outlier", {"web-07"}),
        ("hosts", "limit", set()),
    ],
)
def test_a_finding(view: str, rule: str, hosts: set[str | None]):
    """Every finding of that kind breaks the rule, in its own words."""
    fleet = twenty_hosts()
    broken = _verdict(fleet, view, rule).broken
    assert {one.host for one in broken} == hosts
    assert all(one.rule == rule for one in broken)


# Growth.


def _grown(*rules: str, **more) -> list[BrokenRule]:
    old, new = deploy.before(), deploy.after()
    return [*verdict(diff(old, new, **more), rules_from(rules, "diff"), [old.coverage, new.coverage]).broken]


def test_growth():
    """Of a row of the diff, as a size and in percent."""
    (size,), (share,) = _grown("growth>800M"), _grown("growth>30%")
    assert (size.mapping, size.value_kib, size.value) == ("[heap]", 884344, None)
    assert (share.mapping, share.value_kib, share.value) == ("[heap]", 884344, 30.2)
    assert size.text == share.text == "[heap] grew by 863.6M (30.2%), from 2.8G to 3.6G"
    assert _grown("growth>900M", "growth>31%", "growth<0") == []


def test_growth_of_what_is_new_and_of_what_shrank():
    """New is more than any percentage, without one; what shrank has grown by less than nothing."""
    old = snapshot(host("a", process(1, "app", mapping("/x", Rss=9000, Pss=9000, Private_Dirty=9000))))
    new = snapshot(host("a", process(1, "app", mapping("/y", Rss=4096, Pss=4096, Private_Dirty=4096))))
    coverages = [old.coverage, new.coverage]
    judged = verdict(diff(old, new), rules_from(["growth>100000%", "growth<0"], "diff"), coverages)
    assert [(one.text, one.value_kib, one.value) for one in judged.broken] == [
        ("/y is new, with 4.0M", 4096, None),
        ("/x shrank by 8.8M (100.0%), from 8.8M to 0K", -9000, None),
    ]


# Unknown numbers.


def test_unknown_numbers_break_nothing_and_are_told():
    """A host that failed, a process that was denied, a size that the kernel does not have."""
    fleet = snapshot(
        host("web-01", process(1, "app", mapping("[heap]", Rss=7, Pss=7)), unreadable(2, "db", 500)),
        host("web-02", process(3, "app", mapping("[heap]", Rss=9))),
        failed("web-03", "timeout", "web-03: no answer"),
    )
    judged = _verdict(fleet, "hosts", "pss<1K", "swap>1G")
    assert judged.broken == ()
    assert judged.note == (
        "not judged by --fail-if: web-03, which gave no answer; 1 process that was not read; "
        "pss of web-02, which is unknown; swap of web-02, which is unknown"
    )
    assert _verdict(FLEET, "hosts", "pss>1G").note == ""


def test_a_field_that_no_kernel_has():
    """It is unknown of every row, which a note says."""
    note = _verdict(FLEET, "mappings", "locked>1G").note
    assert note == "not judged by --fail-if: locked of every row, which is unknown"


def test_many_unknown_rows_are_counted():
    """Five are named."""
    fleet = snapshot(*(host(f"web-{n:02}", process(1, "app", mapping("[heap]", Rss=n))) for n in range(1, 10)))
    note = _verdict(fleet, "hosts", "pss>1G").note
    assert note.endswith("pss of web-01, web-02, web-03, web-04, web-05 and 4 more, which is unknown")


def test_the_note_is_in_every_form_of_a_report():
    """A terminal's is another one than a file's."""
    report = VIEWS["compare"](FLEET, ViewOptions())
    stamped = with_verdict(report, Verdict((), "a note"))
    assert stamped.brief is not None
    assert stamped.brief.narrow is None or "a note" in stamped.brief.narrow.notes
    assert all("a note" in one.notes for one in (stamped, stamped.brief))
    assert stamped.broken_rules == ()


# The exit status.


@pytest.mark.parametrize(
    ("ended", "fleet", "status"),
    [
        ("interrupted", FLEET, 130),
        ("deadline", FLEET, 124),
        ("whole", snapshot(failed("a", "timeout", "a: no answer")), 4),
        ("whole", snapshot(host("b", _app(1, 9)), failed("a", "timeout", "a: no answer")), 6),
        ("whole", snapshot(host("a")), 6),
        ("whole", FLEET, 6),
    ],
)
def test_the_first_status_that_applies(ended: str, fleet: Snapshot, status: int):
    """A broken rule comes after an end before time and no answer, and before an incomplete or empty report."""
    fleet = replace(fleet, run=replace(fleet.run, ended=ended))
    broken = Verdict((BrokenRule("pss>1K", "pss of b is 9K"),), "")
    assert exit_status(fleet, with_verdict(VIEWS["hosts"](fleet, ViewOptions()), broken)) == status


def test_without_a_broken_rule_the_status_is_as_before():
    """0, 3 and 5."""
    holds = Verdict((), "")
    fleets = {0: FLEET, 3: snapshot(host("b", _app(1, 9)), failed("a", "dns", "a: ?")), 5: snapshot(host("a"))}
    for status, fleet in fleets.items():
        report = VIEWS["hosts"](fleet, ViewOptions())
        assert exit_status(fleet, with_verdict(report, holds)) == exit_status(fleet, report) == status
