"""The lines of one policy class: what stands in the chain that its pods share.

A class is a set of policies that select the same pods in one direction. Its chain asks, in this order,

    1. the rules whose peers are pods (or anybody): one line for each peer, the port first because it is
       the cheaper look, then the peer set, which is shared by every rule that has the same selector;
    2. the rules whose peers are names: one line for each set of names, which the DNS proxy fills, with pairs of a pod's
       address and what it has learned (`outgate.proxy.orders`); an answer of one pod opens nothing for another
    3. the rules whose peers are address blocks, all of them at once: one lookup in a map from
       (address, protocol, port) and one in a map from (address, protocol), whose disjoint elements lead to
       the rule that they come from;
    4. the default deny of the class.

Each line leads to the chain of its rule, which counts and returns: so no merging loses the rule. The
mirrored chain asks the same of a reply packet: source for destination, source port for destination port.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.model import Direction, Pod
from outgate.nft.denial import log_line
from outgate.nft.icmp_lines import icmp_types, without_icmp_types
from outgate.nft.members import Members, PeerMembers, PortMembers
from outgate.nft.names import named
from outgate.nft.objects import (
    LOCAL,
    RETURN,
    Chain,
    ChainRule,
    Compare,
    Counter,
    Field,
    Judgement,
    KeyType,
    Lookup,
    NftSet,
    SetKey,
    Statement,
    VerdictMap,
    goto,
)
from outgate.nft.options import Options
from outgate.packets import Address, AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import BlockMatch, NamedPort, PodMatch, Policies, Rule
from outgate.policy.rules import EVERY_POD, Action, NamesMatch, Origin, PeerMatch

__all__ = ["Registry", "View", "class_lines", "names_id", "rule_lines", "rule_parts", "rule_title", "stand_names"]

Elements = Mapping[SetKey, Judgement | None]
_PERHAPS: dict[bool, tuple[str, ...]] = {False: (), True: ("perhaps",)}
_ADDRESS_TYPE = {4: KeyType.IPV4_ADDR, 6: KeyType.IPV6_ADDR}
_PORT_FIELDS = {
    (Protocol.TCP, False): Field.TCP_DPORT,
    (Protocol.TCP, True): Field.TCP_SPORT,
    (Protocol.UDP, False): Field.UDP_DPORT,
    (Protocol.UDP, True): Field.UDP_SPORT,
    (Protocol.SCTP, False): Field.SCTP_DPORT,
    (Protocol.SCTP, True): Field.SCTP_SPORT,
}


@dataclass(frozen=True, slots=True)
class View:
    """How a chain looks at a packet: which family, which end is the peer, which port is the destination's."""

    direction: Direction
    family: int
    mirrored: bool = False

    @property
    def peer_type(self) -> Field:
        """What kind of address the other side has, for this node."""
        destination = (self.direction is Direction.EGRESS) != self.mirrored
        return Field.DADDR_TYPE if destination else Field.SADDR_TYPE

    @property
    def peer(self) -> Field:
        """The address of the other side."""
        destination = (self.direction is Direction.EGRESS) != self.mirrored
        if self.family == 4:
            return Field.IP_DADDR if destination else Field.IP_SADDR
        return Field.IP6_DADDR if destination else Field.IP6_SADDR

    @property
    def own(self) -> Field:
        """The address of this side: the pod's."""
        source = (self.direction is Direction.EGRESS) != self.mirrored
        if self.family == 4:
            return Field.IP_SADDR if source else Field.IP_DADDR
        return Field.IP6_SADDR if source else Field.IP6_DADDR

    @property
    def port(self) -> Field:
        """The destination port of the connection."""
        return Field.TH_SPORT if self.mirrored else Field.TH_DPORT

    def port_of(self, protocol: Protocol) -> Field:
        """The same, for one protocol."""
        return _PORT_FIELDS[protocol, self.mirrored]

    @property
    def letter(self) -> str:
        """The beginning of the chain's name: e4, e6, i4, i6, and an r for the mirrored one."""
        return f"{self.direction.value[0].lower()}{self.family}{'r' if self.mirrored else ''}"


