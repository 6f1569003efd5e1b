"""The part of the DNS proxy's orders that policies decide: who asks, for what, and through which door.

Whoever programs a node's kernel with `Options.names` says this to the node's proxy afterwards: the agent, and the lab.
Every set and every door that is named here is one that the same classes have put into the ruleset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from outgate.model import Direction, Pod
from outgate.model.cilium import NameMatch
from outgate.nft.asking import door_of
from outgate.nft.classes import Classes, Part
from outgate.nft.lines import View, names_id
from outgate.packets import Address
from outgate.policy.rules import NamesMatch
from outgate.proxy.orders import Asking, NameList, NameSet, PodOrder

__all__ = ["OrderMaking"]


class OrderMaking:
    """Makes the orders of pods, and gathers the sets that they name. Those of a class differ in keys and addresses.

    `like` gives the pod by which the classes know one: they remember a pod by its name, which another one, or the same
    with other labels, may have later.
    """

    def __init__(self, classes: Classes, like: Callable[[Pod], Pod] = lambda pod: pod) -> None:
        self._classes = classes
        self._like = like
        self.sets: dict[str, NameSet] = {}
        """Of the pods so far, by their names."""
        self._of_classes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def asks(self, pod: Pod, addresses: Iterable[Address]) -> bool:
        """Whether a pod's questions come to the proxy."""
        return any(part.asks for part in self._parts(pod, addresses).values())

    def pod(self, pod: Pod, addresses: tuple[Address, ...]) -> PodOrder:
        """The orders of one, with the addresses that are surely its own."""
        parts = self._parts(pod, addresses)
        mine = tuple(str(one) for one in addresses if parts[one.version].asks)
        key = "/".join((pod.namespace, pod.name, pod.uid))
        return PodOrder(key, mine, self._sets(pod, parts), tuple(_asks(parts)))

    def pods(self, askers: Iterable[tuple[Pod, tuple[Address, ...]]]) -> tuple[PodOrder, ...]:
        """The orders of those that ask, by their keys."""
        return tuple(sorted((self.pod(*one) for one in askers if self.asks(*one)), key=lambda one: one.key))

    def sorted_sets(self) -> tuple[NameSet, ...]:
        """The sets that the orders so far name."""
        return tuple(self.sets[name] for name in sorted(self.sets))

    def _parts(self, pod: Pod, addresses: Iterable[Address]) -> dict[int, Part]:
        versions = {one.version for one in addresses}
        return {one: self._classes.part(self._like(pod), View(Direction.EGRESS, one)) for one in versions}

    def _sets(self, pod: Pod, parts: dict[int, Part]) -> tuple[str, ...]:
        chains = tuple(part.way.chain for part in parts.values())
        found = self._of_classes.get(chains)
        if found is None:
            names = list(self._names(pod))
            self.sets.update((one.name, one) for one in names)
            found = self._of_classes[chains] = tuple(sorted({one.name for one in names}))
        return found

    def _names(self, pod: Pod) -> Iterator[NameSet]:
        for rule in self._classes.policies.isolation(self._like(pod), Direction.EGRESS).every_rule():
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
