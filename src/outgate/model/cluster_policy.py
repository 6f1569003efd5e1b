"""Policies of the whole cluster: ClusterNetworkPolicy, and the two kinds of network-policy-api that came before it.

All three become a `ClusterPolicy`. What they call differently is brought to the words of ClusterNetworkPolicy: the
Allow of v1alpha1 is an Accept, an AdminNetworkPolicy belongs to the Admin tier, a BaselineAdminNetworkPolicy to the
Baseline tier. Unlike a NetworkPolicy such a policy never isolates by being there; its rules act in their order, and
the policies of a tier by their priority (network-policy-api, "ClusterNetworkPolicySpec.Priority").

A subject or a peer that we do not know was written for a newer API. It is kept (`UnknownPeer`), because what it means
is prescribed: a rule that accepts then matches nothing, and one that denies or passes denies everything.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from outgate.model.labels import LabelSelector
from outgate.model.objects import BlockPeer, Direction, PodPeer, PolicyPort
from outgate.model.place import NOWHERE, Place
from outgate.records import dataclass

__all__ = [
    "BASELINE_PRIORITY",
    "ActionWord",
    "ClusterPeer",
    "ClusterPolicy",
    "ClusterRule",
    "NamePeer",
    "NodePeer",
    "TierWord",
    "UnknownPeer",
]

TierWord = Literal["Admin", "Baseline"]
ActionWord = Literal["Accept", "Deny", "Pass"]

BASELINE_PRIORITY = 1001
"""The priority of a BaselineAdminNetworkPolicy, which has none of its own: after all that have one (0 to 1000)."""


@dataclass(frozen=True, slots=True)
class NodePeer:
    """A peer by labels of Nodes: all addresses of their status. For egress alone."""

    nodes: LabelSelector
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NamePeer:
    """A peer by DNS names, as they are written: ``www.example.com``, ``*.example.com``. For egress alone."""

    names: tuple[str, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UnknownPeer:
    """A peer, or a subject, that is in none of the forms we know. `words` names what stands there."""

    words: str = ""
    place: Place = field(default=NOWHERE, compare=False, repr=False)


ClusterPeer = PodPeer | BlockPeer | NodePeer | NamePeer | UnknownPeer


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """One rule. Both selectors of its pod peers are given, with everything where the API has none.

    No ports: any protocol, ICMP too. A port without a protocol (``""``) is a name, of a container port of whichever
    protocol.
    """

    action: ActionWord
    peers: tuple[ClusterPeer, ...]
    ports: tuple[PolicyPort, ...] = ()
    name: str = ""
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ClusterPolicy:
    """A policy of the cluster. `namespace` is empty, as the API has it for objects of the whole cluster."""

    name: str
    tier: TierWord
    priority: int
    subject: PodPeer | UnknownPeer
    """Both selectors are given."""
    egress: tuple[ClusterRule, ...] = ()
    ingress: tuple[ClusterRule, ...] = ()
    uid: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    api_version: str = "policy.networking.k8s.io/v1alpha2"
    kind: str = "ClusterNetworkPolicy"
    place: Place = field(default=NOWHERE, compare=False, repr=False)
    namespace: str = field(default="", init=False)

    def rules(self, direction: Direction) -> tuple[ClusterRule, ...]:
        """The rules of one direction, in their order."""
        return self.egress if direction is Direction.EGRESS else self.ingress

    @property
    def types(self) -> frozenset[Direction]:
        """The directions in which it says anything."""
        return _directions(bool(self.egress), bool(self.ingress))

    def __str__(self) -> str:
        return self.name


@functools.cache
def _directions(egress: bool, ingress: bool) -> frozenset[Direction]:
    both = ((Direction.EGRESS, egress), (Direction.INGRESS, ingress))
    return frozenset(direction for direction, said in both if said)
