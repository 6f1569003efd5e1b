"""Whose an address is: a pod's, a node's, or nobody's that the cluster knows."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.policy import Endpoint
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.testing import pod, snapshot_of
from tests.policy.asking import TOWN


@pytest.mark.parametrize(
    ("address", "holder", "isolatable"),
    [
        ("10.1.0.10", "shop/web", True),
        ("fd00:1::10", "shop/web", True),
        ("192.168.50.11", "node n1", False),
        ("192.168.50.12", "node n2", False),
        ("fd00:50::12", "node n2", False),
        ("203.0.113.9", "203.0.113.9", False),
        # Python 3.13 spells it ::ffff:10.1.0.10.
        ("::ffff:10.1.0.10", str(ipaddress.ip_address("::ffff:10.1.0.10")), False),
    ],
)
def test_address_is_held_by(address: str, holder: str, isolatable: bool) -> None:
    """A node's address is the node's, also where a host-network pod shares it; a mapped address is no pod's."""
    end = Endpoint.at(snapshot_of(TOWN), ipaddress.ip_address(address))
    assert (str(end), end.isolatable) == (holder, isolatable)


def test_host_network_pod_stands_in_for_a_node_that_is_not_given() -> None:
    """Without the Node object its pods are all that is known of the address."""
    snapshot = snapshot_of([one for one in TOWN if one["kind"] != "Node"])
    end = Endpoint.at(snapshot, ipaddress.ip_address("192.168.50.12"))
    assert (str(end), end.isolatable) == ("mon/host", False)


def test_finished_pod_holds_nothing() -> None:
    """A8: its address may be somebody else's, or nobody's."""
    snapshot = snapshot_of([*TOWN, pod("shop/job", ["10.1.0.99"], phase="Failed")])
    assert Endpoint.at(snapshot, ipaddress.ip_address("10.1.0.99")).pod is None


def test_end_of_a_family_that_is_not_there() -> None:
    """A pod or node without an address of a family has no end in it; another's must not be invented."""
    snapshot = snapshot_of(TOWN)
    cache, node = snapshot.pod("data", "cache"), snapshot.nodes["n1"]
    assert cache is not None
    assert Endpoint.of_pod(cache, 6) is None
    four, six = Endpoint.of_pod(cache), Endpoint.of_node(node, 6)
    assert four is not None
    assert six is not None
    assert (str(four.address), str(six.address)) == ("10.1.1.21", "fd00:50::11")


def test_special_blocks_end_where_the_standards_say() -> None:
    """One address too many here would be exempt from every policy, or undefined in every answer."""
    loopback = ("127.0.0.0", "127.255.255.255", "::1")
    beside = ("126.255.255.255", "128.0.0.0", "::", "::2", "::ffff:127.0.0.1")
    assert [ipaddress.ip_address(one) in LOOPBACK for one in (*loopback, *beside)] == [True] * 3 + [False] * 5
    many = ("224.0.0.0", "239.255.255.255", "255.255.255.255", "ff00::", "ff02::1")
    others = ("223.255.255.255", "240.0.0.0", "255.255.255.254", "feff::1", "fe80::1")
    assert [ipaddress.ip_address(one) in TO_MANY for one in (*many, *others)] == [True] * 5 + [False] * 5


def test_who_is_on_a_node() -> None:
    """A node, and a host-network pod with or without it; a pod never, not even where a node claims its address too."""
    snapshot = snapshot_of(TOWN)
    host, web = snapshot.pod("mon", "host"), snapshot.pod("shop", "web")
    assert host is not None
    assert web is not None
    node = snapshot.nodes["n1"]
    on_node = [Endpoint(node.addresses[0], None, node), Endpoint(host.addresses[0], host)]
    elsewhere = [Endpoint(web.addresses[0], web), Endpoint(web.addresses[0], web, node), Endpoint(web.addresses[0])]
    assert [end.on_node for end in (*on_node, *elsewhere)] == [True, True, False, False, False]
