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
from outgate.model import Direction
from outgate.model.labels import EVERYTHING, Labels, LabelSelector
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import Address, AddressSet, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy.grid import Grid
from outgate.policy.rules import Action, BlockMatch, NamedPort, Origin, PeerMatch, PodMatch, Rule, Tier
from outgate.records import dataclass

__all__ = ["Opening", "openings"]

_GOVERNED = TransportSet.governed()


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
        return self._has_peers_of(other) and other.transports <= self.transports and self._has_names_of(other)

    def _has_peers_of(self, other: Opening) -> bool:
        if self.addresses is not None:
            return self.addresses == AddressSet.any() or (
                other.addresses is not None and other.addresses <= self.addresses
            )
        if other.addresses is not None:
            return self.anybody
        return implied(other.namespaces, self.namespaces) and implied(other.pods, self.pods)

    def _has_names_of(self, other: Opening) -> bool:
        return all(name in self.names or self.transports.of(name.protocol) == PORTS for name in other.names)


_ANYBODY = Opening(EVERYTHING, EVERYTHING, None, _GOVERNED)


def openings(grid: Grid, number: int, direction: Direction) -> tuple[Opening, ...]:
    """Whom an identity could reach, or who could reach it, of the pods that are not there yet: the widest first."""
    key = grid.keys[direction][number]
    if not key:
        return (_ANYBODY,)
    found: dict[tuple[LabelSelector, LabelSelector, AddressSet | None], Opening] = {}
    standing = grid.standing(key, direction)
    left = _Left(grid, number)
    for rule in standing.every_rule():
        transports, names = left.of(rule)
        if not transports and not names:
            continue
        for namespaces, pods, addresses in _peers(rule, by_address=grid.policies.profile.blocks_match_pods):
            one = Opening(namespaces, pods, addresses, transports, names, (rule.origin,))
            known = found.get((namespaces, pods, addresses))
            found[namespaces, pods, addresses] = one if known is None else _both(known, one)
    rest = _GOVERNED - left.ended
    if not standing.policies and rest:
        found[EVERYTHING, EVERYTHING, None] = Opening(EVERYTHING, EVERYTHING, None, rest)
    return tuple(_widest(sorted(found.values(), key=_order)))


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

    def of(self, rule: Rule) -> tuple[TransportSet, tuple[NamedPort, ...]]:
        """The ports and names of ports that a rule opens."""
        transports, names = _ports(self._grid, rule, self._number)
        if rule.tier is Tier.NETWORK_POLICY:
            return transports - self.ended, names
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
    """What a peer asks of a namespace and of a pod; None for addresses, and where nothing can have both."""
    if not isinstance(peer, PodMatch):
        return None
    namespaces = of_namespace(peer.namespace or "") if peer.namespaces is None else peer.namespaces
    where, who = simplified(namespaces, always=NAME_LABEL), simplified(peer.pods)
    return None if where is None or who is None else (where, who)


def _both(one: Opening, other: Opening) -> Opening:
    return replace(
        one,
        transports=one.transports | other.transports,
        names=tuple(dict.fromkeys((*one.names, *other.names))),
        origins=tuple(dict.fromkeys((*one.origins, *other.origins))),
    )


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
