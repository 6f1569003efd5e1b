"""Can SRC reach DST? One question, answered on both ends.

    question ─► family ─┬► a port:   flows, one for each pair of ends (or piece of a block) ─► judge
                        └► no port:  the exact set of ports (`reach_ports`)

A question about several flows (a workload, a Service with several endpoints) is answered with Allow only if every
one of them is allowed: "web can reach the database" is false while one of its pods cannot. The flow whose
verdict decides is the one whose ends are shown.

A connection that cannot succeed for another reason than policy (nobody behind a Service) is answered Deny, with
that reason in `failure`: who asks "can it reach" gets no for an answer, and is not sent to read policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from outgate.analysis.blocks import pieces
from outgate.analysis.flows import Aim, Aims, aims, choose_family, echo, ends, has_ports
from outgate.analysis.learning import Learning
from outgate.analysis.lookup import AddressTarget, BlockTarget, NameTarget, ServiceTarget
from outgate.analysis.names import (
    asked_name,
    cannot_ask,
    cannot_resolve,
    having_asked,
    kept_out,
    not_meant,
    who_cannot_ask,
)
from outgate.analysis.notes import hints, notes
from outgate.analysis.reach_name import flows_to_name, ports_of_name, standing
from outgate.analysis.reach_ports import block_without_port, without_port
from outgate.analysis.reachability import OUTSIDE, Judged, Question, Reachability, Split
from outgate.analysis.routes import UNASSIGNED
from outgate.analysis.spelling import spell_protocol
from outgate.errors import TooComplex, UsageError
from outgate.model import Direction
from outgate.packets import Address, AddressSet, Protocol
from outgate.packets.addresses import Family
from outgate.policy import Endpoint, Flow, Judge, Side, Trace, Verdict
from outgate.policy.endpoints import TO_MANY
from outgate.policy.meeting import About

__all__ = ["MOST_FLOWS", "reach"]

MOST_FLOWS = 250_000
"""Flows of one question; about ten seconds. Beyond that the user says which pod of a workload is meant."""


def reach(judge: Judge, question: Question) -> Reachability:
    """Answer one question. Raises UsageError or UnknownName for what cannot be asked, TooComplex beyond the cap."""
    judge = having_asked(judge, question.source, question.destination)
    answer = replace(_reach(judge, question), profile=judge.policies.profile)
    name = asked_name(judge.policies.snapshot, question.destination)
    if not name or answer.deciding is not None:
        return answer
    # No port is asked about, so that no one flow decides.
    return replace(answer, notes=(*answer.notes, *who_cannot_ask(Learning(judge), question.source, name)))


def _reach(judge: Judge, question: Question) -> Reachability:
    source, asked = question.source, question.transport
    if isinstance(source, ServiceTarget):
        raise UsageError(f"{source} sends nothing by itself", hint="name a pod or a workload behind it")
    if isinstance(source, NameTarget):
        # What a rule about names opens is for what is sent there; a sender is judged by its address.
        words = f"{source} has no address in the input, and what it sends is judged by its address"
        raise UsageError(words, hint=f"give --dns-name {source}=ADDRESS")
    blocks = [isinstance(target, BlockTarget) for target in (source, question.destination)]
    if all(blocks):
        raise UsageError("both ends are blocks of addresses: no pod, no policy", hint="name a pod on one side")
    if asked.port is not None and not has_ports(asked.protocol):
        raise UsageError(f"{spell_protocol(asked.protocol or 0)} has no ports", hint="leave the port out")
    if question.about is not None and (asked.port is None or any(blocks)):
        raise UsageError(f"{question.about} goes to one port of one destination", hint="name the port: DST:PORT")
    if isinstance(question.destination, NameTarget):
        return _to_name(judge, question, question.destination)
    family = _family(question)
    if asked.port is None and has_ports(asked.protocol):
        return block_without_port(judge, question, family) if any(blocks) else without_port(judge, question, family)
    if isinstance(question.destination, BlockTarget):
        return _to_block(judge, question, question.destination, family)
    if isinstance(source, BlockTarget):
        return _from_block(judge, question, source, family)
    return _between(judge, question, family)


def _family(question: Question) -> Family:
    """The family, where ICMP and ICMPv6 have a say: each belongs to one (RFC 792, RFC 4443)."""
    owned = {int(Protocol.ICMP): 4, int(Protocol.ICMPV6): 6}.get(question.transport.protocol or 0)
    if owned is not None and question.family not in (None, owned):
        raise UsageError("ICMP is of IPv4 and ICMPv6 of IPv6: the protocol and --family contradict each other")
    return choose_family(question.source, question.destination, owned or question.family)


def _between(judge: Judge, question: Question, family: Family) -> Reachability:
    snapshot = judge.policies.snapshot
    sources = ends(snapshot, question.source, family)
    there = aims(snapshot, question.destination, question.transport, family)
    if there.failure:
        return _failed(question, family, there)
    _refuse_too_many(len(sources) * len(there.aims))
    about = question.about
    judged = tuple(Judged(_judge(judge, source, aim, about)) for source in sources for aim in there.aims)
    return _answer(judge, question, judged)


def _to_block(judge: Judge, question: Question, block: BlockTarget, family: Family) -> Reachability:
    coordinate = _coordinate(question)
    judged: list[Judged] = []
    for source in ends(judge.policies.snapshot, question.source, family):
        for piece in pieces(judge, block.network, source, Direction.EGRESS, question.transport, coordinate):
            judged.extend(Judged(_judge(judge, source, aim), piece.addresses) for aim in piece.aims)
        _refuse_too_many(len(judged))
    answer = replace(_answer(judge, question, tuple(judged)), split=_split(judged), address=None)
    return replace(answer, ingress=_of_the_block(answer.ingress, answer.deciding, Direction.INGRESS))


def _to_name(judge: Judge, question: Question, name: NameTarget) -> Reachability:
    parts, told = standing(judge, question, name)
    judge = having_asked(judge, question.source, told)
    if question.transport.port is None and has_ports(question.transport.protocol):
        return ports_of_name(judge, question, parts)
    judged: list[Judged] = []
    for source, aim, part in flows_to_name(judge, question, parts):
        judged.append(Judged(_judge(judge, source, aim, question.about), part))
        _refuse_too_many(len(judged))
    answer = replace(_answer(judge, question, tuple(judged)), split=_split(judged), address=None)
    return replace(answer, ingress=_of_the_block(answer.ingress, answer.deciding, Direction.INGRESS))


def _from_block(judge: Judge, question: Question, block: BlockTarget, family: Family) -> Reachability:
    there = aims(judge.policies.snapshot, question.destination, question.transport, family)
    if there.failure:
        return _failed(question, family, there)
    judged: list[Judged] = []
    for aim in there.aims:
        asked = replace(question.transport, port=aim.coordinate, protocol=aim.protocol)
        for piece in pieces(judge, block.network, aim.end, Direction.INGRESS, asked, aim.coordinate):
            judged.extend(Judged(_judge(judge, one.end, aim), piece.addresses) for one in piece.aims)
        _refuse_too_many(len(judged))
    answer = replace(_answer(judge, question, tuple(judged)), split=_split(judged))
    return replace(answer, egress=_of_the_block(answer.egress, answer.deciding, Direction.EGRESS))


def _of_the_block(side: Side, deciding: Trace | None, direction: Direction) -> Side:
    """The side of the block's end, without the one address outside that stood for all of them."""
    if deciding is None:
        return side
    end = deciding.flow.source if direction is Direction.EGRESS else deciding.flow.destination
    if end.pod is not None or end.node is not None:
        return side
    return replace(side, reason=OUTSIDE)


