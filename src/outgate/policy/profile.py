"""The points that the API leaves open, and how they are read.

Where Kubernetes says "undefined" or "implementation defined", an answer that pretends to be *the*
answer is a guess. Each such point is a field of `Profile`; `OUTGATE` is what Outgate itself enforces,
and each of the other `PROFILES` is what one network plugin does by design. A plugin's bugs are no reading
of anything: they are not here (docs/profiles.md lists them). A verdict is called specified when no
open point that the flow touches could turn it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from outgate.model import Pod
from outgate.model.labels import Labels
from outgate.packets import Protocol, TransportSet
from outgate.policy.label_filter import CILIUM_LABELS, LabelFilter
from outgate.records import dataclass

__all__ = [
    "AWS_VPC_CNI",
    "CALICO",
    "CILIUM",
    "KUBE_ROUTER",
    "OUTGATE",
    "OVN_KUBERNETES",
    "PASSING_ICMP",
    "PROFILES",
    "REASONS",
    "Profile",
]


@dataclass(frozen=True, slots=True)
class Profile:
    """One reading of the open points."""

    name: str
    blocks_match_pods: bool = True
    """An address block matches a pod's address too (upstream e2e expects it; Cilium differs)."""
    blocks_match_nodes: bool = True
    """An address block matches the addresses of nodes and of what runs on their network (Cilium differs)."""
    blocks_see_service: bool = False
    """Address blocks are compared with the service address, before translation (concept page: undefined)."""
    before_translation: bool = False
    """Egress is judged by the address and port that the pod dialled, all of it: blocks, ports and selectors.

    No pod has a Service's address, so selectors then also cover the cluster addresses of Services (AWS VPC CNI; see
    `outgate.policy.service_peers`).
    """
    own_node_exempt: bool = False
    """A pod always reaches the node it runs on (the concept page says so, types.go exempts ingress alone)."""
    host_network_isolated: bool = False
    """Policies that select a host-network pod isolate it (concept page: undefined; nearly all ignore them).

    Only where this is so is a host-network pod told apart from its node.
    """
    host_network_selected: bool = False
    """Selectors of peers match host-network pods (concept page: undefined): by address, so the node with them."""
    hairpin_exempt: bool = False
    """A pod that reaches itself through a Service is exempt (undefined; network-policy-api makes it subject)."""
    hairpin_ingress_exempt: bool = False
    """Its ingress half alone is exempt (OVN-Kubernetes: it comes back from an address that is always let in)."""
    names_need_selectors: bool = False
    """On egress a port name means nothing beside a block or without `to` (API: "a named port on a pod", any pod)."""
    icmp_passes: bool = False
    """`PASSING_ICMP` passes whatever the policies say (the API defines TCP, UDP and SCTP alone)."""
    names_need_dns_rules: bool = False
    """A name is learned only of questions that a rule with ``rules.dns`` is about, by all pods of the node (Cilium).

    It says what has been learned before a flow is judged, and is no open point of the flow: it is none of `REASONS`.
    """
    hidden_labels: LabelFilter | None = None
    """Labels that selectors of pods do not see (Cilium: those that are no part of an identity)."""
    stand_ins_in_blocks: bool = False
    """A pod whose address is not known yet is taken to lie in every address block."""
    stand_ins_out_of_blocks: bool = False
    """It is taken to lie in none that leaves out any address of its family: in the exceptions, or elsewhere."""

    def visible(self, labels: Labels) -> Labels:
        """What selectors see of a pod's labels. Two pods of one namespace that agree in it are one kind of pod."""
        return labels if self.hidden_labels is None else self.hidden_labels.visible(labels)

    def block_matches(self, pod: Pod | None, *, on_node: bool = False) -> bool:
        """Whether a block that covers an address matches who is there.

        `pod` is the pod that has the address, `on_node` says that a node has it; a host-network pod is its node.
        """
        if pod is not None and not pod.host_network:
            return self.blocks_match_pods
        return self.blocks_match_nodes or not (on_node or pod is not None)

    def differing(self, other: Profile) -> tuple[str, ...]:
        """The fields in which two profiles differ, which are keys of `REASONS`."""
        return tuple(name for name in REASONS if getattr(self, name) != getattr(other, name))


