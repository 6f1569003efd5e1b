"""Assertions as probes: real packets for what `outgate test` decides on paper.

An assertion of single ends and ports is probed as the flows that it names, by Service and by DNS name where it says so.
One about whole sets cannot be: what is probed of it are representatives, one pair of pods for each two kinds, the
ports that somebody mentions and the borders of those that are asked, an address on either side of every border that a
policy draws. What an `only` lists is probed with nothing demanded, and all the rest must be denied. What cannot be
probed is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from outgate.analysis.assertion_words import EndAsked, NamesAsked, PodsAsked, PortsAsked, Word
from outgate.analysis.assertions import Assertion, Suite, Verb
from outgate.analysis.demand import Demand
from outgate.analysis.demands import Demands
from outgate.analysis.ends import Places
from outgate.analysis.kinds import Kinds
from outgate.analysis.lookup import Lookup, PodsTarget
from outgate.analysis.names import patterns_of
from outgate.analysis.spelling import spell_addresses
from outgate.analysis.targets import Named, Noun, Written
from outgate.analysis.verdicts import allowed
from outgate.errors import InputError, InvalidInput, UnknownName, UsageError
from outgate.lab.flows import AskedFlow
from outgate.lab.flows import drafts as flow_drafts
from outgate.lab.outside import Outside
from outgate.lab.plan import Draft, Planner, Via
from outgate.lab.ports import Ports, Transport
from outgate.model import Direction, Pod, Snapshot
from outgate.model.objects import Address
from outgate.packets import AddressSet, Protocol
from outgate.packets.addresses import Network
from outgate.policy import Endpoint, Verdict

__all__ = ["AssertionProbes", "named_pods"]

MOST_SPANS = 8
"""Ranges of ports of which the borders are probed, for each protocol of two ends."""

_EXPECTED = {Verb.ALLOW: Verdict.ALLOW, Verb.DENY: Verdict.DENY}


def named_pods(suites: Iterable[Suite], snapshot: Snapshot) -> tuple[Pod, ...]:
    """The pods that assertions name, one of each workload and each set: they must not be left out of a small lab."""
    found: dict[tuple[str, str], Pod] = {}
    for suite in suites:
        places = Places(Lookup(snapshot, None, suite.names))
        for assertion in suite.assertions:
            ends = (*assertion.subject, *(end for entry in assertion.entries for end in entry.ends))
            for end in ends:
                pod = _first_pod(places, end)
                if pod is not None:
                    found.setdefault(pod.key, pod)
    return tuple(found.values())


def _first_pod(places: Places, end: EndAsked) -> Pod | None:
    if isinstance(end.what, Word | NamesAsked):
        return None
    try:
        if isinstance(end.what, PodsAsked):
            return next(iter(places.selected(end.what)))
        target = places.lookup.find(end.what)
    except (UnknownName, UsageError):
        # Said later, with all else that is wrong.
        return None
    return target.pods[0] if isinstance(target, PodsTarget) else None


class AssertionProbes:
    """Drafts the probes of assertions for one lab. `notes` has what the reader must know about them."""

    def __init__(self, made: Planner, families: tuple[int, ...], names: Mapping[str, Sequence[Address]]) -> None:
        self.made, self.families = made, families
        self.judge = made.judge
        self.names = {name: tuple(many) for name, many in names.items()}
        self.kinds = Kinds(made.judge)
        self.ports = Ports(made.judge.policies)
        self.outside = Outside(made.judge.policies.snapshot, made.topology.world.addresses)
        self.notes: list[str] = []

    def drafts(self, suites: Iterable[Suite]) -> tuple[Draft, ...]:
        """All probes.

        Raises:
            InvalidInput: assertions about what the lab does not have, all of them.
        """
        errors: list[InputError] = []
        found: list[Draft] = []
        snapshot = self.judge.policies.snapshot
        lookup = Lookup(snapshot, None, self.names, tuple(patterns_of(snapshot)))
        demands = Demands(self.judge, Places(lookup, self.kinds.roll), self.kinds)
        sampled = 0
        for assertion in (one for suite in suites for one in suite.assertions):
            simple = self._simple(assertion)
            if simple is None:
                sampled += 1
                found += self._sampled(assertion, demands.of(assertion, errors))
                continue
            try:
                found += flow_drafts(simple, self.made, self.families)
            except InvalidInput as error:
                errors += error.errors
        if errors:
            raise InvalidInput(errors)
        if sampled:
            which = "1 assertion is" if sampled == 1 else f"{sampled} assertions are"
            self.notes.append(f"{which} about whole sets: their probes are samples; outgate test judges all of them")
        return tuple(found)

    # --- single flows ------------------------------------------------------------------------------

    def _simple(self, assertion: Assertion) -> list[AskedFlow] | None:
        """The flows of an assertion that is about nothing else; None where it is about sets."""
        expect = _EXPECTED.get(assertion.verb)
        subject = [self._single(one) for one in assertion.subject]
        found: list[AskedFlow] = []
        for entry in assertion.entries:
            if entry.request is not None:
                return None
            transports = _transports(entry.ports if entry.ports is not None else assertion.ports)
            for other in map(self._single, entry.ends):
                for mine in subject:
                    if expect is None or mine is None or other is None or not transports:
                        return None
                    outbound = assertion.direction is Direction.EGRESS
                    source, destination = (mine, other) if outbound else (other, mine)
                    for protocol, port in transports:
                        found.append(AskedFlow(source, destination, protocol, port, expect, entry.place))
        return found

    def _single(self, end: EndAsked) -> Written | None:
        """An end that packets can be sent to; None for a block, a set, and a name that nobody in the lab can ask."""
        if isinstance(end.what, PodsAsked | NamesAsked | Word | Network) or end.excepts:
            return None
        named = isinstance(end.what, Named) and end.what.noun is Noun.ANYTHING
        return None if named and not self.made.dns else end.what

    # --- whole sets --------------------------------------------------------------------------------

    def _sampled(self, assertion: Assertion, demands: list[Demand]) -> Iterator[Draft]:
        silent: list[AddressSet] = []
        count = 0
        if any(map(_is_of_a_proxy, demands)):
            self.notes.append(f"{assertion.place}: {assertion.title}: what it says of requests and names is not probed")
        for demand in demands:
            if _is_of_a_proxy(demand):
                continue
            if demand.source.pod is None and demand.destination.pod is None:
                continue
            mine = list(self._of(demand, silent))
            count += len(mine)
            yield from mine
        where = f"{assertion.place}: {assertion.title}"
        if demands and not count:
            self.notes.append(f"{where}: nothing of it can be probed")
        elif silent:
            unprobed = spell_addresses(AddressSet.union_of(silent))
            self.notes.append(f"{where}: nobody answers at {unprobed} in the lab, so that part is not probed")

    def _of(self, demand: Demand, silent: list[AddressSet]) -> Iterator[Draft]:
        if demand.destination.address.version not in self.families:
            return
        for source, destination in self._pairs(demand, silent):
            for protocol, port in self._points(demand, source, destination):
                via = self._via(destination)
                yield Draft(source, destination.address, protocol, port, via, demanded=demand.wanted)

    def _pairs(self, demand: Demand, silent: list[AddressSet]) -> Iterator[tuple[Endpoint, Endpoint]]:
        """The two ends; where one is a set, with an address from each part of it that is treated alike."""
        if demand.addresses is None:
            yield demand.source, demand.destination
            return
        passing = allowed(self.judge, demand)
        parts = [addresses for addresses, _ in passing]
        for part in (*parts, demand.addresses - passing.addresses()):
            address = self.outside.one(part) if part else None
            if address is not None:
                far = Endpoint(address)
                yield (demand.known, far) if demand.near is Direction.EGRESS else (far, demand.known)
            elif part:
                silent.append(part)

    def _points(self, demand: Demand, source: Endpoint, destination: Endpoint) -> list[Transport]:
        """The ports among those asked that somebody mentions, and the borders of what is asked."""
        if destination.pod is not None:
            mentioned = self.ports.between(source.pod, destination.pod)
        else:
            assert source.pod is not None, "one of the two ends is a pod"
            mentioned = self.ports.leaving(source.pod)
        found = {one for one in mentioned if demand.asked.contains(*one)}
        for protocol, spans in demand.asked.items():
            if not protocol.has_ports:
                found.add((protocol, 0))
                continue
            for low, high in tuple(spans)[:MOST_SPANS]:
                found |= {(protocol, max(low, 1)), (protocol, max(high, 1))}
        return sorted(found)

    def _via(self, destination: Endpoint) -> Via:
        return Via.POD if destination.pod is not None else Via.NODE if destination.node is not None else Via.ADDRESS


def _is_of_a_proxy(demand: Demand) -> bool:
    """About a request, or a name that nobody gave an address for."""
    unknown = demand.told is not None and demand.addresses is not None and demand.addresses.size() > 1
    return demand.about is not None or unknown


def _transports(ports: PortsAsked | None) -> list[tuple[Protocol, int]]:
    """The single ports that are asked for; none where any is a range, a name or a whole protocol with ports."""
    found: list[tuple[Protocol, int]] = []
    for one in ports.ports if ports is not None else ():
        protocol = Protocol(one.protocol) if one.protocol is not None else Protocol.TCP
        if protocol is Protocol.ICMP and one.span is None and not one.name:
            found.append((protocol, 0))
        elif one.span is None or one.span[0] != one.span[1] or one.span[0] == 0:
            return []
        else:
            found.append((protocol, one.span[0]))
    return found
