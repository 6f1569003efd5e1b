"""Policies of Cilium's through the whole agent: from the API server to packets, live ones too (property 5)."""

from __future__ import annotations

import select
import socket

import pytest

from outgate.host import links
from outgate.testing import Manifest, node, pod
from outgate.testing_cilium import cidr_group, cilium_policy
from tests.lab.agent.cast import CLUSTER, allow, exchange, relabelled
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.test_live_flows import is_cut, pod_named

pytestmark = pytest.mark.kernel

PORT = 7000
NAMESPACE = "k8s:io.kubernetes.pod.namespace"
THREE = {"matchLabels": {NAMESPACE: "b", "app": "three"}}


def of_a(name: str, **sections: object) -> Manifest:
    """A policy for the pods of namespace a."""
    return cilium_policy(f"a/{name}", {"endpointSelector": {}, **sections})


@pytest.mark.parametrize("family", [4, 6])
def test_05_allowances_and_denials_are_enforced(family: int) -> None:
    """A union with NetworkPolicies, and whatever is denied is denied; each change takes effect in its turn."""

    def check(farm: Farm) -> None:
        def passes() -> bool:
            return farm.settled().passes("a/one", "b/three", PORT, family)

        assert passes()
        farm.server.put(of_a("all", egress=[{}]))
        assert not passes()
        farm.server.put(of_a("some", egress=[{"toEndpoints": [THREE]}]))
        assert passes()
        ports = [{"ports": [{"port": str(PORT), "protocol": "ANY"}]}]
        farm.server.put(of_a("deny", egressDeny=[{"toEndpoints": [THREE], "toPorts": ports}]))
        assert not passes()
        farm.server.put(allow("a/p", None, PORT))
        assert not passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "deny")
        assert passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "some")
        assert passes()
        farm.server.delete("NetworkPolicy", "a", "p")
        assert not passes()
        farm.server.delete("CiliumNetworkPolicy", "a", "all")
        assert passes()

    grow(CLUSTER, check)


def test_05_a_block_is_outside_of_the_cluster() -> None:
    """What covers every address lets a pod talk to no other, and to no node; a group likewise."""
    everything = cidr_group("everything", "0.0.0.0/0", "::/0")
    world = of_a("world", egress=[{"toCIDR": ["0.0.0.0/0"]}, {"toCIDRSet": [{"cidrGroupRef": "everything"}]}])

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", PORT)
        farm.server.put(of_a("open", egress=[{"toEntities": ["cluster"]}]))
        assert farm.settled().passes("a/one", "b/three", PORT)

    grow([*CLUSTER, everything, world], check, all_nodes=True)


def test_05_a_denial_cuts_what_lives_and_a_label_does() -> None:
    """A live connection, by a new policy and by a peer that comes under it."""
    bad = {"matchLabels": {NAMESPACE: "b", "bad": "yes"}}
    deny = of_a("deny", enableDefaultDeny={"egress": False}, egressDeny=[{"toEndpoints": [bad]}])

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            farm.server.put(deny)
            farm.settle()
            exchange(client, server)
            farm.server.put(relabelled(pod_named("b/three"), app="three", bad="yes"))
            farm.settle()
            assert is_cut(farm, client, server)

    grow(CLUSTER, check)


def said(farm: Farm) -> list[tuple[str, str]]:
    """The reasons of the Events that the agents have written, and the names of what they are about."""
    bodies = (body for _, path, body in farm.server.written if path.endswith("/events"))
    return [(one["reason"], one["regarding"]["name"]) for one in bodies]


def test_13_a_policy_that_is_broken_closes_its_subject_alone() -> None:
    """In the direction that it has. Beside its workloads it is said by an Event."""
    broken = of_a("c", egress=[{"toEndpoints": [{}], "toCIDR": ["10.0.0.0/8"]}])

    def check(farm: Farm) -> None:
        farm.server.put(broken)
        assert not farm.settled().passes("a/one", "b/three", PORT)
        assert farm.passes("b/three", "a/two", PORT)
        farm.until(lambda: ("PolicyBroken", "c") in said(farm))
        farm.server.delete("CiliumNetworkPolicy", "a", "c")
        assert farm.settled().passes("a/one", "b/three", PORT)

    grow(CLUSTER, check, write_events=True)


