"""Identities: the pods of a snapshot, put together where no policy can tell them apart.

A policy sees of a pod: its namespace, the values of those label keys that some selector names, its named ports,
whether it is on the host network, and, for each address family, which address blocks of rules it lies in. Pods that
agree in all of that share an `Identity`, and whatever is decided for one of them is decided for each. Work is done on
identities, so it grows with the number of *kinds* of pod and not with pods.

Sets of identities are integers: bit i is identity i. Who a selector matches is found with a handful of bit operations,
since the identities that have a key, or a value of it, are known beforehand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping

from outgate.model import CiliumPolicy, ClusterPolicy, ContainerPort, NetworkPolicy, Pod, PodPeer, Policy
from outgate.model.cilium import ACCOUNT_LABEL
from outgate.model.labels import LabelSelector, Operator, Requirement
from outgate.packets import Address, AddressSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.policy.cilium_rules import endpoints
from outgate.policy.places import ANYWHERE, Standpoint
from outgate.policy.profile import Profile
from outgate.policy.rules import BlockMatch, NamesMatch, PeerMatch, PodMatch, Rule
from outgate.policy.selection import Selection
from outgate.records import dataclass

__all__ = ["Bits", "Identities", "Identity", "Lens", "members"]

Bits = int
"""A set of identities: bit i stands for identity number i."""


def members(bits: Bits) -> Iterator[int]:
    """The numbers in a set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


@dataclass(frozen=True, slots=True)
class Identity:
    """What policies can see of a pod.

    `within`: for IPv4 and IPv6 the blocks of the lens that its address lies in, as bits; None where it has no address
    of the family. `at`: the address of a host-network pod, where the profile selects such pods by their address.
    """

    namespace: str
    labels: tuple[tuple[str, str], ...]
    ports: tuple[ContainerPort, ...]
    host_network: bool
    within: tuple[int | None, int | None]
    at: Address | None = None
    account: str = ""
    """Its ServiceAccount, where a policy asks for it."""
    standpoint: Standpoint = ANYWHERE
    """Where it looks from, where rules hang on that."""


@dataclass(frozen=True, slots=True)
class Lens:
    """What some policies look at: label keys of pods, address blocks, names of ports."""

    keys: frozenset[str]
    blocks: tuple[AddressSet, ...]
    names: frozenset[tuple[str, str]]
    """Protocol and name of the ports that rules name."""
    accounts: bool = False
    """Whether any asks for the ServiceAccounts of pods."""
    standpoints: bool = False
    """Whether any has rules that hang on where a pod looks from."""

    @classmethod
    def of(cls, policies: Iterable[Policy], rules: Iterable[Rule], *, standpoints: bool = False) -> Lens:
        """The lens of policies and all their rules."""
        many = tuple(policies)
        keys = {key for policy in many for key in _pods(policy).keys()}  # noqa: SIM118 - a method of ours
        accounts = any(isinstance(one, CiliumPolicy) and one.subject.accounts for one in many)
        blocks: dict[AddressSet, None] = {}
        names: set[tuple[str, str]] = set()
        for rule in rules:
            if rule.ports is not None:
                names.update((one.protocol.name, one.name) for one in rule.ports.names)
            for peer in rule.peers or ():
                if isinstance(peer, BlockMatch):
                    blocks[peer.addresses] = None
                elif isinstance(peer, PodMatch):
                    keys |= peer.pods.keys()
                    accounts = accounts or bool(peer.accounts)
        return cls(frozenset(keys), tuple(blocks), frozenset(names), accounts, standpoints)

    @classmethod
    def together(cls, lenses: Iterable[Lens]) -> Lens:
        """Whatever any of them looks at; blocks in the order in which they come first."""
        many = tuple(lenses)
        keys = frozenset[str]().union(*(one.keys for one in many))
        names = frozenset[tuple[str, str]]().union(*(one.names for one in many))
        blocks = tuple(dict.fromkeys(block for one in many for block in one.blocks))
        return cls(keys, blocks, names, any(one.accounts for one in many), any(one.standpoints for one in many))

    def __or__(self, other: Lens) -> Lens:
        return Lens.together((self, other))


def _pods(policy: Policy) -> LabelSelector:
    """What a policy asks of the pods that it is about."""
    if isinstance(policy, NetworkPolicy):
        return policy.pods
    if isinstance(policy, CiliumPolicy):
        return policy.subject.pods
    pods = policy.subject.pods if isinstance(policy.subject, PodPeer) else None
    return pods if pods is not None else LabelSelector()


class _Places:
    """Which blocks an address of one family lies in: the line of addresses, cut at every border of a block."""

    def __init__(self, blocks: tuple[AddressSet, ...], family: Family) -> None:
        turns: dict[int, int] = {}
        for number, block in enumerate(blocks):
            for low, high in block.family(family):
                turns[low] = turns.get(low, 0) ^ (1 << number)
                turns[high + 1] = turns.get(high + 1, 0) ^ (1 << number)
        self._borders = sorted(turns)
        inside, self._within = 0, [0]
        for border in self._borders:
            inside ^= turns[border]
            self._within.append(inside)

    def at(self, value: int) -> int:
        """The blocks that contain an address, as bits."""
        return self._within[bisect_right(self._borders, value)]


