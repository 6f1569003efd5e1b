"""What of a policy decides: whether two of them would come to the same rules."""

from __future__ import annotations

from collections.abc import Mapping

from outgate.model import CiliumPolicy, ClusterPolicy, NetworkPolicy
from outgate.model.objects import OWN_PREFIX

__all__ = ["asks", "means", "says"]


def means(policy: NetworkPolicy) -> object:
    """What of a policy decides: not its annotations but ours, not its place."""
    return policy.pods, policy.types, policy.egress, policy.ingress, _ours(policy.annotations)


def says(policy: ClusterPolicy) -> object:
    """The same of a policy of the whole cluster."""
    whom = policy.tier, policy.priority, policy.subject
    return *whom, policy.egress, policy.ingress, _ours(policy.annotations)


def asks(policy: CiliumPolicy) -> object:
    """The same of a policy of Cilium's, marks of what is not enforced among it: they close."""
    sections = (policy.egress, policy.egress_deny, policy.ingress, policy.ingress_deny)
    return policy.subject, policy.nodes, policy.isolates, policy.unenforced, sections, _ours(policy.annotations)


def _ours(annotations: Mapping[str, str]) -> Mapping[str, str]:
    return {key: text for key, text in annotations.items() if key.startswith(OWN_PREFIX)}
