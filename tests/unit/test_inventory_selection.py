"""Options to an ordered tuple of hosts."""

from __future__ import annotations

import time

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.inventory import Host, Inventory, select

WEB01 = Host(name="web01", user="www", groups=("web", "prod"))
WEB02 = Host(name="web02", user="www", groups=("web", "prod"))
DB01 = Host(name="db01", address="10.0.0.5", port=2200, sudo=True, groups=("db", "prod"))
EDGE = Host(name="edge.example.com", transport="openssh")
TREE = Host(name="tree", transport="local", proc_root="/srv/recorded")

FLEET = Inventory(
    hosts={host.name: host for host in (WEB01, WEB02, DB01, EDGE, TREE)},
    groups={"web": ("web01", "web02"), "db": ("db01",), "prod": ("web01", "web02", "db01"), "none": ()},
    defaults=Host(name="", user="ops", timeout_s=7.0, labels={"env": "lab"}),
    path="inventory.toml",
)


def names(hosts: tuple[Host, ...]) -> list[str]:
    return [host.name for host in hosts]


# Nobody named


def test_inventory_alone_means_all_its_hosts() -> None:
    """Without -H, -g and --hosts-from every host is asked, as the inventory has it."""
    assert select(FLEET) == (WEB01, WEB02, DB01, EDGE, TREE)


def test_nothing_at_all_means_this_machine() -> None:
    """Without an inventory and without names the one host is `local`."""
    assert select(None) == (Host(name="local", transport="local"),)


def test_inventory_without_hosts_needs_names() -> None:
    """Defaults alone do not fall back to this machine: the user meant a fleet."""
    with pytest.raises(UsageError) as caught:
        select(Inventory(hosts={}, path="inventory.toml"))
    assert str(caught.value) == ("inventory.toml: it has no hosts\nhint: add a table [hosts.NAME], or use -H")


# -H


def test_name_of_the_inventory_brings_its_settings() -> None:
    """-H of a known host is that host; letter case does not matter."""
    assert select(FLEET, hosts=["DB01"]) == (DB01,)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["Web01"], [("web01", "Web01")]),
        (["UPPER.example.COM:2222"], [("upper.example.com:2222", "UPPER.example.COM")]),
        (["APP-[1-2],app-1"], [("app-1", "APP-1"), ("app-2", "APP-2")]),
        (["Web01", "web01", "WEB01"], [("web01", "Web01")]),
        (["ops@Web01,me@web01"], [("ops@web01", "Web01"), ("me@web01", "web01")]),
    ],
)
def test_ssh_is_asked_for_an_ad_hoc_name_as_it_is_typed(typed: list[str], expected: list[tuple[str, str]]) -> None:
    """ssh_config tells upper and lower case apart; two spellings are one host all the same, called in lower case."""
    assert [(host.name, host.address) for host in select(None, hosts=typed)] == expected


def test_inventory_s_spelling_beats_the_typed_one() -> None:
    """A host that is known is asked for as always."""
    known = Inventory(hosts={"app": Host(name="app", address="App"), "web": Host(name="web")})
    assert [host.address for host in select(known, hosts=["APP,WEB"])] == ["App", None]


def test_ad_hoc_name_gets_the_defaults() -> None:
    """A name that no table has is [defaults] under that name."""
    assert select(FLEET, hosts=["new"]) == (Host(name="new", user="ops", timeout_s=7.0, labels={"env": "lab"}),)


def test_order_is_as_written_and_the_first_mention_counts() -> None:
    """Node sets are expanded in place and not sorted; a name said again changes nothing."""
    assert names(select(FLEET, hosts=["zeta,web[02,01]", "alpha", "web01"])) == ["zeta", "web02", "web01", "alpha"]


def test_fifty_loopback_addresses() -> None:
    """A range in an address is a node set like any other."""
    hosts = select(None, hosts=["127.0.1.[1-50]"])
    assert (len(hosts), hosts[0].name, hosts[49].name) == (50, "127.0.1.1", "127.0.1.50")


