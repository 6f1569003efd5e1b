"""The objects are values: frozen, equal without their places, with the API's defaults."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from outgate.model import (
    BlockPeer,
    ContainerPort,
    Direction,
    Document,
    Ingress,
    NetworkPolicy,
    Place,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Service,
)

HERE = Place(Document("a.yaml", None))
THERE = Place(Document("b.yaml", None))


def test_equality_ignores_places() -> None:
    """One policy in two files is one policy; a comparison that saw places would find changes everywhere."""
    peers = [PodPeer(None, None, place) for place in (HERE, THERE)]
    rules = [
        PolicyRule((peer,), (PolicyPort(place=place),), place) for peer, place in zip(peers, (HERE, THERE), strict=True)
    ]
    policies = [NetworkPolicy("n", "p", egress=(rule,), place=rule.place) for rule in rules]
    assert policies[0] == policies[1]
    block = ipaddress.ip_network("10.0.0.0/8")
    assert BlockPeer(block, place=HERE) == BlockPeer(block, place=THERE)
    assert Pod("n", "p", place=HERE) == Pod("n", "p", place=THERE)
    assert Ingress("n", "i", place=HERE) == Ingress("n", "i", place=THERE)


def test_nothing_can_be_changed() -> None:
    """A snapshot is shared by everything that asks it; a field that changed would change all answers."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pod("n", "p").name = "q"  # type: ignore[misc]  # the point of the test


def test_egress_comes_first() -> None:
    """Egress is what a packet meets first, and what is listed first everywhere."""
    assert [one.value for one in Direction] == ["Egress", "Ingress"]


def test_rules_of_a_direction() -> None:
    """The sections must not be swapped, and are there whether or not they count."""
    out, into = PolicyRule(), PolicyRule(ports=(PolicyPort("UDP"),))
    policy = NetworkPolicy("n", "p", types=frozenset(), egress=(out,), ingress=(into,))
    assert (policy.rules(Direction.EGRESS), policy.rules(Direction.INGRESS)) == ((out,), (into,))


def test_defaults_are_the_apis() -> None:
    """What a manifest leaves out means what the API says it means."""
    assert PolicyPort() == PolicyPort("TCP", None, None)
    assert ContainerPort(80).protocol == "TCP"
    assert NetworkPolicy("n", "p").types == {Direction.INGRESS}
    assert (Pod("n", "p").ready, Pod("n", "p").finished, Service("n", "s").selector) == (True, False, None)


def test_names() -> None:
    """Things of a namespace are named with it."""
    assert [str(one) for one in (Pod("n", "p"), Service("n", "s"), NetworkPolicy("n", "x"))] == ["n/p", "n/s", "n/x"]
    assert str(Ingress("n", "i")) == "n/i"
    assert Pod("n", "p").key == ("n", "p")
