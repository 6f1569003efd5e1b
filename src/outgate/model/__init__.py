"""What the cluster says: its objects, read and checked, and the one frozen `Snapshot` of them.

Every value keeps the place it came from. Nothing here says what a policy *means* (`outgate.policy`)
and nothing opens a file or a socket (`outgate.cluster`).
"""

from outgate.model.cilium import CiliumPolicy
from outgate.model.cluster_policy import ClusterPolicy, ClusterRule, NamePeer, NodePeer, UnknownPeer
from outgate.model.hints import NO_HINTS, Hints
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.objects import (
    Binding,
    BlockPeer,
    Called,
    Callout,
    Container,
    ContainerPort,
    Direction,
    EndpointSlice,
    Ingress,
    Namespace,
    NetworkPolicy,
    Node,
    Owner,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Service,
    ServiceAccount,
    ServicePort,
    Workload,
)
from outgate.model.place import NOWHERE, Document, Place
from outgate.model.snapshot import AnyRule, Learned, Policy, Snapshot

__all__ = [
    "NOWHERE",
    "NO_HINTS",
    "AnyRule",
    "Binding",
    "BlockPeer",
    "Called",
    "Callout",
    "CiliumPolicy",
    "ClusterPolicy",
    "ClusterRule",
    "Container",
    "ContainerPort",
    "Direction",
    "Document",
    "EndpointSlice",
    "Hints",
    "Ingress",
    "LabelSelector",
    "Learned",
    "NamePeer",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "NodePeer",
    "Operator",
    "Owner",
    "Place",
    "Pod",
    "PodPeer",
    "Policy",
    "PolicyPort",
    "PolicyRule",
    "Requirement",
    "Service",
    "ServiceAccount",
    "ServicePort",
    "Snapshot",
    "UnknownPeer",
    "Workload",
]
