"""What a manifest means once it is rules: policyTypes (semantics A2), and nothing against empty (A3), row by row."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from outgate.model import Direction, NetworkPolicy
from outgate.packets import Protocol, TransportSet
from outgate.policy import Action, BlockMatch, NamedPort, PodMatch, Tier, Verdict
from outgate.policy.rules import origin_of, rules_of
from outgate.testing import policy, snapshot_of
from tests.policy.asking import Row, names

ALL_PODS: dict[str, Any] = {"podSelector": {}}
EGRESS_ONLY: dict[str, Any] = {"policyTypes": ["Egress"]}
EGRESS: dict[str, Any] = ALL_PODS | EGRESS_ONLY
TO_BLUE: dict[str, Any] = {"to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}
OPEN_EGRESS = ("shop/web data/db TCP/5432 allow", "shop/web ip:203.0.113.9 UDP/9 allow")
NO_EGRESS = (
    "shop/web data/db TCP/5432 deny",
    "shop/web ip:203.0.113.9 UDP/9 deny",
    "shop/plain shop/web TCP/8080 deny",
)
OPEN_INGRESS = ("data/db shop/web TCP/8080 allow", "ip:203.0.113.9 shop/plain UDP/9 allow")
NO_INGRESS = ("data/db shop/web TCP/8080 deny", "ip:203.0.113.9 shop/plain UDP/9 deny")

A2 = [
    Row("A2 spec {}", {}, *OPEN_EGRESS, *NO_INGRESS),
    Row("A2 podSelector {} alone", ALL_PODS, *OPEN_EGRESS, *NO_INGRESS),
    Row("A2 egress [] without policyTypes", {**ALL_PODS, "egress": []}, *OPEN_EGRESS, *NO_INGRESS),
    Row("A2 egress null without policyTypes", {**ALL_PODS, "egress": None}, *OPEN_EGRESS, *NO_INGRESS),
    Row(
        "A2 egress rules without policyTypes isolate ingress too",
        {**ALL_PODS, "egress": [TO_BLUE]},
        "shop/web data/db TCP/5432 allow",
        "shop/web mon/agent UDP/80 deny",
        *NO_INGRESS,
    ),
    Row("A2 [Egress] without egress", EGRESS, *NO_EGRESS, *OPEN_INGRESS),
    Row("A2 [Egress] with an ingress section", {**EGRESS, "ingress": [{}]}, *NO_EGRESS, *OPEN_INGRESS),
    Row(
        "A2 [Ingress] with an egress section",
        {**ALL_PODS, "policyTypes": ["Ingress"], "egress": [TO_BLUE]},
        *OPEN_EGRESS,
        *NO_INGRESS,
    ),
    Row("A2 policyTypes [] without egress", {**ALL_PODS, "policyTypes": []}, *OPEN_EGRESS, *NO_INGRESS),
    Row(
        "A2 policyTypes [] with egress",
        {**ALL_PODS, "policyTypes": [], "egress": [TO_BLUE]},
        "shop/web mon/agent UDP/80 deny",
        *NO_INGRESS,
    ),
    Row(
        "A2 policyTypes null with egress",
        {**ALL_PODS, "policyTypes": None, "egress": [TO_BLUE]},
        "shop/web mon/agent UDP/80 deny",
        *NO_INGRESS,
    ),
    Row("A2 [Egress, Egress]", {**ALL_PODS, "policyTypes": ["Egress", "Egress"]}, *NO_EGRESS, *OPEN_INGRESS),
    Row("A2 [Ingress, Egress]", {**ALL_PODS, "policyTypes": ["Ingress", "Egress"]}, *NO_EGRESS, *NO_INGRESS),
]


def to(peer: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule, to one peer."""
    return {**EGRESS, "egress": [{"to": [peer]}]}


def rule(**fields: object) -> dict[str, Any]:
    """A policy of all pods with one egress rule."""
    return {**EGRESS, "egress": [fields]}


