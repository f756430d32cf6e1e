"""An inventory file to hosts and groups, and every mistake of a file with its address."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpmap.errors import InventoryError
from fleetpmap.inventory import Inventory, find_inventory, load

EXAMPLE = Path(__file__).parents[2] / "inventory.example.toml"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write inventory.toml and return its path."""

    def write_text(text: str) -> Path:
        path = tmp_path / "inventory.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def loaded(write: Write) -> Callable[[str], Inventory]:
    """The inventory that a text means."""
    return lambda text: load(write(text))


@pytest.fixture
def mistakes(write: Write) -> Callable[[str], list[str]]:
    """Return the mistakes of a text, one sentence each."""

    def mistakes_of(text: str) -> list[str]:
        with pytest.raises(InventoryError) as caught:
            load(write(text))
        return [str(mistake) for mistake in caught.value.mistakes]

    return mistakes_of


# Which file


def test_option_beats_the_variable() -> None:
    """-i names the inventory and beats every other place."""
    assert find_inventory("mine.toml", {"FLEETPMAP_INVENTORY": "theirs.toml"}) == Path("mine.toml")


def test_variable_beats_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$FLEETPMAP_INVENTORY is taken before ./inventory.toml, and need not exist: load() says so."""
    monkeypatch.chdir(tmp_path)
    Path("inventory.toml").touch()
    assert find_inventory(None, {"FLEETPMAP_INVENTORY": "theirs.toml"}) == Path("theirs.toml")


def test_directory_beats_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """./inventory.toml is taken before the one in the XDG directory; an empty variable names none."""
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "inventory.toml", tmp_path / "fleetpmap" / "inventory.toml"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "FLEETPMAP_INVENTORY": ""}
    assert find_inventory(None, environ) == Path("inventory.toml")


@pytest.mark.parametrize(
    ("variable", "below"), [("XDG_CONFIG_HOME", "fleetpmap"), ("HOME", ".config/fleetpmap")], ids=["xdg", "home"]
)
def test_configuration_directory_is_last(
    variable: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$XDG_CONFIG_HOME/fleetpmap/inventory.toml, and without that variable the one in ~/.config."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "place" / below / "inventory.toml"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_inventory(None, {variable: str(tmp_path / "place")}) == path


@pytest.mark.parametrize(
    "environ",
    [{}, {"HOME": "/nonexistent"}, {"XDG_CONFIG_HOME": "relative", "HOME": "/" + "x" * 5000}],
    ids=["bare", "no-home", "unusable"],
)
def test_no_inventory_at_all(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no file in any place there is no inventory, and no error."""
    monkeypatch.chdir(tmp_path)
    assert find_inventory(None, environ) is None


# What a file means


def test_example_inventory_is_what_its_comments_say() -> None:
    """The example that ships loads, and shows each rule on a host."""
    inventory = load(EXAMPLE)
    primary, web20 = inventory.hosts["db-primary"], inventory.hosts["web20"]
    edge1, edge3 = inventory.hosts["edge1.example.com"], inventory.hosts["edge3.example.com"]
    assert len(inventory.hosts) == 26
    assert (primary.address, primary.port, primary.user, primary.sudo) == ("10.0.2.10", 2222, "ops", True)
    assert primary.labels == {"role": "primary", "tier": "data", "env": "prod"}
    assert primary.identity_file == ("~/.ssh/id_ed25519", "~/.ssh/id_rsa")
    assert primary.groups == ("db", "prod")
    assert (web20.proc_root, web20.connect_timeout_s, web20.timeout_s) == ("/host/proc", 5.0, 120.0)
    assert (edge1.transport, edge1.proxy_jump, edge3.proxy_jump) == (
        "openssh",
        "ops@bastion.example.com:2222",
        "none",
    )


def test_example_inventory_shows_every_key() -> None:
    """The example teaches each key that an inventory may set."""
    keys = (
        "address user port identity_file known_hosts transport proxy_jump sudo proc_root connect_timeout_s timeout_s "
        "labels hosts children"
    )
    text = EXAMPLE.read_text(encoding="utf-8")
    assert [key for key in keys.split() if f"\n{key} = " not in text] == []


