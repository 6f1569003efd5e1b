"""Whether assertions hold, and for one that does not: a packet that proves it, and who decided about it.

Every demand is a set of packets that must all be allowed or all be denied (`demands`), so an assertion fails exactly
if one of those sets is not empty:

    wanted Allow:   packets − allowed            wanted Deny:   packets ∩ allowed

The witness is a member of that set, judged again rule by rule for its reasons, as `can-reach` would be asked.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.analysis.assertions import Assertion, Suite
from outgate.analysis.blocks import beyond_the_cluster
from outgate.analysis.demand import Demand
from outgate.analysis.demands import Demands
from outgate.analysis.ends import Places
from outgate.analysis.kinds import Kinds
from outgate.analysis.learning import Learning
from outgate.analysis.lookup import Lookup
from outgate.analysis.names import cannot_ask, patterns_of
from outgate.analysis.notes import notes
from outgate.analysis.ports import open_points, pair_ports
from outgate.analysis.reachability import OUTSIDE
from outgate.analysis.spelling import spell_conditions
from outgate.errors import InputError, InvalidInput
from outgate.model import Direction
from outgate.packets import Address, AddressSet, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import address_of
from outgate.policy import BlockMatch, Endpoint, Flow, Judge, Trace, Verdict, decide, matched
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.policy.rules import Conditions

__all__ = ["Failure", "Outcome", "Pair", "allowed", "evaluate", "witness", "wrong"]

_PORT_ZERO = TransportSet(tcp=IntervalSet.single(0), udp=IntervalSet.single(0), sctp=IntervalSet.single(0))
_WELL_KNOWN = tuple((int(Protocol.TCP), port) for port in (443, 80))
_OUTSIDE: tuple[Address, ...] = tuple(map(ipaddress.ip_address, ("198.51.100.10", "2001:db8::10")))
"""RFC 5737 and RFC 3849: addresses for documents."""
_THIS_NETWORK = AddressSet.network("0.0.0.0/8") | AddressSet.network("::/127")
"""RFC 1122, 3.2.1.3, and RFC 4291, 2.5: nobody's."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ends between which something is wrong. `name`: the DNS name, or the pattern, that leads to the second."""

    source: Endpoint
    destination: Endpoint
    name: str = ""

    def __str__(self) -> str:
        return f"{self.source} → {self.name or self.destination}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an assertion does not hold. `wanted` is what the witness should have been."""

    wanted: Verdict
    trace: Trace
    """The witness: one packet, and the verdict on both ends."""
    packets: PacketSet
    """All that is wrong between the two ends of the witness; addresses are those of the far side."""
    name: str = ""
    """The DNS name at whose address the destination is, or the pattern that opens it."""
    more: tuple[Pair, ...] = ()
    """Further pairs of ends that are wrong, each standing for its kind."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One assertion, and what came of it."""

    assertion: Assertion
    demands: tuple[Demand, ...]
    failure: Failure | None = None
    open_points: tuple[str, ...] = ()
    """What the API leaves open and the verdicts may depend on, in words."""
    notes: tuple[str, ...] = ()
    """What the input leaves out."""

    @property
    def holds(self) -> bool:
        """Whether everything is as demanded."""
        return self.failure is None


@dataclass(slots=True)
class _Answers:
    """What was found out about pairs of ends, for all assertions."""

    judge: Judge
    silent: dict[tuple[int, TransportSet], tuple[str, ...]] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)
    """What the keys are identities of, so that no other object can come to have one."""
    learned: dict[int, Learning] = field(default_factory=dict)

    def learning(self, judge: Judge) -> Learning:
        """Which names pods can learn, for a judge of a demand."""
        found = self.learned.get(id(judge))
        if found is None:
            # It holds its judge, whose identity is the key.
            found = self.learned[id(judge)] = Learning(judge)
        return found


def evaluate(
    judge: Judge,
    suites: Iterable[Suite],
    names: Mapping[str, tuple[Address, ...]] | None = None,
    namespace: str | None = None,
) -> tuple[Outcome, ...]:
    """The outcomes of all assertions, in their order. `names` win over those of the files.

    The profile of a suite is the caller's to obey: it hands over the judge.

    Raises:
        InvalidInput: assertions about what the input does not have, all of them.
        TooComplex: an assertion about too many kinds of flow.
    """
    errors: list[InputError] = []
    kinds, patterns = Kinds(judge), tuple(patterns_of(judge.policies.snapshot))
    answers = _Answers(judge)
    found: list[tuple[Assertion, list[Demand], tuple[str, ...]]] = []
    for suite in suites:
        lookup = Lookup(judge.policies.snapshot, namespace, {**suite.names, **(names or {})}, patterns)
        demands = Demands(judge, Places(lookup, kinds.roll), kinds)
        found.extend((one, demands.of(one, errors), demands.places.take_notes()) for one in suite.assertions)
    if errors:
        # The subject of an assertion is looked for once for each entry.
        raise InvalidInput(dict.fromkeys(errors))
    return tuple(_outcome(answers, *one) for one in found)


