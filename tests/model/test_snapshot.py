"""The snapshot is complete in itself: what the input leaves out is filled in once, and marked."""

from __future__ import annotations

import ipaddress

import pytest

from outgate.model import (
    EndpointSlice,
    Ingress,
    LabelSelector,
    Namespace,
    NetworkPolicy,
    Node,
    Owner,
    Pod,
    Service,
    Snapshot,
    Workload,
)
from outgate.model.snapshot import NAME_LABEL, STAND_IN_V4, STAND_IN_V6

ONE, TWO = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")


def test_order_does_not_matter() -> None:
    """Two files in another order are the same cluster."""
    pods = [Pod("b", "x", addresses=(ONE,)), Pod("a", "y", addresses=(TWO,)), Pod("a", "x", addresses=(TWO,))]
    forward, backward = Snapshot.of(pods=pods), Snapshot.of(pods=reversed(pods))
    assert forward.pods == backward.pods
    assert [str(pod) for pod in forward.pods] == ["a/x", "a/y", "b/x"]
    assert list(forward.namespaces) == ["a", "b"]
    entrances = [Ingress("b", "x"), Ingress("a", "y"), Ingress("a", "x")]
    assert [str(one) for one in Snapshot.of(ingresses=entrances).ingresses] == ["a/x", "a/y", "b/x"]


def test_namespaces_that_are_only_mentioned() -> None:
    """A policy's namespace exists although nobody declared it; its only label is its name, whatever was written."""
    snapshot = Snapshot.of(
        namespaces=[Namespace("declared", {"team": "red", NAME_LABEL: "wrong"})],
        policies=[NetworkPolicy("mentioned", "p")],
        services=[Service("served", "s")],
        slices=[EndpointSlice("sliced", "e", "s")],
        ingresses=[Ingress("entered", "i")],
    )
    assert set(snapshot.namespaces) == {"declared", "entered", "mentioned", "served", "sliced"}
    assert snapshot.namespace("declared").labels == {"team": "red", NAME_LABEL: "declared"}
    assert [snapshot.namespace(name).declared for name in ("declared", "mentioned", "unheard")] == [True, False, False]
    assert snapshot.namespace("unheard").labels == {NAME_LABEL: "unheard"}


def test_pods_without_an_address_get_one_that_no_network_uses() -> None:
    """A pod from a manifest must be told from all others by its address, and covered by no real block."""
    snapshot = Snapshot.of(
        pods=[Pod("n", "a"), Pod("n", "b"), Pod("n", "c", addresses=(ONE,)), Pod("n", "d", finished=True)]
    )
    a, b, c, d = snapshot.pods
    assert [pod.addressed for pod in (a, b, c)] == [False, False, True]
    assert len({*a.addresses, *b.addresses}) == 4
    assert all(pod.addresses[0] in STAND_IN_V4 and pod.addresses[1] in STAND_IN_V6 for pod in (a, b))
    assert d.addresses == ()


def test_workloads_without_pods_stand_for_one() -> None:
    """One pod for each workload at the top that has none; a ReplicaSet below a Deployment is not another."""
    top = Workload("Deployment", "n", "web", {"app": "web"})
    below = Workload("ReplicaSet", "n", "web-1", {"app": "web"}, owner=Owner("Deployment", "web"))
    assert [(pod.name, pod.assumed, pod.owner) for pod in Snapshot.of(workloads=[top, below]).pods] == [
        ("web", True, Owner("Deployment", "web"))
    ]
    running = Pod("n", "web-1-x", owner=Owner("ReplicaSet", "web-1"), addresses=(ONE,))
    (pod,) = Snapshot.of(workloads=[top, below], pods=[running]).pods
    assert (pod.assumed, pod.owner) == (False, Owner("Deployment", "web"))
    assert Snapshot.of(workloads=[top, below], pods=[running]).pods_of("n", Owner("Deployment", "web")) == (pod,)


def test_names_of_assumed_pods_are_free() -> None:
    """A Deployment and a pod of one name, and two workloads of one name, are three pods."""
    several = [Workload("Deployment", "n", "web"), Workload("StatefulSet", "n", "web")]
    names = [pod.name for pod in Snapshot.of(workloads=several, pods=[Pod("n", "web")]).pods]
    assert len(names) == len(set(names)) == 3