def test_hosts_come_in_the_order_of_the_file(loaded: Callable[[str], Inventory]) -> None:
    """A host stands where the file first names it, in a table or in a group; a node set keeps its order."""
    inventory = loaded(
        """
        [hosts.zeta]
        [hosts.alpha]
        [groups.web]
        hosts = ["web[03,01]", "alpha"]
        """
    )
    assert list(inventory.hosts) == ["zeta", "alpha", "web03", "web01"]
    assert inventory.groups == {"web": ("web03", "web01", "alpha")}


def test_group_holds_the_hosts_of_its_children(loaded: Callable[[str], Inventory]) -> None:
    """A group is its own hosts, then its children's, each once; a host knows its groups, nearest first."""
    inventory = loaded(
        """
        [groups.all]
        hosts = "bastion"
        children = ["eu", "us"]
        [groups.eu]
        hosts = "a[1-2]"
        [groups.us]
        hosts = "a2,a3"
        """
    )
    assert inventory.groups["all"] == ("bastion", "a1", "a2", "a3")
    assert inventory.hosts["a2"].groups == ("eu", "us", "all")


def test_nearest_setting_wins(loaded: Callable[[str], Inventory]) -> None:
    """Host table, then its group, then the group's parent, then the defaults."""
    inventory = loaded(
        """
        [defaults]
        port = 1001
        user = "default"
        proc_root = "/default"
        timeout_s = 11
        [groups.parent]
        children = ["child"]
        port = 1002
        user = "parent"
        proc_root = "/parent"
        [groups.child]
        hosts = "web"
        port = 1003
        user = "child"
        [hosts.web]
        port = 1004
        """
    )
    web = inventory.hosts["web"]
    assert (web.port, web.user, web.proc_root, web.timeout_s) == (1004, "child", "/parent", 11.0)


def test_direct_group_is_nearer_than_a_parent_of_another(loaded: Callable[[str], Inventory]) -> None:
    """A host in `outer` itself and in a child of `outer` is one step from both: here the child is silent."""
    inventory = loaded(
        """
        [groups.outer]
        hosts = "web"
        children = ["inner"]
        port = 1002
        [groups.top]
        children = ["outer", "inner"]
        port = 1003
        [groups.inner]
        hosts = "web"
        """
    )
    assert inventory.hosts["web"].port == 1002


def test_table_of_a_node_set_is_between_host_and_groups(loaded: Callable[[str], Inventory]) -> None:
    """[hosts."web[1-3]"] makes and sets three hosts; a host's own table is nearer, a group is further."""
    inventory = loaded(
        """
        [hosts."web[1-3]"]
        port = 1001
        [hosts.web2]
        port = 1002
        [groups.web]
        hosts = "web[1-4]"
        port = 1003
        """
    )
    assert [(host.name, host.port) for host in inventory.hosts.values()] == [
        ("web1", 1001),
        ("web2", 1002),
        ("web3", 1001),
        ("web4", 1003),
    ]


def test_labels_merge_key_by_key(loaded: Callable[[str], Inventory]) -> None:
    """A nearer table replaces a label, not all of them."""
    inventory = loaded(
        """
        [defaults]
        labels = { env = "prod", rack = "none" }
        [hosts.web]
        labels = { rack = "r7", "app.name" = "shop" }
        """
    )
    assert inventory.hosts["web"].labels == {"rack": "r7", "app.name": "shop", "env": "prod"}


def test_defaults_are_kept_for_ad_hoc_hosts(loaded: Callable[[str], Inventory]) -> None:
    """[defaults] alone is an inventory: a pattern for the names that -H brings."""
    inventory = loaded('[defaults]\nuser = "ops"\nlabels = { env = "lab" }')
    assert (inventory.hosts, inventory.defaults.user, inventory.defaults.labels) == ({}, "ops", {"env": "lab"})


