"""The cluster at one moment: frozen, complete in itself, and indexed.

    snapshot = Snapshot.of(namespaces=..., pods=..., policies=...)
    snapshot.pod("production", "web-api")       one pod, or None
    snapshot.owners_of(address)                 the pods that hold an address
    snapshot.with_policies(...)                 the same cluster under other policies

What the input leaves out is filled in here, once, and marked: a namespace that is only mentioned
(`Namespace.declared`), a workload without pods (`Pod.assumed`), a pod without an address
(`Pod.addressed`). Stand-in addresses come from blocks that no network routes, 240.0.0.0/4 (RFC 1112,
"reserved") and 100::/64 (RFC 6666, "discard-only"), so that a block that covers everything covers
them and a block that names real networks does not.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from outgate.model.cilium import CidrGroup, CiliumPolicy, CiliumRule
from outgate.model.cluster_policy import ClusterPolicy, ClusterRule
from outgate.model.objects import (
    Address,
    Binding,
    Callout,
    EndpointSlice,
    Ingress,
    Namespace,
    NetworkPolicy,
    Node,
    Owner,
    Pod,
    PolicyRule,
    Service,
    ServiceAccount,
    Workload,
)

__all__ = ["NAME_LABEL", "STAND_IN_V4", "STAND_IN_V6", "AnyRule", "Learned", "Policy", "Snapshot", "in_order"]

Policy = NetworkPolicy | CiliumPolicy | ClusterPolicy
"""A policy of whichever kind."""
AnyRule = PolicyRule | CiliumRule | ClusterRule
"""A rule of whichever kind of policy, as it is written."""

NAME_LABEL = "kubernetes.io/metadata.name"
"""Set by the API server on every namespace to its name; any other value is overwritten."""

STAND_IN_V4 = ipaddress.IPv4Network("240.0.0.0/4")
STAND_IN_V6 = ipaddress.IPv6Network("100::/64")

_Named = TypeVar("_Named", Pod, Service, EndpointSlice, NetworkPolicy, Workload, Ingress, ServiceAccount, Binding)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a pod was told of a name: the addresses of an answer that it got. `name` is the one that it asked for."""

    pod: tuple[str, str]
    name: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Snapshot:
    """The one central type. Make it with `of`; every collection is sorted by namespace and name."""

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    workloads: tuple[Workload, ...] = ()
    ingresses: tuple[Ingress, ...] = ()
    accounts: tuple[ServiceAccount, ...] = ()
    bindings: tuple[Binding, ...] = ()
    callouts: tuple[Callout, ...] = ()
    cluster_policies: tuple[ClusterPolicy, ...] = ()
    """Those of both tiers, in the order in which they are asked within each: by priority, then by name."""
    cilium_policies: tuple[CiliumPolicy, ...] = ()
    """By namespace and name, those of the whole cluster first; the several of one object in its order."""
    cidr_groups: tuple[CidrGroup, ...] = ()
    learned: tuple[Learned, ...] = ()
    """What pods were told of names; without it a name stands for no address that is known."""
    settings: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """Of ConfigMaps by which network plugins are set, what `outgate.model.switches` knows: by namespace and name."""

    @classmethod
    def of(
        cls,
        *,
        namespaces: Iterable[Namespace] = (),
        pods: Iterable[Pod] = (),
        nodes: Iterable[Node] = (),
        services: Iterable[Service] = (),
        slices: Iterable[EndpointSlice] = (),
        policies: Iterable[NetworkPolicy] = (),
        workloads: Iterable[Workload] = (),
        ingresses: Iterable[Ingress] = (),
        accounts: Iterable[ServiceAccount] = (),
        bindings: Iterable[Binding] = (),
        callouts: Iterable[Callout] = (),
        cluster_policies: Iterable[ClusterPolicy] = (),
        cilium_policies: Iterable[CiliumPolicy] = (),
        cidr_groups: Iterable[CidrGroup] = (),
        learned: Iterable[Learned] = (),
        settings: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
    ) -> Snapshot:
        """A snapshot of these objects, with what they leave out filled in and marked."""
        templates = _by_name(workloads)
        above = {(one.kind, one.namespace, one.name): one.owner for one in templates if one.owner is not None}
        owned = tuple(_follow_owner(pod, above) for pod in pods)
        everybody = _with_addresses(_by_name((*owned, *_assumed(templates, owned))))
        kept = _by_name(services), _by_name(slices), _by_name(policies)
        entrances = _by_name(ingresses)
        of_cilium = _by_index(cilium_policies)
        mentioned = (one.namespace for many in (everybody, templates, *kept, entrances) for one in many)
        named = (one.namespace for one in of_cilium if one.namespace)
        return cls(
            namespaces=_named(namespaces, (*mentioned, *named)),
            pods=everybody,
            nodes={node.name: node for node in sorted(nodes, key=lambda node: node.name)},
            services=kept[0],
            slices=kept[1],
            policies=kept[2],
            workloads=templates,
            ingresses=entrances,
            accounts=_by_name(accounts),
            bindings=_by_name(bindings),
            callouts=tuple(sorted(callouts, key=lambda one: (one.kind, one.name))),
            cluster_policies=in_order(cluster_policies),
            cilium_policies=of_cilium,
            cidr_groups=tuple(sorted(cidr_groups, key=lambda one: one.name)),
            learned=tuple(learned),
            settings=dict(sorted((settings or {}).items())),
        )

    def with_policies(self, policies: Iterable[NetworkPolicy]) -> Snapshot:
        """The same cluster under other policies."""
        ordered = _by_name(policies)
        names = _named(self.namespaces.values(), (policy.namespace for policy in ordered))
        return dataclasses.replace(self, policies=ordered, namespaces=names)

    def with_cluster_policies(self, policies: Iterable[ClusterPolicy]) -> Snapshot:
        """The same cluster under other policies of the whole cluster."""
        return dataclasses.replace(self, cluster_policies=in_order(policies))

    def with_cilium_policies(self, policies: Iterable[CiliumPolicy]) -> Snapshot:
        """The same cluster under other policies of Cilium's."""
        ordered = _by_index(policies)
        names = _named(self.namespaces.values(), (policy.namespace for policy in ordered if policy.namespace))
        return dataclasses.replace(self, cilium_policies=ordered, namespaces=names)

    def with_pods(self, pods: Iterable[Pod]) -> Snapshot:
        """The same cluster with other pods; nothing is assumed and no address is filled in."""
        return dataclasses.replace(self, pods=_by_name(pods))

    @property
    def every_policy(self) -> tuple[Policy, ...]:
        """The NetworkPolicies, those of Cilium's, and those of the whole cluster, in the order of each."""
        return (*self.policies, *self.cilium_policies, *self.cluster_policies)

    @cached_property
    def cilium_by_namespace(self) -> Mapping[str, tuple[CiliumPolicy, ...]]:
        """Cilium's policies that may select pods of a namespace; under "" those that may select any.

        A policy of hosts selects no pod, and stands under neither.
        """
        grouped: dict[str, list[CiliumPolicy]] = {}
        for policy in self.cilium_policies:
            if policy.nodes is None:
                grouped.setdefault(policy.namespace, []).append(policy)
        return {name: tuple(policies) for name, policies in grouped.items()}

    @cached_property
    def endpoints(self) -> tuple[Pod, ...]:
        """The pods that can send and receive: all but the finished ones."""
        return tuple(pod for pod in self.pods if not pod.finished)

    @cached_property
    def _pods_by_key(self) -> dict[tuple[str, str], Pod]:
        return {pod.key: pod for pod in self.pods}

    @cached_property
    def _pods_by_address(self) -> dict[Address, tuple[Pod, ...]]:
        holders: dict[Address, tuple[Pod, ...]] = {}
        for pod in self.endpoints:
            for address in pod.addresses:
                holders[address] = (*holders.get(address, ()), pod)
        return holders

    @cached_property
    def contested(self) -> Mapping[Address, tuple[Pod, ...]]:
        """The addresses that several pods claim as their own, as when one is used again before its holder is gone.

        Whose packets carry such an address cannot be known, so nobody may be given rights by it.
        """
        claims = {
            address: tuple(p for p in many if not p.host_network) for address, many in self._pods_by_address.items()
        }
        return {address: many for address, many in claims.items() if len(many) > 1}

    @cached_property
    def _nodes_by_address(self) -> dict[Address, Node]:
        return {address: node for node in self.nodes.values() for address in node.addresses}

    @cached_property
    def _services_by_address(self) -> dict[Address, Service]:
        return {
            address: service for service in self.services for address in (*service.cluster_ips, *service.external_ips)
        }

    @cached_property
    def pods_by_namespace(self) -> Mapping[str, tuple[Pod, ...]]:
        """The endpoints of each namespace."""
        grouped: dict[str, list[Pod]] = {}
        for pod in self.endpoints:
            grouped.setdefault(pod.namespace, []).append(pod)
        return {name: tuple(pods) for name, pods in grouped.items()}

    @cached_property
    def policies_by_namespace(self) -> Mapping[str, tuple[NetworkPolicy, ...]]:
        """The policies of each namespace, by name."""
        grouped: dict[str, list[NetworkPolicy]] = {}
        for policy in self.policies:
            grouped.setdefault(policy.namespace, []).append(policy)
        return {name: tuple(policies) for name, policies in grouped.items()}

    def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod of that name, finished or not."""
        return self._pods_by_key.get((namespace, name))

    def service(self, namespace: str, name: str) -> Service | None:
        """The Service of that name."""
        return next((one for one in self.services if (one.namespace, one.name) == (namespace, name)), None)

    def pods_of(self, namespace: str, owner: Owner) -> tuple[Pod, ...]:
        """The endpoints that belong to one workload."""
        return tuple(pod for pod in self.pods_by_namespace.get(namespace, ()) if pod.owner == owner)

    def owners_of(self, address: Address) -> tuple[Pod, ...]:
        """The endpoints that hold an address: several on a host network, otherwise one at most."""
        return self._pods_by_address.get(address, ())

    def node_of(self, address: Address) -> Node | None:
        """The node that has an address."""
        return self._nodes_by_address.get(address)

    def service_of(self, address: Address) -> Service | None:
        """The Service that has an address as cluster, external or load-balancer address."""
        return self._services_by_address.get(address)

    def namespace(self, name: str) -> Namespace:
        """The namespace of that name; made up, with only its name label, where nothing mentions it."""
        return self.namespaces.get(name) or Namespace(name, {NAME_LABEL: name}, declared=False)

    def backends(self, service: Service) -> Iterator[Pod]:
        """The ready pods that the selector of a Service matches (none without a selector)."""
        if service.selector:
            wanted = service.selector.items()
            for pod in self.pods_by_namespace.get(service.namespace, ()):
                if wanted <= pod.labels.items() and (pod.ready or service.publish_not_ready):
                    yield pod


def in_order(many: Iterable[ClusterPolicy]) -> tuple[ClusterPolicy, ...]:
    """Policies of the cluster as they are asked: Admin before Baseline, a lower number first, and then by name.

    ClusterNetworkPolicySpec.Priority: "Policies with lower priority values have higher precedence". Equal ones have
    no order of their own; that one of them stands before the other here decides nothing (`outgate.policy.tiers`).
    """
    return tuple(sorted(many, key=lambda one: (one.tier, one.priority, one.name, one.kind)))


def _by_name(many: Iterable[_Named]) -> tuple[_Named, ...]:
    """Sorted by namespace and name. Where a name is not unique the order of the files must not decide."""
    return tuple(sorted(many, key=_order))


def _by_index(many: Iterable[CiliumPolicy]) -> tuple[CiliumPolicy, ...]:
    """Sorted by namespace and name; ``spec`` stands before ``specs``."""
    return tuple(sorted(many, key=lambda one: (one.namespace, one.name, -1 if one.index is None else one.index)))


def _order(one: _Named) -> tuple[str, str, str]:
    match one:
        case Workload() | Binding():
            return one.namespace, one.name, one.kind
        case EndpointSlice():
            # The slices that an Endpoints object makes have its name, and keep the order of its subsets.
            return one.namespace, one.name, one.service
        case _:
            return one.namespace, one.name, ""


def _named(declared: Iterable[Namespace], mentioned: Iterable[str]) -> dict[str, Namespace]:
    known = {
        one.name: dataclasses.replace(one, labels={**one.labels, NAME_LABEL: one.name})
        if one.labels.get(NAME_LABEL) != one.name
        else one
        for one in declared
    }
    for name in mentioned:
        if name not in known:
            known[name] = Namespace(name, {NAME_LABEL: name}, declared=False)
    return dict(sorted(known.items()))


def _follow_owner(pod: Pod, above: Mapping[tuple[str, str, str], Owner]) -> Pod:
    """A pod of a ReplicaSet or a Job belongs to the Deployment or CronJob above, where the input has it."""
    if pod.owner is None:
        return pod
    top = above.get((pod.owner.kind, pod.namespace, pod.owner.name))
    return pod if top is None else dataclasses.replace(pod, owner=top)


def _assumed(templates: tuple[Workload, ...], pods: tuple[Pod, ...]) -> Iterator[Pod]:
    """One pod for each top-level workload that has none in the input, or has only finished ones and will have more.

    A Job whose pods have ended is done; a CronJob between two runs, or a Deployment of which only an evicted pod is
    left, is not.
    """
    taken = {(pod.namespace, pod.name) for pod in pods}
    running = {
        (pod.namespace, pod.owner)
        for pod in pods
        if pod.owner is not None and (not pod.finished or pod.owner.kind == "Job")
    }
    for one in templates:
        owner = Owner(one.kind, one.name)
        if one.owner is not None or (one.namespace, owner) in running:
            continue
        name = one.name if (one.namespace, one.name) not in taken else f"{one.name}-{one.kind.lower()}"
        taken.add((one.namespace, name))
        yield Pod(
            one.namespace,
            name,
            one.labels,
            node=one.node,
            ports=one.ports,
            host_network=one.host_network,
            owner=owner,
            assumed=True,
            addressed=False,
            hints=one.hints,
            place=one.place,
        )


def _with_addresses(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Stand-ins for pods without an address, numbered in the order of their names."""
    filled, number = [], 0
    for pod in pods:
        if pod.addresses or pod.finished:
            filled.append(pod)
            continue
        number += 1
        pair: tuple[Address, ...] = (STAND_IN_V4[number], STAND_IN_V6[number])
        filled.append(dataclasses.replace(pod, addresses=pair, addressed=False))
    return tuple(filled)
