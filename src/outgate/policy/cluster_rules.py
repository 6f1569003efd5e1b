"""From a policy of the whole cluster to tiered rules.

network-policy-api on what we do not know, ClusterNetworkPolicyEgressPeer: "If no fields are set [...] implementations
must fail closed": a rule that accepts matches nothing, and one that denies or passes denies everything. That holds for
the peers of a rule, and for each rule of a policy whose subject is not known: then it is about every pod.

A peer of names stands for what pods have learned of them, in rules that accept. In others it matches nothing: types.go,
ClusterNetworkPolicyEgressPeer.DomainNames, "DomainNames is only supported for Accept rules"; who reads the object is
warned.

A peer of nodes is brought to the addresses that the nodes have now. Hosts are no peers of selectors: types.go,
ClusterNetworkPolicyEgressPeer.Namespaces: "[...] all non-host-network pods".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.model import BlockPeer, ClusterPolicy, ClusterRule, Direction, LabelSelector, NodePeer, PodPeer, Snapshot
from outgate.model.cluster_policy import NamePeer, UnknownPeer
from outgate.model.objects import CLUSTER_DOMAIN
from outgate.packets import AddressSet
from outgate.policy.names import Dialect, Pattern
from outgate.policy.places import ANYWHERE, Places, Standpoint
from outgate.policy.rules import (
    Action,
    BlockMatch,
    NamesMatch,
    PeerMatch,
    PodMatch,
    Rule,
    Tier,
    origin_of,
    peer_match,
    ports_match,
)

__all__ = ["cluster_rules", "looks_at_names", "looks_at_nodes", "stops_at_nodes", "without_nodes"]


def cluster_rules(
    policy: ClusterPolicy, direction: Direction, places: Places, standpoint: Standpoint = ANYWHERE
) -> Iterator[Rule]:
    """The rules of a policy in one direction, in their order, for a pod that stands somewhere."""
    for index, rule in enumerate(policy.rules(direction)):
        made = Rule(
            direction,
            Tier[policy.tier.upper()],
            Action(rule.action),
            tuple(_peers(rule, places, standpoint)),
            ports_match(rule.ports) if rule.ports else None,
            origin_of(policy, direction, index),
        )
        unknown = isinstance(policy.subject, UnknownPeer) or any(isinstance(one, UnknownPeer) for one in rule.peers)
        yield _closed(made) if unknown else made


def looks_at_names(policy: ClusterPolicy) -> bool:
    """Whether its rules hang on what a pod was told of names."""
    return any(isinstance(peer, NamePeer) for rule in policy.egress for peer in rule.peers)


def looks_at_nodes(policy: ClusterPolicy) -> bool:
    """Whether its rules change when nodes do."""
    return any(isinstance(peer, NodePeer) for rule in policy.egress for peer in rule.peers)


def stops_at_nodes(policy: ClusterPolicy) -> bool:
    """Whether it denies nodes, or passes them on: who is one and is not known is then missed."""
    stopping = (rule for rule in policy.egress if rule.action != Action.ACCEPT.value)
    return any(isinstance(peer, NodePeer) for rule in stopping for peer in rule.peers)


def without_nodes(policy: ClusterPolicy, *, allowing: bool = True) -> ClusterPolicy:
    """The policy for who does not know the nodes: a peer of nodes is then one that is not known, and closes.

    Who knows all but some does not know whom a rule denies or passes on, but whom it allows as far as they are known:
    with `allowing` false rules that accept are left as they are.
    """

    def unknown(rule: ClusterRule) -> ClusterRule:
        if rule.action == Action.ACCEPT.value and not allowing:
            return rule
        peers = (UnknownPeer("nodes", one.place) if isinstance(one, NodePeer) else one for one in rule.peers)
        return dataclasses.replace(rule, peers=tuple(peers))

    return dataclasses.replace(policy, egress=tuple(map(unknown, policy.egress)))


def _closed(rule: Rule) -> Rule:
    """A rule with something in it that we do not know."""
    if rule.action is Action.ACCEPT:
        return dataclasses.replace(rule, peers=())
    passes = rule.action is Action.PASS
    return dataclasses.replace(rule, action=Action.DENY, peers=None, ports=None, perhaps_passes=passes)


def _peers(rule: ClusterRule, places: Places, standpoint: Standpoint) -> Iterator[PeerMatch]:
    for peer in rule.peers:
        match peer:
            case PodPeer():
                every = LabelSelector()
                yield PodMatch(None, peer.namespaces or every, peer.pods or every, never_hosts=True)
            case BlockPeer():
                yield peer_match("", peer)
            case NodePeer():
                yield BlockMatch(_addresses(peer.nodes, places.snapshot), peer.nodes)
            case NamePeer() if rule.action == Action.ACCEPT.value:
                names = NamesMatch(tuple(Pattern(name, Dialect.NETWORK_POLICY) for name in peer.names))
                yield names
                known = places.told(standpoint, names.patterns)
                if known:
                    yield BlockMatch(known, outside=True, called=str(names))
                yield from _under_the_domain(names, standpoint, places)
            case _:
                pass


def _under_the_domain(names: NamesMatch, standpoint: Standpoint, places: Places) -> Iterator[PeerMatch]:
    """What names of the cluster itself open: pods, never a node.

    NPEP-133 lets names that lead to a ClusterIP do nothing, and has those of headless Services work.
    """
    known = places.told(standpoint, names.patterns, under=f".{CLUSTER_DOMAIN}") - places.every_node
    if known:
        yield BlockMatch(known, called=str(names))


def _addresses(nodes: LabelSelector, snapshot: Snapshot) -> AddressSet:
    """types.go, ClusterNetworkPolicyEgressPeer.Nodes: matched by the addresses of "node.status.addresses"."""
    chosen = (node for node in snapshot.nodes.values() if nodes.matches(node.labels))
    return AddressSet.of(address for node in chosen for address in node.addresses)
