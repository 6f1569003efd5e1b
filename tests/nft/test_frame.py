"""The frame: what passes and what does not before any policy is there."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from outgate.model import Node
from outgate.nft.epoch import Epoch
from outgate.nft.evaluate import CtDirection, Evaluator, Fate, Header
from outgate.nft.frame import DISPATCHES, LINKS, UNKNOWN, frame, link_set
from outgate.nft.objects import RETURN, CtState, Field, Judgement, KeyType, NftSet, Ruleset, SetKey
from outgate.nft.options import Options
from outgate.nft.transaction import references
from outgate.policy import Mode

WEB, API, OUTSIDE = (int(ipaddress.ip_address(one)) for one in ("10.1.0.10", "10.1.0.11", "203.0.113.1"))
BLOCKS = Node("n", pod_cidrs=(ipaddress.ip_network("10.1.0.0/24"), ipaddress.ip_network("fd00:1::/64")))
PREFIX = Options(interface_prefix="og")


def table(options: Options = PREFIX, node: Node = BLOCKS, *, pods: tuple[int, ...] = (WEB,)) -> Evaluator:
    """The frame with these pods, whom no policy selects."""
    known: dict[SetKey, Judgement | None] = {((one, one),): RETURN for one in pods}
    maps = [NftSet(one.name, one.key, known if one.view.family == 4 else {}, is_map=True) for one in DISPATCHES]
    links = [link_set(4).holding({(f"og{one % 256}", (one, one)): None for one in pods}), link_set(6)]
    chains = {chain.name: chain for chain in frame(options, node, linked=True)}
    return Evaluator(Ruleset(chains, {one.name: one for one in (*maps, *links)}))


def packet(source: int, target: int, **more: object) -> Header:
    """A first packet between two IPv4 ends, by the interfaces that they are at."""
    names = {WEB: "og10", API: "og11"}
    made = Header(4, source, target, 6, 40000, 80, iifname=names.get(source, "eth0"), oifname=names.get(target, "eth0"))
    return replace(made, **more)  # type: ignore[arg-type] # fields of Header


def test_every_view_has_its_map() -> None:
    """A view that no map leads to would let its packets by unasked."""
    assert {one.name for one in DISPATCHES} == {f"{d}{k}{f}" for d in "ei" for k in "gr" for f in (4, 6)}
    for one in DISPATCHES:
        source = (one.name[0] == "e") == (one.name[1] == "g")
        assert one.field.value == f"ip{'' if one.name[2] == '4' else '6'} {'s' if source else 'd'}addr"
        assert one.key == ((KeyType.IPV4_ADDR if one.view.family == 4 else KeyType.IPV6_ADDR),)
        assert one.field in Field


@pytest.mark.parametrize("options", [PREFIX, Options()])
def test_unknown_pods_are_closed_on_both_ends(options: Options) -> None:
    """By the interface where that is known, else by the node's blocks: in the reply direction, too."""
    now = table(options)
    assert now.run("forward", packet(WEB, OUTSIDE)).fate is Fate.ACCEPT
    for header in (packet(API, OUTSIDE), packet(OUTSIDE, API), packet(WEB, API), packet(API, WEB)):
        for one in (header, header.reply()):
            outcome = now.run("forward", one)
            assert outcome.fate is Fate.DROP
            assert outcome.path[-1].chain == UNKNOWN
            assert outcome.mark == 0


@pytest.mark.parametrize("options", [replace(PREFIX, mode=Mode.AUDIT), replace(PREFIX, open_at_birth=True)])
def test_unknown_pods_pass_where_that_is_chosen_and_are_counted(options: Options) -> None:
    """To watch is to drop nothing that no policy forbids."""
    outcome = table(options).run("forward", packet(API, OUTSIDE))
    assert outcome.fate is Fate.ACCEPT
    assert UNKNOWN in {step.chain for step in outcome.path}


