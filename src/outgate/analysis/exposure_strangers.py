"""Pods that do not exist yet: with which labels a workload could reach them, or they the workload.

    rules of the workload's policies ──► one `Opening` for each peer ──► those that say the same put together,
                                                                         those that another one contains left out

An opening is a set of pods that anybody may make tomorrow, in whichever namespace lets them: whoever may create a pod
(or label a namespace) in there has what the opening gives. It is the workload's own half of the question. What the
policies of the new pod's namespace would say is not the workload's to know.

Openings are exact about pods that have an address and a network of their own: such a pod is let through if and only if
one of them matches it. A port name on egress stays a name, since each new pod says for itself what it stands for; on
ingress it is the workload's own and has its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from outgate.analysis.controller import for_everybody
from outgate.analysis.exposure_selectors import implied, of_namespace, simplified
from outgate.analysis.on_condition import Conditional, by_rules, chosen
from outgate.model import Direction
from outgate.model.cilium import ACCOUNT_LABEL
from outgate.model.labels import EVERYTHING, Labels, LabelSelector
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import Address, AddressSet, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy.grid import Grid
from outgate.policy.rules import Action, BlockMatch, Conditions, NamedPort, Origin, PeerMatch, PodMatch, Rule, Tier
from outgate.records import dataclass

__all__ = ["Opening", "openings"]

_GOVERNED = TransportSet.governed()
_Peers = tuple[LabelSelector, LabelSelector, AddressSet | None]
_Ruled = tuple[Rule, TransportSet, tuple[NamedPort, ...]]
_EVERYBODY: _Peers = (EVERYTHING, EVERYTHING, None)


@dataclass(frozen=True, slots=True)
class Opening:
    """Pods by what they would be, and what passes. `origins` is empty where no policy isolates the workload."""

    namespaces: LabelSelector
    """Of labels of the namespace, ``kubernetes.io/metadata.name`` among them."""
    pods: LabelSelector
    addresses: AddressSet | None
    """None: wherever the pod is. Otherwise its address has to be one of these, and its labels do not matter."""
    transports: TransportSet
    names: tuple[NamedPort, ...] = ()
    """Ports that each such pod gives a number to. Empty on ingress."""
    origins: tuple[Origin, ...] = ()
    asked: tuple[Conditional, ...] = ()
    """What is asked of some of the transports above TCP."""
    names_asked: tuple[tuple[NamedPort, tuple[Rule, ...]], ...] = ()
    """Of the names those of which something is asked, with the rules of which one must be met."""

    @property
    def openly(self) -> bool:
        """Whether anything passes without a request, a question or a name being chosen for it."""
        named = {name for name, rules in self.names_asked if _chooses(rules)}
        return bool(self.transports - chosen(self.asked)) or any(name not in named for name in self.names)

    @property
    def anybody(self) -> bool:
        """Whether it is any pod in any namespace."""
        return not self.namespaces and not self.pods and self.addresses is None

    def matches(self, namespace: Labels, pod: Labels, addresses: Iterable[Address]) -> bool:
        """Whether a pod of these labels, in a namespace of those, would be let through."""
        if self.addresses is not None:
            return any(one in self.addresses for one in addresses)
        return self.namespaces.matches(namespace) and self.pods.matches(pod)

    def contains(self, other: Opening) -> bool:
        """Whether whatever the other lets through, this one does too."""
        return (
            self._has_peers_of(other)
            and other.transports <= self.transports
            and self._has_names_of(other)
            and all(self._meets(one) for one in other.asked)
            and other._unasked <= self._unasked
        )

    @property
    def _unasked(self) -> TransportSet:
        found = self.transports
        for one in self.asked:
            found = found - one.transports
        return found

    def _meets(self, asked: Conditional) -> bool:
        """Whether whatever passes on a condition passes here."""
        left = asked.transports - self._unasked
        for one in self.asked:
            if _conditions(asked.rules) <= _conditions(one.rules):
                left = left - one.transports
        return not left

    def _has_peers_of(self, other: Opening) -> bool:
        if self.addresses is not None:
            return self.addresses == AddressSet.any() or (
                other.addresses is not None and other.addresses <= self.addresses
            )
        if other.addresses is not None:
            return self.anybody
        return implied(other.namespaces, self.namespaces) and implied(other.pods, self.pods)

    def _has_names_of(self, other: Opening) -> bool:
        mine, theirs = dict(self.names_asked), dict(other.names_asked)
        return all(
            self._unasked.of(name.protocol) == PORTS
            or (
                name in self.names
                and (name not in mine or _conditions(theirs.get(name, ())) <= _conditions(mine[name]) != frozenset())
                and (name not in mine or name in theirs)
            )
            for name in other.names
        )


def _conditions(rules: Iterable[Rule]) -> frozenset[Conditions | None]:
    return frozenset(rule.conditions for rule in rules)


def _chooses(rules: tuple[Rule, ...]) -> bool:
    return Conditional(Direction.EGRESS, TransportSet(), rules).chooses


_ANYBODY = Opening(*_EVERYBODY, _GOVERNED)


def openings(grid: Grid, number: int, direction: Direction) -> tuple[Opening, ...]:
    """Whom an identity could reach, or who could reach it, of the pods that are not there yet: the widest first."""
    key = grid.keys[direction][number]
    if not key:
        return (_ANYBODY,)
    found: dict[_Peers, list[_Ruled]] = {}
    standing = grid.standing(key, direction)
    left = _Left(grid, number)
    for rule in standing.every_rule():
        transports, names = left.of(rule)
        if not transports and not names:
            continue
        for namespaces, pods, addresses in _peers(rule, by_address=grid.policies.profile.blocks_match_pods):
            found.setdefault((namespaces, pods, addresses), []).append((rule, transports, names))
    many = {peers: _together(peers, ruled) for peers, ruled in found.items()}
    rest = _GOVERNED - left.ended - left.caught
    if not standing.policies and rest:
        many[_EVERYBODY] = _beside(many.get(_EVERYBODY), rest)
    return tuple(_widest(sorted(many.values(), key=_order)))


def _together(peers: _Peers, ruled: list[_Ruled]) -> Opening:
    """All that rules say of the same pods: what one of them asks nothing of, passes."""
    transports, plain = TransportSet(), TransportSet()
    for rule, mine, _ in ruled:
        transports |= mine
        plain |= mine if rule.conditions is None else TransportSet()
    direction = ruled[0][0].direction
    asking = [(rule, mine) for rule, mine, _ in ruled if rule.conditions is not None]
    asked = tuple(Conditional(direction, part, rules) for part, rules in by_rules(transports - plain, asking))
    by_name: dict[NamedPort, list[Rule]] = {}
    for rule, _, names in ruled:
        for name in names:
            by_name.setdefault(name, []).append(rule)
    names_asked = ((name, rules) for name, rules in by_name.items() if all(one.conditions is not None for one in rules))
    return Opening(
        *peers,
        transports,
        tuple(by_name),
        tuple(dict.fromkeys(rule.origin for rule, _, _ in ruled)),
        asked,
        tuple((name, tuple(rules)) for name, rules in names_asked),
    )


def _beside(known: Opening | None, rest: TransportSet) -> Opening:
    """What nobody decides passes, beside what rules say of everybody."""
    if known is None:
        return Opening(*_EVERYBODY, rest)
    cut = (replace(one, transports=one.transports - rest) for one in known.asked)
    return replace(known, transports=known.transports | rest, asked=tuple(one for one in cut if one.transports))


class _Left:
    """What the rules before have left of a rule, in their order, for pods of which nothing is known.

    Only a rule that speaks of every pod takes anything from those that follow. One that speaks of some leaves it, so
    what is told may be more than what a given stranger gets: an opening says what could be.
    """

    def __init__(self, grid: Grid, number: int) -> None:
        self._grid = grid
        self._number = number
        self._passed = TransportSet()
        self.ended = TransportSet()
        """What is decided for everybody."""
        self.caught = TransportSet()
        """What rules of the NetworkPolicy tier allow everybody: the Baseline tier is not asked of it any more."""

    def of(self, rule: Rule) -> tuple[TransportSet, tuple[NamedPort, ...]]:
        """The ports and names of ports that a rule opens."""
        transports, names = _ports(self._grid, rule, self._number)
        if rule.tier is Tier.NETWORK_POLICY:
            transports = transports - self.ended
            if rule.action is Action.DENY:
                self.ended |= transports if _is_of_every_pod(rule) else TransportSet()
                return TransportSet(), ()
            self.caught |= transports if _is_of_every_pod(rule) else TransportSet()
            return transports, names
        if rule.tier is Tier.BASELINE:
            transports = transports - self.caught
        gone = self.ended | self._passed if rule.tier is Tier.ADMIN else self.ended
        transports = transports - gone
        if rule.action is Action.ACCEPT:
            self.ended |= transports if for_everybody(rule) else TransportSet()
            return transports, names
        if for_everybody(rule):
            if rule.action is Action.DENY:
                self.ended |= transports
            elif rule.tier is Tier.ADMIN:
                self._passed |= transports
        return TransportSet(), ()


def _is_of_every_pod(rule: Rule) -> bool:
    """Whether a rule speaks of every pod by its selectors. Cilium's blocks speak of none."""
    everybody = (_selectors(peer) == (EVERYTHING, EVERYTHING) for peer in rule.peers or ())
    return rule.peers is None or any(everybody)


