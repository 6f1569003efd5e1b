"""Whose addresses are whose, as far as it hangs on no pod's labels: nodes, the API server, endpoints of Services.

A `Standpoint` is where a pod looks from: some words of Cilium's policies mean another thing on each node (``host``),
and a name means what the pod itself was told of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from outgate.model import LabelSelector, Learned, Pod, Service, Snapshot
from outgate.packets import AddressSet
from outgate.packets.special import NEVER_NAMED
from outgate.policy.names import Pattern, canonical
from outgate.records import dataclass

__all__ = ["ANYWHERE", "Places", "Standpoint"]


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Where a pod looks from: the name of its node, and what it was told of names."""

    node: str = ""
    learned: tuple[Learned, ...] = ()


ANYWHERE = Standpoint()
"""For rules that mean the same wherever one stands."""


class Places:
    """The addresses of one snapshot's places. Computed once, then remembered."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._standpoints: dict[tuple[str, tuple[str, str] | None], Standpoint] = {}

    def standpoint(self, pod: Pod) -> Standpoint:
        """Where a pod looks from: one object for all that look from there."""
        told = self._told.get(pod.key, ())
        key = pod.node, pod.key if told else None
        found = self._standpoints.get(key)
        if found is None:
            found = self._standpoints[key] = Standpoint(pod.node, told)
        return found

    @cached_property
    def _told(self) -> Mapping[tuple[str, str], tuple[Learned, ...]]:
        found: dict[tuple[str, str], tuple[Learned, ...]] = {}
        for one in self.snapshot.learned:
            found[one.pod] = (*found.get(one.pod, ()), one)
        return found

    @cached_property
    def nodes(self) -> Mapping[str, AddressSet]:
        """The addresses of each node: its own, and what its host-network pods say, which is all without a Node."""
        found = {node.name: list(node.addresses) for node in self.snapshot.nodes.values()}
        for pod in self.snapshot.endpoints:
            if pod.host_network:
                found.setdefault(pod.node, []).extend(pod.addresses)
        return {name: AddressSet.of(many) for name, many in found.items()}

    @cached_property
    def every_node(self) -> AddressSet:
        """The addresses of all of them."""
        return AddressSet.union_of(self.nodes.values())

    def nodes_but(self, name: str) -> AddressSet:
        """The addresses of all nodes but one."""
        return AddressSet.union_of(addresses for other, addresses in self.nodes.items() if other != name)

    def labelled(self, nodes: LabelSelector, but: str = "") -> AddressSet:
        """The addresses of the nodes with some labels, without one of them."""
        chosen = (one for one in self.snapshot.nodes.values() if one.name != but and nodes.matches(one.labels))
        return AddressSet.union_of(self.nodes.get(one.name, AddressSet()) for one in chosen)

    @cached_property
    def pods(self) -> AddressSet:
        """The addresses of all pods with a network of their own."""
        every = self.snapshot.endpoints
        return AddressSet.of(address for pod in every if not pod.host_network for address in pod.addresses)

    @cached_property
    def cluster(self) -> AddressSet:
        """The addresses of all pods and nodes."""
        return self.pods | self.every_node

    @cached_property
    def taken(self) -> AddressSet:
        """The addresses that pods and nodes of the input have; none that was made up for a pod without one."""
        pods = (pod.addresses for pod in self.snapshot.endpoints if pod.addressed)
        nodes = (node.addresses for node in self.snapshot.nodes.values())
        return AddressSet.of(address for many in (*pods, *nodes) for address in many)

    @cached_property
    def api_server(self) -> AddressSet:
        """Where the API server itself listens: the endpoints of the Service ``default/kubernetes``.

        Where the input has none, the nodes of a control plane, which is where it runs.
        """
        found = self.endpoints("default", "kubernetes")
        if found:
            return found
        chosen = (one for one in self.snapshot.nodes.values() if one.is_control_plane)
        return AddressSet.union_of(self.nodes[one.name] for one in chosen)

    def endpoints(self, namespace: str, service: str) -> AddressSet:
        """The addresses that the slices of a Service list."""
        slices = (one for one in self.snapshot.slices if (one.namespace, one.service) == (namespace, service))
        return AddressSet.of(address for one in slices for end in one.endpoints for address in end.addresses)

    def services(self, namespace: str, name: str, labels: LabelSelector | None) -> Iterator[Service]:
        """The Services of a name, or with some labels; of every namespace where none is given."""
        for one in self.snapshot.services:
            if namespace in {"", one.namespace} and (
                labels.matches(one.labels) if labels is not None else one.name == name
            ):
                yield one

    def told(self, standpoint: Standpoint, patterns: tuple[Pattern, ...], *, under: str = "") -> AddressSet:
        """The addresses that a name opens of those that a pod was told for the names of some patterns.

        `under`: only names that end so are meant.
        """
        known = (one for one in standpoint.learned if canonical(one.name).endswith(under))
        meant = (one for one in known if any(pattern.matches(one.name) for pattern in patterns))
        # Whoever owns a name decides where it leads: the DNS proxy keeps these out (`outgate.proxy.admission`).
        return AddressSet.of(address for one in meant for address in one.addresses) - NEVER_NAMED