@dataclass(slots=True)
class Registry:
    """The objects made so far, by name. The same name with another content is refused: it cannot happen.

    Names stand for contents (or for an identity that fixes the content), so a registry may outlive the policies that
    it was filled for: what is made again is found. `recording` tells which names one class uses.
    """

    options: Options = field(default_factory=Options)
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, NftSet] = field(default_factory=dict)
    members: dict[str, Members] = field(default_factory=dict)
    """Name of a peer set → who is in it."""
    _used: set[str] = field(default_factory=set)
    _named: dict[tuple[object, ...], tuple[object, str]] = field(default_factory=dict)
    """Names that were made already, by the identity of what they stand for, which is kept beside them."""

    def recording(self) -> set[str]:
        """A new, empty set, which from now on gets the name of whatever is made or found."""
        self._used = set()
        return self._used

    def add_set(self, one: NftSet) -> str:
        """Keep a set and give its name back."""
        self._used.add(one.name)
        if self.sets.setdefault(one.name, one).elements != one.elements:
            raise AssertionError(f"two sets share the name {one.name}")
        return one.name

    def add_members(self, name: str, members: Members, elements: Callable[[], Elements]) -> str:
        """Keep a peer set, filled the first time, and give its name back."""
        self._used.add(name)
        if name not in self.sets:
            self.members[name] = members
            self.sets[name] = members.declaration(name).holding(elements())
        return name

    def add_chain(self, prefix: str, rules: tuple[ChainRule, ...]) -> str:
        """Keep a chain under a name made of its content."""
        return self.add_named(named(prefix, (repr(rule) for rule in rules)), lambda: rules)

    def add_named(self, name: str, rules: Callable[[], Iterable[ChainRule]]) -> str:
        """Keep a chain, made the first time, under a name that fixes its content."""
        self._used.add(name)
        if name not in self.chains:
            self.chains[name] = Chain(name, tuple(rules()))
        return name

    def rule_chain(self, rule: Rule) -> Judgement:
        """The way to the chain that stands for one policy rule: count, and go back to be judged further."""
        name = self.name("r", rule, lambda: rule_parts(rule))
        return goto(self.add_named(name, lambda: self._allowing(name, rule_title(rule))))

    def name(self, prefix: str, thing: object, parts: Callable[[], Iterable[str]], *more: object) -> str:
        """The name of a thing, hashed once: a rule or a peer, which lives as long as the policies that it is of."""
        key = (prefix, id(thing), *more)
        found = self._named.get(key)
        if found is None:
            found = self._named[key] = thing, named(prefix, parts())
        return found[1]

    def keep(self, names: Collection[str]) -> None:
        """Forget every object but these."""
        self._named.clear()
        for many in (self.chains, self.sets, self.members):
            for name in many.keys() - names:
                del many[name]

    def _allowing(self, name: str, comment: str) -> Iterator[ChainRule]:
        if self.options.log_allowed:
            yield from log_line(name, self.options)
        yield ChainRule((Counter(), RETURN), comment)


def class_lines(
    policies: Policies,
    rules: Iterable[Rule],
    meanings: Mapping[NamedPort, TransportSet],
    view: View,
    registry: Registry,
) -> Iterator[ChainRule]:
    """All lines of a class chain but the last, the default deny."""
    plain = registry.options.unfiltered
    many = tuple(rule for rule in rules if rule.conditions is None or (plain and rule.conditions.dns))
    for rule in many:
        target = registry.rule_chain(rule)
        for statements in _selector_lines(policies, rule, meanings, view, registry):
            yield ChainRule((*statements, target), str(rule.origin))
    yield from _block_lines(policies, many, meanings, view, registry, registry.rule_chain)
    yield from _outside_lines(policies, many, meanings, view, registry, registry.rule_chain)


def rule_lines(
    policies: Policies,
    rule: Rule,
    meanings: Mapping[NamedPort, TransportSet],
    view: View,
    registry: Registry,
    target: Judgement,
) -> Iterator[ChainRule]:
    """The lines of one rule by itself, for where the order of rules counts: what it matches goes to `target`."""
    for statements in _selector_lines(policies, rule, meanings, view, registry):
        yield ChainRule((*statements, target), str(rule.origin))
    yield from _block_lines(policies, (rule,), meanings, view, registry, lambda _: target)
    yield from _outside_lines(policies, (rule,), meanings, view, registry, lambda _: target)


