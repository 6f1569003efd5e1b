"""The types of the Kubernetes API as its own decoder sees them, for the kinds that Outgate reads.

The API server is a Go program, and what it says of a value of the wrong type names Go's types:
``json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string``. To say
the same, each shape here carries the name of its Go type. The shapes of NetworkPolicy are complete,
because a field that is not in them is refused; those of the other kinds have only what decides about
traffic, and the rest is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "BOOLEAN",
    "INT32",
    "INT64",
    "INT_OR_STRING",
    "METADATA",
    "NETWORK_POLICY",
    "OBJECTS",
    "OPAQUE",
    "STRING",
    "STRING_MAP",
    "TIME",
    "Boolean",
    "IntOrString",
    "Integer",
    "Listing",
    "Opaque",
    "Shape",
    "StringMap",
    "Struct",
    "Text",
    "Time",
]


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A JSON object with known fields. `name` is the bare name of the Go struct."""

    name: str
    fields: Mapping[str, Shape]
    package: str = "v1"

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"{self.package}.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A JSON array. Go calls it a slice."""

    element: Shape

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"[]{self.element.go}"


@dataclass(frozen=True, slots=True, eq=False)
class StringMap:
    """A JSON object with free keys and strings as values."""

    go: str = "map[string]string"


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A JSON string, possibly of a named Go type."""

    go: str = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Integer:
    """A JSON number without a fraction, within so many bits with a sign."""

    bits: int

    @property
    def go(self) -> str:
        """The type as Go prints it."""
        return f"int{self.bits}"


@dataclass(frozen=True, slots=True, eq=False)
class Boolean:
    """A JSON true or false."""

    go: str = "bool"


@dataclass(frozen=True, slots=True, eq=False)
class IntOrString:
    """``intstr.IntOrString``: a string, or anything else as a 32-bit integer."""

    go: str = "int32"


@dataclass(frozen=True, slots=True, eq=False)
class Time:
    """``metav1.Time``: a string of RFC 3339."""

    go: str = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Anything; not looked into."""

    go: str = "interface {}"


Shape = Struct | Listing | StringMap | Text | Integer | Boolean | IntOrString | Time | Opaque

STRING = Text()
STRING_MAP = StringMap()
INT32 = Integer(32)
INT64 = Integer(64)
BOOLEAN = Boolean()
INT_OR_STRING = IntOrString()
TIME = Time()
OPAQUE = Opaque()
STRINGS = Listing(STRING)

_OWNER_REFERENCE = Struct(
    "OwnerReference",
    {
        "apiVersion": STRING,
        "kind": STRING,
        "name": STRING,
        "uid": Text("types.UID"),
        "controller": BOOLEAN,
        "blockOwnerDeletion": BOOLEAN,
    },
)

METADATA = Struct(
    "ObjectMeta",
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "selfLink": STRING,
        "uid": Text("types.UID"),
        "resourceVersion": STRING,
        "generation": INT64,
        "creationTimestamp": TIME,
        "deletionTimestamp": TIME,
        "deletionGracePeriodSeconds": INT64,
        "labels": STRING_MAP,
        "annotations": STRING_MAP,
        "ownerReferences": Listing(_OWNER_REFERENCE),
        "finalizers": STRINGS,
        "managedFields": Listing(
            Struct(
                "ManagedFieldsEntry",
                {
                    "manager": STRING,
                    "operation": Text("v1.ManagedFieldsOperationType"),
                    "apiVersion": STRING,
                    "time": TIME,
                    "fieldsType": STRING,
                    "fieldsV1": OPAQUE,
                    "subresource": STRING,
                },
            )
        ),
    },
)
"""The metadata of every object, complete."""

_LABEL_SELECTOR = Struct(
    "LabelSelector",
    {
        "matchLabels": STRING_MAP,
        "matchExpressions": Listing(
            Struct(
                "LabelSelectorRequirement",
                {"key": STRING, "operator": Text("v1.LabelSelectorOperator"), "values": STRINGS},
            )
        ),
    },
)

_PEERS = Listing(
    Struct(
        "NetworkPolicyPeer",
        {
            "podSelector": _LABEL_SELECTOR,
            "namespaceSelector": _LABEL_SELECTOR,
            "ipBlock": Struct("IPBlock", {"cidr": STRING, "except": STRINGS}),
        },
    )
)

_POLICY_PORTS = Listing(
    Struct("NetworkPolicyPort", {"protocol": Text("v1.Protocol"), "port": INT_OR_STRING, "endPort": INT32})
)

