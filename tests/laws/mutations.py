"""Deliberate mistakes, each of a kind that real policy engines have made, and what each breaks.

A mutation is one wrong line, put in place for the length of a `with` block. The suite's own differential property must
notice it within a bounded number of random clusters (`test_mutations`); a mutation that lives is a hole in the proof,
not in the mutation. Where a mistake can be made in the model and in the compiler alike, it is made where both readings
take it from, so that only the reference can tell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from outgate.model import ContainerPort, Direction, NetworkPolicy, Operator, Pod, Requirement, Snapshot
from outgate.model import parse_policy as parse_module
from outgate.model.labels import EVERYTHING
from outgate.nft import compile as compile_module
from outgate.nft import frame as frame_module
from outgate.nft import lines as lines_module
from outgate.nft.classes import Classes
from outgate.nft.compile import Compiled
from outgate.nft.lines import View
from outgate.nft.objects import (
    ACCEPT,
    RETURN,
    ChainRule,
    Compare,
    Field,
    Judgement,
    Lookup,
    StampMark,
    Statement,
)
from outgate.packets import AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.packets.packetset import Cube
from outgate.packets.transport import PORTS
from outgate.policy import BlockMatch, NamedPort, PodMatch, PortMatch, Rule
from outgate.policy import rules as rules_module
from outgate.policy import selection as selection_module
from outgate.policy.profile import OUTGATE
from outgate.policy.rules import PeerMatch
from outgate.policy.selection import Selection
from tests.laws import differential

__all__ = ["MUTATIONS", "Mutation"]

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mistake. `breaks` is what a user would suffer from it."""

    name: str
    breaks: str
    patch: Patch

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The mistake is in force inside the block, and nowhere else."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            self.patch(monkeypatch)
            yield


MUTATIONS: list[Mutation] = []


def _mutation(name: str, breaks: str) -> Callable[[Patch], Patch]:
    def keep(patch: Patch) -> Patch:
        MUTATIONS.append(Mutation(name, breaks, patch))
        return patch

    return keep


def _on_rules(patch: pytest.MonkeyPatch, change: Callable[[Rule], Rule]) -> None:
    """Change each rule that a policy becomes, for every reading but the reference."""
    proper = rules_module.rules_of

    def wrong(policy: NetworkPolicy, direction: Direction) -> Iterator[Rule]:
        yield from map(change, proper(policy, direction))

    patch.setattr(selection_module, "rules_of", wrong)


def _on_ruleset(patch: pytest.MonkeyPatch, change: Callable[[str, ChainRule], ChainRule | None]) -> None:
    """Change the lines of every chain of a compiled ruleset; None takes a line out."""
    proper = compile_module.compile_node

    def wrong(*arguments: Any) -> Compiled:
        compiled = proper(*arguments)
        chains = {
            name: dataclasses.replace(
                chain, rules=tuple(new for one in chain.rules if (new := change(name, one)) is not None)
            )
            for name, chain in compiled.ruleset.chains.items()
        }
        return Compiled(dataclasses.replace(compiled.ruleset, chains=chains), compiled.index)

    patch.setattr(differential, "compile_node", wrong)


# ---- who is meant ----------------------------------------------------------------------------------------------------


@_mutation("except is ignored", "an address that was taken out of a block can be reached")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = rules_module.peer_match

    def wrong(namespace: str, peer: Any) -> PeerMatch:
        return proper(namespace, dataclasses.replace(peer, excepts=()) if hasattr(peer, "excepts") else peer)

    patch.setattr(rules_module, "peer_match", wrong)


@_mutation("except takes out of every block", "an address excepted in one peer is denied though another peer has it")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(rule: Rule) -> Rule:
        blocks = [peer.addresses for peer in rule.peers or () if isinstance(peer, BlockMatch)]
        if len(blocks) < 2:
            return rule
        common = blocks[0]
        for block in blocks[1:]:
            common = common & block
        kept = tuple(peer for peer in rule.peers or () if isinstance(peer, PodMatch))
        return dataclasses.replace(rule, peers=(*kept, BlockMatch(common)))

    _on_rules(patch, wrong)


