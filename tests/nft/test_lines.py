"""The lines of a class: few, ordered by cost, each leading to its rule. What they decide is proved in `tests/laws`."""

from __future__ import annotations

import pytest

from outgate.model import Direction
from outgate.nft.lines import Registry, View, class_lines
from outgate.nft.objects import ChainRule, Compare, Field, Lookup, NftSet, VerdictMap
from outgate.policy import Policies
from outgate.testing import pod, policy, snapshot_of

TOWN = (
    pod("shop/web", ["10.1.0.10", "fd00:1::10"], ports=[{"name": "http", "containerPort": 8080}], app="web"),
    pod("shop/api", ["10.1.0.11"], ports=[{"name": "http", "containerPort": 9090}], app="api"),
)
ANY_POD: dict[str, object] = {"podSelector": {}}


def lines(*rules: dict[str, object], view: View | None = None) -> tuple[list[ChainRule], Registry]:
    """The class chain of pod web under one policy with these egress rules, and what it refers to."""
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)}
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", spec)]))
    registry = Registry()
    every = policies.rules(policies.snapshot.policies, Direction.EGRESS)
    return list(class_lines(policies, every, {}, view or View(Direction.EGRESS, 4), registry)), registry


def test_the_port_is_looked_at_before_the_peer_set() -> None:
    """A comparison is cheaper than a look into a set of ten thousand."""
    (line,), _ = lines({"to": [ANY_POD], "ports": [{"port": 443}]})
    assert [type(one) for one in line.statements[:2]] == [Compare, Lookup]


def test_all_blocks_of_a_class_are_one_lookup_for_each_kind() -> None:
    """Ten rules with address blocks must not cost ten lookups for each new connection."""
    blocks = [{"to": [{"ipBlock": {"cidr": f"203.0.{n}.0/24"}}], "ports": [{"port": 443}]} for n in range(10)]
    many, registry = lines(*blocks, {"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]})
    assert [type(line.statements[0]) for line in many] == [VerdictMap, VerdictMap]
    assert sum(name.startswith("r_") for name in registry.chains) == 11


def test_elements_of_a_block_map_are_disjoint() -> None:
    """The kernel refuses overlapping elements only sometimes, and deletes by the start alone."""
    blocks = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "10.1.2.3/32"]
    _, registry = lines(*({"to": [{"ipBlock": {"cidr": one}}], "ports": [{"port": 1, "endPort": 9}]} for one in blocks))
    (block_map,) = (one for one in registry.sets.values() if one.name.startswith("b4_"))
    keys = list(block_map.elements)
    for index, one in enumerate(keys):
        for other in keys[index + 1 :]:
            assert any(apart(a, b) for a, b in zip(one, other, strict=True)), (one, other)


def apart(one: object, other: object) -> bool:
    """Whether two ranges share nothing."""
    assert isinstance(one, tuple)
    assert isinstance(other, tuple)
    return bool(one[1] < other[0] or other[1] < one[0])


def test_an_exception_is_taken_out_of_its_block() -> None:
    """`except` is not a rule: what it leaves is what the map holds."""
    block = {"cidr": "203.0.113.0/24", "except": ["203.0.113.0/25"]}
    _, registry = lines({"to": [{"ipBlock": block}]})
    (block_map,) = (one for one in registry.sets.values() if one.name.startswith("a4_"))
    assert [key[0] for key in block_map.elements] == [(0xCB007180, 0xCB0071FF)]


def test_a_port_name_is_each_pods_own_number() -> None:
    """One number for all would open 8080 on a pod that means 9090."""
    _, registry = lines({"to": [ANY_POD], "ports": [{"port": "http"}]})
    (named,) = (one for one in registry.sets.values() if one.name.startswith("n4_"))
    assert {(key[0][0], key[2][0]) for key in named.elements} == {(0x0A01000A, 8080), (0x0A01000B, 9090)}


def test_a_rule_for_nobody_is_not_a_rule_for_anybody() -> None:
    """A selector that matches no pod leads to an empty set, never to no condition at all."""
    (line,), registry = lines({"to": [{"podSelector": {"matchLabels": {"app": "none"}}}]})
    (lookup,) = (one for one in line.statements if isinstance(one, Lookup))
    assert not registry.sets[lookup.set].elements


def test_a_rule_for_ipv6_blocks_alone_says_nothing_in_the_ipv4_chain() -> None:
    """A block that a family empties must vanish from that family, not turn into any."""
    many, _ = lines({"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]})
    assert many == []


def test_a_mirrored_chain_looks_from_the_other_side() -> None:
    """A reply has the peer as its source and the connection's port as its source port."""
    (line,), _ = lines({"to": [ANY_POD], "ports": [{"port": 443}]}, view=View(Direction.EGRESS, 4, mirrored=True))
    fields = [one.field if isinstance(one, Compare) else one.fields[0] for one in line.statements[:2]]  # type: ignore[union-attr] # the first two look
    assert fields == [Field.TCP_SPORT, Field.IP_SADDR]


def test_many_ports_are_one_lookup() -> None:
    """A rule with five ports is one line, and ranges make its set an interval set."""
    (line,), registry = lines({"ports": [{"port": 1}, {"port": 3, "endPort": 5}, {"port": 53, "protocol": "UDP"}]})
    (lookup,) = (one for one in line.statements if isinstance(one, Lookup))
    ports = registry.sets[lookup.set]
    assert ports.interval
    assert set(ports.elements) == {((6, 6), (1, 1)), ((6, 6), (3, 5)), ((17, 17), (53, 53))}


def test_two_contents_under_one_name_are_refused() -> None:
    """It cannot happen; if it did, one tenant's addresses would be another's."""
    registry = Registry()
    registry.add_set(NftSet("p4_x", (), {(): None}))
    with pytest.raises(AssertionError, match="share the name"):
        registry.add_set(NftSet("p4_x", (), {}))
