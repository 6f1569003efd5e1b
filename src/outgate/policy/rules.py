"""Rules: what every policy kind is brought into, with the place it came from.

A policy becomes tiered `Rule`s. A rule has a direction, a tier, an action, peers and ports, and an
`Origin` that is never dropped: not by merging, not by compiling, not in the kernel's counters.
Verdicts are what evaluation yields (Allow, Deny); actions are what rules say (Accept, Deny, Pass).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import field

from outgate.model import NOWHERE, BlockPeer, CiliumPolicy, Direction, NetworkPolicy, Place, PodPeer, Policy, PolicyPort
from outgate.model.cilium import HttpMatch, NameMatch
from outgate.model.labels import EVERYTHING, LabelSelector
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy.names import Pattern
from outgate.records import dataclass

__all__ = [
    "EVERY_POD",
    "Action",
    "BlockMatch",
    "Conditions",
    "NamedPort",
    "NamesMatch",
    "Origin",
    "PeerMatch",
    "PodMatch",
    "PortMatch",
    "Rule",
    "Tier",
    "Verdict",
    "named_apart",
    "origin_of",
    "peer_match",
    "ports_match",
    "rules_of",
]


_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


class Verdict(enum.Enum):
    """What evaluation yields."""

    ALLOW = "Allow"
    DENY = "Deny"

    @property
    def allows(self) -> bool:
        """Whether the packet may pass."""
        return self is Verdict.ALLOW


class Action(enum.Enum):
    """What a rule says (network-policy-api, ClusterNetworkPolicyRuleAction)."""

    ACCEPT = "Accept"
    DENY = "Deny"
    PASS = "Pass"


class Tier(enum.IntEnum):
    """The order in which tiers are asked (network-policy-api, "Tiers")."""

    ADMIN = 1
    NETWORK_POLICY = 2
    BASELINE = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The policy, and where there is one the rule, that a verdict comes from.

    `rule` counts from 0 as the API's paths do; None means the policy as a whole: its selecting a pod
    is what isolates the pod. `section` is the list that the rule stands in, where that is not called as the direction
    is (``egressDeny``); `spec` is the place in ``specs`` of one that has several.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    direction: Direction
    rule: int | None = None
    section: str = ""
    spec: int | None = None
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def path(self) -> str:
        """Where in the policy the rule stands; empty for a policy as a whole."""
        spec = "" if self.spec is None else f"specs[{self.spec}]"
        section = "" if self.rule is None else f"{self.section or self.direction.value.lower()}[{self.rule}]"
        return ".".join(filter(None, (spec, section)))

    @property
    def file(self) -> str:
        """The file that the policy or rule stands in."""
        return self.place.file

    @property
    def line(self) -> int:
        """Its line; 0 where it is not known."""
        return self.place.line

    def __str__(self) -> str:
        section = f" {self.path}" if self.path else ""
        # Policies of the whole cluster are of several kinds, and one name in two of them is two policies.
        who = f"{self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
        return f"{who}{section}"


@dataclass(frozen=True, slots=True)
class PodMatch:
    """Peers by selector, with the policy's own namespace filled in.

    Exactly one of `namespace` (the policy's own) and `namespaces` (a selector) is given. `pods` is the selector
    that matches everything where the API has none. Equal matches select the same pods, whoever wrote them.
    `never_hosts`: pods on the host network are left out whatever a network plugin makes of them; for a NetworkPolicy
    that is the plugin's own choice (`Profile`). `accounts` is over the label that stands for a pod's ServiceAccount
    (`outgate.model.cilium.ACCOUNT_LABEL`).
    """

    namespace: str | None
    namespaces: LabelSelector | None
    pods: LabelSelector
    never_hosts: bool = False
    accounts: LabelSelector = EVERYTHING

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespaces is None else f"namespaces {self.namespaces}"
        accounts = f" with {self.accounts}" if self.accounts else ""
        return f"pods {self.pods}{accounts} in {where}"


EVERY_POD = PodMatch(None, EVERYTHING, EVERYTHING, never_hosts=True)
"""All pods with a network of their own."""


@dataclass(frozen=True, slots=True)
class BlockMatch:
    """Peers by address: a block less its own exceptions.

    Where the addresses are those of nodes, `nodes` is the selector that found them: they are what they are now.
    `outside`: only addresses outside of the cluster are meant, none of a pod or a node (so Cilium has it); whatever a
    network plugin makes of the blocks of a NetworkPolicy (`Profile`). `called` is what the peer is called, where that
    says more than its addresses. `own_node`: what is meant is the node of the pod, with all of its addresses, of which
    `addresses` are those that are known.
    """

    addresses: AddressSet
    nodes: LabelSelector | None = None
    outside: bool = False
    called: str = ""
    own_node: bool = False

    def __str__(self) -> str:
        if self.called:
            return self.called
        if self.nodes is not None:
            return f"nodes {self.nodes}"
        return "addresses " + ", ".join(self.addresses.cidrs()[:4])


@dataclass(frozen=True, slots=True)
class NamesMatch:
    """Peers by DNS name: whatever addresses were learned, for the pod that asked, by a name that a pattern means.

    Never an address of the cluster itself (Cilium: a name that leads to a pod opens nothing), but where it is one of
    the cluster's own names, as headless Services have them: NPEP-133 lets ClusterNetworkPolicies open those.
    """

    patterns: tuple[Pattern, ...]

    def __str__(self) -> str:
        return "names " + ", ".join(one.text for one in self.patterns[:4])


PeerMatch = PodMatch | BlockMatch | NamesMatch


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule asks of a connection beyond its addresses and ports. One of the three is given.

    Without the proxy that looks into the connection nothing is known to fulfil them, so such a rule then opens nothing.
    """

    http: tuple[HttpMatch, ...] = ()
    """Requests of which one must match."""
    dns: tuple[NameMatch, ...] = ()
    """Names that may be asked for."""
    server_names: tuple[str, ...] = ()
    """TLS servers that may be named (SNI)."""


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A port name, resolved on the destination pod: name and protocol must both be the container port's."""

    protocol: Protocol
    name: str


@dataclass(frozen=True, slots=True)
class PortMatch:
    """The ports of a rule: a set of numbers, and names that each destination pod resolves for itself."""

    numbers: TransportSet
    names: tuple[NamedPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one tier. `peers` None: any peer, pods or not. `ports` None: any protocol, any port.

    An empty tuple of peers is not "any": it is a rule that matches nobody.
    """

    direction: Direction
    tier: Tier
    action: Action
    peers: tuple[PeerMatch, ...] | None
    ports: PortMatch | None
    origin: Origin
    conditions: Conditions | None = None
    perhaps_passes: bool = False
    """Of one that denies: it passes on what it means, and that is not known. Where it is only watched, what comes next
    and what it would be passed on to are both asked."""

    @property
    def asks(self) -> bool:
        """Whether it is about names, so that the questions of the pods that it is about have to be heard."""
        names = any(isinstance(peer, NamesMatch) for peer in self.peers or ())
        return names or self.says_what_may_be_asked

    @property
    def says_what_may_be_asked(self) -> bool:
        """Whether it has ``rules.dns``: names for which the pods may ask those that it is about."""
        return self.conditions is not None and bool(self.conditions.dns)


def named_apart(origins: Sequence[Origin]) -> list[str]:
    """The names of policies, each once; with its kind where policies of several kinds have it."""
    kinds: dict[str, set[str]] = {}
    for one in origins:
        kinds.setdefault(one.name, set()).add(one.kind)
    return list(dict.fromkeys(one.name if len(kinds[one.name]) == 1 else f"{one.kind} {one.name}" for one in origins))


def origin_of(policy: Policy, direction: Direction, rule: int | None = None) -> Origin:
    """The origin of a policy, or of one of its rules by its place in `rules(direction)`."""
    place = policy.place if rule is None else policy.rules(direction)[rule].place
    who = policy.api_version, policy.kind, policy.namespace, policy.name
    if not isinstance(policy, CiliumPolicy):
        return Origin(*who, direction, rule, place=place)
    section, denials = "", len(policy.denials(direction))
    if rule is not None and rule < denials:
        section = f"{direction.value.lower()}Deny"
    elif rule is not None:
        rule -= denials
    return Origin(*who, direction, rule, section, policy.index, place)


def rules_of(policy: NetworkPolicy, direction: Direction) -> Iterator[Rule]:
    """The rules of one NetworkPolicy in one direction; none where ``policyTypes`` does not name it.

    types.go, NetworkPolicySpec: "If this field is empty [...] traffic is allowed to any destination"
    (`to`), "matches all [...] not restricted by port" (`ports`).
    """
    if direction not in policy.types:
        return
    for index, rule in enumerate(policy.rules(direction)):
        peers = tuple(peer_match(policy.namespace, peer) for peer in rule.peers) or None
        yield Rule(
            direction,
            Tier.NETWORK_POLICY,
            Action.ACCEPT,
            peers,
            ports_match(rule.ports) if rule.ports else None,
            origin_of(policy, direction, index),
        )


def peer_match(namespace: str, peer: PodPeer | BlockPeer) -> PeerMatch:
    """Whom a peer of a policy in this namespace matches."""
    if isinstance(peer, BlockPeer):
        holes = AddressSet.union_of(AddressSet.network(one) for one in peer.excepts)
        return BlockMatch(AddressSet.network(peer.cidr) - holes)
    # types.go, NetworkPolicyPeer.podSelector: "Otherwise it selects the Pods matching PodSelector in the
    # policy's own Namespace."
    own = namespace if peer.namespaces is None else None
    return PodMatch(own, peer.namespaces, peer.pods if peer.pods is not None else LabelSelector())


def ports_match(entries: tuple[PolicyPort, ...]) -> PortMatch:
    """What entries of ports match. A name without a protocol is a port of that name of whichever protocol."""
    numbers = TransportSet()
    names: list[NamedPort] = []
    for entry in entries:
        if not entry.protocol:
            names.extend(NamedPort(protocol, str(entry.port)) for protocol in _WITH_PORTS)
            continue
        protocol = Protocol[entry.protocol]
        if entry.port is None:
            numbers |= TransportSet.ports(protocol, PORTS)
        elif isinstance(entry.port, str):
            names.append(NamedPort(protocol, entry.port))
        else:
            numbers |= TransportSet.ports(protocol, entry.port, entry.end_port)
    return PortMatch(numbers, tuple(dict.fromkeys(names)))