@_mutation("a peer that selects nobody is read as any", "a policy for pods that are not there yet opens everything")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = lines_module._selector_lines

    def wrong(*arguments: Any) -> Iterator[tuple[Statement, ...]]:
        sets = arguments[-1].sets
        for line in proper(*arguments):
            yield tuple(one for one in line if not (isinstance(one, Lookup) and not sets[one.set].elements))

    patch.setattr(lines_module, "_selector_lines", wrong)


@_mutation("an absent peer list is read as nobody", "a rule that names only ports allows nothing")
def _(patch: pytest.MonkeyPatch) -> None:
    _on_rules(patch, lambda rule: dataclasses.replace(rule, peers=rule.peers or ()))


@_mutation("the own namespace is forgotten", "pods of any namespace with the right label get in")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(rule: Rule) -> Rule:
        def everywhere(peer: PeerMatch) -> PeerMatch:
            if isinstance(peer, PodMatch) and peer.namespaces is None:
                return PodMatch(None, EVERYTHING, peer.pods)
            return peer

        return dataclasses.replace(rule, peers=rule.peers and tuple(map(everywhere, rule.peers)))

    _on_rules(patch, wrong)


@_mutation("two selectors of one peer are ORed", "one dash of indentation opens a whole namespace")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(rule: Rule) -> Rule:
        peers: list[PeerMatch] = []
        for peer in rule.peers or ():
            if isinstance(peer, PodMatch) and peer.namespaces is not None and peer.pods:
                peers.append(PodMatch(None, peer.namespaces, EVERYTHING))
                peers.append(PodMatch(rule.origin.namespace, None, peer.pods))
            else:
                peers.append(peer)
        return dataclasses.replace(rule, peers=tuple(peers) or rule.peers)

    _on_rules(patch, wrong)


@_mutation("NotIn needs the key", "pods without the label are left out of `everybody but`")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = Requirement.matches

    def wrong(self: Requirement, labels: Mapping[str, str]) -> bool:
        return proper(self, labels) and (self.operator is not Operator.NOT_IN or self.key in labels)

    patch.setattr(Requirement, "matches", wrong)


@_mutation("a missing key equals the empty value", "a selector for an empty label lets in whoever has none")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = Requirement.matches

    def wrong(self: Requirement, labels: Mapping[str, str]) -> bool:
        return proper(self, {self.key: "", **labels} if self.operator is Operator.IN else labels)

    patch.setattr(Requirement, "matches", wrong)


@_mutation("host-network pods are selected", "a rule for pods opens the whole node that one of them runs on")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = Selection.__init__

    def wrong(self: Selection, snapshot: Snapshot, profile: object = None) -> None:
        assert profile is not None
        proper(self, snapshot, dataclasses.replace(OUTGATE, host_network_selected=True))

    patch.setattr(Selection, "__init__", wrong)


@_mutation("finished pods are peers", "an address stays open after its pod has ended and somebody else has it")
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Snapshot, "endpoints", property(lambda self: self.pods))


@_mutation("only the first address of a pod counts", "a dual-stack pod is reachable, or not, by the family asked")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = Selection.pods

    def wrong(self: Selection, match: PodMatch) -> tuple[Pod, ...]:
        return tuple(dataclasses.replace(pod, addresses=pod.addresses[:1]) for pod in proper(self, match))

    patch.setattr(Selection, "pods", wrong)


# ---- which ports -----------------------------------------------------------------------------------------------------


@_mutation("UDP is taken for TCP", "DNS is opened over the wrong protocol, and stays closed over the right one")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = lines_module._numbers

    def wrong(*arguments: Any) -> TransportSet | None:
        numbers = proper(*arguments)
        return numbers and dataclasses.replace(numbers, tcp=numbers.tcp | numbers.udp, udp=IntervalSet())

    patch.setattr(lines_module, "_numbers", wrong)


@_mutation("SCTP is taken for TCP", "a rule for SCTP opens TCP")
def _(patch: pytest.MonkeyPatch) -> None:
    fields = {**lines_module._PORT_FIELDS, (Protocol.SCTP, False): Field.TCP_DPORT}
    patch.setattr(lines_module, "_PORT_FIELDS", fields)