def service(path: str, **spec: object) -> Manifest:
    """A Service without an address of its own: policies ask for whom it leads to, and not how."""
    space, _, name = path.partition("/")
    ports = [{"port": PORT, "protocol": "UDP"}]
    spec = {"clusterIP": "None", "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": space, "name": name}, "spec": spec}


def ends(path: str, *addresses: str) -> Manifest:
    """The slice of a Service, with these endpoints."""
    space, _, name = path.partition("/")
    metadata = {"namespace": space, "name": name, "labels": {"kubernetes.io/service-name": name}}
    endpoints = [{"addresses": [one]} for one in addresses]
    slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    return {**slice_, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": PORT, "protocol": "UDP"}]}


def served(name: str, path: str, section: str = "egress") -> Manifest:
    """A policy about a Service, which isolates only where it allows."""
    space, _, called = path.partition("/")
    rule = {"toServices": [{"k8sService": {"serviceName": called, "namespace": space}}]}
    return of_a(name, enableDefaultDeny={"egress": section == "egress"}, **{section: [rule]})


def becomes(farm: Farm, source: str, target: str, *, passing: bool) -> None:
    """What goes to Services and their endpoints follows; agents say nothing of these, so it is tried."""
    farm.settle()
    farm.until(lambda: farm.passes(source, target, PORT) is passing)


def test_05_services_mean_their_pods_or_their_endpoints() -> None:
    """With a selector pods, without one the addresses of the slices, as they come and go; allowed, then denied."""
    pods, outside = service("b/pods", selector={"app": "three"}), service("b/outside")

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", PORT)
        assert not farm.passes("a/one", "198.51.100.1", PORT)
        farm.server.put(ends("b/outside", "198.51.100.1"))
        becomes(farm, "a/one", "198.51.100.1", passing=True)
        farm.server.put(ends("b/outside", "198.51.100.2"))
        becomes(farm, "a/one", "198.51.100.1", passing=False)
        assert farm.passes("a/one", "198.51.100.2", PORT)
        farm.server.put(service("b/pods", selector={"app": "other"}))
        becomes(farm, "a/one", "b/three", passing=False)
        for name in ("pods", "outside"):
            farm.server.delete("CiliumNetworkPolicy", "a", name)
        farm.server.put(served("not", "b/outside", "egressDeny"))
        becomes(farm, "a/one", "198.51.100.2", passing=False)
        becomes(farm, "a/one", "b/three", passing=True)

    world = [pods, outside, served("pods", "b/pods"), served("outside", "b/outside")]
    grow([*CLUSTER, *world], check, all_nodes=True)


def test_05_a_service_that_means_others_cuts_what_lives() -> None:
    """The policy stays as it is, and so does the pod at the other end."""

    def check(farm: Farm) -> None:
        with farm.connection("a/one", "b/three", PORT) as (client, server):
            exchange(client, server)
            farm.server.put(service("b/pods", selector={"app": "other"}))
            becomes(farm, "a/one", "b/three", passing=False)
            assert is_cut(farm, client, server)

    grow([*CLUSTER, service("b/pods", selector={"app": "three"}), served("pods", "b/pods")], check, all_nodes=True)


@pytest.mark.parametrize("peer", [{"toCIDR": ["198.51.100.0/24"]}, {"toEntities": ["world"]}], ids=["block", "world"])
def test_05_a_node_that_appears_is_no_place_outside(peer: Manifest) -> None:
    """The policy and its rules are the same objects before and after; who is inside of the cluster is not."""

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "198.51.100.1", PORT)
        farm.server.put(node("n3", ["198.51.100.1"]))
        becomes(farm, "a/one", "198.51.100.1", passing=False)
        assert farm.passes("a/one", "198.51.100.2", PORT)
        farm.server.delete("Node", "", "n3")
        becomes(farm, "a/one", "198.51.100.1", passing=True)

    grow([*CLUSTER, of_a("out", egress=[peer])], check, all_nodes=True)