NETWORK_POLICY = Struct(
    "NetworkPolicy",
    {
        "kind": STRING,
        "apiVersion": STRING,
        "metadata": METADATA,
        "spec": Struct(
            "NetworkPolicySpec",
            {
                "podSelector": _LABEL_SELECTOR,
                "ingress": Listing(Struct("NetworkPolicyIngressRule", {"ports": _POLICY_PORTS, "from": _PEERS})),
                "egress": Listing(Struct("NetworkPolicyEgressRule", {"ports": _POLICY_PORTS, "to": _PEERS})),
                "policyTypes": Listing(Text("v1.PolicyType")),
            },
        ),
    },
)
"""networking.k8s.io/v1 NetworkPolicy, complete."""

_SHORT_METADATA = Struct(
    "ObjectMeta",
    {
        **{name: METADATA.fields[name] for name in ("name", "generateName", "namespace", "uid", "labels")},
        **{name: METADATA.fields[name] for name in ("ownerReferences", "resourceVersion")},
        "deletionTimestamp": STRING,
    },
)

_CONTAINER = Struct(
    "Container",
    {
        "restartPolicy": Text("v1.ContainerRestartPolicy"),
        "ports": Listing(
            Struct("ContainerPort", {"name": STRING, "containerPort": INT32, "protocol": Text("v1.Protocol")})
        ),
    },
)
_CONTAINERS = Listing(_CONTAINER)

_POD_SPEC = Struct(
    "PodSpec",
    {
        "nodeName": STRING,
        "hostNetwork": BOOLEAN,
        "hostname": STRING,
        "subdomain": STRING,
        "containers": _CONTAINERS,
        "initContainers": _CONTAINERS,
    },
)

_POD = Struct(
    "Pod",
    {
        "metadata": _SHORT_METADATA,
        "spec": _POD_SPEC,
        "status": Struct(
            "PodStatus",
            {
                "phase": Text("v1.PodPhase"),
                "podIP": STRING,
                "podIPs": Listing(Struct("PodIP", {"ip": STRING})),
                "hostIP": STRING,
                "hostIPs": Listing(Struct("HostIP", {"ip": STRING})),
                "conditions": Listing(
                    Struct("PodCondition", {"type": Text("v1.PodConditionType"), "status": Text("v1.ConditionStatus")})
                ),
            },
        ),
    },
)

_TEMPLATE = Struct("PodTemplateSpec", {"metadata": _SHORT_METADATA, "spec": _POD_SPEC})

_STARTED = Listing(
    Struct(
        "Container",
        {**_CONTAINER.fields, "name": STRING, "image": STRING, "command": STRINGS, "args": STRINGS},
    )
)
"""How the network of a cluster is switched is said where its own DaemonSets and Deployments start their containers."""

_STARTED_TEMPLATE = Struct(
    "PodTemplateSpec",
    {"metadata": _SHORT_METADATA, "spec": Struct("PodSpec", {**_POD_SPEC.fields, "containers": _STARTED})},
)


def _workload(kind: str, *, replicated: bool = True, template: Struct = _TEMPLATE) -> Struct:
    fields: dict[str, Shape] = {"template": template}
    if replicated:
        fields["replicas"] = INT32
    return Struct(kind, {"metadata": _SHORT_METADATA, "spec": Struct(f"{kind}Spec", fields)})


_JOB = _workload("Job", replicated=False)

_CRON_JOB = Struct(
    "CronJob",
    {
        "metadata": _SHORT_METADATA,
        "spec": Struct(
            "CronJobSpec",
            {
                "jobTemplate": Struct(
                    "JobTemplateSpec", {"metadata": _SHORT_METADATA, "spec": Struct("JobSpec", {"template": _TEMPLATE})}
                )
            },
        ),
    },
)

_SERVICE = Struct(
    "Service",
    {
        "metadata": _SHORT_METADATA,
        "spec": Struct(
            "ServiceSpec",
            {
                "type": Text("v1.ServiceType"),
                "clusterIP": STRING,
                "clusterIPs": STRINGS,
                "selector": STRING_MAP,
                "externalName": STRING,
                "externalIPs": STRINGS,
                "publishNotReadyAddresses": BOOLEAN,
                "ports": Listing(
                    Struct(
                        "ServicePort",
                        {
                            "name": STRING,
                            "protocol": Text("v1.Protocol"),
                            "port": INT32,
                            "targetPort": INT_OR_STRING,
                            "nodePort": INT32,
                        },
                    )
                ),
            },
        ),
        "status": Struct(
            "ServiceStatus",
            {
                "loadBalancer": Struct(
                    "LoadBalancerStatus", {"ingress": Listing(Struct("LoadBalancerIngress", {"ip": STRING}))}
                )
            },
        ),
    },
)

