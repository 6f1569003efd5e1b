"""What may pass: for one pod and one direction, a partition of all packets.

    A pod is isolated for a direction when at least one NetworkPolicy selects it and names the direction.
    Isolated: allowed is the union of what the rules of those policies allow; all the rest is denied.
    Not isolated: everything is allowed.
    Before and after that come the tiers of the cluster's policies (`outgate.policy.tiers`).

Packets are taken as policy sees them: after the translation of Service addresses, unless the profile says that
egress is judged before it. There is no order among NetworkPolicies. Where several rules allow a packet, the first by
policy name and rule index is named; where none does, the isolating policy with the fewest rules. Pods selected by the
same policies share one decision (and, for ingress, the numbers that their port names stand for).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Iterator

from outgate.model import ClusterPolicy, Direction, Pod, Policy, Snapshot
from outgate.packets import Address, AddressSet, PacketSet, TransportSet
from outgate.packets.packetset import Cube
from outgate.policy.endpoints import LOOPBACK
from outgate.policy.profile import OUTGATE, PASSING_ICMP, Profile
from outgate.policy.rules import NamedPort, Origin, PodMatch, Rule, Verdict
from outgate.policy.selection import PodKey, Selection, resolve
from outgate.policy.tiers import Isolation, Layer, layers, partition
from outgate.records import dataclass

__all__ = ["ClassKey", "Decision", "Isolation", "Part", "Policies", "decide"]

ClassKey = tuple[Direction, tuple[tuple[Hashable, ...], ...], tuple[tuple[NamedPort, TransportSet], ...]]
"""What a decision depends on: direction, which policies speak of the pod, meanings of the port names."""


_ICMP = PacketSet.cube(AddressSet.any(), PASSING_ICMP)


@dataclass(frozen=True, slots=True)
class Part:
    """Some packets, what happens to them, and who says so (None: nobody, the pod is not isolated)."""

    packets: PacketSet
    verdict: Verdict
    origin: Origin | None
    conditional: bool = False
    """Whether something above TCP is asked as well, by the rule that allows it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A partition of all packets: the parts are disjoint and together make `PacketSet.any()`.

    Addresses are those of the other side; ports are destination ports in both directions.
    """

    direction: Direction
    isolated_by: tuple[Origin, ...]
    parts: tuple[Part, ...]
    governed: bool = False
    """Whether any policy selects the pod in this direction, those of the whole cluster included."""

    @property
    def isolated(self) -> bool:
        """Whether any NetworkPolicy selects the pod in this direction."""
        return bool(self.isolated_by)

    def allowed(self) -> PacketSet:
        """Everything that may pass."""
        found = PacketSet.none()
        for part in self.parts:
            if part.verdict.allows:
                found |= part.packets
        return found


class Policies:
    """The policies of one snapshot, ready to be asked. Keep it for as long as the snapshot."""

    def __init__(self, snapshot: Snapshot, profile: Profile = OUTGATE) -> None:
        self.snapshot = snapshot
        self.profile = profile
        self.selection = Selection(snapshot, profile)
        self._decisions: dict[ClassKey, Decision] = {}
        self._isolations: dict[tuple[PodKey, Direction], Isolation] = {}

    def isolation(self, pod: Pod, direction: Direction) -> Isolation:
        """Which policies select a pod in a direction, and all their rules."""
        found = self._isolations.get((pod.key, direction))
        if found is None:
            selecting = self.selection.selecting(pod, direction)
            found = Isolation.of(selecting, direction, self.rules_for(pod, direction), self.layers(pod, direction))
            self._isolations[pod.key, direction] = found
        return found

    def layers(self, pod: Pod, direction: Direction) -> tuple[Layer, ...]:
        """The layers of the policies of the cluster that govern a pod."""
        governing, rules = self.selection.governing(pod, direction), self.selection.rules

        def of(policy: ClusterPolicy) -> tuple[Rule, ...]:
            return rules(policy, direction, self.selection.standpoint(pod, policy))

        return tuple(layers(governing, direction, of))

    def class_of(self, pod: Pod, direction: Direction) -> ClassKey:
        """The policy class of a pod: pods with equal keys are treated alike, so they share a kernel chain."""
        isolation = self.isolation(pod, direction)
        names: dict[NamedPort, TransportSet] = {}
        if direction is Direction.INGRESS:
            # K/types: on ingress a port name is resolved on the selected pod itself.
            for rule in isolation.every_rule():
                for name in rule.ports.names if rule.ports else ():
                    names[name] = resolve((name,), pod)
        meanings = tuple(sorted(names.items(), key=lambda item: (item[0].protocol, item[0].name)))
        names_of = ((one.namespace, one.name) for one in self.selection.network_policies(pod, direction))
        governing = self.selection.governing(pod, direction)
        above = ((one.kind, one.namespace, one.name) for one in governing)
        hanging: list[Policy] = [*self.selection.of_cilium(pod, direction), *filter(self.selection.hangs, governing)]
        standing = ((id(one), self.selection.standpoint(pod, one)) for one in hanging)
        return direction, (*names_of, *above, *standing), meanings

    def rules(self, policies: Iterable[Policy], direction: Direction) -> Iterator[Rule]:
        """All rules of some policies in a direction, in the order in which they are named, as seen from anywhere."""
        for policy in policies:
            yield from self.selection.rules(policy, direction)

    def rules_for(self, pod: Pod, direction: Direction) -> Iterator[Rule]:
        """The rules of the NetworkPolicy tier for a pod, those that deny among them."""
        for policy in self.selection.ruling(pod, direction):
            yield from self.selection.rules(policy, direction, self.selection.standpoint(pod, policy))

    def decision(self, pod: Pod, direction: Direction) -> Decision:
        """The decision for a pod, before the two exemptions that hang on the pod alone (see `decide`)."""
        key = self.class_of(pod, direction)
        found = self._decisions.get(key)
        if found is None:
            found = self._decisions[key] = self._decide(self.isolation(pod, direction), key, direction)
        return found

    def _decide(self, isolation: Isolation, key: ClassKey, direction: Direction) -> Decision:
        if not isolation.governed:
            return Decision(direction, (), (Part(PacketSet.any(), Verdict.ALLOW, None),))
        meanings = dict(key[2])
        rest, parts = PacketSet.any(), []
        if self.profile.icmp_passes:
            parts.append(Part(_ICMP, Verdict.ALLOW, None))
            rest = rest - _ICMP
        for packets, verdict, rule in partition(isolation, rest, lambda rule: self.packets_of(rule, meanings)):
            denier = None if verdict.allows else next(iter(isolation.origins), None)
            conditional = rule is not None and rule.conditions is not None
            parts.append(Part(packets, verdict, denier if rule is None else rule.origin, conditional))
        return Decision(direction, isolation.origins, tuple(parts), governed=True)

    def allowed_at(self, pod: Pod, direction: Direction, address: Address) -> Iterator[tuple[TransportSet, Rule]]:
        """What rules allow between a pod and one address, disjoint, in the order in which they are asked.

        The same as `decision` has of the address: all of it for the sake of one address takes longer than linear time.
        """
        isolation, meanings = self.isolation(pod, direction), dict(self.class_of(pod, direction)[2])
        everything = TransportSet.any() - PASSING_ICMP if self.profile.icmp_passes else TransportSet.any()
        parts = partition(isolation, everything, lambda rule: self.packets_of(rule, meanings).transports(address))
        return ((transports, rule) for transports, verdict, rule in parts if verdict.allows and rule is not None)

    def packets_of(self, rule: Rule, meanings: dict[NamedPort, TransportSet] | None = None) -> PacketSet:
        """Exactly the packets that a rule matches. `meanings`: of port names, for ingress."""
        peers = None if rule.peers is None else [self.selection.addresses(peer) for peer in rule.peers]
        addresses = AddressSet.any() if peers is None else AddressSet.union_of(peers)
        cubes: list[Cube] = list(self.selection.service_addresses(rule))
        if rule.ports is None:
            whole = PacketSet.cube(addresses, TransportSet.any())
            return whole | PacketSet.union_of(cubes) if cubes else whole
        cubes.append((addresses, rule.ports.numbers))
        for name in rule.ports.names:
            if rule.direction is Direction.INGRESS:
                cubes.append((addresses, (meanings or {}).get(name, TransportSet())))
            else:
                cubes.extend(self._named(name, self._with_names(rule, addresses)))
        return PacketSet.union_of(cubes)

    def _with_names(self, rule: Rule, addresses: AddressSet) -> AddressSet:
        """Those of the addresses of an egress rule at which a port name can mean something."""
        if not self.profile.names_need_selectors:
            return addresses
        selectors = (peer for peer in rule.peers or () if isinstance(peer, PodMatch))
        return AddressSet.union_of(self.selection.addresses(peer) for peer in selectors)

    def _named(self, name: NamedPort, addresses: AddressSet) -> Iterator[Cube]:
        """Where a port name leads: each destination pod among `addresses` says for itself."""
        for transports, theirs in self.selection.named_port(name):
            yield theirs & addresses, transports


def decide(policies: Policies, pod: Pod, direction: Direction) -> Decision:
    """A pod's decision with its own exemptions in front.

    concept page: "a Pod cannot block access to itself"; types.go, NetworkPolicySpec.ingress: traffic is allowed
    "if the traffic source is the pod's local node".
    """
    shared = policies.decision(pod, direction)
    if not shared.governed:
        return shared
    exempt = AddressSet.of(pod.addresses)
    if direction is Direction.EGRESS:
        exempt |= LOOPBACK
    if direction is Direction.INGRESS or policies.profile.own_node_exempt:
        exempt |= policies.selection.node_addresses(pod.node)
    free = PacketSet.cube(exempt, TransportSet.any())
    rest = tuple(dataclasses.replace(part, packets=part.packets - free) for part in shared.parts)
    kept = (Part(free, Verdict.ALLOW, None), *(part for part in rest if part.packets))
    return Decision(direction, shared.isolated_by, kept, shared.governed)
