"""Rules that are only watched and pass on nobody knows whom: a packet passes only where it would whomever they mean.

So it is for nodes that are not followed, or one of which cannot be understood, and for an address that two pods claim.
The rules have one of two readings, that they mean everybody or nobody, and what is denied by either is denied.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from outgate.model import BlockPeer, ClusterPolicy, ClusterRule, Pod, Snapshot
from outgate.model.cluster_policy import NodePeer
from outgate.nft.compile import compile_node
from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.nft.options import Options
from outgate.packets import Packet
from outgate.policy import Endpoint, Flow, Judge, Mode, Policies
from outgate.policy.cluster_rules import without_nodes
from outgate.policy.mode import ANNOTATION
from outgate.testing import (
    Manifest,
    cluster_policy,
    namespace,
    pod,
    policy,
    random_cluster,
    random_cluster_policies,
    snapshot_of,
)
from tests.laws.traffic import Traffic

EVERYBODY = tuple(BlockPeer(ipaddress.ip_network(one)) for one in ("0.0.0.0/0", "::/0"))
WEB, TWICE = "10.1.0.10", "10.1.0.20"
NODES: Manifest = {"nodes": {}}
TWINS: Manifest = {"pods": {"podSelector": {"matchLabels": {"app": "one"}}}}


def watched(name: str, priority: int, *rules: tuple[str, Manifest]) -> Manifest:
    """A policy of the whole cluster that is audited."""
    made = cluster_policy(name, priority=priority, egress=[{"action": what, "to": [to]} for what, to in rules])
    return {**made, "metadata": {**made["metadata"], "annotations": {ANNOTATION: "audit"}}}


def leaves(snapshot: Snapshot, target: str, port: int) -> bool:
    """Whether a TCP packet of the pod web does, by the kernel."""
    kernel = Evaluator(compile_node(Policies(snapshot), "n1", Options(mode=Mode.ENFORCE)).ruleset)
    packet = Packet(ipaddress.ip_address(WEB), ipaddress.ip_address(target), 6, port)
    return kernel.run("forward", Header.of(packet)).fate is Fate.ACCEPT


def town(*policies: Manifest, twins: bool = False) -> Snapshot:
    """A pod that may leave by port 81 alone, as a NetworkPolicy says; nodes that are not known."""
    isolating: Manifest = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}
    isolating["egress"] = [{"ports": [{"port": 81}]}]
    pods = [pod(f"shop/{name}", [TWICE], on="n2", app=name) for name in ("one", "two")] if twins else []
    web = pod("shop/web", [WEB], on="n1", app="web")
    found = snapshot_of([namespace("shop"), web, *pods, policy("shop/p", isolating), *policies])
    return dataclasses.replace(found, cluster_policies=tuple(map(without_nodes, found.cluster_policies)))


def test_an_accept_behind_one_opens_nothing() -> None:
    """In the same policy, in a later one, and among policies of one priority."""
    accept, passes = ("Accept", {"networks": ["0.0.0.0/0"]}), ("Pass", NODES)
    for policies in (
        [watched("w", 1, passes, accept)],
        [watched("w", 1, passes), watched("x", 2, accept)],
        [watched("w", 1, passes), watched("x", 1, accept)],
    ):
        assert [leaves(town(*policies), "203.0.113.1", port) for port in (80, 81)] == [False, True]
    assert leaves(town(watched("w", 1, accept, passes)), "203.0.113.1", 80), "what is accepted before it is"


def test_an_address_of_two_pods_is_perhaps_passed_on() -> None:
    """One of them is meant; other addresses are accepted."""
    snapshot = town(watched("w", 1, ("Pass", TWINS), ("Accept", {"networks": ["0.0.0.0/0"]})), twins=True)
    assert [leaves(snapshot, TWICE, port) for port in (80, 81)] == [False, True]
    assert leaves(snapshot, "203.0.113.1", 80)


def _reading(snapshot: Snapshot, passing: tuple[BlockPeer, ...]) -> Judge:
    """What is watched denies nothing, and passes on these where it is about nodes."""

    def left(rules: tuple[ClusterRule, ...]) -> Iterator[ClusterRule]:
        for rule in rules:
            unknown = any(isinstance(one, NodePeer) for one in rule.peers)
            if unknown and rule.action == "Pass":
                yield dataclasses.replace(rule, peers=passing, ports=())
            elif unknown and rule.action == "Accept":
                yield dataclasses.replace(rule, peers=())
            elif rule.action != "Deny":
                yield rule

    def read(one: ClusterPolicy) -> ClusterPolicy:
        if one.annotations.get(ANNOTATION) != "audit":
            return without_nodes(one)
        return dataclasses.replace(one, egress=tuple(left(one.egress)), ingress=tuple(left(one.ingress)))

    return Judge(Policies(dataclasses.replace(snapshot, cluster_policies=tuple(map(read, snapshot.cluster_policies)))))


def disagreements(seed: int) -> Iterator[str]:
    """Packets of which kernel and readings say different things."""
    chance = random.Random(seed)
    cluster = [*random_cluster(seed), *random_cluster_policies(seed, 1 + seed % 5)]
    for one in cluster:
        if one["kind"] == "ClusterNetworkPolicy":
            rules = [*(one["spec"].get("egress") or ())]
            for what, to in (("Pass", NODES), ("Accept", {"networks": ["0.0.0.0/0", "::/0"]}), ("Deny", NODES)):
                if chance.random() < 0.5:
                    rules.insert(chance.randrange(len(rules) + 1), {"action": what, "to": [to]})
            one["spec"] = {**one["spec"], "egress": rules}
            if chance.random() < 0.7:
                one["metadata"] = {**one["metadata"], "annotations": {ANNOTATION: "audit"}}
    snapshot = snapshot_of(cluster)
    told = dataclasses.replace(snapshot, cluster_policies=tuple(map(without_nodes, snapshot.cluster_policies)))
    kernel = Evaluator(compile_node(Policies(told), "node-a", Options(mode=Mode.ENFORCE)).ruleset)
    judges = [_reading(snapshot, ()), _reading(snapshot, EVERYBODY)]
    for packet in Traffic(snapshot, seed).packets(30):
        ends = [Endpoint.at(snapshot, one) for one in (packet.source, packet.destination)]
        if not _leaves_alone(ends[0].pod, snapshot, packet) or ends[1].on_node or ends[1].address.is_loopback:
            continue
        there = ends[1].pod
        if there is not None and (there == ends[0].pod or there.node == "node-a" or not there.addressed):
            continue
        flow = Flow(ends[0], ends[1], packet.protocol, packet.coordinate)
        expected = all(one.verdicts(flow)[0] for one in judges)
        if (kernel.run("forward", Header.of(packet)).fate is Fate.ACCEPT) != expected:
            yield f"{packet}: {[one.judge(flow).egress.reason for one in judges]}"


def _leaves_alone(pod: Pod | None, snapshot: Snapshot, packet: Packet) -> bool:
    """Whether it is of one pod of the node, which has the address for sure."""
    sure = pod is not None and not pod.host_network and pod.addressed and pod.node == "node-a"
    return sure and not {packet.source, packet.destination} & snapshot.contested.keys()


@given(st.integers(0, 1 << 32))
def test_what_either_reading_denies_is_denied(seed: int) -> None:
    """And what both allow passes."""
    assert list(disagreements(seed)) == []