def test_lookups() -> None:
    """By name and by address, with the finished left out of what can send."""
    host = Node("n1", addresses=(TWO,))
    web = Service(
        "n", "web", cluster_ips=(ipaddress.ip_address("10.96.0.1"),), external_ips=(ipaddress.ip_address("192.0.2.1"),)
    )
    pods = [
        Pod("n", "a", addresses=(ONE,)),
        Pod("n", "done", addresses=(ONE,), finished=True),
        Pod("n", "b", addresses=(TWO,)),
    ]
    snapshot = Snapshot.of(pods=pods, nodes=[host], services=[web])
    assert snapshot.pod("n", "done") is not None
    assert snapshot.pod("n", "nobody") is None
    assert [pod.name for pod in snapshot.owners_of(ONE)] == ["a"]
    assert [pod.name for pod in snapshot.endpoints] == ["a", "b"]
    assert snapshot.node_of(TWO) == host
    assert snapshot.node_of(ONE) is None
    assert snapshot.service_of(web.cluster_ips[0]) == snapshot.service_of(web.external_ips[0]) == web
    assert snapshot.service("n", "web") == web
    assert snapshot.service("m", "web") is None
    assert snapshot.owners_of(ipaddress.ip_address("192.0.2.9")) == ()


def test_backends_are_the_ready_pods_of_the_selector() -> None:
    """A Service sends to ready pods of its own namespace; without a selector to nobody that we can tell."""
    pods = [
        Pod("n", "a", {"app": "web", "x": "y"}),
        Pod("n", "b", {"app": "web"}, ready=False),
        Pod("m", "c", {"app": "web"}),
        Pod("n", "d", {"app": "db"}),
    ]
    snapshot = Snapshot.of(pods=pods)
    assert [pod.name for pod in snapshot.backends(Service("n", "s", selector={"app": "web"}))] == ["a"]
    both = Service("n", "s", selector={"app": "web"}, publish_not_ready=True)
    assert [pod.name for pod in snapshot.backends(both)] == ["a", "b"]
    assert list(snapshot.backends(Service("n", "s"))) == []


def test_other_policies_on_the_same_cluster() -> None:
    """The cluster before and after a change differs in its policies, and in the namespaces that they mention."""
    snapshot = Snapshot.of(pods=[Pod("n", "a")])
    changed = snapshot.with_policies([NetworkPolicy("z", "p"), NetworkPolicy("new", "p", LabelSelector())])
    assert changed.pods == snapshot.pods
    assert [policy.namespace for policy in changed.policies] == ["new", "z"]
    assert set(changed.namespaces) == {"n", "new", "z"}
    assert set(changed.policies_by_namespace) == {"new", "z"}
    assert snapshot.policies == ()
    assert [pod.name for pod in snapshot.with_pods([Pod("n", "z"), Pod("n", "b")]).pods] == ["b", "z"]


def test_names_that_are_not_unique_have_an_order_as_well() -> None:
    """A Deployment and a StatefulSet of one name: whose pod gets the plain name must not depend on the files."""
    both = [Workload("StatefulSet", "n", "web", {"a": "1"}), Workload("Deployment", "n", "web", {"a": "2"})]
    slices = [EndpointSlice("n", "x", "two"), EndpointSlice("n", "x", "one")]
    forward = Snapshot.of(workloads=both, slices=slices)
    backward = Snapshot.of(workloads=both[::-1], slices=slices[::-1])
    assert forward == backward
    assert {pod.name: pod.labels["a"] for pod in forward.pods} == {"web": "2", "web-statefulset": "1"}


@pytest.mark.parametrize(("kind", "assumed"), [("CronJob", True), ("Deployment", True), ("Job", False)])
def test_a_workload_whose_pods_have_ended_counts_through_its_template(kind: str, assumed: bool) -> None:
    """A CronJob between two runs will send again; a Job that has ended will not."""
    workload = Workload(kind, "n", "w", {"app": "w"})
    done = Pod("n", "w-1", {"app": "w"}, finished=True, owner=Owner(kind, "w"))
    found = Snapshot.of(pods=[done], workloads=[workload])
    assert [pod.assumed for pod in found.endpoints] == ([True] if assumed else [])
    running = Snapshot.of(pods=[done, Pod("n", "w-2", owner=Owner(kind, "w"))], workloads=[workload])
    assert [pod.name for pod in running.endpoints] == ["w-2"]
