"""What the input refers to and does not have, and what an answer therefore hangs on.

An answer over half a cluster is an answer about that half. It stays useful if it says what it lacks:

    a namespace with pods and no Namespace object, where some rule selects namespaces by labels
    a namespace that a rule selects by its name, and of which the input has nothing
    a Service that an Ingress leads to
    workloads behind an Ingress that nobody unknown is let in to
    pods without an address, where an address block with exceptions is taken to cover them
    names that a rule opens, whose addresses nobody knows before a pod has asked
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.connections import Connections
from outgate.model import Pod, Snapshot
from outgate.model.labels import LabelSelector, Operator
from outgate.model.snapshot import NAME_LABEL, STAND_IN_V4, STAND_IN_V6
from outgate.packets import AddressSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import Origin, PodMatch
from outgate.policy.rules import BlockMatch

__all__ = ["unknowns"]

Selectors = tuple[tuple[LabelSelector, Origin], ...]
MOST_NAMED = 3
_STAND_INS = (STAND_IN_V4[0], STAND_IN_V6[0])


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
                *_without_address(found),
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


def _without_address(found: Connections) -> Iterator[str]:
    """`0.0.0.0/0 except 10.0.0.0/8` covers a stand-in, and perhaps not the address that the pod will have."""
    nowhere = [group for group in found.groups.all if any(_addressless(pod) for pod in group.pods)]
    if not nowhere:
        return
    holed = [
        rule.origin
        for rule in found.grid.all_rules()
        for peer in rule.peers or ()
        if isinstance(peer, BlockMatch) and any(address in peer.addresses for address in _STAND_INS)
        if not any(AddressSet.whole(family) <= peer.addresses for family in FAMILIES)
    ]
    if holed:
        who = str(nowhere[0]) + (f" and {len(nowhere) - 1} more" if len(nowhere) > 1 else "")
        yield f"pods without an address in the input ({who}) are taken to be in the blocks of {_some(holed)}"


def _addressless(pod: Pod) -> bool:
    return not pod.addressed and not pod.host_network


def _some(origins: list[Origin]) -> str:
    names = list(dict.fromkeys(map(str, origins)))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
