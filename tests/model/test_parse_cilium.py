"""From objects of Cilium to the values: peers of every kind, sections, and what is absent against what is empty."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.model.cilium import (
    CidrGroup,
    CiliumPolicy,
    EndpointPeer,
    EntityPeer,
    GroupPeer,
    NameMatch,
    NodesPeer,
    ServicePeer,
)
from outgate.model.labels import LabelSelector
from outgate.model.objects import BlockPeer, Direction
from outgate.model.parse_cilium import read_cilium
from outgate.model.place import NOWHERE
from tests.model.cilium_objects import ANYBODY, cnp, only, policy_of, rule_of
from tests.model.documents import parsed

TEN = ipaddress.ip_network("10.0.0.0/8")
PORTS: dict[str, Any] = {"toPorts": [{"ports": [{"port": "80"}]}]}


def blocks(*texts: str) -> tuple[Any, ...]:
    """Networks."""
    return tuple(map(ipaddress.ip_network, texts))


def test_one_object_with_one_policy() -> None:
    """Its names, its subject, and its rules with their places."""
    policy = policy_of(cnp(ANYBODY, {"toEntities": ["world"]}, ingress=[{"fromEntities": ["host"]}]))
    assert (policy.kind, policy.namespace, policy.name, policy.index) == ("CiliumNetworkPolicy", "shop", "p", None)
    assert policy.subject.namespaces.matches({"kubernetes.io/metadata.name": "shop"})
    assert [one.place.path for one in policy.rules(Direction.EGRESS)] == ["spec.egress[0]", "spec.egress[1]"]
    assert [one.place.path for one in policy.rules(Direction.INGRESS)] == ["spec.ingress[0]"]
    assert policy.isolates == {Direction.EGRESS, Direction.INGRESS}
    assert str(policy) == "shop/p"


def test_one_object_with_several() -> None:
    """``spec`` and each of ``specs`` is a policy of its own, and knows where it stands."""
    one = {"endpointSelector": {"matchLabels": {"app": "x"}}, "egressDeny": [ANYBODY]}
    value = cnp(ANYBODY) | {"specs": [one, {**one, "egressDeny": [{"toEntities": ["world"]}]}]}
    found = parsed(value)
    assert not found.errors
    policies = found.snapshot.cilium_policies
    assert [(one.name, one.index) for one in policies] == [("p", None), ("p", 0), ("p", 1)]
    places = [one.rules(Direction.EGRESS)[0].place.path for one in policies]
    assert places == ["spec.egress[0]", "specs[0].egressDeny[0]", "specs[1].egressDeny[0]"]
    assert policies[1].place.path == "specs[0]"


def test_a_policy_of_the_whole_cluster() -> None:
    """It has no namespace, whatever it says, and its entries look everywhere."""
    value = cnp({"toEndpoints": [{}]}, kind="CiliumClusterwideNetworkPolicy")
    value["metadata"]["namespace"] = "shop"
    policy = policy_of(value)
    assert (policy.kind, policy.namespace, str(policy)) == ("CiliumClusterwideNetworkPolicy", "", "p")
    assert policy.subject == EndpointPeer()
    assert only(policy.egress[0]) == EndpointPeer()


def test_a_policy_of_hosts_is_marked_as_a_whole() -> None:
    """The rule: "nodeSelector only CCNP = host policy"."""
    value = cnp(
        ANYBODY, kind="CiliumClusterwideNetworkPolicy", endpointSelector=None, nodeSelector={"matchLabels": {"a": "b"}}
    )
    policy = policy_of(value)
    assert policy.nodes == LabelSelector.of({"a": "b"})
    assert [(one.feature, one.place.path) for one in policy.not_enforced()] == [("nodeSelector", "spec.nodeSelector")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"toEntities": ["world"]}, EntityPeer("world")),
        ({"toCIDR": ["10.0.0.0/8"]}, BlockPeer(TEN)),
        ({"toCIDR": ["10.1.2.3/8"]}, BlockPeer(TEN)),
        ({"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]}, BlockPeer(TEN, blocks("10.1.0.0/16"))),
        ({"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}]}, BlockPeer(TEN, (TEN,))),
        ({"toCIDRSet": [{"cidrGroupRef": "g"}]}, GroupPeer("g")),
        (
            {"toCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"a": "b"}}, "except": ["10.1.0.0/16"]}]},
            GroupPeer("", LabelSelector.of({"a": "b"}), blocks("10.1.0.0/16")),
        ),
        ({"toServices": [{"k8sService": {"serviceName": "s", "namespace": "n"}}]}, ServicePeer("n", "s")),
        ({"toServices": [{"k8sService": {"serviceName": "s"}}]}, ServicePeer("", "s")),
        (
            {"toServices": [{"k8sServiceSelector": {"selector": {"matchLabels": {"a": "b"}}, "namespace": "n"}}]},
            ServicePeer("n", "", LabelSelector.of({"a": "b"})),
        ),
        ({"toNodes": [{"matchLabels": {"zone": "a"}}]}, NodesPeer(LabelSelector.of({"zone": "a"}))),
        ({"toFQDNs": [{"matchName": "A.example"}]}, NameMatch("A.example")),
        ({"toFQDNs": [{"matchPattern": "*.example"}]}, NameMatch("", "*.example")),
    ],
)
def test_a_peer_of_each_kind(rule: dict[str, object], expected: object) -> None:
    """Typed, and equal where the text means the same."""
    assert only(rule_of(rule)) == expected


def test_from_is_as_to() -> None:
    """The kinds that both directions have."""
    rule = {"fromCIDRSet": [{"cidr": "10.0.0.0/8"}]}
    assert only(rule_of(rule, section="ingress")) == BlockPeer(TEN)
    assert only(rule_of({"fromNodes": [{}]}, section="ingressDeny")) == NodesPeer(LabelSelector())


@pytest.mark.parametrize("kind", ["Endpoints", "Nodes", "Entities", "CIDR", "CIDRSet"])
def test_an_empty_list_is_nobody(kind: str) -> None:
    """The rule: "Non-nil empty toEndpoints: [] selects nothing", with ports and without, whatever else there is."""
    for more in ({}, PORTS):
        rule = rule_of({f"to{kind}": [], **more})
        assert rule.peers == ()
        assert rule.matches_nothing
    other = {"toEntities": ["world"]} if kind != "Entities" else {"toCIDR": ["10.0.0.0/8"]}
    assert rule_of({f"to{kind}": [], **other}).peers == ()


@pytest.mark.parametrize("kind", ["Services", "FQDNs", "Groups"])
def test_some_empty_lists_are_absent(kind: str) -> None:
    """Cilium looks at five kinds only."""
    rule = rule_of({f"to{kind}": [], **PORTS})
    assert rule.peers is None
    assert not rule.matches_nothing


@pytest.mark.parametrize("kind", ["Endpoints", "CIDR", "FQDNs"])
def test_null_is_absent(kind: str) -> None:
    """The server drops it."""
    assert rule_of({f"to{kind}": None, **PORTS}).peers is None


def test_a_rule_that_says_nothing_matches_nothing() -> None:
    """The rule: "egress: [{}] -> rule with no L3 and no L4 = matches nothing = deny all egress"."""
    policy = policy_of(cnp({}))
    assert policy.egress[0].peers is None
    assert policy.egress[0].matches_nothing
    assert policy.isolates == {Direction.EGRESS}
    assert rule_of({"toPorts": [], "icmps": []}).matches_nothing


def test_ports_alone_are_for_anybody() -> None:
    """The rule: "No L3 key at all + toPorts -> any destination on these ports"."""
    rule = rule_of(PORTS)
    assert rule.peers is None
    assert not rule.matches_nothing
    assert not rule_of({"icmps": [{"fields": [{"type": 8}]}]}).matches_nothing


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"egress": [{}]}, {Direction.EGRESS}),
        ({"egressDeny": [ANYBODY]}, {Direction.EGRESS}),
        ({"ingress": [{}]}, {Direction.INGRESS}),
        ({"ingressDeny": [{}], "egress": []}, {Direction.INGRESS}),
        ({"egress": [{}], "enableDefaultDeny": {"egress": False}}, set()),
        ({"egress": [{}], "enableDefaultDeny": {"egress": None}}, {Direction.EGRESS}),
        ({"egress": [{}], "enableDefaultDeny": {"ingress": True}}, {Direction.EGRESS}),
        ({"egress": [{}], "ingress": [], "enableDefaultDeny": {"ingress": True}}, {Direction.EGRESS}),
        ({"egress": [{}], "enableDefaultDeny": {}}, {Direction.EGRESS}),
    ],
)
def test_who_asks_for_denial(spec: dict[str, object], expected: set[Direction]) -> None:
    """The rule: "A policy asks if it has egress or egressDeny entries, unless enableDefaultDeny.egress: false"."""
    assert policy_of(cnp(**spec)).isolates == expected


@pytest.mark.parametrize(
    ("rule", "feature"),
    [
        ({**ANYBODY, "authentication": {"mode": "required"}}, "authentication"),
        ({**ANYBODY, "authentication": {"mode": "test-always-fail"}}, "authentication"),
        ({"toGroups": [{"aws": {"region": "r"}}]}, "toGroups"),
    ],
)
def test_what_a_rule_asks_for_in_vain(rule: dict[str, object], feature: str) -> None:
    """Kept at the rule, with its place."""
    (mark,) = rule_of(rule).unenforced
    assert mark.feature == feature
    assert mark.place.path.startswith(f"spec.egress[0].{feature}")


def test_groups_of_a_provider_are_nobody_whom_we_know() -> None:
    """Not anybody: the rule names peers."""
    rule = rule_of({"toGroups": [{"aws": {}}], **PORTS})
    assert rule.peers == ()
    assert rule.unenforced


def test_no_authentication_is_no_mark() -> None:
    """The rule: "authentication.mode disabled"."""
    assert not rule_of({**ANYBODY, "authentication": {"mode": "disabled"}}).unenforced


def test_requirements_of_old_objects_are_kept_as_marks() -> None:
    """A server may still hold what the schema of today refuses."""
    value = cnp({**ANYBODY, "toRequires": [{}]})
    (policy,) = parsed(value, stored=True).snapshot.cilium_policies
    assert [one.feature for one in policy.not_enforced()] == ["toRequires"]


@pytest.mark.parametrize(
    ("rule", "feature"),
    [
        ({"toFoo": ["x"], "toPorts": [{"ports": [{"port": "443"}]}]}, "toFoo"),
        ({"toEndpoints": [{"foo": {}}]}, "toEndpoints[0].foo"),
        ({"toPorts": [{"ports": [{"port": "443", "foo": 1}]}]}, "toPorts[0].ports[0].foo"),
        ({**ANYBODY, "auth": {"type": "required"}}, "auth"),
    ],
)
@pytest.mark.parametrize("section", ["egress", "egressDeny"])
def test_a_field_that_is_not_known_closes_its_rule(section: str, rule: dict[str, object], feature: str) -> None:
    """A server with a newer schema stores it; passed over, it left the rule wider than it was meant."""
    value = cnp(ANYBODY)
    value["spec"][section] = [rule]
    found = parsed(value, stored=True)
    (policy,) = found.snapshot.cilium_policies
    (mark,) = policy.not_enforced()
    assert (mark.feature, mark.words) == (feature, "this field is not known here")
    assert mark.place.path == f"spec.{section}[0].{feature}"
    assert parsed(value).errors


def test_a_group_of_blocks() -> None:
    """In both versions; the server's schema wants blocks, and the agent takes an address as well."""
    for version in ("v2", "v2alpha1"):
        value = {
            "apiVersion": f"cilium.io/{version}",
            "kind": "CiliumCIDRGroup",
            "metadata": {"name": "g", "labels": {"a": "b"}},
            "spec": {"externalCIDRs": ["10.0.0.0/8", "2001:db8::/32"]},
        }
        (group,) = parsed(value).snapshot.cidr_groups
        assert group == CidrGroup("g", blocks("10.0.0.0/8", "2001:db8::/32"), {"a": "b"})
    bare = {**value, "spec": {"externalCIDRs": ["10.1.2.3"]}}
    assert parsed(bare).errors
    (group,) = parsed(bare, stored=True).snapshot.cidr_groups
    assert group.blocks == blocks("10.1.2.3/32")


def test_deny_comes_first() -> None:
    """The rule: "Deny wins over every allow"."""
    policy = policy_of(cnp(ANYBODY, egressDeny=[{"toEntities": ["world"]}]))
    assert [one.deny for one in policy.rules(Direction.EGRESS)] == [True, False]


def test_what_is_read_is_of_its_kind() -> None:
    """One object makes policies, or one group."""
    value = {"metadata": {"name": "p"}, "spec": {"endpointSelector": {}, "egress": [{}]}}
    (policy,) = read_cilium("CiliumClusterwideNetworkPolicy", value, NOWHERE)
    assert isinstance(policy, CiliumPolicy)
    group = {"metadata": {"name": "g"}, "spec": {"externalCIDRs": []}}
    assert list(read_cilium("CiliumCIDRGroup", group, NOWHERE)) == [CidrGroup("g", ())]