def test_names_are_lower_cased(loaded: Callable[[str], Inventory]) -> None:
    """So that a group and a table that differ in case mean one host."""
    inventory = loaded('[hosts."Web.Example.com"]\nport = 1001\n[groups.web]\nhosts = "WEB.example.com"')
    assert list(inventory.hosts) == ["web.example.com"]
    assert inventory.groups == {"web": ("web.example.com",)}


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("[hosts.Web01]", {"web01": "Web01"}),
        ('[hosts."APP-[1-2]"]', {"app-1": "APP-1", "app-2": "APP-2"}),
        ('[groups.web]\nhosts = ["Web01", "WEB01", "web02"]', {"web01": "Web01", "web02": None}),
        ('[groups.web]\nhosts = "Web01"\n[hosts.web01]\nport = 22', {"web01": None}),
        ('[groups.web]\nhosts = "WEB01"\n[hosts.Web01]\nport = 22', {"web01": "Web01"}),
        ('[hosts.Web01]\naddress = "10.0.0.1"', {"web01": "10.0.0.1"}),
    ],
)
def test_ssh_is_asked_for_a_name_as_it_is_written(
    loaded: Callable[[str], Inventory], text: str, addresses: dict[str, str | None]
) -> None:
    """The host's own table decides on the spelling, else the first one; an address beats it."""
    assert {name: host.address for name, host in loaded(text).hosts.items()} == addresses


def test_local_is_this_machine(loaded: Callable[[str], Inventory]) -> None:
    """The reserved name goes without SSH even where a group says otherwise."""
    inventory = loaded('[groups.all]\nhosts = ["local", "web"]\ntransport = "openssh"')
    assert [host.transport for host in inventory.hosts.values()] == ["local", "openssh"]


def test_relative_files_are_beside_the_inventory(loaded: Callable[[str], Inventory], tmp_path: Path) -> None:
    """identity_file and known_hosts are one path or several; `~` stays for the transport."""
    inventory = loaded('[hosts.web]\nidentity_file = ["keys/a", "~/b", "/c"]\nknown_hosts = "known"')
    assert inventory.hosts["web"].identity_file == (str(tmp_path / "keys" / "a"), "~/b", "/c")
    assert inventory.hosts["web"].known_hosts == (str(tmp_path / "known"),)


def test_ipv6_address_can_be_a_name(loaded: Callable[[str], Inventory]) -> None:
    """A host may be called by its IPv6 address, with a zone."""
    assert list(loaded('[hosts."2001:DB8::1"]\n[hosts."fe80::1%eth0"]').hosts) == ["2001:db8::1", "fe80::1%eth0"]


def test_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """A file that an editor began with a UTF-8 byte order mark is read."""
    path = tmp_path / "inventory.toml"
    path.write_bytes(b"\xef\xbb\xbf[hosts.web]\n")
    assert list(load(path).hosts) == ["web"]


# What is wrong with a file


