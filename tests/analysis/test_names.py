"""Questions that name a name."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.analysis.lookup import Lookup
from outgate.analysis.names import having_asked_for, shared_addresses
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question, Reachability
from outgate.analysis.targets import TransportAsked, parse
from outgate.model import Snapshot
from outgate.packets import Protocol
from outgate.policy import Judge, Policies
from outgate.testing import Manifest, namespace, pod, service, snapshot_of
from outgate.testing_cilium import cilium_policy

DNS: list[Manifest] = [
    pod("kube-system/dns", ["10.0.0.53"], labels={"k8s-app": "kube-dns"}),
    service("kube-system/kube-dns", "10.96.0.10", [{"port": 53, "protocol": "UDP"}], **{"k8s-app": "kube-dns"}),
]
ASKING = {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}]}


def ask(name: str, *egress: dict[str, Any], more: list[Manifest] | None = None) -> Reachability:
    """Whether a pod under a policy reaches a name, which leads to 203.0.113.9, on port 443."""
    policy = cilium_policy("shop/p", {"endpointSelector": {}, "egress": list(egress)})
    snapshot: Snapshot = snapshot_of([namespace("shop"), pod("shop/web", ["10.0.0.1"]), policy, *(more or [])])
    lookup = Lookup(snapshot, "shop", {name: (ipaddress.ip_address("203.0.113.9"),)})
    transport = TransportAsked(443, int(Protocol.TCP))
    question = Question(lookup.find(parse("shop/web")), lookup.find(parse(name)), transport)
    return reach(Judge(Policies(snapshot)), question)


@pytest.mark.parametrize(
    ("pattern", "name", "allowed"),
    [
        ({"matchName": "api.example.com"}, "api.example.com", True),
        ({"matchName": "API.example.com"}, "api.example.com", True),
        ({"matchName": "example.com"}, "api.example.com", False),
        ({"matchPattern": "*.example.com"}, "api.example.com", True),
        ({"matchPattern": "*.example.com"}, "a.api.example.com", False),
    ],
    ids=str,
)
def test_a_name_is_what_its_pattern_means(pattern: dict[str, str], name: str, allowed: bool) -> None:
    """By the name that is asked for, whatever its address is."""
    assert ask(name, {"toFQDNs": [pattern]}).verdict.allows == allowed


def test_an_address_alone_is_not_opened_by_a_name() -> None:
    """Two names of one address: who asks for the other is not let through."""
    assert not ask("other.example.net", {"toFQDNs": [{"matchName": "api.example.com"}]}).verdict.allows


def test_a_name_that_cannot_be_asked_for_is_said() -> None:
    """No way to the resolver; a way on which it may not be asked; and a way that is enough."""
    names = {"toFQDNs": [{"matchName": "api.example.com"}]}
    (deaf,) = ask("api.example.com", names, more=DNS).notes
    assert "may not ask any DNS server for api.example.com" in deaf
    ports = {"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchName": "other.example.com"}]}}
    (refused,) = ask("api.example.com", names, ASKING | {"toPorts": [ports]}, more=DNS).notes
    assert "may not ask any DNS server for api.example.com" in refused
    assert ask("api.example.com", names, ASKING, more=DNS).notes == ()


def told(*names: str) -> list[str]:
    """What is said of names that lead to one address each, by their last letter."""
    policy = cilium_policy("shop/p", {"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": "a.x"}]}]})
    snapshot = snapshot_of([namespace("shop"), policy])
    return list(
        shared_addresses(snapshot, {one: (ipaddress.ip_address(f"203.0.113.{ord(one[-1])}"),) for one in names})
    )


def test_names_of_one_address_are_said() -> None:
    """A content network has thousands of them behind it."""
    (said,) = told("a.x", "b.x", "c.y")
    assert said.startswith("a.x and b.x have one address, 203.0.113.120: ")
    assert told("a.x", "c.y") == []
    assert list(shared_addresses(snapshot_of([]), {"a": (ipaddress.ip_address("::1"),), "b": ()})) == []


def test_who_may_ask_is_told_and_nobody_else() -> None:
    """Each pod for itself, and for the names that it may ask for."""
    names = {
        "api.example.com": (ipaddress.ip_address("203.0.113.9"),),
        "other.x": (ipaddress.ip_address("203.0.113.8"),),
    }
    ports = {"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchName": "api.example.com"}]}}
    rules = [{"toFQDNs": [{"matchPattern": "*"}]}, ASKING | {"toPorts": [ports]}]
    policies = [
        cilium_policy("shop/p", {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": rules}),
        cilium_policy("shop/q", {"endpointSelector": {"matchLabels": {"app": "deaf"}}, "egress": rules[:1]}),
    ]
    pods = [pod("shop/web", ["10.0.0.1"], app="web"), pod("shop/deaf", ["10.0.0.2"], app="deaf")]
    found = having_asked_for(snapshot_of([namespace("shop"), *pods, *policies, *DNS]), names)
    asked = {(one.pod, one.name) for one in found.learned if one.pod[0] == "shop"}
    assert asked == {(("shop", "web"), "api.example.com")}
    plain = snapshot_of([namespace("shop"), *pods, *DNS])
    assert having_asked_for(plain, names) is plain