def test_a_spoofed_source_is_dropped_before_anything_else() -> None:
    """Even where the connection that it pretends to be of was let pass."""
    now = table(pods=(WEB, API))
    stamped = Epoch(PREFIX.mark_mask).bits
    for mark in (0, stamped):
        spoofed = packet(WEB, OUTSIDE, iifname="og11", mark=mark)
        assert now.run("prerouting", spoofed).fate is Fate.DROP
        assert now.run("prerouting", replace(spoofed, iifname="og10")).fate is Fate.ACCEPT
        assert now.run("prerouting", replace(spoofed, iifname="eth0")).fate is Fate.ACCEPT
    assert table(replace(PREFIX, mode=Mode.AUDIT)).run("prerouting", spoofed).fate is Fate.ACCEPT
    assert not [chain for chain in frame(PREFIX, BLOCKS, linked=False) if chain.name == "spoof"]


def test_a_mark_of_this_epoch_alone_passes_unasked() -> None:
    """Of the one before, of nobody, and of another's bits: judged."""
    now = table(pods=())
    stamped = Epoch(PREFIX.mark_mask).bits
    for mark, fate in ((stamped, Fate.ACCEPT), (stamped | 0x4000, Fate.ACCEPT), (0, Fate.DROP), (0x4000, Fate.DROP)):
        assert now.run("forward", packet(API, OUTSIDE, mark=mark)).fate is fate
    assert now.run("forward", packet(API, OUTSIDE, mark=Epoch(PREFIX.mark_mask, 2).bits)).fate is Fate.DROP


def test_what_passes_is_stamped_beside_the_bits_of_others() -> None:
    """A neighbour's bits are its own."""
    outcome = table().run("forward", packet(WEB, OUTSIDE, mark=0x8000))
    assert outcome.mark == Epoch(PREFIX.mark_mask).bits | 0x8000


def test_icmp_errors_pass_and_helpers_connections_do_not() -> None:
    """Path MTU discovery lives on errors; a redirect is none, and a related TCP connection is a new one."""
    now = table()
    for kind, fate in ((3, Fate.ACCEPT), (4, Fate.DROP), (5, Fate.DROP), (11, Fate.ACCEPT), (12, Fate.ACCEPT)):
        header = packet(API, OUTSIDE, state=CtState.RELATED, protocol=1, icmp_type=kind)
        assert now.run("forward", header).fate is fate, kind
    error = Header(6, 5, 6, 58, icmp_type=2, state=CtState.RELATED, iifname="og11")
    assert now.run("forward", error).fate is Fate.ACCEPT
    mark = Epoch(PREFIX.mark_mask).bits
    for number, redirect in ((6, None), (17, None), (1, 5)):
        header = packet(API, OUTSIDE, state=CtState.RELATED, protocol=number, icmp_type=redirect)
        assert now.run("forward", header).fate is Fate.DROP
        inherited = replace(header, mark=mark)
        assert now.run("forward", inherited).fate is Fate.DROP, "the mark is that of the connection it is related to"
        assert now.run("forward", replace(inherited, state=CtState.ESTABLISHED)).fate is Fate.ACCEPT


def test_what_a_pod_may_always_say_to_its_node() -> None:
    """Answers to probes and neighbour discovery; not a redirect, not what comes from beyond the link."""
    now = table()
    answer = packet(API, OUTSIDE, direction=CtDirection.REPLY, state=CtState.ESTABLISHED)
    assert now.run("input", answer).fate is Fate.ACCEPT
    assert now.run("input", replace(answer, direction=CtDirection.ORIGINAL)).fate is Fate.DROP
    found = Header(6, 5, 6, 58, icmp_type=135, hop_limit=255, iifname="og11")
    for kind, hops, fate in ((133, 255, 1), (136, 255, 1), (137, 255, 0), (135, 64, 0), (128, 255, 0)):
        passes = now.run("input", replace(found, icmp_type=kind, hop_limit=hops)).fate is Fate.ACCEPT
        assert passes is bool(fate), kind


def test_the_frame_refers_to_nothing_that_is_not_there() -> None:
    """The kernel would refuse it."""
    ruleset = table().ruleset
    for chain in ruleset.chains.values():
        for kind, name in references(chain):
            assert name in (ruleset.chains if kind == "chain" else ruleset.sets)
    assert set(LINKS.values()) <= ruleset.sets.keys()
