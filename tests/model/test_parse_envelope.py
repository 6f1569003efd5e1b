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


def test_types_have_names() -> None:
    """As YAML calls them."""
    values: list[object] = [[], {}, "", True, None, 5]
    named = {type_of(one) for one in values}
    assert named == {"a list", "a mapping", "a string", "true or false", "nothing", "a number"}
