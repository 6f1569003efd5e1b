"""A policy becomes what it says: absent, null and empty where they differ, and defaults where the server sets them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.model import (
    BlockPeer,
    Document,
    LabelSelector,
    NetworkPolicy,
    Operator,
    Place,
    PodPeer,
    PolicyPort,
    Requirement,
)
from outgate.model.parse_policy import network_policy
from tests.model.documents import egress, parsed, policy

EVERYTHING = LabelSelector()


def read(value: Any) -> NetworkPolicy:
    """The one policy of an object."""
    (made,) = parsed(value).snapshot.policies
    return made


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ({"podSelector": {}}, PodPeer(EVERYTHING, None)),
        ({"namespaceSelector": {}}, PodPeer(None, EVERYTHING)),
        ({"podSelector": None, "namespaceSelector": {}}, PodPeer(None, EVERYTHING)),
        ({"podSelector": {"matchLabels": {}}, "namespaceSelector": {"matchExpressions": []}},
         PodPeer(EVERYTHING, EVERYTHING)),
        ({"podSelector": {"matchLabels": {"a": ""}}}, PodPeer(LabelSelector.of({"a": ""}), None)),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": None}}, BlockPeer(ipaddress.ip_network("0.0.0.0/0"))),
        ({"ipBlock": {"cidr": "2001:DB8::/32", "except": ["2001:db8:1::/48"]}},
         BlockPeer(ipaddress.ip_network("2001:db8::/32"), (ipaddress.ip_network("2001:db8:1::/48"),))),
    ],
)  # fmt: skip
def test_peers(peer: dict[str, Any], expected: object) -> None:
    """A selector that is absent and one that is empty are different things in a peer."""
    assert read(egress({"to": [peer]})).egress[0].peers == (expected,)
    assert read(policy({"ingress": [{"from": [peer]}]})).ingress[0].peers == (expected,)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({}, PolicyPort("TCP")),
        ({"protocol": "UDP"}, PolicyPort("UDP")),
        ({"port": "http"}, PolicyPort("TCP", "http")),
        ({"port": 80, "endPort": 90, "protocol": "SCTP"}, PolicyPort("SCTP", 80, 90)),
    ],
)
def test_ports(port: dict[str, Any], expected: PolicyPort) -> None:
    """An empty port is every TCP port, not every port."""
    assert read(egress({"ports": [port]})).egress[0].ports == (expected,)


@pytest.mark.parametrize("rule", [{}, None, {"to": None}, {"to": [], "ports": []}])
def test_empty_rules_allow_everything(rule: object) -> None:
    """Absent, null and empty lists are one to the server."""
    (made,) = read(egress(rule)).egress
    assert (made.peers, made.ports) == ((), ())


def test_selector_in_canonical_form() -> None:
    """Two spellings of one selector are equal, or every class of pods would be counted twice."""
    expressions = [
        {"key": "b", "operator": "NotIn", "values": ["y", "x", "y"]},
        {"key": "a", "operator": "In", "values": ["v"]},
        {"key": "c", "operator": "Exists", "values": []},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    long = read(policy({"podSelector": {"matchExpressions": expressions}}))
    short = read(
        policy({"podSelector": {"matchLabels": {"a": "v"}, "matchExpressions": [*expressions[2:], expressions[0]]}})
    )
    assert long.pods == short.pods
    assert Requirement("b", Operator.NOT_IN, ("x", "y")) in long.pods.requirements
    assert parsed(policy({})).snapshot.policies[0].pods == EVERYTHING


def test_places_lead_back_to_the_text() -> None:
    """Every verdict names a line, so a rule, a peer and a port must know where they stand."""
    value = egress({}, {"to": [{"podSelector": {}}], "ports": [{}, {"port": 1}]})
    source = Document("f.yaml", value, len)
    made = network_policy(value, Place(source))
    rule = made.egress[1]
    assert [str(one.place.path) for one in (made, rule, rule.peers[0], rule.ports[1])] == [
        "",
        "spec.egress[1]",
        "spec.egress[1].to[0]",
        "spec.egress[1].ports[1]",
    ]
    assert str(rule.ports[1].place) == "f.yaml:5"


def test_metadata_that_is_kept() -> None:
    """Annotations choose options of ours, and the uid tells one life of a name from the next."""
    made = read(policy({}, annotations={"a": "b"}, uid="u"))
    assert (made.namespace, made.name, made.annotations, made.uid) == ("shop", "web", {"a": "b"}, "u")
    assert made.api_version == "networking.k8s.io/v1"
