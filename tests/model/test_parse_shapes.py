"""The shapes are the API's: a field that is missing here would be refused in every good manifest."""

from __future__ import annotations

from outgate.model.parse_shapes import METADATA, NETWORK_POLICY, OBJECTS
from outgate.model.parse_types import Listing, Shape, StringMap, Struct


def fields(shape: Shape, at: str = "") -> set[str]:
    """Every field of a shape, dotted."""
    if isinstance(shape, Listing):
        return fields(shape.element, at)
    if not isinstance(shape, Struct):
        return set()
    below = {f"{at}{name}": inner for name, inner in shape.fields.items()}
    return {*below, *(one for name, inner in below.items() for one in fields(inner, f"{name}."))}


def test_network_policy_has_the_fields_of_the_api() -> None:
    """Written down from the API's own list (types.go), apart from the shapes."""
    selector = {
        "matchLabels",
        "matchExpressions",
        *(f"matchExpressions.{one}" for one in ("key", "operator", "values")),
    }
    peer = {"podSelector", "namespaceSelector", "ipBlock", "ipBlock.cidr", "ipBlock.except"}
    peer |= {f"{one}.{field}" for one in ("podSelector", "namespaceSelector") for field in selector}
    rule = {"ports", "ports.protocol", "ports.port", "ports.endPort"}
    spec = {"podSelector", "policyTypes", "egress", "ingress", *(f"podSelector.{one}" for one in selector)}
    spec |= {f"egress.{one}" for one in {*rule, "to", *(f"to.{field}" for field in peer)}}
    spec |= {f"ingress.{one}" for one in {*rule, "from", *(f"from.{field}" for field in peer)}}
    expected = {"kind", "apiVersion", "metadata", "spec", *(f"spec.{one}" for one in spec)}
    assert {one for one in fields(NETWORK_POLICY) if not one.startswith("metadata.")} == expected


def test_metadata_has_the_fields_of_the_api() -> None:
    """What `kubectl get -o yaml` writes must be readable again, managedFields included."""
    assert set(METADATA.fields) == {
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
        "managedFields",
    }  # fmt: skip


def test_go_types_are_spelled_as_go_spells_them() -> None:
    """The names of the types stand in the server's messages."""
    spec = NETWORK_POLICY.fields["spec"]
    assert isinstance(spec, Struct)
    assert spec.go == "v1.NetworkPolicySpec"
    assert spec.fields["egress"].go == "[]v1.NetworkPolicyEgressRule"
    assert spec.fields["policyTypes"].go == "[]v1.PolicyType"
    assert StringMap().go == "map[string]string"
    assert METADATA.fields["generation"].go == "int64"


def test_the_kinds_that_are_read() -> None:
    """A kind that falls out of this table would be skipped in silence."""
    assert {f"{version}/{kind}" for version, kind in OBJECTS} == {
        "v1/Namespace", "v1/Pod", "v1/Service", "v1/Endpoints", "v1/Node", "v1/ReplicationController",
        "discovery.k8s.io/v1/EndpointSlice", "networking.k8s.io/v1/NetworkPolicy", "apps/v1/Deployment",
        "networking.k8s.io/v1/Ingress", "policy.networking.k8s.io/v1alpha2/ClusterNetworkPolicy",
        "policy.networking.k8s.io/v1beta1/ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha1/AdminNetworkPolicy",
        "policy.networking.k8s.io/v1alpha1/BaselineAdminNetworkPolicy",
        "cilium.io/v2/CiliumNetworkPolicy", "cilium.io/v2/CiliumClusterwideNetworkPolicy",
        "cilium.io/v2/CiliumCIDRGroup", "cilium.io/v2alpha1/CiliumCIDRGroup",
        "apps/v1/StatefulSet", "apps/v1/DaemonSet", "apps/v1/ReplicaSet", "batch/v1/Job", "batch/v1/CronJob",
        "v1/ServiceAccount", "rbac.authorization.k8s.io/v1/RoleBinding", "apiregistration.k8s.io/v1/APIService",
        "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
        "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration",
    }  # fmt: skip
    assert all(shape.name == kind for (_, kind), shape in OBJECTS.items())
