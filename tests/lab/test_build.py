"""The lab in the kernel: who reaches whom, before any policy is enforced."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from outgate.lab import addressing
from outgate.lab.build import Box, Stage, build
from outgate.lab.session import run_in_lab
from outgate.lab.topology import POD_INTERFACE_PREFIX
from outgate.model import Node, Pod, Snapshot
from outgate.testing import snapshot_of
from tests.lab.talk import echo, tcp, udp

pytestmark = pytest.mark.kernel


def in_lab(snapshot: Snapshot, check: Callable[[Stage], object]) -> None:
    """Build the lab and run the check inside; what fails there fails here."""

    def inside() -> int:
        check(build(addressing.address(snapshot)))
        return 0

    assert run_in_lab(inside) == 0


def small() -> Snapshot:
    """Two pods on one node, one on another, one on the second node's own network; nothing has an address."""
    pods = [Pod("a", "one", node="n1"), Pod("a", "two", node="n1"), Pod("b", "three", node="n2")]
    return Snapshot.of(pods=[*pods, Pod("b", "host", node="n2", host_network=True)])


def boxes(stage: Stage) -> tuple[Box, ...]:
    """Every box there is."""
    return (*stage.pods.values(), *stage.nodes.values(), stage.world)


PAIRS = [
    (("a", "one"), ("a", "two")),
    (("a", "one"), ("b", "three")),
    (("b", "three"), ("a", "two")),
    (("a", "one"), ("b", "host")),
    (("b", "three"), ("b", "host")),
    (("b", "host"), ("a", "one")),
]


def test_every_pair_of_pods_talks_over_every_transport() -> None:
    """A wire that is missing would show as a denial that no policy made."""

    def check(stage: Stage) -> None:
        for source, target in PAIRS:
            box = stage.pods[target]
            for address in box.addresses:
                own = {str(one) for one in stage.pods[source].addresses}
                assert tcp(stage, stage.pods[source], (address, 8080), box, (address, 8080)) in own
                assert udp(stage, stage.pods[source], (address, 53), box, (address, 53)) in own
                echo(stage, stage.pods[source], address)

    in_lab(small(), check)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "203.0.113.10", "2001:db8::1", "10.99.99.99", "240.0.0.1", "8.8.8.8"],
)
def test_the_world_answers_on_any_address(address: str) -> None:
    """An address block that nobody plays would be reported as denied whatever the policies say."""

    def check(stage: Stage) -> None:
        for source in (("a", "one"), ("b", "host")):
            box = stage.pods[source]
            assert tcp(stage, box, (address, 443), stage.world, (address, 443)) in {str(one) for one in box.addresses}
            udp(stage, box, (address, 53), stage.world, (address, 53))
            echo(stage, box, address)

    in_lab(small(), check)


def test_one_socket_of_the_world_answers_for_all_addresses() -> None:
    """The world's answers must come from the address that was asked, or no client takes them."""

    def check(stage: Stage) -> None:
        for wildcard, addresses in (("0.0.0.0", ("1.2.3.4", "203.0.113.9")), ("::", ("2001:db8::9", "fd00:ec2::254"))):
            for address in addresses:
                tcp(stage, stage.pods["a", "one"], (address, 80), stage.world, (wildcard, 80))

    in_lab(small(), check)


def test_the_world_reaches_pods_from_any_address() -> None:
    """Ingress from an address block cannot be tried if the world cannot take its addresses."""

    def check(stage: Stage) -> None:
        box = stage.pods["b", "three"]
        for address, source in zip(box.addresses, ("203.0.113.77", "2001:db8::77"), strict=True):
            assert tcp(stage, stage.world, (address, 80), box, (address, 80), bind=source) == source

    in_lab(small(), check)


def test_a_forged_source_arrives() -> None:
    """Where the wires themselves drop a forged source, rules against forgery would seem to work without existing."""

    def check(stage: Stage) -> None:
        for forged, to in (("198.51.100.99", "203.0.113.1"), ("2001:db8:bad::1", "2001:db8::1")):
            family = socket.AF_INET if "." in to else socket.AF_INET6
            with stage.enter(stage.world):
                server = socket.socket(family, socket.SOCK_DGRAM)
            with stage.enter(stage.pods["a", "one"]):
                client = socket.socket(family, socket.SOCK_DGRAM)
            with server, client:
                server.bind((to, 9000))
                server.settimeout(5)
                transparent = (socket.IPPROTO_IP, 19) if family is socket.AF_INET else (socket.IPPROTO_IPV6, 75)
                client.setsockopt(*transparent, 1)
                client.bind((forged, 0))
                client.sendto(b"x", (to, 9000))
                assert server.recvfrom(8)[1][0] == forged

    in_lab(small(), check)


