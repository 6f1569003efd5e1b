"""The orders of the DNS proxy, made of what the kernel has been given: who asks, for what, and through which door.

They are made after each change that the kernel has taken, so that every set and every door that they name is there.
What the agent knows of the cluster's own addresses is said with them: nodes as far as they are watched, their blocks of
pod addresses, what the settings name, and every pod that is outside of all that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from outgate.agent.desired import Desired
from outgate.model import Direction, Pod
from outgate.model.cilium import NameMatch
from outgate.nft.asking import door_of
from outgate.nft.classes import Classes, Part
from outgate.nft.lines import View, names_id
from outgate.packets import Address, AddressSet
from outgate.policy.rules import NamesMatch
from outgate.proxy.orders import Asking, NameList, NameSet, Orders, PodOrder

__all__ = ["orders_of"]


def orders_of(desired: Desired, table: str, cluster: Iterable[str] = ()) -> Orders:
    """The orders. `table` is another one where learned addresses are to be put in again; `cluster` are blocks."""
    nodes = desired.world.nodes.values()
    blocks = dict.fromkeys((*cluster, *(str(block) for node in nodes for block in node.pod_cidrs)))
    made = _Making(desired.classes)
    pods = tuple(sorted((made.pod(*one) for one in desired.askers() if made.asks(*one)), key=lambda one: one.key))
    return Orders(
        table=table,
        cluster=(*blocks, *(_strays(desired, blocks) if pods else ())),
        nodes=tuple(sorted({str(one) for node in nodes for one in node.addresses})),
        sets=tuple(made.sets[name] for name in sorted(made.sets)),
        pods=pods,
    )


def _strays(desired: Desired, blocks: Iterable[str]) -> list[str]:
    """The addresses of pods that are in none of the blocks."""
    known = AddressSet.union_of(map(AddressSet.network, blocks))
    return [str(one) for one in sorted(desired.world.holders, key=lambda it: (it.version, int(it))) if one not in known]


class _Making:
    """The orders of pods. Those of a class differ in their keys and addresses alone."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self.sets: dict[str, NameSet] = {}
        self._of_classes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def asks(self, pod: Pod, addresses: Iterable[Address]) -> bool:
        """Whether a pod's questions come to the proxy."""
        return any(part.asks for part in self._parts(pod, addresses).values())

    def pod(self, pod: Pod, addresses: tuple[Address, ...]) -> PodOrder:
        """The orders of one."""
        parts = self._parts(pod, addresses)
        mine = tuple(str(one) for one in addresses if parts[one.version].asks)
        key = "/".join((pod.namespace, pod.name, pod.uid))
        return PodOrder(key, mine, self._sets(pod, parts), tuple(_asks(parts)))

    def _parts(self, pod: Pod, addresses: Iterable[Address]) -> dict[int, Part]:
        versions = {one.version for one in addresses}
        return {one: self._classes.part(pod, View(Direction.EGRESS, one)) for one in versions}

    def _sets(self, pod: Pod, parts: dict[int, Part]) -> tuple[str, ...]:
        chains = tuple(part.way.chain for part in parts.values())
        found = self._of_classes.get(chains)
        if found is None:
            names = list(self._names(pod))
            self.sets.update((one.name, one) for one in names)
            found = self._of_classes[chains] = tuple(sorted({one.name for one in names}))
        return found

    def _names(self, pod: Pod) -> Iterator[NameSet]:
        for rule in self._classes.policies.isolation(pod, Direction.EGRESS).every_rule():
            for peer in rule.peers or ():
                if isinstance(peer, NamesMatch):
                    texts = tuple(one.text for one in peer.patterns)
                    yield NameSet(name=names_id(peer), patterns=texts, dialect=peer.patterns[0].dialect)


def _asks(parts: dict[int, Part]) -> Iterator[Asking]:
    """The doors of a pod's class: for each list of names that may be asked for, and then for every name.

    None for a family that it does not ask by. The lists are the same for both.
    """
    ways = {family: part.doors for family, part in parts.items() if part.doors}
    lists = next((part.questions for part in parts.values() if part.doors), ())
    for at in range(len(lists) + 1):
        names = _list_of(lists[at][0]) if at < len(lists) else None
        four, six = (door_of(ways[family][at].chain) if family in ways else 0 for family in (4, 6))
        yield Asking(names=names, doors=(four, six))


def _list_of(names: Iterable[NameMatch]) -> NameList:
    # Cilium: of a name and a pattern in one entry either may match.
    return NameList(tuple(text for one in names for text in one.texts))
