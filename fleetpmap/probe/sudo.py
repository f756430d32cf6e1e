"""What sudo says when it says no.   transport ─► stderr ─► [sudo] ─► SudoError

The messages are sudo's own under LC_ALL=C, and sudo-rs's; a refusal in another language is still a refusal, and shown.
"""

from __future__ import annotations

from fleetpmap.errors import SudoError
from fleetpmap.inventory import Host

# (what sudo prints, what it means, what to do). The first that is found counts.
_REFUSALS = (
    ("a terminal is required", "a password is needed", "allow it without one (NOPASSWD) for `sh -s`"),
    ("password is required", "a password is needed", "allow it without one (NOPASSWD) for `sh -s`"),
    ("you must have a tty", "its sudoers asks for a terminal", "take `requiretty` off for this user in sudoers"),
    ("not in the sudoers", "the user is not in sudoers", "add the user to sudoers, or run without --sudo"),
    ("not allowed to", "sudoers does not allow `sh -s`", "allow /bin/sh for this user in sudoers"),
    ("may not run sudo", "the user may not run sudo", "add the user to sudoers, or run without --sudo"),
    ("sudo: not found", "sudo is not installed there", "install sudo, or log in as root"),
    ("sudo: command not found", "sudo is not installed there", "install sudo, or log in as root"),
    ("unknown command: sudo", "sudo is not installed there", "install sudo, or log in as root"),
)


def explain_refusal(stderr: str, host: Host) -> SudoError | None:
    """The refusal that `stderr` holds, or None when sudo does not seem to be the one that spoke."""
    lowered = stderr.lower()
    for said, meaning, remedy in _REFUSALS:
        if said in lowered:
            return SudoError(f"sudo: {meaning}", host=host.name, stage="sudo", hint=remedy)
    line = next((line.strip() for line in stderr.splitlines() if line.startswith("sudo")), None)
    if line is None:
        return None
    return SudoError(line, host=host.name, stage="sudo", hint="try `sudo -n sh -s` on that host")
