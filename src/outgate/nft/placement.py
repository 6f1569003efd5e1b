"""What one address has in the moving sets: the difference that a pod makes.

Every element of a moving set belongs to one address, so the sets are the union, over all addresses, of what each has:

    in a peer set     where a selector of a rule selects the pod that holds it
    in a port set     the same, with the number that the pod gives to a port name
    in the maps       where the pod is one of this node: the way into the chain of its class
    in a link set     with the interface that leads there

When a pod changes, its addresses are placed again and the difference goes to the kernel: work that depends on how many
selectors match the pod, and on nothing else. `outgate.nft.compile` fills the same sets selector by selector; that both
come to the same is a property test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from outgate.model import Operator, Pod
from outgate.model.labels import Labels
from outgate.nft.classes import Classes
from outgate.nft.frame import DISPATCHES, LINKS, UNKNOWN
from outgate.nft.members import Members, PeerMembers, PortMembers
from outgate.nft.objects import Judgement, SetKey, goto
from outgate.packets import Address, AddressSet
from outgate.policy import BlockMatch, PodMatch, Policies
from outgate.policy.selection import has_account

__all__ = ["Elements", "Share", "Shares", "local_elements"]

Elements = dict[tuple[str, SetKey], Judgement | None]
"""(set, key) → the verdict, for a map."""

_UNKNOWN = goto(UNKNOWN)


@dataclass(frozen=True, slots=True)
class Share:
    """What each pod of one kind puts into one set: an address of the family, followed by the rest of the key."""

    name: str
    family: int
    rest: SetKey = ()
    within: AddressSet | None = None
    """Only addresses in here; None for any."""
    perhaps: bool = False
    """Also of an address that another pod claims, too (`outgate.nft.members`)."""

    def key(self, address: Address) -> SetKey | None:
        """The key of an address; None where it does not belong there."""
        if address.version != self.family or (self.within is not None and address not in self.within):
            return None
        value = int(address)
        return ((value, value), *self.rest)


class _Index:
    """Peer sets that some pods may be in, found by one label that a pod must have for it."""

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str], list[tuple[str, Members]]] = {}
        self._rest: list[tuple[str, Members]] = []

    def add(self, name: str, members: Members) -> None:
        """Take a set up, under what its selector asks for first: any of some values of a key."""
        peer = members.peer
        if isinstance(peer, PodMatch):
            for one in peer.pods.requirements:
                if one.operator is Operator.IN:
                    for value in one.values:
                        self._by_label.setdefault((one.key, value), []).append((name, members))
                    return
        self._rest.append((name, members))

    def candidates(self, labels: Labels) -> Iterator[tuple[str, Members]]:
        """The sets whose selector asks for a label that is there, or for none."""
        yield from self._rest
        if self._by_label:
            for label in labels.items():
                yield from self._by_label.get(label, ())


class Shares:
    """For kinds of pods, the peer sets that they are in, under one state of the policies and namespaces.

    Selectors are kept by namespace, then by a label that they ask for, so that a pod is held against the few that may
    be for it: most selectors name one application of one namespace.
    """

    def __init__(self, policies: Policies, members: Mapping[str, Members]) -> None:
        self._policies = policies
        self._members = members
        self._met: dict[str, _Index] = {}
        self._own: dict[str, list[tuple[str, Members]]] = {}
        """Those of selectors for the policy's own namespace, by that."""
        self._anywhere: list[tuple[str, Members]] = []
        for name in members:
            self._sort(name)

    def of(self, pod: Pod, names: Iterable[str] | None = None) -> tuple[Share, ...]:
        """The shares of a pod by its namespace, labels, ports and account; of these sets alone, where named."""
        if pod.host_network and not self._policies.profile.host_network_selected:
            return ()
        labels = self._policies.selection.visible(pod)
        if names is None:
            some: Iterable[tuple[str, Members]] = self._in_namespace(pod.namespace).candidates(labels)
        else:
            some = ((name, self._members[name]) for name in names)
            some = (one for one in some if self._meets(one[1], pod.namespace))
        return tuple(share for name, members in some for share in self._shares(name, members, pod, labels))

    def learn(self, names: Iterable[str]) -> None:
        """Take account of peer sets that have been made since."""
        for name in names:
            self._sort(name)
            for namespace, met in self._met.items():
                if self._meets(self._members[name], namespace):
                    met.add(name, self._members[name])

    def _sort(self, name: str) -> None:
        members = self._members[name]
        peer = members.peer
        if isinstance(peer, PodMatch) and peer.namespaces is None:
            self._own.setdefault(peer.namespace or "", []).append((name, members))
        else:
            self._anywhere.append((name, members))

    def _in_namespace(self, namespace: str) -> _Index:
        """The peer sets that a pod of a namespace may be in."""
        found = self._met.get(namespace)
        if found is None:
            found = self._met[namespace] = _Index()
            for name, members in (*self._own.get(namespace, ()), *self._anywhere):
                if self._meets(members, namespace):
                    found.add(name, members)
        return found

    def _meets(self, members: Members, namespace: str) -> bool:
        peer = members.peer
        if not isinstance(peer, PodMatch):
            return True
        if peer.namespaces is None:
            return peer.namespace == namespace
        return peer.namespaces.matches(self._policies.snapshot.namespace(namespace).labels)

    def _shares(self, name: str, members: Members, pod: Pod, labels: Labels) -> Iterator[Share]:
        peer = members.peer
        if isinstance(peer, PodMatch) and not (peer.pods.matches(labels) and has_account(peer, pod)):
            return
        match members:
            case PeerMembers(family=family):
                yield Share(name, family, perhaps=members.perhaps)
            case PortMembers(port=port, family=family):
                within = self._policies.selection.addresses(peer) if isinstance(peer, BlockMatch) else None
                wanted = port.name, port.protocol.name
                numbers = {one.port for one in pod.ports if (one.name, one.protocol) == wanted}
                protocol = (int(port.protocol), int(port.protocol))
                for one in sorted(numbers):
                    yield Share(name, family, (protocol, (one, one)), within, members.perhaps)


def local_elements(
    classes: Classes, pod: Pod, address: Address, *, contested: bool, interface: str
) -> Iterator[tuple[tuple[str, SetKey], Judgement | None]]:
    """What an address of a pod of this node has in the maps and, where its interface is known, in the link set."""
    value = int(address)
    for dispatch in DISPATCHES:
        if dispatch.view.family == address.version:
            # Two pods that claim one address: whose packet it is cannot be told, so it is closed until one is gone.
            way = _UNKNOWN if contested else classes.way(pod, dispatch.view)
            yield (dispatch.name, ((value, value),)), way
    if interface:
        yield (LINKS[address.version], (interface, (value, value))), None
