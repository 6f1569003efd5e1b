"""Can SRC reach DST, and where no port was given: on which ports?

The answer is the exact set of transports that pass between *every* pair of ends. It is Allow if anything of TCP,
UDP or SCTP is in it; what the API does not govern (ICMP and the rest) alone makes no connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from outgate.analysis.blocks import block_ports
from outgate.analysis.flows import aims, ends
from outgate.analysis.lookup import AddressTarget, BlockTarget, NameTarget, ServiceTarget
from outgate.analysis.notes import notes
from outgate.analysis.ports import PairPorts, open_points, pair_ports
from outgate.analysis.reachability import OUTSIDE, Judged, PortsAnswer, Question, Reachability, Split
from outgate.analysis.spelling import spell_transports
from outgate.analysis.targets import TransportAsked
from outgate.errors import TooComplex, UsageError
from outgate.model import Direction, Service
from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Judge, Origin, Side, Verdict

__all__ = ["MOST_PAIRS", "block_without_port", "divided", "without_port"]

MOST_PAIRS = 20_000
"""Pairs of ends in one question about ports; about ten seconds."""


def without_port(judge: Judge, question: Question, family: Family) -> Reachability:
    """The ports between pods, workloads, addresses, nodes and Services."""
    service = _dialled_service(judge, question)
    if service is not None:
        return _service(judge, question, service, family)
    snapshot, target = judge.policies.snapshot, question.destination
    there = aims(snapshot, target, question.transport, family)
    if there.failure:
        return _nobody(question, there.failure)
    sources = ends(snapshot, question.source, family)
    if len(sources) * len(there.aims) > MOST_PAIRS:
        raise TooComplex(f"more than {MOST_PAIRS:,} pairs of ends", hint="ask about one pod of the workload")
    pairs = tuple(pair_ports(judge, source, aim.end) for source in sources for aim in there.aims)
    addresses = {aim.end.address for aim in there.aims if aim.end.pod is None or aim.end.pod.addressed}
    answer = _answer(judge, question, pairs, _everywhere(pairs) & _asked(question))
    return replace(answer, address=addresses.pop() if len(addresses) == 1 else None)


def _dialled_service(judge: Judge, question: Question) -> Service | None:
    """The Service whose address would be translated; a headless one has none, its endpoints are dialled themselves."""
    match question.destination:
        case ServiceTarget(service=service) if not service.headless:
            return service
        case AddressTarget(addresses=(address,)):
            return judge.policies.snapshot.service_of(address)
    return None


def _service(judge: Judge, question: Question, service: Service, family: Family) -> Reachability:
    """Each port of the Service is one question; what passes is the set of Service ports."""
    snapshot, allowed = judge.policies.snapshot, TransportSet()
    sources = ends(snapshot, question.source, family)
    judged: list[Judged] = []
    failures: list[str] = []
    for port in service.ports:
        protocol = Protocol[port.protocol]
        if question.transport.protocol not in (None, int(protocol)):
            continue
        there = aims(snapshot, question.destination, TransportAsked(port.port, int(protocol)), family)
        failures.extend([there.failure] if there.failure else [])
        flows = [(source, aim) for source in sources for aim in there.aims]
        traces = [judge.judge(aim.flow(source)) for source, aim in flows]
        judged.extend(map(Judged, traces))
        if traces and all(trace.verdict.allows for trace in traces):
            allowed |= TransportSet.ports(protocol, port.port)
    if not judged:
        return _nobody(question, failures[0] if failures else f"Service {service} has no such port")
    verdict = Verdict.ALLOW if allowed else Verdict.DENY
    shown = next((one.trace for one in judged if one.trace.verdict is verdict), judged[0].trace)
    points = tuple(dict.fromkeys(point for one in judged for point in one.trace.open_points))
    return Reachability(
        question,
        question.transport.protocol,
        None,
        _cluster_address(question, service, family),
        verdict,
        not points,
        shown.egress,
        shown.ingress,
        flows=tuple(judged),
        ports=PortsAnswer(allowed),
        open_points=points,
        notes=notes(judge, shown),
    )


def _cluster_address(question: Question, service: Service, family: Family) -> Address | None:
    if isinstance(question.destination, AddressTarget):
        return question.destination.addresses[0]
    return next((one for one in service.cluster_ips if one.version == family), None)


def block_without_port(judge: Judge, question: Question, family: Family) -> Reachability:
    """The ports for each address of a block; Allow only if every address of it can be reached on some."""
    outbound = isinstance(question.destination, BlockTarget)
    block = question.destination if outbound else question.source
    known = question.source if outbound else question.destination
    assert isinstance(block, BlockTarget)
    direction = Direction.EGRESS if outbound else Direction.INGRESS
    if isinstance(known, ServiceTarget):
        raise UsageError(f"from all of {block} to {known}: give a port of the Service")
    found = [block_ports(judge, block.network, end, direction) for end in ends(judge.policies.snapshot, known, family)]
    whole = AddressSet.union_of(one.addresses for one in found)
    allowed = PacketSet.cube(whole, _asked(question))
    for one in found:
        # What one pod does not leave for (its own address) is no limit to the others.
        allowed &= one.allowed | PacketSet.cube(whole - one.addresses, TransportSet.any())
    return divided(judge, question, tuple(pair for one in found for pair in one.pairs), whole, allowed)


def divided(
    judge: Judge, question: Question, pairs: tuple[PairPorts, ...], whole: AddressSet, allowed: PacketSet
) -> Reachability:
    """The answer about many addresses: what of TCP, UDP and SCTP passes to all, and what to which of them."""
    reached = AddressSet.union_of(mine for mine, transports in allowed if transports & _governed(question))
    everywhere = _everywhere(pairs) & _asked(question)
    answer = _answer(judge, question, pairs, everywhere)
    return replace(
        answer,
        verdict=Verdict.ALLOW if reached == whole else Verdict.DENY,
        ports=PortsAnswer(everywhere, pairs, allowed),
        split=Split(reached, whole - reached),
    )


def _answer(judge: Judge, question: Question, pairs: tuple[PairPorts, ...], everywhere: TransportSet) -> Reachability:
    governed = everywhere & _governed(question)
    points: dict[str, None] = {}
    for pair in pairs:
        points.update(dict.fromkeys(open_points(judge, pair, _governed(question))))
    shown = next((pair for pair in pairs if not pair.allowed & _governed(question)), pairs[0])
    return Reachability(
        question,
        question.transport.protocol,
        None,
        None,
        Verdict.ALLOW if governed else Verdict.DENY,
        not points,
        _side(Direction.EGRESS, pairs, question),
        _side(Direction.INGRESS, pairs, question),
        ports=PortsAnswer(everywhere, pairs),
        open_points=tuple(points),
        notes=notes(judge, shown.trace),
    )


def _side(direction: Direction, pairs: tuple[PairPorts, ...], question: Question) -> Side:
    """One end of all pairs together: Allow if something passes it in every pair."""
    everywhere = _asked(question)
    for pair in pairs:
        everywhere &= pair.side(direction)
    verdict = Verdict.ALLOW if everywhere & _governed(question) else Verdict.DENY
    told = next((one for one in pairs if not one.side(direction) & _governed(question)), pairs[0])
    side = told.trace.egress if direction is Direction.EGRESS else told.trace.ingress
    shares = told.egress if direction is Direction.EGRESS else told.ingress
    origins: list[Origin] = [share.origin for share in shares if share.origin is not None]
    if verdict.allows and origins:
        reason = f"allowed on {spell_transports(everywhere)} by {', '.join(map(str, origins[:4]))}"
        decider = origins[0] if len(origins) == 1 else None
        return Side(direction, verdict, side.isolated, decider, reason, side.isolated_by)
    if verdict.allows:
        end = told.source if direction is Direction.EGRESS else told.destination
        outside = end.pod is None and end.node is None
        asked = question.source if direction is Direction.EGRESS else question.destination
        # The address that stood for the others is not one that the reader asked about.
        reason = OUTSIDE if outside and isinstance(asked, BlockTarget | NameTarget) else side.reason
        return Side(direction, verdict, side.isolated, None, reason, side.isolated_by)
    if not side.isolated or (side.outcome is not None and side.outcome.rule is not None):
        return Side(direction, verdict, side.isolated, side.decided_by, side.reason, side.isolated_by)
    names = ", ".join(dict.fromkeys(origin.name for origin in side.isolated_by))
    subject = told.source if direction is Direction.EGRESS else told.destination
    reason = f"{subject} is isolated for {direction.value.lower()} by {names}, and no rule there allows any port"
    return Side(direction, verdict, True, next(iter(side.isolated_by), None), reason, side.isolated_by)


def _asked(question: Question) -> TransportSet:
    number = question.transport.protocol
    return TransportSet.any() if number is None else TransportSet.protocol(number)


def _governed(question: Question) -> TransportSet:
    return _asked(question) & TransportSet.governed()


def _everywhere(pairs: Iterable[PairPorts]) -> TransportSet:
    found = TransportSet.any()
    for pair in pairs:
        found &= pair.allowed
    return found


def _nobody(question: Question, failure: str) -> Reachability:
    sides = [Side(direction, Verdict.DENY, False, None, failure) for direction in Direction]
    protocol = question.transport.protocol
    return Reachability(
        question,
        protocol,
        None,
        None,
        Verdict.DENY,
        True,
        sides[0],
        sides[1],
        ports=PortsAnswer(TransportSet()),
        failure=failure,
    )
