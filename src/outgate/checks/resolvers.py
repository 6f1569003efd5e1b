"""Not a check: cluster DNS, as the checks of DNS ask about it.

Where the input has the cluster's resolvers, every question is one of flows to them, judged like any other. Where it has
not, as with the manifests of one team, nobody can say which rule leads there. Then a rule counts as one for DNS unless
it cannot be: it speaks of other ports, or of pods and namespaces that no resolver is known to live in. So without the
resolvers a finding says that *no* rule can be the one, and silence proves nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from outgate.analysis.exposure_places import Door, Found, passage
from outgate.analysis.groups import Group
from outgate.checks.doors import added_rule, forbidden
from outgate.checks.edit import Edit
from outgate.checks.finding import Witness
from outgate.checks.survey import Isolated, Section, Survey, by_section
from outgate.model import BlockPeer, Direction, Namespace, Pod
from outgate.model.labels import LabelSelector
from outgate.model.parse_cilium_selectors import NAMESPACE_KEY
from outgate.model.snapshot import NAME_LABEL
from outgate.packets import Address, AddressSet, Packet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES
from outgate.policy import PodMatch, Rule, Trace
from outgate.policy.rules import BlockMatch

__all__ = [
    "DNS_NUMBERS",
    "Beside",
    "Resolvers",
    "cilium_dns_rule",
    "dns_rule",
    "is_aimed",
    "may_be_dns",
    "may_match",
    "unserved",
]

DNS_NUMBERS = (53, 5353)
"""Where resolvers listen: RFC 1035, 4.2; OpenShift's pods have 5353, and policies see the pod's port."""

_HOMES = ("kube-system", "openshift-dns")
_KNOWN_LABELS: Mapping[str, frozenset[str]] = {
    "k8s-app": frozenset({"kube-dns", "coredns", "node-local-dns"}),
    "app.kubernetes.io/name": frozenset({"kube-dns", "coredns", "node-local-dns"}),
    "dns.operator.openshift.io/daemonset-dns": frozenset({"default"}),
}
_LOCAL = AddressSet.union_of(
    AddressSet.network(ipaddress.ip_network(one))
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
)
"""Where the addresses of Services, pods and node-local resolvers are (RFC 1918, 6598, 3927, 4193)."""


class Resolvers:
    """The resolvers of one survey."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self._reached: dict[tuple[Isolated, Protocol], bool] = {}

    @property
    def known(self) -> bool:
        """Whether the input has them."""
        return self.survey.dns.found is not Found.UNKNOWN

    @cached_property
    def doors(self) -> tuple[Door, ...]:
        """The ways to resolvers that are pods or nodes, not the caches of nodes."""
        return tuple(door for door in self.survey.dns.doors if not door.end.address.is_link_local)

    @cached_property
    def caches(self) -> tuple[Door, ...]:
        """The caches of nodes, at an address of the link."""
        return tuple(door for door in self.survey.dns.doors if door.end.address.is_link_local)

    def reached(self, whom: Isolated, protocol: Protocol) -> bool:
        """Whether any rule at the sender's end lets it ask a resolver; maybe, where the resolvers are not known."""
        asked = (whom, protocol)
        if asked not in self._reached:
            self._reached[asked] = self._reaches(whom, protocol)
        return self._reached[asked]

    def _reaches(self, whom: Isolated, protocol: Protocol) -> bool:
        if not self.known:
            return any(may_be_dns(self.survey, rule, protocol) for rule in whom.rules)
        doors = (door for door in self.doors or self.caches if door.protocol is protocol)
        return any(trace.egress.verdict.allows for _, trace in self._passages(whom, doors))

    def cut_off(self, whom: Isolated) -> bool:
        """Whether policies keep some of its workloads from asking any resolver over UDP.

        Who has no address of a family that a resolver has is not kept from it by policies, and no rule would help.
        """
        return not self.reached(whom, Protocol.UDP) and any(map(self.meet, whom.groups))

    def in_vain(self, groups: Iterable[Group], protocol: Protocol) -> bool:
        """Whether a rule denies each of these all resolvers, so that one more that allows would be in vain."""
        doors = [door for door in self.doors if door.protocol is protocol]
        return all(forbidden(self.survey, group, doors) for group in groups)

    def meet(self, group: Group) -> bool:
        """Whether any resolver has an address of a family that a workload has; maybe, where none is known."""
        families = {address.version for address in group.pods[0].addresses}
        doors = self.survey.dns.doors
        return not doors or any(door.end.address.version in families for door in doors)

    def rules_for(self, whom: Isolated, protocol: Protocol) -> Iterator[Rule]:
        """The rules by which a resolver is reached, those that name a port of DNS first."""
        rules = sorted(whom.rules, key=lambda rule: not _names_dns(rule))
        if not self.known:
            yield from (rule for rule in rules if may_be_dns(self.survey, rule, protocol))
            return
        doors = [door for door in self.doors or self.caches if door.protocol is protocol]
        for rule in rules:
            packets = self.survey.policies.packets_of(rule)
            if any(packets.contains(door.end.address, int(protocol), door.port) for door in doors):
                yield rule

    def meant(self, whom: Isolated) -> list[Rule]:
        """The rules that were meant for DNS and may lead elsewhere: they name a port of it, and somebody."""
        return [rule for rule in whom.rules if self.known and _names_dns(rule) and rule.peers is not None]

    def _passages(self, whom: Isolated, doors: Iterable[Door]) -> Iterator[tuple[Door, Trace]]:
        pods: dict[int, Pod] = {}
        for group in whom.groups:
            for address in group.pods[0].addresses:
                pods.setdefault(address.version, group.pods[0])
        for door in doors:
            pod = pods.get(door.end.address.version)
            if pod is not None:
                yield from passage(self.survey.judge, pod, (door,))

    def cached(self, whom: Isolated) -> bool:
        """Whether any rule lets it ask the cache of a node."""
        doors = (door for door in self.caches if door.protocol is Protocol.UDP)
        return any(trace.egress.verdict.allows for _, trace in self._passages(whom, doors))

    def selected_by(self, rule: Rule) -> bool:
        """Whether a rule speaks of any resolver, on whatever ports."""
        addresses = self.survey.policies.selection.addresses
        mine = AddressSet.union_of(addresses(peer) for peer in rule.peers or ())
        return rule.peers is None or any(door.end.address in mine for door in self.doors or self.caches)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Who they are."""
        return tuple(dict.fromkeys(str(door.end) for door in self.doors or self.caches))

    @cached_property
    def selectors(self) -> tuple[str, ...]:
        """What the Services in front of them select."""
        return tuple(
            f"{', '.join(f'{key}: {value}' for key, value in labels) or 'every pod'} in {namespace}"
            for namespace, labels in sorted(_selectors(self.survey, self.doors))
        )

    @cached_property
    def service_addresses(self) -> frozenset[Address]:
        """The addresses of the Services of cluster DNS."""
        return frozenset(door.dialled[0] for door in self.doors if door.dialled is not None)

    def denied(self, whom: Isolated, protocol: Protocol, among: Iterable[Door] = ()) -> Witness | None:
        """A question to a resolver (or to one of these) that is dropped on its way out; None where none is known."""
        doors = [door for door in among or self.doors or self.caches if door.protocol is protocol]
        for group in whom.groups:
            for door, trace in passage(self.survey.judge, group.pods[0], doors):
                if not trace.egress.verdict.allows:
                    packet = Packet(trace.flow.source.address, door.end.address, int(protocol), door.port)
                    return Witness(packet, str(group), str(door.end), passes=False)
        return None


def unserved(resolvers: Resolvers, is_cause: Callable[[Rule], bool]) -> Iterator[tuple[Section, list[Isolated]]]:
    """The rules that were meant for DNS and are such a mistake, with the workloads that reach no resolver for it."""
    survey = resolvers.survey
    yield from by_section(
        (survey.section_of(rule.origin), whom)
        for whom in survey.united(Direction.EGRESS)
        if resolvers.cut_off(whom)
        for rule in filter(is_cause, resolvers.meant(whom))
    )


def is_aimed(section: Section) -> bool:
    """Whether a rule leads to pods and single addresses alone, so that one more port of it opens no network."""
    peers = section.rule.peers
    return bool(peers) and all(not isinstance(peer, BlockPeer) or peer.cidr.num_addresses == 1 for peer in peers)


class Beside:
    """A rule for DNS of its own, beside one that must stay as it is; one for each policy."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._given: set[str] = set()

    def of(self, section: Section) -> tuple[Edit, ...]:
        """The edits for the policy of a rule; none where it has been given."""
        if str(section.policy) in self._given:
            return ()
        self._given.add(str(section.policy))
        return added_rule(section.policy, dns_rule(self._survey))


