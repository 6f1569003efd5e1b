"""Which addresses outside are probed: inside a block, in each exception, just outside, and one that nobody names."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgate.lab.addressing import address
from outgate.lab.outside import METADATA, Outside, Position
from outgate.model import Snapshot
from outgate.packets import AddressSet
from tests.lab.clusters import SHOP, snapshot_of

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p, namespace: shop}}
spec:
  podSelector: {{}}
  policyTypes: [Egress]
  egress: [{{to: [{peers}]}}]
"""


def with_blocks(*peers: str) -> Snapshot:
    """The shop under a policy with these address blocks."""
    blocks = ", ".join(f"{{ipBlock: {peer}}}" for peer in peers)
    return address(snapshot_of(SHOP + POLICY.format(peers=blocks)))


def points(*peers: str) -> list[tuple[str, str]]:
    """Position and address of every point."""
    snapshot = with_blocks(*peers)
    (policy,) = snapshot.policies
    found = Outside(snapshot).points(policy, policy.egress[0])
    return [(point.position.value, str(point.address)) for point in found]


def test_a_block_is_probed_inside_in_its_exceptions_and_beside() -> None:
    """Each of the three is decided by another element of the kernel's set."""
    assert points('{cidr: 192.168.0.0/16, except: [192.168.7.0/24, "192.168.9.9/32"]}') == [
        ("inside", "192.168.0.1"),
        ("in an exception of", "192.168.7.1"),
        ("in an exception of", "192.168.9.9"),
        ("just outside", "192.169.0.0"),
    ]


def test_both_families() -> None:
    """An IPv6 block with only IPv4 probes would be untested."""
    assert points('{cidr: "2001:db8:7::/48"}') == [("inside", "2001:db8:7::1"), ("just outside", "2001:db8:8::")]


def test_just_outside_is_outside_of_every_block_of_the_policy() -> None:
    """Beside the one block lies the next: a probe there would be allowed, and prove nothing."""
    found = points("{cidr: 203.0.112.0/24}", "{cidr: 203.0.113.0/24}")
    assert [one for position, one in found if position == "just outside"] == ["203.0.114.0", "203.0.114.0"]


def test_beside_the_end_of_the_address_space() -> None:
    """After the last block there is nothing, so it is before it; around everything there is nothing at all."""
    assert ("just outside", "199.255.255.255") in points("{cidr: 200.0.0.0/5}", "{cidr: 208.0.0.0/4}")
    assert [position for position, _ in points("{cidr: 0.0.0.0/0}")] == ["inside"]


def test_an_address_of_the_cluster_is_no_address_outside() -> None:
    """The pod that has the address would answer in the place of the world."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: any}\n"
    pod += "spec: {containers: [{name: c, image: x}]}\nstatus: {podIP: 192.168.0.1}\n---\n"
    snapshot = address(snapshot_of(pod + POLICY.format(peers="{ipBlock: {cidr: 192.168.0.0/31}}")))
    (policy,) = snapshot.policies
    found = Outside(snapshot).points(policy, policy.egress[0])
    assert [str(one.address) for one in found] == ["192.168.0.0", "192.168.0.2"]


@pytest.mark.parametrize("block", ["127.0.0.0/8", "224.0.0.0/4", "169.254.1.1/32", '"fe80::/10"', '"ff00::/8"'])
def test_what_no_router_forwards_is_not_probed(block: str) -> None:
    """No answer could come, whatever the policies say."""
    assert "inside" not in [position for position, _ in points(f"{{cidr: {block}}}")]


def test_the_internet_is_what_nobody_mentions() -> None:
    """An address that a policy names would show that policy, not the rest of the world."""
    chosen = Outside(with_blocks("{cidr: 203.0.113.0/24}", "{cidr: 198.51.100.0/24}")).internet(4)
    assert str(chosen) == "192.0.2.10"
    assert Outside(with_blocks("{cidr: 0.0.0.0/1}", "{cidr: 128.0.0.0/1}")).internet(4) is None
    assert str(Outside(with_blocks("{cidr: 0.0.0.0/0}")).internet(4)) == "203.0.113.10"


def test_fresh_addresses() -> None:
    """Those for documentation first, as long as nobody has taken or named them."""
    outside = Outside(with_blocks("{cidr: 203.0.113.0/24}"))
    taken = AddressSet()
    found = []
    for _ in range(3):
        one = outside.fresh(4, taken)
        assert one is not None
        found.append(str(one))
        taken |= AddressSet.of([one])
    assert found == ["198.51.100.10", "192.0.2.10", "192.0.2.1"]
    rest = outside.fresh(4, AddressSet.network("192.0.2.0/24") | AddressSet.network("198.51.100.0/24"))
    assert str(rest) == "1.1.1.1"
    assert outside.fresh(6, AddressSet.whole(6)) is None


@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.integers(0, 2**32 - 1))
def test_points_are_where_they_say(number: int, length: int, hole: int) -> None:
    """An address that is called inside and is not makes the report a lie."""
    block = ipaddress.IPv4Network((number, length), strict=False)
    inner = ipaddress.IPv4Network((int(block[0]) | hole & int(block.hostmask), min(length + 3, 32)), strict=False)
    excepts = f", except: [{inner}]" if inner != block else ""
    snapshot = with_blocks(f"{{cidr: {block}{excepts}}}")
    (policy,) = snapshot.policies
    for point in Outside(snapshot).points(policy, policy.egress[0]):
        inside, excepted = point.address in block, bool(excepts) and point.address in inner
        where = {Position.INSIDE: (True, False), Position.EXCEPTED: (True, True), Position.OUTSIDE: (False, False)}
        assert (inside, excepted) == where[point.position]
        assert not point.address.is_loopback
        assert not point.address.is_multicast


def test_metadata_is_link_local() -> None:
    """169.254.169.254 is where all the big clouds hand out credentials."""
    assert str(METADATA[0]) == "169.254.169.254"
