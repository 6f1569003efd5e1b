"""What checks look at: one snapshot, and the facts about it that many checks ask for, each worked out once.

Pods that the same policies isolate in a direction share a `Isolated`: what one of them may do, all may do, but for the
meaning of port names. A check asks those, not the pods, so that its work follows the number of kinds of pod.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from outgate.analysis.exposure_places import Place as Site
from outgate.analysis.exposure_places import api_server, cluster_dns
from outgate.analysis.groups import Group, Groups
from outgate.checks.finding import Subject
from outgate.model import (
    CiliumPolicy,
    Direction,
    LabelSelector,
    NetworkPolicy,
    Place,
    Pod,
    PodPeer,
    Policy,
    PolicyRule,
    Service,
    Snapshot,
    UnknownPeer,
)
from outgate.packets import Address, AddressSet, Protocol, TransportSet
from outgate.policy import Judge, Origin, Policies, Profile, Rule
from outgate.policy.grid import Grid, PolicyKey
from outgate.policy.identity import Bits
from outgate.policy.names import canonical
from outgate.policy.profile import OUTGATE
from outgate.policy.rules import PodMatch, peer_match
from outgate.records import dataclass

__all__ = [
    "Isolated",
    "Section",
    "Survey",
    "by_blamed",
    "by_section",
    "isolation_place",
    "some",
    "spec_of",
    "subject_of",
]


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Section:
    """One rule of a policy as it is written, whether or not ``policyTypes`` makes it count."""

    policy: NetworkPolicy
    direction: Direction
    index: int
    rule: PolicyRule

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.rule.place

    @property
    def counts(self) -> bool:
        """Whether the policy is one for this direction."""
        return self.direction in self.policy.types

    def __str__(self) -> str:
        return f"{self.policy} {self.direction.value.lower()}[{self.index}]"


@dataclass(frozen=True, slots=True, eq=False)
class Isolated:
    """The workloads that exactly these policies isolate in a direction."""

    direction: Direction
    policies: tuple[NetworkPolicy | CiliumPolicy, ...]
    """By name, Cilium's last. Never none."""
    rules: tuple[Rule, ...]
    """The rules of all of them that allow, and those that Cilium's policies which do not isolate allow beside them."""
    groups: tuple[Group, ...]

    @property
    def blamed(self) -> NetworkPolicy | CiliumPolicy:
        """The policy that a denial is laid to: the one with the fewest rules, nearly always the default deny."""
        return min(self.policies, key=lambda policy: (len(policy.rules(self.direction)), policy.name))

    @property
    def own(self) -> tuple[NetworkPolicy, ...]:
        """The NetworkPolicies among them: all of them, where `Survey.united` has this."""
        return tuple(one for one in self.policies if isinstance(one, NetworkPolicy))

    @property
    def pod(self) -> Pod:
        """One of them."""
        return self.groups[0].pods[0]


