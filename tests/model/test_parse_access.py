"""Who may call the API server, and whom it calls."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import Binding, Called, Callout, ServiceAccount
from tests.model.documents import parsed, refusals

RBAC = "rbac.authorization.k8s.io/v1"
HOOKS = "admissionregistration.k8s.io/v1"


def made(version: str, kind: str, name: str = "x", **more: Any) -> dict[str, Any]:
    """An object."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **more.pop("metadata", {})}, **more}


def test_service_accounts() -> None:
    """Only the annotations that make one somebody in a cloud."""
    said = {"eks.amazonaws.com/role-arn": "arn", "note": "x", "iam.gke.io/gcp-service-account": 5}
    one = made("v1", "ServiceAccount", automountServiceAccountToken=False, metadata={"annotations": said})
    assert parsed(one, default_namespace="shop").snapshot.accounts == (
        ServiceAccount("shop", "x", False, (("eks.amazonaws.com/role-arn", "arn"),)),
    )
    assert parsed(made("v1", "ServiceAccount")).snapshot.accounts[0].token is None


def test_bindings() -> None:
    """Of the subjects the accounts, which have a namespace; names as free as those of RBAC are."""
    subjects = [
        {"kind": "ServiceAccount", "namespace": "shop", "name": "a"},
        {"kind": "ServiceAccount", "name": "nowhere"},
        {"kind": "User", "name": "root"},
        {"kind": "ServiceAccount", "namespace": "shop", "name": "a"},
    ]
    role = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
    both = parsed(
        made(RBAC, "RoleBinding", "a:b", subjects=subjects, roleRef=role),
        made(RBAC, "ClusterRoleBinding", "System:x_Y", roleRef=role),
    )
    assert both.errors == ()
    assert both.snapshot.bindings == (
        Binding("ClusterRoleBinding", "", "System:x_Y", ("ClusterRole", "view")),
        Binding("RoleBinding", "default", "a:b", ("ClusterRole", "view"), (("shop", "a"),)),
    )
    assert [str(one) for one in both.snapshot.bindings] == ["ClusterRoleBinding System:x_Y", "RoleBinding default/a:b"]


def test_names_that_are_no_step_of_a_path() -> None:
    """Free is not anything."""
    assert refusals(made(RBAC, "ClusterRoleBinding", "a/b%")) == [
        "metadata.name: Invalid value: \"a/b%\": may not contain '/'",
        "metadata.name: Invalid value: \"a/b%\": may not contain '%'",
    ]
    assert refusals(made(RBAC, "ClusterRoleBinding", "..")) == ["metadata.name: Invalid value: \"..\": may not be '..'"]


@pytest.mark.parametrize("kind", ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"])
def test_webhooks(kind: str) -> None:
    """Those that are Services; who is called at a URL is not in the cluster."""
    service = {"namespace": "shop", "name": "hook", "path": "/x"}
    hooks = [
        {"name": "a", "clientConfig": {"service": service}, "failurePolicy": "Ignore"},
        {"name": "b", "clientConfig": {"url": "https://example.com"}},
        {"name": "c", "clientConfig": {"service": {**service, "port": 8443}}},
    ]
    (one,) = parsed(made(HOOKS, kind, webhooks=hooks)).snapshot.callouts
    assert one == Callout(kind, "x", (Called("shop", "hook", 443, False, "a"), Called("shop", "hook", 8443, True, "c")))
    assert [called.place.path for called in one.called] == ["webhooks[0]", "webhooks[2]"]
    assert str(one) == f"{kind} x"


def test_api_services() -> None:
    """One without a Service is served by the API server itself; its name may end with a dot."""
    version = "apiregistration.k8s.io/v1"
    local, other = parsed(
        made(version, "APIService", "v1."),
        made(version, "APIService", "v1.x.io", spec={"service": {"namespace": "shop", "name": "api"}}),
    ).snapshot.callouts
    assert local.called == ()
    assert other.called == (Called("shop", "api"),)


def test_they_make_no_namespace() -> None:
    """A namespace that only a binding mentions has no pods, and nothing to say about traffic."""
    assert list(parsed(made(RBAC, "RoleBinding", metadata={"namespace": "shop"})).snapshot.namespaces) == []


def test_what_is_of_the_wrong_type_is_refused() -> None:
    """With a place, and without a traceback."""
    assert refusals(made(RBAC, "RoleBinding", subjects={}))[0].startswith("subjects: json: cannot unmarshal object")
