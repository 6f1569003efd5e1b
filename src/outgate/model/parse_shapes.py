"""The objects of the Kubernetes API, field by field, for the kinds that Outgate reads.

The shapes of NetworkPolicy are complete, because a field that is not in them is refused; those of the other
kinds have only what decides about traffic, or tells whom a pod will talk to (`outgate.model.hints`), and the
rest is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

from outgate.model.cilium_kinds import CILIUM_KINDS
from outgate.model.cluster_policy_schemas import DEFINITIONS
from outgate.model.hints import ANNOTATIONS
from outgate.model.parse_types import (
    BOOLEAN,
    INT32,
    INT64,
    INT_OR_STRING,
    OPAQUE,
    STRING,
    STRING_MAP,
    STRINGS,
    TIME,
    Listing,
    Shape,
    Struct,
    Text,
)

__all__ = ["ENV", "IDENTITIES", "METADATA", "NETWORK_POLICY", "OBJECTS", "POLICIES"]

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


def _annotated(*names: str) -> Struct:
    """Metadata with some of the annotations. What their values are decides about nothing, so anything is taken."""
    return Struct(
        "ObjectMeta",
        {**_SHORT_METADATA.fields, "annotations": Struct("ObjectMeta", dict.fromkeys(names, OPAQUE))},
    )


_POD_METADATA = _annotated(*ANNOTATIONS)

ENV = Listing(Struct("EnvVar", {"name": OPAQUE, "value": OPAQUE}))
"""An environment. A value that is no string is for the API server to refuse."""

_CONTAINER = Struct(
    "Container",
    {
        "name": OPAQUE,
        "env": ENV,
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
        "serviceAccountName": STRING,
        "serviceAccount": STRING,
        "automountServiceAccountToken": BOOLEAN,
        "containers": _CONTAINERS,
        "initContainers": _CONTAINERS,
    },
)

_POD = Struct(
    "Pod",
    {
        "metadata": _POD_METADATA,
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

_TEMPLATE = Struct("PodTemplateSpec", {"metadata": _POD_METADATA, "spec": _POD_SPEC})

_STARTED = Listing(
    Struct(
        "Container",
        {**_CONTAINER.fields, "name": STRING, "image": STRING, "command": STRINGS, "args": STRINGS},
    )
)
"""How the network of a cluster is switched is said where its own DaemonSets and Deployments start their containers."""

_STARTED_TEMPLATE = Struct(
    "PodTemplateSpec",
    {"metadata": _POD_METADATA, "spec": Struct("PodSpec", {**_POD_SPEC.fields, "containers": _STARTED})},
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

IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
"""The annotations by which a cloud gives an account of the cluster one of its own."""

_SERVICE_ACCOUNT = Struct(
    "ServiceAccount", {"metadata": _annotated(*IDENTITIES), "automountServiceAccountToken": BOOLEAN}
)


def _binding(kind: str) -> Struct:
    subject = Struct("Subject", {"kind": STRING, "name": STRING, "namespace": STRING})
    role = Struct("RoleRef", {"kind": STRING, "name": STRING})
    return Struct(kind, {"metadata": _SHORT_METADATA, "subjects": Listing(subject), "roleRef": role})


_SERVICE_REFERENCE = Struct("ServiceReference", {"namespace": STRING, "name": STRING, "port": INT32})


def _webhooks(kind: str) -> Struct:
    config = Struct("WebhookClientConfig", {"service": _SERVICE_REFERENCE})
    fields: dict[str, Shape] = {"name": STRING, "clientConfig": config, "failurePolicy": Text("v1.FailurePolicyType")}
    name = kind.removesuffix("WebhookConfiguration") + "Webhook"
    return Struct(kind, {"metadata": _SHORT_METADATA, "webhooks": Listing(Struct(name, fields))})


_API_SERVICE = Struct(
    "APIService",
    {"metadata": _SHORT_METADATA, "spec": Struct("APIServiceSpec", {"service": _SERVICE_REFERENCE})},
)

# What is in them is for their definitions to say, not for Go's types: they are custom resources.
_CUSTOM_POLICIES = {
    (version, kind): Struct(
        kind, {"metadata": METADATA, "spec": OPAQUE, "specs": OPAQUE}, package=version.rpartition("/")[2]
    )
    for version, kind in (*DEFINITIONS, *CILIUM_KINDS)
}

OBJECTS: Mapping[tuple[str, str], Struct] = {
    # How its policies are meant (`outgate.policy.mode`).
    ("v1", "Namespace"): Struct(
        "Namespace", {"metadata": _annotated("outgate.dev/enforcement", "outgate.dev/established")}
    ),
    ("v1", "Pod"): _POD,
    ("v1", "Service"): _SERVICE,
    ("v1", "Endpoints"): _ENDPOINTS,
    ("v1", "Node"): _NODE,
    ("v1", "ReplicationController"): _workload("ReplicationController"),
    ("discovery.k8s.io/v1", "EndpointSlice"): _ENDPOINT_SLICE,
    ("networking.k8s.io/v1", "NetworkPolicy"): NETWORK_POLICY,
    **_CUSTOM_POLICIES,
    ("networking.k8s.io/v1", "Ingress"): _INGRESS,
    ("apps/v1", "Deployment"): _workload("Deployment", template=_STARTED_TEMPLATE),
    ("apps/v1", "StatefulSet"): _workload("StatefulSet"),
    ("apps/v1", "DaemonSet"): _workload("DaemonSet", replicated=False, template=_STARTED_TEMPLATE),
    ("apps/v1", "ReplicaSet"): _workload("ReplicaSet"),
    ("batch/v1", "Job"): _JOB,
    ("batch/v1", "CronJob"): _CRON_JOB,
    ("v1", "ServiceAccount"): _SERVICE_ACCOUNT,
    **{("rbac.authorization.k8s.io/v1", kind): _binding(kind) for kind in ("RoleBinding", "ClusterRoleBinding")},
    **{
        ("admissionregistration.k8s.io/v1", kind): _webhooks(kind)
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    },
    ("apiregistration.k8s.io/v1", "APIService"): _API_SERVICE,
}
"""What Outgate reads, by ``apiVersion`` and ``kind``; everything else is counted and passed over."""

POLICIES = frozenset({NETWORK_POLICY, *_CUSTOM_POLICIES.values()})
"""Those that are judged field by field, and explained: nothing of their text may be lost before."""