@pytest.mark.parametrize("entity", ["host", "cluster"])
def test_05_to_deny_a_node_is_to_deny_each_address_that_it_has(entity: str) -> None:
    """Those of its bridges too, which no Node object lists, and behind which the kubelet listens as well."""
    unlisted = "10.99.0.1"

    def check(farm: Farm) -> None:
        def arrives() -> bool:
            with farm.stage.enter(farm.box("n1")):
                server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with farm.stage.enter(farm.box("a/one")):
                client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with server, client:
                server.bind(("", PORT))
                before = farm.dropped()
                client.sendto(b"there", (unlisted, PORT))
                farm.until(lambda: bool(select.select([server], [], [], 0.01)[0]) or farm.dropped() > before)
                return farm.dropped() == before

        with farm.stage.enter(farm.box("n1")):
            links.batch([f"addr add {unlisted}/32 dev lo"])
        assert arrives()
        farm.server.put(of_a("no", enableDefaultDeny={"egress": False}, egressDeny=[{"toEntities": [entity]}]))
        farm.settle()
        assert not arrives()
        assert not farm.passes("a/one", "n1", PORT)
        assert farm.passes("a/one", "198.51.100.7", PORT)

    grow([*CLUSTER, ends("default/kubernetes", "198.51.100.1")], check, all_nodes=True)


@pytest.mark.parametrize("address", ["192.168.5.2", "198.51.100.1"], ids=["on a node", "outside"])
@pytest.mark.parametrize("entity", ["kube-apiserver", "cluster"])
def test_05_the_api_server_is_where_its_slice_says(address: str, entity: str) -> None:
    """Allowed there and nowhere else outside; denied there too, also as a part of the cluster."""
    target, other = ("n2" if address.startswith("192") else address), "198.51.100.7"
    rule = [{"toEntities": [entity]}]
    allowing = of_a("api", egress=rule)
    denying = of_a("api", enableDefaultDeny={"egress": False}, egressDeny=rule)

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", target, PORT)
        assert not farm.passes("a/one", other, PORT)
        farm.server.put(denying)
        becomes(farm, "a/one", target, passing=False)
        becomes(farm, "a/one", other, passing=True)
        # Nobody knows where it is: nothing may pass for that.
        farm.server.delete("EndpointSlice", "default", "kubernetes")
        becomes(farm, "a/one", other, passing=False)

    grow([*CLUSTER, ends("default/kubernetes", address), allowing], check, all_nodes=True)


def test_05_pods_by_their_service_account() -> None:
    """As a peer, and as the subject; two pods with the same labels and other accounts are not one kind."""
    robot = pod_named("b/three")
    robot = {**robot, "spec": {**robot["spec"], "serviceAccountName": "robot"}}
    account = {"matchLabels": {NAMESPACE: "b", "io.cilium.k8s.policy.serviceaccount": "robot"}}
    cluster = [robot if one == pod_named("b/three") else one for one in CLUSTER]
    subject = {"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "robot"}}
    closed = cilium_policy("b/closed", {"endpointSelector": subject, "egress": [{}]})
    ports = robot["spec"]["containers"][0]["ports"]
    stranger = pod("b/four", ["10.1.1.11", "fd00:1:1::11"], on="n2", app="three", ports=ports)

    def check(farm: Farm) -> None:
        assert farm.passes("a/one", "b/three", PORT)
        assert not farm.passes("a/one", "b/four", PORT)
        assert farm.passes("b/four", "a/two", PORT)
        assert not farm.passes("b/three", "a/two", PORT)
        farm.server.put(of_a("robots", enableDefaultDeny={"egress": False}, egressDeny=[{"toEndpoints": [account]}]))
        assert not farm.settled().passes("a/one", "b/three", PORT)
        assert farm.passes("a/one", "b/four", PORT)

    grow([*cluster, stranger, closed, of_a("robots", egress=[{"toEndpoints": [account]}])], check)


def test_13_what_is_not_seen_closes() -> None:
    """Without all nodes it is not known what is outside; nor whom a Service means that may not be read."""
    world = of_a("world", egress=[{"toEntities": ["world"]}])

    def check(farm: Farm) -> None:
        assert not farm.passes("a/one", "b/three", PORT)
        farm.server.forbidden = {("list", "Service"), ("watch", "Service")}
        farm.server.put(served("services", "b/x", "egressDeny"))
        farm.server.put(allow("a/p", None, PORT))
        becomes(farm, "a/one", "b/three", passing=False)
        # It denies nobody else, and keeps no other policy from the kernel; also of an agent that begins.
        farm.kill("n1")
        farm.start("n1")
        becomes(farm, "b/three", "a/two", passing=True)
        becomes(farm, "a/one", "b/three", passing=False)

    grow([*CLUSTER, world], check)
