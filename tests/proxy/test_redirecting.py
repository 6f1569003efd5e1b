"""Redirects of policies: whose connections, where to, and by which rules."""

from __future__ import annotations

import ipaddress

from outgate.model.cilium import HttpMatch
from outgate.packets import Address, AddressSet
from outgate.policy import Policies
from outgate.policy.rules import NamesMatch
from outgate.proxy.redirect import Allowance, Redirect
from outgate.proxy.redirecting import redirects_of
from outgate.testing import node, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

TOWN = (
    node("n1", ["192.168.5.1"]),
    pod("shop/web", ["10.1.0.10", "fd00:1::10"], on="n1", app="web"),
    pod("shop/web2", ["10.1.0.11"], on="n1", app="web"),
    pod("shop/api", ["10.1.0.20"], on="n1", app="api", ports=[{"name": "http", "containerPort": 8080}]),
    pod("shop/other", ["10.1.0.30"], on="n1", app="other"),
)
API = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}


def ports(*numbers: str, **more: object) -> list[dict[str, object]]:
    """TCP ports."""
    return [{"ports": [{"port": one, "protocol": "TCP"} for one in numbers], **more}]


def found(*egress: dict[str, object]) -> tuple[Redirect, ...]:
    """The redirects of all pods under one policy of the pods web."""
    web = {"matchLabels": {"app": "web"}}
    made = cilium_policy("shop/p", {"endpointSelector": web, "egress": list(egress)})
    policies = Policies(snapshot_of([*TOWN, made]))
    return redirects_of(policies, policies.snapshot.endpoints)


READ = ports("80", "http", rules={"http": [{"path": "/a"}]})
RULE = "CiliumNetworkPolicy shop/p egress[0]"


def test_pods_by_their_addresses() -> None:
    """Those of one class together; a port by its name is the number that the destination gives it."""
    web = tuple(map(ipaddress.ip_address, ("10.1.0.10", "fd00:1::10", "10.1.0.11")))
    api = (ipaddress.ip_network("10.1.0.20/32"),)
    allowed = (Allowance(RULE, (HttpMatch("/a"),)),)
    assert found({**API, "toPorts": READ}) == (
        Redirect(web, api, ((80, 80),), allowed),
        Redirect(web, api, ((8080, 8080),), allowed),
    )


def test_names_are_what_each_pod_has_learned() -> None:
    """So a redirect is of one pod's address; of who has learned nothing there is none."""
    web = {"matchLabels": {"app": "web"}}
    rule = {"toFQDNs": [{"matchName": "a.example"}], "toPorts": READ}
    policies = Policies(snapshot_of([*TOWN, cilium_policy("shop/p", {"endpointSelector": web, "egress": [rule]})]))
    pods = [one for one in policies.snapshot.pods if one.name.startswith("web")]
    there = ipaddress.ip_address("203.0.113.7")

    def learned(names: NamesMatch, pod: Address) -> AddressSet:
        assert [one.text for one in names.patterns] == ["a.example"]
        return AddressSet.of([there] if str(pod) == "10.1.0.11" else [])

    (one,) = redirects_of(policies, pods, (), learned)
    assert one == Redirect(
        (ipaddress.ip_address("10.1.0.11"),),
        (ipaddress.ip_network("203.0.113.7/32"),),
        ((80, 80),),
        (Allowance(RULE, (HttpMatch("/a"),)),),
    )


def test_where_another_rule_looks_no_name_of_before_is_listed() -> None:
    """What is new there is caught by that rule: it would pass as if it were asked of the name that has gone."""
    web = {"matchLabels": {"app": "web"}}
    plain = [{"ports": [{"port": "81", "protocol": "TCP"}]}]
    both = [{"ports": [{"port": port, "protocol": "TCP"} for port in ("80", "443")], "rules": READ[0]["rules"]}]
    named = [{"toFQDNs": [{"matchName": "a.example"}], "toPorts": [*both, *plain]}]
    other = [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"path": "/b"}]}}]
    block = {"toCIDR": ["203.0.113.0/29"], "toPorts": other}
    policies = Policies(
        snapshot_of([*TOWN, cilium_policy("shop/p", {"endpointSelector": web, "egress": [*named, block]})])
    )
    (pod, *_) = [one for one in policies.snapshot.pods if one.name.startswith("web")]
    inside, outside = map(ipaddress.ip_address, ("203.0.113.7", "203.0.113.9"))

    def had(_names: NamesMatch, _pod: Address) -> AddressSet:
        return AddressSet.of([inside, outside])

    def paths(made: tuple[Redirect, ...], address: Address, port: int) -> set[str]:
        return {
            http.path or "" if allowed.http else "any"
            for one in made
            for allowed in one.allowed
            for http in allowed.http or (HttpMatch(),)
            if any(address in block for block in one.destinations)
            and any(low <= port <= high for low, high in one.ports)
        }

    gone, live = redirects_of(policies, [pod], lingering=had), redirects_of(policies, [pod], (), had)
    assert paths(gone, inside, 80) == {"/b"}
    assert paths(live, inside, 80) == {"/a", "/b"}
    for address, port, what in ((inside, 443, "/a"), (outside, 80, "/a"), (inside, 81, "any"), (outside, 81, "any")):
        assert paths(gone, address, port) == paths(live, address, port) == {what}


