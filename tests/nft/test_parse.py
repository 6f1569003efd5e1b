"""Text of nft back into objects: ours, what `nft list` prints, and what somebody else has put in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.errors import InvalidInput
from outgate.nft.objects import ChainRule, Hook, KeyType, Opaque, Ruleset, goto
from outgate.nft.parse import parse_ruleset
from outgate.nft.spelling import shorten
from outgate.nft.text import ruleset_text
from tests.nft.rulesets import rulesets

NAMED = """\
table inet outgate {
\tmap eg4 {
\t\ttype ipv4_addr : verdict
\t\telements = { 10.1.0.11 comment "a/b" : goto r_1, 10.1.0.12 : return,
\t\t\t     10.1.0.13 : drop }
\t}

\tset t_a {
\t\ttype inet_proto . inet_service
\t\tflags interval
\t\telements = { tcp . 53,
\t\t\t     ipv6-icmp . 8000-9000 }
\t}

\tchain r_1 {
\t\tcounter packets 3 bytes 99 return comment "production/app-egress egress[0]" # handle 7
\t}

\tchain forward {
\t\ttype filter hook forward priority raw - 10; policy accept;
\t\tct mark 0x00010000/16 accept
\t\tct state related meta l4proto ipv6-icmp accept
\t\tct state ! invalid,related accept
\t\tmeta nfproto ipv4 icmpv6 type nd-router-solicit-nd-neighbor-advert accept
\t\treject with icmpx admin-prohibited
\t}
}
"""
NUMERIC = (
    NAMED.replace("tcp .", "6 .")
    .replace("ipv6-icmp", "58")
    .replace("raw - 10", "-310")
    .replace("ct state related", "ct state 0x4")
    .replace("! invalid,related", "! 0x1,0x4")
    .replace("ipv4 icmpv6", "2 icmpv6")
    .replace("nd-router-solicit-nd-neighbor-advert", "133-136")
    .replace("admin-prohibited", "3")
)


@given(rulesets())
def test_our_own_text_is_read_back(ruleset: Ruleset) -> None:
    """Every statement that can be written can be read, with nothing lost but the end of a long comment."""
    read = parse_ruleset(ruleset_text(ruleset))

    assert read == parse_ruleset(ruleset_text(read))
    for name, chain in ruleset.chains.items():
        expected = tuple(ChainRule(rule.statements, shorten(rule.comment)) for rule in chain.rules)
        assert read.chains[name].rules == expected
        assert read.chains[name].hook == chain.hook
    for name, one in ruleset.sets.items():
        assert read.sets[name].elements == one.elements


def test_names_and_numbers_are_the_same_table() -> None:
    """A listing with names, as a person makes it, must compare equal to the numeric one."""
    table = parse_ruleset(NAMED)

    assert table == parse_ruleset(NUMERIC)
    assert table.chains["forward"].hook == Hook("forward", -310)
    assert table.sets["eg4"].elements[((0x0A01_000B, 0x0A01_000B),)] == goto("r_1")
    assert table.sets["t_a"].key == (KeyType.INET_PROTO, KeyType.INET_SERVICE)
    assert not any(
        isinstance(one, Opaque) for chain in table.chains.values() for r in chain.rules for one in r.statements
    )


@pytest.mark.parametrize(
    "line",
    [
        "fib saddr oif 1 accept",
        "tcp dport { 80, 443 } accept",
        "ct state != 0x1 | 0x4 accept",
        "@th,0,32 0x50050 drop",
        "limit rate over 5/second drop",
        "limit rate 5/minute drop",
        'log prefix "x" level info',
        "meta mark set 0x1",
        "reject with icmp host-unreachable",
        'iifname "we ird" accept',
        "jump some-where",
        "tcp flags syn accept",
        "dnat ip to 1.2.3.4",
        "snat to 1.2.3.4",
        "snat to :80",
        "snat ip to 1.2.3.4:61000-65535",
        "quota 5 mbytes drop",
        'accept comment "x" counter',
        "queue num 1",
        "ip saddr",
        "vmap @x",
        "ct state bogus accept",
        "ip saddr 1.2.3.4 . 5.6.7.8 accept",
    ],
)
def test_a_rule_that_is_not_ours_is_opaque(line: str) -> None:
    """A stranger's rule in our table must be seen as a difference; a crash would leave it in force."""
    chain = f"chain c {{\naccept\n{line}\ndrop\n}}\n"
    rules = parse_ruleset(f"table inet outgate {{\n{chain}}}\n").chains["c"].rules

    assert len(rules) == 3
    assert [type(one) for one in rules[1].statements] == [Opaque]


@pytest.mark.parametrize(
    "body",
    [
        "type ipv4_addr\nsize 65535",
        "type ipv4_addr\nflags dynamic",
        "type ipv4_addr\nflags interval,timeout",
        "type mark",
        "typeof ip saddr",
        "type ipv4_addr\nelements = { 10.0.0.1 timeout 3s expires 2s }",
        "type ipv4_addr\nelements = { fd00::1 }",
        "type ipv4_addr : mark",
        "type ipv4_addr\nauto-merge",
    ],
)
def test_a_set_of_another_make_has_no_key(body: str) -> None:
    """It equals none of ours, so that it is made anew and not merely filled."""
    table = parse_ruleset(f"table inet outgate {{\nset s {{\n{body}\n}}\n}}\n")

    assert table.sets["s"].key == ()


@pytest.mark.parametrize(
    "line",
    [
        "type nat hook prerouting priority dstnat; policy accept;",
        "type filter hook forward priority 0; policy drop;",
        'type filter hook ingress device "eth0" priority 0; policy accept;',
        "type filter hook forward priority imaginary; policy accept;",
    ],
)
def test_a_hook_of_another_make_equals_none_of_ours(line: str) -> None:
    """A default of drop or another type, taken for ours, would stay."""
    hook = parse_ruleset(f"table inet outgate {{\nchain c {{\n{line}\n}}\n}}\n").chains["c"].hook

    assert hook is not None
    assert hook not in {Hook(name, priority) for name in ("forward", "prerouting", "ingress") for priority in (0, -100)}


def test_objects_of_another_kind_are_seen() -> None:
    """A quota or flow table in our table is somebody else's doing."""
    table = parse_ruleset("table inet outgate {\nquota q {\nover 5 mbytes\n}\nchain c {\n}\n}\n")

    assert list(table.sets) == ["quota q"]
    assert list(table.chains) == ["c"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("chain c {\n}", 1),
        ("table inet t {\nchain c {\naccept\n", 4),
        ("table inet t {\n}\ntable inet u {\n}\n", 3),
        ('table inet t {\nset s {\ncomment "open\n}\n}\n', 3),
    ],
)
def test_text_that_is_no_table_says_where(text: str, line: int) -> None:
    """Half a table read as a whole one would delete the other half from the kernel."""
    with pytest.raises(InvalidInput) as caught:
        parse_ruleset(text)

    assert [(error.file, error.line) for error in caught.value.errors] == [("<ruleset>", line)]


TOKENS = st.sampled_from(
    ["table", "inet", "t", "{", "}", "chain", "set", "c", "\n", ";", ",", '"x"', "type", "elements"]
)


@given(st.one_of(st.text(), st.lists(TOKENS).map(" ".join)))
def test_no_text_makes_it_crash(text: str) -> None:
    """Whatever stands there, the answer is a table or an error with a place."""
    for broken in (text, f"table inet t {{\n{text}\n}}\n", f"table inet t {{\nchain c {{\n{text}\n}}\n}}\n"):
        with contextlib.suppress(InvalidInput):
            parse_ruleset(broken)