def _coordinate(question: Question) -> int:
    port = question.transport.port
    if isinstance(port, str):
        raise UsageError(f"{question.destination} is no pod: the name of a port means nothing there")
    return port if port is not None else echo(question.transport.protocol or 0)


def _refuse_too_many(flows: int) -> None:
    if flows > MOST_FLOWS:
        raise TooComplex(f"more than {MOST_FLOWS:,} flows in one question", hint="ask about one pod of the workload")


def _judge(judge: Judge, source: Endpoint, aim: Aim, about: About | None = None) -> Trace:
    trace = judge.judge(replace(aim.flow(source), about=about))
    if source.pod is None and aim.dialled is not None and not trace.ingress.verdict.allows:
        # concept page: it is not defined whether the rewriting of a source address "happens before or after
        # NetworkPolicy processing"; a node that forwards to an endpoint elsewhere usually puts its own address in.
        words = "whether policy sees the client's address or a node's behind a Service is up to the network plugin"
        return replace(trace, specified=False, open_points=(*trace.open_points, words))
    return trace


def _answer(judge: Judge, question: Question, judged: tuple[Judged, ...]) -> Reachability:
    traces = _without_silence(judged)
    deciding, verdict, specified = _deciding(traces)
    flow = deciding.flow
    port = flow.dialled[1] if flow.dialled is not None else flow.coordinate
    points = dict.fromkeys(point for trace in traces for point in trace.open_points)
    return Reachability(
        question,
        flow.protocol,
        port if has_ports(flow.protocol) else None,
        _address([one.trace.flow for one in judged]),
        verdict,
        specified,
        deciding.egress,
        deciding.ingress,
        deciding=deciding,
        flows=judged,
        open_points=() if specified else tuple(points),
        hints=hints(judge, deciding),
        notes=(*notes(judge, deciding), *_about_names(judge, question, deciding)),
    )


