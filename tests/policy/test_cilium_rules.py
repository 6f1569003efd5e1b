"""Rows of what Cilium's policies mean, each with the flows that show it; and the rules that they become."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.model import Direction
from outgate.policy import Action, Policies
from outgate.policy.profile import CILIUM
from outgate.policy.rules import BlockMatch, NamesMatch
from outgate.testing import Manifest, pod, policy, service, snapshot_of
from outgate.testing_cilium import cidr_group, cilium_policy
from tests.policy.asking import TOWN, Asked, answer, ask, read
from tests.slices import endpoint_slice

SPACE = "k8s:io.kubernetes.pod.namespace"
DB = {"matchLabels": {SPACE: "data", "app": "db"}}
API = {"matchLabels": {SPACE: "shop", "app": "api"}}
WORLD = {"toEntities": ["world"]}
HASH = {"key": "pod-template-hash"}
HASHED = pod("shop/hashed", ["10.1.0.77"], on="n1", labels={HASH["key"]: "x"})
SERVER = endpoint_slice("default/kubernetes", "203.0.113.1", name="k")


def egress(*rules: dict[str, Any], name: str = "shop/c", **more: Any) -> Manifest:
    """A policy for all pods of a namespace."""
    return cilium_policy(name, {"endpointSelector": {}, "egress": list(rules), **more})


def on(*ports: dict[str, Any] | str) -> list[dict[str, Any]]:
    """An entry of ``toPorts``."""
    written = [{"port": one, "protocol": "TCP"} if isinstance(one, str) else one for one in ports]
    return [{"ports": written}]


ROWS: dict[str, tuple[list[Manifest], tuple[str, ...]]] = {
    "an empty rule isolates and matches nothing": (
        [egress({})],
        ("shop/web data/db TCP/5432 deny", "shop/web ip:203.0.113.10 TCP/443 deny", "data/db shop/web TCP/8080 allow"),
    ),
    "an empty list of peers is nobody, with ports too": (
        [egress({"toEndpoints": [], "toPorts": on("443")})],
        ("shop/web ip:203.0.113.10 TCP/443 deny", "shop/web data/db TCP/443 deny"),
    ),
    "ports alone are those of anybody": (
        [egress({"toPorts": on("443")})],
        ("shop/web ip:203.0.113.10 TCP/443 allow", "shop/web data/db TCP/443 allow", "shop/web data/db TCP/444 deny",
         "shop/web node:n2 TCP/443 allow", "shop/web data/db ICMP deny"),
    ),
    "a denial wins over every allowance": (
        [egress({"toCIDR": ["203.0.113.0/28"]}, egressDeny=[{"toCIDR": ["203.0.113.0/24"]}])],
        ("shop/web ip:203.0.113.10 TCP/443 deny",),
    ),
    "over those of a NetworkPolicy too": (
        [egress(WORLD, egressDeny=[{"toEndpoints": [DB]}]),
         policy("shop/n", {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})],
        ("shop/web data/db TCP/5432 deny", "shop/web data/web TCP/8080 allow"),
    ),
    "without denial by default all else passes": (
        [egress(enableDefaultDeny={"egress": False}, egressDeny=[{"toEndpoints": [DB], "toPorts": on("5432")}])],
        ("shop/web data/db TCP/5432 deny", "shop/web data/db TCP/5433 allow", "shop/web ip:203.0.113.10 TCP/1 allow"),
    ),
    "endpoints are of the policy's own namespace": (
        [egress({"toEndpoints": [{"matchLabels": {"app": "web"}}]})],
        ("shop/api shop/web TCP/8080 allow", "shop/api data/web TCP/8080 deny"),
    ),
    "by labels of namespaces": (
        [egress({"toEndpoints": [{"matchLabels": {"k8s:io.cilium.k8s.namespace.labels.team": "blue"}}]})],
        ("shop/web data/db TCP/5432 allow", "shop/web shop/api TCP/9090 deny"),
    ),
    "a block is outside of the cluster": (
        [egress({"toCIDR": ["10.0.0.0/8", "192.168.0.0/16"]})],
        ("shop/web data/db TCP/5432 deny", "shop/web node:n2 TCP/22 deny", "shop/web ip:10.99.0.1 TCP/22 allow",
         "shop/web mon/host TCP/9100 deny"),
    ),
    "a group less its exceptions": (
        [cidr_group("g", "203.0.113.0/24", "198.51.100.7/32"),
         egress({"toCIDRSet": [{"cidrGroupRef": "g", "except": ["203.0.113.128/25"]}]})],
        ("shop/web ip:203.0.113.10 TCP/1 allow", "shop/web ip:203.0.113.200 TCP/1 deny",
         "shop/web ip:198.51.100.7 TCP/1 allow"),
    ),
    "groups by their labels": (
        [cidr_group("g", "203.0.113.0/24", team="a"), cidr_group("h", "198.51.100.0/24", team="b"),
         egress({"toCIDRSet": [{"cidrGroupSelector": {"matchLabels": {"team": "a"}}}]})],
        ("shop/web ip:203.0.113.10 TCP/1 allow", "shop/web ip:198.51.100.7 TCP/1 deny"),
    ),
    "IPv4 within IPv6 is in no packet": (
        [cidr_group("g", "::ffff:203.0.113.0/120"),
         egress({"toCIDR": ["::ffff:0:0/96"]},
                {"toCIDRSet": [{"cidrGroupRef": "g"}, {"cidr": "::ffff:cb00:7100/120"}]})],
        ("shop/web ip:203.0.113.10 TCP/443 deny", "shop/web ip:2001:db8::1 TCPv6/443 deny"),
    ),
    "host is one's own node": (
        [egress({"toEntities": ["host"]})],
        ("shop/web node:n1 TCP/22 allow", "shop/web node:n2 TCP/22 deny", "shop/api node:n2 TCP/22 allow",
         "shop/api mon/host TCP/9100 allow", "shop/web mon/host TCP/9100 deny"),
    ),
    "remote-node is every other": (
        [egress({"toEntities": ["remote-node"]})],
        ("shop/web node:n1 TCP/22 deny", "shop/web node:n2 TCP/22 allow", "shop/api node:n2 TCP/22 deny"),
    ),
    "nodes by labels, never one's own": (
        [egress({"toNodes": [{"matchLabels": {"zone": "b"}}]})],
        ("shop/web node:n2 TCP/22 allow", "shop/web node:n1 TCP/22 deny", "shop/api node:n2 TCP/22 deny"),
    ),
    "cluster is pods and nodes": (
        [egress({"toEntities": ["cluster"]})],
        ("shop/web data/db TCP/1 allow", "shop/web node:n1 TCP/1 allow", "shop/web ip:203.0.113.10 TCP/1 deny"),
    ),
    "none is nobody": ([egress({"toEntities": ["none"]})], ("shop/web data/db TCP/1 deny",)),
    "a Service is its pods, on all ports": (
        [egress({"toServices": [{"k8sService": {"serviceName": "cache", "namespace": "data"}}]})],
        ("shop/web data/cache TCP/6379 allow", "shop/web data/cache TCP/1 allow", "shop/web data/db TCP/1 deny"),
    ),
    "a Service without a selector is the addresses of its slices": (
        [egress({"toServices": [{"k8sService": {"serviceName": "ext", "namespace": "data"}}]})],
        ("shop/web ip:203.0.113.50 TCP/1 allow", "shop/web ip:203.0.113.51 TCP/1 deny"),
    ),
    "port 0 is every port, ANY never ICMP": (
        [egress({"toEndpoints": [DB], "toPorts": on({"port": "0", "protocol": "ANY"})})],
        ("shop/web data/db UDP/9 allow", "shop/web data/db SCTP/9 allow", "shop/web data/db ICMP deny"),
    ),
    "a range, and a name": (
        [egress({"toEndpoints": [DB], "toPorts": on({"port": "80", "endPort": 90, "protocol": "TCP"}, "pg")})],
        ("shop/web data/db TCP/90 allow", "shop/web data/db TCP/91 deny", "shop/web data/db TCP/5432 allow"),
    ),
    "a range from 0 is a range, unless it is of all ports": (
        [egress({"toEndpoints": [DB], "toPorts": on({"port": "0", "endPort": 1023, "protocol": "TCP"},
                                                    {"port": "0", "endPort": 65535, "protocol": "UDP"})})],
        ("shop/web data/db TCP/80 allow", "shop/web data/db TCP/1023 allow", "shop/web data/db TCP/1024 deny",
         "shop/web data/db UDP/65535 allow"),
    ),
    "a denied range that begins with a name closes, an allowed one is the named port": (
        [egress({"toEndpoints": [DB], "toPorts": on({"port": "pg", "endPort": 6000, "protocol": "TCP"})}),
         egress({"toEntities": ["all"]}, name="data/c",
                egressDeny=[{"toEndpoints": [DB], "toPorts": on({"port": "pg", "endPort": 6000})}])],
        ("shop/web data/db TCP/5432 allow", "shop/web data/db TCP/5433 deny", "data/web data/db TCP/5433 deny"),
    ),
    "of a Service by name and by labels in one entry, the labels count": (
        [egress({"toServices": [{"k8sService": {"serviceName": "cache", "namespace": "data"},
                                 "k8sServiceSelector": {"selector": {"matchLabels": {"no": "such"}}}}]})],
        ("shop/web data/cache TCP/6379 deny",),
    ),
    "peers alone are every protocol": ([egress({"toEndpoints": [DB]})], ("shop/web data/db ICMP allow",)),
    "of the whole cluster: every managed pod": (
        [egress({"toEndpoints": [{}]}, name="wide")],
        ("shop/web data/db TCP/1 allow", "mon/agent shop/web TCP/1 allow", "shop/web node:n2 TCP/1 deny",
         "mon/host ip:203.0.113.10 TCP/1 allow"),
    ),
    "on ingress": (
        [cilium_policy("data/c", {"endpointSelector": {"matchLabels": {"app": "db"}},
                                  "ingress": [{"fromEndpoints": [{"matchLabels": {SPACE: "shop"}}]}],
                                  "ingressDeny": [{"fromEndpoints": [API]}]})],
        ("shop/web data/db TCP/1 allow", "shop/api data/db TCP/1 deny", "data/web data/db TCP/1 deny",
         "node:n2 data/db TCP/1 allow"),
    ),
    "the cluster has its API server, be it outside": (
        [SERVER, egress({"toEntities": ["cluster"]})],
        ("shop/web ip:203.0.113.1 TCP/6443 allow", "shop/web ip:203.0.113.2 TCP/6443 deny"),
    ),
    "so whoever denies the cluster denies it": (
        [SERVER, egress({"toEntities": ["all"]}, egressDeny=[{"toEntities": ["cluster"]}])],
        ("shop/web ip:203.0.113.1 TCP/6443 deny", "shop/web ip:203.0.113.2 TCP/6443 allow"),
    ),
    "the world has an API server outside, and blocks have it": (
        [SERVER, egress(WORLD, name="shop/c"), egress({"toCIDR": ["203.0.113.1/32"]}, name="data/c")],
        ("shop/web ip:203.0.113.1 TCP/1 allow", "data/db ip:203.0.113.1 TCP/1 allow",
         "data/db ip:203.0.113.2 TCP/1 deny"),
    ),
    "a label that is no part of an identity is nobody's": (
        [egress({"toEndpoints": [{"matchExpressions": [HASH | {"operator": "Exists"}]}]})],
        ("shop/web shop/hashed TCP/1 deny",),
    ),
    "and not to have it is everybody's": (
        [egress({"toEndpoints": [{"matchExpressions": [HASH | {"operator": "DoesNotExist"}]}]})],
        ("shop/web shop/hashed TCP/1 allow",),
    ),
    "a Service that selects by such a label is nobody": (
        [service("shop/by-hash", "10.96.9.9", [{"port": 80}], **{HASH["key"]: "x"}),
         egress({"toServices": [{"k8sService": {"serviceName": "by-hash", "namespace": "shop"}}]})],
        ("shop/web shop/hashed TCP/1 deny",),
    ),
    "switched on without an entry, denial by default is not asked for": (
        [egress({"toEntities": ["all"]}, enableDefaultDeny={"ingress": True})],
        ("data/db shop/web TCP/1 allow", "shop/web data/db TCP/1 allow"),
    ),
    "an empty list of Services or of names is as if it were absent": (
        [egress({"toServices": [], "toPorts": on("443")}, {"toFQDNs": [], "toPorts": on("444")})],
        ("shop/web ip:203.0.113.10 TCP/443 allow", "shop/web data/db TCP/444 allow", "shop/web data/db TCP/445 deny"),
    ),
    "an empty list of any other kind is nobody": (
        [egress(*({kind: [], "toPorts": on("443")} for kind in ("toCIDR", "toCIDRSet", "toEntities", "toNodes")))],
        ("shop/web ip:203.0.113.10 TCP/443 deny", "shop/web data/db TCP/443 deny", "shop/web node:n2 TCP/443 deny"),
    ),
    "an entry without ports is no port": (
        [egress({"toEndpoints": [DB], "toPorts": [{"ports": []}]})],
        ("shop/web data/db TCP/5432 deny", "shop/web data/db ICMP deny"),
    ),
    "empty lists of requests are no condition": (
        [egress({"toEndpoints": [DB], "toPorts": [on("80")[0] | {"rules": {"http": []}}]})],
        ("shop/web data/db TCP/80 allow", "shop/web data/db TCP/81 deny"),
    ),
    "what is not enforced closes": (
        [egress({"toGroups": [{"aws": {"region": "x"}}]}, {"toEndpoints": [DB]})],
        ("shop/web data/db TCP/1 allow", "shop/web ip:203.0.113.10 TCP/1 deny"),
    ),
    "also where it denies": (
        [egress({"toEntities": ["all"]}, egressDeny=[{"toGroups": [{"aws": {"region": "x"}}]}])],
        ("shop/web data/db TCP/1 deny", "shop/web ip:203.0.113.10 TCP/1 deny"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    """Each flow of it."""
    manifests, lines = ROWS[row]
    snapshot = snapshot_of([*TOWN, HASHED, *manifests])
    for line in lines:
        asked, expected = read(line)
        assert answer(ask(snapshot, asked)) == expected, line


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("also", [None, {"toEndpoints": [DB]}, {"toPorts": on("80")}])
def test_what_is_asked_above_tcp(also: dict[str, Any] | None, default: bool) -> None:
    """Asked whether or not anything isolates; void where a rule for the same peer and port asks for nothing."""
    http = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
    rules = [{"toEndpoints": [DB], "toPorts": [http]}, *([also] if also else [])]
    snapshot = snapshot_of([*TOWN, egress(*rules, enableDefaultDeny={"egress": default})])
    trace = ask(snapshot, Asked("shop/web", "data/db", port=80))
    assert trace.verdict.allows
    assert bool(trace.egress.conditional) is (also is None)


def test_an_entry_with_conditions_is_a_rule_of_its_own() -> None:
    """And stands behind those without; its origin is the same."""
    http = {"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"method": "GET"}]}}
    snapshot = snapshot_of([*TOWN, egress({"toEndpoints": [DB], "toPorts": [http, *on("81"), *on("82")]})])
    web = snapshot.pod("shop", "web")
    assert web is not None
    plain, conditional = Policies(snapshot).isolation(web, Direction.EGRESS).rules
    assert plain.conditions is None
    assert conditional.conditions is not None
    assert conditional.conditions.http
    assert str(plain.origin) == str(conditional.origin) == "shop/c egress[0]"


def test_origins_say_which_of_several() -> None:
    """Denials, and parts of one object."""
    spec = {"endpointSelector": {}, "egressDeny": [WORLD, WORLD], "egress": [WORLD]}
    one = cilium_policy("shop/c", spec)
    snapshot = snapshot_of([*TOWN, one | {"specs": [spec]}])
    web = snapshot.pod("shop", "web")
    assert web is not None
    rules = Policies(snapshot).isolation(web, Direction.EGRESS).every_rule()
    assert [str(rule.origin) for rule in rules] == [
        "shop/c egressDeny[0]",
        "shop/c egressDeny[1]",
        "shop/c specs[0].egressDeny[0]",
        "shop/c specs[0].egressDeny[1]",
        "shop/c egress[0]",
        "shop/c specs[0].egress[0]",
    ]
    assert {rule.action for rule in rules} <= set(Action)


def test_names_are_peers_whose_addresses_are_not_known() -> None:
    """Until a pod was told of them."""
    snapshot = snapshot_of([*TOWN, egress({"toFQDNs": [{"matchName": "a.b"}, {"matchPattern": "*.c"}]})])
    web = snapshot.pod("shop", "web")
    assert web is not None
    (rule,) = Policies(snapshot).isolation(web, Direction.EGRESS).rules
    assert [type(peer) for peer in rule.peers or ()] == [NamesMatch, NamesMatch]
    assert not any(isinstance(peer, BlockMatch) for peer in rule.peers or ())


def test_what_a_service_sends_back_is_not_held_against_policy() -> None:
    """As Cilium has it: neither isolation nor a denial stops a pod from reaching itself."""
    own = {"toEndpoints": [{"matchLabels": {"app": "web"}}]}
    snapshot = snapshot_of([*TOWN, egress({}, egressDeny=[own])])
    assert ask(snapshot, Asked("shop/web", "svc:shop/web", port=80), CILIUM).verdict.allows