@pytest.mark.parametrize(
    ("text", "name", "address", "user", "port"),
    [
        ("new", "new", None, None, None),
        ("me@new", "new", None, "me", None),
        ("new:2222", "new:2222", "new", None, 2222),
        ("me@new:2222", "new:2222", "new", "me", 2222),
        ("me@corp@new", "new", None, "me@corp", None),
        ("::1", "::1", None, None, None),
        ("me@2001:DB8::1", "2001:db8::1", None, "me", None),
        ("[::1]:22", "[::1]:22", "::1", None, 22),
        ("me@[fe80::1%eth0]:22", "[fe80::1%eth0]:22", "fe80::1%eth0", "me", 22),
        ("[::1]", "::1", None, None, None),
        ("10.0.0.1:22", "10.0.0.1:22", "10.0.0.1", None, 22),
    ],
)
def test_host_as_ssh_users_write_it(
    text: str, name: str, address: str | None, user: str | None, port: int | None
) -> None:
    """user@name:port, IPv6 bare and in brackets: called as typed, without the user."""
    (host,) = select(None, hosts=[text])
    assert (host.name, host.address, host.user, host.port) == (name, address, user, port)


def test_user_and_port_belong_to_every_host_of_a_node_set() -> None:
    """user@web[01-02]:2222 is two hosts with that user and port."""
    hosts = select(None, hosts=["me@web[01-02]:2222"])
    assert [(host.name, host.user, host.port) for host in hosts] == [
        ("web01:2222", "me", 2222),
        ("web02:2222", "me", 2222),
    ]


def test_ports_can_be_a_node_set() -> None:
    """Several servers on one address, as fold writes them."""
    hosts = select(None, hosts=["127.0.0.1:[2201-2203]"])
    assert [(host.name, host.port) for host in hosts] == [
        ("127.0.0.1:2201", 2201),
        ("127.0.0.1:2202", 2202),
        ("127.0.0.1:2203", 2203),
    ]


def test_ipv6_addresses_can_be_a_node_set() -> None:
    """Brackets without a colon inside are a node set, also at the end of an address."""
    assert names(select(None, hosts=["2001:db8::[1-2]"])) == ["2001:db8::1", "2001:db8::2"]


def test_user_and_port_typed_beat_the_inventory() -> None:
    """The rest of the host's settings stay, its address too."""
    (host,) = select(FLEET, hosts=["me@db01:22"])
    assert host == Host(name="db01:22", address="10.0.0.5", user="me", port=22, sudo=True, groups=("db", "prod"))


def test_one_host_as_two_users_has_the_user_in_its_names() -> None:
    """Names stay different; the one without a user keeps its own."""
    hosts = select(FLEET, hosts=["me@web01", "web01", "me@web02"])
    assert [(host.name, host.user, host.address) for host in hosts] == [
        ("me@web01", "me", "web01"),
        ("web01", "www", None),
        ("web02", "me", None),
    ]


def test_local_is_this_machine_without_ssh() -> None:
    """`local` needs no inventory, and takes its place beside others."""
    assert [(host.name, host.transport) for host in select(None, hosts=["web", "local"])] == [
        ("web", "ssh"),
        ("local", "local"),
    ]


@pytest.mark.parametrize("text", ["me@local", "local:22", "me@tree"])
def test_user_or_port_without_ssh(text: str) -> None:
    """A user or port without a meaning is refused, not dropped."""
    with pytest.raises(UsageError, match="a user or a port means nothing to a host that is reached without SSH"):
        select(FLEET, hosts=[text])


def test_glob_chooses_from_the_inventory() -> None:
    """web* selects every host with that beginning, in the inventory's order."""
    assert names(select(FLEET, hosts=["WEB*,?b01"])) == ["web01", "web02", "db01"]


