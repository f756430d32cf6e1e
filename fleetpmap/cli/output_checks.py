"""Combinations of output options that cannot work.   options ─► [output_checks] ─► outputs"""

from __future__ import annotations

from collections.abc import Sequence

from fleetpmap.catalogue import FORMATS, MERGING_VIEWS, VIEWS, ViewOptions, listed, merge_keys
from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import ShapeOptions, ShowOptions
from fleetpmap.cli.pmap_options import letters_in
from fleetpmap.errors import UsageError
from fleetpmap.labels import Label

_TEXT_FORMATS = ("table", "plain")


def check_sizes(shape: ShapeOptions, format_: Format) -> None:
    """Check that sizes can be written as --human and --kib ask.

    Raises:
        UsageError: they cannot.
    """
    if shape.human and shape.kib:
        raise UsageError("--human and --kib exclude each other", hint="leave one of them out")
    if shape.human and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"--human applies to table and plain only; {format_} holds whole KiB", hint="leave out --human"
        )


def check_pmap(view: View, show: ShowOptions, shape: ShapeOptions, format_: Format) -> None:
    """Check that pmap's options and those of tables are used with --view pmap and without it.

    Raises:
        UsageError: they are not.
    """
    option = next(iter(letters_in(show)), None)
    if option and view != "pmap":
        raise UsageError(f"{option} is an option of --view pmap, not of --view {view}", hint="leave one of them out")
    if option and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"{option} is pmap's own text, which --format {format_} cannot hold",
            hint=f"use --view mappings --format {format_}",
        )
    if view == "pmap" and (shape.columns is not None or shape.sort or shape.top is not None or shape.human):
        raise UsageError(
            "--columns, --sort, --top and --human are for tables, and --view pmap is pmap's own text",
            hint="use --view mappings",
        )


def check_by(show: ShowOptions, views: Sequence[View]) -> None:
    """Check that --by is for one of the views, and its keys for the first, that of the main report.

    Raises:
        UsageError: they are not.
    """
    if show.by is None:
        return
    view = views[0]
    if not {*views} & {*MERGING_VIEWS}:
        raise UsageError(f"--by is for --view merged, not for --view {view}", hint="leave one of them out")
    if VIEWS[view].keys and not VIEWS[view].takes(merge_keys(show.by)):
        raise UsageError(
            f"--by {show.by}: the rows of --view {view} are services, or services on each host",
            hint="add --by host,service, or use --view merged",
        )


def check_compare(show: ShowOptions, views: Sequence[View]) -> None:
    """Check that the options of compare and of stale are for one of the views.

    Raises:
        UsageError: they are not.
    """
    of_compare = {"--metric": show.metric, "--per": show.per, "--baseline": show.baseline}
    for option, value in of_compare.items():
        if value is not None and "compare" not in views:
            raise UsageError(f"{option} is for --view compare, not for --view {views[0]}", hint="add --view compare")
    for option, is_given in (("--all-deleted", show.all_deleted), ("--file", show.file is not None)):
        if is_given and "stale" not in views:
            raise UsageError(f"{option} is for --view stale, not for --view {views[0]}", hint="add --view stale")


def check_row_keys(view: View, format_: Format, options: ViewOptions) -> None:
    """Check that --columns keeps those by which the format tells rows apart.

    Raises:
        UsageError: it leaves one out.
    """
    from fleetpmap.export import EXPORTERS

    keys = EXPORTERS[format_].keys(view, options.by) if format_ in EXPORTERS else ()
    if lacking := [key for key in keys if key not in (options.columns or keys)]:
        raise UsageError(
            f"--columns: without {', '.join(lacking)} {format_} cannot tell the rows apart",
            hint=f"add {', '.join(lacking)} to --columns",
        )


def check_labels(labels: Sequence[Label], formats: Sequence[Format], *, saved: bool) -> None:
    """Check that labels, if there are any, have a place in one of the formats, or in a stored run.

    Raises:
        UsageError: they have none.
    """
    having = [format_.name for format_ in FORMATS if format_.keeps_labels]
    if labels and not saved and not {*formats} & {*having}:
        raise UsageError(
            f"--label {labels[0].key}: {listed([*dict.fromkeys(formats)])} has no place for labels",
            hint=f"{listed(having)} have one, and what --save keeps",
        )
