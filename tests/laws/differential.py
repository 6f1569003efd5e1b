"""The differential property: four readings of one packet, which must agree.

    reference   the slow evaluator on manifests (`tests.laws.reference`)
    judge       `outgate.policy.judge`, rule by rule
    decide      `outgate.policy.decide`, membership in sets of packets
    kernel      `outgate.nft.evaluate` of the rules compiled for the node of either end

A cluster is examined with packets drawn from what its policies and pods mention and from the borders of that. What is
found wrong is returned as text, so that the mutations can ask the same question and expect an answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from outgate.model import Direction, Learned, Pod, Snapshot
from outgate.nft.compile import Compiled, compile_node
from outgate.nft.evaluate import Evaluator, Fate, Header, Outcome
from outgate.nft.objects import CtState
from outgate.nft.options import Options
from outgate.packets import Address, Packet, PacketSet, Protocol
from outgate.policy import Decision, Endpoint, Flow, Judge, Part, Policies, Trace, decide
from outgate.testing import Manifest, snapshot_of
from tests.laws.reference_tiers import TieredReference
from tests.laws.traffic import Traffic

__all__ = ["Examination", "Passage", "question_of"]

_MASK = 0xFFFF0000
_EPOCH = 7
_FOREIGN = 0xABC
"""Bits of the mark that are somebody else's."""


_CALLED = {
    int(Protocol.TCP): "TCP",
    int(Protocol.UDP): "UDP",
    int(Protocol.SCTP): "SCTP",
    int(Protocol.ICMP): "ICMP",
    int(Protocol.ICMPV6): "ICMPv6",
}


def question_of(packet: Packet) -> tuple[Address, Address, str, int]:
    """A packet as the reference is asked about it: what has no name there is another protocol."""
    return packet.source, packet.destination, _CALLED.get(packet.protocol, "another protocol"), packet.coordinate


@dataclasses.dataclass(frozen=True, slots=True)
class Passage:
    """A hook of a node that a packet passes, and which of its two ends are judged there."""

    node: str
    hook: str
    egress: bool
    ingress: bool

    def may(self, egress: bool, ingress: bool) -> bool:
        """Whether a packet of that verdict is let through here."""
        return (egress or not self.egress) and (ingress or not self.ingress)

    def complaint(self, what: str, packet: Packet, outcome: Outcome, may: bool) -> Iterator[str]:
        """What is wrong with the fate of a packet, if anything, and the way it took."""
        if (outcome.fate is Fate.ACCEPT) != may:
            steps = " → ".join(f"{step.chain}[{step.index}]" for step in outcome.path)
            yield f"{self}: {what}: {packet}: {outcome.fate.value}, should {'pass' if may else 'not'} ({steps})"

    def __str__(self) -> str:
        return f"{self.node} {self.hook}"


