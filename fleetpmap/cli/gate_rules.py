"""The grammar of --fail-if.   RULE… ─► [gate_rules] ─► report.gates

    rule        =  quantity comparison limit  |  kind
    quantity    =  a size of the report (pss, cgroup_current), a share of it (limit_share), or growth (diff, history)
    comparison  =  "<"  |  "<="  |  ">"  |  ">="
    limit       =  a size: 2G, 500M, 64K  |  percent: 90%
    kind        =  outlier, limit, stale, drift (run)  |  outlier, split, drift (compare)  |  leak, step (history)

Every mistake is found here, before any host is asked. docs/guides/gates.md has the grammar for users.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, cast

from fleetpmap.catalogue import GROWTH, REPORTS, ReportKind, ViewOptions, listed
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.report import Report
    from fleetpmap.report.gates import Comparison, Rule
    from fleetpmap.snapshot import Coverage

_COMPARISONS = ("<", "<=", ">", ">=")
_REPORTS = {report.name: report for report in REPORTS}
_RULE = re.compile(r"(?P<of>\w+)\s*(?:(?P<comparison>[<>=!]+)\s*(?P<limit>.*))?", re.ASCII | re.DOTALL)
_NUMBER = r"\d{1,12}(?:\.\d{1,6})?"
_SIZE = re.compile(rf"{_NUMBER}\s*[KMGTP](?:i?B)?|0", re.IGNORECASE)
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_BY_FILES = frozenset({"stale", "drift"})
"""Kinds that --rollup cannot find, since it reads no files."""
_OF_GROWTH = frozenset({"diff", "history"})
_GRAMMAR = "write a size or a share with its limit ('pss>2G', 'limit_share>90%'), or what may not be found (outlier)"


def rules_from(
    texts: Sequence[str], report: str, options: ViewOptions | None = None, *, rollup: bool = False
) -> tuple[Rule, ...]:
    """Return the rules, each once; `report`: the report's name in the catalogue, `rollup`: --rollup was given.

    Raises:
        UsageError: a rule is not in the grammar, or cannot be judged on that report.
    """
    distinct = dict.fromkeys(text.strip() for text in texts)
    return tuple(_rule(text, _REPORTS[report], options or ViewOptions(), rollup=rollup) for text in distinct)


def judge_by(
    rules: Sequence[Rule], whole: Callable[[], Report], coverages: Sequence[Coverage]
) -> Callable[[Report], Report]:
    """Return a function that adds to a report what breaks the rules; `whole`: makes the report that is judged."""
    if not rules:
        return lambda report: report
    from fleetpmap.report.gates import verdict, with_verdict

    judged = verdict(whole(), rules, coverages)
    return lambda report: with_verdict(report, judged)


def quantities(report: ReportKind, options: ViewOptions) -> tuple[str, ...]:
    """Return the columns of a report that a rule can name, and growth; of mappings without the rarer kernel fields."""
    names = [*report.columns]
    if report.name == "summary":
        names += _REPORTS["hosts"].columns
        names += _REPORTS["services"].columns if options.services else ()
    if report.name == "compare" and options.baseline is None:  # else the cells are differences
        names.append(options.metric)
    sized = [name for name in dict.fromkeys(names) if _is_size(name) or _is_share(name)]
    return (*sized, GROWTH) if report.name in _OF_GROWTH else tuple(sized)


def rule_names(report: str) -> list[str]:
    """Return what a rule on this report can begin with, as it is written: `pss`, `outlier`."""
    kind = _REPORTS[report]
    names = (*kinds(kind), *(name.removesuffix("_kib") for name in quantities(kind, ViewOptions())))
    return list(dict.fromkeys(names))


def _kernel_fields() -> list[str]:
    from fleetpmap.smaps.fields import FIELDS  # imports numpy, which completion need not

    return [field.column for field in FIELDS if _is_size(field.column)]


def kinds(report: ReportKind) -> tuple[str, ...]:
    """Return the kinds of findings that are rules on a report; growth is one only with a limit."""
    return tuple(kind for kind in report.findings if kind != GROWTH)


def _is_size(column: str) -> bool:
    return "_kib" in column or column == GROWTH


def _is_share(column: str) -> bool:
    return column.endswith("_share") or column == GROWTH


def _rule(text: str, report: ReportKind, options: ViewOptions, *, rollup: bool) -> Rule:
    from fleetpmap.report.gates import Rule

    known = (*quantities(report, options), *(_kernel_fields() if report.name == "mappings" else ()))
    if not known and not kinds(report):
        raise UsageError(
            f"--fail-if {text}: {_spelled(report)} has no rows that a rule can judge", hint="use --view mappings"
        )
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"--fail-if {text}: that is not a rule", hint=_GRAMMAR)
    of, comparison, limit = match.groups()
    column = next((name for name in (of, f"{of}_kib") if name in known), None)
    if comparison is None:
        _check_kind(text, report, column, rollup=rollup)
        return Rule(text, of)
    if comparison not in _COMPARISONS:
        hint = f"the comparisons are {listed(_COMPARISONS)}"
        raise UsageError(f'--fail-if {text}: "{comparison}" is no comparison', hint=hint)
    if column is None:
        raise _unknown(text, of, report, known)
    kib_or_percent, in_percent = _limit(text, of, column, limit)
    return Rule(text, column, cast("Comparison", comparison), kib_or_percent, in_percent)


def _check_kind(text: str, report: ReportKind, column: str | None, *, rollup: bool) -> None:
    """Check that the report tells of such findings.

    Raises:
        UsageError: it does not, or the text is a quantity without its limit.
    """
    if text in kinds(report):
        if rollup and text in _BY_FILES:
            raise UsageError(f"--fail-if {text}: --rollup reads no names of files", hint="leave out --rollup")
    elif column is not None:
        limits = [limit for limit, fits in (("2G", _is_size(column)), ("90%", _is_share(column))) if fits]
        raise UsageError(
            f"--fail-if {text}: {text} needs a limit",
            hint=f"write --fail-if '{text}>{limits[0]}', in quotes: a shell takes > for a redirection",
        )
    else:
        raise _unknown(text, text, report, (*kinds(report), *quantities(report, ViewOptions())))


def _limit(text: str, of: str, column: str, limit: str) -> tuple[float, bool]:
    """Return a limit in KiB, or in percent, and True for percent.

    Raises:
        UsageError: it is neither, or not what the column holds.
    """
    from fleetpmap.units import parse_size

    if (percent := _PERCENT.fullmatch(limit)) and _is_share(column):
        return float(percent[1]), True
    if _SIZE.fullmatch(limit) and _is_size(column):
        return float(parse_size(limit, "--fail-if") or 0), False
    sizes, shares = ["a size (64K, 500M, 2G)"] * _is_size(column), ["percent (90%)"] * _is_share(column)
    hint = f"write {' or '.join(sizes + shares)}"
    raise UsageError(f'--fail-if {text}: "{limit}" is no limit for {of}', hint=hint)


def _unknown(text: str, name: str, report: ReportKind, known: Collection[str]) -> UsageError:
    """Return the error for a name that the report does not have: where it is, or what is near."""
    from fleetpmap.inventory.names import nearest

    message = f'--fail-if {text}: {_spelled(report)} has no "{name}" to judge'
    if name in kinds(report):
        return UsageError(f"--fail-if {text}: {name} takes no limit", hint=f"write --fail-if {name}")
    if elsewhere := _reports_with(name):
        return UsageError(message, hint=f"that is for {listed(elsewhere)}")
    names = [one.removesuffix("_kib") for one in known]
    near = nearest(name, names)
    return UsageError(message, hint=f"did you mean {near}?" if near else f"a rule can name {', '.join(names)}")


def _reports_with(name: str) -> list[str]:
    """Return the views and commands in which a rule may have this name."""
    return [
        _spelled(report)
        for report in REPORTS
        if report.findings and {name, f"{name}_kib"} & {*kinds(report), *quantities(report, ViewOptions())}
    ]


def _spelled(report: ReportKind) -> str:
    return f"fleetpmap {report.command}" if report.command else f"--view {report.name}"
