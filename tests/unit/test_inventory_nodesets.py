"""Node sets to names, and names back to node sets."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpmap.inventory import fold
from fleetpmap.inventory.nodesets import expand

NAMES = st.lists(st.from_regex(r"[a-z]{1,3}-?[0-9]{0,4}(\.[a-z]{2}[0-9]?)?", fullmatch=True), max_size=12)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web", ("web",)),
        ("web[1-3]", ("web1", "web2", "web3")),
        ("web[08-11]", ("web08", "web09", "web10", "web11")),
        ("web[03,01]", ("web03", "web01")),
        ("web[0-10/5]", ("web0", "web5", "web10")),
        ("web[1, 3]", ("web1", "web3")),
        ("web1[0-2]0", ("web100", "web110", "web120")),
        ("r[1-2]n[4,3]", ("r1n4", "r1n3", "r2n4", "r2n3")),
        ("b,a[2-3],b a1\nc", ("b", "a2", "a3", "a1", "c")),
        ("10.0.[0-1].1", ("10.0.0.1", "10.0.1.1")),
        ("", ()),
        (" , ", ()),
    ],
)
def test_node_set_means_names_in_the_order_written(text: str, names: tuple[str, ...]) -> None:
    """Ranges, padding, steps, several brackets and lists; the first mention of a name counts."""
    assert expand(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web[01-", '"web[01-" is not a node set: a bracket has no partner'),
        ("web01]", '"web01]" is not a node set: a bracket has no partner'),
        ("web[[1]]", '"web[[1]]" is not a node set: a bracket has no partner'),
        ("web[]", '"web[]" is not a node set: "" is neither a number nor a range'),
        ("web[a-b]", '"web[a-b]" is not a node set: "a-b" is neither a number nor a range'),
        ("web[1-2-3]", '"web[1-2-3]" is not a node set: "1-2-3" is neither a number nor a range'),
        ("web[5-1]", '"web[5-1]" is not a node set: the range 5-1 is empty'),
        ("web[1-5/0]", '"web[1-5/0]" is not a node set: the range 1-5/0 is empty'),
        ("web[1-010]", '"web[1-010]" is not a node set: padding length mismatch : "1-010"'),
        ("r[1-1000]n[1-101]", '"r[1-1000]n[1-101]" means more than 100,000 names'),
        ("web[1-9]!web2", '"web[1-9]!web2" holds "!": write plain names and node sets here'),
    ],
)
def test_what_is_no_node_set(text: str, message: str) -> None:
    """The message has the text and what is wrong with it."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        expand(text)


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], ""),
        (["web01"], "web01"),
        (["web02", "web01", "web03", "db"], "db,web[01-03]"),
        (["web-1.example.com", "web-2.example.com"], "web-[1-2].example.com"),
        (["127.0.1.1", "127.0.1.2", "127.0.2.1", "127.0.2.2"], "127.0.[1-2].[1-2]"),
        (["web:2201", "web:2202"], "web:[2201-2202]"),
        (["[::1]:22", "web1", "web2", "@all", "a b"], "web[1-2],[::1]:22,@all,a b"),
    ],
)
def test_names_fold(names: list[str], folded: str) -> None:
    """Neighbours become ranges; a name that cannot stand in a node set follows as it is."""
    assert fold(names) == folded


@settings(deadline=None, database=None)
@given(NAMES)
def test_fold_and_expand_are_inverse(names: list[str]) -> None:
    """expand and -H read the text of fold back: no name is lost, none invented."""
    assert sorted(expand(fold(names))) == sorted(set(names))


@settings(deadline=None, database=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["web[", "%s", "a%d1", "*", "@x", "1-2", "[::1]:22"])))
def test_fold_takes_any_name(names: list[str]) -> None:
    """A weird name is shown, never an error in a report."""
    assert all(name in fold(names) for name in names if not any(character.isdigit() for character in name))


@given(
    st.lists(
        st.from_regex(r"[ab]-?[0-9]{0,3}([.-]x?[0-9]{0,2})?", fullmatch=True), min_size=2, max_size=12, unique=True
    )
)
@settings(deadline=None, database=None)  # the first example imports ClusterShell
def test_fold_is_clustershells(names: list[str]) -> None:
    """Names that differ in one number only go into one bracket, which folds as the single names do."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    assert fold(names) == str(NodeSet.fromlist(names, resolver=RESOLVER_NOGROUP))


def test_plain_names_do_not_import_clustershell() -> None:
    """A run that names hosts plainly starts without loading the node set library."""
    script = (
        "import sys; from fleetpmap.inventory import select; select(None, hosts=['ops@web01:22,::1', 'db']);"
        "print([name for name in sys.modules if name.startswith('ClusterShell')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
