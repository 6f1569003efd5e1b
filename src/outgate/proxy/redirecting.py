"""From the policies of pods to redirects: which of their connections Envoy looks into, and by which rules.

The kernel has decided by the same rules which connections come here (`outgate.nft.redirects`); here it is said once
more by addresses and ports which rule is about which of them, so that no rule lets through what another is about. What
is allowed without conditions is listed, too: no new connection comes here by it, but one that is here already, from a
time when a rule about requests was about it, goes on and is not refused. What is denied before anything is asked the
kernel drops, also between the pod and Envoy; it is left out here all the same, for the two do not change at one moment.

A peer that is known by DNS names stands for what each pod has learned, so there a redirect is of one pod. What it has
learned no more is listed as well, for connections that are kept, but not where another rule looks: what is new there is
caught by that one, and would pass as if it were asked of the name that has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from outgate.model import Direction, Pod
from outgate.packets import Address, AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import Action, BlockMatch, Origin, PodMatch, Policies, Rule
from outgate.policy.requests import is_looked_into
from outgate.policy.rules import Conditions, NamesMatch
from outgate.policy.tiers import Isolation
from outgate.proxy.redirect import Allowance, Redirect

__all__ = ["Learned", "redirects_of", "rule_name"]

_FREE = "no policy isolates the pod"
"""What stands in the place of a rule where none is needed."""
_PORTS = IntervalSet.of((1, PORTS.spans[-1][1]))


def rule_name(origin: Origin) -> str:
    """What a rule is called where a refusal is told of."""
    return f"{origin.kind} {origin}" if origin.namespace else str(origin)


Learned = Callable[[NamesMatch, Address], AddressSet]
"""The addresses that the pod with an address has learned for some names."""


def _nothing(_names: NamesMatch, _pod: Address) -> AddressSet:
    return AddressSet()


def redirects_of(
    policies: Policies,
    pods: Iterable[Pod],
    free: Collection[tuple[str, str]] = (),
    learned: Learned = _nothing,
    audited: Collection[tuple[str, str, str]] = (),
    lingering: Learned = _nothing,
) -> tuple[Redirect, ...]:
    """The redirects for some pods; those that share their rules share their redirects.

    The pods are those whose connections are caught, or were: what is here of the others goes on as it is allowed now.
    `free` are the keys of those that nothing isolates. What names stand for each pod has `learned` for itself.
    `lingering` is what was learned and is no more.
    `audited` are kind, namespace and name of policies that are only watched, so that they deny nothing.
    """
    together: dict[tuple[object, ...], tuple[Isolation, bool, list[Address]]] = {}
    for pod in pods:
        isolation, is_free = policies.isolation(pod, Direction.EGRESS), pod.key in free
        mine = [one for one in pod.addresses if one not in policies.snapshot.contested]
        key = (*(tuple(map(id, one)) for one in (isolation.rules, isolation.admin, isolation.denials)), is_free)
        together.setdefault(key, (isolation, is_free, []))[2].extend(mine)
    made: list[Redirect] = []
    for isolation, is_free, sources in together.values():
        by_name = any(isinstance(peer, NamesMatch) for rule in isolation.every_rule() for peer in rule.peers or ())
        for some in [(one,) for one in sources] if by_name else [tuple(sources)]:
            look = _Looking(policies, learned, some, audited, lingering)
            made += _of_class(look, isolation, is_free=is_free)
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Looking:
    """Pods of one class, by their addresses: of one alone, where names stand for other addresses to each."""

    policies: Policies
    learned: Learned
    sources: tuple[Address, ...]
    audited: Collection[tuple[str, str, str]]
    lingering: Learned


def _of_class(look: _Looking, isolation: Isolation, *, is_free: bool) -> Iterator[Redirect]:
    denied = _denied(look, isolation)
    looking = [rule for rule in isolation.rules if is_looked_into(rule)]
    watched = PacketSet.union_of(cube for rule in looking for flow in _flows(look, rule) for cube in _packets(*flow))
    for rule in isolation.rules:
        if rule.conditions is not None and not is_looked_into(rule):
            continue
        conditions = rule.conditions or Conditions()
        allowed = Allowance(rule_name(rule.origin), conditions.http, conditions.server_names)
        for packets in (*(_packets(*flow) for flow in _flows(look, rule)), _lingering(look, rule) - watched):
            yield from _redirects(look.sources, packets - denied, allowed)
    for allowed, packets in _besides(look, isolation, watched, is_free=is_free):
        yield from _redirects(look.sources, packets - denied, allowed)


def _denied(look: _Looking, isolation: Isolation) -> PacketSet:
    """What policies of Cilium's deny before anything is asked."""
    rules = (
        rule
        for rule in isolation.denials
        if (rule.origin.kind, rule.origin.namespace, rule.origin.name) not in look.audited
    )
    return PacketSet.union_of(cube for rule in rules for flow in _flows(look, rule) for cube in _packets(*flow))


