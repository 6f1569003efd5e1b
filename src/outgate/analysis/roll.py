"""Every end of a snapshot by a number, so that a set of ends is one integer.

Assertions join, cut and compare sets of ends, and one such as `only` starts from everybody. As integers, of which bit
number n stands for end number n, ten thousand ends are a kilobyte, and joining two sets is one step whatever is in
them. What is left to do for each end by itself is done once for a roll, not once for an assertion.

    roll = Roll(snapshot)
    web = roll.of_pods(pods)                 the ends of some pods, by every address
    rest = roll.everybody & ~web
    [roll.ends[number] for number in numbers(rest)]

Two ends with one address are `twins` where no packet shows which of them it is for: a host-network pod is its node to
every packet and every policy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from outgate.model import ContainerPort, Pod, Snapshot
from outgate.packets import Address, AddressSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy import Endpoint

__all__ = ["Bits", "EndKey", "Roll", "apart", "bits_of", "key_of", "numbers"]

Bits = int
"""A set of ends: bit n stands for end number n."""

EndKey = tuple[Address, tuple[str, str] | None]
"""An address, and the pod that is meant by it."""

_FEW = 4
_OF_BYTE = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def key_of(end: Endpoint) -> EndKey:
    """What tells an end from every other of the snapshot."""
    return end.address, end.pod.key if end.pod is not None else None


def apart(end: Endpoint) -> bool:
    """Whether a packet shows a pod there. A host-network pod is its node to every packet and every policy."""
    return end.pod is not None and not end.pod.host_network


def bits_of(some: Iterable[int]) -> Bits:
    """The set of some numbers. Setting one bit of an integer copies all of it, so they are set in a row of bytes."""
    many = tuple(some)
    row = bytearray(max(many, default=0) // 8 + 1)
    for number in many:
        row[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(row, "little")


def numbers(bits: Bits) -> Iterator[int]:
    """The numbers in a set, ascending. Most who ask want the first few; the rest comes from the bytes, as above."""
    for _ in range(_FEW):
        if not bits:
            return
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
    for index, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
        if byte:
            for bit in _OF_BYTE[byte]:
                yield index * 8 + bit


class Roll:
    """The ends of one snapshot. Whoever comes later gets a higher number; nobody's number changes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.ends: list[Endpoint] = []
        self._numbers: dict[EndKey, int] = {}
        self._of_pod: dict[tuple[str, str], tuple[int, ...]] = {}
        self._shared: Bits = 0
        self._twins: dict[Address, Bits] = {}
        self._lines: dict[Family, tuple[int, list[int], list[int]]] = {}
        # Everybody now: the order in which kinds are asked about does not hang on which assertion is the first.
        pods = [Endpoint(one, pod) for pod in snapshot.endpoints for one in pod.addresses]
        shared = [end.address for end in pods if not apart(end)]
        others = [Endpoint.at(snapshot, one) for one in (*self._node_addresses(), *shared)]
        # Where a pod has the address of a node, the end that knows of both is kept.
        self.of({key_of(end): end for end in (*pods, *others)}.values())
        self.pods: Bits = self.of(pods)
        """Every pod by every address, of its own or of its node."""
        self.everybody: Bits = self.of(end for end in pods if apart(end)) | self.of(others)
        """Every pod and every node; of a host-network pod whoever its address stands for."""

    def number(self, end: Endpoint) -> int:
        """The number of an end; a new one where it has none yet."""
        key = key_of(end)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.ends)
            self.ends.append(end)
            if not apart(end):
                self._shared |= 1 << found
                self._twins[end.address] = self._twins.get(end.address, 0) | 1 << found
        return found

    def of(self, ends: Iterable[Endpoint]) -> Bits:
        """Some ends as a set."""
        return bits_of(map(self.number, ends))

    def of_pods(self, pods: Iterable[Pod]) -> Bits:
        """Pods by every address that they have."""
        return bits_of(number for pod in pods for number in self._pod(pod))

    def at(self, addresses: AddressSet) -> Bits:
        """The ends at some addresses."""
        found: list[int] = []
        for family in FAMILIES:
            values, holders = self._line(family)
            for low, high in addresses.family(family):
                found += holders[bisect_left(values, low) : bisect_right(values, high)]
        return bits_of(found)

    def twins(self, some: Bits) -> Bits:
        """The nodes and host-network pods at the addresses of those among some ends, themselves included."""
        found = 0
        for number in numbers(some & self._shared):
            found |= self._twins[self.ends[number].address]
        return found

    @cached_property
    def addresses(self) -> AddressSet:
        """The addresses of everybody."""
        return AddressSet.of(self.ends[number].address for number in numbers(self.everybody))

    @cached_property
    def by_ports(self) -> Mapping[tuple[ContainerPort, ...], Bits]:
        """Pods by the container ports that they declare: the name of a port means the same at all of those."""
        found: dict[tuple[ContainerPort, ...], list[int]] = {}
        for number in numbers(self.everybody | self.pods):
            pod = self.ends[number].pod
            if pod is not None:
                found.setdefault(pod.ports, []).append(number)
        return {ports: bits_of(many) for ports, many in found.items()}

    def ports_at(self, address: Address) -> tuple[ContainerPort, ...]:
        """The container ports that the pods at an address declare: on a host network all of those that share it."""
        return tuple(dict.fromkeys(port for pod in self.snapshot.owners_of(address) for port in pod.ports))

    @cached_property
    def by_ports_at(self) -> Mapping[tuple[ContainerPort, ...], Bits]:
        """Ends by the container ports of all pods at their addresses: those of a node by its host-network pods'."""
        found: dict[tuple[ContainerPort, ...], list[int]] = {}
        for number in numbers(self.everybody | self.pods | self.nodes):
            found.setdefault(self.ports_at(self.ends[number].address), []).append(number)
        return {ports: bits_of(many) for ports, many in found.items()}

    @cached_property
    def nodes(self) -> Bits:
        """Every node by every address; whoever else is seen there in its place."""
        return self.of(Endpoint.at(self.snapshot, one) for one in self._node_addresses())

    def _node_addresses(self) -> list[Address]:
        return [one for node in self.snapshot.nodes.values() for one in node.addresses]

    def _pod(self, pod: Pod) -> tuple[int, ...]:
        found = self._of_pod.get(pod.key)
        if found is None:
            found = self._of_pod[pod.key] = tuple(self.number(Endpoint(one, pod)) for one in pod.addresses)
        return found

    def _line(self, family: Family) -> tuple[list[int], list[int]]:
        """The addresses of one family in their order, and whose they are."""
        known = self._lines.get(family)
        if known is None or known[0] != len(self.ends):
            mine = ((int(end.address), number) for number, end in enumerate(self.ends) if end.address.version == family)
            pairs = sorted(mine)
            values, holders = [one for one, _ in pairs], [number for _, number in pairs]
            known = self._lines[family] = len(self.ends), values, holders
        return known[1], known[2]
