"""A metadata service within a wide rule."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.testing import Manifest, cluster_policy, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import DNS_PORTS, ask, block, deny, egress, one, to

RULE = "metadata-open"
WEB = pod("shop/web", ["10.1.0.1"], app="web")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def test_the_internet_less_private_networks_contains_them() -> None:
    """The classic leak, with a packet."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", *PRIVATE))))
    assert str(found.witness) == "shop/web -> 169.254.169.254:80/TCP passes"
    assert "100.100.100.200/32" in found.help
    assert found.place.path == "spec.egress[0].to[0]"


def test_only_on_ports_that_such_services_have() -> None:
    """A rule for 443 lets nobody ask for credentials."""
    assert not ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=[{"port": 443}])))
    assert not ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=DNS_PORTS)))
    assert len(ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"), ports=[{"port": 80}])))) == 1


def test_each_cloud_by_itself() -> None:
    """With the link left out, those remain that are elsewhere, and IPv6 has its own."""
    found = one(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0", "169.254.0.0/16"))))
    assert "192.0.0.192, 100.100.100.200" in found.message
    six = one(RULE, pod("shop/web", ["fd00:1::1"]), egress("shop/p", to(block("fd00::/8"))))
    assert "fd00:ec2::254" in six.message


def test_what_workloads_need_and_what_has_its_own_check() -> None:
    """The agent of Pod Identity, and Azure's WireServer."""
    assert not ask(RULE, WEB, egress("shop/p", to(block("169.254.170.23/32"), block("168.63.129.16/32"))))
    assert not ask(RULE, WEB, deny())


CLOUD = "169.254.169.254/32"
WORLD = {"toEntities": ["world"]}


def of_cilium(*rules: dict[str, Any], path: str = "shop/p", **more: Any) -> Manifest:
    """A policy of Cilium's for all pods."""
    return cilium_policy(path, {"endpointSelector": {}, "egress": list(rules)} | more)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        (WORLD, "spec.egress[0].toEntities[0]"),
        ({"toCIDR": ["169.254.0.0/16"]}, "spec.egress[0].toCIDR[0]"),
        ({"toCIDRSet": [{"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}]}, "spec.egress[0].toCIDRSet[0].cidr"),
        ({"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}, "spec.egress[0]"),
        (WORLD | {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{}]}}]}, None),
    ],
    ids=["world", "block", "set", "nobody in particular", "any request"],
)
def test_rules_of_cilium(rule: dict[str, Any], place: str | None) -> None:
    """Whatever kind of peer contains the address, with a packet where the pod is known, and without one the same."""
    found = one(RULE, WEB, of_cilium(rule))
    assert found.message.startswith("shop/p egress[0] lets shop/web reach the metadata service at 169.254.169.254")
    assert str(found.witness) == "shop/web -> 169.254.169.254:80/TCP passes"
    assert found.help.startswith("egressDeny with toCIDR 169.254.169.254/32")
    assert not found.fix
    if place is not None:
        assert found.place.path in {place, place.removesuffix(".cidr")}
    alone = one(RULE, of_cilium(rule))
    assert "lets every pod of shop reach" in alone.message
    assert alone.witness is None


def with_http(**asked: str) -> dict[str, Any]:
    """Requests to the world."""
    return WORLD | {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [asked]}}]}


def test_conditions_that_no_request_for_credentials_meets() -> None:
    """By path and method; the pod says itself for whom a request is."""
    assert not ask(RULE, WEB, of_cilium(with_http(path="/v1/items")))
    assert not ask(RULE, WEB, of_cilium(with_http(method="POST")))
    assert len(ask(RULE, WEB, of_cilium(with_http(host="api.example.com")))) == 1
    named = WORLD | {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "serverNames": ["a.example"]}]}
    assert not ask(RULE, WEB, of_cilium(named))