@_mutation("absent ports are read as TCP only", "a rule without ports blocks UDP: DNS dies")
def _(patch: pytest.MonkeyPatch) -> None:
    tcp = PortMatch(TransportSet.ports(Protocol.TCP, PORTS))
    _on_rules(patch, lambda rule: dataclasses.replace(rule, ports=rule.ports or tcp))


@_mutation("an entry without a port is any protocol", "a rule for all of TCP opens UDP and everything else too")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = rules_module.ports_match

    def wrong(entries: Any) -> PortMatch:
        found = proper(entries)
        wide = any(entry.port is None for entry in entries)
        return dataclasses.replace(found, numbers=TransportSet.any()) if wide else found

    patch.setattr(rules_module, "ports_match", wrong)


@_mutation("endPort is ignored", "of a range of ports only the first is opened")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = rules_module.ports_match

    def wrong(entries: Any) -> PortMatch:
        return proper(tuple(dataclasses.replace(entry, end_port=None) for entry in entries))

    patch.setattr(rules_module, "ports_match", wrong)


@_mutation("endPort is exclusive", "the last port of a range stays closed")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = rules_module.ports_match

    def shortened(entry: Any) -> Any:
        longer = entry.end_port is not None and entry.end_port > entry.port
        return dataclasses.replace(entry, end_port=entry.end_port - 1) if longer else entry

    patch.setattr(rules_module, "ports_match", lambda entries: proper(tuple(map(shortened, entries))))


@_mutation("a port name means one number everywhere", "a pod is opened on the port that another pod calls so")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = Selection.port_numbers.func  # type: ignore[attr-defined]  # a cached_property, which mypy takes for its value

    def wrong(self: Selection) -> dict[NamedPort, dict[tuple[str, str], frozenset[int]]]:
        named = proper(self)
        together = {name: frozenset().union(*pods.values()) for name, pods in named.items()}
        return {name: dict.fromkeys(pods, together[name]) for name, pods in named.items()}

    patch.setattr(Selection, "port_numbers", property(wrong))


@_mutation("a port name has no protocol", "a UDP port is opened because a TCP port has its name")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = selection_module._port_names

    def wrong(ports: tuple[ContainerPort, ...]) -> dict[NamedPort, frozenset[int]]:
        every = [dataclasses.replace(port, protocol=one) for port in ports for one in ("TCP", "UDP", "SCTP")]
        return proper(tuple(every))

    patch.setattr(selection_module, "_port_names", wrong)


# ---- what isolates ---------------------------------------------------------------------------------------------------


@_mutation("egress does not imply policyTypes Egress", "a policy with egress rules restricts no egress at all")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = parse_module._types
    patch.setattr(parse_module, "_types", lambda written, **_: proper(written, has_egress=False))


@_mutation("absent policyTypes are read as both", "a policy about ingress cuts all egress")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = parse_module._types
    patch.setattr(parse_module, "_types", lambda written, **_: proper(written, has_egress=True))


@_mutation("sections count whatever the types", "an ignored egress section takes effect")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = parse_module.network_policy

    def wrong(*arguments: Any) -> NetworkPolicy:
        policy = proper(*arguments)
        more = {Direction.EGRESS} if policy.egress else set()
        return dataclasses.replace(policy, types=policy.types | more)

    patch.setattr("outgate.model.parse.network_policy", wrong)


@_mutation("sections are swapped", "what was written for egress is applied to ingress, and the other way round")
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(NetworkPolicy, "rules", lambda self, way: self.ingress if way is Direction.EGRESS else self.egress)


# ---- the compiler alone ----------------------------------------------------------------------------------------------


@_mutation("egress and ingress are swapped", "the sender is judged by what the receiver may send")
def _(patch: pytest.MonkeyPatch) -> None:
    other = {Field.IP_SADDR: Field.IP_DADDR, Field.IP6_SADDR: Field.IP6_DADDR}
    other |= {there: here for here, there in other.items()}
    swapped = tuple(dataclasses.replace(one, field=other[one.field]) for one in frame_module.DISPATCHES)
    for module in (frame_module, compile_module):
        patch.setattr(module, "DISPATCHES", swapped)