def dns_rule(survey: Survey) -> dict[str, object]:
    """An egress rule that leads to the resolvers of the cluster and to nobody else, as the API writes it.

    Where they are not in the input: to whatever listens on port 53 in kube-system.
    """
    doors = survey.once(Resolvers).doors
    peers: list[dict[str, object]] = []
    numbers = {(door.protocol.name, door.port) for door in doors} or {("UDP", 53), ("TCP", 53)}
    for namespace, selector in sorted(_selectors(survey, doors), key=str):
        peer: dict[str, object] = {"namespaceSelector": {"matchLabels": {NAME_LABEL: namespace}}}
        if selector:
            peer["podSelector"] = {"matchLabels": dict(selector)}
        peers.append(peer)
    addresses = sorted({str(door.end.address) for door in doors if door.end.pod is None or door.end.pod.host_network})
    peers += [{"ipBlock": {"cidr": f"{one}/{128 if ':' in one else 32}"}} for one in addresses]
    ports = [{"protocol": protocol, "port": port} for protocol, port in sorted(numbers, reverse=True)]
    return {"to": peers or [{"namespaceSelector": {"matchLabels": {NAME_LABEL: _HOMES[0]}}}], "ports": ports}


def cilium_dns_rule(survey: Survey, names: Sequence[Mapping[str, str]] = ({"matchPattern": "*"},)) -> dict[str, object]:
    """The same as Cilium's policies write it, so that questions for some names pass, else all, and are heard."""
    doors = [door for door in survey.once(Resolvers).doors if door.end.pod is not None]
    numbers = sorted({door.port for door in doors}) or [53]
    wanted = sorted(_selectors(survey, doors), key=str) or [(_HOMES[0], ())]
    return {
        "toEndpoints": [
            {"matchLabels": {f"k8s:{NAMESPACE_KEY}": namespace} | {f"k8s:{key}": value for key, value in labels}}
            for namespace, labels in wanted
        ],
        "toPorts": [
            {
                "ports": [{"port": str(number), "protocol": "ANY"} for number in numbers],
                "rules": {"dns": [dict(one) for one in names]},
            }
        ],
    }


