"""What the cluster says, as far as one node must know it, and who holds which address.

The agent's picture of the cluster changes object by object, all the time, so it is no `Snapshot`. It keeps pods by
name, and beside them two indexes that one change touches in one place:

    kinds      pods that no policy can tell apart (namespace, labels, ports, ServiceAccount) share one `Kind`, and
               with it every answer that depends on nothing else
    holders    an address → the pods that have it now. Finished pods have none; pods on the host network share their
               node's, which is no pod's

Pods behind a bridge have a port beside their interface (`ports`): an address is its pod's at that port alone
(`outgate.nft.guard`).

A pod's addresses come from its status, and for a pod that is being made from the network plugin (`Claim`), seconds
earlier. Each method returns the addresses whose state may have changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from outgate.agent.around import Around
from outgate.agent.meaning import asks, means, says
from outgate.host.bridges import Behind
from outgate.model import (
    CiliumPolicy,
    ClusterPolicy,
    ContainerPort,
    EndpointSlice,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    Service,
)
from outgate.model.cilium import CidrGroup, CiliumObject
from outgate.model.hints import Hints
from outgate.model.labels import Labels
from outgate.model.snapshot import NAME_LABEL
from outgate.nft.placement import Share
from outgate.packets import Address
from outgate.policy.cilium_rules import looks_outside
from outgate.policy.cilium_sight import Sight, seen_by_agent
from outgate.policy.cluster_rules import looks_at_nodes, without_nodes

__all__ = ["Claim", "Kind", "Record", "World"]

PodKey = tuple[str, str]
_LEFT = 2000
"""Addresses that were left and not asked about yet; beyond it the oldest are forgotten."""
_KindKey = tuple[str, frozenset[tuple[str, str]], tuple[ContainerPort, ...], bool, str]


class Kind:
    """Pods that policies cannot tell apart. `shares` are the peer sets they are in; None where that must be asked."""

    __slots__ = ("addresses", "example", "key", "shares")

    def __init__(self, key: _KindKey, example: Pod) -> None:
        self.key = key
        self.example = example
        """One pod of the kind, under a name that is no pod's, so that nothing is remembered of a pod that is gone."""
        self.shares: tuple[Share, ...] | None = None
        self.addresses: dict[Address, int] = {}
        """The addresses of its pods, and how many of them have each."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the network plugin said of a pod that is being made (CNI ADD), before the API server says it."""

    uid: str
    addresses: tuple[Address, ...]
    interface: str
    """The node's end of the pod's link; empty where the plugin did not say."""


@dataclass(slots=True)
class Record:
    """A pod and what the agent knows beside."""

    pod: Pod
    kind: Kind
    addresses: tuple[Address, ...]
    """Those that count now."""