def rule_title(rule: Rule) -> str:
    """What a rule is called in comments: with the kind of its policy, which one of the whole cluster says itself."""
    origin = rule.origin
    return f"{origin.kind} {origin}" if origin.namespace else str(origin)


def rule_parts(rule: Rule) -> tuple[str, ...]:
    """What makes a rule the one that it is: the parts of the names of its chains."""
    origin = rule.origin
    policy = (origin.api_version, origin.kind, origin.namespace, origin.name)
    # A rule of Cilium's with several lists of ports becomes several: one chain stands for all of them.
    return (
        *policy,
        origin.direction.value,
        str(origin.rule),
        *(part for part in (origin.section, _spec(origin)) if part),
    )


def _spec(origin: Origin) -> str:
    return "" if origin.spec is None else str(origin.spec)


def _selector_lines(
    policies: Policies, rule: Rule, meanings: Mapping[NamedPort, TransportSet], view: View, registry: Registry
) -> Iterator[tuple[Statement, ...]]:
    numbers = _numbers(rule, meanings)
    ports = list(_port_statements(numbers, view, registry))
    # Whose an address is that several pods claim, cannot be told: it is denied with each of them, allowed with none.
    perhaps = rule.action is Action.DENY
    if rule.peers is None:
        yield from ports
    for peer in rule.peers or () if ports else ():
        look = _peer_look(policies, peer, view, registry, perhaps=perhaps)
        if look is not None:
            for statements in ports:
                yield (*statements, look)
    if rule.ports is not None and rule.direction is Direction.EGRESS:
        for name in rule.ports.names:
            among: tuple[PeerMatch | None, ...] = (None,) if rule.peers is None else rule.peers
            for one in among:
                if isinstance(one, NamesMatch) or (isinstance(one, BlockMatch) and one.outside):
                    continue  # ports are named by pods: neither a DNS name nor what is outside of the cluster is one's
                fields = (view.peer, Field.L4PROTO, view.port)
                named_set = _named_port_set(policies, one, name, view.family, registry, perhaps=perhaps)
                yield (Lookup(fields, named_set),)


def _peer_look(
    policies: Policies, peer: PeerMatch, view: View, registry: Registry, *, perhaps: bool
) -> Statement | None:
    """Whether the other side is among the peers; None for blocks, which are asked for together.

    To deny a node is to deny each address that it has, those of its bridges too, which no Node object lists: the
    kernel knows them. To allow it is to allow those that are known, and no listener of ours.
    """
    if isinstance(peer, BlockMatch) and peer.own_node and perhaps:
        return Compare(view.peer_type, LOCAL, LOCAL)
    if isinstance(peer, PodMatch):
        return Lookup((view.peer,), _peer_set(policies, peer, view.family, registry, perhaps=perhaps))
    if isinstance(peer, NamesMatch):
        return Lookup((view.own, view.peer), _names_set(peer, view.family, registry))
    return None


def names_id(peer: NamesMatch) -> str:
    """What the two kernel sets of some names are called behind ``f4_`` and ``f6_``: made of the patterns alone."""
    return named("", (part for one in peer.patterns for part in (one.dialect.value, one.text))).removeprefix("_")


def _names_set(peer: NamesMatch, family: int, registry: Registry) -> str:
    """The set of (pod, learned address). Its elements are the DNS proxy's; only that it stands is ours."""
    address = _ADDRESS_TYPE[family]
    name = f"f{family}_{names_id(peer)}"
    return registry.add_set(NftSet(name, (address, address), comment=str(peer), timeout=True))


def stand_names(rules: Iterable[Rule], family: int, registry: Registry) -> None:
    """Have the sets of all names in some rules stand.

    The DNS proxy is told of them (`outgate.host.name_orders`), and a rule may have no line that looks into its set: it
    has no port of this family, or is of the Baseline tier, behind policies that isolate.
    """
    for rule in rules:
        for peer in rule.peers or ():
            if isinstance(peer, NamesMatch):
                _names_set(peer, family, registry)


def _numbers(rule: Rule, meanings: Mapping[NamedPort, TransportSet]) -> TransportSet | None:
    """The port numbers of a rule, with what its names mean where that is already known; None for any."""
    if rule.ports is None:
        return None
    numbers = rule.ports.numbers
    for name in rule.ports.names:
        numbers |= meanings.get(name, TransportSet())
    return numbers


