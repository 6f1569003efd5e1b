"""What stands beside a verdict: the nearest rule that would have allowed it, and what the input does not say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from outgate.model import Direction
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import TransportSet
from outgate.policy import Endpoint, Judge, Origin, PodMatch, Rule, Trace
from outgate.policy.trace import as_seen
from outgate.records import dataclass

__all__ = ["Hint", "hints", "notes"]

MOST_HINTS = 3


@dataclass(frozen=True, slots=True)
class Hint:
    """A rule that allows other ports between the same two ends."""

    direction: Direction
    origin: Origin
    transports: TransportSet


def hints(judge: Judge, trace: Trace) -> tuple[Hint, ...]:
    """For each end that denies: the first rules there that allow the same peer on other ports."""
    found: list[Hint] = []
    flow = trace.flow
    for side, subject, peer in (
        (trace.egress, flow.source, as_seen(judge.policies, flow, Direction.EGRESS).destination),
        (trace.ingress, flow.destination, flow.source),
    ):
        if side.verdict.allows or side.conditional or subject.pod is None:
            continue
        opening = judge.policies.allowed_at(subject.pod, side.direction, peer.address)
        found += (Hint(side.direction, rule.origin, some) for some, rule in itertools.islice(opening, MOST_HINTS))
    return tuple(found)


def notes(judge: Judge, trace: Trace) -> tuple[str, ...]:
    """What the input leaves out and the verdict may hang on."""
    return tuple(dict.fromkeys((*_unknown_namespaces(judge, trace), *_without_family(trace))))


def _unknown_namespaces(judge: Judge, trace: Trace) -> Iterator[str]:
    """A namespace that is only mentioned has, as far as the input says, no label but its name."""
    flow = trace.flow
    for direction, subject, peer in (
        (Direction.EGRESS, flow.source, flow.destination),
        (Direction.INGRESS, flow.destination, flow.source),
    ):
        if subject.pod is None or peer.pod is None:
            continue
        namespace = judge.policies.snapshot.namespace(peer.pod.namespace)
        rules = judge.policies.isolation(subject.pod, direction).every_rule()
        if not namespace.declared and any(map(_reads_labels, rules)):
            yield f"namespace {namespace.name} is not in the input: its labels are not known"


def _reads_labels(rule: Rule) -> bool:
    """Whether a rule looks at labels of namespaces other than the one that the server itself sets."""
    matches = (match for match in rule.peers or () if isinstance(match, PodMatch) and match.namespaces is not None)
    return any(match.namespaces is not None and match.namespaces.keys() - {NAME_LABEL} for match in matches)


def _without_family(trace: Trace) -> Iterator[str]:
    source, destination = trace.flow.source, trace.flow.destination
    family = destination.address.version
    if source.address.version != family:
        yield _no_family(source, family)


def _no_family(end: Endpoint, family: int) -> str:
    return f"{end} has no IPv{family} address in the input: this is what its policies say"
