"""Properties 14 to 17: what is judged is where a packet goes once it is translated, and who stands beside the policies.

kube-proxy's part is the lab's (`outgate.lab.services`): a cluster address and a node port, both with other numbers than
the pod's own.
"""

from __future__ import annotations

import ipaddress
import os
import socket

import pytest

from outgate.model import Pod
from outgate.packets import Protocol
from outgate.policy import Endpoint, Flow, Judge, Policies
from outgate.testing import Manifest, policy, snapshot_of
from tests.lab.agent.cast import CLUSTER, allow, deny
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import ICMP, ICMPV6, TCP, UDP
from tests.lab.agent.volley import Ears

pytestmark = pytest.mark.kernel

THREE = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "three"}}}
VIPS = {4: "10.96.0.10", 6: "fd00:96::10"}
FRONT, TARGET, NODE_PORT = 80, 7000, 30080
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def web(path: str = "b/web", app: str = "three", vips: tuple[str, ...] = (VIPS[4], VIPS[6])) -> Manifest:
    """A Service of type NodePort: 80 of its own, 30080 of the nodes, 7000 of the pods."""
    space, name = path.split("/")
    ports = [
        {"name": one, "protocol": one.upper(), "port": FRONT, "targetPort": TARGET, "nodePort": NODE_PORT}
        for one in ("tcp", "udp")
    ]
    spec: Manifest = {"type": "NodePort", "clusterIP": vips[0], "clusterIPs": list(vips), "ports": ports}
    spec |= {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack", "selector": {"app": app}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": spec}


def closed_node(farm: Farm, family: int) -> Manifest:
    """Pod one may talk to the address of its own node alone."""
    length = 32 if family == 4 else 128
    return allow("a/p", {"ipBlock": {"cidr": f"{farm.address('n1', family)}/{length}"}})


@FAMILIES
def test_14_matched_after_translation(family: int) -> None:
    """The pod's port is what counts: a policy for it lets the Service through, one for the Service's own does not."""

    def check(farm: Farm) -> None:
        dialled = VIPS[family], FRONT
        farm.server.put(allow("a/p", THREE, TARGET))
        farm.settle()
        assert farm.passes("a/one", "b/three", TARGET, family, through=dialled)
        for wrong in (
            allow("a/p", THREE, FRONT),
            allow("a/p", {"ipBlock": {"cidr": f"{VIPS[family]}/{32 if family == 4 else 128}"}}, FRONT),
        ):
            farm.server.put(wrong)
            farm.settle()
            assert not farm.passes("a/one", "b/three", TARGET, family, through=dialled)

    grow([*CLUSTER, web()], check)


def test_14_a_connection_through_a_service_lives_and_is_cut() -> None:
    """The answers are translated back after they are judged; and a later denial finds the connection all the same."""

    def check(farm: Farm) -> None:
        farm.server.put(allow("a/p", THREE, TARGET))
        farm.settle()
        with farm.stage.enter(farm.box("b/three")):
            server = socket.create_server(("", TARGET))
        with farm.stage.enter(farm.box("a/one")):
            client = socket.create_connection((VIPS[4], FRONT), timeout=30)
        with server, client:
            taken = server.accept()[0]
            with taken:
                client.sendall(b"there")
                assert taken.recv(16) == b"there"
                farm.server.put(allow("a/p", THREE, 7001))
                farm.settle()
                before = farm.dropped()
                taken.sendall(b"back")
                farm.until(lambda: farm.dropped() > before)
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.recv(16)

    grow([*CLUSTER, web()], check)


@FAMILIES
def test_14_a_node_port_is_the_pod_behind_it_where_it_is_translated(family: int) -> None:
    """On the pod's own node that is at once; another node's is that node's address until the packet is there."""

    def check(farm: Farm) -> None:
        own, other = ((farm.address(name, family), NODE_PORT) for name in ("n1", "n2"))
        farm.server.put(allow("a/p", THREE, TARGET))
        farm.settle()
        assert farm.passes("a/one", "b/three", TARGET, family, through=own)
        assert not farm.passes("a/one", "b/three", TARGET, family, through=other)
        block = f"{other[0]}/{32 if family == 4 else 128}"
        farm.server.put(allow("a/p", {"ipBlock": {"cidr": block}}, NODE_PORT))
        farm.settle()
        assert farm.passes("a/one", "b/three", TARGET, family, through=other)
        assert not farm.passes("a/one", "b/three", TARGET, family, through=own)

    grow([*CLUSTER, web()], check)


