"""Not a check: the selectors that policies of every kind write, for their subjects and for their peers, in one shape.

What a kind of policy adds by itself is in them: the policy's own namespace, and that pods on the host network are never
meant, which for NetworkPolicies is up to the network plugin.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.survey import Survey
from outgate.checks.written import Written, subject_place
from outgate.model import (
    CiliumPolicy,
    ClusterPolicy,
    LabelSelector,
    NodePeer,
    Place,
    Pod,
    PodPeer,
    Policy,
)
from outgate.model.cilium import EndpointPeer, NodesPeer, ServicePeer
from outgate.model.labels import EVERYTHING
from outgate.policy.cilium_rules import endpoints
from outgate.policy.rules import PodMatch, peer_match
from outgate.policy.selection import has_account
from outgate.records import dataclass

__all__ = ["Selected", "node_selectors", "peer_selectors", "pods_meant", "service_peers", "subject_selector"]


@dataclass(frozen=True, slots=True)
class Selected:
    """A selector of pods. `match` None: it asks for labels that no pod can have, as its kind of policy sees pods."""

    place: Place
    match: PodMatch | None

    @property
    def chooses(self) -> bool:
        """Whether it chooses among the pods of its namespaces."""
        return self.match is None or bool(self.match.pods) or bool(self.match.accounts)

    def pods(self, survey: Survey) -> tuple[Pod, ...]:
        """The pods that it means."""
        return survey.policies.selection.pods(self.match) if self.match is not None else ()

    def is_nobody(self, survey: Survey) -> bool:
        """Whether no pod of the input is meant."""
        return self.match is None or not survey.grid.identities.peers(self.match, 4)

    def names(self, survey: Survey, pod: Pod) -> bool:
        """Whether a pod has the labels that are asked for, on whatever network it is."""
        match = self.match
        if match is None:
            return False
        if match.namespaces is None:
            if pod.namespace != match.namespace:
                return False
        elif not match.namespaces.matches(survey.snapshot.namespace(pod.namespace).labels):
            return False
        return match.pods.matches(pod.labels) and has_account(match, pod)


def subject_selector(policy: Policy) -> Selected | None:
    """Whom a policy is about; None where that is no selector of pods."""
    place = subject_place(policy)
    match policy:
        case CiliumPolicy():
            if policy.nodes is not None or policy.unenforced:
                return None
            return Selected(place, None if policy.subject.nobody else endpoints(policy.subject))
        case ClusterPolicy():
            return Selected(place, _of_cluster(policy.subject)) if isinstance(policy.subject, PodPeer) else None
    return Selected(place, PodMatch(policy.namespace, None, policy.pods))


def peer_selectors(written: Written) -> Iterator[Selected]:
    """The peers of a rule that select pods by labels. Those that mean pods of other clusters are left out."""
    for peer in written.rule.peers or ():
        match peer:
            case EndpointPeer():
                if not peer.clusters:
                    yield Selected(peer.place, None if peer.nobody else endpoints(peer))
            case PodPeer():
                if isinstance(written.policy, ClusterPolicy):
                    yield Selected(peer.place, _of_cluster(peer))
                else:
                    found = peer_match(written.policy.namespace, peer)
                    assert isinstance(found, PodMatch), "what selects pods matches pods"
                    yield Selected(peer.place, found)


def node_selectors(written: Written) -> Iterator[tuple[Place, LabelSelector]]:
    """The peers of a rule that select nodes by labels."""
    for peer in written.rule.peers or ():
        if isinstance(peer, NodePeer | NodesPeer):
            yield peer.place, peer.nodes


def service_peers(survey: Survey, written: Written) -> Iterator[Pod]:
    """The pods behind the Services that a rule names."""
    places = survey.policies.selection.places
    for peer in written.rule.peers or ():
        if isinstance(peer, ServicePeer):
            for service in places.services(peer.namespace, peer.name, peer.services):
                yield from survey.snapshot.backends(service)


def pods_meant(survey: Survey, written: Written) -> Iterator[Pod]:
    """The pods that the peers of a rule mean by their labels, or by the Services that they are behind."""
    for selected in peer_selectors(written):
        yield from selected.pods(survey)
    yield from service_peers(survey, written)


def _of_cluster(peer: PodPeer) -> PodMatch:
    return PodMatch(None, peer.namespaces or EVERYTHING, peer.pods or EVERYTHING, never_hosts=True)
