"""Blocks of addresses: the pieces cover the block, do not overlap, and each is treated alike throughout."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.blocks import beyond_the_cluster, block_ports, pieces, rule_beyond
from outgate.analysis.targets import TransportAsked
from outgate.model import Direction
from outgate.packets import Address, AddressSet, PacketSet, Protocol
from outgate.packets.addresses import Network
from outgate.policy import Endpoint, Flow, Judge, Policies, Verdict
from outgate.policy.endpoints import LOOPBACK
from outgate.testing import Manifest, addresses, clusters, networks, points, service, snapshot_of
from tests.analysis.shop import EGRESS_TO_DB, INGRESS_OF_DB, judge_of, shop


def some_pod(judge: Judge, data: st.DataObject, block: Network) -> Endpoint | None:
    """A pod's end in the family of the block."""
    pods = [Endpoint.of_pod(one, block.version) for one in judge.policies.snapshot.endpoints]
    ends = [one for one in pods if one is not None]
    return data.draw(st.sampled_from(ends)) if ends else None


def verdict_of(judge: Judge, known: Endpoint, direction: Direction, address: Address, at: tuple[int, int]) -> Verdict:
    """What the slow way says: one flow, with whoever has the address."""
    there = Endpoint.at(judge.policies.snapshot, address)
    source, destination = (known, there) if direction is Direction.EGRESS else (there, known)
    return judge.judge(Flow(source, destination, *at)).verdict


@given(clusters(), networks(), st.sampled_from(Direction), points(), st.data())
def test_pieces_are_a_partition_and_each_is_treated_alike(
    manifests: list[Manifest], block: Network, direction: Direction, at: tuple[int, int], data: st.DataObject
) -> None:
    """An address that is in no piece is not answered; one that differs from its piece is answered wrongly."""
    judge = Judge(Policies(snapshot_of(manifests)))
    known = some_pod(judge, data, block)
    if known is None:
        return
    whole = AddressSet.network(block)
    seen = AddressSet()
    protocol, coordinate = at
    for piece in pieces(judge, block, known, direction, TransportAsked(None, protocol), coordinate):
        assert piece.addresses.isdisjoint(seen)
        seen |= piece.addresses
        first = verdict_of(judge, known, direction, piece.aims[0].end.address, at)
        drawn = [data.draw(addresses()) for _ in range(3)]
        borders = [one[edge] for one in list(piece.addresses.networks())[:4] for edge in (0, -1)]
        for address in (*borders, *(one for one in drawn if one in piece.addresses)):
            assert verdict_of(judge, known, direction, address, at) is first, address
    own = AddressSet.of(known.pod.addresses) if known.pod else AddressSet()
    missing = whole - seen
    assert missing <= ((LOOPBACK | own) if direction is Direction.EGRESS else AddressSet())


@given(clusters(), networks(), st.sampled_from(Direction), st.data())
def test_ports_of_a_block_are_those_of_each_address(
    manifests: list[Manifest], block: Network, direction: Direction, data: st.DataObject
) -> None:
    """The set of all ports of all addresses, against one flow at a time."""
    judge = Judge(Policies(snapshot_of(manifests)))
    known = some_pod(judge, data, block)
    if known is None:
        return
    found = block_ports(judge, block, known, direction)
    pods = [address for pod in judge.policies.snapshot.endpoints for address in pod.addresses]
    drawn = [data.draw(addresses() | st.sampled_from(pods)) for _ in range(6)]
    for address in (block[0], block[-1], *drawn):
        if address in found.addresses:
            at = data.draw(points())
            expected = verdict_of(judge, known, direction, address, at).allows
            assert found.allowed.contains(address, *at) is expected, (address, at)


def test_a_service_address_inside_is_judged_behind_it() -> None:
    """Policies never see the Service's address; a rule for its block does not open the Service."""
    judge = judge_of(EGRESS_TO_DB)
    web = judge.policies.snapshot.pod("shop", "web-1")
    assert web is not None
    block = ipaddress.ip_network("10.96.0.0/24")
    asked = TransportAsked(5000, int(Protocol.TCP))
    found = {
        str(one.addresses.lowest()): one.aims[0]
        for one in pieces(judge, block, Endpoint(web.addresses[0], web), Direction.EGRESS, asked, 5000)
        if one.addresses.size() == 1
    }
    assert list(found) == ["10.96.0.1"]
    aim = found["10.96.0.1"]
    assert (str(aim.end), aim.coordinate, aim.dialled) == ("data/db", 5432, (ipaddress.ip_address("10.96.0.1"), 5000))


def test_what_never_leaves_the_pod_is_left_out() -> None:
    """A closed pod would be said to reach "some of 0.0.0.0/0" if loopback and its own address counted."""
    closed = {"podSelector": {}, "policyTypes": ["Egress"]}
    judge = judge_of({**EGRESS_TO_DB, "spec": closed})
    web = judge.policies.snapshot.pod("shop", "web-1")
    assert web is not None
    known = Endpoint(web.addresses[0], web)
    asked = TransportAsked(443, int(Protocol.TCP))
    found = list(pieces(judge, ipaddress.ip_network("0.0.0.0/0"), known, Direction.EGRESS, asked, 443))
    judged = [judge.judge(Flow(known, aim.end, aim.protocol, aim.coordinate)) for one in found for aim in one.aims]
    assert {one.verdict for one in judged} == {Verdict.DENY}
    own = list(pieces(judge, ipaddress.ip_network("10.1.0.11/32"), known, Direction.EGRESS, asked, 443))
    assert [one.addresses.cidrs() for one in own] == [("10.1.0.11/32",)]


def test_ports_of_a_block_of_pods_ask_both_ends() -> None:
    """What the sender may send and the receiver does not take is not reachable."""
    manifests = shop(EGRESS_TO_DB, INGRESS_OF_DB, service("data/other", "10.96.0.9", [{"port": 1}], app="db"))
    judge = Judge(Policies(snapshot_of(manifests)))
    web = judge.policies.snapshot.pod("shop", "web-1")
    assert web is not None
    found = block_ports(judge, ipaddress.ip_network("10.1.1.0/24"), Endpoint(web.addresses[0], web), Direction.EGRESS)
    db, lone = ipaddress.ip_address("10.1.1.20"), ipaddress.ip_address("10.1.1.21")
    assert [found.allowed.contains(db, 6, port) for port in (5432, 8000, 8050, 9000)] == [True, False, True, False]
    assert [found.allowed.contains(lone, 6, port) for port in (5432, 8000, 8050, 9000)] == [True, True, True, False]


@given(clusters(), st.sampled_from(Direction))
def test_what_passes_beyond_the_cluster_is_what_the_decision_says(
    manifests: list[Manifest], direction: Direction
) -> None:
    """Without a look at any other pod, and the same: for every address that is nobody's."""
    judge = Judge(Policies(snapshot_of(manifests)))
    snapshot = judge.policies.snapshot
    taken = AddressSet.of(one for pod in snapshot.endpoints for one in pod.addresses)
    for pod in snapshot.endpoints:
        if pod.host_network:
            continue
        outside = AddressSet.any() - taken
        expected = judge.policies.decision(pod, direction).allowed().restrict(outside)
        assert beyond_the_cluster(judge, pod, direction).restrict(outside) == expected
        for rule in judge.policies.isolation(pod, direction).rules:
            alone = PacketSet.union_of((rule_beyond(judge.policies, rule, pod),)).restrict(outside)
            assert alone <= expected
