"""What an ingress controller reaches: the pods behind the Services of the input's Ingress objects.

The controller itself is seldom in the input. It stands for a pod that nobody knows: in a namespace of its own, with
labels of its own, at an address of its own. So it passes an ingress policy only where the policy lets in everybody: by
a rule without peers, by selectors that match every pod of every namespace, or by a block that is a whole family. Where
the controller is in the input it is on the list under its own name, with all that its labels give it.
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.groups import Group, Groups
from outgate.analysis.routes import routes_of
from outgate.model import Direction
from outgate.packets import AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy.grid import Grid
from outgate.policy.rules import BlockMatch, PeerMatch, PodMatch, Rule
from outgate.policy.tiers import allowed
from outgate.records import dataclass

__all__ = ["INGRESS_CONTROLLER", "IngressController", "for_everybody", "from_controller", "lets_in_strangers"]


@dataclass(frozen=True, slots=True)
class IngressController:
    """Whatever serves the Ingress objects of the input."""

    def __str__(self) -> str:
        return "ingress controller"


INGRESS_CONTROLLER = IngressController()


def from_controller(grid: Grid, groups: Groups) -> Iterator[tuple[Group, TransportSet]]:
    """The groups that Ingress objects lead to, each with those of the TCP ports meant that a stranger can reach."""
    ports: dict[tuple[str, str], set[int]] = {}
    for pod, port in _backends(grid):
        ports.setdefault(pod, set()).add(port)
    if not ports:
        return
    for group in groups.all:
        mine = {port for pod in group.pods for port in ports.get(pod.key, ())}
        if mine:
            asked = TransportSet.ports(Protocol.TCP, IntervalSet.of(*((port, port) for port in mine)))
            yield group, asked & lets_in_strangers(grid, group.identity)


def _backends(grid: Grid) -> Iterator[tuple[tuple[str, str], int]]:
    """The pods and ports that Ingress objects lead to, through their Services."""
    snapshot = grid.policies.snapshot
    for ingress in snapshot.ingresses:
        for name, port in ingress.backends:
            service = snapshot.service(ingress.namespace, name)
            for route in routes_of(snapshot, service) if service is not None else ():
                # networking/v1, ServiceBackendPort: by name or by number, of the Service's own ports.
                meant = route.name == port if isinstance(port, str) else route.port == port
                if meant and route.protocol == "TCP":
                    yield from ((end.pod.key, end.port) for end in route.backends if end.pod is not None)


def lets_in_strangers(grid: Grid, number: int) -> TransportSet:
    """What the ingress policies of an identity let in from a pod that nobody knows."""
    key = grid.keys[Direction.INGRESS][number]
    if not key:
        return TransportSet.any()

    def extent(rule: Rule) -> TransportSet:
        return grid.ports_outside(rule, number) if for_everybody(rule) else TransportSet()

    return allowed(grid.standing(key, Direction.INGRESS), TransportSet.any(), extent)


def for_everybody(rule: Rule) -> bool:
    """Whether a rule speaks of every pod, whatever its namespace, labels, account and address."""
    return rule.peers is None or any(map(_matches_everybody, rule.peers))


def _matches_everybody(peer: PeerMatch) -> bool:
    if isinstance(peer, BlockMatch):
        return any(AddressSet.whole(family) <= peer.addresses for family in FAMILIES)
    if not isinstance(peer, PodMatch) or peer.namespaces is None:
        return False
    return not (peer.namespaces or peer.pods or peer.accounts)
