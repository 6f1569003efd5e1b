"""Requests, TLS names and questions of DNS that are asked for on one port."""

from __future__ import annotations

from typing import Any

import pytest

from outgate.checks import Finding, Severity
from outgate.testing import Manifest, namespace, pod
from outgate.testing_cilium import cilium_policy
from tests.checks.asking import ask

RULE = "l7-kinds-conflict"
SHOP: list[Manifest] = [
    namespace("shop"),
    pod("shop/web", ["10.0.0.1"], app="web"),
    pod("shop/api", ["10.0.0.2"], app="api"),
    pod("shop/db", ["10.0.0.3"], app="db"),
]
API, DB = {"toEndpoints": [{"matchLabels": {"app": "api"}}]}, {"toEndpoints": [{"matchLabels": {"app": "db"}}]}
HTTP, DNS = {"http": [{"method": "GET"}]}, {"dns": [{"matchPattern": "*"}]}


def on(port: str, rules: dict[str, Any], protocol: str = "TCP") -> dict[str, Any]:
    """The ports of an entry, on a condition."""
    return {"toPorts": [{"ports": [{"port": port, "protocol": protocol}], "rules": rules}]}


def made(path: str, *rules: dict[str, Any], **labels: str) -> Manifest:
    """A policy for some pods; for the web, where none are given."""
    return cilium_policy(path, {"endpointSelector": {"matchLabels": labels or {"app": "web"}}, "egress": list(rules)})


def find(*rules: dict[str, Any]) -> list[Finding]:
    """What is found for pods of the web."""
    return ask(RULE, *SHOP, made("shop/p", *rules))


@pytest.mark.parametrize("protocol", ["TCP", "ANY"])
def test_on_the_same_port_of_the_same_peer(protocol: str) -> None:
    """TCP is among any."""
    (found,) = find(API | on("53", HTTP), API | on("53", DNS, protocol))
    assert found.severity is Severity.ERROR
    assert found.message == (
        "shop/p egress[0] asks for requests and shop/p egress[1] for questions of DNS, on the same port of TCP and for "
        "the same peers: Cilium does not apply the policy of shop/web for the conflict"
    )
    assert found.place.path == "spec.egress[0]"
    assert [one.words for one in found.related] == ["shop/p egress[1] asks for questions of DNS"]


@pytest.mark.parametrize(
    "other",
    [
        API | on("53", DNS, "UDP"),
        API | on("54", DNS),
        DB | on("53", DNS),
        API | on("53", HTTP),
        API | {"toPorts": [{"ports": [{"port": "53", "protocol": "TCP"}]}]},
    ],
    ids=["UDP", "another port", "another peer", "requests too", "no condition"],
)
def test_what_does_not_meet(other: dict[str, Any]) -> None:
    """One parser for each connection is enough."""
    assert find(API | on("53", HTTP), other) == []


def test_peers_that_have_some_in_common() -> None:
    """Written otherwise they are two entries, which may go well."""
    (found,) = find(API | on("53", HTTP), {"toEndpoints": [{}]} | on("53", DNS))
    assert found.severity is Severity.WARNING
    assert "Cilium may not apply the policy of shop/web" in found.message


def test_two_policies_of_the_same_pods() -> None:
    """Each by itself is right; for pods that only one is about there is no conflict."""
    asking, hearing = made("shop/p", API | on("53", HTTP)), made("shop/q", API | on("53", DNS))
    (found,) = ask(RULE, *SHOP, asking, hearing)
    assert "shop/q egress[0] for questions of DNS" in found.message
    assert not ask(RULE, *SHOP, asking, made("shop/q", API | on("53", DNS), app="db"))


def test_within_one_policy_without_its_pods() -> None:
    """The manifests of a policy alone show it."""
    (found,) = ask(RULE, made("shop/p", API | on("53", HTTP), API | on("53", DNS)))
    assert "the policy of pods app=web of shop" in found.message
    assert not ask(RULE, made("shop/p", API | on("53", HTTP), DB | on("53", DNS)))


