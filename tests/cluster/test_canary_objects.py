"""What is made in other people's clusters is harmless, and what it needs is written down."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from outgate.cluster.canary_objects import (
    CLIENT,
    DEFAULT_IMAGE,
    LIFETIME,
    PROBE_LABEL,
    RBAC,
    SERVER,
    client_pod,
    deny,
    namespace,
    server_pod,
)
from outgate.model import Direction
from outgate.model.parse import parse
from outgate.model.place import Document


@pytest.mark.parametrize("pod", [server_pod(DEFAULT_IMAGE), client_pod(DEFAULT_IMAGE, "10.1.0.1")])
def test_pods_pass_the_restricted_standard(pod: Any) -> None:
    """Field by field, as the standard lists them; many clusters take no other pods."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] != 0
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert {key for one in spec["volumes"] for key in one} <= {"name", "emptyDir"}
    assert all("hostPort" not in port for port in container.get("ports", ()))


@pytest.mark.parametrize("pod", [server_pod("x"), client_pod("x", "10.1.0.1")])
def test_pods_end_and_know_nothing(pod: Any) -> None:
    """If all else fails they are over in an hour; and they could do nothing with the API server."""
    spec = pod["spec"]
    assert spec["activeDeadlineSeconds"] == LIFETIME
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("address", "url"), [("10.1.0.1", "http://10.1.0.1:8080/"), ("fd00::1", "http://[fd00::1]:8080/")]
)
def test_the_client_asks_the_server(address: str, url: str) -> None:
    """At its address, not at a name: DNS is not what is tried here."""
    (container,) = client_pod("x", address)["spec"]["containers"]
    assert container["readinessProbe"]["exec"]["command"][-1] == url


def test_the_policies_are_ones_that_outgate_takes() -> None:
    """They select one pod each and isolate it whole, in one direction."""
    for direction, who in ((Direction.EGRESS, CLIENT), (Direction.INGRESS, SERVER)):
        value = deny(direction)
        value["metadata"]["namespace"] = "x"
        (policy,) = parse([Document("x", value)]).snapshot.policies
        assert policy.types == {direction}
        assert policy.rules(direction) == ()
        assert policy.pods.matches({PROBE_LABEL: who})
        assert not policy.pods.matches({PROBE_LABEL: "other"})


def test_the_namespace_carries_the_token() -> None:
    """By which it is known to be ours."""
    assert namespace("n", "t")["metadata"]["labels"][PROBE_LABEL] == "t"


def test_the_rights_are_those_that_are_used() -> None:
    """What `canary` sends, and not a verb more."""
    rules = yaml.safe_load(RBAC)["rules"]
    found = {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}
    assert found == {
        "namespaces": {"get", "create", "delete"},
        "pods": {"get", "create", "delete"},
        "networkpolicies": {"create", "delete"},
    }