_TARGET = Struct("ObjectReference", {"kind": STRING, "namespace": STRING, "name": STRING})

_ENDPOINT_SLICE = Struct(
    "EndpointSlice",
    {
        "metadata": _SHORT_METADATA,
        "addressType": Text("v1.AddressType"),
        "endpoints": Listing(
            Struct(
                "Endpoint",
                {
                    "addresses": STRINGS,
                    "conditions": Struct("EndpointConditions", {"ready": BOOLEAN}),
                    "hostname": STRING,
                    "targetRef": _TARGET,
                },
            )
        ),
        "ports": Listing(
            Struct("EndpointPort", {"name": STRING, "protocol": Text("v1.Protocol"), "port": INT32}),
        ),
    },
)

_ENDPOINT_ADDRESSES = Listing(Struct("EndpointAddress", {"ip": STRING, "hostname": STRING, "targetRef": _TARGET}))

_ENDPOINTS = Struct(
    "Endpoints",
    {
        "metadata": _SHORT_METADATA,
        "subsets": Listing(
            Struct(
                "EndpointSubset",
                {
                    "addresses": _ENDPOINT_ADDRESSES,
                    "notReadyAddresses": _ENDPOINT_ADDRESSES,
                    "ports": Listing(
                        Struct("EndpointPort", {"name": STRING, "protocol": Text("v1.Protocol"), "port": INT32}),
                    ),
                },
            )
        ),
    },
)

_NODE = Struct(
    "Node",
    {
        "metadata": Struct("ObjectMeta", {**_SHORT_METADATA.fields, "annotations": STRING_MAP}),
        "spec": Struct("NodeSpec", {"podCIDR": STRING, "podCIDRs": STRINGS}),
        "status": Struct(
            "NodeStatus",
            {
                "addresses": Listing(Struct("NodeAddress", {"type": Text("v1.NodeAddressType"), "address": STRING})),
                "nodeInfo": Struct(
                    "NodeSystemInfo",
                    {"kubeletVersion": STRING, "kernelVersion": STRING, "operatingSystem": STRING},
                ),
            },
        ),
    },
)

_INGRESS_BACKEND = Struct(
    "IngressBackend",
    {
        "service": Struct(
            "IngressServiceBackend",
            {"name": STRING, "port": Struct("ServiceBackendPort", {"name": STRING, "number": INT32})},
        ),
        "resource": Struct("TypedLocalObjectReference", {"kind": STRING, "name": STRING}),
    },
)

_INGRESS = Struct(
    "Ingress",
    {
        "metadata": _SHORT_METADATA,
        "spec": Struct(
            "IngressSpec",
            {
                "ingressClassName": STRING,
                "defaultBackend": _INGRESS_BACKEND,
                "rules": Listing(
                    Struct(
                        "IngressRule",
                        {
                            "http": Struct(
                                "HTTPIngressRuleValue",
                                {"paths": Listing(Struct("HTTPIngressPath", {"backend": _INGRESS_BACKEND}))},
                            )
                        },
                    )
                ),
            },
        ),
    },
)

OBJECTS: Mapping[tuple[str, str], Struct] = {
    ("v1", "Namespace"): Struct("Namespace", {"metadata": _SHORT_METADATA}),
    ("v1", "Pod"): _POD,
    ("v1", "Service"): _SERVICE,
    ("v1", "Endpoints"): _ENDPOINTS,
    ("v1", "Node"): _NODE,
    ("v1", "ReplicationController"): _workload("ReplicationController"),
    ("discovery.k8s.io/v1", "EndpointSlice"): _ENDPOINT_SLICE,
    ("networking.k8s.io/v1", "NetworkPolicy"): NETWORK_POLICY,
    ("networking.k8s.io/v1", "Ingress"): _INGRESS,
    ("apps/v1", "Deployment"): _workload("Deployment", template=_STARTED_TEMPLATE),
    ("apps/v1", "StatefulSet"): _workload("StatefulSet"),
    ("apps/v1", "DaemonSet"): _workload("DaemonSet", replicated=False, template=_STARTED_TEMPLATE),
    ("apps/v1", "ReplicaSet"): _workload("ReplicaSet"),
    ("batch/v1", "Job"): _JOB,
    ("batch/v1", "CronJob"): _CRON_JOB,
}
"""What Outgate reads, by ``apiVersion`` and ``kind``; everything else is counted and passed over."""