def _selectors(survey: Survey, doors: Iterable[Door]) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Of each pod behind a door: its namespace, and the selector of a Service in front of it, or its DNS labels."""
    found = set()
    services = [one for one in survey.snapshot.services if one.selector]
    for door in doors:
        pod = door.end.pod
        if pod is None or pod.host_network:
            continue
        mine = [
            one.selector
            for one in services
            if one.namespace == pod.namespace and one.selector and one.selector.items() <= pod.labels.items()
        ]
        labels = mine[0] if mine else {key: pod.labels[key] for key in _KNOWN_LABELS if key in pod.labels}
        found.add((pod.namespace, tuple(sorted(labels.items()))))
    return found


def _names_dns(rule: Rule) -> bool:
    """Whether a rule speaks of a port of DNS by its number, or by the name that every resolver's manifest gives it."""
    if rule.ports is None or rule.ports.numbers == TransportSet.governed():
        return False
    if any(name.name in ("dns", "dns-tcp") for name in rule.ports.names):
        return True
    return any((port, port) in rule.ports.numbers.udp.spans for port in DNS_NUMBERS)


# ---- where the resolvers are not known -------------------------------------------------------------------------------


def may_be_dns(survey: Survey, rule: Rule, protocol: Protocol) -> bool:
    """Whether a rule may be the one for DNS, where it is not known where the resolvers are."""
    explicit = rule.ports is not None
    if rule.ports is not None:
        numbers = any(rule.ports.numbers.contains(protocol, port) for port in DNS_NUMBERS)
        if not numbers and not any(name.protocol is protocol for name in rule.ports.names):
            return False
    if rule.peers is None:
        return True
    return any(
        _block_may_be(match, explicit=explicit)
        if isinstance(match, BlockMatch)
        else isinstance(match, PodMatch) and _pods_may_be(survey, match, explicit=explicit)
        for match in rule.peers
    )


def _block_may_be(match: BlockMatch, *, explicit: bool) -> bool:
    return explicit or any(not match.addresses.only(family).isdisjoint(_LOCAL) for family in FAMILIES)


def _pods_may_be(survey: Survey, match: PodMatch, *, explicit: bool) -> bool:
    homes = [survey.snapshot.namespace(name) for name in _HOMES]
    if match.namespaces is None:
        if match.namespace not in _HOMES:
            return False
    elif not any(may_match(match.namespaces, home) for home in homes):
        return False
    return all(
        (explicit and requirement.key not in _KNOWN_LABELS)
        or any(requirement.matches({requirement.key: value}) for value in _KNOWN_LABELS.get(requirement.key, ()))
        for requirement in match.pods.requirements
    )


def may_match(selector: LabelSelector, namespace: Namespace) -> bool:
    """Whether a selector matches a namespace, as far as its labels are known."""
    known = namespace.labels if namespace.declared else {NAME_LABEL: namespace.name}
    return all(
        requirement.matches(known) or (not namespace.declared and requirement.key not in known)
        for requirement in selector.requirements
    )