def _known_by(pod: Pod) -> Address | None:
    """The address by which pods of one node are together: one status may have IPv4 first, and another IPv6."""
    return min(pod.addresses, key=lambda address: address.version, default=None)


class Identities:
    """The identities of a snapshot under a lens, numbered in the order in which their first pods come."""

    def __init__(self, selection: Selection, lens: Lens) -> None:
        self.selection = selection
        self.lens = lens
        self.all: list[Identity] = []
        self.pods: list[list[Pod]] = []
        self._places = {family: _Places(lens.blocks, family) for family in FAMILIES}
        self._group()
        self.everybody: Bits = (1 << len(self.all)) - 1
        self.of_family: dict[Family, Bits] = dict.fromkeys(FAMILIES, 0)
        self._host: Bits = 0
        self._together: dict[Address, Bits] = {}
        self._in: dict[str, Bits] = {}
        self._having: dict[str, Bits] = {}
        self._valued: dict[tuple[str, str], Bits] = {}
        self._inside: dict[Family, dict[int, Bits]] = {family: {} for family in FAMILIES}
        self._index()
        self._namespaces: dict[LabelSelector, Bits] = {}
        self._selected: dict[LabelSelector, Bits] = {}
        self._peers: dict[tuple[PeerMatch, Family], Bits] = {}
        self._met: dict[tuple[int, Family], tuple[PeerMatch, Bits]] = {}
        self._block_number = {block: number for number, block in enumerate(lens.blocks)}

    # ---- making them -------------------------------------------------------------------------------------------------

    def _group(self) -> None:
        profile, keys, names = self.selection.profile, self.lens.keys, self.lens.names
        numbers: dict[tuple[object, ...], int] = {}
        # Pods of one template share one mapping of labels (see PodReader), and the snapshot keeps all of them.
        told: dict[int, tuple[tuple[str, str], ...]] = {}
        for pod in self.selection.snapshot.endpoints:
            labels = told.get(id(pod.labels))
            if labels is None:
                seen = profile.visible(pod.labels)
                labels = tuple(sorted((key, value) for key, value in seen.items() if key in keys))
                told[id(pod.labels)] = labels
            named = tuple(port for port in pod.ports if (port.protocol, port.name) in names) if names else ()
            at = _known_by(pod) if pod.host_network and self.selection.by_address else None
            account = pod.hints.account if self.lens.accounts else ""
            standpoint = self.selection.places.standpoint(pod) if self.lens.standpoints else ANYWHERE
            within = self._within(pod, profile)
            fields = (pod.namespace, labels, named, pod.host_network, within, at, account, standpoint)
            number = numbers.get(fields)
            if number is None:
                number = numbers[fields] = len(self.all)
                self.all.append(Identity(*fields))
                self.pods.append([])
            self.pods[number].append(pod)

    def _within(self, pod: Pod, profile: Profile) -> tuple[int | None, int | None]:
        """Where the pod's first address of each family lies: the one by which it is known."""
        found: list[int | None] = [None, None]
        # A peer of nodes means those on their network whatever a plugin makes of blocks (`_blocked`).
        seen = pod.host_network or profile.block_matches(pod)
        for address in reversed(pod.addresses):
            version = address.version
            unknown = not pod.addressed and not pod.host_network
            if unknown and profile.stand_ins_out_of_blocks:
                whole = AddressSet.whole(version)
                where = sum(1 << number for number, block in enumerate(self.lens.blocks) if whole <= block)
            elif unknown and profile.stand_ins_in_blocks:
                where = (1 << len(self.lens.blocks)) - 1
            else:
                where = self._places[version].at(int(address)) if seen else 0
            found[version == 6] = where
        return found[0], found[1]

    def _index(self) -> None:
        for number, identity in enumerate(self.all):
            bit = 1 << number
            self._in[identity.namespace] = self._in.get(identity.namespace, 0) | bit
            if identity.host_network:
                self._host |= bit
            if identity.at is not None:
                self._together[identity.at] = self._together.get(identity.at, 0) | bit
            for key, value in identity.labels:
                self._having[key] = self._having.get(key, 0) | bit
                self._valued[key, value] = self._valued.get((key, value), 0) | bit
            for family, where in zip(FAMILIES, identity.within, strict=True):
                if where is not None:
                    self.of_family[family] |= bit
                    self._inside[family][where] = self._inside[family].get(where, 0) | bit

    # ---- asking them -------------------------------------------------------------------------------------------------

    def subjects(self, policy: Policy) -> Bits:
        """Whom a policy selects.

        NetworkPolicy: pods of its own namespace (types.go, NetworkPolicySpec.podSelector). Of the whole cluster: those
        of its subject, never one on the host network; all where the subject is in a form that is not known. Cilium's:
        endpoints, which one on the host network is not.
        """
        if isinstance(policy, CiliumPolicy):
            if policy.nodes is not None or policy.subject.nobody:
                return 0
            return self._matched(endpoints(policy.subject))
        if isinstance(policy, ClusterPolicy):
            subject = policy.subject
            chosen = self.everybody & ~self._host
            if not isinstance(subject, PodPeer):
                return chosen
            if subject.namespaces is not None:
                chosen &= self._in_namespaces(subject.namespaces)
            return chosen & self.selected(_pods(policy))
        found = self._in.get(policy.namespace, 0) & self.selected(policy.pods)
        return found if self.selection.profile.host_network_isolated else found & ~self._host

    def peers(self, match: PeerMatch, family: Family) -> Bits:
        """Whom a peer of a rule matches, where both ends talk by addresses of this family."""
        # By identity first: a block of many exceptions takes longer to hash than to look up. The match is kept beside
        # the answer, so that no other can come to have its identity.
        met = self._met.get((id(match), family))
        if met is not None:
            return met[1]
        found = self._peers.get((match, family))
        if found is None:
            found = self._meant(match, family)
            self._peers[match, family] = found
        self._met[id(match), family] = match, found
        return found

    def _meant(self, match: PeerMatch, family: Family) -> Bits:
        match match:
            case BlockMatch():
                return self._blocked(match, family)
            case PodMatch():
                return self._matched(match)
            case NamesMatch():
                return 0

    def _matched(self, match: PodMatch) -> Bits:
        where = self._in.get(match.namespace or "", 0)
        if match.namespaces is not None:
            where = self._in_namespaces(match.namespaces)
        found = where & self.selected(match.pods)
        if match.accounts:
            found &= self._with_accounts(match.accounts)
        if match.never_hosts or not self.selection.profile.host_network_selected:
            return found & ~self._host
        for bits in self._together.values():
            # Selected by address: whoever shares the address is meant too.
            if found & bits:
                found |= bits
        return found

    def _in_namespaces(self, selector: LabelSelector) -> Bits:
        found = self._namespaces.get(selector)
        if found is None:
            found = 0
            for name in self.selection.namespaces(selector):
                found |= self._in[name]
            self._namespaces[selector] = found
        return found

    def _with_accounts(self, accounts: LabelSelector) -> Bits:
        having = (number for number, one in enumerate(self.all) if accounts.matches({ACCOUNT_LABEL: one.account}))
        return sum(1 << number for number in having)

    def standing(self, among: Bits) -> Mapping[Standpoint, Bits]:
        """Identities by where they look from."""
        found: dict[Standpoint, Bits] = {}
        for number in members(among):
            where = self.all[number].standpoint
            found[where] = found.get(where, 0) | 1 << number
        return found

    def _blocked(self, match: BlockMatch, family: Family) -> Bits:
        if match.outside:
            return 0
        mine, found = 1 << self._block_number[match.addresses], 0
        for where, bits in self._inside[family].items():
            if where & mine:
                found |= bits
        # Of those on the host network, a plugin may have it that blocks do not match their nodes.
        return found if match.nodes is not None or self.selection.profile.blocks_match_nodes else found & ~self._host

    def selected(self, selector: LabelSelector) -> Bits:
        """Whom a selector of pods matches, in whichever namespace."""
        found = self._selected.get(selector)
        if found is None:
            found = self.everybody
            for requirement in selector.requirements:
                found &= self._required(requirement)
            self._selected[selector] = found
        return found

    def _required(self, one: Requirement) -> Bits:
        """labels/selector.go, Requirement.Matches: In and Exists need the key, the other two hold without it."""
        match one.operator:
            case Operator.IN | Operator.NOT_IN:
                found = 0
                for value in one.values:
                    found |= self._valued.get((one.key, value), 0)
                return found if one.operator is Operator.IN else self.everybody & ~found
            case Operator.EXISTS:
                return self._having.get(one.key, 0)
            case Operator.DOES_NOT_EXIST:
                return self.everybody & ~self._having.get(one.key, 0)

    def numbers_named(self, protocol: str, name: str) -> Mapping[tuple[int, ...], Bits]:
        """The numbers that a port name stands for, with the pods that give it each (K/types: "a named port on a pod").

        Names of host-network pods count only where the profile takes them for pods.
        """
        groups: dict[tuple[int, ...], Bits] = {}
        for number, identity in enumerate(self.all):
            if identity.host_network and not self.selection.profile.host_network_selected:
                continue
            beside = [identity] if identity.at is None else [self.all[n] for n in members(self._together[identity.at])]
            ports = (port for one in beside for port in one.ports)
            mine = {port.port for port in ports if (port.name, port.protocol) == (name, protocol)}
            if mine:
                key = tuple(sorted(mine))
                groups[key] = groups.get(key, 0) | 1 << number
        return groups