def _about_names(judge: Judge, question: Question, deciding: Trace) -> tuple[str, ...]:
    destination = question.destination
    name = asked_name(judge.policies.snapshot, destination)
    said = (*cannot_ask(Learning(judge), deciding, name), *kept_out(judge, deciding, name)) if name else ()
    if not name and deciding.verdict.allows and isinstance(destination, ServiceTarget) and destination.asked:
        said = tuple(cannot_resolve(judge, deciding, destination.name))
    return (*said, *not_meant(judge.policies.snapshot, destination))


def _address(flows: Iterable[Flow]) -> Address | None:
    """The address that is dialled; None where there are several, or one that stands in for what is not known."""
    sent: set[Address] = set()
    for flow in flows:
        address = flow.dialled[0] if flow.dialled is not None else flow.destination.address
        pod = flow.destination.pod
        if address in UNASSIGNED.values() or (flow.dialled is None and pod is not None and not pod.addressed):
            return None
        sent.add(address)
    return sent.pop() if len(sent) == 1 else None


def _without_silence(judged: tuple[Judged, ...]) -> list[Trace]:
    """The flows that decide: of a block, not the multicast part, of which the API does not speak (unless it is all)."""
    spoken = [one.trace for one in judged if one.addresses is None or not one.addresses <= TO_MANY]
    return spoken or [one.trace for one in judged]


def _deciding(traces: list[Trace]) -> tuple[Trace, Verdict, bool]:
    """The flow that decides for all, the verdict for all, and whether the API specifies it."""
    denied = [trace for trace in traces if not trace.verdict.allows]
    if denied:
        certain = next((trace for trace in denied if trace.specified), None)
        return certain or denied[0], Verdict.DENY, certain is not None
    doubtful = next((trace for trace in traces if not trace.specified), None)
    # Of flows that pass, one that passes on a condition says more than one that passes in any case.
    asked = next((trace for trace in traces if trace.egress.conditional or trace.ingress.conditional), None)
    return doubtful or asked or traces[0], Verdict.ALLOW, doubtful is None


def _split(judged: list[Judged]) -> Split:
    """An address counts as denied if any flow of it is."""
    pieces_of = [(one.addresses or AddressSet(), one.trace.verdict.allows) for one in judged]
    denied = AddressSet.union_of(mine for mine, allowed in pieces_of if not allowed)
    return Split(AddressSet.union_of(mine for mine, _ in pieces_of) - denied, denied)


def _failed(question: Question, family: Family, there: Aims) -> Reachability:
    """The answer where there is nobody to judge."""
    target, asked = question.destination, question.transport
    address: Address | None = None
    if isinstance(target, ServiceTarget):
        address = next((one for one in target.service.cluster_ips if one.version == family), None)
    elif isinstance(target, AddressTarget) and len(target.addresses) == 1:
        address = target.addresses[0]
    sides = [Side(direction, Verdict.DENY, False, None, there.failure) for direction in Direction]
    protocol = asked.protocol if asked.protocol is not None else int(Protocol.TCP)
    return Reachability(
        question, protocol, asked.port, address, Verdict.DENY, True, sides[0], sides[1], failure=there.failure
    )