REASONS: Mapping[str, str] = MappingProxyType(
    {
        "blocks_match_pods": "whether address blocks match the addresses of pods is read both ways by network plugins",
        "blocks_match_nodes": "whether address blocks match the addresses of nodes is read both ways by "
        "network plugins",
        "blocks_see_service": "whether address blocks see the service address or the endpoint behind it is up to "
        "the network plugin",
        "before_translation": "whether egress policy is judged before or after a Service's address is translated "
        "is up to the network plugin",
        "own_node_exempt": "whether a pod may always reach its own node is read both ways by network plugins",
        "host_network_isolated": "whether policies treat host-network pods as pods or as their node is up to "
        "the network plugin",
        "host_network_selected": "whether policies treat host-network pods as pods or as their node is up to "
        "the network plugin",
        "hairpin_exempt": "whether policy applies to a pod that reaches itself through a Service is up to "
        "the network plugin",
        "hairpin_ingress_exempt": "whether policy applies to a pod that reaches itself through a Service is up to "
        "the network plugin",
        "names_need_selectors": "whether a port name without a selector beside it means a port of any pod is read "
        "both ways by network plugins",
        "icmp_passes": "NetworkPolicy defines TCP, UDP and SCTP alone; other protocols are up to the network plugin",
        "hidden_labels": "whether selectors see every label of a pod is up to the network plugin",
        "stand_ins_in_blocks": "the input gives the pod no address, so whether an address block covers it is not known",
        "stand_ins_out_of_blocks": "the input gives the pod no address, so whether an address block covers it is not "
        "known",
    }
)
"""For each open point, in words, why verdicts differ under its readings."""


PASSING_ICMP = TransportSet.icmp_types(Protocol.ICMP, 3, 8, 11) | TransportSet.icmp_types(
    Protocol.ICMPV6, 1, 3, 128, 129, 135, 136
)
"""Echo requests, destination unreachable and time exceeded (RFC 792, RFC 4443); of IPv6 also echo replies and
neighbour discovery (RFC 4861), which are what ARP is to IPv4."""

OUTGATE = Profile("outgate")
"""What Outgate enforces. docs/decisions/0003 has the reason for each point."""

CALICO = Profile("calico")
"""Felix judges in the forward path, after translation, by plain addresses: in every point as Outgate does."""

CILIUM = Profile(
    "cilium",
    # A block is a rule about what is outside the cluster: pods and nodes have identities instead. "policy-cidr-match-
    # mode: nodes", which adds the nodes, is not the default.
    blocks_match_pods=False,
    blocks_match_nodes=False,
    # Traffic from an endpoint to itself through a Service is not held against policy.
    hairpin_exempt=True,
    # Addresses come out of the answers that the DNS proxy has seen, and rules.dns alone lead questions there.
    names_need_dns_rules=True,
    hidden_labels=CILIUM_LABELS,
)
"""Identities made of labels; addresses count outside the cluster alone."""

AWS_VPC_CNI = Profile(
    "aws-vpc-cni",
    # Filters sit at the pod's own interface, where no address is translated yet.
    before_translation=True,
    # The address of the node is let through on each of its pods.
    own_node_exempt=True,
    # The controller turns selectors into addresses, without a look at who shares an address with the node.
    host_network_selected=True,
    # It does not look for pods in a block, or in no `to` at all.
    names_need_selectors=True,
)
"""The policy agent and controller of EKS, once the policies of a pod are loaded."""

OVN_KUBERNETES = Profile("ovn-kubernetes", hairpin_ingress_exempt=True)
"""ACLs after load balancing, by plain addresses. What a pod sends itself through a Service comes back from an address
of the plugin's own, which every pod lets in."""

KUBE_ROUTER = Profile("kube-router", icmp_passes=True)
"""Packet filter rules after translation, also in k3s. Its common rules let ICMP through in both directions."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {one.name: one for one in (OUTGATE, CALICO, CILIUM, AWS_VPC_CNI, OVN_KUBERNETES, KUBE_ROUTER)}
)
"""Every profile by its name, ours first."""
