"""Policies in a real kernel: what a table of expected verdicts cannot show.

Whether something was dropped is never told by waiting: a packet that must pass is sent after it over the same
wire. Packets of one wire keep their order, so when the second has come, the first will not.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from outgate.host.nft import Nftables
from outgate.lab import addressing
from outgate.lab.build import Stage, build
from outgate.lab.enforce import enforce
from outgate.lab.session import run_in_lab
from outgate.model import (
    Direction,
    LabelSelector,
    NetworkPolicy,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Snapshot,
)
from outgate.nft.names import named
from outgate.policy import Policies
from tests.lab.talk import tcp

pytestmark = pytest.mark.kernel

ONE, TWO, THREE = ("a", "one"), ("a", "two"), ("b", "three")
OPEN, SHUT = 7001, 7002
FAMILIES = pytest.mark.parametrize("family", [4, 6])


@dataclass
class World:
    """A lab whose policies can be changed."""

    stage: Stage

    def program(self, *policies: NetworkPolicy) -> None:
        """Put these policies, and no others, into every node."""
        enforce(self.stage, Policies(self.stage.snapshot.with_policies(policies)))

    def address(self, key: tuple[str, str], family: int) -> str:
        """A pod's address."""
        return next(str(one) for one in self.stage.pods[key].addresses if one.version == family)

    @contextmanager
    def pair(self, kind: socket.SocketKind, family: int, port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A live connection from pod one to pod three: both its ends, with a word already sent each way."""
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with self.stage.enter(self.stage.pods[THREE]):
            server = socket.socket(af, kind)
            server.bind(("::" if family == 6 else "0.0.0.0", port))
        with self.stage.enter(self.stage.pods[ONE]):
            client = socket.socket(af, kind)
        with server, client:
            client.settimeout(5)
            server.settimeout(5)
            if kind is socket.SOCK_STREAM:
                server.listen()
                client.connect((self.address(THREE, family), port))
                taken = server.accept()[0]
                taken.settimeout(5)
            else:
                client.connect((self.address(THREE, family), port))
                client.send(b"hello")
                peer = server.recvfrom(16)[1]
                server.connect(peer)
                taken = server.dup()
                taken.settimeout(5)
                taken.send(b"hello")
                assert client.recv(16) == b"hello"
            with taken:
                exchange(client, taken)
                yield client, taken

    def denials(self) -> int:
        """Packets counted by the default denies of the first pod's node."""
        return sum(count for name, count in self.counts().items() if name.startswith("d_"))

    def counts(self) -> dict[str, int]:
        """Packets counted, by chain, on the first pod's node."""
        node = self.stage.pods[ONE].node
        with self.stage.enter(self.stage.nodes[node]):
            counters = Nftables().counters()
        found: dict[str, int] = {}
        for (chain, _), counter in counters.items():
            found[chain] = found.get(chain, 0) + counter.packets
        return found


def exchange(client: socket.socket, server: socket.socket) -> None:
    """A word each way."""
    client.send(b"there")
    assert server.recv(16) == b"there"
    server.send(b"back")
    assert client.recv(16) == b"back"


def in_world(check: Callable[[World], None]) -> None:
    """Two pods on one node and a third on another, with both families; run the check among them."""

    def inside() -> int:
        pods = [Pod(*ONE, {"app": "one"}, node="n1"), Pod(*TWO, node="n1"), Pod(*THREE, {"app": "three"}, node="n2")]
        check(World(build(addressing.address(Snapshot.of(pods=pods)))))
        return 0

    assert run_in_lab(inside) == 0


def allowing(*ports: int, protocols: tuple[str, ...] = ("TCP", "UDP")) -> NetworkPolicy:
    """Pod one may reach pods of namespace b on these ports, and nothing else."""
    peers = PodPeer(LabelSelector.of({"app": "three"}), LabelSelector())
    entries = tuple(PolicyPort(protocol, port) for protocol in protocols for port in ports)
    rules = (PolicyRule((peers,), entries),) if ports else ()
    return NetworkPolicy("a", "p", LabelSelector.of({"app": "one"}), frozenset({Direction.EGRESS}), egress=rules)


def arrives(receiver: socket.socket) -> bool:
    """Whether something waits to be read, right now."""
    receiver.setblocking(False)
    try:
        return bool(receiver.recv(1 << 16))
    except BlockingIOError:
        return False
    finally:
        receiver.settimeout(5)


@FAMILIES
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("talker", ["pod", "far end"])
def test_a_live_connection_is_cut_when_policy_turns_against_it(
    family: int, kind: socket.SocketKind, talker: str
) -> None:
    """Without the epoch in the mark, what was allowed once would go on for ever; a far end that pushes revives it."""

    def check(world: World) -> None:
        world.program(allowing(OPEN, SHUT))
        with world.pair(kind, family, SHUT) as doomed, world.pair(kind, family, OPEN) as kept:
            world.program(allowing(OPEN))
            sender, receiver = doomed if talker == "pod" else doomed[::-1]
            sender.send(b"too late")
            exchange(*kept)
            assert not arrives(receiver)

    in_world(check)


@FAMILIES
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_live_connection_that_stays_allowed_survives_every_change(family: int, kind: socket.SocketKind) -> None:
    """A change that judges live connections again must judge the answers of an allowed one as allowed too."""

    def check(world: World) -> None:
        world.program(allowing(OPEN, SHUT))
        with world.pair(kind, family, OPEN) as (client, server):
            for ports in ((OPEN,), (OPEN, 9, 10), (OPEN, SHUT), (OPEN,)):
                world.program(allowing(*ports))
                server.send(b"pushed")
                assert client.recv(16) == b"pushed"
                exchange(client, server)

    in_world(check)


@FAMILIES
def test_a_connection_from_before_any_policy_is_cut_by_the_first(family: int) -> None:
    """A connection that nobody judged has no mark; it must not count as judged."""

    def check(world: World) -> None:
        with world.pair(socket.SOCK_DGRAM, family, SHUT) as (client, server):
            world.program(allowing(OPEN))
            client.send(b"too late")
            with world.pair(socket.SOCK_DGRAM, family, OPEN) as kept:
                exchange(*kept)
            assert not arrives(server)

    in_world(check)


def test_a_forged_source_address_is_dropped_and_counted() -> None:
    """A pod that could borrow its neighbour's address would borrow its neighbour's rights."""

    def check(world: World) -> None:
        world.program(allowing(OPEN))
        with world.pair(socket.SOCK_DGRAM, 4, OPEN) as kept:
            with world.stage.enter(world.stage.pods[THREE]):
                server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                server.bind(("0.0.0.0", SHUT))
            with world.stage.enter(world.stage.pods[ONE]):
                raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            with server, raw:
                ends = socket.inet_aton(world.address(TWO, 4)) + socket.inet_aton(world.address(THREE, 4))
                header = struct.pack("!BBHHHBBH", 0x45, 0, 32, 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
                raw.sendto(header + struct.pack("!HHHH", 5000, SHUT, 12, 0) + b"evil", (world.address(THREE, 4), 0))
                exchange(*kept)
                assert not arrives(server)
        assert world.counts()["spoof"] >= 1

    in_world(check)


@FAMILIES
def test_fragments_are_judged_as_the_packet_they_make(family: int) -> None:
    """Only the first fragment has ports; a filter that does not put them together lets the rest pass, or loses them."""

    def check(world: World) -> None:
        world.program(allowing(OPEN))
        large = bytes(4000)
        with world.pair(socket.SOCK_DGRAM, family, OPEN) as (client, server):
            client.send(large)
            assert server.recv(8000) == large
            with world.stage.enter(world.stage.pods[THREE]):
                other = socket.socket(server.family, socket.SOCK_DGRAM)
                other.bind(("::" if family == 6 else "0.0.0.0", SHUT))
            with world.stage.enter(world.stage.pods[ONE]):
                denied = socket.socket(server.family, socket.SOCK_DGRAM)
            with other, denied:
                denied.sendto(large, (world.address(THREE, family), SHUT))
                exchange(client, server)
                assert not arrives(other)

    in_world(check)


@FAMILIES
def test_an_error_about_an_allowed_connection_comes_back(family: int) -> None:
    """Without the errors of conntrack's `related` state, path MTU discovery dies and connections hang."""

    def check(world: World) -> None:
        world.program(allowing(OPEN))
        with world.stage.enter(world.stage.pods[ONE]):
            client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        with client:
            client.settimeout(5)
            client.connect((world.address(THREE, family), OPEN))
            client.send(b"nobody listens")
            with pytest.raises(ConnectionRefusedError):
                client.recv(16)

    in_world(check)


def test_neighbour_discovery_works_for_an_isolated_pod() -> None:
    """IPv6 without neighbour discovery is silence; a default deny must not reach it."""

    def check(world: World) -> None:
        world.program(allowing(OPEN))
        pod = world.stage.pods[ONE]
        world.stage.run(pod, ("ip", "-6", "neigh", "flush", "dev", "eth0"))
        target = world.stage.pods[THREE]
        address = world.address(THREE, 6)
        tcp(world.stage, pod, (address, OPEN), target, (address, OPEN))

    in_world(check)


@FAMILIES
def test_the_node_always_reaches_its_pods_and_an_isolated_pod_not_its_node(family: int) -> None:
    """Kubelet's probes must pass whatever the policies say; the other way is the pod's egress like any other."""

    def check(world: World) -> None:
        world.program(allowing(OPEN), NetworkPolicy("a", "closed", types=frozenset(Direction)))
        pod = world.stage.pods[ONE]
        node = world.stage.nodes[pod.node]
        mine = world.address(ONE, family)
        tcp(world.stage, node, (mine, 8080), pod, (mine, 8080))
        nodes = next(str(one) for one in node.addresses if one.version == family)
        with world.stage.enter(node):
            server = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
            server.bind((nodes, 10250))
        with world.stage.enter(pod):
            client = socket.socket(server.family, socket.SOCK_DGRAM)
        with server, client, world.pair(socket.SOCK_DGRAM, family, OPEN) as kept:
            before = world.denials()
            client.sendto(b"to the node", (nodes, 10250))
            exchange(*kept)
            assert not arrives(server)
            assert world.denials() == before + 1

    in_world(check)


def test_rules_and_denials_are_counted_under_their_names() -> None:
    """A count that cannot be laid to a policy and a rule says nothing at three in the morning."""

    def check(world: World) -> None:
        world.program(allowing(OPEN))
        rule = named("r", ("networking.k8s.io/v1", "NetworkPolicy", "a", "p", "Egress", "0"))
        assert world.counts()[rule] == 0
        with world.pair(socket.SOCK_STREAM, 4, OPEN):
            assert world.counts()[rule] == 1

    in_world(check)


def test_no_other_table_is_touched() -> None:
    """The node belongs to others too: kube-proxy, the network plugin, the administrator."""

    def check(world: World) -> None:
        node = world.stage.nodes[world.stage.pods[ONE].node]
        world.stage.run(node, ("nft", "-f", "-"), input="table inet foreign { set s { type ipv4_addr; }\n}\n")

        def others() -> str:
            listed = world.stage.run(node, ("nft", "list", "ruleset")).stdout
            return listed[: listed.index("table inet outgate")] if "table inet outgate" in listed else listed

        before = others()
        assert "table inet foreign" in before
        world.program(allowing(OPEN))
        world.program(allowing(SHUT))
        assert others() == before
        with world.stage.enter(node):
            Nftables().remove()
        assert others() == before

    in_world(check)


def test_a_pod_that_is_not_programmed_yet_is_closed() -> None:
    """Open until the rules are there is open: the first packets of a pod would leave under no policy."""

    def check(world: World) -> None:
        late = world.stage.snapshot
        known = late.with_pods([pod for pod in late.pods if pod.key != TWO])
        enforce(world.stage, Policies(known.with_policies([allowing(OPEN)])))
        with world.stage.enter(world.stage.pods[THREE]):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("0.0.0.0", SHUT))
        with world.stage.enter(world.stage.pods[TWO]):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with server, client, world.pair(socket.SOCK_DGRAM, 4, OPEN) as kept:
            client.sendto(b"born too early", (world.address(THREE, 4), SHUT))
            exchange(*kept)
            assert not arrives(server)
            world.program(allowing(OPEN))
            client.sendto(b"grown up", (world.address(THREE, 4), SHUT))
            server.settimeout(5)
            assert server.recv(32) == b"grown up"

    in_world(check)


def test_addresses_in_the_lab_are_of_both_families() -> None:
    """A lab without IPv6 would let every test of it pass by testing nothing."""

    def check(world: World) -> None:
        versions = {
            ipaddress.ip_address(world.address(key, family)).version for key in (ONE, THREE) for family in (4, 6)
        }
        assert versions == {4, 6}

    in_world(check)
