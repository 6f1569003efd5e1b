"""What a ruleset costs the kernel, against connection tracking alone and against no rules at all.

One pod, its node, the world; the rules stand on the node. In each round every variant is measured once,
one after the other, and compared with the baseline of the same round; the medians of the ratios are
what `docs/performance.md` quotes. The pod's address is one of thousands that the ruleset knows; the
address it calls is the last element of the set that allows it.
"""

from __future__ import annotations

import ipaddress
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks import traffic
from benchmarks.cluster import Shape, generate
from outgate.host.nft import Nftables
from outgate.lab import addressing
from outgate.lab.build import Box, Stage, build
from outgate.lab.topology import POD_INTERFACE_PREFIX
from outgate.model import Direction, LabelSelector, NetworkPolicy, Node, Pod, PodPeer, PolicyPort, PolicyRule, Snapshot
from outgate.nft.compile import Compiled, compile_node
from outgate.nft.delta import delta
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.policy import Policies

__all__ = ["Result", "measure"]

_CLIENT = ipaddress.IPv4Address("10.0.0.1")
_TARGET = "198.51.100.7"
_TRACKING = """
table inet baseline {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ct state established,related accept
    }
}
"""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one variant, round by round."""

    variant: str
    connections: tuple[float, ...]
    flows: tuple[float, ...]
    gigabits: tuple[float, ...]

    def ratios(self, baseline: Result) -> tuple[float, float, float]:
        """Medians of the ratios to the baseline of the same round: connections, new flows, throughput."""
        return (
            _ratio(self.connections, baseline.connections),
            _ratio(self.flows, baseline.flows),
            _ratio(self.gigabits, baseline.gigabits),
        )


def _ratio(mine: tuple[float, ...], theirs: tuple[float, ...]) -> float:
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


def selector_cluster(size: int) -> Snapshot:
    """The client, and `size` pods that one selector of its one policy allows it to call."""
    client = Pod("bench", "client", {"app": "client"}, (_CLIENT,), node="node-0")
    base = int(ipaddress.IPv4Address("10.1.0.0"))
    others = [
        Pod("bench", f"peer-{n}", {"app": "peer"}, (ipaddress.IPv4Address(base + n),), node="node-1")
        for n in range(size - 1)
    ]
    target = Pod("bench", "target", {"app": "peer"}, (ipaddress.IPv4Address(_TARGET),), node="node-1")
    peers = PodPeer(LabelSelector.of({"app": "peer"}), None)
    policy = NetworkPolicy(
        "bench",
        "client",
        LabelSelector.of({"app": "client"}),
        frozenset({Direction.EGRESS}),
        egress=(PolicyRule((peers,), (PolicyPort("TCP"), PolicyPort("UDP"))),),
    )
    return Snapshot.of(pods=[client, *others, target], nodes=[Node("node-0"), Node("node-1")], policies=[policy])


def full_cluster() -> Snapshot:
    """10 000 pods and 1 000 policies; the client is the first pod, and one more policy lets it call the target."""
    snapshot = generate(Shape())
    client = snapshot.owners_of(_CLIENT)[0]
    target = Pod("kube-system", "target", {"app": "target"}, (ipaddress.IPv4Address(_TARGET),), node="node-1")
    rule = PolicyRule(
        (PodPeer(LabelSelector.of({"app": "target"}), LabelSelector()),), (PolicyPort("TCP"), PolicyPort("UDP"))
    )
    extra = NetworkPolicy(
        client.namespace, "zz-bench", LabelSelector.of(client.labels), frozenset({Direction.EGRESS}), egress=(rule,)
    )
    return snapshot.with_pods([*snapshot.pods, target]).with_policies([*snapshot.policies, extra])


def rulesets() -> Iterator[tuple[str, Compiled]]:
    """The variants under test, by name."""
    options = Options(interface_prefix=POD_INTERFACE_PREFIX)
    for size in (100, 10_000, 100_000):
        yield f"{size} elements", compile_node(Policies(selector_cluster(size)), "node-0", options)
    yield "10 000 pods, 1 000 policies", compile_node(Policies(full_cluster()), "node-0", options)


def stage() -> Stage:
    """One pod and its node; the rest of the cluster exists in the rulesets alone."""
    client = Pod("bench", "client", {"app": "client"}, (_CLIENT,), node="node-0")
    return build(addressing.address(Snapshot.of(pods=[client], nodes=[Node("node-0")])))


@dataclass
class Bench:
    """The lab under load. Each variant is applied, measured and taken away again."""

    stage: Stage
    rounds: int
    connections: int = 3000
    flows: int = 8000
    megabytes: int = 400

    @property
    def client(self) -> Box:
        """The pod that sends."""
        return self.stage.pods["bench", "client"]

    def on_node(self, text: str) -> None:
        """Runs nft commands on the node."""
        self.stage.run(self.stage.nodes["node-0"], ("nft", "-f", "-"), input=text)

    def apply(self, ruleset: Ruleset) -> float:
        """Seconds to plan and load a ruleset on an empty node."""
        begin = time.perf_counter()
        with self.stage.enter(self.stage.nodes["node-0"]):
            Nftables().apply(delta(ruleset, None))
        return time.perf_counter() - begin

    def sample(self, number: int) -> tuple[float, float, float]:
        """One measurement of everything under what is loaded now."""
        return (
            traffic.connections(self.stage, self.client, _TARGET, self.connections),
            traffic.new_flows(self.stage, self.client, _TARGET, self.flows, number),
            traffic.bulk(self.stage, self.client, _TARGET, self.megabytes),
        )


def measure(bench: Bench, variants: Mapping[str, Ruleset]) -> list[Result]:
    """All variants in all rounds, the two baselines first."""
    samples: dict[str, list[tuple[float, float, float]]] = {}
    bench.on_node("flush ruleset")
    with traffic.serving(bench.stage):
        for number in range(bench.rounds):
            samples.setdefault("no rules", []).append(bench.sample(number))
            bench.on_node(_TRACKING)
            samples.setdefault("connection tracking alone", []).append(bench.sample(number))
            bench.on_node("delete table inet baseline")
            for name, ruleset in variants.items():
                bench.apply(ruleset)
                samples.setdefault(name, []).append(bench.sample(number))
                bench.on_node("delete table inet outgate")
    return [Result(name, *map(tuple, zip(*many, strict=True))) for name, many in samples.items()]
