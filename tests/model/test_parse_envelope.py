"""Which objects are ours, which are somebody else's, and which are a mistake."""

from __future__ import annotations

import pytest

from outgate.model.parse_envelope import envelope_problem, type_of

GROUP = "policy.networking.k8s.io"


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        (f"{GROUP}/v1alpha2", "ClusterNetworkPolicy"), (f"{GROUP}/v1alpha1", "AdminNetworkPolicy"),
        (f"{GROUP}/v1alpha1", "BaselineAdminNetworkPolicy"),
        # Newer than what we know, or another product's.
        (f"{GROUP}/v1beta1", "ClusterNetworkPolicy"), ("crd.antrea.io/v1beta1", "ClusterNetworkPolicy"),
        ("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy"), ("cilium.io/v2", "CiliumClusterwideNetworkPolicy"),
        ("cilium.io/v3", "CiliumNetworkPolicy"), ("cilium.io/v3alpha1", "CiliumCIDRGroup"),
        ("cilium.io/v2alpha1", "CiliumCIDRGroup"), ("projectcalico.org/v3", "NetworkPolicy"),
        ("acme.example/v1", "NetworkPolicy"), ("k8s.cni.cncf.io/v1beta1", "MultiNetworkPolicy"),
        *[("cilium.io/v2", f"Cilium{kind}") for kind in (
            "Endpoint", "EndpointSlice", "Identity", "Node", "NodeConfig", "ExternalWorkload", "EgressGatewayPolicy",
            "LocalRedirectPolicy", "EnvoyConfig", "ClusterwideEnvoyConfig", "BGPPeeringPolicy", "BGPClusterConfig",
            "BGPNodeConfigOverride", "LoadBalancerIPPool", "L2AnnouncementPolicy", "PodIPPool", "GatewayClassConfig",
        )],
        *[("v1", kind) for kind in ("PodTemplate", "Event", "Secret", "ConfigMap", "LimitRange", "Binding", "List")],
        ("apps/v1", "ControllerRevision"), ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("apps/v2", "Deployment"),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"), ("batch/v2", "Job"),
    ],
)  # fmt: skip
def test_no_mistake(version: str, kind: str) -> None:
    """Ours, or passed over."""
    assert envelope_problem(version, kind) is None


@pytest.mark.parametrize(
    ("version", "kind", "right"),
    [
        (f"{GROUP}/v1alpha1", "ClusterNetworkPolicy", f"{GROUP}/v1alpha2"),
        (f"{GROUP}/v1alpha2", "AdminNetworkPolicy", f"{GROUP}/v1alpha1"),
        (f"{GROUP}/v1alpha2", "BaselineAdminNetworkPolicy", f"{GROUP}/v1alpha1"),
        ("v1", "ClusterNetworkPolicy", f"{GROUP}/v1alpha2"), ("policy/v1", "AdminNetworkPolicy", f"{GROUP}/v1alpha1"),
        ("networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", f"{GROUP}/v1alpha2"),
        ("networking.k8s/v1", "NetworkPolicy", "networking.k8s.io/v1"),
        ("networking.kubernetes.io/v1", "NetworkPolicy", "networking.k8s.io/v1"),
        ("cilium.io/v2", "NetworkPolicy", "networking.k8s.io/v1"),
        (f"{GROUP}/v1", "NetworkPolicy", "networking.k8s.io/v1"),
        ("cilium.io/v1", "CiliumNetworkPolicy", "cilium.io/v2"), ("cilium/v2", "CiliumCIDRGroup", "cilium.io/v2"),
        ("cilium.io/v2alpha1", "CiliumNetworkPolicy", "cilium.io/v2"),
        ("networking.k8s.io/v1", "CiliumClusterwideNetworkPolicy", "cilium.io/v2"),
    ],
)  # fmt: skip
def test_a_kind_of_another_version(version: str, kind: str, right: str) -> None:
    """In the words of the server, and which version it is of."""
    found = envelope_problem(version, kind)
    assert found is not None
    assert found.message == f'no matches for kind "{kind}" in version "{version}"; it is a kind of {right}'


def test_a_kind_that_is_misspelt() -> None:
    """Nobody means something else by it."""
    found = envelope_problem(f"{GROUP}/v1alpha2", "clusternetworkpolicy")
    assert found is not None
    assert found.message == f'no matches for kind "clusternetworkpolicy" in version "{GROUP}/v1alpha2"'


@pytest.mark.parametrize(
    ("version", "kind", "meant"),
    [
        ("cilium.io/v2", "CiliumNetworkPolciy", "CiliumNetworkPolicy"),
        ("cilium.io/v2", "CiliumNetworkPolicies", "CiliumNetworkPolicy"),
        ("cilium.io/v3", "ClusterwideNetworkPolicy", "CiliumClusterwideNetworkPolicy"),
        ("cilium.io/v2", "CiliumCidrGroups", "CiliumCIDRGroup"),
        (f"{GROUP}/v1alpha2", "ClusterNetworkPolices", "ClusterNetworkPolicy"),
        (f"{GROUP}/v1alpha1", "AdminNetworkPolciy", "AdminNetworkPolicy"),
        ("apps/v1", "Deploymnet", "Deployment"),
    ],
)
def test_nearly_a_kind_of_ours_is_a_mistake(version: str, kind: str, meant: str) -> None:
    """Passed over, it would deny nothing, and an answer would be given without a word about it."""
    found = envelope_problem(version, kind)
    assert found is not None
    assert found.message == f'no matches for kind "{kind}" in version "{version}"; is {meant} meant?'


def test_types_have_names() -> None:
    """As YAML calls them."""
    values: list[object] = [[], {}, "", True, None, 5]
    named = {type_of(one) for one in values}
    assert named == {"a list", "a mapping", "a string", "true or false", "nothing", "a number"}