def test_glob_that_matches_nothing() -> None:
    """A glob cannot be ad hoc."""
    with pytest.raises(UsageError, match=r'^-H: no host of the inventory matches "cache\*"'):
        select(FLEET, hosts=["web*,cache*"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@prod!web02", ["web01", "db01"]),
        ("@prod&@db", ["db01"]),
        ("web[01-02]^web[02-03]", ["web01", "web03"]),
        ("web01,db01!web*", ["db01"]),
        ("me@web01:22,me@web02:22!web01", ["web02:22"]),
    ],
)
def test_set_algebra(text: str, expected: list[str]) -> None:
    """From left to right, as ClusterShell does; a name without user and port means the host with any."""
    assert names(select(FLEET, hosts=[text])) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web[01-", '-H: "web[01-" is not a node set: a bracket has no partner'),
        ("web[1-3,]", '-H: "web[1-3,]" is not a node set: "" is neither a number nor a range'),
        ("", '-H: "" names no host'),
        ("me@", '-H: "" cannot be a host\'s name: it is empty'),
        ("web:", '-H: "" is not a port from 1 to 65535'),
        ("web:70000", '-H: "70000" is not a port from 1 to 65535'),
        ("web:ssh", '-H: "ssh" is not a port from 1 to 65535'),
        ("1:2:3", '-H: "1:2:3" cannot be a host\'s name: only an IPv6 address has a colon or a percent sign'),
        ("[::x]:22", '-H: "::x" is not an IPv6 address'),
        (
            "-oProxyCommand=x",
            '-H: "-oProxyCommand=x" cannot be a host\'s name: it begins with -, which ssh takes for an option',
        ),
        ("-l@web", '-H: "-l" cannot be a login name: it begins with -, which ssh takes for an option'),
        ("we;b", '-H: "we;b" cannot be a host\'s name: it holds ";"'),
        ("!web", '-H: nothing stands before "!"'),
        ("web&", '-H: nothing follows "&"'),
        ("web!web", "no host to ask: none in -H"),
    ],
)
def test_what_no_option_can_mean(text: str, message: str) -> None:
    """One sentence with the option and the text."""
    with pytest.raises(UsageError) as caught:
        select(FLEET, hosts=[text])
    assert caught.value.message == message
    assert caught.value.hint


# -g and --hosts-from


def test_groups_follow_hosts() -> None:
    """-H and -g are a union; -g may be repeated or hold commas."""
    assert names(select(FLEET, hosts=["new", "db01"], groups=["db,web"])) == ["new", "db01", "web01", "web02"]


@pytest.mark.parametrize(
    ("group", "hint"), [("wbe", 'did you mean "web"?'), ("x", "the groups are web, db, prod, none")]
)
def test_group_that_does_not_exist(group: str, hint: str) -> None:
    """The nearest group is the hint, or all of them."""
    with pytest.raises(UsageError) as caught:
        select(FLEET, groups=[group])
    assert (caught.value.message, caught.value.hint) == (f'-g: there is no group "{group}"', hint)


def test_group_without_an_inventory() -> None:
    """The hint says where groups come from."""
    with pytest.raises(UsageError, match=r'^-H: there is no group "web"\nhint: groups come from an inventory'):
        select(None, hosts=["@web"])


def test_group_without_hosts() -> None:
    """An empty group is not all hosts."""
    with pytest.raises(UsageError, match=r"^no host to ask: none in -g"):
        select(FLEET, groups=["none"])


def test_hosts_from_lines() -> None:
    """A pattern a line; comments and empty lines are nothing; the lines come last and replace "all hosts"."""
    lines = ["# of today\n", "\n", "web[02,01]  # the two\n", "me@new db01\n"]
    assert names(select(FLEET, hosts=["first"], hosts_from=lines)) == ["first", "web02", "web01", "new", "db01"]
    assert names(select(FLEET, hosts_from=["new"])) == ["new"]


def test_hosts_from_an_empty_file() -> None:
    """A list that came out empty must not become the whole fleet."""
    with pytest.raises(UsageError, match=r"^no host to ask: none in --hosts-from"):
        select(FLEET, hosts_from=["# nobody today\n"])


