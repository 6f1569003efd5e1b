"""Who is selected: subjects of policies and peers of rules, resolved against one snapshot.

Pods that no selector can tell apart are treated alike: results are kept by the labels and the
namespace that a selector looks at, never computed again for each pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from outgate.model import (
    CiliumPolicy,
    ClusterPolicy,
    ContainerPort,
    Direction,
    NetworkPolicy,
    Pod,
    PodPeer,
    Policy,
    Snapshot,
)
from outgate.model.cilium import ACCOUNT_LABEL
from outgate.model.labels import LabelIndex, Labels, LabelSelector
from outgate.packets import Address, AddressSet, IntervalSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy.cilium_rules import cilium_rules, endpoints, hangs_on_standpoint
from outgate.policy.cluster_rules import cluster_rules, looks_at_names, looks_at_nodes
from outgate.policy.places import ANYWHERE, Places, Standpoint
from outgate.policy.profile import OUTGATE, Profile
from outgate.policy.rules import BlockMatch, NamedPort, NamesMatch, PeerMatch, PodMatch, Rule, rules_of
from outgate.policy.service_peers import ServicePeers

__all__ = ["PodKey", "Selection", "has_account", "looks_around", "resolve"]

PodKey = tuple[str, str]
_LabelKey = frozenset[tuple[str, str]]


class Selection:
    """The answers to "which pods?" for one snapshot under one profile. Computed once, then remembered."""

    def __init__(self, snapshot: Snapshot, profile: Profile = OUTGATE) -> None:
        self.snapshot = snapshot
        self.profile = profile
        self.services = ServicePeers(snapshot)
        self.places = Places(snapshot)
        # Host-network pods are selected and nobody tells them apart: who shares their address is meant too.
        self.by_address = profile.host_network_selected and not profile.host_network_isolated
        self._selecting: dict[tuple[str, _LabelKey, Direction], tuple[NetworkPolicy, ...]] = {}
        self._of_cilium: dict[tuple[str, _LabelKey, str, Direction], tuple[CiliumPolicy, ...]] = {}
        self._speaking_of: dict[tuple[str, Direction], list[tuple[CiliumPolicy, PodMatch]]] = {}
        self._governing: dict[tuple[str, _LabelKey, Direction], tuple[ClusterPolicy, ...]] = {}
        self._pods: dict[PodMatch, tuple[Pod, ...]] = {}
        self._namespaces: dict[LabelSelector, tuple[str, ...]] = {}
        self._kinds_in: dict[str | LabelSelector, tuple[LabelIndex, tuple[tuple[Pod, ...], ...]]] = {}
        self._addresses: dict[PeerMatch, AddressSet] = {}
        self._beyond: dict[BlockMatch, AddressSet] = {}
        self._rules: dict[tuple[int, Direction, Standpoint], tuple[Policy, tuple[Rule, ...]]] = {}
        self._standing: dict[int, bool] = {}
        self._named: dict[NamedPort, tuple[tuple[TransportSet, AddressSet], ...]] = {}
        self._kind_of: dict[PodKey, tuple[str, _LabelKey]] = {}
        self._selected: dict[tuple[int, tuple[str, _LabelKey], str], tuple[PodMatch, bool]] = {}

    def kind_of(self, pod: Pod) -> tuple[str, _LabelKey]:
        """What selectors can see of a pod: its namespace and labels. The same object for the same pod, always."""
        found = self._kind_of.get(pod.key)
        if found is None:
            found = self._kind_of[pod.key] = (pod.namespace, frozenset(self.visible(pod).items()))
        return found

    def visible(self, pod: Pod) -> Labels:
        """The labels of a pod that selectors can see under the profile."""
        return self.profile.visible(pod.labels)

    def selecting(self, pod: Pod, direction: Direction) -> tuple[NetworkPolicy | CiliumPolicy, ...]:
        """The policies that isolate a pod in a direction: NetworkPolicies by name, and then Cilium's."""
        of_cilium = tuple(one for one in self.of_cilium(pod, direction) if direction in one.isolates)
        return (*self.network_policies(pod, direction), *of_cilium)

    def of_cilium(self, pod: Pod, direction: Direction) -> tuple[CiliumPolicy, ...]:
        """Cilium's policies that say anything of a pod in a direction, whether or not they isolate it.

        A pod on the host network is no endpoint: "hostNetwork pods are not endpoints: identity host / remote-node".
        """
        if not self.snapshot.cilium_policies or pod.host_network:
            return ()
        # Of a pod's account nothing is in its kind.
        key = (*self.kind_of(pod), pod.hints.account, direction)
        found = self._of_cilium.get(key)
        if found is None:
            labels = self.visible(pod)
            found = self._of_cilium[key] = tuple(
                policy
                for policy, match in self._speaking(pod.namespace, direction)
                if match.pods.matches(labels) and has_account(match, pod)
            )
        return found

    def _speaking(self, namespace: str, direction: Direction) -> list[tuple[CiliumPolicy, PodMatch]]:
        """Cilium's policies that may say something of pods of a namespace in a direction, and whom each selects."""
        found = self._speaking_of.get((namespace, direction))
        if found is None:
            by_namespace = self.snapshot.cilium_by_namespace
            candidates = (*by_namespace.get("", ()), *by_namespace.get(namespace, ()))
            speaking = [one for one in candidates if direction in one.types and not one.subject.nobody]
            selected = ((one, endpoints(one.subject)) for one in speaking)
            found = [(one, match) for one, match in selected if self._reaches_into(match, namespace)]
            self._speaking_of[namespace, direction] = found
        return found

    def network_policies(self, pod: Pod, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """The NetworkPolicies that isolate a pod in a direction, by name.

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
            mine = self.visible(pod)
            found = tuple(one for one in candidates if direction in one.types and one.pods.matches(mine))
            self._selecting[key] = found
        return found

    def governing(self, pod: Pod, direction: Direction) -> tuple[ClusterPolicy, ...]:
        """The policies of the whole cluster that have rules for a pod in a direction, in the order they are asked in.

        types.go, ClusterNetworkPolicySubject: "Host-networked pods are never selected".
        """
        if not self.snapshot.cluster_policies or pod.host_network:
            return ()
        key = (*self.kind_of(pod), direction)
        found = self._governing.get(key)
        if found is None:
            policies = (one for one in self.snapshot.cluster_policies if direction in one.types)
            found = self._governing[key] = tuple(one for one in policies if self._is_subject(one, pod))
        return found

    def ruling(self, pod: Pod, direction: Direction) -> tuple[NetworkPolicy | CiliumPolicy, ...]:
        """The policies of the NetworkPolicy tier that say anything of a pod in a direction."""
        return (*self.network_policies(pod, direction), *self.of_cilium(pod, direction))

    def about(self, pod: Pod, direction: Direction) -> tuple[Policy, ...]:
        """Every policy that says anything of a pod in a direction, whichever its tier."""
        return (*self.ruling(pod, direction), *self.governing(pod, direction))

    def standpoint(self, pod: Pod, policy: Policy) -> Standpoint:
        """Where a pod looks from, as far as the rules of a policy hang on that."""
        return self.places.standpoint(pod) if self.hangs(policy) else ANYWHERE

    def hangs(self, policy: Policy) -> bool:
        """Whether a policy's rules hang on where a pod looks from."""
        if isinstance(policy, NetworkPolicy):
            return False
        found = self._standing.get(id(policy))
        if found is None:
            if isinstance(policy, CiliumPolicy):
                found = hangs_on_standpoint(policy, self.snapshot)
            else:
                found = bool(self.snapshot.learned) and looks_at_names(policy)
            self._standing[id(policy)] = found
        return found

    def _is_subject(self, policy: ClusterPolicy, pod: Pod) -> bool:
        subject = policy.subject
        if not isinstance(subject, PodPeer):
            return True
        namespaces, pods = subject.namespaces, subject.pods
        labels = self.snapshot.namespace(pod.namespace).labels
        return (namespaces is None or namespaces.matches(labels)) and (pods is None or pods.matches(self.visible(pod)))

    def rules(self, policy: Policy, direction: Direction, standpoint: Standpoint = ANYWHERE) -> tuple[Rule, ...]:
        """The rules of a policy in one direction, as they are seen from somewhere."""
        key = (id(policy), direction, standpoint)
        found = self._rules.get(key)
        if found is None:
            match policy:
                case ClusterPolicy():
                    made = cluster_rules(policy, direction, self.places, standpoint)
                case CiliumPolicy():
                    made = cilium_rules(policy, direction, self.places, standpoint)
                case NetworkPolicy():
                    made = rules_of(policy, direction)
            # The policy is kept beside its rules, so that no other can come to have its identity.
            found = self._rules[key] = policy, tuple(made)
        return found[1]

    def is_peer(self, match: PeerMatch, pod: Pod | None, inside: bool, *, on_node: bool = False) -> bool:
        """Whether a peer matches an end: a pod, or an address that is no pod's.

        `inside` says whether its address is in the block, for a block; `on_node` whether a node has the address.
        """
        if isinstance(match, BlockMatch):
            if match.outside:
                return inside and pod is None and not on_node
            if match.nodes is not None:
                # Who has such an address is meant, whatever a plugin makes of blocks: an API server may be in a pod.
                return inside
            if not self.profile.block_matches(pod, on_node=on_node):
                return False
            unknown = pod is not None and not pod.host_network and not pod.addressed
            if unknown and self.profile.stand_ins_out_of_blocks:
                return inside and any(AddressSet.whole(family) <= match.addresses for family in FAMILIES)
            return inside or (unknown and self.profile.stand_ins_in_blocks)
        if isinstance(match, NamesMatch):
            return False
        if pod is None or (pod.host_network and (match.never_hosts or not self.profile.host_network_selected)):
            return False
        # The match is kept beside the answer, so that no other can come to have its identity.
        key = (id(match), self.kind_of(pod), pod.hints.account if match.accounts else "")
        known = self._selected.get(key)
        if known is None:
            known = self._selected[key] = (match, self._selects(match, pod))
        return known[1]

    def seen_at(self, pod: Pod | None, address: Address) -> tuple[Pod, ...]:
        """The pods that selectors and port names can mean by an end: the pod, or all that are there."""
        if pod is not None and not pod.host_network:
            return (pod,)
        if self.by_address:
            return tuple(one for one in self.snapshot.owners_of(address) if one.host_network)
        return (pod,) if pod is not None and self.profile.host_network_selected else ()

    def _selects(self, match: PodMatch, pod: Pod) -> bool:
        inside = self._reaches_into(match, pod.namespace)
        return inside and match.pods.matches(self.visible(pod)) and has_account(match, pod)

    def _reaches_into(self, match: PodMatch, namespace: str) -> bool:
        if match.namespaces is None:
            return namespace == match.namespace
        return match.namespaces.matches(self.snapshot.namespace(namespace).labels)

    def pods(self, match: PodMatch) -> tuple[Pod, ...]:
        """The endpoints that a peer selects; host-network pods only where the profile says so."""
        found = self._pods.get(match)
        if found is None:
            found = self._pods[match] = tuple(self._find(match))
        return found

    def _find(self, match: PodMatch) -> Iterator[Pod]:
        index, pods = self._among(match)
        for number in index.matching(match.pods):
            for pod in pods[number]:
                if not (match.never_hosts and pod.host_network) and has_account(match, pod):
                    yield pod

    def _among(self, match: PodMatch) -> tuple[LabelIndex, tuple[tuple[Pod, ...], ...]]:
        """The kinds of pod in the namespaces of a match. Many matches differ in what they say of pods alone."""
        where = match.namespace or "" if match.namespaces is None else match.namespaces
        found = self._kinds_in.get(where)
        if found is None:
            names = (where,) if isinstance(where, str) else self.namespaces(where)
            kinds = [kind for name in names for kind in self._kinds.get(name, ())]
            found = LabelIndex(labels for labels, _ in kinds), tuple(pods for _, pods in kinds)
            self._kinds_in[where] = found
        return found

    def namespaces(self, selector: LabelSelector) -> tuple[str, ...]:
        """The namespaces with endpoints that a selector of namespaces matches."""
        found = self._namespaces.get(selector)
        if found is None:
            names, index = self._inhabited
            found = self._namespaces[selector] = tuple(names[number] for number in index.matching(selector))
        return found

    @cached_property
    def _inhabited(self) -> tuple[tuple[str, ...], LabelIndex]:
        names = tuple(self.snapshot.pods_by_namespace)
        return names, LabelIndex(self.snapshot.namespace(name).labels for name in names)

    @cached_property
    def _kinds(self) -> Mapping[str, tuple[tuple[Labels, tuple[Pod, ...]], ...]]:
        """The pods that selectors can match, by namespace and equal labels: a selector looks at each kind once."""
        found: dict[str, tuple[tuple[Labels, tuple[Pod, ...]], ...]] = {}
        for name, pods in self.snapshot.pods_by_namespace.items():
            kinds: dict[_LabelKey, list[Pod]] = {}
            for pod in pods:
                if not pod.host_network or self.profile.host_network_selected:
                    kinds.setdefault(self.kind_of(pod)[1], []).append(pod)
            found[name] = tuple((self.visible(many[0]), tuple(many)) for many in kinds.values())
        return found

    def addresses(self, match: PeerMatch) -> AddressSet:
        """The addresses that a peer covers now."""
        if (
            isinstance(match, BlockMatch)
            and not match.outside
            and (match.nodes is not None or not self._outside_blocks)
        ):
            return match.addresses
        found = self._addresses.get(match)
        if found is None:
            if isinstance(match, BlockMatch):
                found = match.addresses - (self.places.cluster if match.outside else self._outside_blocks)
            elif isinstance(match, NamesMatch):
                found = AddressSet()
            else:
                found = AddressSet.of(address for pod in self.pods(match) for address in pod.addresses)
            self._addresses[match] = found
        return found

    def beyond(self, match: BlockMatch) -> AddressSet:
        """The addresses of a block, as far as they are no pod's: those of nodes only where it matches nodes."""
        if match.nodes is not None or not (match.outside or not self.profile.blocks_match_nodes):
            return match.addresses
        found = self._beyond.get(match)
        if found is None:
            found = self._beyond[match] = match.addresses - self.places.every_node
        return found

    @cached_property
    def _outside_blocks(self) -> AddressSet:
        """The addresses of those that blocks do not match; an address of a pod and a node is the pod's."""
        found = AddressSet()
        if not self.profile.blocks_match_nodes:
            found |= self.places.every_node - self.places.pods
        if not self.profile.blocks_match_pods:
            found |= self.places.pods
        return found

    def service_addresses(self, rule: Rule) -> Iterator[tuple[AddressSet, TransportSet]]:
        """What an egress rule opens at the addresses of Services, where egress is judged before translation."""
        if not self.profile.before_translation or rule.direction is not Direction.EGRESS:
            return
        for match in rule.peers or ():
            for service in self.services.covered(match) if isinstance(match, PodMatch) else ():
                yield AddressSet.of(service.cluster_ips), self.services.opened(service, rule.ports)

    def node_addresses(self, name: str) -> AddressSet:
        """The addresses of a node: its own, and what its host-network pods say, which is all where no Node is given."""
        return self.places.nodes.get(name, AddressSet()) if name else AddressSet()

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


def looks_around(policy: Policy) -> bool:
    """Whether its rules may change though it is the same: with nodes, Services, groups, or what was learned."""
    above = isinstance(policy, ClusterPolicy) and (looks_at_nodes(policy) or looks_at_names(policy))
    return above or isinstance(policy, CiliumPolicy)


def has_account(match: PodMatch, pod: Pod) -> bool:
    """Whether a pod's ServiceAccount is one that a peer asks for."""
    return not match.accounts or match.accounts.matches({ACCOUNT_LABEL: pod.hints.account})


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
