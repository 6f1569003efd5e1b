"""Decisions as sets: blocks, ports and protocols (semantics A5, A6, A7) row by row, and what pods share."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any

import pytest

from outgate.model import Direction, Pod
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.policy import PROFILES, Policies, Profile, Verdict, decide
from outgate.testing import Manifest, policy, random_cluster, random_cluster_policies, snapshot_of
from tests.policy.asking import TOWN, Row, names


def block(cidr: str, *excepts: str) -> Manifest:
    """A peer: an address block less its exceptions."""
    return {"ipBlock": {"cidr": cidr, "except": list(excepts)}}


def egress(*rules: object) -> dict[str, Any]:
    """A policy of all pods with these egress rules."""
    return {"policyTypes": ["Egress"], "egress": list(rules)}


def ingress(*rules: object) -> dict[str, Any]:
    """A policy of all pods with these ingress rules."""
    return {"policyTypes": ["Ingress"], "ingress": list(rules)}


A5 = [
    Row(
        "A5 a block is its addresses and no other",
        egress({"to": [block("203.0.113.0/24")]}),
        "shop/web ip:203.0.113.0 TCP/1 allow",
        "shop/web ip:203.0.113.255 UDP/1 allow",
        "shop/web ip:203.0.112.255 TCP/1 deny",
        "shop/web ip:203.0.114.0 TCP/1 deny",
        "shop/web data/db TCP/1 deny",
    ),
    Row(
        "A5 except takes out of its own block",
        egress({"to": [block("203.0.113.0/24", "203.0.113.16/28", "203.0.113.200/32")]}),
        "shop/web ip:203.0.113.15 TCP/1 allow",
        "shop/web ip:203.0.113.16 TCP/1 deny",
        "shop/web ip:203.0.113.31 TCP/1 deny",
        "shop/web ip:203.0.113.32 TCP/1 allow",
        "shop/web ip:203.0.113.200 TCP/1 deny",
    ),
    Row(
        "A5 exceptions inside exceptions take out nothing twice",
        egress({"to": [block("203.0.113.0/24", "203.0.113.0/25", "203.0.113.16/28")]}),
        "shop/web ip:203.0.113.127 TCP/1 deny",
        "shop/web ip:203.0.113.128 TCP/1 allow",
    ),
    Row(
        "A5 an address excepted in one element and covered by another is allowed",
        egress({"to": [block("203.0.113.0/24", "203.0.113.16/28"), block("203.0.113.20/32")]}),
        "shop/web ip:203.0.113.20 TCP/1 allow",
        "shop/web ip:203.0.113.21 TCP/1 deny",
    ),
    Row(
        "A5 or by another rule",
        egress({"to": [block("203.0.113.0/24", "203.0.113.16/28")]}, {"to": [block("203.0.113.20/32")]}),
        "shop/web ip:203.0.113.20 TCP/1 allow",
        "shop/web ip:203.0.113.21 TCP/1 deny",
    ),
    Row(
        "A5 or by another policy",
        egress({"to": [block("203.0.113.0/24", "203.0.113.16/28")]}),
        "shop/web ip:203.0.113.20 TCP/1 allow",
        "shop/web ip:203.0.113.21 TCP/1 deny",
    ).also("shop/q", egress({"to": [block("203.0.113.20/32")]})),
    Row(
        "A5 0.0.0.0/0 says nothing about IPv6",
        egress({"to": [block("0.0.0.0/0")]}),
        "shop/web ip:198.51.100.7 TCP/1 allow",
        "shop/web data/db TCP/1 allow",
        "shop/web data/db TCPv6/1 deny",
        "shop/web ip:2001:db8::1 TCP/1 deny",
    ),
    Row(
        "A5 ::/0 says nothing about IPv4",
        egress({"to": [block("::/0", "2001:db8:1::/48")]}),
        "shop/web ip:2001:db8::1 TCP/1 allow",
        "shop/web ip:2001:db8:1::1 TCP/1 deny",
        "shop/web ip:198.51.100.7 TCP/1 deny",
        "shop/web ip:::ffff:198.51.100.7 TCP/1 allow",
    ),
    Row(
        "A5 a block matches the addresses of pods",
        egress({"to": [block("10.1.1.0/24", "10.1.1.21/32")]}),
        "shop/web data/db TCP/1 allow",
        "shop/web data/cache TCP/1 deny",
    ),
    Row(
        "A5 on ingress a block matches the sender",
        ingress({"from": [block("198.51.100.0/24"), block("10.1.1.20/32")]}),
        "ip:198.51.100.7 shop/web TCP/1 allow",
        "data/db shop/web TCP/1 allow",
        "data/cache shop/web TCP/1 deny",
        "ip:203.0.113.9 shop/web TCP/1 deny",
    ),
]

A6 = [
    Row(
        "A6 endPort is inclusive",
        egress({"ports": [{"port": 8000, "endPort": 8010}]}),
        "shop/web data/db TCP/7999 deny",
        "shop/web data/db TCP/8000 allow",
        "shop/web data/db TCP/8010 allow",
        "shop/web data/db TCP/8011 deny",
        "shop/web data/db UDP/8005 deny",
    ),
    Row(
        "A6 endPort may equal port",
        egress({"ports": [{"port": 80, "endPort": 80}]}),
        "shop/web data/db TCP/80 allow",
        "shop/web data/db TCP/81 deny",
    ),
    Row(
        "A6 a name is resolved on the destination pod",
        egress({"to": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}),
        "shop/plain shop/web TCP/8080 allow",
        "shop/plain shop/api TCP/9090 allow",
        "shop/plain shop/api TCP/8080 deny",
        "shop/plain shop/web TCP/9090 deny",
    ),
    Row(
        "A6 a pod without the name is not matched",
        egress({"ports": [{"port": "http"}]}),
        "shop/plain data/db TCP/8080 deny",
        "shop/web shop/plain TCP/8080 deny",
    ),
    Row(
        "A6 the container port's protocol must agree",
        egress({"ports": [{"port": "http"}]}),
        "shop/web mon/agent TCP/80 deny",
        "shop/web mon/agent UDP/80 deny",
    ),
    Row(
        "A6 so a UDP name is asked for as UDP",
        egress({"ports": [{"port": "http", "protocol": "UDP"}]}),
        "shop/web mon/agent UDP/80 allow",
        "shop/web shop/api UDP/9090 deny",
    ),
    Row(
        "A6 a name never matches an address outside",
        egress({"to": [block("203.0.113.0/24")], "ports": [{"port": "http"}]}),
        "shop/web ip:203.0.113.9 TCP/80 deny",
        "shop/web ip:203.0.113.9 TCP/8080 deny",
    ),
    Row(
        "A6 without `to` a name matches any pod that has it, and nobody else",
        egress({"ports": [{"port": "http"}]}),
        "shop/api data/web TCP/8080 allow",
        "shop/api data/cache TCP/6379 allow",
        "shop/api ip:203.0.113.9 TCP/8080 deny",
        "shop/api node:n1 TCP/8080 deny",
    ),
    Row(
        "A6 a name and a block: the pods inside the block",
        egress({"to": [block("10.1.1.22/32")], "ports": [{"port": "http"}]}),
        "shop/api data/web TCP/8080 allow",
        "shop/api data/cache TCP/6379 deny",
    ),
    Row(
        "A6 on ingress a name is resolved on the selected pod",
        ingress({"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}),
        "data/web shop/web TCP/8080 allow",
        "data/web shop/api TCP/9090 allow",
        "data/web shop/api TCP/8080 deny",
        "data/web shop/plain TCP/8080 deny",
    ),
    Row(
        "A6 a numeric port is the pod's, never the Service's",
        egress({"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 80}]}),
        "shop/api svc:shop/web TCP/80 deny",
        "shop/api shop/web TCP/80 allow",
    ),
    Row(
        "A6 ports are ORed, `to` and ports are ANDed, rules are not mixed",
        egress(
            {"to": [{"podSelector": {}}], "ports": [{"port": 8080}, {"port": 9090}]},
            {"to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}], "ports": [{"port": 5432}]},
        ),
        "shop/plain shop/web TCP/8080 allow",
        "shop/plain shop/api TCP/9090 allow",
        "shop/plain data/db TCP/5432 allow",
        "shop/plain data/web TCP/8080 deny",
        "shop/plain shop/api TCP/5432 deny",
    ),
]

A7 = [
    Row(
        "A7 each protocol is by itself",
        egress({"ports": [{"port": 53, "protocol": "UDP"}]}),
        "shop/web data/db UDP/53 allow",
        "shop/web data/db TCP/53 deny",
        "shop/web data/db SCTP/53 deny",
    ),
    Row(
        "A7 port 53 without a protocol is TCP alone",
        egress({"ports": [{"port": 53}]}),
        "shop/web data/db TCP/53 allow",
        "shop/web data/db UDP/53 deny",
    ),
    Row(
        "A7 an SCTP-only policy isolates TCP, and is not read as TCP",
        egress({"ports": [{"port": 7000, "protocol": "SCTP"}]}),
        "shop/web data/db SCTP/7000 allow",
        "shop/web data/db TCP/7000 deny",
        "shop/web data/db UDP/7000 deny",
    ),
    Row("A7 ICMP under deny-all is not defined", egress(), "shop/web data/db ICMP unspecified"),
    Row("A7 ICMP by a rule without ports is not defined", egress({}), "shop/web data/db ICMP unspecified"),
    Row(
        "A7 ICMP by a rule with ports is not defined",
        egress({"ports": [{}]}),
        "shop/web data/db ICMP unspecified",
        "shop/web data/db ICMPV6v6 unspecified",
    ),
    Row("A7 ICMP to an isolated receiver is not defined", ingress({}), "data/db shop/web ICMP unspecified"),
    Row("A7 ICMP between pods that nothing isolates is open", egress(), "data/db data/web ICMP allow"),
]


@pytest.mark.parametrize("row", [*A5, *A6, *A7], ids=names([*A5, *A6, *A7]))
def test_row(row: Row) -> None:
    """Each row is a block, a port or a protocol that somebody has read the other way."""
    assert row.complaints() == []


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_a7_icmp_needs_a_rule_without_ports(port: int) -> None:
    """What we enforce where the API is silent: as the field does, ICMP passes by rules without ports alone."""
    allowed = allowed_by(egress({"to": [block("203.0.113.0/25")]}, {"to": [block("203.0.113.128/25")], "ports": [{}]}))
    low, high = ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("203.0.113.201")
    assert allowed.contains(low, Protocol.ICMP, port)
    assert allowed.contains(low, 47)
    assert not allowed.contains(high, Protocol.ICMP, port)
    assert not allowed.contains(high, 47)
    assert allowed.contains(high, Protocol.TCP, port)


# ---- decisions as values ---------------------------------------------------------------------------------------------


def web_of(policies: Policies) -> Pod:
    """The pod shop/web."""
    found = policies.snapshot.pod("shop", "web")
    assert found is not None
    return found


def allowed_by(spec: dict[str, Any]) -> PacketSet:
    """What shop/web may send under one policy."""
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", spec)]))
    return decide(policies, web_of(policies), Direction.EGRESS).allowed()


def test_allowed_set_is_exact() -> None:
    """Nothing is sampled: the set says which of all packets pass, to the last one."""
    web = TransportSet.ports(Protocol.TCP, 443)
    mine = AddressSet.of(map(ipaddress.ip_address, ("10.1.0.10", "fd00:1::10")))
    loopback = AddressSet.network("127.0.0.0/8") | AddressSet.network("::1/128")
    expected = PacketSet.union_of(
        [(AddressSet.network("203.0.113.0/24"), web), (mine | loopback, TransportSet.any())],
    )
    assert allowed_by(egress({"to": [block("203.0.113.0/24")], "ports": [{"port": 443}]})) == expected


def test_part_is_laid_to_the_first_rule_that_covers_it() -> None:
    """Where several rules allow a packet, one is named: by policy name, then rule index, whatever the input's order."""
    wide, narrow = {"to": [block("203.0.113.0/24")]}, {"to": [block("203.0.113.0/25")]}
    manifests = [policy("shop/z", egress(wide)), policy("shop/a", egress({"to": [block("10.0.0.0/8")]}, narrow))]
    policies = Policies(snapshot_of([*TOWN, *manifests]))
    parts = decide(policies, web_of(policies), Direction.EGRESS).parts
    laid = {str(part.origin): part for part in parts}
    assert list(laid) == ["None", "shop/a egress[0]", "shop/a egress[1]", "shop/z egress[0]", "shop/z"]
    assert laid["shop/a egress[1]"].packets.addresses() == AddressSet.network("203.0.113.0/25")
    assert laid["shop/z egress[0]"].packets.addresses() == AddressSet.network("203.0.113.128/25")
    assert laid["shop/z"].verdict is Verdict.DENY  # of the two that isolate, the one with the fewest rules