def test_every_mistake_is_reported_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run shows all there is to mend, in the order of the file."""
    monkeypatch.chdir(tmp_path)
    Path("inventory.toml").write_text(
        '[defaults]\nsudo = "yes"\n[groups.web]\nhosts = "web[01-"\n[hosts.web-03]\nport = "22a"\n', encoding="utf-8"
    )
    with pytest.raises(InventoryError) as caught:
        load(Path("inventory.toml"))
    assert str(caught.value) == (
        'inventory.toml: expected true or false, got "yes" - at defaults.sudo\n'
        'inventory.toml: "web[01-" is not a node set: a bracket has no partner - at groups.web.hosts\n'
        'inventory.toml: expected an integer, got "22a" - at hosts.web-03.port'
    )


@pytest.mark.parametrize(
    ("setting", "mistake"),
    [
        ("port = true", "expected an integer, got true - at hosts.web.port"),
        ("port = 0", "expected a port from 1 to 65535, got 0 - at hosts.web.port"),
        ("port = 65536", "expected a port from 1 to 65535, got 65536 - at hosts.web.port"),
        ("timeout_s = 0", "expected a positive number of seconds, got 0 - at hosts.web.timeout_s"),
        ("timeout_s = inf", "expected a positive number of seconds, got inf - at hosts.web.timeout_s"),
        ('connect_timeout_s = "5"', 'expected a number of seconds, got "5" - at hosts.web.connect_timeout_s'),
        ("sudo = 1", "expected true or false, got 1 - at hosts.web.sudo"),
        ("user = 7", "expected a string, got 7 - at hosts.web.user"),
        ('user = ""', "expected a string, got an empty one - at hosts.web.user"),
        ('transport = "telnet"', 'expected "ssh", "openssh" or "local", got "telnet" - at hosts.web.transport'),
        ('proc_root = "proc"', 'expected an absolute path, got "proc" - at hosts.web.proc_root'),
        ("identity_file = [3]", "expected a path or a list of paths, got a list - at hosts.web.identity_file"),
        ("known_hosts = {}", "expected a path or a list of paths, got a table - at hosts.web.known_hosts"),
        ('labels = "x"', 'expected a table such as { rack = "r1" }, got "x" - at hosts.web.labels'),
        ('labels = { "a.b" = 1 }', 'expected a string, got 1 - at hosts.web.labels."a.b"'),
        (
            'proxy_jump = "a, b"',
            'expected [user@]host[:port], comma-separated for a chain, got "a, b" - at hosts.web.proxy_jump',
        ),
        (
            'address = "10.0.0.1:22"',
            'expected a name or an IP address, got "10.0.0.1:22": '
            "only an IPv6 address has a colon or a percent sign - at hosts.web.address",
        ),
    ],
)
def test_value_of_the_wrong_kind(setting: str, mistake: str, mistakes: Callable[[str], list[str]]) -> None:
    """Each key says what it expects and what it got."""
    assert mistakes(f"[hosts.web]\n{setting}\n") == [mistake]


@pytest.mark.parametrize("setting", ["address", "user", "proxy_jump"])
def test_value_that_ssh_would_take_for_an_option(setting: str, mistakes: Callable[[str], list[str]]) -> None:
    """Nothing that reaches ssh's command line may begin with `-`."""
    (mistake,) = mistakes(f'[hosts.web]\n{setting} = "-oProxyCommand=x"\n')
    assert mistake.endswith(f" - at hosts.web.{setting}")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[hosts.web]\nprot = 22", 'unknown key, did you mean "port"? - at hosts.web.prot'),
        ('[hosts.web]\nlabel = { a = "b" }', 'unknown key, did you mean "labels"? - at hosts.web.label'),
        ('[groups.web]\nchild = "db"', 'unknown key, did you mean "children"? - at groups.web.child'),
        ('[default]\nuser = "ops"', 'unknown key, did you mean "defaults"? - at default'),
        ("zzz = 1", "unknown key, known are defaults groups hosts - at zzz"),
        ('hosts = ["web"]', "expected a table, got a list - at hosts"),
        ('[hosts]\nweb = "10.0.0.1"', 'expected a table [hosts.web], got "10.0.0.1" - at hosts.web'),
    ],
)
def test_key_that_nobody_knows(text: str, mistake: str, mistakes: Callable[[str], list[str]]) -> None:
    """An unknown key is named with the nearest known one."""
    assert mistakes(text) == [mistake]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[hosts.web.example.com]\nport = 22\n[hosts.web.example.org]",
            [
                'a name with dots needs quotes: write [hosts."web.example.com"] - at hosts.web.example.com',
                'a name with dots needs quotes: write [hosts."web.example.org"] - at hosts.web.example.org',
            ],
        ),
        ("[hosts.10.0.0.1]", ['a name with dots needs quotes: write [hosts."10.0.0.1"] - at hosts.10.0.0.1']),
        (
            '[groups.prod.eu]\nhosts = "a"',
            ['a name with dots needs quotes: write [groups."prod.eu"] - at groups.prod.eu'],
        ),
    ],
    ids=["name", "address", "group"],
)
def test_name_with_dots_and_no_quotes(text: str, expected: list[str], mistakes: Callable[[str], list[str]]) -> None:
    """TOML reads a dotted name as tables inside tables; the message has the spelling that works."""
    assert mistakes(text) == expected