def _port_statements(numbers: TransportSet | None, view: View, registry: Registry) -> Iterator[tuple[Statement, ...]]:
    """The ways to say "one of these ports": nothing for any, a comparison for one range, else a set."""
    if numbers is None:
        yield ()
        return
    for types in icmp_types(numbers, view.family, mirrored=view.mirrored):
        yield (types,)
    numbers = without_icmp_types(numbers)
    points = [(protocol, span) for protocol, spans in numbers.items() for span in spans]
    for protocols in numbers.other.spans:
        yield (Compare(Field.L4PROTO, *protocols),)
    if len(points) == 1:
        protocol, (low, high) = points[0]
        if (low, high) == PORTS.spans[0]:
            yield (Compare(Field.L4PROTO, int(protocol), int(protocol)),)
        else:
            yield (Compare(view.port_of(protocol), low, high),)
    elif points:
        yield (Lookup((Field.L4PROTO, view.port), _port_set(numbers, registry)),)


def _port_set(numbers: TransportSet, registry: Registry) -> str:
    elements: dict[SetKey, Judgement | None] = {
        ((int(protocol), int(protocol)), span): None for protocol, spans in numbers.items() for span in spans
    }
    ranges = any(span[0] != span[1] for _, spans in numbers.items() for span in spans)
    name = named("t", (repr(sorted(elements, key=repr)),))
    key = (KeyType.INET_PROTO, KeyType.INET_SERVICE)
    return registry.add_set(NftSet(name, key, elements, interval=ranges))


def _peer_set(policies: Policies, peer: PodMatch, family: int, registry: Registry, *, perhaps: bool) -> str:
    """The set of the addresses that a selector covers now, `perhaps` or for sure; one for each selector."""

    def elements() -> Elements:
        # A stand-in address (Pod.addressed) is nobody's, a contested one might be another's.
        pods = (pod for pod in policies.selection.pods(peer) if pod.addressed)
        contested = policies.snapshot.contested
        mine = {one for pod in pods for one in pod.addresses if one.version == family}
        sure = (one for one in mine if perhaps or one not in contested)
        return {((value, value),): None for value in sorted(map(int, sure))}

    name = registry.name(f"p{family}", peer, lambda: ("pods", repr(peer), *_PERHAPS[perhaps]), perhaps)
    return registry.add_members(name, PeerMembers(peer, family, perhaps), elements)


def _named_port_set(
    policies: Policies, peer: PeerMatch | None, port: NamedPort, family: int, registry: Registry, *, perhaps: bool
) -> str:
    """The (address, protocol, port) of each pod that has such a port name, among the peers."""

    def elements() -> Elements:
        protocol = (int(port.protocol), int(port.protocol))
        return {
            ((int(address), int(address)), protocol, (number, number)): None
            for address, number in _named_ports(policies, peer, port)
            if address.version == family and (perhaps or address not in policies.snapshot.contested)
        }

    parts = ("named port", repr(peer), repr(port), *_PERHAPS[perhaps])
    name = registry.name(f"n{family}", peer, lambda: parts, port, perhaps)
    return registry.add_members(name, PortMembers(peer, port, family, perhaps), elements)


def _named_ports(policies: Policies, peer: PeerMatch | None, port: NamedPort) -> Iterator[tuple[Address, int]]:
    selection = policies.selection
    numbers = selection.port_numbers.get(port, {})
    pods: Iterable[Pod | None]
    pods = selection.pods(peer) if isinstance(peer, PodMatch) else (selection.snapshot.pod(*key) for key in numbers)
    for pod in pods:
        if pod is None or not pod.addressed:
            continue
        for number in sorted(numbers.get(pod.key, ())):
            for address in pod.addresses:
                if not isinstance(peer, BlockMatch) or address in selection.addresses(peer):
                    yield address, number


