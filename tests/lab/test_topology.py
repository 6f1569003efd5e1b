"""The boxes of a lab as data: names that the kernel takes, one box for each, and a description that others read."""

from __future__ import annotations

import ipaddress
import json

from hypothesis import given

from outgate.lab.addressing import address
from outgate.lab.topology import IDLE_NODES, POD_INTERFACE_PREFIX, Topology
from outgate.model import Node, Pod, Snapshot
from tests.lab.test_addressing import snapshots


@given(snapshots())
def test_every_endpoint_has_its_box_and_no_two_share_one(snapshot: Snapshot) -> None:
    """Two pods in one namespace would answer for each other."""
    done = address(snapshot)
    topology = Topology.of(done)
    assert set(topology.pods) == {pod.key for pod in done.endpoints}
    assert len(set(topology.namespaces)) == len(topology.namespaces)
    own = [box for box in topology.pods.values() if box.interface]
    assert len({box.namespace for box in own}) == len({box.interface for box in own}) == len(own)
    for box in topology.pods.values():
        node = topology.nodes[box.node]
        assert (box in node.pods) is bool(box.interface)
        assert (box.namespace == node.namespace) is box.pod.host_network
    assert set(topology.namespaces) == {
        topology.world.namespace,
        *(box.namespace for box in topology.nodes.values()),
        *(box.namespace for box in own),
    }


@given(snapshots())
def test_names_are_the_kernels_and_not_the_manifests(snapshot: Snapshot) -> None:
    """An interface name holds 15 characters; a name from a manifest is text that must not become a command."""
    topology = Topology.of(address(snapshot))
    links = [box.link for box in topology.nodes.values()]
    interfaces = [box.interface for box in topology.pods.values() if box.interface]
    for name in (*topology.namespaces, *links, *interfaces):
        assert name.isascii()
        assert name.isalnum()
        assert len(name) <= 15
    assert all(name.startswith(POD_INTERFACE_PREFIX) for name in interfaces)
    assert not any(name.startswith(POD_INTERFACE_PREFIX) for name in ("up0", *links))


def test_the_world_has_addresses_that_nobody_else_has() -> None:
    """A pod in the block for documentation must not lose its packets to the world."""
    taken = (ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8:ffff::1"))
    topology = Topology.of(address(Snapshot.of(pods=[Pod("a", "p", addresses=taken)])))
    assert len(topology.world.addresses) == 2
    assert not set(topology.world.addresses) & set(taken)


def test_nodes_with_pods_are_all_built_and_idle_ones_up_to_a_bound() -> None:
    """A pod whose node is left out could not be built; a fleet of idle nodes is not worth its namespaces."""
    nodes = [Node(f"n{number:03}") for number in range(50)]
    pods = [Pod("a", f"p{number}", node=f"n{number:03}") for number in range(30, 50)]
    topology = Topology.of(address(Snapshot.of(nodes=nodes, pods=pods)))
    assert {pod.node for pod in pods} <= set(topology.nodes)
    assert len(topology.nodes) == 20 + IDLE_NODES
    assert set(topology.nodes).isdisjoint(topology.idle)
    assert len(topology.nodes) + len(topology.idle) == 50


def test_the_description_is_json_and_names_every_pod() -> None:
    """It is the `topology` of a LabReport, which other programs read."""
    pods = [Pod("a", "p"), Pod("a", "gone", finished=True), Pod("b", "h", host_network=True)]
    described = json.loads(json.dumps(Topology.of(address(Snapshot.of(pods=pods))).describe()))
    assert [(pod["namespace"], pod["name"], pod["hostNetwork"]) for pod in described["pods"]] == [
        ("a", "p", False),
        ("b", "h", True),
    ]
    assert {pod["node"] for pod in described["pods"]} <= {node["name"] for node in described["nodes"]}
    assert all(len(pod["addresses"]) == 2 for pod in described["pods"])
