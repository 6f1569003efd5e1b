"""Which names are asked for and moved, to see that rules about names hold while names change. Pure.

For each rule about names, each pod that it is about, and each family: the names that were given and that the rule
means, or one made of its pattern. A name has three stations: where it leads first, where it moves to, and where it
leads then over two aliases. The rounds come one after the other, each with what the policies make of it at that moment,
which is a matter of who has been told what:

    unasked    what the name leads to is dialled, and nobody has asked for it
    asked      on each node one pod asks and dials
    other      the other pods dial what they have not been told
    asked      they ask as well
    moved      the name leads elsewhere: it is asked for again, and dialled there
    aliased    it leads elsewhere over aliases
    old        its first two stations are dialled when their time is over; where it leads now is asked for and dialled

A name of a headless Service that a rule means leads to its pods and moves nowhere: the rounds end for it where all have
asked.

Where a rule looks into connections, requests are made instead (`outgate.lab.requests`): one that it lets through at
each moment, and after the first two answers one that it does not.

Besides, pods whose questions are restricted (Cilium's ``rules.dns``) ask for a name that they may ask for, and for one
that they may not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from outgate.analysis.names import having_asked_for
from outgate.lab.everything import planner
from outgate.lab.names import DNS_PORT, DOMAIN, Zone, service_name
from outgate.lab.outside import Outside
from outgate.lab.plan import Draft, Lookup, Party, Probe, Via
from outgate.lab.requests import RequestProbe, requests_of
from outgate.lab.topology import Topology
from outgate.model import Direction, Pod, Snapshot
from outgate.packets import Address, AddressSet, IntervalSet, Protocol
from outgate.policy import Endpoint, Judge, Origin, Policies, Rule
from outgate.policy.meeting import About
from outgate.policy.names import Dialect, Pattern, canonical
from outgate.policy.requests import is_looked_into
from outgate.policy.rules import NamesMatch

__all__ = [
    "TTL",
    "Expected",
    "Moment",
    "NamePlan",
    "NameProbe",
    "NameQuestion",
    "NameRequest",
    "NameWishes",
    "Round",
    "plan_names",
]

TTL = 1
"""Seconds for which a name that moves may be kept, where nobody says otherwise."""
MOST_NAMES = 20
"""Names of one rule that are asked for."""

_MOST_HEADLESS = 3
"""Names of headless Services among them."""
_STATIONS = 3
_STRANGER = "outgate-asks.nobody.invalid"
_HTTPS = (Protocol.TCP, 443)


class Moment(enum.Enum):
    """What has happened to a name, in words that stand before what came of a connection."""

    UNASKED = "unasked"
    ASKED = "asked"
    OTHER = "asked by another pod"
    MOVED = "moved"
    ALIASED = "moved behind aliases"
    OLD = "old addresses"
    AGAIN = "asked again"


class Expected(enum.Enum):
    """What a question is answered."""

    ANSWERED = "answered"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class NameWishes:
    """What was asked for of names."""

    names: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    moves: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    """Where a name moves to; a fresh address where nothing is said."""
    ttl: int = TTL
    families: tuple[int, ...] = (4, 6)
    namespace: str | None = None
    """Only pods of this namespace ask."""
    proxied: bool = False
    """There is a proxy for rules that look into connections."""


@dataclass(frozen=True, slots=True)
class NameProbe:
    """One probe of a round, and for whose sake it is made."""

    moment: Moment
    probe: Probe
    name: str
    rule: Origin


@dataclass(frozen=True, slots=True)
class NameRequest:
    """One request of a round, on the flow of a probe; its question comes first, where it has one."""

    moment: Moment
    probe: Probe
    name: str
    request: RequestProbe


@dataclass(frozen=True, slots=True)
class Round:
    """What is tried at one time."""

    zone: Zone
    """What names lead to then."""
    probes: tuple[NameProbe, ...]
    requests: tuple[NameRequest, ...] = ()
    late: bool = False
    """It is for when nothing of the old addresses is open any more."""


@dataclass(frozen=True, slots=True)
class NameQuestion:
    """One question of a pod that has lists of names that it may ask for."""

    box: str
    source: Endpoint
    server: Address
    name: str
    protocol: Protocol
    expected: Expected


@dataclass(frozen=True, slots=True)
class NamePlan:
    """The rounds in their order, what is asked besides, and in sentences what is not."""

    policies: Policies | None = None
    """Those of a cluster in which nobody has been told anything; None where nothing is asked."""
    stations: Mapping[str, tuple[tuple[Address, ...], ...]] = field(default_factory=dict)
    """Where each name leads, one after the other."""
    rounds: tuple[Round, ...] = ()
    questions: tuple[NameQuestion, ...] = ()
    notes: tuple[str, ...] = ()
    ttl: int = TTL

    @property
    def probes(self) -> Iterator[Probe]:
        """The probes of all rounds, those among them on whose flows requests are made."""
        for each in self.rounds:
            yield from (one.probe for one in each.probes)
            yield from (one.probe for one in each.requests)

    @property
    def looked_into(self) -> frozenset[Origin]:
        """The rules that look into connections and are tried here."""
        return frozenset(one.request.rule for each in self.rounds for one in each.requests)

    @property
    def old(self) -> frozenset[Address]:
        """Where names led before they moved for the last time."""
        return frozenset(one for stations in self.stations.values() for many in stations[:-1] for one in many)


@dataclass(frozen=True, slots=True)
class _Target:
    """A pod by an address of one family, a name that a rule of its is about, and how what it leads to is dialled."""

    source: Endpoint
    pod: tuple[str, str]
    node: str
    name: str
    protocol: Protocol
    port: int
    rule: Rule


_Trial = tuple[Moment, _Target, Draft]


def plan_names(snapshot: Snapshot, topology: Topology, zone: Zone, wishes: NameWishes) -> NamePlan:
    """The rounds for a cluster; none where no rule is about names, or where there is no DNS server to be asked."""
    planning = _Planning(replace(snapshot, learned=()), topology, zone, wishes)
    if not planning.empty.dns:
        return NamePlan()
    targets = tuple(planning.targets())
    questions = tuple(planning.questions(targets))
    planning.settle(targets)
    rounds = tuple(one for one in planning.rounds(targets) if one.probes or one.requests)
    notes = tuple(dict.fromkeys(planning.notes))
    bare = planning.bare if rounds or questions else None
    return NamePlan(bare, planning.stations, rounds, questions, notes, wishes.ttl)


class _Planning:
    def __init__(self, snapshot: Snapshot, topology: Topology, zone: Zone, wishes: NameWishes) -> None:
        self.snapshot, self.topology, self.wishes = snapshot, topology, wishes
        self.zone = replace(zone, ttl=wishes.ttl)
        self.bare = Policies(snapshot)
        self.empty = planner(topology, self.bare, self.zone)
        self.given = {canonical(name): tuple(many) for name, many in wishes.names.items()}
        headless = (service_name(one) for one in snapshot.services if one.headless and not one.external_name)
        self.headless = {name: known for name in sorted(headless) if (known := self.zone.resolve(name))}
        self.stations: dict[str, tuple[tuple[Address, ...], ...]] = {}
        self.notes: list[str] = []

    # ---- who asks for what -------------------------------------------------------------------------------------------

    def _pods(self) -> Iterator[Pod]:
        for pod in self.snapshot.endpoints:
            if not pod.host_network and self.wishes.namespace in (None, pod.namespace):
                yield pod

    def targets(self) -> Iterator[_Target]:
        """Each pod with each name that a rule about it means, in each family in which both have an address."""
        seen: set[tuple[object, ...]] = set()
        for pod in self._pods():
            for rule in self.bare.isolation(pod, Direction.EGRESS).every_rule():
                names = self._names(rule)
                transport = self._transport(rule) if names else None
                if transport is None:
                    continue
                asking = [(name, source) for name in names for source in self._sources(pod, name)]
                for name, source in asking:
                    one = _Target(source, pod.key, pod.node, name, *transport, rule)
                    key = source.address, name, one.protocol, one.port
                    if key not in seen:
                        seen.add(key)
                        yield one

    def _names(self, rule: Rule) -> Sequence[str]:
        patterns = [one for peer in rule.peers or () if isinstance(peer, NamesMatch) for one in peer.patterns]
        if not patterns:
            return ()
        if rule.conditions is not None and not (self.wishes.proxied and is_looked_into(rule)):
            self.notes.append(f"names: {rule.origin}: it has conditions that nothing here looks at, and is not tried")
            return ()
        found: dict[str, None] = {}
        for pattern in patterns:
            own = [name for name in self.headless if rule.conditions is None and pattern.matches(name)]
            meant = [name for name in self.given if pattern.matches(name)] or _instances(pattern)
            if not (meant or own):
                self.notes.append(f"names: {rule.origin}: no name was found that {pattern.text} means")
            found.update(dict.fromkeys(own[:_MOST_HEADLESS]))
            found.update(dict.fromkeys(name for name in meant if not f".{name}".endswith(f".{DOMAIN}")))
        if len(found) > MOST_NAMES:
            self.notes.append(
                f"names: {rule.origin}: it means {len(found)} names, and the first {MOST_NAMES} are tried"
            )
        return tuple(found)[:MOST_NAMES]

    def _sources(self, pod: Pod, name: str) -> Iterator[Endpoint]:
        for version in self.wishes.families:
            source = Endpoint.of_pod(pod, version)
            known = self.headless.get(name) or self.given.get(name)
            if source is None or self.empty.resolver(source) is None:
                continue
            if known is None or any(one.version == version for one in known):
                yield source

    def _transport(self, rule: Rule) -> tuple[Protocol, int] | None:
        """A port that the rule opens: of TCP, where it can be seen whether the first packet passed.

        None of DNS: what is sent there is taken for a question.
        """
        if rule.ports is None:
            return _HTTPS
        for protocol in (Protocol.TCP, Protocol.UDP):
            numbers = rule.ports.numbers.of(protocol) - IntervalSet.of((0, 0), (DNS_PORT, DNS_PORT))
            if numbers:
                return protocol, 443 if 443 in numbers else numbers.lowest()
        self.notes.append(f"names: {rule.origin}: it opens no port of TCP or UDP but that of DNS, and is not tried")
        return None

    # ---- where names lead --------------------------------------------------------------------------------------------

    def settle(self, targets: Iterable[_Target]) -> None:
        """Gives each name its stations: what was said, and fresh addresses for the rest."""
        outside = Outside(self.snapshot, self.topology.world.addresses)
        said = (*self.given.values(), *self.wishes.moves.values())
        taken = AddressSet.of(one for many in said for one in many)
        moves = {canonical(name): tuple(many) for name, many in self.wishes.moves.items()}
        families: dict[str, set[int]] = {}
        for one in targets:
            families.setdefault(one.name, set()).add(one.source.address.version)
        for name, versions in families.items():
            if name in self.headless:
                self.stations[name] = (self.headless[name],)
                continue
            stations: list[tuple[Address, ...]] = []
            for known in (self.given.get(name, ()), moves.get(name, ()), ()):
                missing = versions - {one.version for one in known}
                fresh = [one for one in (outside.fresh(version, taken) for version in sorted(missing)) if one]
                taken |= AddressSet.of(fresh)
                stations.append((*known, *fresh))
            self.stations[name] = tuple(stations)
        for name in moves.keys() - families.keys():
            self.notes.append(f"names: no rule about names that is tried means {name}, so nobody sees it move")

    def _zones(self) -> Sequence[Zone]:
        """What all names lead to at each station; at the last over two aliases."""
        zones = [self.zone] * _STATIONS
        for number, (name, stations) in enumerate(self.stations.items()):
            chain = (f"n{number}.edge.outgate.invalid", f"n{number}.host.outgate.invalid")
            for at, addresses in enumerate(stations if name not in self.headless else ()):
                zones[at] = zones[at].moved(name, addresses, chain if at == _STATIONS - 1 else ())
        return zones

    # ---- the rounds --------------------------------------------------------------------------------------------------

    def rounds(self, targets: Sequence[_Target]) -> Iterator[Round]:
        """All of them, in their order."""
        # On each node, for its pods share a proxy.
        first: dict[tuple[str, str], tuple[str, str]] = {}
        for one in targets:
            first.setdefault((one.node, one.name), one.pod)
        ones = [one for one in targets if first[one.node, one.name] == one.pod]
        others = [one for one in targets if first[one.node, one.name] != one.pod]
        asking = {(one.pod, one.name) for one in ones}
        begin, moved, aliased = self._zones()
        nobody, few = self.bare, self._told(1, lambda *who: who in asking)
        yield self._round(begin, nobody, self._dialled(Moment.UNASKED, targets, 0))
        yield self._round(begin, few, self._asked(Moment.ASKED, ones, 0))
        yield self._round(begin, few, self._dialled(Moment.OTHER, others, 0))
        yield self._round(begin, self._told(1), self._asked(Moment.ASKED, others, 0))
        movers = [one for one in targets if one.name not in self.headless]
        yield self._round(moved, self._told(2), self._asked(Moment.MOVED, movers, 1))
        yield self._round(aliased, self._told(3), self._asked(Moment.ALIASED, movers, 2))
        last = (
            *(one for station in (0, 1) for one in self._dialled(Moment.OLD, movers, station)),
            *self._asked(Moment.AGAIN, movers, 2),
        )
        yield replace(self._round(aliased, self._told(3, since=2), last), late=True)

    def _told(
        self, until: int, who: Callable[[tuple[str, str], str], bool] = lambda _, __: True, *, since: int = 0
    ) -> Policies:
        """The policies of a cluster whose pods have been told the stations of all names from `since` on."""
        known = {
            name: tuple(one for many in stations[since:until] for one in many)
            for name, stations in self.stations.items()
        }
        told = having_asked_for(self.snapshot, known).learned
        return Policies(replace(self.snapshot, learned=tuple(one for one in told if who(one.pod, one.name))))

    def _dialled(self, moment: Moment, targets: Iterable[_Target], station: int) -> Iterator[_Trial]:
        for one in targets:
            for address in self._at(one, station):
                yield moment, one, Draft(one.source, address, one.protocol, one.port, Via.ADDRESS)

    def _asked(self, moment: Moment, targets: Iterable[_Target], station: int) -> Iterator[_Trial]:
        for one in targets:
            for address in self._at(one, station):
                yield moment, one, Draft(one.source, address, one.protocol, one.port, Via.NAME, name=one.name)

    def _at(self, target: _Target, station: int) -> Iterator[Address]:
        version = target.source.address.version
        itself = target.source.pod.addresses if target.source.pod is not None else ()
        return (one for one in self.stations[target.name][station] if one.version == version and one not in itself)

    def _round(self, zone: Zone, policies: Policies, trials: Iterable[_Trial]) -> Round:
        made = planner(self.topology, policies, zone)
        probes: list[NameProbe] = []
        requests: list[NameRequest] = []
        for moment, target, draft in trials:
            before = len(made.probes)
            made.add((draft,))
            if len(made.probes) == before:
                continue
            probe = self._asking(made.probes[-1], made.judge)
            # Who may not ask for the name is asked about among the questions, where what is heard is looked at.
            if probe.lookup is not None and not probe.lookup.verdict.allows:
                continue
            if target.rule.conditions is None:
                probes.append(NameProbe(moment, probe, target.name, target.rule.origin))
            else:
                requests += self._requests(moment, target, probe, made.judge)
        return Round(zone, tuple(probes), tuple(requests))

    def _requests(self, moment: Moment, target: _Target, probe: Probe, judge: Judge) -> Iterator[NameRequest]:
        """What the rule lets through when the name is known, and in the first answers something that it does not."""
        wanted = (True, False) if moment in (Moment.ASKED, Moment.MOVED) else (True,)
        for allowed in wanted:
            found = (one for one in requests_of(target.rule, probe, self.knowing) if one.verdict.allows is allowed)
            for one in islice(found, 1):
                trace = judge.judge(replace(one.party.trace.flow, about=one.about))
                if not trace.verdict.allows or not trace.egress.conditional:
                    judged = replace(one, party=Party(one.party.box, one.party.port, trace))
                    yield NameRequest(moment, probe, target.name, judged)

    @cached_property
    def knowing(self) -> Judge:
        """The judge of a cluster whose pods have been told all that their names ever lead to."""
        return Judge(self._told(_STATIONS))

    def _asking(self, probe: Probe, judge: Judge) -> Probe:
        """A probe whose question is judged by the name that is asked for, as the DNS proxy does."""
        lookup = probe.lookup and replace(probe.lookup, parties=_about(probe.lookup, judge, probe.lookup.name))
        return replace(probe, lookup=lookup, prompt=probe.protocol is Protocol.TCP)

    # ---- what may be asked for ---------------------------------------------------------------------------------------

    def questions(self, targets: Iterable[_Target]) -> Iterator[NameQuestion]:
        """For each pod with lists of names: one that it may ask for, and one that it may not.

        Over both transports, where the policies make no difference between them.
        """
        wanted = (*self.given, *dict.fromkeys(one.name for one in targets), *self._listed(), _STRANGER)
        for pod in self._pods():
            every = self.bare.isolation(pod, Direction.EGRESS).every_rule()
            lists = {rule.conditions.dns for rule in every if rule.conditions is not None and rule.conditions.dns}
            source = next((one for version in (4, 6) if (one := Endpoint.of_pod(pod, version))), None)
            asker = self.empty.resolver(source) if source is not None else None
            if asker is None or not lists:
                continue
            lookup = self.empty.lookup(asker, _STRANGER)
            for expected, name in self._answers(lookup, wanted).items():
                question = NameQuestion(self.empty.box_of(asker), asker, lookup.server, name, Protocol.UDP, expected)
                yield question
                over_tcp = _about(lookup, self.empty.judge, name, Protocol.TCP)
                if {one.verdict.allows for one in over_tcp} == {expected is Expected.ANSWERED}:
                    yield replace(question, protocol=Protocol.TCP)

    def _answers(self, lookup: Lookup, names: Iterable[str]) -> Mapping[Expected, str]:
        """For each answer a name that gets it. None where the servers may not be asked at all, or not all of them."""
        found: dict[Expected, str] = {}
        for name in names if lookup.verdict.allows else ():
            verdicts = {one.verdict.allows for one in _about(lookup, self.empty.judge, name)}
            if len(verdicts) == 1:
                found.setdefault(Expected.ANSWERED if verdicts == {True} else Expected.REFUSED, name)
        return found

    def _listed(self) -> Iterator[str]:
        """A name for each list of names that may be asked for."""
        for policy in self.snapshot.cilium_policies:
            for entry in (entry for rule in policy.egress for entry in rule.ports):
                for text in (text for one in entry.dns or () for text in one.texts):
                    yield from _instances(Pattern(text, Dialect.CILIUM))


def _about(lookup: Lookup, judge: Judge, name: str, protocol: Protocol = Protocol.UDP) -> tuple[Party, ...]:
    """The servers behind an address, judged by what they are asked for."""
    asked = About(question=name)
    return tuple(
        Party(one.box, one.port, judge.judge(replace(one.trace.flow, protocol=int(protocol), about=asked)))
        for one in lookup.parties
    )


def _instances(pattern: Pattern) -> list[str]:
    """A name that a pattern means, if one is easily made."""
    text = canonical(pattern.text)
    made = "any.outgate.invalid" if not text.strip("*") else text.replace("**", "a").replace("*", "a")
    return [made] if pattern.matches(made) else []