def _besides(
    look: _Looking, isolation: Isolation, watched: PacketSet, *, is_free: bool
) -> Iterator[tuple[Allowance, PacketSet]]:
    """What is allowed without a rule of the NetworkPolicy tier: by the Admin tier, and to whom nothing isolates.

    Of what the Admin tier accepts, whatever it also says otherwise is left out: which comes first is the kernel's to
    say, and what is left out here is refused. `watched` is what rules about requests are about.
    """
    rules = [rule for layer in isolation.admin for rule in layer.rules]
    flows = [(rule, _packets(*one)) for rule in rules for one in _flows(look, rule)]
    others = PacketSet.union_of(cube for rule, packets in flows if rule.action is not Action.ACCEPT for cube in packets)
    for rule, packets in flows:
        if rule.action is Action.ACCEPT:
            yield Allowance(rule_name(rule.origin)), packets - others
    for rule in rules:
        if rule.action is Action.ACCEPT:
            yield Allowance(rule_name(rule.origin)), _lingering(look, rule) - others - watched
    if is_free:
        yield Allowance(_FREE), _packets(AddressSet.any(), _PORTS) - watched


def _packets(places: AddressSet, ports: IntervalSet) -> PacketSet:
    return PacketSet.cube(places, TransportSet.ports(Protocol.TCP, ports))


def _redirects(sources: tuple[Address, ...], packets: PacketSet, allowed: Allowance) -> Iterator[Redirect]:
    for places, transports in packets:
        yield Redirect(sources, tuple(places.networks()), transports.of(Protocol.TCP).spans, (allowed,))


def _flows(look: _Looking, rule: Rule) -> Iterator[tuple[AddressSet, IntervalSet]]:
    """The destinations of a rule and the TCP ports there."""
    selection, places = look.policies.selection, _destinations(look.policies, rule)
    if rule.ports is None:
        yield places | _learned(look, rule), _PORTS
        return
    # Ports are named by pods, and a name is never a pod's.
    yield places | _learned(look, rule), _tcp(rule.ports.numbers.items()) & _PORTS
    for name in rule.ports.names:
        for numbers, there in selection.named_port(name):
            yield places & there, _tcp(numbers.items()) & _PORTS


def _learned(look: _Looking, rule: Rule) -> AddressSet:
    names = [one for one in rule.peers or () if isinstance(one, NamesMatch)]
    return AddressSet.union_of(look.learned(one, pod) for one in names for pod in look.sources)


def _lingering(look: _Looking, rule: Rule) -> PacketSet:
    """What a rule was about by names, to addresses that are not learned for them any more."""
    names = [one for one in rule.peers or () if isinstance(one, NamesMatch)]
    places = AddressSet.union_of(look.lingering(one, pod) for one in names for pod in look.sources)
    return _packets(places, _PORTS if rule.ports is None else _tcp(rule.ports.numbers.items()) & _PORTS)


def _tcp(items: Iterable[tuple[Protocol, IntervalSet]]) -> IntervalSet:
    found: Mapping[Protocol, IntervalSet] = dict(items)
    return found.get(Protocol.TCP, IntervalSet())


def _destinations(policies: Policies, rule: Rule) -> AddressSet:
    if rule.peers is None:
        return AddressSet.any()
    known = (one for one in rule.peers if isinstance(one, PodMatch | BlockMatch))
    return AddressSet.union_of(map(policies.selection.addresses, known))