def test_nothing_is_made_of_names_that_nobody_has_learned() -> None:
    """They have no addresses."""
    assert found({"toFQDNs": [{"matchName": "a.example"}], "toPorts": READ}) == ()


def test_what_is_held_goes_on() -> None:
    """By rules without conditions, whatever the port: a rule about requests may have gone from there."""
    read = {**API, "toPorts": ports("80", rules={"http": [{"path": "/a"}]})}
    for rules in ([read, {"toEntities": ["world"], "toPorts": ports("80", "81")}], [{**API, "toPorts": ports("81")}]):
        plain = [one for one in found(*rules) if one.allowed[0].is_plain]
        assert {one.ports for one in plain} == {((80, 81),) if len(rules) == 2 else ((81, 81),)}
        assert plain[0].allowed[0].rule == f"CiliumNetworkPolicy shop/p egress[{len(rules) - 1}]"


def lets(redirects: tuple[Redirect, ...], address: str, port: int) -> set[bool]:
    """Of the rules about a destination, whether they ask for nothing."""
    where = ipaddress.ip_address(address)
    return {
        one.allowed[0].is_plain
        for one in redirects
        if any(where in block for block in one.destinations) and any(low <= port <= high for low, high in one.ports)
    }


def test_who_is_free_goes_on_but_where_a_rule_looks() -> None:
    """Nothing isolates the pod, and a rule about requests is about one destination alone."""
    spec = {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{**API, "toPorts": READ}],
        "enableDefaultDeny": {"egress": False},
    }
    policies = Policies(snapshot_of([*TOWN, cilium_policy("shop/p", spec)]))
    (web,) = (one for one in policies.snapshot.pods if one.name == "web")
    made = redirects_of(policies, [web], {web.key})
    assert lets(made, "10.1.0.20", 80) == {False}
    assert lets(made, "10.1.0.20", 81) == lets(made, "203.0.113.1", 80) == {True}
    assert lets(redirects_of(policies, [web]), "203.0.113.1", 80) == set()


def test_what_is_denied_is_nobodys() -> None:
    """Not a plain rule's, nor a rule's about requests; unless the policy that denies it is only watched."""
    spec = {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "egress": [{"toEntities": ["world"]}, {**API, "toPorts": READ}],
        "egressDeny": [{"toCIDR": ["203.0.113.0/24"], "toPorts": ports("80")}, {"toCIDR": ["10.1.0.0/16"]}, API],
    }
    policies = Policies(snapshot_of([*TOWN, cilium_policy("shop/p", spec)]))
    (web,) = (one for one in policies.snapshot.pods if one.name == "web")
    for audited, seen in (((), False), ([("CiliumNetworkPolicy", "shop", "p")], True)):
        made = redirects_of(policies, [web], audited=audited)
        assert bool(lets(made, "203.0.113.1", 80)) is seen
        assert bool(lets(made, "10.1.0.20", 80)) is seen
        assert lets(made, "203.0.113.1", 81) == {True}


def test_what_the_whole_cluster_accepts_goes_on() -> None:
    """But not what it also passes on to rules about requests."""
    above = {
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "top"},
        "spec": {
            "tier": "Admin",
            "priority": 1,
            "subject": {"namespaces": {}},
            "egress": [
                {"action": "Pass", "to": [{"networks": ["198.51.100.0/24"]}]},
                {"action": "Accept", "to": [{"networks": ["198.51.100.0/23"]}]},
            ],
        },
    }
    web = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{**API, "toPorts": READ}]}
    policies = Policies(snapshot_of([*TOWN, cilium_policy("shop/p", web), above]))
    made = redirects_of(policies, [one for one in policies.snapshot.pods if one.name == "web"])
    assert lets(made, "198.51.101.1", 80) == {True}
    assert lets(made, "198.51.100.1", 80) == set()
    assert lets(made, "10.1.0.20", 80) == {False}


def test_blocks_mean_nobody_inside() -> None:
    """So a rule about a block around a pod does not speak of requests to the pod."""
    (one,) = found({"toCIDR": ["10.1.0.16/28"], "toPorts": ports("80", rules={"http": [{}]})})
    assert not any(ipaddress.ip_address("10.1.0.20") in block for block in one.destinations)
    assert any(ipaddress.ip_address("10.1.0.21") in block for block in one.destinations)