class Examination:
    """One cluster, read four ways."""

    def __init__(self, manifests: list[Manifest], seed: int = 0, learned: tuple[Learned, ...] = ()) -> None:
        self.snapshot: Snapshot = dataclasses.replace(snapshot_of(manifests), learned=learned)
        self.policies = Policies(self.snapshot)
        self.reference = TieredReference(manifests, {pod.key: list(pod.addresses) for pod in self.snapshot.endpoints})
        self.traffic = Traffic(self.snapshot, seed)
        self._judge = Judge(self.policies)
        self._decisions: dict[tuple[tuple[str, str], Direction], tuple[Decision, PacketSet]] = {}
        self._kernels: dict[str, tuple[Evaluator, Compiled]] = {}

    # ---- the four readings -------------------------------------------------------------------------------------------

    def by_reference(self, packet: Packet) -> tuple[bool, bool]:
        """Egress and ingress, by the slow evaluator."""
        ask = question_of(packet)
        return self.reference.allows_egress(*ask), self.reference.allows_ingress(*ask)

    def in_the_kernel(self, packet: Packet) -> tuple[bool, bool]:
        """The same, as far as the compiled rules have to say it."""
        return self.by_reference(packet)

    def trace(self, packet: Packet) -> Trace:
        """What `judge` says."""
        source, destination = (Endpoint.at(self.snapshot, one) for one in (packet.source, packet.destination))
        return self._judge.judge(Flow(source, destination, packet.protocol, packet.coordinate))

    def by_decide(self, packet: Packet) -> tuple[bool, bool]:
        """Egress and ingress, by membership in the allowed set of each end."""
        point = (packet.protocol, packet.coordinate)
        source, destination = self.pod_at(packet.source), self.pod_at(packet.destination)
        return (
            source is None or self.allowed(source, Direction.EGRESS).contains(packet.destination, *point),
            destination is None or self.allowed(destination, Direction.INGRESS).contains(packet.source, *point),
        )

    def pod_at(self, address: Address) -> Pod | None:
        """The pod that has an address of its own."""
        return next((pod for pod in self.snapshot.owners_of(address) if not pod.host_network), None)

    def decision(self, pod: Pod, direction: Direction) -> Decision:
        """The decision for a pod, computed once."""
        return self._decision(pod, direction)[0]

    def allowed(self, pod: Pod, direction: Direction) -> PacketSet:
        """All that may pass, computed once."""
        return self._decision(pod, direction)[1]

    def _decision(self, pod: Pod, direction: Direction) -> tuple[Decision, PacketSet]:
        key = pod.key, direction
        if key not in self._decisions:
            made = decide(self.policies, pod, direction)
            self._decisions[key] = made, made.allowed()
        return self._decisions[key]

    # ---- the kernel --------------------------------------------------------------------------------------------------

    def kernel(self, node: str) -> tuple[Evaluator, Compiled]:
        """The compiled rules of a node, ready to be run."""
        if node not in self._kernels:
            compiled = compile_node(self.policies, node, Options(mark_mask=_MASK, epoch=_EPOCH))
            self._kernels[node] = Evaluator(compiled.ruleset), compiled
        return self._kernels[node]

    def passages(self, packet: Packet) -> Iterator[Passage]:
        """Where the rules of a node meet a packet.

        What a pod sends to itself, and what a node opens to its own pod, pass no hook of ours; a stand-in address
        (`Pod.addressed`) is on no wire.
        """
        source, destination = self.pod_at(packet.source), self.pod_at(packet.destination)
        if any(pod is not None and not pod.addressed for pod in (source, destination)):
            return
        if destination is not None and packet.source in self.policies.selection.node_addresses(destination.node):
            return
        if source is not None and (source == destination or packet.destination.is_loopback):
            return
        if source is not None:
            together = destination is not None and destination.node == source.node
            own = packet.destination in self.policies.selection.node_addresses(source.node)
            yield Passage(source.node, "input" if own else "forward", egress=True, ingress=together)
        if destination is not None and (source is None or source.node != destination.node):
            yield Passage(destination.node, "forward", egress=False, ingress=True)

    def run(self, passage: Passage, header: Header) -> Outcome:
        """One packet at one hook of one node."""
        return self.kernel(passage.node)[0].run(passage.hook, header)

    # ---- complaints --------------------------------------------------------------------------------------------------

    def disagreements(self, count: int) -> Iterator[str]:
        """Every reading of that many packets that differs from the reference, in words."""
        yield from self.of_the_model(count)
        yield from self.of_the_kernel(count)
        yield from self.of_established(count)

    def of_the_model(self, count: int) -> Iterator[str]:
        """Where `judge` or `decide` differ from the reference, in verdict or in who is named for it."""
        for packet in self.traffic.packets(count):
            expected = self.by_reference(packet)
            trace = self.trace(packet)
            judged = trace.egress.verdict.allows, trace.ingress.verdict.allows
            if judged != expected:
                yield f"judge: {packet}: {judged}, reference {expected}"
            if self.by_decide(packet) != expected:
                yield f"decide: {packet}: {self.by_decide(packet)}, reference {expected}"
            for side, subject, peer in (
                (trace.egress, packet.source, packet.destination),
                (trace.ingress, packet.destination, packet.source),
            ):
                pod = self.pod_at(subject)
                part = None if pod is None else self.part(pod, side.direction, peer, packet)
                if part is not None and part.origin != side.decided_by:
                    yield f"decide names {part.origin} for {packet}, judge names {side.decided_by}"

    def part(self, pod: Pod, direction: Direction, peer: Address, packet: Packet) -> Part:
        """The part of a pod's decision that a packet is in: exactly one."""
        point = (packet.protocol, packet.coordinate)
        (found,) = [part for part in self.decision(pod, direction).parts if part.packets.contains(peer, *point)]
        return found

    def of_the_kernel(self, count: int) -> Iterator[str]:
        """Where the compiled rules differ from the reference for new connections, or lay one to the wrong policy."""
        for packet in self.traffic.packets(count):
            expected = self.in_the_kernel(packet)
            # A protocol without ports has other bits where ports would be; they may look like any port.
            header = Header.of(packet, noise=self.traffic.chance.choice([None, 53, 80]))
            for passage in self.passages(packet):
                may = passage.may(*expected)
                outcome = self.run(passage, header)
                yield from passage.complaint("new", packet, outcome, may)
                mark = (_EPOCH << 16) if may else 0
                if outcome.mark != mark:
                    yield f"{passage}: {packet}: mark {outcome.mark:#x} instead of {mark:#x}"
                yield from self._wrongly_laid(passage, packet, outcome)

    def _wrongly_laid(self, passage: Passage, packet: Packet, outcome: Outcome) -> Iterator[str]:
        """The counters that a packet raised must be those of rules that match it, or of policies that isolate."""
        index = self.kernel(passage.node)[1].index
        laid = [origin for step in outcome.path for origin in index.get(step.chain, ())]
        for origin in laid:
            egress = origin.direction is Direction.EGRESS
            subject, peer = (packet.source, packet.destination)[:: 1 if egress else -1]
            pod = self.pod_at(subject)
            if pod is None:
                yield f"{passage}: {packet}: laid to {origin}, and {subject} is no pod"
                continue
            isolating = self.decision(pod, origin.direction).isolated_by
            if origin.rule is None:
                if origin not in isolating:
                    yield f"{passage}: {packet}: denied in the name of {origin}, which does not isolate {pod}"
                continue
            every = self.policies.isolation(pod, origin.direction).every_rule()
            rules = [rule for rule in every if rule.origin == origin]
            meanings = dict(self.policies.class_of(pod, origin.direction)[2])
            point = (packet.protocol, packet.coordinate)
            if not any(self.policies.packets_of(rule, meanings).contains(peer, *point) for rule in rules):
                yield f"{passage}: {packet}: counted for {origin}, which does not match it"

    def of_established(self, count: int) -> Iterator[str]:
        """Where a live connection fares otherwise than its first packet would now, whichever side sends."""
        for packet in self.traffic.packets(count):
            expected = self.in_the_kernel(packet)
            first = dataclasses.replace(Header.of(packet), state=CtState.ESTABLISHED)
            for passage in self.passages(packet):
                may = passage.may(*expected)
                old = dataclasses.replace(first, mark=(_EPOCH - 1) << 16 | _FOREIGN)
                now = dataclasses.replace(first, mark=_EPOCH << 16 | _FOREIGN)
                outcome = self.run(passage, old)
                yield from passage.complaint("established under an old epoch", packet, outcome, may)
                if outcome.mark != ((_EPOCH << 16 | _FOREIGN) if may else old.mark):
                    yield f"{passage}: {packet}: mark {outcome.mark:#x} after an old epoch"
                # What this epoch has judged already is not judged again, even where the answer would be no.
                yield from passage.complaint("of this epoch", packet, self.run(passage, now), may=True)
                if passage.hook == "forward":
                    yield from passage.complaint("reply", packet, self.run(passage, old.reply()), may)
                    yield from passage.complaint("reply", packet, self.run(passage, now.reply()), may=True)