def test_two_spellings_of_one_host(mistakes: Callable[[str], list[str]]) -> None:
    """Two tables with names that are equal in lower case are a mistake."""
    assert mistakes("[hosts.web]\n[hosts.Web]") == [
        "the same host as hosts.web: names are compared in lower case - at hosts.Web"
    ]


def test_local_never_goes_by_ssh(mistakes: Callable[[str], list[str]]) -> None:
    """The reserved name cannot be given to a host behind SSH."""
    assert mistakes('[hosts.local]\ntransport = "ssh"') == [
        '"local" is this machine, never by SSH: give the host another name - at hosts.local.transport'
    ]


@pytest.mark.parametrize(
    ("hosts", "mistake"),
    [
        ("'ops@web'", '"ops@web" cannot be a host\'s name: it holds "@" (user and port are keys of the host\'s table)'),
        ("'@db'", '"@db" cannot be a host\'s name: it holds "@" (a group in a group goes into children)'),
        ("'web*'", '"web*" cannot be a host\'s name: it holds "*"'),
        ("'-web'", '"-web" cannot be a host\'s name: it begins with -, which ssh takes for an option'),
        ("'web!web1'", '"web!web1" holds "!": write plain names and node sets here'),
        ("' '", '" " names no host'),
        ("7", "expected a string or a list of strings, got 7"),
    ],
)
def test_group_that_lists_no_host_names(hosts: str, mistake: str, mistakes: Callable[[str], list[str]]) -> None:
    """A group lists names and node sets; the address counts the place in the list."""
    assert mistakes(f"[groups.web]\nhosts = ['web01', {hosts}]") == [f"{mistake} - at groups.web.hosts[1]"]


def test_child_that_does_not_exist(mistakes: Callable[[str], list[str]]) -> None:
    """A child must be a group of the file."""
    assert mistakes('[groups.prod]\nchildren = ["wbe"]\n[groups.web]') == [
        'there is no group "wbe", did you mean "web"? - at groups.prod.children[0]'
    ]


def test_child_whose_table_is_broken(mistakes: Callable[[str], list[str]]) -> None:
    """A broken group is reported once, where it is broken."""
    assert mistakes('[groups]\nweb = 3\nprod = { children = ["web"] }') == [
        "expected a table [groups.web], got 3 - at groups.web"
    ]


def test_children_in_circles(mistakes: Callable[[str], list[str]]) -> None:
    """Each circle is shown once, from group to child."""
    found = mistakes(
        """
        [groups.a]
        children = "b"
        [groups.b]
        children = ["c", "b"]
        [groups.c]
        children = "a"
        """
    )
    assert sorted(found) == [
        "children go in a circle: a → b → c → a - at groups.a.children",
        "children go in a circle: b → b - at groups.b.children",
    ]


def test_groups_of_one_depth_that_disagree(mistakes: Callable[[str], list[str]]) -> None:
    """Two groups, two values, nothing nearer: both addresses, once, with the hosts folded."""
    assert mistakes(
        """
        [groups.web]
        hosts = "web[01-05]"
        port = 22
        labels = { tier = "front" }
        [groups.canary]
        hosts = "web[03-05]"
        port = 2222
        labels = { tier = "front" }
        """
    ) == [
        "web[03-05] would get both 22 and 2222; set it nearer, in a host's table"
        " - at groups.web.port and groups.canary.port"
    ]


def test_disagreement_that_a_nearer_table_settles(loaded: Callable[[str], Inventory]) -> None:
    """A setting in the host's own table cannot clash."""
    inventory = loaded(
        """
        [groups.web]
        hosts = "web"
        port = 22
        [groups.canary]
        hosts = "web"
        port = 2222
        [hosts.web]
        port = 23
        """
    )
    assert inventory.hosts["web"].port == 23


def test_labels_that_disagree(mistakes: Callable[[str], list[str]]) -> None:
    """Labels clash one by one, with the label's address."""
    assert mistakes(
        """
        [groups.a]
        hosts = "web"
        labels = { tier = "front", rack = "r1" }
        [groups.b]
        hosts = "web"
        labels = { tier = "back" }
        """
    ) == [
        'web would get both "front" and "back"; set it nearer, in a host\'s table'
        " - at groups.a.labels.tier and groups.b.labels.tier"
    ]


