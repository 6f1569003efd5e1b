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

from outgate.model import Pod
from outgate.nft.classes import Classes
from outgate.nft.frame import DISPATCHES, LINKS, UNKNOWN
from outgate.nft.members import Members, PeerMembers, PortMembers
from outgate.nft.objects import Judgement, SetKey, goto
from outgate.packets import Address, AddressSet
from outgate.policy import BlockMatch, Policies

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

    def key(self, address: Address) -> SetKey | None:
        """The key of an address; None where it does not belong there."""
        if address.version != self.family or (self.within is not None and address not in self.within):
            return None
        value = int(address)
        return ((value, value), *self.rest)


class Shares:
    """For kinds of pods, the peer sets that they are in, under one state of the policies and namespaces."""

    def __init__(self, policies: Policies, members: Mapping[str, Members]) -> None:
        self._policies = policies
        self._members = members
        self._met: dict[str, tuple[tuple[str, Members], ...]] = {}

    def of(self, pod: Pod, names: Iterable[str] | None = None) -> tuple[Share, ...]:
        """The shares of a pod by its namespace, labels and ports; of these sets alone, where they are named."""
        if pod.host_network and not self._policies.profile.host_network_selected:
            return ()
        if names is None:
            some: Iterable[tuple[str, Members]] = self._in_namespace(pod.namespace)
        else:
            some = ((name, self._members[name]) for name in names)
            some = (one for one in some if self._meets(one[1], pod.namespace))
        return tuple(share for name, members in some for share in self._shares(name, members, pod))

    def learn(self, names: Iterable[str]) -> None:
        """Take account of peer sets that have been made since."""
        for namespace, met in self._met.items():
            new = ((name, self._members[name]) for name in names)
            self._met[namespace] = (*met, *(one for one in new if self._meets(one[1], namespace)))

    def _in_namespace(self, namespace: str) -> tuple[tuple[str, Members], ...]:
        """The peer sets that a pod of a namespace may be in. Most selectors are for one namespace."""
        found = self._met.get(namespace)
        if found is None:
            many = self._members.items()
            found = self._met[namespace] = tuple(one for one in many if self._meets(one[1], namespace))
        return found

    def _meets(self, members: Members, namespace: str) -> bool:
        peer = members.peer
        if peer is None or isinstance(peer, BlockMatch):
            return True
        if peer.namespaces is None:
            return peer.namespace == namespace
        return peer.namespaces.matches(self._policies.snapshot.namespace(namespace).labels)

    def _shares(self, name: str, members: Members, pod: Pod) -> Iterator[Share]:
        peer = members.peer
        within = self._policies.selection.addresses(peer) if isinstance(peer, BlockMatch) else None
        chosen = (
            peer is None or isinstance(peer, BlockMatch) or peer.pods.matches(self._policies.selection.visible(pod))
        )
        if not chosen:
            return
        match members:
            case PeerMembers(family=family):
                yield Share(name, family)
            case PortMembers(port=port, family=family):
                wanted = port.name, port.protocol.name
                numbers = {one.port for one in pod.ports if (one.name, one.protocol) == wanted}
                protocol = (int(port.protocol), int(port.protocol))
                yield from (Share(name, family, (protocol, (one, one)), within) for one in sorted(numbers))


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