@_mutation("IPv6 is left out", "every pod with an IPv6 address sends what it likes")
def _(patch: pytest.MonkeyPatch) -> None:
    kept = tuple(one for one in frame_module.DISPATCHES if one.view.family == 4)
    for module in (frame_module, compile_module):
        patch.setattr(module, "DISPATCHES", kept)


@_mutation("the default deny is missing", "a policy isolates nobody")
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Classes, "_end", lambda *_: (RETURN, ()))


@_mutation("a protocol of a block is lost", "of two rules on one block only the first is programmed")
def _(patch: pytest.MonkeyPatch) -> None:
    class Careless(PacketSet):
        """A set whose difference goes by the address alone."""

        @classmethod
        def cube(cls, addresses: AddressSet, transports: TransportSet) -> PacketSet:
            return cls(PacketSet.cube(addresses, transports).cubes)

        def __sub__(self, other: PacketSet) -> PacketSet:
            taken = other.addresses()
            cubes: list[Cube] = [(mine - taken, transports) for mine, transports in self.cubes]
            return PacketSet.union_of(cubes)

    patch.setattr(lines_module, "PacketSet", Careless)


@_mutation("ingress is not asked", "what the sender may send arrives, whatever the receiver says")
def _(patch: pytest.MonkeyPatch) -> None:
    _on_ruleset(patch, lambda _, line: None if Judgement("jump", "ingress") in line.statements else line)


@_mutation("the mirrored chain is not mirrored", "replies of a live connection are dropped, or all of them pass")
def _(patch: pytest.MonkeyPatch) -> None:
    proper = View.peer.fget  # type: ignore[attr-defined]  # a property, which mypy takes for its value
    patch.setattr(View, "peer", property(lambda self: proper(dataclasses.replace(self, mirrored=False))))


@_mutation("the mirrored chain reads the wrong port", "a reply is judged by the client's port")
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "port", Field.TH_DPORT)
    fields = {(one, way): lines_module._PORT_FIELDS[one, False] for one, way in lines_module._PORT_FIELDS}
    patch.setattr(lines_module, "_PORT_FIELDS", fields)


@_mutation("replies pass unasked", "a connection that a policy now denies lives on")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(chain: str, line: ChainRule) -> ChainRule:
        return ChainRule((*line.statements[:-1], ACCEPT)) if chain == "forward" and _goes_to(line, "reply") else line

    _on_ruleset(patch, wrong)


@_mutation("any epoch will do", "a tightened policy leaves live connections alone")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(_: str, line: ChainRule) -> ChainRule:
        def lax(one: Statement) -> Statement:
            if isinstance(one, Compare) and one.field is Field.CT_MARK:
                return dataclasses.replace(one, low=1, high=0xFFFFFFFF)
            return one

        return dataclasses.replace(line, statements=tuple(map(lax, line.statements)))

    _on_ruleset(patch, wrong)


@_mutation("the mark is written too early", "a connection that only one end allows passes from its second packet on")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(chain: str, line: ChainRule) -> ChainRule:
        if chain == "forward" and Judgement("jump", "ingress") in line.statements:
            return ChainRule((Judgement("goto", "stamp"),))
        return line

    _on_ruleset(patch, wrong)


@_mutation("the whole mark is overwritten", "the marks of other network components are lost")
def _(patch: pytest.MonkeyPatch) -> None:
    def wrong(_: str, line: ChainRule) -> ChainRule:
        def whole(one: Statement) -> Statement:
            return dataclasses.replace(one, mask=0xFFFFFFFF) if isinstance(one, StampMark) else one

        return dataclasses.replace(line, statements=tuple(map(whole, line.statements)))

    _on_ruleset(patch, wrong)


@_mutation("the node's own hook is forgotten", "an isolated pod reaches every port of its node")
def _(patch: pytest.MonkeyPatch) -> None:
    _on_ruleset(patch, lambda chain, line: None if chain == "input" else line)


def _goes_to(line: ChainRule, chain: str) -> bool:
    return Judgement("goto", chain) in line.statements
