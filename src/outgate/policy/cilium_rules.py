"""From a policy of Cilium's to rules of the NetworkPolicy tier.

Cilium knows no order: what a rule denies is denied whatever else there is, and of what is left the union of all that
allow passes, with that of NetworkPolicies. So a rule of ``egressDeny`` becomes a `Rule` that denies, and is asked
before all that accept (`outgate.policy.tiers`).

A rule without peers and ports, or with an empty list of peers, matches nothing: it becomes no rule at all, and is there
only in that its policy asks for denial by default. An entry of ports with conditions of its own (``rules``,
``serverNames``) becomes a rule of its own.

What a rule asks for and we do not do closes it: one that allows allows nothing, one that denies denies everything.

Peers by address mean what is outside of the cluster (`BlockMatch.outside`); pods and nodes are peers by labels and
entities alone. Some entities mean another thing on each node, and names what a pod was told: rules are made for where
one stands (`Standpoint`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.model import BlockPeer, CiliumPolicy, Direction, LabelSelector, Operator, Snapshot
from outgate.model.cilium import (
    CiliumPeer,
    CiliumPort,
    CiliumRule,
    EndpointPeer,
    EntityPeer,
    GroupPeer,
    NameMatch,
    NodesPeer,
    PortEntry,
    ServicePeer,
)
from outgate.model.labels import EVERYTHING
from outgate.model.objects import Network
from outgate.model.parse_cilium_selectors import is_kept
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy.names import Dialect, Pattern
from outgate.policy.places import Places, Standpoint
from outgate.policy.rules import (
    EVERY_POD,
    Action,
    BlockMatch,
    Conditions,
    NamedPort,
    NamesMatch,
    PeerMatch,
    PodMatch,
    PortMatch,
    Rule,
    Tier,
    origin_of,
)

__all__ = ["cilium_rules", "endpoints", "hangs_on_standpoint", "looks_outside"]

_ANY = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_OTHERS = {"IGMP": 2, "VRRP": 112}
"""IANA, "Protocol Numbers"."""
_LOCAL = frozenset({"host", "remote-node"})


def cilium_rules(policy: CiliumPolicy, direction: Direction, places: Places, standpoint: Standpoint) -> Iterator[Rule]:
    """The rules of a policy in one direction, for a pod that stands somewhere: those that deny come first."""
    for index, rule in enumerate(policy.rules(direction)):
        origin = origin_of(policy, direction, index)
        action = Action.DENY if rule.deny else Action.ACCEPT

        def made(
            peers: tuple[PeerMatch, ...] | None, ports: PortMatch | None, conditions: Conditions | None = None
        ) -> Rule:
            return Rule(direction, Tier.NETWORK_POLICY, action, peers, ports, origin, conditions)  # noqa: B023 - used here

        if policy.unenforced or rule.unenforced:
            yield made(None if rule.deny else (), None)
        elif not rule.matches_nothing:
            peers = _matches(rule, places, standpoint)
            for ports, conditions in _ports(rule):
                yield made(peers, ports, conditions)


def hangs_on_standpoint(policy: CiliumPolicy, snapshot: Snapshot) -> bool:
    """Whether its rules are others on another node, or for a pod that was told other things of names."""
    return any(_is_local(peer, snapshot) for rule in _every(policy) for peer in rule.peers or ())


def _is_local(peer: CiliumPeer, snapshot: Snapshot) -> bool:
    match peer:
        case EntityPeer(name=name):
            return name in _LOCAL
        case NodesPeer():
            return True
        case NameMatch():
            return bool(snapshot.learned)
        case _:
            return False


def looks_outside(policy: CiliumPolicy) -> bool:
    """Whether it counts to a peer where pods and nodes are: to any but pods by labels, ``all`` and ``none``."""
    plain = (EntityPeer("all"), EntityPeer("none"))
    peers = (peer for rule in _every(policy) for peer in rule.peers or ())
    return any(not isinstance(one, EndpointPeer) and one not in plain for one in peers)


def _every(policy: CiliumPolicy) -> Iterator[CiliumRule]:
    for direction in Direction:
        yield from policy.rules(direction)


# ---- peers -----------------------------------------------------------------------------------------------------------


def _matches(rule: CiliumRule, places: Places, standpoint: Standpoint) -> tuple[PeerMatch, ...] | None:
    """Whom a rule is about; None for anybody."""
    if rule.peers is None or any(isinstance(one, EntityPeer) and one.name == "all" for one in rule.peers):
        return None
    return tuple(match for peer in rule.peers for match in _peer(peer, rule, places, standpoint))


def _peer(peer: CiliumPeer, rule: CiliumRule, places: Places, standpoint: Standpoint) -> Iterator[PeerMatch]:
    match peer:
        case EndpointPeer():
            if not peer.nobody and _is_here(peer.clusters, deny=rule.deny):
                yield endpoints(peer)
        case BlockPeer(cidr=cidr, excepts=excepts):
            yield BlockMatch(AddressSet.network(cidr) - _union(excepts), outside=True)
        case GroupPeer():
            yield BlockMatch(_grouped(peer, places.snapshot), outside=True, called=_group_title(peer))
        case EntityPeer(name=name):
            yield from _entity(name, places, standpoint)
        case NodesPeer(nodes=nodes):
            yield BlockMatch(places.labelled(nodes, but=standpoint.node), nodes)
        case ServicePeer():
            yield from _service(peer, places)
        case NameMatch():
            patterns = (Pattern(peer.name or peer.pattern, Dialect.CILIUM),)
            yield NamesMatch(patterns)
            known = places.told(standpoint, patterns)
            if known:
                yield BlockMatch(known, outside=True, called=str(NamesMatch(patterns)))


def endpoints(peer: EndpointPeer) -> PodMatch:
    """The pods that a selector of endpoints means: never one on the host network, whose identity is its node's."""
    return PodMatch(None, peer.namespaces, peer.pods, never_hosts=True, accounts=peer.accounts)


