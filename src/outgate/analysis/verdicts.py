"""Whether assertions hold, and for one that does not: a packet that proves it, and who decided about it.

Every demand is a set of packets that must all be allowed or all be denied (`demands`), so an assertion fails exactly
if one of those sets is not empty:

    wanted Allow:   packets − allowed            wanted Deny:   packets ∩ allowed

The witness is a member of that set, judged again rule by rule for its reasons, as `can-reach` would be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outgate.analysis.assertions import Assertion, Suite
from outgate.analysis.demands import Demand, Demands
from outgate.analysis.ends import Places
from outgate.analysis.kinds import Kinds
from outgate.analysis.lookup import Lookup
from outgate.analysis.notes import notes
from outgate.analysis.ports import open_points, pair_ports
from outgate.errors import InputError, InvalidInput
from outgate.model import Direction
from outgate.packets import Address, IntervalSet, PacketSet, Protocol, TransportSet
from outgate.policy import BlockMatch, Decision, Endpoint, Flow, Judge, Trace, Verdict, decide
from outgate.policy.endpoints import LOOPBACK, TO_MANY

__all__ = ["Failure", "Outcome", "allowed", "evaluate", "witness", "wrong"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an assertion does not hold. `wanted` is what the witness should have been."""

    wanted: Verdict
    trace: Trace
    """The witness: one packet, and the verdict on both ends."""
    packets: PacketSet
    """All that is wrong between the two ends of the witness; addresses are those of the far side."""
    more: tuple[tuple[Endpoint, Endpoint], ...] = ()
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
    kinds = Kinds(judge)
    answers = _Answers(judge)
    found: list[tuple[Assertion, list[Demand]]] = []
    for suite in suites:
        lookup = Lookup(judge.policies.snapshot, namespace, {**suite.names, **(names or {})})
        demands = Demands(judge, Places(lookup), kinds)
        found.extend((one, demands.of(one, errors)) for one in suite.assertions)
    if errors:
        raise InvalidInput(errors)
    return tuple(_outcome(answers, assertion, demands) for assertion, demands in found)


def allowed(judge: Judge, demand: Demand) -> PacketSet:
    """Those packets of a demand that both ends let pass."""
    packets = demand.packets()
    if demand.pair is not None:
        return packets & PacketSet.cube(packets.addresses(), demand.pair.allowed)
    near = demand.known
    if near.pod is None or not judge.policies.isolation(near.pod, demand.near).policies:
        return packets
    return packets & _decision(judge, demand).allowed().restrict(packets.addresses())


def _decision(judge: Judge, demand: Demand) -> Decision:
    near, addresses = demand.known, demand.packets().addresses()
    assert near.pod is not None, "an end without a pod has no decision"
    if addresses & LOOPBACK:
        return decide(judge.policies, near.pod, demand.near)
    return judge.policies.decision(near.pod, demand.near)


def wrong(judge: Judge, demand: Demand) -> PacketSet:
    """The packets of a demand that are not as demanded."""
    if demand.wanted is None:
        return PacketSet.none()
    passing = allowed(judge, demand)
    return demand.packets() - passing if demand.wanted.allows else passing


def _outcome(answers: _Answers, assertion: Assertion, demands: list[Demand]) -> Outcome:
    failing = [(demand, packets) for demand in demands if (packets := wrong(answers.judge, demand))]
    points: dict[str, None] = {}
    said: dict[str, None] = {}
    for demand in demands:
        points.update(dict.fromkeys(_open_points(answers, demand)))
        said.update(dict.fromkeys(_notes(answers.judge, demand)))
    failure = _failure(answers.judge, failing) if failing else None
    return Outcome(assertion, tuple(demands), failure, tuple(points), tuple(said))


def _failure(judge: Judge, failing: list[tuple[Demand, PacketSet]]) -> Failure:
    demand, packets = min(failing, key=lambda one: _plainness(one[0]))
    assert demand.wanted is not None, "of what is not demanded nothing is wrong"
    rest = tuple((one.source, one.destination) for one, _ in failing if one is not demand)
    return Failure(demand.wanted, witness(judge, demand, packets), packets, rest)


def _plainness(demand: Demand) -> tuple[int, int]:
    """What is understood best comes first: two known ends, and IPv4."""
    return (0 if demand.addresses is None else 1), demand.source.address.version


def witness(judge: Judge, demand: Demand, packets: PacketSet) -> Trace:
    """One of some packets of a demand, judged. Port 0 is taken only where there is no other: nobody connects to it."""
    real = TransportSet.any() - _PORT_ZERO
    usable = PacketSet.union_of((addresses, transports & real) for addresses, transports in packets) or packets
    found = usable.witness()
    assert found is not None, "a set that is not empty has a member"
    address, protocol, coordinate = found
    far = demand.far if demand.addresses is None else Endpoint(address)
    source, destination = (demand.known, far) if demand.near is Direction.EGRESS else (far, demand.known)
    return judge.judge(Flow(source, destination, protocol, coordinate))


def _notes(judge: Judge, demand: Demand) -> Iterator[str]:
    """Namespaces that are only mentioned, where a rule looks at their labels."""
    snapshot = judge.policies.snapshot
    pods = (demand.source.pod, demand.destination.pod)
    if demand.pair is not None and any(pod and not snapshot.namespace(pod.namespace).declared for pod in pods):
        trace = judge.judge(Flow(demand.source, demand.destination, int(Protocol.TCP), 1))
        yield from notes(judge, trace)


def _open_points(answers: _Answers, demand: Demand) -> tuple[str, ...]:
    """What the API leaves open about the packets of a demand."""
    unspoken = demand.asked - TransportSet.governed()
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
        for rule in judge.policies.isolation(pod, direction).rules
        for match in rule.peers or ()
    )


_PORT_ZERO = TransportSet(tcp=IntervalSet.single(0), udp=IntervalSet.single(0), sctp=IntervalSet.single(0))
