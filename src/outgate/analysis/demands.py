"""What an assertion demands: sets of packets, each of which must all be allowed or must all be denied.

    allow     allow(subject × entries)
    deny      deny(subject × entries)
    only      deny(subject × (everything − entries − ignored))
    exactly   both of the first kind and the third

So there are two things to check and no more. Everything is the whole address space and every known end in it, less
what no policy can forbid: a pod to itself, a node to its own pods. That is left out of groups, blocks and words too;
where both ends were named one by one it counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from outgate.analysis.assertion_words import EndAsked, NamesAsked, Word
from outgate.analysis.assertions import Assertion, Entry, Verb
from outgate.analysis.demand import Demand
from outgate.analysis.ends import Ends, Places, Reached, any_of, numbered
from outgate.analysis.kinds import Kind, Kinds
from outgate.analysis.name_demands import NameDemands
from outgate.analysis.roll import Bits
from outgate.errors import InputError, TooComplex
from outgate.model import Direction
from outgate.model.place import complaint
from outgate.packets import AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.packets.packetset import Cube
from outgate.policy import Endpoint, Judge, Verdict
from outgate.policy.meeting import About

__all__ = ["MOST_DEMANDS", "Demands"]

MOST_DEMANDS = 250_000
"""Pairs of kinds in one assertion; about half a minute."""

_MOST_PORTS = 16
_ANYWHERE = EndAsked(Word.ANYWHERE, Word.ANYWHERE.value)
_OF_LISTED = {Verb.ALLOW: Verdict.ALLOW, Verb.DENY: Verdict.DENY, Verb.ONLY: None, Verb.EXACTLY: Verdict.ALLOW}
_NOTHING = (
    "there is nothing to assert: the two sides have no address family in common, or no policy can come between them "
    "(a pod and itself, a node and its own pods, two ends outside)"
)
_OF_FAMILY = {
    4: ~TransportSet.protocol(int(Protocol.ICMPV6)),
    6: ~TransportSet.protocol(int(Protocol.ICMP)),
}
"""RFC 792 and RFC 4443: each ICMP belongs to one family."""


def _told_at(reached: Reached) -> Iterator[Cube]:
    """Where the names are whose addresses were given."""
    return ((AddressSet.of(name.addresses), transports) for name, transports in reached.names)


def _refuse_patterns(entries: Iterable[Entry], errors: list[InputError]) -> None:
    words = "a pattern stands for names that nobody can count: it can be listed in only and ignore; else write a name"
    stars = (end for one in entries for end in one.ends if isinstance(end.what, NamesAsked))
    errors.extend(complaint(end.place, f"{end}: {words}") for end in stars)


def _transports_of(there: Reached) -> Iterator[TransportSet]:
    yield from there.known
    yield from (transports for _, transports in (*there.outside, *there.names))


def _is_one_port(transports: TransportSet) -> bool:
    """Whether these are single ports of TCP, a few at the most."""
    spans = [(protocol, *span) for protocol, many in transports.items() for span in many]
    return len(spans) <= _MOST_PORTS and all(one is Protocol.TCP and low == high for one, low, high in spans)


class Demands:
    """Takes assertions apart, for one judge and one way of looking names up."""

    def __init__(self, judge: Judge, places: Places, kinds: Kinds | None = None) -> None:
        self.judge = judge
        self.places = places
        self.kinds = kinds if kinds is not None else Kinds(judge, places.roll)
        self._roll = places.roll
        self._names = NameDemands(judge, places.lookup.names, places.everybody.outside)
        assert self.kinds.roll is self._roll, "a set of ends means something by one roll alone"

    def of(self, assertion: Assertion, errors: list[InputError]) -> list[Demand]:
        """All demands of an assertion. What the input does not have is added to the errors.

        Raises TooComplex beyond `MOST_DEMANDS`.
        """
        wrong: list[InputError] = []
        found: list[Demand] = []
        make = self._egress if assertion.direction is Direction.EGRESS else self._ingress
        for one in make(assertion, wrong):
            found.append(one)
            if len(found) > MOST_DEMANDS:
                raise TooComplex(
                    f"{assertion.place}: more than {MOST_DEMANDS:,} kinds of flow in one assertion",
                    hint="divide it, by namespace for example",
                )
        if not found and not wrong:
            wrong.append(complaint(assertion.place, _NOTHING))
        errors.extend(wrong)
        return [] if wrong else found

    # --- the two sides -----------------------------------------------------------------------------

    def _egress(self, assertion: Assertion, errors: list[InputError]) -> Iterator[Demand]:
        """The subject sends: the entries are destinations, each with its ports."""
        closed = assertion.verb.closed
        subject = self.places.ends(assertion.subject, errors)
        plain = [one for one in assertion.entries if one.request is None]
        listed = self._reached(assertion, plain, errors, translated=not closed)
        ignored = self._reached(assertion, assertion.ignored, errors, translated=False)
        whole = self.places.reached((_ANYWHERE,), assertion.ports, errors, translated=False) if closed else Reached()
        if assertion.verb is not Verb.ONLY:
            _refuse_patterns(plain, errors)
        asking = self._with_requests(assertion, errors)
        if errors:
            return
        starts = [kind for kind, _ in self._kinds_of(subject.known, subject.single)]
        if closed:
            yield from self._between(subject, self._less(whole, (listed, ignored)), Verdict.DENY)
            yield from self._names.others(starts, numbered(assertion.ports), (listed, ignored))
        for one in plain if assertion.verb is Verb.DENY else ():
            if any(end.what is Word.ANYWHERE for end in one.ends):
                ports = one.ports if one.ports is not None else assertion.ports
                yield from self._names.others(starts, numbered(ports), ())
        yield from self._between(subject, self._less(listed, (ignored,)), _OF_LISTED[assertion.verb])
        for there, about in asking:
            for demand in self._between(subject, there, _OF_LISTED[assertion.verb]):
                yield dataclasses.replace(demand, about=about)

    def _with_requests(self, assertion: Assertion, errors: list[InputError]) -> list[tuple[Reached, About]]:
        """The destinations of entries about requests, each with what is sent there."""
        found = []
        for one in assertion.entries:
            ports = one.ports if one.ports is not None else assertion.ports
            for end in one.ends if one.request is not None else ():
                there = self.places.reached((end,), ports, errors)
                blocks = any(addresses.size() > 1 for addresses, _ in there.outside)
                if blocks or not all(map(_is_one_port, _transports_of(there))):
                    errors.append(complaint(one.place, "a request goes to one port of one destination: name the port"))
                assert one.request is not None, "asked for above"
                found.append((there, one.request.about(end.text)))
        return found

    def _reached(
        self, assertion: Assertion, entries: Iterable[Entry], errors: list[InputError], *, translated: bool
    ) -> Reached:
        found = Reached()
        for one in entries:
            ports = one.ports if one.ports is not None else assertion.ports
            found |= self.places.reached(one.ends, ports, errors, translated=translated)
        return found

    def _ingress(self, assertion: Assertion, errors: list[InputError]) -> Iterator[Demand]:
        """The subject receives: the entries are sources, and their ports are ports of the subject."""
        closed = assertion.verb.closed
        listed = self._sources(assertion, assertion.entries, errors, translated=not closed)
        ignored = self._sources(assertion, assertion.ignored, errors, translated=not closed)
        whole = self.places.reached(assertion.subject, assertion.ports, errors, translated=not closed)
        if errors:
            return
        if closed:
            for sources, named in self._by_membership(self.places.everybody, (*listed, *ignored)):
                yield from self._between(sources, self._less(whole, named), Verdict.DENY)
        for sources, there in listed:
            for some, named in self._by_membership(sources, ignored):
                yield from self._between(some, self._less(there, named), _OF_LISTED[assertion.verb])

    def _sources(
        self, assertion: Assertion, entries: Iterable[Entry], errors: list[InputError], *, translated: bool
    ) -> list[tuple[Ends, Reached]]:
        """For each entry its sources, and what of the subject they are about."""
        found = []
        for one in entries:
            ports = one.ports if one.ports is not None else assertion.ports
            there = self.places.reached(assertion.subject, ports, errors, translated=translated)
            found.append((self.places.ends(one.ends, errors), there))
        return found

    # --- pairs of kinds ----------------------------------------------------------------------------

    def _between(self, sources: Ends, there: Reached, wanted: Verdict | None) -> Iterator[Demand]:
        starts = self._kinds_of(sources.known, sources.single)
        ends = [
            (kind, transports, single)
            for transports, some in there.known.items()
            for kind, single in self._kinds_of(some, there.single & some)
        ]
        ends.sort(key=lambda one: one[0].number)
        # There are many pairs of kinds and few sets of ports.
        asked = {
            (transports, family): transports & _OF_FAMILY[family]
            for transports in (*there.known, *(one for _, one in there.outside))
            for family in FAMILIES
        }
        for source, alone in starts:
            family = source.family
            for kind, transports, single in ends:
                meet = self.kinds.named if alone and single else self.kinds.pair
                mine = asked[transports, family]
                met = meet(source, kind) if mine else None
                if met is not None:
                    yield Demand(met[0], met[1], mine, wanted, met[2])
            for addresses, transports in there.outside:
                outside, mine = addresses.only(family), asked[transports, family]
                if outside and mine:
                    yield Demand(source.first, Endpoint(outside.lowest()), mine, wanted, None, outside)
        for name, transports in there.names:
            yield from self._names.to([source for source, _ in starts], name, transports, wanted)
        for kind, transports, _ in ends:
            outside, mine = sources.outside.only(kind.family), asked[transports, kind.family]
            if outside and mine:
                far = Endpoint(outside.lowest())
                yield Demand(far, kind.first, mine, wanted, None, outside, Direction.INGRESS)

    def _kinds_of(self, known: Bits, single: Bits) -> list[tuple[Kind, bool]]:
        """Some ends by kind; what was named one by one by itself, and marked."""
        found = [(kind, False) for kind in self.kinds.of(known & ~single)]
        found += [(kind, True) for kind in self.kinds.each(single)]
        return sorted(found, key=lambda one: one[0].number)

    # --- sets of ends ------------------------------------------------------------------------------

    def _less(self, there: Reached, taken: Iterable[Reached]) -> Reached:
        """Destinations without those of others: a packet is known by its address and its transport."""
        many = tuple(taken)
        known = dict(there.known)
        for gone, some in (pair for reached in many for pair in reached.known.items()):
            meant = some | self._roll.twins(some)
            left: dict[TransportSet, Bits] = {}
            for transports, mine in known.items():
                for rest, which in ((transports, mine & ~meant), (transports - gone, mine & meant)):
                    if which and rest:
                        left[rest] = left.get(rest, 0) | which
            known = left
        whole = PacketSet.union_of(there.outside)
        cubes = [cube for reached in many for cube in (*reached.outside, *_told_at(reached))]
        gone_outside = PacketSet.union_of(cubes)
        return Reached(known, (whole - gone_outside).cubes, there.single & any_of(known.values()), there.names)

    def _by_membership(
        self, whole: Ends, entries: Sequence[tuple[Ends, Reached]]
    ) -> Iterator[tuple[Ends, list[Reached]]]:
        """Sources divided by which entries they belong to, with what those entries speak of."""
        parts: dict[tuple[int, ...], tuple[Bits, AddressSet]] = {(): (whole.known, whole.outside)}
        for number, (ends, _) in enumerate(entries):
            mine = ends.known | self._roll.twins(ends.known)
            cut: dict[tuple[int, ...], tuple[Bits, AddressSet]] = {}
            for member, (known, outside) in parts.items():
                cut[member] = known & ~mine, outside - ends.outside
                cut[*member, number] = known & mine, outside & ends.outside
            parts = {member: both for member, both in cut.items() if any(both)}
        for member, (known, outside) in parts.items():
            yield Ends(known, outside, whole.single & known), [entries[number][1] for number in member]
