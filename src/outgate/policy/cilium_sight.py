"""Policies of Cilium's for who does not see all of the cluster: a rule closes where it looks at what is not seen.

An agent knows the pods of its cluster and their ServiceAccounts. Of nodes it knows perhaps its own alone; of Services
and of the endpoints of some it is told once a policy asks for them (`Sight`). So

    a peer that is not seen            is taken out of a rule that allows; a rule that denies then denies everything
    a block outside of the cluster     needs to know the nodes, which are inside: without them it allows nothing; denied
                                       is more than was meant, which is closed
    Services without selectors         are blocks: their addresses are those of their EndpointSlices
    the API server                     is where the slices of ``default/kubernetes`` say; where they say nothing, it is
                                       nowhere that we know, and is not denied by denying nobody
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.model import BlockPeer, CiliumPolicy, Service
from outgate.model.cilium import (
    CiliumPeer,
    CiliumRule,
    EntityPeer,
    GroupPeer,
    NameMatch,
    NodesPeer,
    ServicePeer,
    Unenforced,
)
from outgate.records import dataclass

__all__ = ["API_SERVER", "Sight", "is_meant", "seen_by_agent", "unseen"]

API_SERVER = ("default", "kubernetes")
"""The Service whose endpoints are the API servers."""
_OF_NODES = frozenset({"cluster", "remote-node"})
_UNTOLD = "where the API server is, has not been told"
_ALONE = "only this node is watched"


@dataclass(frozen=True, slots=True)
class Sight:
    """What an agent sees beside pods, namespaces and policies."""

    nodes: bool = False
    """All nodes, and not its own alone."""
    host: bool = True
    """The addresses of its own node."""
    services: tuple[Service, ...] | None = None
    """All Services that a peer means; None where they have not been told."""
    endpoints: frozenset[tuple[str, str]] = frozenset()
    """The Services whose slices have all been told. The API server's is among them only where they have an address."""
    unread: frozenset[tuple[str, str, str]] = frozenset()
    """Kind, namespace and name of objects that nobody can understand."""


def seen_by_agent(policy: CiliumPolicy, sight: Sight) -> CiliumPolicy:
    """The policy as an agent can enforce it: the very same where it sees all that it needs."""

    def seen(rules: tuple[CiliumRule, ...]) -> tuple[CiliumRule, ...]:
        return tuple(_denial(rule, sight) if rule.deny else _allowance(rule, sight) for rule in rules)

    made = dataclasses.replace(
        policy,
        egress=seen(policy.egress),
        egress_deny=seen(policy.egress_deny),
        ingress=seen(policy.ingress),
        ingress_deny=seen(policy.ingress_deny),
    )
    return policy if made == policy else made


def unseen(policy: CiliumPolicy, sight: Sight) -> Iterator[Unenforced]:
    """What its rules allow, and an agent does not see; a rule that denies is marked itself (`Unenforced`)."""
    for rule in (*policy.egress, *policy.ingress):
        yield from _marks(rule, sight)


def is_meant(peer: ServicePeer, one: Service) -> bool:
    """Whether a peer means a Service."""
    if peer.namespace not in {"", one.namespace}:
        return False
    return peer.services.matches(one.labels) if peer.services is not None else one.name == peer.name


def _denial(rule: CiliumRule, sight: Sight) -> CiliumRule:
    marks = tuple(_marks(rule, sight))
    return dataclasses.replace(rule, unenforced=(*rule.unenforced, *marks)) if marks else rule


def _allowance(rule: CiliumRule, sight: Sight) -> CiliumRule:
    if not any(True for _ in _marks(rule, sight)):
        return rule
    return dataclasses.replace(rule, peers=tuple(part for one in rule.peers or () for part in _parts(one, sight)))


def _marks(rule: CiliumRule, sight: Sight) -> Iterator[Unenforced]:
    for peer in rule.peers or ():
        words = _unseen(peer, sight, deny=rule.deny)
        if words:
            yield Unenforced(_title(peer), words, peer.place)


def _parts(peer: CiliumPeer, sight: Sight) -> Iterator[CiliumPeer]:
    """What is left of a peer that may not be seen whole: of several Services those that are seen."""
    if not _unseen(peer, sight, deny=False) or peer == EntityPeer("cluster"):
        # What is known of the cluster is allowed, wherever its API server is.
        if peer != EntityPeer("cluster") or sight.nodes:
            yield peer
    elif isinstance(peer, ServicePeer):
        for one in sight.services or ():
            if is_meant(peer, one) and not _unseen_service(one, sight, deny=False):
                yield ServicePeer(one.namespace, one.name, place=peer.place)


def _unseen(peer: CiliumPeer, sight: Sight, *, deny: bool) -> str:
    """Why an agent does not know whom a peer means; empty where it does."""
    match peer:
        case ServicePeer():
            return _unseen_services(peer, sight, deny=deny)
        case EntityPeer(name="kube-apiserver"):
            return "" if API_SERVER in sight.endpoints and not _unread(sight, "EndpointSlice", deny=deny) else _UNTOLD
        case EntityPeer(name="host") if not sight.host:
            return "the addresses of this node have not been told"
        case EntityPeer("world") | BlockPeer() | GroupPeer() | NameMatch() if not sight.nodes and not deny:
            return f"{_ALONE}, so it is not known what is outside of the cluster"
        case GroupPeer() if deny:
            return _unread(sight, "CiliumCIDRGroup", deny=deny, name=peer.name)
        case NodesPeer() if not sight.nodes:
            return _ALONE
        case EntityPeer(name=name) if not sight.nodes and name in _OF_NODES:
            return _ALONE
        case EntityPeer("cluster") if API_SERVER not in sight.endpoints or _unread(sight, "EndpointSlice", deny=deny):
            return _UNTOLD
        case NodesPeer() | EntityPeer("cluster" | "remote-node"):
            return _unread(sight, "Node", deny=deny)
        case _:
            return ""


def _unseen_services(peer: ServicePeer, sight: Sight, *, deny: bool) -> str:
    if sight.services is None:
        return "Services have not been told"
    reasons = (_unseen_service(one, sight, deny=deny) for one in sight.services if is_meant(peer, one))
    return next(filter(None, reasons), "") or _unread(sight, "Service", deny=deny, name=peer.name)


def _unseen_service(one: Service, sight: Sight, *, deny: bool) -> str:
    if one.selector:
        return ""
    if (one.namespace, one.name) not in sight.endpoints:
        return f"the endpoints of Service {one} have not been told"
    if not deny and not sight.nodes:
        return f"{_ALONE}, so it is not known what is outside of the cluster"
    return _unread(sight, "EndpointSlice", deny=deny)


def _unread(sight: Sight, kind: str, *, deny: bool, name: str = "") -> str:
    """Whether a denial may miss somebody, because an object of a kind (and name, if given) cannot be understood."""
    for of, namespace, called in sorted(sight.unread) if deny else ():
        if of == kind and (not name or called in {name, ""}):
            return f"{kind} {'/'.join(filter(None, (namespace, called)))} cannot be understood"
    return ""


def _title(peer: CiliumPeer) -> str:
    return peer.place.path.rpartition(".")[2].partition("[")[0] or type(peer).__name__