def allowed(judge: Judge, demand: Demand) -> PacketSet:
    """Those packets of a demand that both ends let pass."""
    if demand.about is not None:
        return demand.packets(_passing_requests(judge, demand))
    if demand.pair is not None:
        return demand.packets(demand.asked & demand.pair.allowed)
    packets = demand.packets()
    near = demand.known
    if near.pod is None or not judge.policies.isolation(near.pod, demand.near).governed:
        return packets
    addresses = packets.addresses()
    if addresses & LOOPBACK:
        return packets & decide(judge.policies, near.pod, demand.near).allowed().restrict(addresses)
    return packets & beyond_the_cluster(judge, near.pod, demand.near).restrict(addresses)


def _passing_requests(judge: Judge, demand: Demand) -> TransportSet:
    """The ports at which the request is let through: single ones, each asked for itself."""
    found = TransportSet()
    for protocol, spans in demand.asked.items():
        for port, _ in spans:
            flow = Flow(demand.source, demand.destination, int(protocol), port, about=demand.about)
            if (demand.told or judge).judge(flow).verdict.allows:
                found |= TransportSet.ports(protocol, port)
    return found


def wrong(judge: Judge, demand: Demand) -> PacketSet:
    """The packets of a demand that are not as demanded."""
    if demand.wanted is None:
        return PacketSet.none()
    passing = allowed(judge, demand)
    return demand.packets() - passing if demand.wanted.allows else passing


def _outcome(answers: _Answers, assertion: Assertion, demands: list[Demand], said_of_ends: tuple[str, ...]) -> Outcome:
    failing = [(demand, packets) for demand in demands if (packets := wrong(answers.judge, demand))]
    points: dict[str, None] = {}
    said = dict.fromkeys(said_of_ends)
    for demand in demands:
        points.update(dict.fromkeys(_open_points(answers, demand)))
        said.update(dict.fromkeys(_notes(answers, demand)))
    failure = _failure(answers.judge, failing) if failing else None
    if failure is not None:
        points.update(dict.fromkeys(failure.trace.open_points))
    return Outcome(assertion, tuple(demands), failure, tuple(points), tuple(said))


def _failure(judge: Judge, failing: list[tuple[Demand, PacketSet]]) -> Failure:
    demand, packets = min(failing, key=lambda one: _plainness(one[0]))
    assert demand.wanted is not None, "of what is not demanded nothing is wrong"
    trace = witness(judge, demand, packets)
    shown = str(Pair(trace.flow.source, trace.flow.destination, demand.name))
    # Two ends are told apart as they are called: those of another family are no news.
    more: dict[str, Pair] = {}
    for one, its in failing:
        # Of a block the one address that stands for it need not be among the wrong ones.
        flow = trace.flow if one is demand else Flow(one.source, one.destination, 0)
        if one.addresses is not None and one is not demand:
            flow = _flow(one, its)
        pair = Pair(flow.source, flow.destination, one.name)
        if str(pair) != shown:
            more.setdefault(str(pair), pair)
    return Failure(demand.wanted, trace, packets, demand.name, tuple(more.values()))


def _plainness(demand: Demand) -> tuple[int, int]:
    """What is understood best comes first: two known ends, and IPv4."""
    return (0 if demand.addresses is None else 1), demand.source.address.version


def witness(judge: Judge, demand: Demand, packets: PacketSet) -> Trace:
    """One of some packets of a demand, judged: the one that a reader understands best."""
    trace = (demand.told or judge).judge(dataclasses.replace(_flow(demand, packets), about=demand.about))
    if demand.told is None or demand.addresses is None or demand.addresses.size() == 1:
        return trace
    # One address stands for all that the name may have: it is nobody's, and no reason should speak of it.
    return dataclasses.replace(trace, ingress=dataclasses.replace(trace.ingress, reason=OUTSIDE))


def _flow(demand: Demand, packets: PacketSet) -> Flow:
    """A port that the destination listens on, else a well-known one, else the lowest; of a block a usual address."""
    found = packets.witness()
    assert found is not None, "a set that is not empty has a member"
    for protocol, port in (*_ports_of(demand.destination), *_WELL_KNOWN):
        cubes = (addresses for addresses, transports in packets if transports.contains(protocol, port))
        there = next(cubes, None)
        if there is not None:
            found = there.lowest(), protocol, port
            break
    else:
        # Port 0 only where there is no other: nobody connects to it.
        rest = PacketSet.union_of((addresses, transports - _PORT_ZERO) for addresses, transports in packets)
        found = rest.witness() or found
    _, protocol, coordinate = found
    if demand.addresses is None or demand.told is not None:
        # Where a name leads that was asked about, is the destination: only that was told.
        return Flow(demand.source, demand.destination, protocol, coordinate)
    same = (addresses for addresses, transports in packets if transports.contains(protocol, coordinate))
    far = Endpoint(_usual(AddressSet.union_of(same)))
    source, destination = (demand.known, far) if demand.near is Direction.EGRESS else (far, demand.known)
    return Flow(source, destination, protocol, coordinate)


