"""Random walks of an agent from cluster to cluster, with faults, held against the model after every step.

Whatever happens, whenever the agent rests: a first packet meets the verdict of `outgate.policy.judge`, and so does the
next packet of every connection that was let pass before, from either side. So none lives on against the policy by the
mark that it carries, and none is cut that is allowed before and after. One exception is meant (`outgate.agent.step`):
the address of a dead pod of another node leads nowhere, and what is still sent there may pass.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.agent.desired import Desired
from outgate.agent.events import Drifted
from outgate.model import Pod, Snapshot
from outgate.model.cilium import CiliumObject
from outgate.model.cilium_kinds import CILIUM_POLICIES
from outgate.nft.epoch import Epoch
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Address, Packet
from outgate.policy import Endpoint, Flow, Judge, Mode, Policies
from outgate.testing import Manifest, random_cluster, random_cluster_policies, snapshot_of
from tests.agent.player import Player, Probe, established, fate
from tests.agent.words import PREFIX, Happening, interface_of
from tests.laws.traffic import Traffic

NODE = "node-a"
PACKETS = 10
MOST_FLOWS = 12


@dataclasses.dataclass(slots=True)
class Live:
    """A connection that was let pass, and its mark."""

    packet: Packet
    mark: int


class Now:
    """What the model says while the agent rests."""

    def __init__(self, player: Player) -> None:
        world = player.state.world
        self.player = player
        self.snapshot = Snapshot.of(
            namespaces=world.namespaces.values(),
            pods=[record.pod for record in world.pods.values()],
            policies=world.policies.values(),
            cluster_policies=world.cluster_policies.values(),
            cilium_policies=world.cilium_policies(),
            cidr_groups=world.groups.values(),
            nodes=world.nodes.values(),
            services=world.around.meant.values(),
            slices=world.around.slices.values(),
        )
        self.policies = Policies(self.snapshot)
        self.judge = Judge(self.policies)
        self.evaluator = Evaluator(player.kernel or Ruleset())

    def pod_at(self, address: Address) -> Pod | None:
        """The pod that has an address of its own."""
        return next((pod for pod in self.snapshot.owners_of(address) if not pod.host_network), None)

    def expected(self, packet: Packet) -> tuple[str, bool] | None:
        """The hook of this node that a packet passes, and whether it may; None where none, or nobody knows."""
        source, target = self.pod_at(packet.source), self.pod_at(packet.destination)
        selection = self.policies.selection
        unclear = packet.source in self.snapshot.contested or packet.destination in self.snapshot.contested
        if unclear or any(pod is not None and not pod.addressed for pod in (source, target)):
            return None
        if self.snapshot.cilium_policies and any(map(self.of_gone_node, (packet.source, packet.destination))):
            return None
        if source is not None and (source == target or packet.destination.is_loopback):
            return None
        if target is not None and packet.source in selection.node_addresses(target.node):
            return None
        mine = source is not None and source.node == NODE, target is not None and target.node == NODE
        if not any(mine):
            return None
        sender, receiver = (Endpoint.at(self.snapshot, one) for one in (packet.source, packet.destination))
        egress, ingress = self.judge.verdicts(Flow(sender, receiver, packet.protocol, packet.coordinate))
        own = mine[0] and packet.destination in selection.node_addresses(NODE)
        return "input" if own else "forward", (egress or not mine[0]) and (ingress or not mine[1])

    def of_gone_node(self, address: Address) -> bool:
        """Whether only a host-network pod says that a node has an address. The agent goes by Nodes (docs/cilium.md)."""
        known = {one for node in self.snapshot.nodes.values() for one in node.addresses}
        return address not in known and any(pod.host_network for pod in self.snapshot.owners_of(address))

    def header(self, packet: Packet, mark: int = 0) -> Header:
        """The packet as it comes in and goes out at this node."""
        header = Header.of(packet, noise=0)
        return dataclasses.replace(
            header, iifname=self._link(packet.source), oifname=self._link(packet.destination), mark=mark
        )

    def _link(self, address: Address) -> str:
        pod = self.pod_at(address)
        return interface_of(address) if pod is not None and pod.node == NODE else "eth0"


class Walk:
    """An agent on its way through clusters, connections that live, and what is wrong with them."""

    nodes_go = False
    """Whether nodes go that a cluster does not have."""
    model: type[Now] = Now
    """What is asked what may pass."""

    def __init__(self, seed: int, *, faults: bool) -> None:
        self.chance = random.Random(seed)
        self.flows: list[Live] = []
        self.abroad: set[Address] = set()
        """The addresses that pods of other nodes have had."""
        prefix = self.chance.choice(("", PREFIX))
        self.player = Player(Options(interface_prefix=prefix, mode=Mode.ENFORCE), node=NODE)
        self.player.probes = self._probes
        if faults:
            self.player.refusal = self._refusal
        self.faults = faults

    def _refusal(self, _number: int, size: int) -> int | None:
        return self.chance.randrange(size) if self.chance.random() < 0.2 else None

    def to(self, manifests: list[Manifest]) -> None:
        """Everything that leads to another cluster, some of it at once, in any order."""
        snapshot = snapshot_of(manifests)
        units = list(self._units(snapshot))
        self.chance.shuffle(units)
        while units:
            many = self.chance.choice((1, 1, 2, 4))
            some, units = units[:many], units[many:]
            self.player.tell(event for unit in some for one in unit for event in self.player.events(one))
            if self.faults:
                self._fault()
            self._at_rest(snapshot)

    def _units(self, snapshot: Snapshot) -> Iterator[list[Happening]]:
        wanted: dict[str, dict[str, Any]] = {
            "Pod": {f"{pod}": _told(pod) for pod in snapshot.pods},
            "Namespace": {one.name: one for one in snapshot.namespaces.values() if one.declared},
            "NetworkPolicy": {f"{one}": one for one in snapshot.policies},
            "Node": dict(snapshot.nodes),
            "ClusterNetworkPolicy": {one.name: one for one in snapshot.cluster_policies},
            "CiliumCIDRGroup": {one.name: one for one in snapshot.cidr_groups},
            "Service": {f"{one.namespace}/{one.name}": one for one in snapshot.services},
            "EndpointSlice": {f"{one.namespace}/{one.name}": one for one in snapshot.slices},
            **_objects(snapshot),
        }
        for kind, objects in wanted.items():
            for name, body in objects.items():
                links = body.addresses if kind == "Pod" and body.node == NODE and not body.host_network else ()
                put = Happening(name, "put", kind, name, body)
                yield [put, *(Happening(name, "link", "link", "", (one, interface_of(one))) for one in links)]
            for name in sorted(self.player.ledger[kind].keys() - objects.keys()):
                if kind != "Node" or (name != NODE and self.nodes_go):
                    yield [Happening(name, "gone", kind, name)]

    def _fault(self) -> None:
        match self.chance.random():
            case dice if dice < 0.06:
                self.player.start()
            case dice if dice < 0.12:
                self.player.tell([Drifted("may be")])
            case dice if dice < 0.16:
                what = f"10.1.0.{self.chance.randrange(10, 17)}"
                self.player.tell(self.player.events(Happening("", "tamper", "kernel", "", ("forgets", what))))

    # ---- at rest -----------------------------------------------------------------------------------------------------

    def _at_rest(self, snapshot: Snapshot) -> None:
        assert self.player.state.settled
        now = self.model(self.player)
        for pod in now.snapshot.endpoints:
            if pod.node != NODE and not pod.host_network:
                self.abroad |= set(pod.addresses)
        for flow in self.flows:
            self._goes_on(now, flow)
        for packet in Traffic(snapshot, self.chance.randrange(1 << 30)).packets(PACKETS):
            self._begins(now, packet)
        self.chance.shuffle(self.flows)
        del self.flows[MOST_FLOWS:]

    def _begins(self, now: Now, packet: Packet) -> None:
        found = now.expected(packet)
        if found is not None:
            hook, may = found
            outcome = fate(now.evaluator, hook, now.header(packet))
            assert (outcome.fate is Fate.ACCEPT) == may, f"{packet}: should {may}: {outcome}"
            if may:
                self.flows.append(Live(packet, outcome.mark))

    def _goes_on(self, now: Now, flow: Live) -> None:
        found = now.expected(flow.packet)
        if found is None or self._leads_nowhere(now, flow.packet):
            return
        hook, may = found
        header = now.header(flow.packet, flow.mark)
        outcomes = [fate(now.evaluator, hook, established(header))]
        if hook == "forward":
            outcomes.append(fate(now.evaluator, hook, established(header, reply=True)))
        for outcome in outcomes:
            assert (outcome.fate is Fate.ACCEPT) == may, f"live, {flow.packet}: should {may}: {outcome}"
        if may:
            flow.mark = self.chance.choice(outcomes).mark

    def _leads_nowhere(self, now: Now, packet: Packet) -> bool:
        return any(one in self.abroad and now.pod_at(one) is None for one in (packet.source, packet.destination))

    def _probes(self) -> Iterator[Probe]:
        now = self.model(self.player)
        for flow in self.flows:
            yield Probe("forward", now.header(flow.packet))
            yield Probe("forward", established(now.header(flow.packet, flow.mark)))


def _told(pod: Pod) -> Pod:
    """A pod as the API server tells of it: without the stand-ins of a snapshot."""
    return pod if pod.addressed else dataclasses.replace(pod, addresses=(), addressed=True)


def _objects(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Policies of Cilium's by the objects that they stand in."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in CILIUM_POLICIES}
    for one in snapshot.cilium_policies:
        before = found[one.kind].get(f"{one.namespace}/{one.name}")
        some = (*before.policies, one) if before is not None else (one,)
        found[one.kind][f"{one.namespace}/{one.name}"] = CiliumObject(one.kind, one.namespace, one.name, some)
    return found


def cluster(seed: int) -> list[Manifest]:
    """A random cluster, two of three with policies of the whole cluster."""
    return [*random_cluster(seed), *random_cluster_policies(seed, seed % 3)]


@settings(max_examples=40)
@given(st.integers(0, 1 << 32))
def test_a_walk_without_faults(seed: int) -> None:
    """Rights that outlive the change that takes them are the one fault that nobody would see."""
    walk = Walk(seed, faults=False)
    for number in range(3):
        walk.to(cluster(seed + number))


@settings(max_examples=40)
@given(st.integers(0, 1 << 32))
def test_a_walk_with_refusals_deaths_and_strangers(seed: int) -> None:
    """The kernel refuses, the agent dies, somebody changes the table: none of it may be to anybody's profit."""
    walk = Walk(seed, faults=True)
    for number in range(3):
        walk.to(cluster(seed + number))


