"""Puts the policies into the nodes' kernels, and asks a kernel's rules what they make of a packet.

`program` is the step that the agent takes on a node of a real cluster: compile what should be, list what
is, apply the difference. The lab has no other way of enforcing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from outgate.host.nft import Nftables
from outgate.lab.build import Stage
from outgate.lab.topology import POD_INTERFACE_PREFIX, UPLINK, NodeBox
from outgate.nft.compile import Compiled, compile_node
from outgate.nft.delta import delta
from outgate.nft.evaluate import Evaluator, Header, Step
from outgate.nft.objects import Ruleset
from outgate.nft.options import Options
from outgate.packets import Packet
from outgate.policy import Endpoint, Flow, Policies
from outgate.report.lab import KernelRule

__all__ = ["Tracer", "enforce", "options_of", "program"]

_AT_ONCE = 4
"""Nodes that are programmed at the same time: most of the time is the start of `nft`."""


def program(policies: Policies, node: str, door: Nftables, options: Options) -> Compiled:
    """Brings the table in the kernel of the calling thread's network namespace to what a node must have.

    Raises:
        KernelError: the kernel refused; what stands then is the old state or the new one.
    """
    compiled = compile_node(policies, node, options)
    door.apply(delta(compiled.ruleset, door.list()))
    return compiled


def options_of(stage: Stage, node: NodeBox, *, proxied: bool = False, names: bool = False) -> Options:
    """What the node knows of its interfaces. Where no DNS proxy looks at questions (`names`), all of them pass."""
    interfaces: dict[tuple[str, str], str] = {box.pod.key: stage.interface_of(box.pod) for box in node.pods}
    return Options(
        interface_prefix=POD_INTERFACE_PREFIX,
        interfaces=interfaces,
        unfiltered=not names,
        names=names,
        proxied=proxied,
    )


def enforce(stage: Stage, policies: Policies, *, proxied: bool = False, names: bool = False) -> Mapping[str, Compiled]:
    """Programs every node of a lab, with a proxy for requests (`outgate.lab.proxy`) or without, and with one for DNS
    (`outgate.lab.dns_proxy`) or without. Raises what `program` raises.
    """

    def one(node: NodeBox) -> Compiled:
        with stage.enter(node):
            return program(policies, node.name, Nftables(), options_of(stage, node, proxied=proxied, names=names))

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return dict(zip(stage.nodes, pool.map(one, stage.nodes.values()), strict=True))


@dataclass(slots=True)
class Tracer:
    """Follows a packet through the rules that the kernels really have. A node's table is listed when it is needed."""

    stage: Stage
    _listed: dict[str, Evaluator] = field(default_factory=dict)

    def rules(self, flow: Flow) -> tuple[KernelRule, ...]:
        """The rules that decide about the first packet of a flow, node by node; none where no table stands.

        The last is a denial where the packet is dropped.
        """
        found: list[KernelRule] = []
        for node, hook, iifname, oifname in self._way(flow):
            header = replace(Header.of(_packet(flow)), iifname=iifname, oifname=oifname)
            outcome = self._evaluator(node).run(hook, header)
            decisive = [step for step in outcome.path if step.chain[:2] in ("r_", "d_") or step.chain == "unknown"]
            found += (self._named(node, hook, step) for step in decisive)
            if outcome.fate.value != "accept":
                break
        return tuple(found)

    def _evaluator(self, node: str) -> Evaluator:
        if node not in self._listed:
            with self.stage.enter(self.stage.nodes[node]):
                self._listed[node] = Evaluator(Nftables().list() or Ruleset())
        return self._listed[node]

    def _named(self, node: str, hook: str, step: Step) -> KernelRule:
        """A step; where the rule has no comment, the one of its chain stands for it (a count, then the drop)."""
        rules = self._evaluator(node).ruleset.chains[step.chain].rules
        comment = step.comment or next((rule.comment for rule in rules if rule.comment), "")
        return KernelRule(node, hook, step.chain, comment, step.verdict)

    def _way(self, flow: Flow) -> Iterator[tuple[str, str, str, str]]:
        """Node, hook, incoming and outgoing interface, in the order in which the packet passes."""
        source, destination = _place(self.stage, flow.source), _place(self.stage, flow.destination)
        if source.node == destination.node and source.node:
            if source.interface:
                hook = "forward" if destination.interface else "input"
                yield source.node, hook, source.interface, destination.interface
            return
        if source.node and source.interface:
            yield source.node, "forward", source.interface, UPLINK
        if destination.node:
            yield destination.node, "forward" if destination.interface else "input", UPLINK, destination.interface


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an end is: on which node, behind which interface. Both empty for the world."""

    node: str = ""
    interface: str = ""


def _place(stage: Stage, end: Endpoint) -> _Place:
    if end.pod is not None and end.pod.key in stage.pods:
        return _Place(end.pod.node, stage.interface_of(end.pod))
    return _Place(end.node.name) if end.node is not None else _Place()


def _packet(flow: Flow) -> Packet:
    return Packet(flow.source.address, flow.destination.address, flow.protocol, flow.coordinate)
