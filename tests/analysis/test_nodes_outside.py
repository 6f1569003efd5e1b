"""Nodes are addresses, and no part of what Cilium calls the world: no answer about the outside may mix the two.

docs.cilium.io, "Entities based": "world: The world entity corresponds to all endpoints outside of the cluster". A node,
and the kubelet on it, is opened by entities and ``toNodes`` alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from outgate.analysis.connections import Connections, External, connections
from outgate.analysis.diff import diff
from outgate.analysis.edges import Outside, egress_graph
from outgate.analysis.exposure import exposure
from outgate.analysis.lookup import PodsTarget
from outgate.model import Snapshot
from outgate.packets import AddressSet, Protocol
from outgate.policy import Judge, Policies
from outgate.testing import Manifest, namespace, node, pod, snapshot_of
from outgate.testing_cilium import cidr_group, cilium_policy

NODES = AddressSet.union_of(map(AddressSet.network, ("192.0.2.1/32", "192.0.2.2/32", "fd00:50::2/128")))
CLUSTER: list[Manifest] = [
    namespace("a"),
    node("n1", ["192.0.2.1"]),
    node("n2", ["192.0.2.2", "fd00:50::2"]),
    cidr_group("everything", "0.0.0.0/0", "::/0"),
    pod("a/web", ["10.1.0.1", "fd00:1::1"], on="n1", app="web"),
]
WORLD = {"toEntities": ["world"]}
OUTSIDE_ALONE = [WORLD, {"toCIDR": ["0.0.0.0/0", "::/0"]}, {"toCIDRSet": [{"cidrGroupRef": "everything"}]}]


def ruled(**spec: Any) -> Snapshot:
    """The cluster, whose pod has a policy of this."""
    return snapshot_of([*CLUSTER, cilium_policy("a/p", {"endpointSelector": {}, **spec})])


def sent_to_nodes(found: Connections) -> AddressSet:
    """The addresses of nodes on the lines of a list that lead to TCP 10250."""
    lines = (
        one for one in found if isinstance(one.destination, External) and one.transports.contains(Protocol.TCP, 10250)
    )
    return AddressSet.union_of(
        one.destination.addresses & NODES for one in lines if isinstance(one.destination, External)
    )


def drawn_to_nodes(snapshot: Snapshot) -> AddressSet:
    """The same on the edges of a picture."""
    web = PodsTarget("Pod", "a", "web", (snapshot.pods[0],))
    edges = (one for one in egress_graph(Judge(Policies(snapshot)), web).edges if one.allowed)
    return AddressSet.union_of(
        one.destination.addresses & NODES for one in edges if isinstance(one.destination, Outside)
    )


@pytest.mark.parametrize("rule", OUTSIDE_ALONE, ids=str)
def test_what_opens_the_outside_opens_no_node(rule: Manifest) -> None:
    """The list said "every address", and exposure that the kubelets are reached."""
    snapshot = ruled(egress=[rule])
    assert not sent_to_nodes(connections(snapshot))
    assert not drawn_to_nodes(snapshot)
    (one,) = exposure(snapshot).workloads
    assert one.standing.outside.nodes.names == ()


@pytest.mark.parametrize("rule", OUTSIDE_ALONE, ids=str)
def test_what_closes_the_outside_closes_no_node(rule: Manifest) -> None:
    """Exposure said that no node is reached, where every kubelet is."""
    snapshot = ruled(egress=[{"toEntities": ["all"]}], egressDeny=[rule])
    assert sent_to_nodes(connections(snapshot)) == NODES
    assert drawn_to_nodes(snapshot) == NODES
    (one,) = exposure(snapshot).workloads
    assert one.standing.outside.nodes.names == ("n1", "n2")
    assert [str(origin) for origin in one.standing.outside.nodes.origins] == ["a/p egress[0]"]


@pytest.mark.parametrize("rule", OUTSIDE_ALONE, ids=str)
def test_a_diff_says_that_nodes_are_opened(rule: Manifest) -> None:
    """It said "nothing differs" where `world` became `all`, and so where an agent of the node was opened."""
    pods: Manifest = {"toEndpoints": [{}]}
    before, after = ruled(egress=[rule, pods]), ruled(egress=[{"toEntities": ["all"]}])
    for old, new, was, now in ((before, after, False, True), (after, before, True, False)):
        (change,) = diff(old, new).changes
        assert isinstance(change.destination, External)
        assert change.destination.addresses == NODES
        shift = change.shift
        assert [one.contains(Protocol.TCP, 10250) for one in (shift.before, shift.after)] == [was, now]


def test_a_diff_says_that_a_node_came() -> None:
    """What was outside is a node now: nothing of before may be remembered of it."""
    before = ruled(egress=[WORLD])
    after = snapshot_of(
        [*CLUSTER, node("n3", ["192.0.2.3"]), cilium_policy("a/p", {"endpointSelector": {}, "egress": [WORLD]})]
    )
    (change,) = diff(before, after).changes
    assert isinstance(change.destination, External)
    assert change.destination.addresses == AddressSet.network("192.0.2.3/32")
    assert (bool(change.shift.before), bool(change.shift.after)) == (True, False)
