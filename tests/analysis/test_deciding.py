"""The rules behind a connection: those that allow it on each end, and without which it would be gone."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.connections import Connection, Connections, External, connections
from outgate.analysis.controller import IngressController
from outgate.analysis.deciding import side
from outgate.analysis.groups import Group
from outgate.model import Direction
from outgate.packets import TransportSet
from outgate.testing import ingress, pod, policy, random_cluster, service, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, snapshot
from tests.laws.test_connections import owned


def test_both_ends() -> None:
    """The rule and its place, and in words for a person."""
    found = connections(snapshot(EGRESS_TO_DB, INGRESS_OF_DB))
    (one,) = [each for each in found if str(each.source).endswith("/web") and str(each.destination) == "data/db"]
    egress, inward = (side(found, one, direction) for direction in Direction)
    assert [str(rule.origin) for rule in egress.rules] == ["shop/to-db egress[0]"]
    assert [str(rule.origin) for rule in inward.rules] == ["data/db-in ingress[0]"]
    assert egress.words == "allowed by shop/to-db egress[0]"
    assert [origin.name for origin in inward.isolating] == ["db-in"]


def test_ends_without_policies() -> None:
    """Nobody decided, and the words say why."""
    found = connections(snapshot(EGRESS_TO_DB))
    words = {str(one.destination): side(found, one, Direction.INGRESS).words for one in found}
    assert words["data/lone"] == "no policy selects data/lone for ingress"
    assert words["data/agent"] == "data/agent is on the host network, where policies do not apply"
    assert "outside the cluster" in words["203.0.113.0/25"]


def test_a_port_name_lets_nothing_out_of_the_cluster() -> None:
    """The rule allows pods with such a port; addresses outside have none."""
    rules = [{"ports": [{"port": "http"}]}, {"ports": [{"port": 53}]}]
    cluster = [
        pod("a/p", app="a"),
        pod("b/p", ports=[{"name": "http", "containerPort": 80}]),
        policy("a/p", {"policyTypes": ["Egress"], "egress": rules}),
    ]
    found = connections(snapshot_of(cluster))
    (outside,) = [one for one in found if str(one.source) == "a/p" and not isinstance(one.destination, Group)]
    assert [rule.origin.rule for rule in side(found, outside, Direction.EGRESS).rules] == [1]


def test_a_part_outside_is_of_every_rule_that_speaks_of_some_of_it() -> None:
    """Two blocks with the same ports are one part, which neither covers."""
    rules = [{"to": [{"ipBlock": {"cidr": cidr}}]} for cidr in ("203.0.113.0/24", "198.51.100.0/24", "10.0.0.0/8")]
    found = connections(snapshot_of([pod("a/p"), policy("a/p", {"policyTypes": ["Egress"], "egress": rules})]))
    (one,) = [each for each in found if str(each.source) == "a/p"]
    assert [rule.origin.rule for rule in side(found, one, Direction.EGRESS).rules] == [0, 1, 2]


def test_a_rule_for_other_ports_than_pass_is_not_named() -> None:
    """It speaks of the peer, and the other end closes what it would open."""
    cluster = [
        pod("a/p"),
        pod("b/q"),
        policy("a/p", {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": 80}]}, {"ports": [{"port": 81}]}]}),
        policy("b/p", {"ingress": [{"ports": [{"port": 80}]}]}),
    ]
    found = connections(snapshot_of(cluster))
    (one,) = [each for each in found if (str(each.source), str(each.destination)) == ("a/p", "b/q")]
    assert [rule.origin.rule for rule in side(found, one, Direction.EGRESS).rules] == [0]


def test_the_controller_is_let_in_by_what_speaks_of_everybody() -> None:
    """A rule for every pod of every namespace is one, a rule for some of them is not."""
    rules = [{"from": [{"namespaceSelector": one}]} for one in ({}, {"matchLabels": {"team": "red"}})]
    cluster = [
        pod("a/p", app="p"),
        service("a/p", "10.96.0.1", [{"port": 80}], app="p"),
        ingress("a/i", ("p", 80)),
        policy("a/p", {"ingress": rules}),
    ]
    found = connections(snapshot_of(cluster))
    (one,) = found.from_controller
    assert [rule.origin.rule for rule in side(found, one, Direction.INGRESS).rules] == [0]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_rules_are_enough_and_needed(seed: int) -> None:
    """Of an isolated end, what its rules allow together covers what passes, and no other rule allows any of it."""
    found = connections(owned(snapshot_of(random_cluster(seed)), seed))
    for one in found:
        for direction in Direction:
            mine = side(found, one, direction)
            if not mine.isolating:
                assert not mine.rules
                continue
            assert mine.rules
            assert isinstance(mine.subject, Group)
            kept: dict[str, set[int | None]] = {rule.origin.name: set() for rule in mine.rules}
            for rule in mine.rules:
                kept[rule.origin.name].add(rule.origin.rule)
            _without(found, one, direction, kept)


def _without(found: Connections, one: Connection, direction: Direction, kept: dict[str, set[int | None]]) -> None:
    """The connection passes under the named rules alone, and not at all when they are taken away."""
    assert not isinstance(one.source, IngressController)
    subject = one.source if direction is Direction.EGRESS else one.destination
    assert isinstance(subject, Group)
    for keep in (True, False):
        changed = []
        for each in found.snapshot.policies:
            if each.namespace != subject.namespace:
                changed.append(each)
                continue
            rules = tuple(
                rule for index, rule in enumerate(each.rules(direction)) if (index in kept.get(each.name, ())) == keep
            )
            changed.append(
                dataclasses.replace(each, egress=rules)
                if direction is Direction.EGRESS
                else dataclasses.replace(each, ingress=rules)
            )
        after = connections(found.snapshot.with_policies(changed), lens=found.grid.lens)
        left = _same(after, one)
        assert (left >= one.transports) if keep else not left & one.transports


def _same(after: Connections, one: Connection) -> TransportSet:
    """What passes between the same ends."""
    if isinstance(one.source, Group) and isinstance(one.destination, Group):
        ends = [after.of_pods([party.pods[0].key])[0] for party in (one.source, one.destination)]
        return after.between(ends[0], ends[1])
    group, outside = (one.source, one.destination) if isinstance(one.source, Group) else (one.destination, one.source)
    assert isinstance(group, Group)
    direction = Direction.EGRESS if group is one.source else Direction.INGRESS
    (mine,) = after.of_pods([group.pods[0].key])
    packets = after.grid.outside(mine.identity, direction)
    allowed = TransportSet.any()
    assert isinstance(outside, External)
    met = [transports for addresses, transports in packets if not addresses.isdisjoint(outside.addresses)]
    whole = outside.addresses <= packets.addresses()
    for transports in met:
        allowed &= transports
    return allowed if whole and met else TransportSet()
