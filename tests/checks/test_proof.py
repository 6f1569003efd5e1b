"""Witness packets: such as fare as is said, and none where there is none."""

from __future__ import annotations

from outgate.checks.proof import between_pods, beyond, sample_outside
from outgate.checks.survey import Survey
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.testing import Manifest, pod, snapshot_of
from tests.checks.asking import block, egress, pods, to

WEB, SIX = pod("shop/web", ["10.1.0.1"], app="web"), pod("shop/six", ["fd00::1"], app="six")


def survey(*cluster: Manifest) -> Survey:
    """A survey of these and the two pods."""
    return Survey(snapshot_of([WEB, SIX, *cluster]))


def test_a_packet_that_does_not_fare_so_is_no_proof() -> None:
    """Whatever the check believes."""
    mine = survey(egress("shop/p", to(block("203.0.113.0/24"))))
    group = next(one for one in mine.groups if one.name == "web")
    inside, outside = AddressSet.network("203.0.113.0/24"), AddressSet.network("198.51.100.0/24")
    assert beyond(mine, group, PacketSet.cube(outside, TransportSet.any())) is None
    assert beyond(mine, group, PacketSet.cube(inside, TransportSet.any()), passes=False) is None
    found = beyond(mine, group, PacketSet.cube(inside, TransportSet.any()))
    assert str(found) == "shop/web -> 203.0.113.0:80/TCP passes"


def test_a_family_that_the_pod_has_not() -> None:
    """Then there is no packet."""
    mine = survey()
    group = next(one for one in mine.groups if one.name == "six")
    assert beyond(mine, group, PacketSet.cube(AddressSet.network("203.0.113.0/24"), TransportSet.any())) is None


def test_between_pods_both_ends_count() -> None:
    """And a family in common."""
    mine = survey(egress("shop/p", to(pods(app="none")), app="web"), pod("shop/db", ["10.1.0.2"], app="db"))
    by_name = {one.name: one for one in mine.snapshot.endpoints}
    assert str(between_pods(mine, by_name["web"], by_name["db"], Protocol.TCP, 1)) == (
        "shop/web -> shop/db:1/TCP is dropped"
    )
    assert between_pods(mine, by_name["web"], by_name["six"], Protocol.TCP, 1) is None


def test_a_sample_of_a_rule() -> None:
    """To the internet; none where it leads nowhere there, selects nobody or does not count."""
    mine = survey(egress("shop/p", {"ports": [{"port": 8443}]}, to(block("10.0.0.0/8"))), egress("shop/q", {}, app="x"))
    of = {str(one): one for one in mine.sections()}
    assert str(sample_outside(mine, of["shop/p egress[0]"])).endswith(":8443/TCP passes")
    assert sample_outside(mine, of["shop/p egress[1]"]) is None
    assert sample_outside(mine, of["shop/q egress[0]"]) is None