def test_isolating_policies_are_all_named() -> None:
    """A denial is the work of every policy that isolates the pod, since any of them could have allowed it."""
    policies = Policies(snapshot_of([*TOWN, policy("shop/b", egress()), policy("shop/a", egress())]))
    decision = decide(policies, web_of(policies), Direction.EGRESS)
    assert [str(one) for one in decision.isolated_by] == ["shop/a", "shop/b"]
    assert decision.isolated
    free = decide(policies, web_of(policies), Direction.INGRESS)
    assert (free.isolated, free.isolated_by, free.allowed()) == (False, (), PacketSet.any())


def test_pods_of_one_kind_share_a_decision() -> None:
    """Cost grows with the kinds of pod: pods that the same policies select have one decision, computed once."""
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", egress({"ports": [{"port": "http"}]}))]))
    web, api = web_of(policies), policies.snapshot.pod("shop", "api")
    assert api is not None
    assert policies.decision(web, Direction.EGRESS) is policies.decision(api, Direction.EGRESS)


def test_on_ingress_a_port_name_tells_pods_apart() -> None:
    """A6: the same policies mean other ports on a pod that gives the name another number."""
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", ingress({"ports": [{"port": "http"}]}))]))
    web, api = web_of(policies), policies.snapshot.pod("shop", "api")
    assert api is not None
    assert policies.class_of(web, Direction.INGRESS) != policies.class_of(api, Direction.INGRESS)
    ports = [
        policies.decision(pod, Direction.INGRESS).allowed().transports(ipaddress.ip_address("10.1.1.20")).tcp.spans
        for pod in (web, api)
    ]
    assert ports == [((8080, 8080),), ((9090, 9090),)]


