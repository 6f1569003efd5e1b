"""nft's JSON back into objects, across versions and tampering. The kernel's own listings are read in tests/lab."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import InvalidInput
from outgate.nft.listing import read_listing
from outgate.nft.objects import (
    ACCEPT,
    Compare,
    Counter,
    Field,
    Hook,
    KeyType,
    Limit,
    Lookup,
    NftSet,
    Opaque,
    Reject,
    Ruleset,
    StampMark,
    Statement,
    VerdictMap,
    goto,
)

TABLE = {"table": {"family": "inet", "name": "outgate", "handle": 1}}
CT_MARK = {"ct": {"key": "mark"}}
DADDR = {"payload": {"protocol": "ip", "field": "daddr"}}
PORT = {"payload": {"protocol": "th", "field": "dport"}}


def listing(*items: object) -> str:
    """A document as nft prints it."""
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, TABLE, *items]})


def read(*items: object) -> Ruleset:
    """The table of a document."""
    found = read_listing(listing(*items))
    assert found is not None
    return found


def statement(expression: Any) -> Statement:
    """What one expression of a rule is read as."""
    where = {"family": "inet", "table": "outgate"}
    rule = where | {"chain": "c", "handle": 2, "expr": [expression]}
    (found,) = read({"chain": where | {"name": "c", "handle": 1}}, {"rule": rule}).chains["c"].rules
    return found.statements[0]


def match(left: Any, right: Any, operator: str = "==") -> dict[str, Any]:
    """A comparison in JSON."""
    return {"match": {"op": operator, "left": left, "right": right}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            match(CT_MARK, {"prefix": {"addr": 65536, "len": 16}}),
            Compare(Field.CT_MARK, 1 << 16, 1 << 16, mask=0xFFFF0000),
        ),
        (match({"&": [CT_MARK, 255]}, 1), Compare(Field.CT_MARK, 1, 1, mask=255)),
        (match({"ct": {"key": "state"}}, "related", "in"), Compare(Field.CT_STATE, mask=4)),
        (match({"ct": {"key": "state"}}, [2, 4], "in"), Compare(Field.CT_STATE, mask=6)),
        (match({"ct": {"key": "state"}}, [1, 4], "!"), Compare(Field.CT_STATE, mask=5, negated=True)),
        (match({"ct": {"key": "direction"}}, "reply"), Compare(Field.CT_DIRECTION, 1, 1)),
        (match({"meta": {"key": "l4proto"}}, "ipv6-icmp"), Compare(Field.L4PROTO, 58, 58)),
        (match({"meta": {"key": "iifname"}}, "ogp*"), Compare(Field.IIFNAME, text="ogp*")),
        (match(DADDR, {"prefix": {"addr": "10.0.0.0", "len": 8}}), Compare(Field.IP_DADDR, 10 << 24, (11 << 24) - 1)),
        (
            match(DADDR, {"range": ["10.0.0.1", "10.0.0.5"]}, "!="),
            Compare(Field.IP_DADDR, 0x0A000001, 0x0A000005, negated=True),
        ),
        (match({"concat": [DADDR, PORT]}, "@s"), Lookup((Field.IP_DADDR, Field.TH_DPORT), "s")),
        ({"vmap": {"key": DADDR, "data": "@m"}}, VerdictMap((Field.IP_DADDR,), "m")),
        ({"counter": {"packets": 3, "bytes": 4}}, Counter()),
        ({"counter": None}, Counter()),
        ({"limit": {"rate": 10, "per": "second"}}, Limit(10, 5)),
        ({"reject": None}, Reject("icmpx port-unreachable")),
        ({"reject": {"type": "icmpx", "expr": "admin-prohibited"}}, Reject("icmpx admin-prohibited")),
        ({"reject": {"type": "tcp reset"}}, Reject("tcp reset")),
        ({"mangle": {"key": CT_MARK, "value": {"|": [{"&": [CT_MARK, 131071]}, 65536]}}}, StampMark(0xFFFF0000, 65536)),
        ({"mangle": {"key": CT_MARK, "value": 7}}, StampMark(0xFFFFFFFF, 7)),
        ({"accept": None}, ACCEPT),
        ({"goto": {"target": "d_1"}}, goto("d_1")),
    ],
)
def test_each_expression_is_read(expression: Any, expected: Statement) -> None:
    """Each of these is how some nft lists what we write."""
    assert statement(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        match({"fib": {"result": "oif", "flags": ["saddr"]}}, 1),
        match({"payload": {"base": "th", "offset": 0, "len": 32}}, 327760),
        match({"meta": {"key": "l4proto"}}, {"set": [6, 17]}),
        match({"ct": {"key": "state"}}, {"|": [1, 4]}, "!="),
        match({"ct": {"key": "state", "dir": "original"}}, 4),
        match(PORT, 65536),
        match(PORT, 80, "<"),
        match({"concat": [DADDR, PORT]}, {"concat": ["1.2.3.4", 5]}),
        match(PORT, True),
        {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}},
        {"mangle": {"key": CT_MARK, "value": {"meta": {"key": "mark"}}}},
        {"limit": {"rate": 5, "per": "minute"}},
        {"limit": {"rate": 5, "per": "second", "inv": True}},
        {"log": {"prefix": "x", "level": "info"}},
        {"reject": {"type": "icmp", "expr": "host-unreachable"}},
        {"vmap": {"key": PORT, "data": {"set": [[1, {"accept": None}]]}}},
        {"jump": {"target": "some-where"}},
        {"jump": {"expr": 5}},
        {"dnat": {"addr": "1.2.3.4"}},
        {"snat": {"addr": "1.2.3.4"}},
        {"snat": {"port": 80}},
        {"snat": {"port": {"range": [61000, 65535]}, "flags": "random"}},
        {"accept": None, "drop": None},
        "xt",
    ],
)
def test_an_expression_that_is_not_ours_is_opaque(expression: Any) -> None:
    """A stranger's expression must be seen as a difference; a crash would leave it in force."""
    assert isinstance(statement(expression), Opaque)