def found_out(seed: int, clusters: Iterable[list[Manifest]]) -> bool:
    """Whether a walk meets a packet that passes by a right it has no more."""
    walk = Walk(seed, faults=False)
    try:
        for one in clusters:
            walk.to(one)
    except AssertionError as error:
        return str(error).startswith("live")
    return False


def test_walks_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that never raises the epoch must be found out, or the tests above show nothing."""
    monkeypatch.setattr(Epoch, "following", lambda epoch: epoch)
    assert any(found_out(seed, (cluster(seed + number) for number in range(3))) for seed in range(12))


def test_walks_miss_who_becomes_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent for which a place in a set can only be lost must be found out: rules that deny have sets, too."""
    monkeypatch.setattr(Desired, "denying", frozenset())

    def clusters(seed: int) -> Iterator[list[Manifest]]:
        above = random_cluster_policies(seed + 1, 4)
        for number in range(3):
            yield [*random_cluster(seed), *above] if number else cluster(seed)
            yield [*random_cluster(seed + number), *above]

    assert any(found_out(seed, clusters(seed)) for seed in range(60))


def test_addresses_of_the_clusters_are_used_again() -> None:
    """Where no address ever came back to another pod, ghosts would not be met at all."""
    first, second = (snapshot_of(random_cluster(seed)) for seed in (1, 2))
    address = ipaddress.ip_address("10.1.0.10")
    owners = [{pod.key for pod in one.owners_of(address)} for one in (first, second)]
    assert owners[0] != owners[1]
