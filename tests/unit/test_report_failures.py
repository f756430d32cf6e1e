"""failures: one sentence for all the hosts that have the same trouble."""

from __future__ import annotations

from fleetpmap.report import folded
from fleetpmap.snapshot import HostFailure


def _failure(host, message, hint="is it up?", status="timeout"):
    return HostFailure(host, status, "tcp", message, hint)


def _one(*failures):
    (group,) = folded(failures)
    return group


def test_same_words_are_one_sentence():
    """Hosts are folded."""
    group = _one(*(_failure(f"web-{number:02}", "no answer in 10 s") for number in range(1, 18)))
    assert (group.hosts, group.status, group.message, group.advice) == (
        *("web-[01-17]", "timeout", "no answer in 10 s", "hint: is it up?"),
    )


def test_single_failure_keeps_its_words():
    """Nothing is replaced where there is nothing to fold."""
    group = _one(_failure("web-01", "10.0.0.13 port 22 refused the connection"))
    assert group.message == "10.0.0.13 port 22 refused the connection"


def test_address_of_each_host_is_its_own():
    """A word that differs between hosts becomes a placeholder; a common one, here the port, stays."""
    group = _one(
        _failure("web-01", "10.0.0.13 port 22 refused the connection"),
        _failure("web-02", "web-02.example.com port 22 refused the connection"),
        _failure("web-03", "2001:db8::3 port 22 refused the connection"),
    )
    assert group.message == "ADDRESS port 22 refused the connection"


def test_name_port_and_fingerprint_of_each_host():
    """A host's own name, its port and its key fold as well."""
    group = _one(
        _failure("web-01", "web-01 port 2201: the key SHA256:abc+/1 is unknown"),
        _failure("web-02", "web-02 port 2202: the key SHA256:def+/2 is unknown"),
    )
    assert group.message == "HOST port PORT: the key FINGERPRINT is unknown"


def test_hint_that_differs_is_an_example():
    """A command is there to be copied, so it has the words of the first host, which is named."""
    group = _one(
        _failure("web-01", "cannot log in", "run `ssh -p 2201 ops@10.0.0.13 true`"),
        _failure("web-02", "cannot log in", "run `ssh -p 2202 ops@10.0.0.14 true`"),
    )
    assert group.advice == "hint, for web-01: run `ssh -p 2201 ops@10.0.0.13 true`"


def test_other_words_are_another_sentence():
    """Another status, cause or remedy is another failure; the first of each kind gives the order."""
    groups = folded(
        [
            _failure("web-09", "no answer in 10 s"),
            _failure("web-02", "no answer in 20 s"),
            _failure("web-03", "no answer in 10 s", "is the cable in?"),
            _failure("web-04", "no answer in 10 s", status="auth"),
            _failure("web-01", "no answer in 10 s"),
        ]
    )
    assert [group.hosts for group in groups] == ["web-[01,09]", "web-02", "web-03", "web-04"]


def test_name_before_the_message_is_not_said_twice():
    """Some errors begin with their host."""
    assert _one(_failure("web-01", "web-01: no answer")).message == "no answer"


def test_no_hint_no_advice():
    """An error without a remedy has none."""
    assert _one(_failure("web-01", "no answer", "")).advice == ""


def test_words_that_look_like_ours_do_no_harm():
    """A message that holds PORT and the like is a message."""
    groups = folded([_failure("a", "port 5x"), _failure("b", "port PORTx"), _failure("c", "HOST")])
    assert [group.message for group in groups] == ["port 5x", "port PORTx", "HOST"]