@FAMILIES
def test_15_a_pod_to_its_own_node_is_policed(family: int) -> None:
    """Where it never passes the forward hook: peers left it open, or all of 30000 to 32767."""

    def check(farm: Farm) -> None:
        with Ears(farm) as ears:
            echoes = ICMP if family == 4 else ICMPV6
            targets = [(protocol, port) for protocol in (TCP, UDP) for port in (22, 10250, NODE_PORT, 31999)]
            targets.append((echoes, 0))
            assert all(ears.verdict("a/two", "n1", *one, family) for one in targets)
            assert not any(ears.verdict("a/one", "n1", *one, family) for one in targets)
            assert not any(ears.verdict("a/one", "n2", *one, family) for one in targets)
            farm.server.delete("NetworkPolicy", "a", "deny")
            farm.server.put(closed_node(farm, family))
            farm.settle()
            assert all(ears.verdict("a/one", "n1", *one, family) for one in targets)
            assert not any(ears.verdict("a/one", "n2", *one, family) for one in targets)

    grow([*CLUSTER, deny()], check)


@FAMILIES
def test_16_the_node_reaches_its_own_pods_and_nobody_else_by_that(family: int) -> None:
    """Kubelet probes: `types.go`, "if the traffic source is the pod's local node". Another node is a peer like any."""

    def check(farm: Farm) -> None:
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with farm.stage.enter(farm.box("a/one")):
            server = socket.create_server(("", 8080), family=af)
        with farm.stage.enter(farm.box("n1")):
            probe = socket.create_connection((farm.address("a/one", family), 8080), timeout=30)
        with server, probe:
            taken = server.accept()[0]
            with taken:
                probe.sendall(b"GET /healthz")
                assert taken.recv(32) == b"GET /healthz"
                taken.sendall(b"ok")
                assert probe.recv(16) == b"ok"
        with Ears(farm) as ears:
            assert ears.verdict("n1", "a/one", UDP, 9, family)
            for source in ("n2", "a/two", "b/three", "world"):
                for protocol in (TCP, UDP):
                    assert not ears.verdict(source, "a/one", protocol, 8080, family), source
            block = f"{farm.address('n2', family)}/{32 if family == 4 else 128}"
            farm.server.put(allow("a/in", {"ipBlock": {"cidr": block}}, 8080, direction="Ingress"))
            farm.settle()
            assert ears.verdict("n2", "a/one", TCP, 8080, family)
            assert not ears.verdict("world", "a/one", TCP, 8080, family)

    closed = policy("a/closed", {"podSelector": {"matchLabels": {"app": "one"}}, "policyTypes": ["Ingress", "Egress"]})
    grow([*CLUSTER, closed], check)


def test_16_root_in_a_pod_has_no_exemption() -> None:
    """A peer exempts user 0, so that kubelet passes: that is every root process of the host, and of a pod as well."""

    def check(farm: Farm) -> None:
        assert os.geteuid() == 0
        assert not farm.passes("a/one", "b/three", TARGET)
        assert not farm.passes("a/one", "n1", TARGET)

    grow([*CLUSTER, deny()], check)


HAIRPINS: dict[str, list[Manifest]] = {
    "no policy": [],
    "egress closed": [deny("b/x", "Egress", app="three")],
    "ingress closed": [deny("b/x", "Ingress", app="three")],
    "both open to itself": [
        allow("b/x", THREE, TARGET, direction="Egress", app="three"),
        allow("b/y", THREE, TARGET, direction="Ingress", app="three"),
    ],
    "open by the Service's port alone": [allow("b/x", THREE, FRONT, direction="Egress", app="three")],
}


@pytest.mark.parametrize("case", HAIRPINS)
def test_17_hairpin(case: str) -> None:
    """To its own address a pod is free; through a Service that leads back to it, it is subject to policy."""
    judge = Judge(Policies(snapshot_of([*CLUSTER, web(), *HAIRPINS[case]])))
    three = judge.policies.snapshot.pod("b", "three")
    assert isinstance(three, Pod)

    def check(farm: Farm) -> None:
        for family in (4, 6):
            end = Endpoint(ipaddress.ip_address(farm.address("b/three", family)), three)
            dialled = ipaddress.ip_address(VIPS[family]), FRONT
            told = judge.judge(Flow(end, end, int(Protocol.UDP), TARGET, dialled)).verdict.allows
            assert farm.passes("b/three", "b/three", TARGET, family, through=(VIPS[family], FRONT)) == told
            assert judge.judge(Flow(end, end, int(Protocol.UDP), TARGET)).verdict.allows
            assert farm.passes("b/three", "b/three", TARGET, family)

    grow([*CLUSTER, web(), *HAIRPINS[case]], check)