def _ports_of(end: Endpoint) -> list[tuple[int, int]]:
    return [(int(Protocol[port.protocol]), port.port) for port in (end.pod.ports if end.pod is not None else ())]


def _usual(addresses: AddressSet) -> Address:
    """One that readers know to stand for the internet, else the lowest that is not the number of a whole network."""
    for known in _OUTSIDE:
        if known in addresses:
            return known
    lowest = (addresses - _THIS_NETWORK or addresses).lowest()
    following = address_of(lowest.version, int(lowest) + 1) if int(lowest) & 0xFF == 0 else lowest
    return following if following in addresses else lowest


def _notes(answers: _Answers, demand: Demand) -> Iterator[str]:
    """Namespaces that are only mentioned, where a rule looks at their labels; names that nobody may ask for."""
    judge = answers.judge
    snapshot = judge.policies.snapshot
    pods = (demand.source.pod, demand.destination.pod)
    if demand.wanted is Verdict.ALLOW and demand.about is None:
        yield from _conditions(demand.told or judge, demand)
    if demand.told is not None and demand.wanted is Verdict.ALLOW:
        passing = demand.packets(demand.asked & demand.pair.allowed if demand.pair is not None else demand.asked)
        trace = witness(judge, demand, passing or demand.packets())
        yield from cannot_ask(answers.learning(demand.told), trace, demand.name)
    elif demand.pair is not None and any(pod and not snapshot.namespace(pod.namespace).declared for pod in pods):
        trace = judge.judge(Flow(demand.source, demand.destination, int(Protocol.TCP), 1))
        yield from notes(judge, trace)


def _conditions(judge: Judge, demand: Demand) -> Iterator[str]:
    """Where something passes on a condition alone, of which the assertion says nothing."""
    source, destination = demand.source, demand.destination
    for direction, subject, peer in (
        (Direction.EGRESS, source.pod, destination),
        (Direction.INGRESS, destination.pod, source),
    ):
        for rule in judge.policies.isolation(subject, direction).rules if subject is not None else ():
            asked = demand.asked & matched(judge.policies, rule, peer, destination) if rule.conditions else None
            if asked:
                protocol, port = _first(asked)
                trace = judge.judge(Flow(source, destination, protocol, port))
                side = trace.egress if direction is Direction.EGRESS else trace.ingress
                if rule in side.conditional and trace.verdict.allows:
                    end = demand.name or destination
                    where = f"{source} → {end} {Protocol(protocol).name} {port}"
                    conditions = rule.conditions or Conditions()
                    hint = "; http asks about one request" if conditions.http else ""
                    only = " or ".join(spell_conditions(conditions))
                    yield f"{where} is allowed only for {only}, by {rule.origin}{hint}"


def _first(transports: TransportSet) -> tuple[int, int]:
    return next((int(protocol), span[0]) for protocol, spans in transports.items() for span in spans)


def _open_points(answers: _Answers, demand: Demand) -> tuple[str, ...]:
    """What the API leaves open about the packets of a demand."""
    unspoken = demand.asked - TransportSet.governed()
    if demand.told is not None:
        return ()
    if unspoken or (demand.addresses is not None and demand.addresses & TO_MANY):
        return witness(
            answers.judge, demand, PacketSet.cube(demand.packets().addresses(), unspoken or demand.asked)
        ).open_points
    pair = demand.pair
    if pair is None or not _doubtful(answers.judge, demand):
        # Outside the cluster nothing is left open about TCP, UDP and SCTP.
        return ()
    key = (id(pair), demand.asked)
    found = answers.silent.get(key)
    if found is None:
        answers.kept.append(pair)
        mine = pair_ports(answers.judge, demand.source, demand.destination)
        found = answers.silent[key] = open_points(answers.judge, mine, demand.asked)
    return found


def _doubtful(judge: Judge, demand: Demand) -> bool:
    """Whether another reading could turn anything: asked first, because asking for every border is dear."""
    ends = (demand.source, demand.destination)
    pods = [end.pod for end in ends if end.pod is not None]
    if any(end.pod is None or end.pod.host_network for end in ends):
        return True
    if all(pod.addressed for pod in pods):
        return False
    return any(
        isinstance(match, BlockMatch)
        for pod, direction in zip(pods, Direction, strict=True)
        for rule in judge.policies.isolation(pod, direction).every_rule()
        for match in rule.peers or ()
    )
