"""What the input refers to and does not have, and what an answer therefore hangs on.

An answer over half a cluster is an answer about that half. It stays useful if it says what it lacks:

    a namespace with pods and no Namespace object, where some rule selects namespaces by labels
    a namespace that a rule selects by its name, and of which the input has nothing
    a Service that an Ingress leads to
    workloads behind an Ingress that nobody unknown is let in to
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.connections import Connections
from outgate.model import Snapshot
from outgate.model.labels import LabelSelector, Operator
from outgate.model.snapshot import NAME_LABEL
from outgate.policy import Origin, PodMatch

__all__ = ["unknowns"]

Selectors = tuple[tuple[LabelSelector, Origin], ...]
MOST_NAMED = 3


def unknowns(found: Connections) -> tuple[str, ...]:
    """Everything that the list hangs on and that is not in the input, a sentence each."""
    snapshot, selectors = found.snapshot, _selectors(found)
    return tuple(
        dict.fromkeys(
            (
                *_without_labels(snapshot, selectors),
                *_named_and_missing(snapshot, selectors),
                *_missing_services(snapshot),
                *_behind_an_ingress(found),
            )
        )
    )


def _selectors(found: Connections) -> tuple[tuple[LabelSelector, Origin], ...]:
    """The namespace selectors of all rules."""
    return tuple(
        (peer.namespaces, rule.origin)
        for rule in found.grid.all_rules()
        for peer in rule.peers or ()
        if isinstance(peer, PodMatch) and peer.namespaces is not None
    )


def _without_labels(snapshot: Snapshot, selectors: Selectors) -> Iterator[str]:
    """Of a namespace that is only mentioned the input gives no label but the name, which the server itself sets."""
    readers = [origin for selector, origin in selectors if selector.keys() - {NAME_LABEL}]
    if not readers:
        return
    for name in snapshot.pods_by_namespace:
        if not snapshot.namespace(name).declared:
            yield f"namespace {name} is not in the input: its labels are not known, and {_some(readers)} look at labels"


def _named_and_missing(snapshot: Snapshot, selectors: Selectors) -> Iterator[str]:
    named: dict[str, list[Origin]] = {}
    for selector, origin in selectors:
        for requirement in selector.requirements:
            if requirement.key == NAME_LABEL and requirement.operator is Operator.IN:
                for name in requirement.values:
                    named.setdefault(name, []).append(origin)
    for name, origins in named.items():
        if name not in snapshot.namespaces:
            yield f"nothing in the input is in namespace {name}, which {_some(origins)} select by name"


def _missing_services(snapshot: Snapshot) -> Iterator[str]:
    for ingress in snapshot.ingresses:
        for name, _ in ingress.backends:
            if snapshot.service(ingress.namespace, name) is None:
                yield f"Ingress {ingress} leads to Service {name}, which is not in the input"


def _behind_an_ingress(found: Connections) -> Iterator[str]:
    for group in found.closed_to_controller:
        yield (
            f"an Ingress leads to {group}, whose policies let in nobody that is not selected: whether the ingress "
            "controller gets through depends on its labels"
        )


def _some(origins: list[Origin]) -> str:
    names = list(dict.fromkeys(map(str, origins)))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