EVERYWHERE = (
    "shop/web data/db TCP/443 allow",
    "shop/web node:n2 TCP/443 allow",
    "shop/web ip:203.0.113.9 TCP/443 allow",
    "shop/web ip:2001:db8::1 TCP/443 allow",
    "shop/web ip:203.0.113.9 TCP/80 deny",
)
ANY_PORT = (
    "shop/web data/db TCP/1 allow",
    "shop/web data/db UDP/65535 allow",
    "shop/web data/db SCTP/9 allow",
    "shop/web data/db TCPv6/0 allow",
    "shop/web mon/agent UDP/80 deny",
)
TO_SHOP = (
    "shop/web shop/plain TCP/1 allow",
    "shop/web data/web TCP/8080 deny",
    "shop/web ip:10.1.0.99 TCP/1 deny",
    "shop/web ip:203.0.113.9 TCP/1 deny",
)
TO_DATA = ("shop/web data/db TCP/1 allow", "shop/web data/cache TCP/1 allow", "shop/web shop/plain TCP/1 deny")
TO_PODS = (*TO_DATA[:2], "shop/web shop/plain TCP/1 allow", "shop/web mon/agent UDP/80 allow")
TO_BLOCK = ("shop/web ip:203.0.113.0 TCP/1 allow", "shop/web ip:203.0.113.255 TCP/1 allow")
NOT_PODS = ("shop/web ip:203.0.113.9 TCP/1 deny", "shop/web node:n2 TCP/1 deny")
BLUE = {"matchLabels": {"team": "blue"}}
BLOCK: dict[str, Any] = {"cidr": "203.0.113.0/24"}


def spelled(field: str, *empty: object) -> dict[str, dict[str, Any]]:
    """The ways to leave a field out, by name: absent, and each of the given."""
    return {"absent": {}} | {str(one).replace("None", "null"): {field: one} for one in empty}


A3 = [
    *(
        Row(
            f"A3 podSelector {how}",
            EGRESS_ONLY | field,
            "shop/plain data/db TCP/1 deny",
            "data/cache data/db TCP/1 allow",
        )
        for how, field in spelled("podSelector", None, {}).items()
    ),
    *(Row(f"A3 spec.egress {how}", EGRESS | field, *NO_EGRESS) for how, field in spelled("egress", None, []).items()),
    Row("A3 spec.egress [{}]", rule(), *EVERYWHERE[:-1], "shop/web mon/agent SCTP/9 allow"),
    *(
        Row(f"A3 to {how}", rule(**field, ports=[{"port": 443}]), *EVERYWHERE)
        for how, field in spelled("to", None, []).items()
    ),
    *(Row(f"A3 ports {how}", rule(**TO_BLUE, **field), *ANY_PORT) for how, field in spelled("ports", None, []).items()),
    Row(
        "A3 ports [{}]",
        rule(ports=[{}]),
        "shop/web data/db TCP/1 allow",
        "shop/web data/db TCP/65535 allow",
        "shop/web data/db UDP/53 deny",
        "shop/web data/db SCTP/9 deny",
    ),
    Row(
        "A3 ports [{protocol: UDP}]",
        rule(ports=[{"protocol": "UDP"}]),
        "shop/web data/db UDP/0 allow",
        "shop/web data/db UDP/65535 allow",
        "shop/web data/db TCP/53 deny",
    ),
    Row("A3 peer.podSelector {}", to({"podSelector": {}}), *TO_SHOP),
    Row("A3 peer.podSelector {} with namespaceSelector", to({"podSelector": {}, "namespaceSelector": BLUE}), *TO_DATA),
    Row("A3 peer.podSelector absent", to({"namespaceSelector": BLUE}), *TO_DATA),
    Row("A3 peer.podSelector null", to({"namespaceSelector": BLUE, "podSelector": None}), *TO_DATA),
    Row("A3 peer.namespaceSelector {}", to({"namespaceSelector": {}}), *TO_PODS, *NOT_PODS),
    Row("A3 peer.namespaceSelector null", to({"podSelector": {}, "namespaceSelector": None}), *TO_SHOP),
    *(
        Row(f"A3 except {how}", to({"ipBlock": BLOCK | field}), *TO_BLOCK)
        for how, field in spelled("except", None, []).items()
    ),
    Row("A3 matchLabels {}", to({"podSelector": {"matchLabels": {}}}), *TO_SHOP),
    Row("A3 matchExpressions []", to({"namespaceSelector": {"matchExpressions": []}}), *TO_PODS, *NOT_PODS),
]


