"""Who is selected: subjects of policies and peers of rules, resolved against one snapshot.

Pods that no selector can tell apart are treated alike: results are kept by the labels and the
namespace that a selector looks at, never computed again for each pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from outgate.model import ContainerPort, Direction, NetworkPolicy, Pod, Snapshot
from outgate.model.labels import Labels
from outgate.packets import Address, AddressSet, IntervalSet, Protocol, TransportSet
from outgate.policy.profile import OUTGATE, Profile
from outgate.policy.rules import BlockMatch, NamedPort, PeerMatch, PodMatch, Rule, rules_of

__all__ = ["PodKey", "Selection", "resolve"]

PodKey = tuple[str, str]
_LabelKey = frozenset[tuple[str, str]]


class Selection:
    """The answers to "which pods?" for one snapshot under one profile. Computed once, then remembered."""

    def __init__(self, snapshot: Snapshot, profile: Profile = OUTGATE) -> None:
        self.snapshot = snapshot
        self.profile = profile
        self._selecting: dict[tuple[str, _LabelKey, Direction], tuple[NetworkPolicy, ...]] = {}
        self._pods: dict[PodMatch, tuple[Pod, ...]] = {}
        self._addresses: dict[PodMatch, AddressSet] = {}
        self._rules: dict[tuple[str, str, Direction], tuple[Rule, ...]] = {}
        self._named: dict[NamedPort, tuple[tuple[TransportSet, AddressSet], ...]] = {}
        self._kind_of: dict[PodKey, tuple[str, _LabelKey]] = {}
        self._selected: dict[tuple[int, tuple[str, _LabelKey]], tuple[PodMatch, bool]] = {}

    def kind_of(self, pod: Pod) -> tuple[str, _LabelKey]:
        """What selectors can see of a pod: its namespace and labels. The same object for the same pod, always."""
        found = self._kind_of.get(pod.key)
        if found is None:
            found = self._kind_of[pod.key] = (pod.namespace, frozenset(pod.labels.items()))
        return found

    def selecting(self, pod: Pod, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """The policies that isolate a pod in a direction, by name.

        types.go, NetworkPolicySpec.podSelector: policies select pods of their own namespace alone.
        """
        if pod.host_network and not self.profile.host_network_isolated:
            return ()
        candidates = self.snapshot.policies_by_namespace.get(pod.namespace)
        if not candidates:
            return ()
        key = (*self.kind_of(pod), direction)
        found = self._selecting.get(key)
        if found is None:
            found = tuple(one for one in candidates if direction in one.types and one.pods.matches(pod.labels))
            self._selecting[key] = found
        return found

    def rules(self, policy: NetworkPolicy, direction: Direction) -> tuple[Rule, ...]:
        """The rules of a policy in one direction."""
        key = (policy.namespace, policy.name, direction)
        found = self._rules.get(key)
        if found is None:
            found = self._rules[key] = tuple(rules_of(policy, direction))
        return found

    def is_peer(self, match: PeerMatch, pod: Pod | None, inside: bool) -> bool:
        """Whether a peer matches an end. `inside` says whether its address is in the block, for a block."""
        if isinstance(match, BlockMatch):
            if pod is not None and not pod.host_network:
                if self.profile.stand_ins_in_blocks and not pod.addressed:
                    return True
                return inside and self.profile.blocks_match_pods
            return inside
        if pod is None or (pod.host_network and not self.profile.host_network_selected):
            return False
        # The match is kept beside the answer, so that no other can come to have its identity.
        key = (id(match), self.kind_of(pod))
        known = self._selected.get(key)
        if known is None:
            known = self._selected[key] = (match, self._selects(match, pod))
        return known[1]

    def _selects(self, match: PodMatch, pod: Pod) -> bool:
        if match.namespaces is None:
            if pod.namespace != match.namespace:
                return False
        elif not match.namespaces.matches(self.snapshot.namespace(pod.namespace).labels):
            return False
        return match.pods.matches(pod.labels)

    def pods(self, match: PodMatch) -> tuple[Pod, ...]:
        """The endpoints that a peer selects; host-network pods only where the profile says so."""
        found = self._pods.get(match)
        if found is None:
            found = self._pods[match] = tuple(self._find(match))
        return found

    def _find(self, match: PodMatch) -> Iterator[Pod]:
        for name, kinds in self._kinds.items():
            if match.namespaces is None:
                if name != match.namespace:
                    continue
            elif not match.namespaces.matches(self.snapshot.namespace(name).labels):
                continue
            for labels, pods in kinds:
                if match.pods.matches(labels):
                    yield from pods

    @cached_property
    def _kinds(self) -> Mapping[str, tuple[tuple[Labels, tuple[Pod, ...]], ...]]:
        """The pods that selectors can match, by namespace and equal labels: a selector looks at each kind once."""
        found: dict[str, tuple[tuple[Labels, tuple[Pod, ...]], ...]] = {}
        for name, pods in self.snapshot.pods_by_namespace.items():
            kinds: dict[_LabelKey, list[Pod]] = {}
            for pod in pods:
                if not pod.host_network or self.profile.host_network_selected:
                    kinds.setdefault(self.kind_of(pod)[1], []).append(pod)
            found[name] = tuple((many[0].labels, tuple(many)) for many in kinds.values())
        return found

    def addresses(self, match: PeerMatch) -> AddressSet:
        """The addresses that a peer covers now."""
        if isinstance(match, BlockMatch):
            if self.profile.blocks_match_pods:
                return match.addresses
            return match.addresses - self._pod_addresses
        found = self._addresses.get(match)
        if found is None:
            found = AddressSet.of(address for pod in self.pods(match) for address in pod.addresses)
            self._addresses[match] = found
        return found

    def node_addresses(self, name: str) -> AddressSet:
        """The addresses of a node: its own, and what its host-network pods say, which is all where no Node is given."""
        return self._node_addresses.get(name, AddressSet()) if name else AddressSet()

    @cached_property
    def _node_addresses(self) -> Mapping[str, AddressSet]:
        found = {node.name: list(node.addresses) for node in self.snapshot.nodes.values()}
        for pod in self.snapshot.endpoints:
            if pod.host_network:
                found.setdefault(pod.node, []).extend(pod.addresses)
        return {name: AddressSet.of(many) for name, many in found.items()}

    @cached_property
    def _pod_addresses(self) -> AddressSet:
        return AddressSet.of(a for pod in self.snapshot.endpoints if not pod.host_network for a in pod.addresses)

    @cached_property
    def port_numbers(self) -> Mapping[NamedPort, Mapping[PodKey, frozenset[int]]]:
        """For each port name and protocol, the pods that have such a container port, and the numbers."""
        named: dict[NamedPort, dict[PodKey, frozenset[int]]] = {}
        meanings: dict[tuple[ContainerPort, ...], dict[NamedPort, frozenset[int]]] = {}
        for pod in self.snapshot.endpoints:
            hidden = pod.host_network and not self.profile.host_network_selected
            if hidden or not pod.ports:
                continue
            if pod.ports not in meanings:
                meanings[pod.ports] = _port_names(pod.ports)
            for port, numbers in meanings[pod.ports].items():
                named.setdefault(port, {})[pod.key] = numbers
        return named

    def named_port(self, port: NamedPort) -> tuple[tuple[TransportSet, AddressSet], ...]:
        """What a port name stands for: for each meaning, the addresses of the pods that give it that meaning."""
        found = self._named.get(port)
        if found is None:
            groups: dict[frozenset[int], list[Address]] = {}
            for key, numbers in self.port_numbers.get(port, {}).items():
                pod = self.snapshot.pod(*key)
                groups.setdefault(numbers, []).extend(pod.addresses if pod is not None else ())
            found = self._named[port] = tuple(
                (TransportSet.ports(port.protocol, IntervalSet.of(*((n, n) for n in numbers))), AddressSet.of(many))
                for numbers, many in groups.items()
            )
        return found


def _port_names(ports: tuple[ContainerPort, ...]) -> dict[NamedPort, frozenset[int]]:
    found: dict[NamedPort, frozenset[int]] = {}
    for port in ports:
        if port.name:
            name = NamedPort(Protocol[port.protocol], port.name)
            found[name] = found.get(name, frozenset()) | {port.port}
    return found


def resolve(names: tuple[NamedPort, ...], pod: Pod) -> TransportSet:
    """The port numbers that a destination pod gives to names.

    concept page, "Targeting a port by name" and types.go, NetworkPolicyPort.port: "a named port on a pod".
    """
    found = TransportSet()
    for wanted in names:
        for port in pod.ports:
            if port.name == wanted.name and port.protocol == wanted.protocol.name:
                found |= TransportSet.ports(wanted.protocol, port.port)
    return found
