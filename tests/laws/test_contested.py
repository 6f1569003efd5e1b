"""An address that two pods claim: nobody knows whose it is, so what passes must pass whichever of the two has it."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outgate.nft.evaluate import Evaluator, Fate, Header
from outgate.packets import Packet, Protocol
from outgate.testing import Manifest, cluster_policy, namespace, node, pod, random_cluster, random_cluster_policies
from outgate.testing_cilium import cilium_policy
from tests.laws.differential import Examination
from tests.laws.test_cilium import drawn as drawn_with_cilium

SEEDS = st.integers(0, 2**32 - 1)
_CHOICE = st.sampled_from(("tiers", "cilium"))


def drawn(kind: str, seed: int) -> list[Manifest]:
    """A random cluster under policies that deny."""
    if kind == "cilium":
        return drawn_with_cilium(seed).manifests
    return [*random_cluster(seed, crowded=True), *random_cluster_policies(seed, 1 + seed % 6)]


def claimed(manifests: list[Manifest], first: int, second: int, *, by: str) -> list[Manifest]:
    """Two pods that both claim the addresses of the first, or one of them alone has them."""
    addresses = manifests[first]["status"]["podIPs"]
    made = list(manifests)
    for index, name in ((first, "first"), (second, "second")):
        mine = addresses if by in {"both", name} else []
        status = {"podIP": mine[0]["ip"], "podIPs": mine} if mine else {}
        made[index] = {**manifests[index], "status": {**_without(manifests[index]["status"]), **status}}
    return made


def _without(status: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in {"podIP", "podIPs"}}


def _is_plain(one: Manifest) -> bool:
    status, spec = one.get("status", {}), one.get("spec", {})
    running = status.get("phase") not in {"Succeeded", "Failed"}
    return one["kind"] == "Pod" and bool(status.get("podIPs")) and running and not spec.get("hostNetwork")


def passing(examination: Examination, name: str, packets: list[Packet]) -> list[bool]:
    """Which packets the rules of a node let through."""
    kernel: Evaluator = examination.kernel(name)[0]
    return [kernel.run("forward", Header.of(one, noise=0)).fate is Fate.ACCEPT for one in packets]


@given(_CHOICE, SEEDS)
def test_what_passes_may_be_either(kind: str, seed: int) -> None:
    """On every node, with the address on either side, whatever the order of rules and policies."""
    chance, manifests = random.Random(seed), drawn(kind, seed)
    plain = [index for index, one in enumerate(manifests) if _is_plain(one)]
    if len(plain) < 3:
        return
    first, second = chance.sample(plain, 2)
    both, one, other = (
        Examination(claimed(manifests, first, second, by=by), seed) for by in ("both", "first", "second")
    )
    contested = list(both.snapshot.contested)
    packets = [
        packet
        for packet in both.traffic.packets(400)
        if (packet.source in contested) is not (packet.destination in contested)
    ]
    for name in sorted({end.node for end in both.snapshot.endpoints if end.node}):
        ours = {end.key for end in both.snapshot.endpoints if end.node == name}
        if not ours.isdisjoint(end.key for many in both.snapshot.contested.values() for end in many):
            continue  # a claimant of the node itself is closed whole
        for packet, passes, as_one, as_other in zip(
            packets, *(passing(each, name, packets) for each in (both, one, other)), strict=True
        ):
            assert not passes or (as_one and as_other), (name, packet)


def test_a_denial_means_whoever_may_be_meant() -> None:
    """And nobody else: where neither of the two is meant, nothing is denied because nobody knows which it is."""
    town = [
        namespace("a"),
        node("n1", ["192.0.2.1"]),
        node("n2", ["192.0.2.2"]),
        pod("a/web", ["10.1.0.1"], on="n1"),
        pod("a/old", ["10.2.0.9"], on="n2", bad="yes"),
        pod("a/new", ["10.2.0.9"], on="n2", good="yes"),
    ]
    source, target = map(ipaddress.ip_address, ("10.1.0.1", "10.2.0.9"))
    packet = [Packet(source, target, Protocol.TCP, 80)]

    def selector(label: str) -> dict[str, Any]:
        return {"matchLabels": {label: "yes"}}

    for label, passes in (("bad", False), ("good", False), ("neither", True)):
        for action in ("Deny", "Pass"):
            to = {"pods": {"namespaceSelector": {}, "podSelector": selector(label)}}
            above = cluster_policy("p", subject={"namespaces": {}}, egress=[{"action": action, "to": [to]}])
            assert passing(Examination([*town, above]), "n1", packet) == [passes], (label, action)
        everywhere = {"toEntities": ["all"]}
        spec = {"endpointSelector": {}, "egress": [everywhere], "egressDeny": [{"toEndpoints": [selector(label)]}]}
        assert passing(Examination([*town, cilium_policy("a/p", spec)]), "n1", packet) == [passes], label
    outside = {"endpointSelector": {}, "egress": [{"toCIDR": ["10.0.0.0/8"]}]}
    assert passing(Examination([*town, cilium_policy("a/p", outside)]), "n1", packet) == [False]
