"""Property 19: one policy, both families; and the addresses that are of one and look like the other."""

from __future__ import annotations

import socket

import pytest

from outgate.testing import Manifest, policy
from tests.lab.agent.cast import CLUSTER, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import TCP, UDP
from tests.lab.agent.volley import Ears, aimed

pytestmark = pytest.mark.kernel

PLAIN4, PLAIN6 = "198.51.100.7", "2001:db8:7::7"
NAT64, ULA, ODD = "64:ff9b::c633:6407", "fdab::7", "4000::7"
"""The first and the last are in `::/0`, and not in 2000::/3 and fd00::/8, as which a peer reads it."""
MAPPED = f"::ffff:{PLAIN4}"


def to(*cidrs: str) -> Manifest:
    """A policy for pod one to some blocks."""
    rules = [{"to": [{"ipBlock": {"cidr": one}} for one in cidrs]}]
    return policy("a/p", {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Egress"], "egress": rules})


CASES: dict[str, tuple[Manifest, dict[str, bool]]] = {
    "all of IPv6 alone": (to("::/0"), {PLAIN4: False, PLAIN6: True, NAT64: True, ULA: True, ODD: True}),
    "all of IPv4 alone": (to("0.0.0.0/0"), {PLAIN4: True, PLAIN6: False, NAT64: False, ULA: False, ODD: False}),
    "all of both": (to("0.0.0.0/0", "::/0"), {PLAIN4: True, PLAIN6: True, NAT64: True, ULA: True, ODD: True}),
    "global unicast": (to("2000::/3"), {PLAIN4: False, PLAIN6: True, NAT64: False, ULA: False, ODD: False}),
    "NAT64 alone": (to("64:ff9b::/96"), {PLAIN4: False, PLAIN6: False, NAT64: True, ULA: False, ODD: False}),
    "the IPv4 block that NAT64 leads to": (
        to("198.51.100.0/24"),
        {PLAIN4: True, PLAIN6: False, NAT64: False, ULA: False, ODD: False},
    ),
    "nothing": (deny("a/p"), dict.fromkeys((PLAIN4, PLAIN6, NAT64, ULA, ODD), False)),
}


def test_19_blocks_are_of_their_family_and_whole() -> None:
    """Each block opens what it has, of its family, and not what somebody translates to it."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            for words, (one, expected) in CASES.items():
                farm.server.put(one)
                farm.settle()
                tried = [(address, protocol) for address in expected for protocol in (TCP, UDP)]
                shots = [
                    aimed(farm, "a/one", address, protocol, 443, 6 if ":" in address else 4)
                    for address, protocol in tried
                ]
                assert ears.verdicts(shots) == [expected[address] for address, _ in tried], words

    grow(CLUSTER, check)


@pytest.mark.parametrize("family", [4, 6])
def test_19_a_policy_for_pods_is_of_both_families(family: int) -> None:
    """A selector means all addresses of a pod; a block that has one of them means that one."""

    def check(farm: Farm) -> None:
        for one, expected in (
            (
                policy(
                    "a/p",
                    {
                        "podSelector": {"matchLabels": {"app": "one"}},
                        "policyTypes": ["Egress"],
                        "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}],
                    },
                ),
                True,
            ),
            (to("10.1.1.10/32"), family == 4),
            (to("fd00:1:1::10/128"), family == 6),
        ):
            farm.server.put(one)
            farm.settle()
            assert farm.passes("a/one", "b/three", 7000, family) == expected

    grow(CLUSTER, check)


def test_19_an_ipv4_address_in_ipv6_clothes() -> None:
    """By a socket it is IPv4 on the wire, and judged so; on the wire itself it is IPv6, and judged so."""

    def check(farm: Farm) -> None:
        with farm.stage.enter(farm.stage.world):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((PLAIN4, 7000))
        with farm.stage.enter(farm.box("a/one")):
            client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        with server, client, Ears(farm) as ears:
            server.settimeout(30)
            client.sendto(b"dressed", (MAPPED, 7000))
            assert server.recv(16) == b"dressed"
            shot = aimed(farm, "a/one", MAPPED, UDP, 7000, 6)
            ears.shoot(shot.source, shot.packet)
            farm.server.put(to("::/0"))
            farm.settle()
            before = farm.dropped()
            client.sendto(b"dressed", (MAPPED, 7000))
            farm.until(lambda: farm.dropped() > before)
            ears.flush("a/two", "world", family=6)
            assert not ears.heard(shot.token), "only IPv4 was allowed when it was sent"

    grow([*CLUSTER, to("0.0.0.0/0")], check)