@pytest.mark.parametrize("row", [*A2, *A3], ids=names([*A2, *A3]))
def test_row(row: Row) -> None:
    """Each row is a way in which people write a policy that does something else than they think."""
    assert row.complaints() == []


def test_a3_empty_peer_is_refused() -> None:
    """A3, rule.to [{}]: taking it for "any peer" would open everything."""
    with pytest.raises(ValueError, match=r"spec\.egress\[0\]\.to\[0\]: Required value: must specify a peer"):
        snapshot_of([policy("shop/p", to({}))])


# ---- the rules themselves --------------------------------------------------------------------------------------------


def parsed(spec: dict[str, Any]) -> NetworkPolicy:
    """The policy that the reader makes of a spec."""
    (found,) = snapshot_of([policy("shop/p", spec)], file="shop.yaml").policies
    return found


def test_rule_says_everything_its_policy_said() -> None:
    """Whatever is lost here is lost to analysis, kernel and report alike."""
    made = parsed(
        {
            **EGRESS,
            "egress": [
                {},
                {
                    "to": [
                        {"podSelector": {"matchLabels": {"app": "web"}}},
                        {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.0/25"]}},
                    ],
                    "ports": [{"port": "http"}, {"port": 80, "endPort": 90, "protocol": "UDP"}, {"port": "http"}],
                },
            ],
        }
    )
    anything, second = rules_of(made, Direction.EGRESS)
    assert (anything.peers, anything.ports) == (None, None)
    assert (second.tier, second.action, second.direction) == (Tier.NETWORK_POLICY, Action.ACCEPT, Direction.EGRESS)
    assert second.ports is not None
    assert second.ports.numbers == TransportSet.ports(Protocol.UDP, 80, 90)
    assert second.ports.names == (NamedPort(Protocol.TCP, "http"),)
    assert second.peers is not None
    pods, block = second.peers
    assert isinstance(pods, PodMatch)
    assert (pods.namespace, pods.namespaces, str(pods.pods)) == ("shop", None, "app=web")
    assert isinstance(block, BlockMatch)
    assert block.addresses.cidrs() == ("203.0.113.128/25",)
    assert ipaddress.ip_address("203.0.113.127") not in block.addresses


def test_section_without_its_type_makes_no_rules() -> None:
    """A2: an ignored section must not be compiled either."""
    made = parsed({**EGRESS, "ingress": [{}]})
    assert made.ingress
    assert list(rules_of(made, Direction.INGRESS)) == []


def test_origin_names_policy_rule_and_direction() -> None:
    """Every verdict leads back to a line through this."""
    made = parsed({**EGRESS, "egress": [{}, {"ports": [{"port": 80}]}]})
    whole, second = origin_of(made, Direction.EGRESS), origin_of(made, Direction.EGRESS, 1)
    assert (str(whole), str(second)) == ("shop/p", "shop/p egress[1]")
    assert (second.api_version, second.kind, second.rule) == ("networking.k8s.io/v1", "NetworkPolicy", 1)
    assert (second.file, second.place.path) == ("shop.yaml", "spec.egress[1]")
    assert [rule.origin for rule in rules_of(made, Direction.EGRESS)][1] == second


def test_equal_peers_are_equal_values() -> None:
    """Two spellings of one selector share a kernel set; a peer of another namespace must not."""
    short = parsed(to({"podSelector": {"matchLabels": {"app": "web"}}}))
    long = parsed(to({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}}))
    (one,), (other,) = rules_of(short, Direction.EGRESS), rules_of(long, Direction.EGRESS)
    assert one.peers == other.peers
    (elsewhere,) = snapshot_of([policy("data/p", to({"podSelector": {"matchLabels": {"app": "web"}}}))]).policies
    assert next(iter(rules_of(elsewhere, Direction.EGRESS))).peers != one.peers


def test_verdict_reads_as_a_sentence() -> None:
    """Allow is the only verdict that lets a packet pass."""
    assert [one for one in Verdict if one.allows] == [Verdict.ALLOW]
    assert (Verdict.ALLOW.value, Verdict.DENY.value) == ("Allow", "Deny")