def _is_here(clusters: LabelSelector, *, deny: bool) -> bool:
    """Whether pods of this cluster are meant, whose name is not known: what is not certain closes."""
    return deny or all(one.operator is Operator.EXISTS for one in clusters.requirements)


def _entity(name: str, places: Places, standpoint: Standpoint) -> Iterator[PeerMatch]:
    """The words of ``toEntities``; those of what Outgate never has (``health``, ``ingress``, ``init``) are nobody.

    There is no pod that is not managed here, so ``unmanaged`` is nobody as well.
    """
    match name:
        case "world":
            yield BlockMatch(AddressSet.any(), outside=True, called="entity world")
        case "cluster":
            yield EVERY_POD
            # The API server is of the cluster, wherever it runs.
            yield BlockMatch(places.every_node | places.api_server, EVERYTHING, called="entity cluster", own_node=True)
        case "host":
            known = places.nodes.get(standpoint.node, AddressSet())
            yield BlockMatch(known, EVERYTHING, called="entity host", own_node=True)
        case "remote-node":
            yield BlockMatch(places.nodes_but(standpoint.node), EVERYTHING, called="entity remote-node")
        case "kube-apiserver":
            yield BlockMatch(places.api_server, EVERYTHING, called="entity kube-apiserver")


def _service(peer: ServicePeer, places: Places) -> Iterator[PeerMatch]:
    """With a selector a Service means its pods, on all ports; without one, the addresses of its slices.

    "Only identity-relevant labels can match": a selector by any other means nobody.
    """
    for one in places.services(peer.namespace, peer.name, peer.services):
        if one.selector and not all(map(is_kept, one.selector)):
            continue
        if one.selector:
            yield PodMatch(one.namespace, None, LabelSelector.of(one.selector), never_hosts=True)
        else:
            yield BlockMatch(places.endpoints(one.namespace, one.name), outside=True, called=f"Service {one}")


def _grouped(peer: GroupPeer, snapshot: Snapshot) -> AddressSet:
    chosen = (
        one
        for one in snapshot.cidr_groups
        if (peer.groups.matches(one.labels) if peer.groups is not None else one.name == peer.name)
    )
    return _union(block for one in chosen for block in one.blocks) - _union(peer.excepts)


def _group_title(peer: GroupPeer) -> str:
    return f"CiliumCIDRGroup {peer.name}" if peer.groups is None else f"CiliumCIDRGroups {peer.groups}"


def _union(blocks: Iterable[Network]) -> AddressSet:
    return AddressSet.union_of(AddressSet.network(one) for one in blocks)


# ---- ports -----------------------------------------------------------------------------------------------------------


def _ports(rule: CiliumRule) -> Iterator[tuple[PortMatch | None, Conditions | None]]:
    """The ports of a rule: all entries without conditions together, and each other entry with its own."""
    if rule.lists_icmps:
        yield PortMatch(_icmp(rule)), None
        return
    if not rule.ports:
        yield None, None
        return
    plain = [entry for entry in rule.ports if _conditions(entry) is None]
    if plain:
        yield _port_match(port for entry in plain for port in entry.ports), None
    for entry in rule.ports:
        conditions = _conditions(entry)
        if conditions is not None:
            yield _port_match(entry.ports), conditions


def _conditions(entry: PortEntry) -> Conditions | None:
    """Empty lists count as no rules of that kind: then there is no condition."""
    if not (entry.http or entry.dns or entry.server_names):
        return None
    return Conditions(entry.http, entry.dns, entry.server_names)


def _port_match(ports: Iterable[CiliumPort]) -> PortMatch:
    """ANY is TCP, UDP and SCTP, never ICMP; port 0 alone is every port, and may begin a range."""
    numbers = TransportSet()
    names: list[NamedPort] = []
    for one in ports:
        if one.protocol in _OTHERS:
            numbers |= TransportSet.protocol(_OTHERS[one.protocol])
            continue
        for protocol in _ANY if one.protocol == "ANY" else (Protocol[one.protocol],):
            if isinstance(one.port, str):
                names.append(NamedPort(protocol, one.port))
            elif one.is_every:
                numbers |= TransportSet.ports(protocol, PORTS)
            else:
                numbers |= TransportSet.ports(protocol, one.port, one.end)
    return PortMatch(numbers, tuple(dict.fromkeys(names)))


def _icmp(rule: CiliumRule) -> TransportSet:
    found = TransportSet()
    for one in rule.icmps:
        protocol = Protocol.ICMP if one.version == 4 else Protocol.ICMPV6
        found |= TransportSet.icmp_types(protocol, one.type)
    return found
