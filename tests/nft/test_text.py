"""The text for `nft -f`: stable, readable, and nothing but what the objects say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.nft.objects import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    CtState,
    Field,
    Hook,
    Judgement,
    KeyType,
    Limit,
    Log,
    Lookup,
    NftSet,
    Opaque,
    Reject,
    Ruleset,
    StampMark,
    Statement,
    VerdictMap,
    goto,
    jump,
)
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import rule_text, ruleset_blocks, ruleset_text, set_text, statement_text, transaction_text
from outgate.nft.transaction import (
    AddChain,
    AddElements,
    AddRules,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
    Transaction,
)

EG4 = NftSet(
    "eg4",
    (KeyType.IPV4_ADDR,),
    {((0x0A01_000C, 0x0A01_000C),): RETURN, ((0x0A01_000B, 0x0A01_000B),): goto("e4_c1")},
    is_map=True,
)
PORTS = NftSet("t_a", (KeyType.INET_PROTO, KeyType.INET_SERVICE), {((6, 6), (8000, 9000)): None}, interval=True)
WHOLE = Ruleset(
    chains={
        "forward": Chain("forward", (ChainRule((jump("egress"),)),), Hook("forward", -10)),
        "egress": Chain("egress", (ChainRule((VerdictMap((Field.IP_SADDR,), "eg4"),)),)),
        "e4_c1": Chain("e4_c1", (ChainRule((Counter(), DROP), 'a "quoted" name'),)),
    },
    sets={"t_a": PORTS, "eg4": EG4},
)
EXPECTED = """\
table inet outgate {
    map eg4 {
        type ipv4_addr : verdict
        elements = { 10.1.0.11 : goto e4_c1,
                     10.1.0.12 : return }
    }

    set t_a {
        type inet_proto . inet_service
        flags interval
        elements = { tcp . 8000-9000 }
    }

    chain e4_c1 {
        counter drop comment "a %22quoted%22 name"
    }

    chain egress {
        ip saddr vmap @eg4
    }

    chain forward {
        type filter hook forward priority -10; policy accept;
        jump egress
    }
}
"""


def test_whole_table_reads_from_top_to_bottom() -> None:
    """The text is what `outgate compile` shows; its order must not depend on how the objects were made."""
    backwards = Ruleset(dict([*WHOLE.chains.items()][::-1]), dict([*WHOLE.sets.items()][::-1]))

    assert ruleset_text(WHOLE) == EXPECTED
    assert ruleset_text(backwards) == EXPECTED


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (Compare(Field.TCP_DPORT, 80, 80), "tcp dport 80"),
        (Compare(Field.L4PROTO, 6, 6), "meta l4proto tcp"),
        (Compare(Field.IP_DADDR, 0x0A00_0000, 0x0AFF_FFFF, negated=True), "ip daddr != 10.0.0.0/8"),
        (Compare(Field.IIFNAME, text="ogp*"), 'iifname "ogp*"'),
        (Compare(Field.CT_DIRECTION, 1, 1), "ct direction reply"),
        (Compare(Field.CT_STATE, mask=CtState.RELATED | CtState.ESTABLISHED), "ct state established,related"),
        (Compare(Field.CT_STATE, mask=CtState.NEW, negated=True), "ct state & (new) == 0"),
        (Compare(Field.CT_MARK, 0x10000, 0x10000, mask=0xFFFF0000), "ct mark & 0xffff0000 == 0x00010000"),
        (Lookup((Field.L4PROTO, Field.TH_DPORT), "t_a"), "meta l4proto . th dport @t_a"),
        (Lookup((Field.IIFNAME, Field.IP_SADDR), "if4", negated=True), "iifname . ip saddr != @if4"),
        (VerdictMap((Field.IP_SADDR,), "eg4"), "ip saddr vmap @eg4"),
        (Log("d_c1 ", 5), 'log prefix "d_c1 " group 5 snaplen 96'),
        (Limit(10, 7), "limit rate 10/second burst 7 packets"),
        (Reject("icmpx admin-prohibited"), "reject with icmpx admin-prohibited"),
        (StampMark(0xFFFF0000, 0x10000), "ct mark set ct mark & 0x0000ffff | 0x00010000"),
        (StampMark(0xFFFFFFFF, 5), "ct mark set 0x00000005"),
        (goto("d_c1"), "goto d_c1"),
    ],
)
def test_each_statement_has_its_words(statement: Statement, expected: str) -> None:
    """Another word is another rule."""
    assert statement_text(statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        Compare(Field.TCP_DPORT, 80, 70),
        Compare(Field.TCP_DPORT, 0, 65536),
        Compare(Field.TCP_DPORT, 80, 80, text="http"),
        Compare(Field.TCP_DPORT, 80, 80, mask=0xFF),
        Compare(Field.IIFNAME),
        Compare(Field.IIFNAME, text='eth0" accept #'),
        Compare(Field.IIFNAME, 1, 1, text="eth0"),
        Compare(Field.CT_STATE),
        Compare(Field.CT_STATE, mask=16),
        Compare(Field.CT_STATE, 4, 4, mask=4),
        Compare(Field.CT_MARK, 1, 2, mask=0xFF),
        Compare(Field.CT_MARK, 0x100, 0x100, mask=0xFF),
        Lookup((), "s"),
        Lookup((Field.IP_SADDR,), "no such"),
        VerdictMap((Field.IP_SADDR,), "tcp"),
        Log('x"', 5),
        Log("x", 65536),
        Limit(0),
        Limit(1, 0),
        Reject("icmp host-unreachable"),
        StampMark(0xFF, 0x100),
        StampMark(0, 0),
        Judgement("goto", "a;b"),
        Judgement("accept", "x"),
        Judgement("queue"),
        Opaque("fib saddr oif 1"),
    ],
)
def test_what_means_nothing_is_never_written(statement: Statement) -> None:
    """A bad object is a bug here and must not reach nft, which might find a meaning for it."""
    with pytest.raises(ValueError, match=r"."):
        statement_text(statement)


@pytest.mark.parametrize("protocol", [1, 47, 58, 33])
@pytest.mark.parametrize(
    "port",
    [Compare(Field.TH_DPORT, 80, 80), Lookup((Field.L4PROTO, Field.TH_SPORT), "t_a")],
    ids=["compared", "looked up"],
)
def test_no_port_is_asked_of_a_protocol_without_ports(protocol: int, port: Statement) -> None:
    """Nft 1.0.6 loads such a rule, and from then on aborts whenever the table is listed: the agent would be blind."""
    fixed = Compare(Field.L4PROTO, protocol, protocol)

    with pytest.raises(ValueError, match="no ports"):
        rule_text(ChainRule((fixed, Counter(), port, DROP)))
    assert rule_text(ChainRule((replace(fixed, low=6, high=6), port, DROP)))
    assert rule_text(ChainRule((port, fixed, DROP)))


@pytest.mark.parametrize(
    "one",
    [
        NftSet("s", ()),
        NftSet("s", (KeyType.IPV4_ADDR,), {((1, 2),): None}),
        NftSet("s", (KeyType.IPV4_ADDR,), {((1, 1), (2, 2)): None}),
        NftSet("s", (KeyType.IPV4_ADDR,), {((1, 1),): ACCEPT}),
        NftSet("s", (KeyType.IPV4_ADDR,), {((1, 1),): None}, is_map=True),
        NftSet("s", (KeyType.IFNAME,), {("eth*",): None}),
        NftSet("s", (KeyType.IFNAME,), {((1, 1),): None}),
        NftSet("s", (KeyType.INET_SERVICE,), {("eth0",): None}),
    ],
    ids=str,
)
def test_sets_that_contradict_themselves_are_refused(one: NftSet) -> None:
    """A range in a hash set, a verdict in a plain set: the kernel would say so late, or not at all."""
    with pytest.raises(ValueError, match=r"."):
        set_text(one)


@given(st.text(max_size=300))
def test_a_comment_cannot_leave_its_quotes(comment: str) -> None:
    """Whatever a manifest calls things, the table has one rule with one comment."""
    rule = ChainRule((Counter(), DROP), comment)
    one = NftSet("s_1", (KeyType.IPV4_ADDR,), comment=comment)
    ruleset = Ruleset({"c_1": Chain("c_1", (rule,))}, {"s_1": one})
    read = parse_ruleset(ruleset_text(ruleset))

    assert rule_text(rule).count('"') == (2 if comment else 0)
    assert [found.statements for found in read.chains["c_1"].rules] == [(Counter(), DROP)]
    assert set(read.sets) == {"s_1"}
    assert read.sets["s_1"].comment == read.chains["c_1"].rules[0].comment


def test_a_large_set_comes_in_pieces() -> None:
    """Whoever writes it holds no more than some lines, and the whole reads back."""
    many = replace(EG4, elements={((one, one),): RETURN for one in range(5000)})
    large = replace(WHOLE, sets={"eg4": many, "t_a": PORTS})
    pieces = list(ruleset_blocks(large))
    assert max(piece.count("\n") for piece in pieces) < 500
    assert parse_ruleset("".join(pieces)).sets["eg4"].elements == many.elements


def test_a_change_is_written_command_by_command() -> None:
    """Each command has its line, in order; a delete names the keys alone."""
    commands = (
        AddTable(),
        AddChain(WHOLE.chains["forward"]),
        AddChain(Chain("r_1")),
        AddSet(PORTS),
        AddElements(EG4),
        AddRules("r_1", (ChainRule((Counter(), RETURN), "x"), ChainRule((DROP,)))),
        FlushChain("r_1"),
        DeleteElements(EG4),
        DeleteSet(PORTS),
        DeleteChain("r_1"),
        DeleteTable(),
    )

    assert transaction_text(Transaction(commands)).splitlines() == [
        "add table inet outgate",
        "add chain inet outgate forward { type filter hook forward priority -10; policy accept; }",
        "add chain inet outgate r_1",
        "add set inet outgate t_a { type inet_proto . inet_service; flags interval; }",
        "add element inet outgate eg4 { 10.1.0.11 : goto e4_c1,",
        "                               10.1.0.12 : return }",
        'add rule inet outgate r_1 counter return comment "x"',
        "add rule inet outgate r_1 drop",
        "flush chain inet outgate r_1",
        "delete element inet outgate eg4 { 10.1.0.11,",
        "                                  10.1.0.12 }",
        "delete set inet outgate t_a",
        "delete chain inet outgate r_1",
        "delete table inet outgate",
    ]