def test_own_node_is_always_let_in() -> None:
    """types.go, NetworkPolicySpec.ingress: "OR if the traffic source is the pod's local node" (A9)."""
    policies = Policies(snapshot_of([*TOWN, policy("shop/p", ingress())]))
    allowed = decide(policies, web_of(policies), Direction.INGRESS).allowed()
    own = AddressSet.of(map(ipaddress.ip_address, ("192.168.50.11", "fd00:50::11", "10.1.0.10", "fd00:1::10")))
    assert allowed == PacketSet.cube(own, TransportSet.any())


def test_profile_is_followed() -> None:
    """Another reading of the open points gives another set, or the switch is decoration."""
    snapshot = snapshot_of([*TOWN, policy("shop/p", egress({"to": [block("10.0.0.0/8")]}))])
    ours, other = (
        Policies(snapshot),
        Policies(snapshot, Profile("other", blocks_match_pods=False, own_node_exempt=True)),
    )
    db, node = ipaddress.ip_address("10.1.1.20"), ipaddress.ip_address("192.168.50.11")
    for policies, expected in ((ours, (True, False)), (other, (False, True))):
        allowed = decide(policies, web_of(policies), Direction.EGRESS).allowed()
        assert (allowed.contains(db, 6, 1), allowed.contains(node, 6, 1)) == expected


def test_what_is_allowed_at_one_address_is_that_part_of_the_decision() -> None:
    """Under every profile, with tiers and port names: the same rules, in the same order, for the same ports."""
    compared = 0
    for seed, profile in itertools.product(range(12), PROFILES.values()):
        snapshot = snapshot_of([*random_cluster(seed), *random_cluster_policies(seed, 3)])
        policies = Policies(snapshot, profile)
        addresses = [one for pod in snapshot.endpoints[:5] for one in pod.addresses]
        for pod, direction in itertools.product(snapshot.endpoints[:5], Direction):
            parts = policies.decision(pod, direction).parts
            for address in (*addresses, ipaddress.ip_address("203.0.113.9")):
                whole = [(part.packets.transports(address), part.origin) for part in parts if part.verdict.allows]
                found = [(some, rule.origin) for some, rule in policies.allowed_at(pod, direction, address)]
                assert found == [(some, origin) for some, origin in whole if some and origin is not None]
                compared += len(found)
    assert compared > 500
