"""Text = kernel: what is loaded into a namespace and listed back parses to the same objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgate.host import process
from outgate.host.nft import Nftables
from outgate.nft.canonical import canonical
from outgate.nft.delta import delta
from outgate.nft.document import ruleset_document
from outgate.nft.evaluate import Evaluator, Fate, Header, Outcome
from outgate.nft.listing import read_listing
from outgate.nft.objects import DROP, Chain, ChainRule, Compare, Field, KeyType, NftSet, Ruleset
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import ruleset_text
from tests.lab.alone import alone
from tests.lab.hooked import Router, flow, known
from tests.nft.rulesets import INCOMING, OUTGOING, V4, headers, rulesets

pytestmark = pytest.mark.kernel
KERNEL = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
LISTINGS = [("nft", "list"), ("nft", "-nn", "list"), ("nft", "-j", "list"), ("nft", "-nn", "-j", "list")]


def listed(text: str, *, json: bool = False) -> list[Ruleset]:
    """The table that the text makes, as all four ways of listing show it."""

    def inside() -> list[str]:
        process.run(("nft", *(("-j",) if json else ()), "-f", "-"), input=text)
        return [process.run((*command, "table", "inet", "outgate")).stdout for command in LISTINGS]

    texts = alone(inside)
    both = [parse_ruleset(texts[0]), parse_ruleset(texts[1]), read_listing(texts[2]), read_listing(texts[3])]
    return [canonical(one) for one in both if one is not None]


def without_set_comments(ruleset: Ruleset) -> Ruleset:
    """What JSON can hold: nft 1.0.6 does not read them from JSON."""
    return replace(ruleset, sets={name: replace(one, comment="") for name, one in ruleset.sets.items()})


@KERNEL
@given(rulesets())
def test_text_is_listed_back_as_the_same_objects(ruleset: Ruleset) -> None:
    """A spelling that is not read back would be repaired for ever, or hide what somebody changed."""
    wanted = canonical(ruleset)

    assert listed(ruleset_text(ruleset)) == [wanted] * 4


@KERNEL
@given(rulesets())
def test_document_is_listed_back_as_the_same_objects(ruleset: Ruleset) -> None:
    """JSON that says something else than the text would be a second compiler."""
    wanted = without_set_comments(canonical(ruleset))

    assert [*map(without_set_comments, listed(ruleset_document(ruleset), json=True))] == [wanted] * 4


def compare_with_kernel(ruleset: Ruleset, packets: list[Header]) -> list[Outcome]:
    """Assert that interpreter and kernel let the same packets pass with the same marks; return the outcomes."""
    seen = [known(header, number) for number, header in enumerate(packets)]
    evaluator = Evaluator(ruleset)
    outcomes = [evaluator.run("forward", header) for header in seen]
    expected = {
        number: outcome.mark if header.tracked else None
        for number, (header, outcome) in enumerate(zip(seen, outcomes, strict=True))
        if outcome.fate is Fate.ACCEPT
    }

    def inside() -> Mapping[int, int | None]:
        return Router().send(packets, lambda: Nftables().load(ruleset_text(ruleset)))

    assert alone(inside) == expected
    return outcomes


@settings(KERNEL, max_examples=20)
@given(rulesets(quiet=True, hooks=("forward",)), st.lists(headers(), min_size=30, max_size=40, unique_by=flow))
def test_interpreter_does_what_the_kernel_does(ruleset: Ruleset, packets: list[Header]) -> None:
    """Every proof about compiled rules rests on the interpreter; where it errs, they prove nothing."""
    compare_with_kernel(ruleset, packets)


CALLS = """
table inet outgate {
    map ways {
        type inet_service : verdict
        elements = { 10 : return, 11 : jump back, 12 : goto back, 13 : accept, 14 : drop }
    }
    chain back {
        return
        drop
    }
    chain through {
        goto back
        drop
    }
    chain onward {
        udp dport 3 return
        udp dport 4 accept
        goto through
    }
    chain vmapped {
        udp dport vmap @ways
        udp dport 15 jump onward
        ct mark set 0x5
    }
    chain z_first {
        type filter hook forward priority -20; policy accept;
        udp dport 1 accept
        udp dport 2 drop
        udp dport 3-5 jump onward
        udp dport 5 ct mark set 0x00010005 accept
        udp dport 6 goto onward
        udp dport 6 drop
        udp dport 7 return
        udp dport 7 drop
        udp dport 8 ct mark set 0x00010000
        udp dport 10-15 jump vmapped
        udp dport 11 drop
    }
    chain a_second {
        type filter hook forward priority 20; policy accept;
        udp dport 1 drop
        udp dport 3 drop
        udp dport 4 ct mark set 0x00020000
        udp dport 8 ct mark 0x00010000 drop
        udp dport 10 drop
        tcp dport != 9 drop
        udp dport 9 ip6 saddr != ::1 drop
        udp dport 9 ip6 saddr != @nobody drop
    }
    set nobody {
        type ipv6_addr
    }
}
"""


def test_calls_return_where_the_kernel_returns() -> None:
    """Jump, goto, return, the ends of chains and the order of hooks, one packet for each turn of the road."""
    packets = [
        Header(4, V4[1], V4[2], 17, sport=1000 + port, dport=port, iifname=INCOMING, oifname=OUTGOING)
        for port in range(1, 17)
    ]

    outcomes = compare_with_kernel(parse_ruleset(CALLS), packets)

    dropped = {header.dport for header, outcome in zip(packets, outcomes, strict=True) if outcome.fate is Fate.DROP}
    assert dropped == {1, 2, 3, 8, 10, 11, 14}


@KERNEL
@given(st.tuples(rulesets(quiet=True), rulesets(quiet=True)))
def test_every_change_is_accepted_by_the_kernel(pair: tuple[Ruleset, Ruleset]) -> None:
    """A plan that the kernel refuses half way leaves the old policies in force for ever."""
    first, second = pair

    def inside() -> list[Ruleset | None]:
        door = Nftables()
        door.apply(delta(first, door.list()))
        built = door.list()
        door.apply(delta(second, built))
        changed = door.list()
        assert delta(second, changed).transactions == ()
        return [built, changed]

    assert [*map(same_but_comments, alone(inside))] == [*map(same_but_comments, pair)]


def same_but_comments(ruleset: Ruleset | None) -> Ruleset | None:
    """The canonical form; a set that stays keeps the comment it was made with."""
    return ruleset and without_set_comments(canonical(ruleset))


@KERNEL
@given(st.lists(st.text(max_size=200), min_size=1, max_size=60))
def test_text_of_a_manifest_never_becomes_a_command(comments: list[str]) -> None:
    """Quotes, line breaks, braces, anything: nft sees one rule for each, with one comment."""
    rules = tuple(ChainRule((Compare(Field.TCP_DPORT, port, port), DROP), text) for port, text in enumerate(comments))
    sets = {
        f"s_{index}": NftSet(f"s_{index}", (KeyType.IPV4_ADDR,), comment=text) for index, text in enumerate(comments)
    }
    ruleset = Ruleset({"c_1": Chain("c_1", rules)}, sets)

    assert listed(ruleset_text(ruleset)) == [canonical(ruleset)] * 4
