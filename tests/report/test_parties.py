"""The ends of connections: names that can be typed again, and data that other tools know."""

from __future__ import annotations

import pytest

from outgate.analysis.connections import External
from outgate.analysis.controller import INGRESS_CONTROLLER
from outgate.analysis.groups import Group
from outgate.packets import AddressSet
from outgate.report.parties import addresses_words, party_json, party_words
from outgate.testing import pod, snapshot_of

PODS = snapshot_of([pod("shop/web-1"), pod("shop/web-2")]).pods


def test_a_workload() -> None:
    """The words are what --focus and can-reach take."""
    group = Group("Deployment", "shop", "web", PODS, 0)
    assert party_words(group) == "shop/Deployment/web"
    assert party_json(group) == {"kind": "Deployment", "namespace": "shop", "name": "web"}
    assert party_words(Group("Pod", "shop", "web-1", PODS[:1], 0)) == "shop/web-1"


def test_a_part_of_a_workload() -> None:
    """Two lines of one name would be a riddle."""
    group = Group("Deployment", "shop", "web", PODS, 0, split=True, part=(("version", "v2"),))
    assert party_words(group) == "shop/Deployment/web[version=v2]"
    assert party_json(group) == {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "web",
        "labels": {"version": "v2"},
        "pods": ["web-1", "web-2"],
    }


def test_others() -> None:
    """Addresses outside, and whoever serves Ingress objects."""
    outside = External(AddressSet.network("203.0.113.0/24"))
    assert (party_words(outside), party_json(outside)) == (
        "203.0.113.0/24",
        {"kind": "External", "cidrs": ["203.0.113.0/24"]},
    )
    assert (party_words(INGRESS_CONTROLLER), party_json(INGRESS_CONTROLLER)) == (
        "ingress controller",
        {"kind": "IngressController"},
    )


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (["0.0.0.0/0", "::/0"], "every address"),
        (["0.0.0.0/0"], "every IPv4 address"),
        (["::/0"], "every IPv6 address"),
        (["0.0.0.0/1", "128.0.0.0/1"], "every IPv4 address"),
        (["10.0.0.0/8", "fd00::/8"], "10.0.0.0/8, fd00::/8"),
    ],
)
def test_addresses(blocks: list[str], words: str) -> None:
    """The whole of a family must not look like a block among others, nor IPv4 alone like everything."""
    assert addresses_words(AddressSet.union_of(map(AddressSet.network, blocks))) == words


def test_every_address_but_nodes_is_said_in_a_word() -> None:
    """A thousand blocks behind "except" tell nobody that they are the nodes; what else is missing is said beside it."""
    nodes = AddressSet.union_of(AddressSet.network(f"10.{one}.0.7/32") for one in range(200))
    assert party_words(External(AddressSet.any() - nodes, nodes)) == "every address except nodes"
    metadata = AddressSet.network("169.254.169.254/32")
    words = "every address except 169.254.169.254/32, but no node"
    assert party_words(External(AddressSet.any() - nodes - metadata, nodes)) == words
    assert party_words(External(AddressSet.network("10.0.0.0/9") - nodes, nodes)) == "10.0.0.0/9 except nodes"
    assert party_words(External(AddressSet.any(), nodes)) == "every address"
