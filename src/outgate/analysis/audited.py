"""Policies that Outgate's agent only watches, where an answer rests on them.

What a verdict says is what the policies say, and the annotation ``outgate.dev/enforcement: audit`` does not change it:
it is an order to one enforcer, for a time (`outgate.policy.mode`). But whoever reads "denied" and sees the packet pass
must know why. So it is said beside the answer, and only of policies that select somebody whom the answer is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.analysis.reachability import Reachability
from outgate.model import Direction, Pod
from outgate.policy import Policies, Trace
from outgate.policy.mode import ANNOTATION, Mode, mode_of

__all__ = ["audited", "audited_words", "ends_of"]

MOST_NAMED = 3


def audited(policies: Policies, ends: Iterable[tuple[Pod, Direction]] | None = None) -> tuple[str, ...]:
    """The audited policies that isolate one of these ends (without `ends`: any pod), as namespace/name, in order.

    Counted is the annotation on a policy or its namespace alone: what an agent does by default no manifest says.
    """
    snapshot = policies.snapshot
    watched = {
        str(one)
        for one in snapshot.policies
        if mode_of(one, snapshot.namespace(one.namespace), Mode.ENFORCE) is Mode.AUDIT
    }
    if not watched:
        return ()
    if ends is None:
        ends = ((pod, direction) for pod in snapshot.endpoints for direction in Direction)
    selecting = (one for pod, direction in ends for one in policies.selection.selecting(pod, direction))
    return tuple(sorted(watched.intersection(map(str, selecting))))


def ends_of(answer: Reachability) -> Iterator[tuple[Pod, Direction]]:
    """The pods whose policies an answer asked, and in which direction."""
    for trace in _traces(answer):
        for end, direction in ((trace.flow.source, Direction.EGRESS), (trace.flow.destination, Direction.INGRESS)):
            if end.pod is not None:
                yield end.pod, direction


def _traces(answer: Reachability) -> Iterator[Trace]:
    if answer.deciding is not None:
        yield answer.deciding
    yield from (one.trace for one in answer.flows)
    if answer.ports is not None:
        yield from (one.trace for one in answer.ports.pairs)


def audited_words(names: tuple[str, ...]) -> str:
    """What is said of them, in one sentence."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    one = len(names) == 1
    return (
        f"Outgate's agent only watches {'policy' if one else 'policies'} {', '.join(names[:MOST_NAMED])}{more} "
        f"({ANNOTATION}: audit): what {'it alone denies' if one else 'they alone deny'} passes there, and is logged"
    )
