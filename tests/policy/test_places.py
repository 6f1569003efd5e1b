"""Whose addresses are whose."""

from __future__ import annotations

import dataclasses
import ipaddress

from outgate.model import LabelSelector, Learned, Operator
from outgate.model.labels import Requirement
from outgate.packets import AddressSet
from outgate.policy.names import Dialect, Pattern
from outgate.policy.places import ANYWHERE, Places
from outgate.testing import node, pod, snapshot_of
from tests.policy.asking import TOWN
from tests.slices import endpoint_slice

SNAPSHOT = snapshot_of(TOWN)
ZONE_B = LabelSelector((Requirement("zone", Operator.IN, ("b",)),))


def texts(addresses: AddressSet) -> set[str]:
    """As a person writes them."""
    return set(addresses.cidrs())


def test_nodes() -> None:
    """Their own addresses; those of pods on their network where there is no Node."""
    places = Places(SNAPSHOT)
    assert texts(places.nodes["n1"]) == {"192.168.50.11/32", "fd00:50::11/128"}
    assert texts(places.nodes_but("n1")) == {"192.168.50.12/32", "fd00:50::12/128"}
    assert places.every_node == places.nodes["n1"] | places.nodes["n2"]
    alone = Places(snapshot_of([pod("a/b", ["192.168.9.9"], on="x", host_network=True)]))
    assert texts(alone.nodes["x"]) == {"192.168.9.9/32"}


def test_nodes_by_labels_without_one() -> None:
    """As a pod there sees it."""
    places = Places(SNAPSHOT)
    assert places.labelled(ZONE_B) == places.nodes["n2"]
    assert not places.labelled(ZONE_B, but="n2")


def test_the_cluster_is_pods_and_nodes() -> None:
    """And nobody else."""
    places = Places(SNAPSHOT)
    assert places.cluster == places.pods | places.every_node
    assert ipaddress.ip_address("10.1.1.20") in places.pods
    assert ipaddress.ip_address("192.168.50.12") not in places.pods


def test_what_is_taken_was_made_up_by_nobody() -> None:
    """A pod without an address has one that stands in for it, which is of the cluster and yet nobody's."""
    places = Places(snapshot_of([*TOWN, pod("a/new", [])]))
    assert places.taken == Places(SNAPSHOT).cluster
    assert places.taken != places.cluster
    assert places.taken <= places.cluster


def test_the_api_server() -> None:
    """Where its Service leads; without one, the nodes of a control plane; without them, nowhere."""
    assert not Places(SNAPSHOT).api_server
    head = node("cp", ["192.168.50.10"], **{"node-role.kubernetes.io/control-plane": ""})
    assert texts(Places(snapshot_of([*TOWN, head])).api_server) == {"192.168.50.10/32"}
    slices = endpoint_slice("default/kubernetes", "203.0.113.1")
    assert texts(Places(snapshot_of([*TOWN, head, slices])).api_server) == {"203.0.113.1/32"}


def test_services_by_name_and_by_labels() -> None:
    """Of one namespace, or of all."""
    places = Places(SNAPSHOT)
    assert [str(one) for one in places.services("shop", "web", None)] == ["shop/web"]
    assert [str(one) for one in places.services("", "web", None)] == ["shop/web"]
    assert len(list(places.services("data", "", LabelSelector()))) == 2
    assert texts(places.endpoints("data", "ext")) == {"203.0.113.50/32"}


def test_a_standpoint_is_a_node_and_what_was_told() -> None:
    """Pods of one node that were told nothing look from one place."""
    told = Learned(("shop", "web"), "www.a.b", (ipaddress.ip_address("203.0.113.5"),))
    places = Places(dataclasses.replace(SNAPSHOT, learned=(told,)))
    web, plain, agent = (SNAPSHOT.pod(*key) for key in (("shop", "web"), ("shop", "plain"), ("mon", "agent")))
    assert web is not None
    assert plain is not None
    assert agent is not None
    here = places.standpoint(web)
    assert (here.node, here.learned) == ("n1", (told,))
    assert places.standpoint(plain) is places.standpoint(agent)
    patterns = (Pattern("*.a.b", Dialect.CILIUM),)
    assert texts(places.told(here, patterns)) == {"203.0.113.5/32"}
    assert not places.told(places.standpoint(plain), patterns)
    assert not places.told(ANYWHERE, patterns)
