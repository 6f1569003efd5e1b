"""Property 31: one evaluator. What `policy.judge` says of a packet is what becomes of it, and who it says decided.

Random clusters with random policies go to the API server, the agents read them there, and random packets go through the
kernels. Nothing is compared with itself: the verdict is asked of the rules one by one, the kernel has chains and sets.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

import pytest

from outgate.model import Direction, Pod
from outgate.nft.compile import compile_node
from outgate.nft.options import Options
from outgate.policy import Endpoint, Flow, Judge, Origin, Policies, Trace, matched
from outgate.testing import Manifest, node, random_cluster
from tests.lab.agent.farm import Farm, grow
from tests.lab.agent.frames import ICMP, ICMPV6, SCTP, TCP, UDP
from tests.lab.agent.volley import Ears, Shot, aimed

pytestmark = pytest.mark.kernel

SEEDS = (100, 101, 102, 104, 108, 112, 113, 120)
"""Clusters in which enough is allowed and enough is denied."""
FLOWS = 24
NODES = {"node-a": ("192.168.50.11", "fd00:50::11"), "node-b": ("192.168.50.12", "fd00:50::12")}
WORLD = ("203.0.113.1", "203.0.113.20", "203.0.113.130", "198.51.100.5", "2001:db8::9", "2001:db8:1::20", "64:ff9b::1")
PORTS = (53, 79, 80, 81, 443, 8080, 8081, 65535)


def housed(seed: int) -> list[Manifest]:
    """A random cluster, less what has no box or address of its own."""
    made = [one for one in random_cluster(seed) if one["kind"] != "Node"]
    live = [one for one in made if one["kind"] == "Pod" and one["status"].get("podIPs")]
    live = [one for one in live if not one["spec"].get("hostNetwork")]
    cluster = [node(name, addresses) for name, addresses in NODES.items()]
    return cluster + [one for one in made if one["kind"] != "Pod"] + live


def flows(farm: Farm, dice: random.Random) -> Iterator[tuple[Flow, Shot]]:
    """Random beginnings of connections, between pods, nodes and the world, each with a pod at one end at least."""
    snapshot = farm.snapshot
    pods = ["/".join(key) for key, box in farm.stage.pods.items() if box.interface]
    while True:
        family = dice.choice((4, 6))
        world = dice.choice([one for one in WORLD if (":" in one) == (family == 6)])
        places = [*pods, *pods, *NODES, world]
        source, target = dice.choice(places), dice.choice(places)
        there = {name: _address(farm, name, family) for name in (source, target)}
        kinds = sum("/" in one for one in (source, target))
        if source == target or not kinds or not all(there.values()) or _is_probe(farm, source, target):
            continue
        protocol = dice.choice((TCP, TCP, UDP, SCTP, ICMP if family == 4 else ICMPV6))
        port = dice.choice(PORTS) if protocol in {TCP, UDP, SCTP} else 0
        coordinate = port or (8 if family == 4 else 128) * 256
        ends = [Endpoint.at(snapshot, ipaddress.ip_address(there[name])) for name in (source, target)]
        origin = "world" if source in WORLD else source
        shot = aimed(farm, origin, target, protocol, port, family, source_address=there[source])
        yield Flow(ends[0], ends[1], protocol, coordinate), shot


def _address(farm: Farm, name: str, family: int) -> str:
    if name in WORLD:
        return name
    return next((str(one) for one in farm.box(name).addresses if one.version == family), "")


def _is_probe(farm: Farm, source: str, target: str) -> bool:
    """A node to its own pod passes no hook of ours (`test_16_...`)."""
    return source in NODES and "/" in target and farm.stage.pods[_key(target)].node == source


def _key(path: str) -> tuple[str, str]:
    space, name = path.split("/")
    return space, name


Counts = dict[str, dict[str, int]]
"""Node, chain, packets."""


def moved(before: Counts, after: Counts) -> set[tuple[str, str]]:
    """The chains of rules and denials whose counters moved, with their nodes."""
    return {
        (name, chain)
        for name, chains in after.items()
        for chain, packets in chains.items()
        if chain[:2] in {"r_", "d_"} and packets > before[name].get(chain, 0)
    }


def explained(policies: Policies, trace: Trace, named: set[Origin]) -> bool:
    """Whether those who were counted are those that the trace names. Where several rules allow, one of them will do."""
    flow = trace.flow
    for side, subject, peer in (
        (trace.egress, flow.source, flow.destination),
        (trace.ingress, flow.destination, flow.source),
    ):
        mine = {one for one in named if one.direction is side.direction}
        if side.direction is Direction.INGRESS and not trace.egress.verdict.allows:
            return not mine
        if side.decided_by is None:
            if mine:
                return False
            continue
        if not side.verdict.allows:
            if mine != set(side.isolated_by):
                return False
            continue
        pod = subject.pod
        assert isinstance(pod, Pod)
        selecting = policies.selection.selecting(pod, side.direction)
        rules = [
            rule.origin
            for rule in policies.rules(selecting, side.direction)
            if matched(policies, rule, peer, flow.destination).contains(flow.protocol, flow.coordinate)
        ]
        if len(mine) != 1 or not mine <= set(rules) or (len(rules) == 1 and mine != {side.decided_by}):
            return False
    return True


def held(farm: Farm, seed: int) -> tuple[int, int]:
    """Send random packets through a cluster; how many were allowed, and how many denied."""
    policies = Policies(farm.snapshot)
    judge, dice = Judge(policies), random.Random(seed)
    options = Options(interface_prefix="ogp")
    index = {name: compile_node(policies, name, options).index for name in farm.stage.nodes}
    counts = [0, 0]
    with Ears(farm) as ears:
        made = flows(farm, dice)
        before = {name: farm.counted(name) for name in farm.stage.nodes}
        for _ in range(FLOWS):
            flow, shot = next(made)
            trace = judge.judge(flow)
            (came,) = ears.verdicts([shot])
            assert came == trace.verdict.allows, (seed, trace)
            after = {name: farm.counted(name) for name in farm.stage.nodes}
            named = {origin for name, chain in moved(before, after) for origin in index[name][chain]}
            before = after
            assert explained(policies, trace, named), (seed, trace, named)
            counts[came] += 1
    return counts[1], counts[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_31_the_kernel_does_what_the_model_says_and_for_the_same_reason(seed: int) -> None:
    """Verdict and rule, both ways, of packets of all protocols."""

    def check(farm: Farm) -> None:
        allowed, denied = held(farm, seed)
        assert min(allowed, denied) >= 4, "a cluster in which hardly anything is decided shows nothing"

    grow(housed(seed), check)
