"""One host is asked.   session, processes ─► [host] ─► pool, interpret

session  ─►  list  ─►  choose, here  ─►  read  ─►  HostReply
"""

from __future__ import annotations

from collections.abc import Iterator

from fleetpmap.collection.question import Question
from fleetpmap.collection.reply import HostReply
from fleetpmap.collection.session import GivenUpError, ProbeSession
from fleetpmap.collection.sessions import SessionLostError, Sessions
from fleetpmap.errors import AmbiguousError, HostError
from fleetpmap.inventory import Host
from fleetpmap.processes import Choice
from fleetpmap.transport import Deadline
from fleetpmap.unexpected import host_error
from fleetpmap.wire import Listing


def ask_host(host: Host, question: Question, *, sessions: Sessions, deadline: Deadline) -> HostReply | HostError:
    """List the processes of one host, choose among them here, and read the chosen ones.

    Any exception on the way, a bug included, is returned as the error of this host.
    """
    try:
        while True:
            try:
                with sessions.session(host, question, deadline) as session:
                    return _reply(session, question, deadline)
            except SessionLostError:
                continue  # kept since the last round, it broke meanwhile; the next one is new
    except BaseException as error:  # also a panic in Rust code (cryptography), which is no Exception
        return question.redaction.error(host_error(error, host.name, "ask"))


def _reply(session: ProbeSession, question: Question, deadline: Deadline) -> HostReply | HostError:
    while True:
        try:
            listing = session.list_processes()
            choice = session.choose(listing, question.selection, question.own_pid)
            near = None if choice.matched else session.near_misses(listing, question)
            packed = session.read(choice.read) if question.smaps and choice.read else None
        except GivenUpError:
            session.skip_stuck()
            continue
        except AmbiguousError as error:
            return question.redaction.error(error)  # returned, not raised: the session is well, and the next round's
        notes = (*session.notes, *map(question.redaction.text, _notes(listing, choice, session.stuck)))
        said = session.other_output
        return HostReply(session.host, listing, choice, said, notes, packed, deadline=deadline, near=near)


def _notes(listing: Listing, choice: Choice, stuck: tuple[int, ...]) -> Iterator[str]:
    """Sentences about processes that this login could not see, or that could not be chosen for sure."""
    can, listed = listing.capabilities, listing.processes
    yield from choice.notes
    if unread := choice.unread_exes:
        remedy = "even root may not" if can.uid == 0 else "--sudo reads them"
        yield f"the exe of {unread} of its processes could not be read, so --exe leaves them out; {remedy}"
    chosen = {process.pid for process in choice.matched}
    if nameless := [str(pid) for pid in stuck if listed.get(pid) and pid not in chosen]:
        yield f"the command line of process {', '.join(nameless)} did not come back, so only the name could match"
    if undecided := choice.undecided:
        remedy = "a simpler pattern, --exe or --unit finds them"
        yield f"--match took too long on {undecided} of its processes: left out, matching or not; {remedy}"
    if can.uid != 0 and can.probe_pid is not None and listed.get(1) is None:
        yield "its /proc hides other users' processes (hidepid): only the login's own can match; --sudo shows all"
    if can.reader == "sh" and not listing.has_arguments:
        yield "no usable grep and tail: its shell read /proc alone, without command lines, so only names matched"