def _outside_lines(
    policies: Policies,
    rules: tuple[Rule, ...],
    meanings: Mapping[NamedPort, TransportSet],
    view: View,
    registry: Registry,
    target_of: Callable[[Rule], Judgement],
) -> Iterator[ChainRule]:
    """The same for blocks that mean nobody inside of the cluster: no pod, and no node as far as nodes are known."""
    if not any(isinstance(peer, BlockMatch) and peer.outside for rule in rules for peer in rule.peers or ()):
        return
    nodes: dict[SetKey, Judgement | None] = {
        (span,): None for span in policies.selection.places.every_node.family(view.family)
    }
    # What one pod or another has is inside for whoever allows, and for whoever denies nothing that is sure.
    perhaps = all(rule.action is not Action.DENY for rule in rules)
    pods = _peer_set(policies, EVERY_POD, view.family, registry, perhaps=perhaps)
    inside = [Lookup((view.peer,), pods, negated=True)]
    if nodes:
        name = named(f"h{view.family}", (repr(sorted(nodes)),))
        known = NftSet(name, (_ADDRESS_TYPE[view.family],), nodes, interval=True, comment="nodes")
        inside.append(Lookup((view.peer,), registry.add_set(known), negated=True))
    for line in _block_lines(policies, rules, meanings, view, registry, target_of, outside=True):
        yield ChainRule((*inside, *line.statements), line.comment)


def _block_lines(
    policies: Policies,
    rules: tuple[Rule, ...],
    meanings: Mapping[NamedPort, TransportSet],
    view: View,
    registry: Registry,
    target_of: Callable[[Rule], Judgement],
    *,
    outside: bool = False,
) -> Iterator[ChainRule]:
    """All address blocks of some rules in two maps; each packet belongs to the first rule that covers it."""
    covered = PacketSet.none()
    with_ports: dict[SetKey, Judgement | None] = {}
    without: dict[SetKey, Judgement | None] = {}
    of_types: dict[Compare, dict[SetKey, Judgement | None]] = {}
    for rule in rules:
        mine = [peer for peer in rule.peers or () if isinstance(peer, BlockMatch) and peer.outside is outside]
        # Who is in the cluster is asked in the line: pods come and go, and the map stays.
        parts = (peer.addresses if outside else policies.selection.addresses(peer) for peer in mine)
        blocks = AddressSet.union_of(parts)
        numbers = _numbers(rule, meanings)
        whole = PacketSet.cube(blocks.only(view.family), TransportSet.any() if numbers is None else numbers)
        for addresses, transports in whole - covered:
            target = target_of(rule)
            for span in addresses.family(view.family):
                for protocols in _whole_protocols(transports):
                    without[span, protocols] = target
                for protocol, ports in _some_ports(without_icmp_types(transports)):
                    with_ports[span, (protocol, protocol), ports] = target
                for types in icmp_types(transports, view.family, mirrored=view.mirrored):
                    of_types.setdefault(types, {})[(span,)] = target
        covered |= whole
    address = _ADDRESS_TYPE[view.family]
    for types, elements in of_types.items():
        yield ChainRule((types, VerdictMap((view.peer,), _block_map("c", (address,), elements, view, registry))))
    if with_ports:
        key: tuple[KeyType, ...] = (address, KeyType.INET_PROTO, KeyType.INET_SERVICE)
        fields: tuple[Field, ...] = (view.peer, Field.L4PROTO, view.port)
        yield ChainRule((VerdictMap(fields, _block_map("b", key, with_ports, view, registry)),))
    if without:
        fields = (view.peer, Field.L4PROTO)
        yield ChainRule((VerdictMap(fields, _block_map("a", (address, KeyType.INET_PROTO), without, view, registry)),))


def _block_map(
    prefix: str, key: tuple[KeyType, ...], elements: dict[SetKey, Judgement | None], view: View, registry: Registry
) -> str:
    name = named(f"{prefix}{view.family}", (repr(sorted(elements.items(), key=repr)),))
    return registry.add_set(NftSet(name, key, elements, interval=True, is_map=True))


def _whole_protocols(transports: TransportSet) -> Iterator[tuple[int, int]]:
    whole = [(int(one), int(one)) for one, spans in transports.items() if spans == PORTS]
    yield from IntervalSet.of(*transports.other.spans, *whole)


def _some_ports(transports: TransportSet) -> Iterator[tuple[int, tuple[int, int]]]:
    for protocol, spans in transports.items():
        if spans != PORTS:
            for span in spans:
                yield int(protocol), span