def test_hosts_from_a_bad_line() -> None:
    """The message names the option and the line's text."""
    with pytest.raises(UsageError, match=r'^--hosts-from: "web\[1" is not a node set'):
        select(FLEET, hosts_from=["web[1"])


# --limit and --exclude


def test_limit_keeps_what_it_names() -> None:
    """Several limits add up; the order stays that of the selection."""
    assert names(select(FLEET, limit=["@db", "web02,elsewhere"])) == ["web02", "db01"]


def test_exclude_drops_what_it_names() -> None:
    """A glob, a group and a node set, and a name that was not selected does no harm."""
    assert names(select(FLEET, exclude=["*.example.com", "@db", "web[02-09]"])) == ["web01", "tree"]


def test_exclude_comes_after_limit() -> None:
    """A host in both is dropped."""
    assert names(select(FLEET, limit=["@prod"], exclude=["@web"])) == ["db01"]


def test_pattern_without_user_and_port_means_any() -> None:
    """--exclude web01 drops web01 however it was typed, --exclude web02:22 only that port, --limit a glob of names."""
    hosts = ["me@web01:22", "web02:22", "web02:23", "db01"]
    assert names(select(FLEET, hosts=hosts, limit=["web*"], exclude=["web01", "web02:22"])) == ["web02:23"]


@pytest.mark.parametrize(
    ("limit", "exclude", "message"),
    [
        (["cache*", "new"], [], "no host is left: --limit cache* new excludes all of db01,web[01-02]"),
        ([], ["@prod"], "no host is left: --exclude @prod excludes all of db01,web[01-02]"),
    ],
)
def test_nobody_left(limit: list[str], exclude: list[str], message: str) -> None:
    """The option that dropped the last host is named, with those that there were."""
    with pytest.raises(UsageError) as caught:
        select(FLEET, groups=["prod"], limit=limit, exclude=exclude)
    assert caught.value.message == message


def test_nobody_left_by_a_misspelling() -> None:
    """The nearest host or group is named."""
    with pytest.raises(UsageError, match=r'^no host is left: --limit wbe excludes all of .*\nhint: did you mean "web"'):
        select(FLEET, limit=["wbe"])


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({"exclude": ["dbs"]}, ['--exclude dbs matches no host; did you mean "db"?']),
        ({"limit": ["web", "cache*"]}, ["--limit cache* matches no host"]),
        ({"limit": ["web"], "exclude": ["db", "web1"]}, ['--exclude web1 matches no host; did you mean "web01"?']),
        ({"exclude": ["web[02-09]"]}, []),
    ],
)
def test_pattern_that_matches_nothing_is_noted(options: dict[str, list[str]], notes: list[str]) -> None:
    """Else the hosts that a misspelled --exclude was to spare would be asked. One that --limit dropped is a match."""
    heard: list[str] = []
    select(FLEET, **options, note=heard.append)
    assert heard == notes


@pytest.mark.parametrize("option", ["limit", "exclude"])
def test_narrowing_by_an_unknown_group(option: str) -> None:
    """A misspelled group would leave hosts in that were meant to be out."""
    with pytest.raises(UsageError, match=f'^--{option}: there is no group "prd"\nhint: did you mean "prod"'):
        select(FLEET, **{option: ["@prd"]})


# --limit and --exclude as Ansible spells them


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prod:&db", ["db01"]),
        ("prod:!db", ["web01", "web02"]),
        ("prod,!db", ["web01", "web02"]),
        ("!web:prod", ["db01"]),
        ("web:&prod:!web02", ["web01"]),
        ("web01:&prod:db", ["web01", "db01"]),
        ("web:db", ["web01", "web02", "db01"]),
        ("!prod", ["edge.example.com", "tree"]),
        ("all:!@prod", ["edge.example.com", "tree"]),
        ("&db", ["db01"]),
        (r"~(web|db)\d+", ["web01", "web02", "db01"]),
        (r"web*:!~\w+1$", ["web02"]),
        (r"~eb01", []),
        ("d?", ["db01"]),
        ("web[01-20]:!web02", ["web01"]),
        ("web01:22:db", ["db01"]),
        ("web01:[22-23]:!db", []),
        ("[fe80::1]:22:web02", ["web02"]),
    ],
)
def test_ansible_patterns(text: str, expected: list[str]) -> None:
    """Parts without a sign come first, then every &, then every !, in any written order; a group needs no @."""
    if expected:
        assert names(select(FLEET, limit=[text])) == expected
    else:
        with pytest.raises(UsageError, match=r"^no host is left"):
            select(FLEET, limit=[text])


