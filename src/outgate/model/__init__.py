"""What the cluster says: its objects, read and checked, and the one frozen `Snapshot` of them.

Every value keeps the place it came from. Nothing here says what a policy *means* (`outgate.policy`)
and nothing opens a file or a socket (`outgate.cluster`).
"""

from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.model.objects import (
    BlockPeer,
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
    ServicePort,
    Workload,
)
from outgate.model.place import NOWHERE, Document, Place
from outgate.model.snapshot import Snapshot

__all__ = [
    "NOWHERE",
    "BlockPeer",
    "Container",
    "ContainerPort",
    "Direction",
    "Document",
    "EndpointSlice",
    "Ingress",
    "LabelSelector",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "Operator",
    "Owner",
    "Place",
    "Pod",
    "PodPeer",
    "PolicyPort",
    "PolicyRule",
    "Requirement",
    "Service",
    "ServicePort",
    "Snapshot",
    "Workload",
]
