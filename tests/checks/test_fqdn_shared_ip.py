"""A rule about one name that opens another."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from outgate.checks import Finding, Survey, load
from outgate.model import Learned
from outgate.testing import Manifest, cluster_policy, namespace, pod, snapshot_of
from outgate.testing_cilium import cilium_policy

SHARED = ipaddress.ip_address("151.101.2.132")
OTHER = ipaddress.ip_address("2a04:4e42::1")
NAMES = {"deb.example.com": [SHARED, OTHER], "paste.example.net": [SHARED]}
SHOP: list[Manifest] = [namespace("shop"), pod("shop/web", ["10.0.0.1"])]


def find(*cluster: Manifest, names: dict[str, list[Any]] | None = None) -> list[Finding]:
    """What is found, with two names behind one address."""
    survey = Survey(snapshot_of([*SHOP, *cluster]), names=NAMES if names is None else names)
    return list(load("fqdn-shared-ip").find(survey))


def policy(
    *names: str, path: str = "shop/p", http: list[Any] | None = None, servers: list[str] | None = None
) -> Manifest:
    """A policy of Cilium's that opens names on TCP 443, perhaps on conditions."""
    entry: dict[str, Any] = {"ports": [{"port": "443", "protocol": "TCP"}]}
    entry |= {"rules": {"http": http}} if http is not None else {}
    entry |= {"serverNames": servers} if servers is not None else {}
    rule = {"toFQDNs": [{"matchPattern": name} for name in names], "toPorts": [entry]}
    return cilium_policy(path, {"endpointSelector": {}, "egress": [rule]})


def test_the_other_name_of_an_address() -> None:
    """With the place of the peer that opens it, and what tells them apart."""
    (found,) = find(policy("cdn.example.org", "deb.*.com"))
    assert found.message == (
        "shop/p egress[0] opens paste.example.net to shop/web as well: deb.example.com leads to the same address, "
        "151.101.2.132"
    )
    assert found.place.path == "spec.egress[0].toFQDNs[1]"
    assert found.help.startswith("serverNames")


def test_names_that_are_told_apart() -> None:
    """By the server that TLS names, or the host of a request; not by another that means both, nor by a method."""
    for told in ({"servers": ["deb.example.com"]}, {"http": [{"host": r"deb\.example\.com"}]}):
        assert not find(policy("deb.example.com", **told)), told
    for both in (
        {"servers": ["deb.example.com", "*.example.net"]},
        {"http": [{"method": "GET"}]},
        {"http": [{"host": "deb.example.com"}, {"host": "paste.*"}]},
    ):
        assert find(policy("deb.example.com", **both)), both


def test_names_that_are_both_meant() -> None:
    """By the same rule, by another on the same ports, or because the address is open anyway."""
    deb = policy("deb.example.com")
    assert not find(policy("deb.example.com", "*.example.net"))
    assert not find(deb, policy("paste.example.net", path="shop/q"))
    block = {"toCIDR": ["151.101.0.0/16"], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
    assert not find(deb, cilium_policy("shop/q", {"endpointSelector": {}, "egress": [block]}))
    narrow = block | {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}
    assert find(deb, cilium_policy("shop/q", {"endpointSelector": {}, "egress": [narrow]})), "another port"
    barred = cilium_policy("shop/q", {"endpointSelector": {}, "egressDeny": [{"toCIDR": ["151.101.0.0/16"]}]})
    assert not find(deb, barred), "nothing of the address is open at all"


def test_domain_names() -> None:
    """They have no conditions."""
    accept = {"action": "Accept", "to": [{"domainNames": ["deb.example.com"]}]}
    assert not find(cluster_policy("q", egress=[accept])), "nothing is denied, so that every address is open anyway"
    (found,) = find(cluster_policy("q", egress=[accept, {"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}]}]))
    assert found.place.path == "spec.egress[0].to[0].domainNames[0]"
    assert "domainNames cannot tell them apart" in found.help


def test_nothing_known_and_nothing_shared() -> None:
    """Two names of two addresses, no name, nobody selected."""
    assert not find(policy("deb.example.com"), names={})
    assert not find(policy("deb.example.com"), names={"deb.example.com": [SHARED], "paste.example.net": [OTHER]})
    selector = {"endpointSelector": {"matchLabels": {"app": "x"}}, "egress": [{"toFQDNs": [{"matchPattern": "*"}]}]}
    assert not find(cilium_policy("shop/p", selector))


def test_what_pods_were_told() -> None:
    """A snapshot that knows it needs no option."""
    snapshot = snapshot_of([*SHOP, policy("deb.example.com")])
    learned = [Learned(("shop", "web"), name, (SHARED,)) for name in ("DEB.example.com.", "paste.example.net")]
    survey = Survey(dataclasses.replace(snapshot, learned=tuple(learned)))
    # Who was told of both by name has both opened by the one: they are one address to it.
    assert [one.rule for one in load("fqdn-shared-ip").find(survey)] == ["fqdn-shared-ip"]