def test_narrowing_takes_linear_time() -> None:
    """Each colon looked ahead to the end of its brackets: for these it took a minute."""
    began = time.process_time()
    with pytest.raises(UsageError, match="is not an IPv6 address"):
        select(FLEET, limit=[f"web*:[{':' * 200_000}]"])
    assert time.process_time() - began < 5


def test_exclude_takes_ansible_patterns_too() -> None:
    """The hosts that it matches are dropped."""
    assert names(select(FLEET, exclude=["web:&prod:!web02", "tree"])) == ["web02", "db01", "edge.example.com"]


def test_name_of_host_and_group_is_the_host() -> None:
    """As in every other option; the group is @web."""
    fleet = Inventory(
        hosts={name: Host(name) for name in ("web", "web01")}, groups={"web": ("web01",)}, defaults=FLEET.defaults
    )
    assert names(select(fleet, limit=["web"])) == ["web"]
    assert names(select(fleet, limit=["@web"])) == ["web01"]


def test_colon_before_a_number_is_a_port() -> None:
    """host:port is older here than Ansible's separator, and IPv6 addresses are whole."""
    hosts = ["web01:22", "web01:23", "2001:db8::1", "[::1]:22", "db01"]
    assert names(select(FLEET, hosts=hosts, limit=["web01:22:db01"])) == ["web01:22", "db01"]
    assert names(select(FLEET, hosts=hosts, limit=["2001:db8::1"])) == ["2001:db8::1"]
    assert names(select(FLEET, hosts=hosts, limit=["web01:[22,23]:[::1]:22"])) == ["web01:22", "web01:23", "[::1]:22"]


def test_operators_between_terms_still_go_from_left_to_right() -> None:
    """ClusterShell's algebra, when no separator stands before the operator."""
    assert names(select(FLEET, limit=["web!web02,db"])) == ["web01", "db01"]
    assert names(select(FLEET, limit=["prod & db"])) == ["db01"]


def test_bad_regular_expression() -> None:
    """One sentence, and why it may be cut short."""
    with pytest.raises(UsageError, match=r'^--limit: "~\(web" is not a regular expression: .*\nhint: a comma, a colon'):
        select(FLEET, limit=["~(web"])


def test_place_in_a_group_is_refused() -> None:
    """Ansible's web[0:2] would be another thing than the node set web[0-2]."""
    with pytest.raises(UsageError, match="cannot be a host's name"):
        select(FLEET, limit=["web[0:2]:!db"])


def test_a_group_given_as_a_host_is_told():
    """A host may be called like a group, so it is asked; but as a rule the group was meant."""
    fleet = Inventory(hosts={"web-01": Host("web-01"), "db": Host("db")}, groups={"web": ("web-01",), "db": ("db",)})
    notes: list[str] = []
    assert [host.name for host in select(fleet, hosts=["web", "db", "web-01"], note=notes.append)] == [
        "web",
        "db",
        "web-01",
    ]
    assert notes == ["web is asked as a host, which the inventory does not have; its group of that name is @web"]


def test_a_limit_to_a_host_of_another_group():
    """Its name is right, so no other one is guessed."""
    fleet = Inventory(hosts={name: Host(name) for name in ("web-01", "db-01")}, groups={"web": ("web-01",)})
    with pytest.raises(UsageError, match=r"excludes all of web-01\nhint: db-01 is in the inventory, but not among"):
        select(fleet, groups=["web"], limit=["db-01"])