class Survey:
    """One snapshot under one profile, with what checks ask of it."""

    def __init__(
        self, snapshot: Snapshot, profile: Profile = OUTGATE, names: Mapping[str, Sequence[Address]] | None = None
    ) -> None:
        """`names`: what names outside of the cluster lead to, in lower case and without the last dot."""
        self.snapshot = snapshot
        self._names = names or {}
        self.policies = Policies(snapshot, profile)
        self.judge = Judge(self.policies)
        self._answers: dict[object, object] = {}

    def once(self, ask: Callable[[Survey], Answer]) -> Answer:
        """What a question about this survey is answered with, worked out for the first check that asks it."""
        if ask not in self._answers:
            self._answers[ask] = ask(self)
        return cast("Answer", self._answers[ask])

    @cached_property
    def grid(self) -> Grid:
        """Who may talk to whom."""
        return Grid(self.policies)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The workloads, split where policies treat their pods differently."""
        return Groups.of(self.grid).all

    @cached_property
    def names(self) -> Mapping[str, frozenset[Address]]:
        """What names lead to, as far as it is known: what was said of them, and what pods of the snapshot were told."""
        found = {name: frozenset(addresses) for name, addresses in self._names.items()}
        for one in self.snapshot.learned:
            name = canonical(one.name)
            found[name] = found.get(name, frozenset()) | frozenset(one.addresses)
        return found

    @cached_property
    def dns(self) -> Site:
        """The resolvers of the cluster, as far as the input has them."""
        return cluster_dns(self.snapshot)

    @cached_property
    def api_server(self) -> Site:
        """The API server, as far as the input says where it is."""
        return api_server(self.snapshot)

    def sections(self, direction: Direction | None = None) -> Sequence[Section]:
        """Every rule of every policy; of one direction where that is given."""
        return self._sections[direction]

    @cached_property
    def _sections(self) -> dict[Direction | None, tuple[Section, ...]]:
        every = tuple(
            Section(policy, direction, index, rule)
            for policy in self.snapshot.policies
            for direction in Direction
            for index, rule in enumerate(policy.rules(direction))
        )
        return {None: every, **{each: tuple(one for one in every if one.direction is each) for each in Direction}}

    def isolated(self, direction: Direction) -> Sequence[Isolated]:
        """All workloads that any policy isolates in a direction, by whatever kind of policy."""
        return self._isolated[direction]

    def united(self, direction: Direction) -> Sequence[Isolated]:
        """Those of whom NetworkPolicies alone speak, so that what one of their rules allows is allowed.

        Where policies of Cilium's have a say, a denial may be before it, and what it leaves out another may bring.
        """
        return self._united[direction]

    @cached_property
    def _isolated(self) -> dict[Direction, tuple[Isolated, ...]]:
        return {direction: tuple(self._of(direction)) for direction in Direction}

    @cached_property
    def _united(self) -> dict[Direction, tuple[Isolated, ...]]:
        return {direction: tuple(filter(self._is_united, self._isolated[direction])) for direction in Direction}

    def _of(self, direction: Direction) -> Iterator[Isolated]:
        found: dict[PolicyKey, list[Group]] = {}
        keys = self.grid.keys[direction]
        for group in self.groups:
            if self.grid.isolated(group.identity, direction):
                found.setdefault(keys[group.identity], []).append(group)
        for key, groups in found.items():
            policies = self.grid.policies_of(key, direction)
            yield Isolated(direction, policies, tuple(self.grid.rules(key, direction)), tuple(groups))

    def _is_united(self, whom: Isolated) -> bool:
        key = self.grid.keys[whom.direction][whom.groups[0].identity]
        standing = self.grid.standing(key, whom.direction)
        middle = (*standing.denials, *standing.rules)
        return len(whom.own) == len(whom.policies) and all(one.origin.kind == "NetworkPolicy" for one in middle)

    def selected(self, policy: Policy) -> Bits:
        """The identities that a policy selects."""
        return self.grid.identities.subjects(policy)

    def selected_groups(self, policy: Policy) -> tuple[Group, ...]:
        """The workloads that a policy selects."""
        bits = self.selected(policy)
        mine = self._by_namespace.get(policy.namespace, ()) if policy.namespace else self.groups
        return tuple(group for group in mine if bits >> group.identity & 1)

    @cached_property
    def _by_namespace(self) -> dict[str, list[Group]]:
        found: dict[str, list[Group]] = {}
        for group in self.groups:
            found.setdefault(group.namespace, []).append(group)
        return found

    def whom(self, policy: Policy) -> str:
        """The workloads that a policy selects, in words; the selector where the input has none of them."""
        groups = self.selected_groups(policy)
        if groups:
            return some(groups)
        pods = _pods_of(policy)
        of = f" of {policy.namespace}" if policy.namespace else ""
        return f"pods {pods}{of}" if pods else f"every pod{of}"

    @property
    def taken(self) -> AddressSet:
        """The addresses that pods and nodes of the input have."""
        return self.policies.selection.places.taken

    @property
    def web(self) -> TransportSet:
        """TCP 443: what a packet that shows the way to the internet is shown with."""
        return TransportSet.ports(Protocol.TCP, 443)

    def peer_pods(self, section: Section, peer: PodPeer) -> tuple[Pod, ...]:
        """The pods that a peer selects."""
        found = peer_match(section.policy.namespace, peer)
        return self.policies.selection.pods(found) if isinstance(found, PodMatch) else ()

    def selects_nobody(self, section: Section, peer: PodPeer) -> bool:
        """Whether a peer matches no pod of the input, as a set of identities."""
        found = peer_match(section.policy.namespace, peer)
        return not self.grid.identities.peers(found, 4)

    def rule_of(self, section: Section) -> Rule:
        """The rule that a section which counts has become."""
        return self.grid.rules_of(section.policy, section.direction)[section.index]

    def services_of(self, pod: Pod) -> tuple[Service, ...]:
        """The Services that select a pod."""
        kind = self.policies.selection.kind_of(pod)
        found = self._services_of.get(kind)
        if found is None:
            mine = self._services_in.get(pod.namespace, ())
            found = tuple(one for one in mine if one.selector and one.selector.items() <= pod.labels.items())
            self._services_of[kind] = found
        return found

    @cached_property
    def _services_of(self) -> dict[object, tuple[Service, ...]]:
        return {}

    @cached_property
    def _services_in(self) -> dict[str, list[Service]]:
        found: dict[str, list[Service]] = {}
        for service in self.snapshot.services:
            found.setdefault(service.namespace, []).append(service)
        return found

    def section_of(self, origin: Origin) -> Section:
        """The rule that an origin names. Raises KeyError where this is no rule of this snapshot."""
        policy = self._policies[origin.namespace, origin.name]
        if origin.rule is None:
            raise KeyError(origin)
        return Section(policy, origin.direction, origin.rule, policy.rules(origin.direction)[origin.rule])

    @cached_property
    def _policies(self) -> dict[tuple[str, str], NetworkPolicy]:
        return {(one.namespace, one.name): one for one in self.snapshot.policies}


def _pods_of(policy: Policy) -> LabelSelector | None:
    """What a policy says of the labels of its pods; None where that is nothing, or nothing known."""
    if isinstance(policy, NetworkPolicy):
        return policy.pods
    return None if isinstance(policy.subject, UnknownPeer) else policy.subject.pods


def isolation_place(policy: NetworkPolicy | CiliumPolicy, direction: Direction) -> Place:
    """Where a policy says that it is one for a direction: its section, else its types, else whom it selects."""
    place, spec = spec_of(policy)
    section = direction.value.lower()
    for key in (section, f"{section}Deny", "policyTypes", "podSelector", "endpointSelector"):
        if key in spec:
            return place / key
    return policy.place


def spec_of(policy: NetworkPolicy | CiliumPolicy) -> tuple[Place, Mapping[str, object]]:
    """What a policy says as it is written, and where: of several `specs` of an object, the one that it was made of."""
    alone = not isinstance(policy, CiliumPolicy) or policy.index is None
    place = policy.place / "spec" if alone else policy.place
    value: Any = place.document.value
    for step in place.at:
        # A policy that was made by hand has no document.
        known = isinstance(value, list) if isinstance(step, int) else isinstance(value, dict) and step in value
        value = value[step] if known else {}
    return place, value


def by_blamed(many: Iterable[Isolated]) -> Iterator[tuple[NetworkPolicy | CiliumPolicy, list[Isolated]]]:
    """Those that one policy is to blame for, together."""
    found: dict[tuple[str, str], tuple[NetworkPolicy | CiliumPolicy, list[Isolated]]] = {}
    for one in many:
        found.setdefault((one.blamed.kind, str(one.blamed)), (one.blamed, []))[1].append(one)
    yield from found.values()


def by_section(many: Iterable[tuple[Section, Isolated]]) -> Iterator[tuple[Section, list[Isolated]]]:
    """Those that one rule is the matter with, together."""
    found: dict[str, tuple[Section, list[Isolated]]] = {}
    for section, one in many:
        found.setdefault(str(section), (section, []))[1].append(one)
    yield from found.values()


def subject_of(policy: Policy) -> Subject:
    """A policy as the object of a finding."""
    return Subject(policy.kind, policy.namespace, policy.name)


def some(names: Sequence[object], most: int = 3) -> str:
    """``a, b, c and 2 more``."""
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