def test_toml_syntax_error_has_line_and_column(write: Write) -> None:
    """The place that tomllib names is the address, and the hint is the usual reason."""
    with pytest.raises(InventoryError, match=r"not valid TOML: .* - at line 2, column 11") as caught:
        load(write("[defaults]\n[hosts.web[01-20]]\n"))
    assert caught.value.hint == 'names with brackets or dots need quotes: [hosts."web[01-20]"]'


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[groups.web]\nhosts = "web-01\n', 'a text needs quotes at both ends; the line is: hosts = "web-01'),
        ("[hosts.a]\nuser = ops\n", "a text needs quotes at both ends; the line is: user = ops"),
        ("[hosts.a]\n[hosts.a]\n", "write each table and each key once"),
        ("[hosts.a]\nport = 1\nport = 2\n", "write each table and each key once"),
        ('[hosts."a"', 'names with brackets or dots need quotes: [hosts."web[01-20]"]'),
    ],
)
def test_toml_syntax_error_has_the_likely_reason(write: Write, text: str, hint: str) -> None:
    """By the line, and by what tomllib says of it."""
    with pytest.raises(InventoryError) as caught:
        load(write(text))
    assert caught.value.hint == hint


def test_file_that_does_not_exist(tmp_path: Path) -> None:
    """One sentence, and the places that an inventory is named in."""
    with pytest.raises(InventoryError, match="no such file") as caught:
        load(tmp_path / "none.toml")
    assert (
        caught.value.hint == "the inventory is named by -i/--inventory or $FLEETPMAP_INVENTORY, or is ./inventory.toml"
    )


def test_directory_instead_of_a_file(tmp_path: Path) -> None:
    """A directory is Ansible's, unless it has our file: the hint is that one."""
    (tmp_path / "inventory.toml").touch()
    with pytest.raises(InventoryError, match="a directory, not a file") as caught:
        load(tmp_path)
    assert caught.value.hint == f"name the file: {tmp_path}/inventory.toml"


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """Any other failure of the system is passed on in its words."""
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with pytest.raises(InventoryError, match=r"loop\.toml: cannot be read: Too many levels of symbolic links"):
        load(tmp_path / "loop.toml")


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    """The offending byte and its place are named."""
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(InventoryError, match="not a text in UTF-8: byte 5 is 0xe9"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("inventory.json", '{"a":' * 100_000),
        ("inventory.toml", "a = " + "[" * 100_000),
        ("inventory.json", f'{{"all": {"9" * 5000}}}'),
        ("inventory.toml", f"a = {'9' * 5000}"),
        ("inventory.toml", f"[hosts{'.hosts' * 100_000}]"),
        ("inventory.toml", "[hosts" + ' . "web"' * 100_000 + "]"),
    ],
    ids=["json nested", "toml nested", "json number", "toml number", "dots", "quoted dots"],
)
@pytest.mark.timed
def test_excess_is_a_mistake_of_the_file(tmp_path: Path, name: str, text: str) -> None:
    """A text beyond Python's depth, its digits, or the time of its parser is refused in one sentence, and soon."""
    (tmp_path / name).write_text(text)
    began = time.process_time()
    with pytest.raises(InventoryError, match="nested too deep, or a number too long, to be read"):
        load(tmp_path / name)
    assert time.process_time() - began < 6


@pytest.mark.timed
def test_loading_is_linear(tmp_path: Path) -> None:
    """Neither many groups, as Ansible makes one for each tag, nor many empty lines of a file with a mistake add up."""
    (tmp_path / "groups.toml").write_text("".join(f'[groups.tag-{n}]\nhosts = "web-{n}"\n' for n in range(4000)))
    (tmp_path / "empty.toml").write_text(f"{chr(10) * 100_000}x")
    began = time.process_time()
    assert load(tmp_path / "groups.toml").groups["tag-3999"] == ("web-3999",)
    with pytest.raises(InventoryError, match="not valid TOML"):
        load(tmp_path / "empty.toml")
    assert time.process_time() - began < 6
