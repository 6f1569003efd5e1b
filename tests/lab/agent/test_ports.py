"""Property 21: port names are what each pod says, ranges have both ends, and SCTP is a protocol of its own."""

from __future__ import annotations

import itertools

import pytest

from outgate.testing import Manifest, pod, policy
from tests.lab.agent.cast import CLUSTER
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import SCTP, TCP, UDP
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
NAMED = [
    pod(
        f"b/{name}",
        [f"10.1.1.{20 + number}", f"fd00:1:1::{20 + number}"],
        on="n2",
        app=name,
        ports=[{"name": "web", "containerPort": port, "protocol": protocol}] if port else [],
    )
    for number, (name, port, protocol) in enumerate(
        [("first", 7001, "TCP"), ("second", 7002, "TCP"), ("udp", 7001, "UDP"), ("none", 0, "")]
    )
]
TARGETS = ("b/three", *(f"b/{one['metadata']['name']}" for one in NAMED))


def egress(*rules: Manifest) -> Manifest:
    """A policy for pod one."""
    spec = {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Egress"], "egress": list(rules)}
    return policy("a/p", spec)


def opened(farm: Farm, ears: Ears, ports: range, *more: str) -> set[tuple[str, int, int]]:
    """All that pod one reaches."""
    tried = list(itertools.product((*TARGETS, *more), (TCP, UDP, SCTP), ports))
    shots = [aimed(farm, "a/one", *one, 6 if number % 2 and "/" in one[0] else 4) for number, one in enumerate(tried)]
    return {one for one, came in zip(tried, ears.verdicts(shots), strict=True) if came}


def test_21_a_port_name_is_each_pods_own() -> None:
    """The same name is 7000 here and 7002 there, and of the protocol that it was declared for."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            web = {("b/three", TCP, 7000), ("b/first", TCP, 7001), ("b/second", TCP, 7002)}
            assert opened(farm, ears, range(7000, 7003), "world") == web
            farm.server.put(egress({"to": [BLUE], "ports": [{"port": "web", "protocol": "UDP"}]}))
            farm.settle()
            assert opened(farm, ears, range(7000, 7003), "world") == {("b/udp", UDP, 7001)}
            farm.server.put(egress({"ports": [{"port": "web"}]}))
            farm.settle()
            assert opened(farm, ears, range(7000, 7003), "world") == web, "to anybody: that is to pods with such a port"

    grow([*CLUSTER, *NAMED, egress({"to": [BLUE], "ports": [{"port": "web"}]})], check)


def test_21_a_block_and_a_name_open_nothing_in_the_world() -> None:
    """A peer opens the number to everybody; what is no pod has no port name, whatever block it is in."""
    world = ("203.0.113.5", "n2")

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            assert opened(farm, ears, range(7000, 7003), *world) == set()
            everything = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": "web"}, {"port": 7002}]}
            farm.server.put(egress(everything))
            farm.settle()
            found = opened(farm, ears, range(7000, 7003), *world)
            assert {one for one in found if one[0] in world} == {(one, TCP, 7002) for one in world}

    grow(
        [
            *CLUSTER,
            *NAMED,
            egress({"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": "web"}]}),
        ],
        check,
    )


def test_21_ranges_have_their_ends_and_protocols_their_own() -> None:
    """From a port to itself, to the last one there is, and one of SCTP beside one of TCP."""
    rules = egress(
        {
            "to": [BLUE],
            "ports": [
                {"port": 7010, "endPort": 7012},
                {"port": 7014, "endPort": 7014, "protocol": "UDP"},
                {"port": 7011, "endPort": 7013, "protocol": "SCTP"},
            ],
        },
        {"ports": [{"port": 65530, "endPort": 65535, "protocol": "TCP"}]},
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"protocol": "SCTP"}]},
    )

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            allowed = {(TCP, one) for one in (7010, 7011, 7012)} | {(SCTP, one) for one in (7011, 7012, 7013)}
            allowed |= {(UDP, 7014)}
            assert opened(farm, ears, range(7008, 7016)) == {(path, *one) for path in TARGETS for one in allowed}
            edges = opened(farm, ears, range(65529, 65536), "203.0.113.5")
            assert {one for one in edges if one[1] != SCTP} == {
                (path, TCP, port) for path in (*TARGETS, "203.0.113.5") for port in range(65530, 65536)
            }
            assert {one[0] for one in edges if one[1] == SCTP} == {"203.0.113.5"}

    grow([*CLUSTER, *NAMED, rules], check)