def named_set(**members: Any) -> NftSet:
    """What one set of a listing is read as."""
    kind = members.pop("kind", "set")
    body = {"family": "inet", "name": "s", "table": "outgate", "type": "ipv4_addr", "handle": 3} | members
    return read({kind: body}).sets["s"]


def test_a_set_reads_the_same_in_every_version() -> None:
    """Newer nft writes one flag as a string, and wraps an element that has a comment."""
    ten = ((0x0A00_0001, 0x0A00_0001),)
    old = named_set(flags=["interval"], elem=["10.0.0.1"], comment="pods")
    new = named_set(flags="interval", elem=[{"elem": {"val": "10.0.0.1", "comment": "x"}}], comment="pods")

    assert old == new == NftSet("s", (KeyType.IPV4_ADDR,), {ten: None}, interval=True, comment="pods")


def test_a_map_leads_to_verdicts() -> None:
    """The verdict stands beside the key, wrapped or not."""
    elements = [
        ["10.0.0.1", {"goto": {"target": "c"}}],
        [{"elem": {"val": "10.0.0.2", "comment": "x"}}, {"return": None}],
    ]
    one = named_set(kind="map", map="verdict", elem=elements)

    assert one.is_map
    assert [str(verdict) for verdict in one.elements.values()] == ["goto c", "return"]


@pytest.mark.parametrize(
    "members",
    [
        {"flags": ["dynamic"]},
        {"flags": ["interval", "timeout"]},
        {"timeout": 60},
        {"size": 100},
        {"type": "mark"},
        {"type": {"typeof": DADDR}},
        {"kind": "map", "map": "mark"},
        {"elem": [{"elem": {"val": "10.0.0.1", "timeout": 5}}]},
        {"elem": ["fd00::1"]},
        {"elem": [{"concat": ["10.0.0.1", 5]}]},
    ],
    ids=str,
)
def test_a_set_of_another_make_has_no_key(members: dict[str, Any]) -> None:
    """It equals none of ours, so that it is made anew and not merely filled."""
    assert named_set(**members).key == ()


@pytest.mark.parametrize(
    "change", [{"type": "nat"}, {"policy": "drop"}, {"dev": "eth0"}], ids=["type", "policy", "device"]
)
def test_a_hook_of_another_make_equals_none_of_ours(change: dict[str, str]) -> None:
    """A default of drop, taken for ours, would stay."""
    base = {"family": "inet", "table": "outgate", "name": "c", "type": "filter", "hook": "forward", "prio": -10}

    assert read({"chain": base | {"policy": "accept"}}).chains["c"].hook == Hook("forward", -10)
    assert read({"chain": base | {"policy": "accept"} | change}).chains["c"].hook != Hook("forward", -10)


def test_objects_of_another_kind_are_seen() -> None:
    """A quota in our table is somebody else's doing."""
    assert list(read({"quota": {"family": "inet", "name": "q", "table": "outgate"}}).sets) == ["quota q"]


def test_no_table_is_none() -> None:
    """An empty list is an answer: there is nothing of ours."""
    assert read_listing('{"nftables": [{"metainfo": {"json_schema_version": 1}}]}') is None


@pytest.mark.parametrize("document", ["", "{}", "[]", "null", '{"nftables": 5}', '{"nftables": [5]}', listing(TABLE)])
def test_what_is_no_listing_is_an_error(document: str) -> None:
    """Taken for an empty table, it would make the agent load everything a second time."""
    with pytest.raises(InvalidInput):
        read_listing(document)


SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.sampled_from(["accept", "10.0.0.1", "@s", "mark", "c", "=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "match",
                    "op",
                    "left",
                    "right",
                    "ct",
                    "key",
                    "&",
                    "|",
                    "mangle",
                    "value",
                    "goto",
                    "target",
                    "elem",
                    "val",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(SCRAPS)
def test_no_expression_makes_it_crash(scrap: Any) -> None:
    """Whatever a future nft prints for one rule or element, the rest of the table is still read."""
    assert isinstance(statement(scrap), Opaque | Statement)
    assert named_set(elem=[scrap]).name == "s"
