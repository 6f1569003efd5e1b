"""From policies of the cluster to rules: what is not known closes, and nodes become their addresses."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.model import (
    BlockPeer,
    ClusterPolicy,
    ClusterRule,
    Direction,
    LabelSelector,
    NamePeer,
    Node,
    NodePeer,
    PodPeer,
    PolicyPort,
    Snapshot,
    UnknownPeer,
)
from outgate.model.cluster_policy import ActionWord, ClusterPeer
from outgate.packets import AddressSet, Protocol
from outgate.policy import Action, BlockMatch, NamedPort, PodMatch, Tier
from outgate.policy.cluster_rules import cluster_rules, looks_at_nodes
from outgate.policy.names import Dialect, Pattern
from outgate.policy.places import Places
from outgate.policy.rules import NamesMatch

EVERYBODY = PodPeer(LabelSelector(), LabelSelector())
BLOCK = BlockPeer(ipaddress.IPv4Network("10.0.0.0/8"))
NODES = [
    Node("a", {"zone": "x"}, (ipaddress.ip_address("192.168.0.1"), ipaddress.ip_address("fd00::1"))),
    Node("b", {"zone": "y"}, (ipaddress.ip_address("192.168.0.2"),)),
]


def policy(*rules: ClusterRule, subject: PodPeer | UnknownPeer = EVERYBODY) -> ClusterPolicy:
    """A policy of the Baseline tier."""
    return ClusterPolicy("p", "Baseline", 3, subject, egress=rules)


def test_a_rule_keeps_its_tier_action_and_origin() -> None:
    """And its peers have both selectors, so no namespace of its own comes in."""
    (made,) = cluster_rules(policy(ClusterRule("Pass", (EVERYBODY, BLOCK))), Direction.EGRESS, Places(Snapshot()))
    assert (made.tier, made.action, made.ports) == (Tier.BASELINE, Action.PASS, None)
    assert made.peers == (
        PodMatch(None, LabelSelector(), LabelSelector(), never_hosts=True),
        BlockMatch(AddressSet.network("10.0.0.0/8")),
    )
    assert str(made.origin) == "ClusterNetworkPolicy p egress[0]"
    assert list(cluster_rules(policy(), Direction.INGRESS, Places(Snapshot()))) == []


@pytest.mark.parametrize("action", ["Accept", "Deny", "Pass"])
@pytest.mark.parametrize("unknown", ["peer", "subject"])
def test_what_is_not_known_closes(action: ActionWord, unknown: str) -> None:
    """An Accept matches nothing then; a Deny and a Pass deny everything, whatever ports and other peers stand there."""
    peers: tuple[ClusterPeer, ...] = (EVERYBODY, UnknownPeer("somebody")) if unknown == "peer" else (EVERYBODY,)
    subject = EVERYBODY if unknown == "peer" else UnknownPeer("somebody")
    rule = ClusterRule(action, peers, (PolicyPort("TCP", 80),))
    (made,) = cluster_rules(policy(rule, subject=subject), Direction.EGRESS, Places(Snapshot()))
    if action == "Accept":
        assert (made.action, made.peers) == (Action.ACCEPT, ())
    else:
        assert (made.action, made.peers, made.ports) == (Action.DENY, None, None)


def test_names_are_for_rules_that_accept() -> None:
    """The API has them for Accept alone; elsewhere they match nothing, and the reader has warned of it."""
    name = NamePeer(("example.com",))
    accept, deny = cluster_rules(
        policy(ClusterRule("Accept", (name,)), ClusterRule("Deny", (name,))), Direction.EGRESS, Places(Snapshot())
    )
    assert accept.peers == (NamesMatch((Pattern("example.com", Dialect.NETWORK_POLICY),)),)
    assert accept.asks
    assert not deny.asks
    assert (deny.action, deny.peers) == (Action.DENY, ())


def test_nodes_are_their_addresses_now() -> None:
    """Those of the nodes that the selector matches, of both families."""
    by_zone = policy(ClusterRule("Deny", (NodePeer(LabelSelector.of({"zone": "x"})),)))
    (made,) = cluster_rules(by_zone, Direction.EGRESS, Places(Snapshot.of(nodes=NODES)))
    assert made.peers is not None
    (peer,) = made.peers
    assert isinstance(peer, BlockMatch)
    assert peer.addresses == AddressSet.of(NODES[0].addresses)
    assert str(peer).startswith("nodes ")
    assert looks_at_nodes(by_zone)
    assert not looks_at_nodes(policy(ClusterRule("Deny", (BLOCK,))))


def test_a_port_name_has_whichever_protocol() -> None:
    """``destinationNamedPort`` says no protocol: any container port of that name, with its own."""
    rule = ClusterRule("Accept", (EVERYBODY,), (PolicyPort("", "dns"), PolicyPort("TCP", 1, 65535)))
    (made,) = cluster_rules(policy(rule), Direction.EGRESS, Places(Snapshot()))
    assert made.ports is not None
    assert made.ports.names == tuple(NamedPort(one, "dns") for one in (Protocol.TCP, Protocol.UDP, Protocol.SCTP))
    assert made.ports.numbers.contains(int(Protocol.TCP), 65535)
    assert not made.ports.numbers.contains(int(Protocol.UDP), 53)
