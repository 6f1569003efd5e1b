"""The guard of a bridge, against a sentence of Python: a pod's port passes what is its own; others are left alone."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.host.nft import Nftables
from outgate.host.nft_elements import ElementDoor
from outgate.host.nft_wire import can_carry
from outgate.nft.canonical import canonical
from outgate.nft.delta import delta
from outgate.nft.document import ruleset_document
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.guard import ASTRAY, FAMILY, PORTS, SPOOF, Ports, guard, nameable
from outgate.nft.listing import read_listing
from outgate.nft.objects import Compare, Counter, Field, Judgement, Ruleset
from outgate.nft.parse import parse_ruleset
from outgate.nft.text import ruleset_text
from outgate.nft.transaction import apply
from outgate.packets import Address
from tests.lab.alone import alone

BLOCKS = (ipaddress.ip_network("10.1.0.0/29"), ipaddress.ip_network("fd00:1::/125"))
ADDRESSES = [one for block in BLOCKS for one in block] + [
    ipaddress.ip_address(one)
    for one in ("10.1.0.9", "198.51.100.1", "0.0.0.0", "fd00:1::9", "fe80::1", "febf::1", "::")
]
GROUPS = [ipaddress.ip_address(one) for one in ("224.0.0.1", "239.255.255.255", "ff02::1", "ff05::2")]
PODS, OTHERS = ["veth1", "veth2", "veth3"], ["up0", "up1", "vethx"]

ports = st.builds(
    Ports,
    owners=st.dictionaries(st.sampled_from([one for block in BLOCKS for one in block]), st.sampled_from(PODS)),
    pods=st.frozensets(st.sampled_from(PODS)),
    wires=st.frozensets(st.sampled_from(OTHERS[:2])),
    macs=st.dictionaries(st.sampled_from([2, 3]), st.sampled_from(PODS + OTHERS[2:])),
    blocks=st.sampled_from([(), BLOCKS, BLOCKS[:1]]),
)


def permitted(one: Ports, port: str, source: Address, mac: int, kind: int | None = None) -> bool:
    """What the guard is for. `kind`: of ICMPv6."""
    if one.macs.get(mac, port) != port and (one.blocks or port in {*one.pods, *one.owners.values()}):
        return port in one.wires and port not in {*one.pods, *one.owners.values()}
    if kind in {134, 137} and port in {*one.pods, *one.owners.values()}:
        return False
    if port in {*one.pods, *one.owners.values()}:
        nobody = source.version == 6 and (source.is_link_local or int(source) == 0)
        return nobody or one.owners.get(source) == port
    return port in one.wires or not any(source in block for block in one.blocks)


@given(
    ports,
    st.sampled_from(PODS + OTHERS),
    st.sampled_from(ADDRESSES),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([None, 134, 137, 133]),
)
def test_a_port_passes_what_is_its_own(one: Ports, port: str, source: Address, mac: int, kind: int | None) -> None:
    """Every port and source, in both families, under each MAC, whether it is known or not."""
    family = source.version
    header = Header(family, int(source), 1, 17, 1, 2, iifname=port, ether_saddr=mac)
    if kind is not None and family == 6:
        header = replace(header, protocol=58, icmp_type=kind)
    outcome = Evaluator(guard(one, passive=False)).run("prerouting", header)
    assert (outcome.fate is Fate.ACCEPT) == permitted(one, port, source, mac, kind if family == 6 else None)
    watched = Evaluator(guard(one, passive=True)).run("prerouting", header)
    assert watched.fate is Fate.ACCEPT


@given(ports, st.sampled_from(PODS + OTHERS), st.sampled_from(ADDRESSES + GROUPS), st.booleans())
def test_a_port_is_given_what_is_for_it(one: Ports, port: str, target: Address, everybody: bool) -> None:
    """Whatever the bridge has come to believe of MAC addresses: a pod sees what is for it, or for everybody."""
    mac = (1 << 48) - 1 if everybody else 0x0200_0000_0001
    header = Header(target.version, 1, int(target), 17, 1, 2, iifname="x", oifname=port, ether_daddr=mac)
    shared = everybody or target.is_multicast or (target.version == 6 and target.is_link_local)
    pods = {*one.pods, *one.owners.values()}
    outcome = Evaluator(guard(one, passive=False)).run("postrouting", header)
    assert (outcome.fate is Fate.ACCEPT) == (port not in pods or shared or one.owners.get(target) == port)
    assert Evaluator(guard(one, passive=True)).run("postrouting", header).fate is Fate.ACCEPT


@given(ports)
def test_what_is_not_permitted_is_counted(one: Ports) -> None:
    """Each drop has a counter in front of it, in a chain whose name the metrics know, or know to be none of theirs."""
    for chain in guard(one, passive=False).chains.values():
        for rule in chain.rules:
            if Judgement("drop") in rule.statements:
                assert isinstance(rule.statements[0], Counter)
                assert chain.name in {SPOOF, "unknown", ASTRAY}


@given(ports, st.booleans())
def test_text_and_json_say_the_same(one: Ports, passive: bool) -> None:
    """It is written and read in each spelling without a loss."""
    made = guard(one, passive=passive)
    assert parse_ruleset(ruleset_text(made)) == made
    assert read_listing(ruleset_document(made)) == made


@given(ports, ports)
def test_from_any_to_any(before: Ports, after: Ports) -> None:
    """The general difference of tables serves this one as well, in its own family."""
    has: Ruleset | None = guard(before, passive=False)
    change = delta(guard(after, passive=False), has)
    for one in change.transactions:
        assert one.family == FAMILY
        has = apply(one, has)
    assert has == guard(after, passive=False)


def test_a_port_for_an_ipv4_address_takes_the_fast_door() -> None:
    """The birth of a pod is one netlink batch; what it advertises in IPv6 needs a rule, so the other door."""
    one = Ports({BLOCKS[0][1]: "veth1"}, {"veth1"})
    two = replace(one, owners={**one.owners, BLOCKS[0][2]: "veth2"}, macs={0x0A58_0A01_0002: "veth2"})
    six = replace(one, owners={**one.owners, BLOCKS[1][2]: "veth2"})
    (fast,) = delta(guard(two, passive=False), guard(one, passive=False)).transactions
    assert can_carry(fast)
    (slow,) = delta(guard(six, passive=False), guard(one, passive=False)).transactions
    assert not can_carry(slow)


def test_a_wire_without_a_name_for_rules_leaves_unknown_ports_alone() -> None:
    """It would be one of them, and a wrong drop at an uplink cuts a node."""
    made = guard(Ports(wires=("up0", "ü", "up*"), pods=("veth1",), blocks=BLOCKS), passive=False)
    assert len(made.chains["prerouting"].rules) == 1
    assert set(made.sets[PORTS].elements) == {("veth1",)}


@pytest.mark.parametrize(
    ("name", "good"),
    [("veth1f", True), ("cni0.7", True), ("veth*", False), ("ü", False), ("", False), ("a" * 16, False)],
)
def test_not_every_interface_can_be_named(name: str, good: bool) -> None:
    """The kernel takes nearly any byte (dev_valid_name)."""
    assert nameable(name) == good


def test_a_newer_nft_lists_the_target_by_its_name() -> None:
    """Since 1.0.9 it is ``icmpv6 taddr``, with an address where older ones have bits."""
    rule = 'table bridge outgate {\n chain advert {\n iifname "veth1" icmpv6 taddr fd00:1::2 return\n }\n}\n'
    (read,) = parse_ruleset(rule).chains["advert"].rules
    number = int(ipaddress.ip_address("fd00:1::2"))
    assert read.statements[1] == Compare(Field.ND_TARGET, number, number)


@pytest.mark.kernel
def test_the_kernel_holds_what_was_meant() -> None:
    """Loaded, listed and compared: nothing is left to do. And both doors lead to the same table."""
    one = Ports({BLOCKS[0][1]: "veth1", BLOCKS[1][1]: "veth1"}, {"veth1", "veth2"}, {"up0"}, {2: "veth1"}, BLOCKS)
    two = replace(one, owners={**one.owners, BLOCKS[0][2]: "veth2"}, macs={2: "veth1", 0x0A58_0A01_0002: "veth2"})

    def inside() -> tuple[bool, bool, bool, Ruleset | None, Ruleset | None]:
        door = Nftables()
        able = door.guards()
        door.apply(delta(guard(one, passive=False), None))
        first = door.list(FAMILY)
        assert first is not None
        nothing = not delta(guard(one, passive=False), first).transactions
        same = canonical(first) == canonical(guard(one, passive=False))
        with ElementDoor() as fast:
            for transaction in delta(guard(two, passive=False), first).transactions:
                fast.apply(transaction)
        second = door.list(FAMILY)
        assert door.guarding()
        door.remove()
        assert not door.guarding()
        return able, nothing, same, second, door.list(FAMILY)

    able, nothing, same, second, gone = alone(inside)
    assert (able, nothing, same) == (True, True, True)
    assert second is not None
    assert canonical(second) == canonical(guard(two, passive=False))
    assert gone is None
