"""Who plays in a lab that cannot hold everybody.

Pods of one workload are made from one template, so one of them stands for the others; pods without a
workload stand for those with the same namespace, labels and ports. What is left out is counted and named:
a result about some pods must never look like one about all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from outgate.errors import UsageError
from outgate.lab.names import dns_services
from outgate.model import Direction, Pod, Snapshot
from outgate.policy.selection import Selection

__all__ = ["MAX_PODS", "Cast", "choose"]

MAX_PODS = 60
"""Pods that are all built unless told otherwise. Pairs grow with the square: 60 pods make 3 600."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The pods that play, and those that are stood for or left out."""

    snapshot: Snapshot
    """With the chosen pods alone; everything else as it was."""
    represented: int = 0
    """Pods left out because another of their kind plays."""
    dropped: tuple[str, ...] = ()
    """Kinds of pod of which nobody plays, by the name of one of them: beyond `max_pods`."""

    def notes(self) -> tuple[str, ...]:
        """What the reader must know, in sentences; none where everybody plays."""
        said = []
        if self.represented:
            count = len(self.snapshot.endpoints)
            said.append(
                f"{count} pods stand for {count + self.represented}: the others are of the same workload or kind"
            )
        if self.dropped:
            names = ", ".join(self.dropped[:3]) + (", …" if len(self.dropped) > 3 else "")
            said.append(f"left out, for --max-pods is less than the kinds of pod: {len(self.dropped)} ({names})")
        return tuple(said)


def choose(
    snapshot: Snapshot, *, max_pods: int = MAX_PODS, per_workload: int | None = None, named: Iterable[Pod] = ()
) -> Cast:
    """The pods to build. Everybody, where that is at most `max_pods` and `per_workload` is absent.

    Otherwise `per_workload` (default 1) of each kind; if there are still too many, kinds are dropped from the
    end of this order: pods that answer DNS, pods that a policy selects, the others. Pods in `named` always play.

    Raises:
        UsageError: a number below 1.
    """
    if max_pods < 1 or (per_workload is not None and per_workload < 1):
        raise UsageError("--max-pods and --pods-per-workload must be at least 1")
    everybody = snapshot.endpoints
    if per_workload is None and len(everybody) <= max_pods:
        return Cast(snapshot)
    always = {pod.key for pod in named}
    kinds: dict[object, list[Pod]] = {}
    for pod in everybody:
        kinds.setdefault(_kind(pod), []).append(pod)
    chosen = [pod for pod in everybody if pod.key in always]
    dropped, represented = [], 0
    selection = Selection(snapshot)
    for pods in sorted(kinds.values(), key=lambda pods: _rank(selection, pods[0])):
        already = sum(pod.key in always for pod in pods)
        wanted = [pod for pod in pods if pod.key not in always][: max((per_workload or 1) - already, 0)]
        room = wanted[: max(max_pods - len(chosen), 0)]
        if already or room:
            chosen += room
            represented += len(pods) - already - len(room)
        else:
            dropped.append(str(pods[0]))
    return Cast(snapshot.with_pods(chosen), represented, tuple(dropped))


def _kind(pod: Pod) -> object:
    """Pods with equal kinds stand for each other."""
    if pod.owner is not None:
        return pod.namespace, pod.owner, pod.host_network
    return pod.namespace, frozenset(pod.labels.items()), pod.ports, pod.host_network


def _rank(selection: Selection, pod: Pod) -> int:
    snapshot = selection.snapshot
    if any(pod in snapshot.backends(service) for service in dns_services(snapshot)[:1]):
        return 0
    policies = snapshot.policies_by_namespace.get(pod.namespace, ())
    if any(selection.governing(pod, direction) for direction in Direction):
        return 1
    return 1 if any(policy.pods.matches(pod.labels) for policy in policies) else 2
