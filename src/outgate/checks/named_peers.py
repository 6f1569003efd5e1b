"""Not a check: the peers by name that policies have, as the checks of names ask about them.

Names stand in ``domainNames`` of ClusterNetworkPolicies and AdminNetworkPolicies and in ``toFQDNs`` of Cilium's
policies. Only rules that allow can name them.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.survey import Survey
from outgate.model import CiliumPolicy, ClusterPolicy, Direction, NamePeer, Place
from outgate.model.cilium import NameMatch, PortEntry
from outgate.policy import Action, Origin
from outgate.policy.names import Dialect, Pattern
from outgate.policy.rules import origin_of
from outgate.records import dataclass

__all__ = ["NamedPeer", "NamingRule", "naming_rules"]


@dataclass(frozen=True, slots=True)
class NamedPeer:
    """One peer, or of ``domainNames`` one of its names."""

    pattern: Pattern
    place: Place


@dataclass(frozen=True, slots=True)
class NamingRule:
    """A rule that opens names, with all of them."""

    policy: CiliumPolicy | ClusterPolicy
    origin: Origin
    peers: tuple[NamedPeer, ...]
    entries: tuple[PortEntry, ...] = ()
    """Its ``toPorts``, where it is one of Cilium's."""


def naming_rules(survey: Survey) -> tuple[NamingRule, ...]:
    """All of them, policy by policy."""
    return survey.once(_all)


def _all(survey: Survey) -> tuple[NamingRule, ...]:
    return (*_of_cilium(survey), *_of_cluster(survey))


def _of_cilium(survey: Survey) -> Iterator[NamingRule]:
    for policy in survey.snapshot.cilium_policies:
        for index, rule in enumerate(policy.rules(Direction.EGRESS)):
            names = (one for one in rule.peers or () if isinstance(one, NameMatch))
            peers = tuple(NamedPeer(Pattern(one.name or one.pattern, Dialect.CILIUM), one.place) for one in names)
            if peers and policy.nodes is None and not (policy.unenforced or rule.unenforced):
                yield NamingRule(policy, origin_of(policy, Direction.EGRESS, index), peers, rule.ports)


def _of_cluster(survey: Survey) -> Iterator[NamingRule]:
    for policy in survey.snapshot.cluster_policies:
        for index, rule in enumerate(policy.egress):
            peers = tuple(
                NamedPeer(Pattern(name, Dialect.NETWORK_POLICY), peer.place / "domainNames" / number)
                for peer in rule.peers
                if isinstance(peer, NamePeer)
                for number, name in enumerate(peer.names)
            )
            if peers and rule.action == Action.ACCEPT.value:
                yield NamingRule(policy, origin_of(policy, Direction.EGRESS, index), peers)
