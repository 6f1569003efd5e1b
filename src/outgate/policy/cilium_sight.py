"""Policies of Cilium's for who does not see all of the cluster: a rule closes where it looks at what is not seen.

An agent knows the pods of its cluster by labels and addresses, and of nodes perhaps its own alone. It knows no
Services, no ServiceAccounts of pods, and not where the API server is. So

    a peer that is not seen            is taken out of a rule that allows; a rule that denies then denies everything
    a block outside of the cluster     needs to know the nodes, which are inside: without them it allows nothing; denied
                                       is more than was meant, which is closed
    a subject by its account           is every pod that the rest of it means, and no rule allows anything
"""

from __future__ import annotations

import dataclasses

from outgate.model import BlockPeer, CiliumPolicy
from outgate.model.cilium import (
    CiliumPeer,
    CiliumRule,
    EndpointPeer,
    EntityPeer,
    GroupPeer,
    NameMatch,
    NodesPeer,
    ServicePeer,
    Unenforced,
)
from outgate.model.labels import EVERYTHING

__all__ = ["seen_by_agent"]

_NOT_NODES = frozenset({"all", "none", "host", "health", "ingress", "init", "unmanaged"})
"""The entities for which the other nodes do not count."""


def seen_by_agent(policy: CiliumPolicy, *, all_nodes: bool) -> CiliumPolicy:
    """The policy as an agent can enforce it: the very same where it sees all that it needs."""

    def seen(rules: tuple[CiliumRule, ...]) -> tuple[CiliumRule, ...]:
        return tuple(_seen(rule, all_nodes=all_nodes) for rule in rules)

    subject, marks = policy.subject, policy.unenforced
    if subject.accounts:
        words = "the ServiceAccounts of pods are not watched"
        marks = (*marks, Unenforced("endpointSelector", words, subject.place))
        subject = dataclasses.replace(subject, accounts=EVERYTHING)
    made = dataclasses.replace(
        policy,
        subject=subject,
        unenforced=marks,
        egress=seen(policy.egress),
        egress_deny=seen(policy.egress_deny),
        ingress=seen(policy.ingress),
        ingress_deny=seen(policy.ingress_deny),
    )
    return policy if made == policy else made


def _seen(rule: CiliumRule, *, all_nodes: bool) -> CiliumRule:
    blind = [
        (peer, words) for peer in rule.peers or () if (words := _unseen(peer, all_nodes=all_nodes, deny=rule.deny))
    ]
    if not blind:
        return rule
    marks = tuple(Unenforced(_title(peer), words, peer.place) for peer, words in blind)
    if rule.deny:
        return dataclasses.replace(rule, unenforced=(*rule.unenforced, *marks))
    gone = [peer for peer, _ in blind]
    return dataclasses.replace(rule, peers=tuple(peer for peer in rule.peers or () if peer not in gone))


def _unseen(peer: CiliumPeer, *, all_nodes: bool, deny: bool) -> str:
    """Why an agent does not know whom a peer means; empty where it does."""
    match peer:
        case ServicePeer():
            return "Services are not watched"
        case EntityPeer(name="kube-apiserver"):
            return "where the API server is, is not watched"
        case EndpointPeer(accounts=accounts) if accounts:
            return "the ServiceAccounts of pods are not watched"
        case EntityPeer("world") | BlockPeer() | GroupPeer() | NameMatch() if not all_nodes and not deny:
            return "only this node is watched, so it is not known what is outside of the cluster"
        case NodesPeer() if not all_nodes:
            return "only this node is watched"
        case EntityPeer(name=name) if not all_nodes and name not in _NOT_NODES | {"world"}:
            return "only this node is watched"
        case _:
            return ""


def _title(peer: CiliumPeer) -> str:
    return peer.place.path.rpartition(".")[2].partition("[")[0] or type(peer).__name__