@dataclass(slots=True)
class World:
    """The cluster as this node sees it."""

    node: str
    pods: dict[PodKey, Record] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    policies: dict[PodKey, NetworkPolicy] = field(default_factory=dict)
    cluster_policies: dict[PodKey, ClusterPolicy] = field(default_factory=dict)
    """By kind and name, as they are enforced here."""
    all_nodes: bool = False
    """Whether all Nodes are watched, and not this one alone: only then is it known what a peer of nodes stands for."""
    of_cluster: dict[PodKey, ClusterPolicy] = field(default_factory=dict)
    """The same policies as they are written."""
    cilium: dict[tuple[str, str, str], tuple[CiliumPolicy, ...]] = field(default_factory=dict)
    """Of Cilium's objects, by kind, namespace and name, the policies as they are enforced here."""
    written: dict[tuple[str, str, str], CiliumObject] = field(default_factory=dict)
    """The same objects as they are written."""
    around: Around = field(default_factory=Around)
    unread: set[tuple[str, str, str]] = field(default_factory=set)
    """Objects that nobody can understand, by kind, namespace and name: who denies may mean them."""
    outdated: bool = False
    """What is seen has changed, and with it perhaps how policies are enforced (`look_again`)."""
    groups: dict[str, CidrGroup] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    holders: dict[Address, tuple[PodKey, ...]] = field(default_factory=dict)
    ways: Mapping[Address, str] = field(default_factory=dict)
    """The interface of this node that leads to an address, as the kernel's routes say."""
    links: dict[Address, str] = field(default_factory=dict)
    """The same for the addresses of this node's pods, as the ruleset has it."""
    behind: Behind = field(default_factory=Behind)
    """The bridges of this node, and who is behind their ports, as the kernel says."""
    ports: dict[Address, str] = field(default_factory=dict)
    """The port of each address of this node's pods that is behind a bridge; empty where it is not known."""
    doors: set[str] = field(default_factory=set)
    """The ports that lead to pods, or led there as long as they have been there."""
    rewired: int = 0
    """Counts on with every change of `ports`, `doors`, `local` or the node's own wires."""
    local: set[PodKey] = field(default_factory=set)
    """The pods of this node with a network of their own."""
    left: deque[tuple[Address, Pod]] = field(default_factory=lambda: deque(maxlen=_LEFT))
    """Who last had which address, for whoever names the packets of a pod that has just died. He takes them out."""
    _kinds: dict[_KindKey, Kind] = field(default_factory=dict)
    _claims: dict[PodKey, Claim] = field(default_factory=dict)
    _departed: dict[PodKey, str] = field(default_factory=dict)
    """Pods of this node whose network is gone (CNI DEL), by the uid that they had."""
    _labels: dict[frozenset[tuple[str, str]], Labels] = field(default_factory=dict)
    _number: int = 0

    # ---- pods ----------------------------------------------------------------------------------------------------

    def put_pod(self, pod: Pod) -> set[Address]:
        """A pod is new, or another than it was."""
        before = self.pods.get(pod.key)
        if self._departed.get(pod.key, pod.uid) != pod.uid:
            del self._departed[pod.key]
        claim = self._claims.get(pod.key)
        if claim is not None and (pod.finished or pod.addresses or (pod.uid and claim.uid not in {"", pod.uid})):
            del self._claims[pod.key]
        return self._settle(before, pod)

    def drop_pod(self, key: PodKey) -> set[Address]:
        """A pod is gone."""
        self._departed.pop(key, None)
        self._claims.pop(key, None)
        before = self.pods.pop(key, None)
        self.rewired += key in self.local
        self.local.discard(key)
        return self._leave(before) if before is not None else set()

    def replace_pods(self, pods: Iterable[Pod]) -> set[Address]:
        """All pods that there are, after a list."""
        touched: set[Address] = set()
        kept: set[PodKey] = set()
        for pod in pods:
            kept.add(pod.key)
            touched |= self.put_pod(pod)
        for key in self.pods.keys() - kept:
            touched |= self.drop_pod(key)
        return touched

    def born(self, key: PodKey, claim: Claim) -> set[Address]:
        """The network plugin has given a pod its addresses."""
        self._claims[key] = claim
        if claim.uid in {"", self._departed.get(key)}:
            # Made anew. Of a namesake, what the API server still says is of the one that has gone.
            self._departed.pop(key, None)
        record = self.pods.get(key)
        if record is None:
            return set()
        touched = self._settle(record, record.pod)
        return touched | self._relink(self.pods[key])

    def died(self, key: PodKey, uid: str, addresses: tuple[Address, ...] = ()) -> set[Address]:
        """The network plugin has taken a pod's network away. The API server may list the pod for a while yet.

        `addresses` are those of that network, where they are known: a pod that has others lives in a new one.
        """
        claim, record = self._claims.get(key), self.pods.get(key)
        now = claim.addresses if claim is not None else record.addresses if record is not None else ()
        if addresses and now and not set(addresses) & set(now):
            return set()
        self._claims.pop(key, None)
        if record is None or (uid and record.pod.uid and uid != record.pod.uid):
            return set()
        self._departed[key] = record.pod.uid
        return self._settle(record, record.pod)

    def link(self, ways: Mapping[Address, str], behind: Behind | None = None) -> set[Address]:
        """The interfaces of this node that lead to addresses; asked for those of its own pods alone."""
        self.ways, before = ways, self.behind
        self.behind = behind or Behind()
        gone = self.doors - self.behind.doors
        self.doors -= gone
        self.rewired += bool(gone) or (before.wires, before.macs) != (self.behind.wires, self.behind.macs)
        return {address for key in self.local for address in self._relink(self.pods[key])}

    def _relink(self, record: Record) -> set[Address]:
        """Ask for the interfaces of a local pod. What its claim said holds until the kernel knows better."""
        claim = self._claims.get(record.pod.key)
        touched = set()
        for address in record.addresses if record.pod.key in self.local else ():
            link = self.ways.get(address) or (claim.interface if claim is not None else "")
            if self.links.get(address, "") != link:
                touched.add(address)
                self.links[address] = link
            touched |= self._replug(address, link, claim)
        return touched

    def _replug(self, address: Address, link: str, claim: Claim | None) -> set[Address]:
        """Ask for the port of a local pod's address, where its interface is a bridge."""
        known = self.ports.get(address)
        port = self._port(address, known or "", claim) if link in self.behind.bridges else None
        if port == known:
            return set()
        if port is None:
            del self.ports[address]
        else:
            self.ports[address] = port
            self.doors |= {port} - {""}
        self.rewired += 1
        return {address}

    def _port(self, address: Address, known: str, claim: Claim | None) -> str:
        """What the network plugin said of a birth counts, and what is known stays until it is wrong.

        So a pod that gives itself the address of another, whose port is known, has nothing of it.
        """
        doors, holders = self.behind.doors, self.behind.holders.get(address, ())
        if claim is not None and claim.interface in doors:
            return claim.interface
        if known in doors and (known in holders or not holders):
            return known
        return holders[0] if len(holders) == 1 else ""

    def is_local(self, key: PodKey) -> bool:
        """Whether a pod is this node's."""
        return key in self.local

    def kinds(self) -> Iterator[Kind]:
        """All kinds that have a pod."""
        return iter(self._kinds.values())

    def awaited(self, key: PodKey) -> Claim | None:
        """What the network plugin said of a pod whose status does not say it yet."""
        return self._claims.get(key)

    def _settle(self, before: Record | None, pod: Pod) -> set[Address]:
        addresses = self._addresses_of(pod)
        local = pod.node == self.node and not pod.host_network and not pod.finished
        same = before is not None and _looks(before.pod) == _looks(pod)
        touched: set[Address] = set()
        if before is not None and same:
            kind = self._kinds.get(before.kind.key, before.kind)
            if (before.addresses, before.pod.uid) == (addresses, pod.uid) and local == (pod.key in self.local):
                before.pod = replace(pod, labels=kind.example.labels, ports=kind.example.ports)
                return touched
        else:
            kind = self._kind_of(pod)
        if before is not None:
            touched |= self._leave(before)
        # Pods of one template come with equal labels and ports: one copy is kept.
        kept = replace(pod, labels=kind.example.labels, ports=kind.example.ports)
        self.pods[pod.key] = Record(kept, kind, addresses)
        self.rewired += local != (pod.key in self.local)
        (self.local.add if local else self.local.discard)(pod.key)
        if addresses:
            self._kinds[kind.key] = kind
        for address in addresses:
            self.holders[address] = (*self.holders.get(address, ()), pod.key)
            kind.addresses[address] = kind.addresses.get(address, 0) + 1
            touched.add(address)
        self._relink(self.pods[pod.key])
        return touched

    def _addresses_of(self, pod: Pod) -> tuple[Address, ...]:
        """The addresses by which a pod is known now."""
        if pod.finished or pod.host_network or self._departed.get(pod.key) == pod.uid:
            return ()
        if pod.addresses:
            return pod.addresses if pod.addressed else ()
        claim = self._claims.get(pod.key)
        if claim is None or pod.node != self.node or (pod.uid and claim.uid not in {"", pod.uid}):
            return ()
        return claim.addresses

    def _leave(self, record: Record) -> set[Address]:
        kind, key = record.kind, record.pod.key
        for address in record.addresses:
            self.left.append((address, record.pod))
            others = tuple(one for one in self.holders[address] if one != key)
            if others:
                self.holders[address] = others
            else:
                del self.holders[address]
                self.links.pop(address, None)
                self.rewired += self.ports.pop(address, None) is not None
            kind.addresses[address] -= 1
            if not kind.addresses[address]:
                del kind.addresses[address]
        if not kind.addresses and self._kinds.get(kind.key) is kind:
            # A kind without an address has nothing in any set. What sets there are is asked anew when one comes: a
            # rebuild in between does not look at it.
            del self._kinds[kind.key]
            kind.shares = None
        return set(record.addresses)

    def _kind_of(self, pod: Pod) -> Kind:
        account = pod.hints.account
        key = (pod.namespace, frozenset(pod.labels.items()), pod.ports, pod.host_network, account)
        found = self._kinds.get(key)
        if found is None:
            self._number += 1
            name = f"kind-{self._number}"
            # Asked for as a subject, a kind stands for pods of this node alone.
            example = Pod(
                pod.namespace,
                name,
                pod.labels,
                node=self.node,
                ports=pod.ports,
                host_network=pod.host_network,
                hints=Hints(account),
            )
            found = Kind(key, example)
        return found

    # ---- what pods live among ---------------------------------------------------------------------------------------

    def put_namespace(self, one: Namespace) -> bool:
        """A namespace is new or another; whether selectors, or the mode of policies, may see the difference."""
        before = self.namespaces.get(one.name)
        labels = {**one.labels, NAME_LABEL: one.name}
        self.namespaces[one.name] = replace(one, labels=labels)
        seen = before.labels if before is not None else {NAME_LABEL: one.name}
        annotations = before.annotations if before is not None else {}
        return seen != labels or annotations != one.annotations

    def drop_namespace(self, name: str) -> bool:
        """A namespace is gone; its pods are going too."""
        return self.namespaces.pop(name, None) is not None

    def put_policy(self, one: NetworkPolicy) -> bool:
        """A policy is new or another; whether it means something else than before."""
        before = self.policies.get((one.namespace, one.name))
        if before is not None and means(before) == means(one):
            return False
        self.policies[one.namespace, one.name] = one
        return True

    def drop_policy(self, key: PodKey) -> bool:
        """A policy is gone."""
        return self.policies.pop(key, None) is not None

    def put_cluster_policy(self, one: ClusterPolicy) -> bool:
        """A policy of the whole cluster is new or another; whether it means something else than before."""
        key = one.kind, one.name
        self.of_cluster[key] = one
        return self._see_cluster_policy(key)

    def drop_cluster_policy(self, kind: str, name: str) -> bool:
        """A policy of the whole cluster is gone."""
        self.of_cluster.pop((kind, name), None)
        return self.cluster_policies.pop((kind, name), None) is not None

    def _see_cluster_policy(self, key: PodKey) -> bool:
        """See it as it is to be enforced now, which hangs on the nodes that are known; whether it is another."""
        one, before = self.of_cluster[key], self.cluster_policies.get(key)
        if looks_at_nodes(one) and (not self.all_nodes or self.unread_nodes):
            one = without_nodes(one, allowing=not self.all_nodes)
        if before is not None and says(before) == says(one):
            return False
        self.cluster_policies[key] = one
        return True

    @property
    def unread_nodes(self) -> list[str]:
        """The Nodes that nobody can understand: who denies nodes may mean them."""
        return sorted(name for kind, _, name in self.unread if kind == "Node")

    def put_cilium(self, one: CiliumObject) -> bool:
        """An object with policies of Cilium's is new or another; whether it means something else than before."""
        key = one.kind, one.namespace, one.name
        known = self.written.get(key)
        self.around.ask(one.policies)
        self.around.ask(known.policies if known is not None else (), less=True)
        self.written[key] = one
        sight, before = self.sight, self.cilium.get(key)
        self.cilium[key] = tuple(seen_by_agent(policy, sight) for policy in one.policies)
        return before is None or list(map(asks, before)) != list(map(asks, self.cilium[key]))

    def drop_cilium(self, kind: str, key: PodKey) -> bool:
        """Such an object is gone."""
        gone = self.written.pop((kind, *key), None)
        self.around.ask(gone.policies if gone is not None else (), less=True)
        return self.cilium.pop((kind, *key), None) is not None

    @property
    def sight(self) -> Sight:
        """What is seen of what policies of Cilium's may mean."""
        here, around = self.nodes.get(self.node), self.around
        services = tuple(around.meant.values()) if "Service" in around.told else None
        host = here is not None and bool(here.addresses)
        return Sight(self.all_nodes, host, services, around.endpoints, frozenset(self.unread))

    def look_again(self) -> bool:
        """See the policies as they are to be enforced now; whether any is another."""
        changed = False
        if self.outdated:
            self.outdated, sight = False, self.sight
            for of_cluster in self.of_cluster:
                changed |= self._see_cluster_policy(of_cluster)
            for key, one in self.written.items():
                seen = tuple(seen_by_agent(policy, sight) for policy in one.policies)
                if list(map(asks, seen)) != list(map(asks, self.cilium[key])):
                    self.cilium[key], changed = seen, True
        return changed

    def put_around(self, one: Service | EndpointSlice) -> bool:
        """A Service, or a slice of one, is new or another; whether rules may see it."""
        changed = self.around.put_service(one) if isinstance(one, Service) else self.around.put_slice(one)
        self.outdated |= changed
        return changed

    def drop_around(self, kind: str, key: PodKey) -> bool:
        """One of these is gone."""
        changed = self.around.drop_service(key) if kind == "Service" else self.around.drop_slice(key)
        self.outdated |= changed
        return changed

    def told_around(self, kind: str, selector: str) -> None:
        """All of a kind has been told, as far as it was asked for."""
        self.outdated |= self.around.told.get(kind) != selector
        self.around.hears(kind, selector)

    def read(self, key: tuple[str, str, str], *, understood: bool) -> None:
        """Whether an object can be understood."""
        if (key in self.unread) is understood:
            (self.unread.discard if understood else self.unread.add)(key)
            self.outdated = True

    def put_group(self, one: CidrGroup) -> bool:
        """A group of blocks is new or another; whether a policy can see it."""
        before = self.groups.get(one.name)
        self.groups[one.name] = one
        met = (before.blocks, before.labels) if before is not None else ((), {})
        return met != (one.blocks, one.labels) and bool(self.cilium)

    def drop_group(self, name: str) -> bool:
        """A group of blocks is gone."""
        return self.groups.pop(name, None) is not None and bool(self.cilium)

    def cilium_policies(self) -> Iterator[CiliumPolicy]:
        """The policies of all objects of Cilium's."""
        return (policy for many in self.cilium.values() for policy in many)

    @property
    def nodes_matter(self) -> bool:
        """Whether a policy is about nodes, so that all of them have to be known."""
        return any(map(looks_at_nodes, self.cluster_policies.values())) or any(
            map(looks_outside, self.cilium_policies())
        )

    def put_node(self, one: Node) -> bool:
        """A node is new or another; whether rules see it: this node's blocks of pod addresses, or peers of nodes."""
        before = self.nodes.get(one.name)
        self.nodes[one.name] = one
        # Whether the addresses of this node are known at all.
        self.outdated |= one.name == self.node and (before is None or before.addresses != one.addresses)
        blocks = before.pod_cidrs if before is not None else ()
        met = (before.labels, before.addresses) if before is not None else ({}, ())
        moved = met != (one.labels, one.addresses) and self.nodes_matter
        return moved or (one.name == self.node and blocks != one.pod_cidrs)

    def drop_node(self, name: str) -> bool:
        """A node is gone; whether rules see that.

        Of this one the last that was known stays: its pods run on, and unknown ones stay closed.
        """
        return name != self.node and self.nodes.pop(name, None) is not None and self.nodes_matter


def _looks(pod: Pod) -> object:
    """What of a pod its kind is made of, beside its namespace."""
    return pod.labels, pod.ports, pod.host_network, pod.hints.account