def test_ports_by_name() -> None:
    """Of one name there is one port."""
    assert len(find(API | on("web", HTTP), API | on("web", DNS))) == 1
    assert find(API | on("web", HTTP), API | on("dns", DNS)) == []


def names(port: str, *texts: str, **more: object) -> dict[str, Any]:
    """The ports of an entry, for TLS that asks for one of these names."""
    ports = [{"port": port, "protocol": "TCP"}]
    return {"toPorts": [{"ports": ports, "serverNames": list(texts or ("a.example.com",)), **more}]}


def test_tls_names_and_questions() -> None:
    """One parser reads a connection, and none reads both."""
    (found,) = find(API | on("53", DNS, "ANY"), API | names("53"))
    assert found.severity is Severity.ERROR
    assert found.message == (
        "shop/p egress[1] asks for TLS names and shop/p egress[0] for questions of DNS, on the same port of TCP and "
        "for the same peers: Cilium does not apply the policy of shop/web for the conflict"
    )
    assert found.help == "give each its own port or protocol"
    assert find(API | on("53", DNS, "UDP"), API | names("53")) == []
    (found,) = find({"toEndpoints": [{}]} | on("53", DNS, "TCP"), API | names("53"))
    assert found.severity is Severity.WARNING


def test_tls_names_and_requests() -> None:
    """Of the same peers: Cilium's "ServerNames are not allowed with L7 rules without TLS termination"."""
    (found,) = find(API | on("443", HTTP), API | names("443"))
    assert found.severity is Severity.ERROR
    assert "shop/p egress[0] asks for requests and shop/p egress[1] for TLS names, on the same port" in found.message
    assert found.help == "give each its own port, or peers of its own"
    assert [one.words for one in found.related] == ["shop/p egress[1] asks for TLS names"]
    # "Different peers keep their own".
    assert find(API | on("443", HTTP), DB | names("443")) == []
    assert find({"toEndpoints": [{}]} | on("443", HTTP), API | names("443")) == []
    assert find(API | on("443", HTTP), API | names("8443")) == []
    assert find(API | names("443"), API | names("443", "b.example.com")) == []


def test_one_dns_name_of_several() -> None:
    """Each is a peer by itself."""
    both = {"toFQDNs": [{"matchName": "a.example.com"}, {"matchName": "b.example.com"}]}
    one = {"toFQDNs": [{"matchName": "b.example.com"}]}
    other = {"toFQDNs": [{"matchName": "c.example.com"}]}
    assert len(find(both | names("443"), one | on("443", HTTP))) == 1
    assert find(both | names("443"), other | on("443", HTTP)) == []


def test_nothing_is_said_where_tls_is_decrypted() -> None:
    """Requests can then be read behind the names; what of it is merged with what is not known."""
    secret = {"terminatingTLS": {"secret": {"namespace": "shop", "name": "tls"}}}
    decrypting = DB | names("443", **secret)
    assert find(API | on("443", HTTP), API | names("443"), decrypting) == []
    assert len(find(API | on("53", HTTP), API | on("53", DNS), decrypting)) == 1


def test_what_pods_are_sent() -> None:
    """Requests and TLS names, not questions, which are asked on the way out alone."""
    peer = {"fromEndpoints": [{"matchLabels": {"app": "api"}}]}
    spec = {
        "endpointSelector": {"matchLabels": {"app": "web"}},
        "ingress": [peer | on("443", HTTP), peer | names("443")],
    }
    (found,) = ask(RULE, *SHOP, cilium_policy("shop/p", spec))
    assert "shop/p ingress[0] asks for requests and shop/p ingress[1] for TLS names" in found.message
    (found,) = ask(RULE, cilium_policy("shop/p", spec))
    assert "the policy of pods app=web of shop" in found.message


def test_an_entry_beside_it_is_not_called_the_same_rule() -> None:
    """One rule with two entries: the place is one, and the other is said in words."""
    (found,) = find(API | {"toPorts": [*on("53", HTTP)["toPorts"], *on("53", DNS)["toPorts"]]})
    assert "asks for requests and another entry of its toPorts for questions of DNS, on the same port" in found.message
    assert found.related == ()