def _ports(grid: Grid, rule: Rule, number: int) -> tuple[TransportSet, tuple[NamedPort, ...]]:
    if rule.ports is None:
        return _GOVERNED, ()
    if rule.direction is Direction.EGRESS:
        return rule.ports.numbers & _GOVERNED, rule.ports.names
    transports = rule.ports.numbers
    for mine, _ in grid.into(rule, number, 4):
        transports |= grid.transports.sets[mine]
    return transports & _GOVERNED, ()


def _peers(rule: Rule, *, by_address: bool) -> Iterator[tuple[LabelSelector, LabelSelector, AddressSet | None]]:
    if rule.peers is None:
        yield EVERYTHING, EVERYTHING, None
        return
    blocks = [peer.addresses for peer in rule.peers if isinstance(peer, BlockMatch) and not peer.outside]
    if blocks and by_address and (addresses := AddressSet.union_of(blocks)):
        yield EVERYTHING, EVERYTHING, addresses
    for peer in rule.peers:
        selectors = _selectors(peer)
        if selectors is not None:
            yield *selectors, None


def _selectors(peer: PeerMatch) -> tuple[LabelSelector, LabelSelector] | None:
    """What a peer asks of a namespace and of a pod; None for addresses, and where nothing can have both.

    Its ServiceAccount is a label of a pod like the others, as Cilium has it, and one that no pod is without.
    """
    if not isinstance(peer, PodMatch):
        return None
    namespaces = of_namespace(peer.namespace or "") if peer.namespaces is None else peer.namespaces
    where, who = simplified(namespaces, always=NAME_LABEL), simplified(peer.pods)
    accounts = simplified(peer.accounts, always=ACCOUNT_LABEL)
    if where is None or who is None or accounts is None:
        return None
    return where, LabelSelector(tuple(sorted((*who.requirements, *accounts.requirements))))


def _order(one: Opening) -> tuple[object, ...]:
    """Anybody first, then by few requirements: what is wide stands before what it contains."""
    asked = len(one.namespaces.requirements) + len(one.pods.requirements)
    blocks = () if one.addresses is None else one.addresses.cidrs()
    return one.addresses is not None, asked, str(one.namespaces), str(one.pods), blocks


def _widest(many: list[Opening]) -> Iterator[Opening]:
    """Those that no other contains; of two that contain each other, the first."""
    kept: list[Opening] = []
    for one in many:
        if not any(other.contains(one) for other in kept):
            kept = [other for other in kept if not one.contains(other)]
            kept.append(one)
    yield from kept
