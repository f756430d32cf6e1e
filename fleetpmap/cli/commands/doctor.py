"""fleetpmap doctor.   options ─► pipeline, timed ─► [doctor] ─► report, exit status"""

from __future__ import annotations

from dataclasses import replace

from fleetpmap.cli.inputs import selection_from, ssh_options_from
from fleetpmap.cli.options import HostArguments, HostOptions, OutputOptions, ProcessOptions, RunningOptions
from fleetpmap.cli.outputs import output_of
from fleetpmap.cli.pipeline import collect_fleet, fleet_from, refuse_rollup, show_report


def doctor(
    named: HostArguments, which: HostOptions, matching: ProcessOptions, to: OutputOptions, how: RunningOptions
) -> int:
    """Test each step to the hosts (name, TCP, banner, host key, login, shell, sudo, tools, /proc) and suggest fixes."""
    from fleetpmap.doctor import Stopwatch
    from fleetpmap.doctor import doctor as doctor_report

    plan = output_of("doctor", to)
    selection = selection_from(matching, required=False)
    reads_memory = matching.all or selection != selection_from(ProcessOptions(), required=False)
    if not reads_memory:
        refuse_rollup(how, "doctor without --match or another process option")
    fleet = fleet_from(replace(which, host=[*which.host, *named.hosts]), how)
    watch = Stopwatch()
    snapshot = collect_fleet(fleet, selection, how, smaps=reads_memory, on_start=watch.start)
    full = plan.format not in ("table", "plain")
    report = doctor_report(snapshot, fleet, watch.times, ssh_options_from(how), listed_only=not reads_memory, full=full)
    status = show_report(report, snapshot, plan, to, how)
    # Without a process option, a process that the login may not read is no failure: none was to be read.
    return 0 if status == 3 and not reads_memory and not snapshot.coverage.failures else status