def test_neighbours_of_ipv6_are_discovered_by_packets() -> None:
    """Written-down IPv6 neighbours would hide a firewall that forgets neighbour discovery."""

    def check(stage: Stage) -> None:
        box = stage.pods["a", "one"]
        echo(stage, box, "2001:db8::1")
        here = stage.run(box, ("ip", "-6", "neigh", "show", "dev", "eth0")).stdout
        there = stage.run(stage.nodes["n1"], ("ip", "-6", "neigh", "show", "dev", box.interface)).stdout
        assert "fe80::1 " in here
        assert "PERMANENT" not in here + there

    in_lab(small(), check)


def test_addresses_are_usable_at_once() -> None:
    """Duplicate address detection keeps an IPv6 address silent for a second, and the first probe is lost."""

    def check(stage: Stage) -> None:
        for box in boxes(stage):
            assert "tentative" not in stage.run(box, ("ip", "addr")).stdout

    in_lab(small(), check)


def test_interfaces_of_pods_are_told_by_their_prefix() -> None:
    """Enforcement knows a pod's packets by the name of the interface on the node."""

    def check(stage: Stage) -> None:
        for pod in stage.snapshot.endpoints:
            name = stage.interface_of(pod)
            assert name.startswith(POD_INTERFACE_PREFIX) is not pod.host_network
            assert len(name) <= 15
        links = stage.run(stage.nodes["n1"], ("ip", "-o", "link")).stdout
        assert links.count(f": {POD_INTERFACE_PREFIX}") == 2

    in_lab(small(), check)


@pytest.mark.parametrize("version", [4, 6])
def test_a_pod_of_one_family_has_only_that_one(version: int) -> None:
    """A cluster of one family must not be tried as a dual-stack one."""
    texts = {4: ("10.7.0.1", "10.7.0.2"), 6: ("fd07::1", "fd07::2")}[version]
    pods = [Pod("a", f"p{text}", addresses=(ipaddress.ip_address(text),)) for text in texts]

    def check(stage: Stage) -> None:
        first, second = stage.pods.values()
        tcp(stage, first, (texts[1], 80), second, (texts[1], 80))
        echo(stage, first, texts[1])
        other = ("::1", "2001:db8::1") if version == 4 else ("127.0.0.1", "203.0.113.1")
        with pytest.raises(OSError, match="unreachable"):
            tcp(stage, first, (other[1], 80), second, (other[0], 80))

    in_lab(Snapshot.of(pods=pods), check)


def test_the_recipes_cluster_is_built_as_it_is_written(shared: Path) -> None:
    """The demonstration's cluster has fixed addresses and nodes: every one must be where the file says."""
    snapshot = snapshot_of(list(yaml.safe_load_all((shared / "recipes" / "cluster.yaml").read_text())))

    def check(stage: Stage) -> None:
        web, postgres = stage.pods["production", "web-api"], stage.pods["production", "postgres"]
        assert (web.node, postgres.node) == ("node-a", "node-b")
        assert tcp(stage, web, ("10.244.2.20", 5432), postgres, ("10.244.2.20", 5432)) == "10.244.1.10"
        assert tcp(stage, web, ("fd00:10:244:2::20", 5432), postgres, ("::", 5432)) == "fd00:10:244:1::10"
        assert tcp(stage, web, ("10.96.12.34", 5432), postgres, ("10.244.2.20", 5432)) == "10.244.1.10"
        udp(stage, web, ("10.96.0.10", 53), stage.pods["kube-system", "coredns"], ("10.244.1.53", 53))

    in_lab(snapshot, check)


def test_there_is_no_way_out() -> None:
    """The lab's first namespace must have no link but its own loopback, and no box a link that leads elsewhere."""

    def check(stage: Stage) -> None:
        from outgate.host import process

        assert [line.split(": ")[1] for line in process.run(("ip", "-o", "link")).stdout.splitlines()] == ["lo"]
        ours = set(stage.spaces)
        for box in boxes(stage):
            for line in stage.run(box, ("ip", "-o", "link")).stdout.splitlines():
                assert ": lo:" in line or line.split("link-netns ")[1].split()[0] in ours

    in_lab(small(), check)


def test_idle_nodes_are_built_up_to_a_bound() -> None:
    """A snapshot of a fleet must not become a namespace for each of its nodes."""
    nodes = [Node(f"n{number:03}") for number in range(100)]

    def check(stage: Stage) -> None:
        assert len(stage.nodes) + len(stage.topology.idle) == 100
        assert len(stage.nodes) < 20

    in_lab(Snapshot.of(nodes=nodes, pods=[Pod("a", "p", node="n050")]), check)


def test_fifty_pods_stand(record_property: Callable[[str, object], None]) -> None:
    """Fifty pods on five nodes are all reachable; the time it took is in the test report, not judged."""
    pods = [Pod("a", f"p{number}", node=f"n{number % 5}") for number in range(50)]
    snapshot = addressing.address(Snapshot.of(pods=pods))

    def inside() -> int:
        begin = time.monotonic()
        stage = build(snapshot)
        took = time.monotonic() - begin
        for source, target in pairwise(stage.pods.values()):
            for address in target.addresses:
                echo(stage, source, address)
        return min(250, int(took * 10))

    record_property("tenths_of_a_second", run_in_lab(inside))