@pytest.mark.parametrize("pods", [[WEB], []], ids=["of a pod", "of whichever pods there will be"])
def test_denials_of_any_kind_are_before_it(pods: list[Manifest]) -> None:
    """Of the same policy, of another, and of one for the whole cluster; one of other pods or addresses is not."""
    open_ = of_cilium(WORLD)
    no_cloud = [{"toCIDR": ["0.0.0.0/0", "::/0"], "toPorts": [{"ports": [{"port": "0"}]}]}]
    assert not ask(RULE, *pods, of_cilium(WORLD, egressDeny=no_cloud))
    for path in ("shop/q", "q"):
        denial = {"endpointSelector": {}, "egressDeny": [WORLD]}
        assert not ask(RULE, *pods, open_, cilium_policy(path, denial))
    elsewhere = {"endpointSelector": {}, "egressDeny": [{"toCIDR": ["0.0.0.0/0"]}]}
    assert len(ask(RULE, *pods, open_, cilium_policy("other/q", elsewhere))) == 1
    admin = cluster_policy("a", egress=[{"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}])
    assert not ask(RULE, *pods, open_, admin)
    some = cluster_policy("a", egress=[{"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}]}])
    assert len(ask(RULE, *pods, open_, some)) == 1


def test_only_addresses_of_the_families_that_the_pod_has() -> None:
    """What has no IPv6 sends none."""
    denial: dict[str, Any] = {"egressDeny": [{"toCIDR": ["0.0.0.0/0"]}]}
    assert not ask(RULE, WEB, of_cilium(WORLD, **denial))
    found = one(RULE, pod("shop/web", ["10.1.0.1", "fd00:1::1"]), of_cilium(WORLD, **denial))
    assert "at fd00:ec2::254" in found.message


def test_a_network_policy_is_not_blamed_for_what_cilium_denies() -> None:
    """A denial of Cilium's is before what NetworkPolicies allow."""
    denial = {"endpointSelector": {}, "egressDeny": [{"toCIDR": ["0.0.0.0/0"]}]}
    assert not ask(RULE, WEB, egress("shop/p", to(block("0.0.0.0/0"))), cilium_policy("shop/q", denial))


def test_an_allowance_where_nothing_is_closed() -> None:
    """A policy that isolates nobody opens nothing."""
    assert not ask(RULE, WEB, of_cilium(WORLD, enableDefaultDeny={"egress": False}))
    assert len(ask(RULE, WEB, of_cilium(WORLD, enableDefaultDeny={"egress": False}), deny())) == 1


def ruled(*rules: tuple[str, str], name: str = "a", **more: Any) -> Manifest:
    """A policy of the whole cluster with these actions for these networks."""
    return cluster_policy(name, egress=[{"action": do, "to": [{"networks": [to]}]} for do, to in rules], **more)


@pytest.mark.parametrize("pods", [[WEB], []], ids=["of a pod", "of whichever pods there will be"])
def test_rules_of_the_whole_cluster(pods: list[Manifest]) -> None:
    """In their order: the first that matches counts, and one that denies or passes opens nothing."""
    found = one(RULE, *pods, ruled(("Accept", "0.0.0.0/0")))
    assert found.message.startswith("ClusterNetworkPolicy a egress[0] lets ")
    assert found.help.startswith("a rule before this one that denies 169.254.169.254/32")
    assert found.place.path.startswith("spec.egress[0].to[0]")
    assert not ask(RULE, *pods, ruled(("Deny", "0.0.0.0/0"), ("Accept", "0.0.0.0/0")))
    assert not ask(RULE, *pods, ruled(("Pass", "0.0.0.0/0"), ("Accept", "0.0.0.0/0")))
    assert not ask(RULE, *pods, ruled(("Deny", "0.0.0.0/0")))
    before = ruled(("Deny", "0.0.0.0/0"), name="b", priority=1)
    assert not ask(RULE, *pods, ruled(("Accept", "0.0.0.0/0")), before)
    # Of all clouds the one that is denied is left out.
    (found,) = ask(RULE, *pods, ruled(("Deny", CLOUD), ("Accept", "0.0.0.0/0")))
    assert "169.254.169.254" not in found.message


def test_what_a_rule_of_a_tier_only_repeats() -> None:
    """Where the first of two opens it, the second is not the matter."""
    found = one(RULE, WEB, ruled(("Accept", "169.254.0.0/16"), ("Accept", CLOUD)))
    assert "egress[0]" in found.message


def test_whom_it_is_denied_is_not_named() -> None:
    """Nor is a connection of theirs shown, which would pass nowhere; of NetworkPolicies and of the other kinds."""
    other = pod("shop/db", ["10.1.0.2"], app="db")
    subject = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}}
    closed = ruled(("Deny", CLOUD), name="b", subject=subject, priority=1)
    mine = to(block(CLOUD))
    for opening in (egress("shop/p", mine), of_cilium({"toCIDR": [CLOUD]}), ruled(("Accept", CLOUD))):
        found = one(RULE, WEB, other, opening, closed)
        assert "lets shop/web reach the metadata service" in found.message
        assert str(found.witness) == "shop/web -> 169.254.169.254:80/TCP passes"


def test_a_network_policy_without_its_pods() -> None:
    """Then policies about every pod that there may be count, and no others."""
    mine = egress("shop/p", to(block(CLOUD)))
    assert ask(RULE, mine, ruled(("Deny", CLOUD))) == []
    assert ask(RULE, mine, cilium_policy("never", {"endpointSelector": {}, "egressDeny": [WORLD]})) == []
    some = {"namespaces": {"matchLabels": {"team": "red"}}}
    found = one(RULE, mine, ruled(("Deny", CLOUD), subject=some))
    assert found.message.startswith("shop/p egress[0] lets every pod of shop reach")
    assert len(ask(RULE, mine, ruled(("Deny", CLOUD), tier="Baseline"))) == 1
