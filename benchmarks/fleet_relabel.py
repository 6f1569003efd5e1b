"""A big namespace gets another label, and then each of its pods: what one agent has to think.

The agent's own step (`outgate.agent.step.plan`) is given what the API server tells of a cluster of a given shape, read
by the agent's own reader, and each change that it makes is answered with `Applied`. There is no kernel: counted are the
seconds of processor that it takes until the change is planned, and the elements that the kernel would be given.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from benchmarks.around import around
from benchmarks.cluster import Shape
from benchmarks.manifests import manifests
from benchmarks.measured_agent import resident
from benchmarks.tables import Row
from outgate.agent.around import ON_DEMAND
from outgate.agent.events import Applied, Event, Listed
from outgate.agent.step import NEEDED, Apply, Do, Follow, State, plan
from outgate.cluster.events import Replaced, Upserted, Watched
from outgate.cluster.watch import Subscription
from outgate.cluster.watch_decode import KINDS, Reader
from outgate.model import Namespace, Pod
from outgate.nft.options import Options
from outgate.nft.transaction import AddElements, DeleteElements

__all__ = ["Agent", "relabel"]

NODE = "node-0"
_POLICIES = NEEDED - {"Namespace", "Node", "Pod", "CiliumCIDRGroup"}


class Agent:
    """One agent's state, its clock being the processor's."""

    def __init__(self, shape: Shape, nodes: int = 0) -> None:
        kinds = NEEDED | ON_DEMAND
        readers = {kind: Reader(KINDS[kind], "cluster:bench") for kind in kinds}
        self.objects: dict[str, list[Watched]] = {kind: [] for kind in kinds}
        for one in around(shape, nodes=nodes) if nodes else manifests(shape):
            if one["kind"] in kinds:
                value = readers[one["kind"]].read(msgspec.json.encode(one)).value
                assert value is not None
                self.objects[one["kind"]].append(value)
        if not nodes:
            self.objects["Node"] = [one for one in self.objects["Node"] if getattr(one, "name", "") == NODE]
        self.state = State.of(NODE, Options(interface_prefix="veth"))
        self.state.world.all_nodes = bool(nodes)
        lists: list[Event] = [Replaced(kind, tuple(self.objects[kind])) for kind in sorted(NEEDED)]
        self.first, _ = self.turn([*lists, Listed(None)])
        assert self.state.ready

    def turn(self, events: Iterable[Event]) -> tuple[float, int]:
        """Seconds of processor for what follows from some events, and the elements that the kernel is given."""
        begun = time.process_time()
        self.state, commands = plan(self.state, events)
        while asked := [one for command in commands if isinstance(command, Follow) for one in command.subscriptions]:
            told = [Replaced(one.kind, self._chosen(one), one.label_selector) for one in asked]
            self.state, commands = plan(self.state, told)
        seconds = time.process_time() - begun
        if any(isinstance(one, Apply) for one in commands):
            self.state, _ = plan(self.state, [Applied()])
        return seconds, _elements(commands)

    def _chosen(self, one: Subscription) -> tuple[Watched, ...]:
        """What there is of a kind, by the Services that a selector names."""
        names = one.label_selector.partition("(")[2].rstrip(")").split(",")
        many = self.objects[one.kind]
        return tuple(each for each in many if not one.label_selector or getattr(each, "service", "") in names)

    def pods_of(self, namespace: str) -> list[Pod]:
        """As they were in the beginning."""
        return [one for one in self.objects["Pod"] if isinstance(one, Pod) and one.namespace == namespace]


def relabel(shape: Shape, nodes: int = 0) -> Row:
    """One row: the first namespace is relabelled, then a part of its pods one after the other, then all at once.

    With `nodes`, the cluster has so many, and what `benchmarks.around` puts around its pods.
    """
    agent = Agent(shape, nodes)
    namespace = next(one for one in agent.objects["Namespace"] if isinstance(one, Namespace))
    pods = agent.pods_of(namespace.name)
    labels = {**namespace.labels, "team": "t5"}
    whole, elements = agent.turn([Upserted("Namespace", replace(namespace, labels=labels), 0.0)])
    some = pods[:: max(1, len(pods) // 500)]
    turns = [agent.turn([_moved(one, "first")]) for one in some]
    together, moved = agent.turn([_moved(one, "second") for one in pods])
    return {
        "pods": len(agent.objects["Pod"]),
        "policies": sum(len(agent.objects[kind]) for kind in _POLICIES),
        "Services": len(agent.objects["Service"]),
        "Nodes": len(agent.objects["Node"]),
        "pods of the namespace": len(pods),
        "first plan, s": round(agent.first, 2),
        "namespace relabelled, s": round(whole, 2),
        "elements then": elements,
        "a pod relabelled, ms": round(1000 * sum(seconds for seconds, _ in turns) / len(turns), 2),
        "all its pods in one turn, s": round(together, 2),
        "elements of them": moved,
        "resident, MB": round(resident()),
    }


def _moved(pod: Pod, version: str) -> Upserted:
    """As a person does it who moves pods from one tier to another; the policies of the benchmark look at that."""
    tier = {"first": "api", "second": "web"}[version]
    return Upserted("Pod", replace(pod, labels={**pod.labels, "tier": tier}), 0.0)


def _elements(commands: Iterable[Do]) -> int:
    return sum(
        len(command.part.elements)
        for one in commands
        if isinstance(one, Apply)
        for transaction in one.change.transactions
        for command in transaction.commands
        if isinstance(command, AddElements | DeleteElements)
    )
