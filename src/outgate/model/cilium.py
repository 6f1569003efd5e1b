"""CiliumNetworkPolicy and what belongs to it, as values.

An object has one ``spec`` or several ``specs``, each of which is a whole policy with its own subject. A `CiliumPolicy`
is one of them, so that what a verdict comes from can be named exactly: kind, namespace and name are the object's,
`index` is the place in ``specs``, and each rule has its own place.

Absent and empty are different things in this API. No peers at all (`CiliumRule.peers` is None) is anybody, but only
together with ports; a list that is given and empty is nobody; a rule that says nothing (``egress: [{}]``) matches
nothing, so that the policy denies everything. What a rule asks for and we do not do is kept beside it as
`Unenforced`, with its name and its place: whoever enforces must close such a rule and must say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Literal

from outgate.model.labels import EVERYTHING, LabelSelector
from outgate.model.objects import BlockPeer, Direction, Network
from outgate.model.place import NOWHERE, Place
from outgate.records import dataclass

__all__ = [
    "ACCOUNT_LABEL",
    "CLUSTER_LABEL",
    "CidrGroup",
    "CiliumObject",
    "CiliumPeer",
    "CiliumPolicy",
    "CiliumPort",
    "CiliumProtocol",
    "CiliumRule",
    "EndpointPeer",
    "EntityPeer",
    "GroupPeer",
    "HeaderMatch",
    "HttpMatch",
    "IcmpMatch",
    "NameMatch",
    "NodesPeer",
    "PortEntry",
    "ServicePeer",
    "Unenforced",
]

ACCOUNT_LABEL = "io.cilium.k8s.policy.serviceaccount"
"""The label of an endpoint that holds the name of its ServiceAccount."""
CLUSTER_LABEL = "io.cilium.k8s.policy.cluster"
"""The label of an endpoint that holds the name of its cluster, in a mesh of several."""

CiliumProtocol = Literal["ANY", "TCP", "UDP", "SCTP", "VRRP", "IGMP"]


@dataclass(frozen=True, slots=True)
class Unenforced:
    """Something that a rule, or a whole policy, asks for and that we do not do.

    `feature` is its name in the API (``kafka``, ``listener``); `words` say what it would do.
    """

    feature: str
    words: str
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def said(self) -> str:
        """What is not done; with what is asked for, where the path does not end with it."""
        last = self.place.path.rpartition(".")[2].partition("[")[0]
        return self.words if last == self.feature.rpartition(".")[2] else f"{self.feature}: {self.words}"

    def __str__(self) -> str:
        """The same, with its path."""
        return ": ".join(filter(None, (self.place.path, self.said)))


@dataclass(frozen=True, slots=True)
class EndpointPeer:
    """Pods by labels; never a pod on the host network, nor anything outside of the cluster.

    Cilium puts a pod's labels, those of its namespace, its account and its cluster into one set; here each part has a
    selector of its own, and all must match. What the API adds by itself (a policy's own namespace) is in them. Labels
    that take no part in an identity are worked in: a selector that needs one matches nobody (`nobody`).
    """

    pods: LabelSelector = EVERYTHING
    namespaces: LabelSelector = EVERYTHING
    """Over the labels of the namespace, its name among them."""
    accounts: LabelSelector = EVERYTHING
    """Over `ACCOUNT_LABEL` alone."""
    clusters: LabelSelector = EVERYTHING
    """Over `CLUSTER_LABEL` alone. Without any requirement this cluster is meant."""
    nobody: bool = False
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EntityPeer:
    """A peer by a word of Cilium's: ``world``, ``host``, ``cluster``, ``kube-apiserver`` ..."""

    name: str
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class GroupPeer:
    """The blocks of a CiliumCIDRGroup by its `name`, or (`groups`) of all those whose labels match, less `excepts`."""

    name: str = ""
    groups: LabelSelector | None = None
    excepts: tuple[Network, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ServicePeer:
    """The endpoints of Services, of one by its `name` or of all whose labels match `services`.

    Without a `namespace` those of every namespace are meant. Their ports are not part of it.
    """

    namespace: str
    name: str = ""
    services: LabelSelector | None = None
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NodesPeer:
    """Nodes by their labels, without the node that the pod is on."""

    nodes: LabelSelector
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NameMatch:
    """A DNS name, or a pattern of names, as written; of ``toFQDNs`` (the addresses) or of ``rules.dns`` (the queries).

    ``rules.dns`` may give both, and then either may match.
    """

    name: str = ""
    pattern: str = ""
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def texts(self) -> tuple[str, ...]:
        """The name and the pattern, as far as they are given."""
        return tuple(text for text in (self.name, self.pattern) if text)


CiliumPeer = EndpointPeer | BlockPeer | GroupPeer | EntityPeer | ServicePeer | NodesPeer | NameMatch
"""Unlike an ``ipBlock`` of a NetworkPolicy, a block matches only what is outside of the cluster: no pod, no node."""


@dataclass(frozen=True, slots=True)
class CiliumPort:
    """One of the ports of an entry. A name is in lower case, as names are compared without regard to it.

    0 is every port, unless a range begins with it. `end` is the last one of a range, and None where there is none. ANY
    is TCP, UDP and SCTP.
    """

    port: int | str
    protocol: CiliumProtocol = "ANY"
    end: int | None = None
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def is_every(self) -> bool:
        """Whether it is every port of its protocol."""
        return self.port == 0 and self.end is None

    def __str__(self) -> str:
        return "every port" if self.is_every else f"{self.port}-{self.end}" if self.end else f"{self.port}"


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A header of a request: exactly this `value`, or with None any. With `log_only` a mismatch is no hindrance."""

    name: str
    value: str | None = None
    log_only: bool = False
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """Requests. `path`, `method` and `host` are expressions of RE2 that must match as a whole; an empty one is any."""

    path: str = ""
    method: str = ""
    host: str = ""
    headers: tuple[HeaderMatch, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PortEntry:
    """One entry of ``toPorts``. No `ports` match nothing; no `http`, `dns` or `server_names` ask for nothing more."""

    ports: tuple[CiliumPort, ...]
    http: tuple[HttpMatch, ...] = ()
    dns: tuple[NameMatch, ...] = ()
    server_names: tuple[str, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def looks_into(self) -> bool:
        """Whether a proxy has to look into connections for it: into their requests, or for the name of the server."""
        return bool(self.http or self.server_names)


@dataclass(frozen=True, slots=True)
class IcmpMatch:
    """A type of ICMP (`version` 4) or of ICMPv6 (6), with any code."""

    version: Literal[4, 6]
    type: int
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CiliumRule:
    """One rule. Of `ports` and `icmps` at most one is given: without either every protocol is meant, if peers are."""

    peers: tuple[CiliumPeer, ...] | None
    """None where no kind of peer is named: anybody, if there are ports. An empty one is nobody."""
    ports: tuple[PortEntry, ...] = ()
    icmps: tuple[IcmpMatch, ...] = ()
    lists_icmps: bool = False
    """Whether ``icmps`` is given with anything in it, be that an entry without fields, which matches nothing."""
    deny: bool = False
    unenforced: tuple[Unenforced, ...] = ()
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def matches_nothing(self) -> bool:
        """Whether it is there only to ask for denial by default: it names neither peers nor ports, or nobody."""
        narrowed = bool(self.ports) or self.lists_icmps
        return not self.peers if self.peers is not None else not narrowed


@dataclass(frozen=True, slots=True)
class CiliumPolicy:
    """One rule of an object, as Cilium's API calls what has a subject and sections of its own."""

    name: str
    namespace: str = ""
    """Empty for a CiliumClusterwideNetworkPolicy."""
    subject: EndpointPeer = field(default_factory=EndpointPeer)
    nodes: LabelSelector | None = None
    """Given: it is a policy of these hosts, and `subject` means nothing."""
    egress: tuple[CiliumRule, ...] = ()
    egress_deny: tuple[CiliumRule, ...] = ()
    ingress: tuple[CiliumRule, ...] = ()
    ingress_deny: tuple[CiliumRule, ...] = ()
    isolates: frozenset[Direction] = frozenset()
    """The directions in which it asks for denial by default."""
    index: int | None = None
    """Its place in ``specs``; None for ``spec``."""
    unenforced: tuple[Unenforced, ...] = ()
    """What concerns all of it; what concerns a rule is with the rule."""
    uid: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    place: Place = field(default=NOWHERE, compare=False, repr=False)
    api_version: str = field(default="cilium.io/v2", init=False)

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return "CiliumNetworkPolicy" if self.namespace else "CiliumClusterwideNetworkPolicy"

    def rules(self, direction: Direction) -> tuple[CiliumRule, ...]:
        """The rules of a direction, those that deny before those that allow: they win whatever else there is."""
        return self.denials(direction) + self.allowances(direction)

    def denials(self, direction: Direction) -> tuple[CiliumRule, ...]:
        """The rules of ``egressDeny`` or ``ingressDeny``."""
        return self.egress_deny if direction is Direction.EGRESS else self.ingress_deny

    def allowances(self, direction: Direction) -> tuple[CiliumRule, ...]:
        """The rules of ``egress`` or ``ingress``."""
        return self.egress if direction is Direction.EGRESS else self.ingress

    @property
    def types(self) -> frozenset[Direction]:
        """The directions in which it says anything: by a rule, or by asking for denial by default."""
        return frozenset(one for one in Direction if one in self.isolates or self.rules(one))

    def not_enforced(self) -> Iterator[Unenforced]:
        """All that it asks for in vain, in the order of its text."""
        yield from self.unenforced
        for many in (self.ingress, self.ingress_deny, self.egress, self.egress_deny):
            for rule in many:
                yield from rule.unenforced

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class CiliumObject:
    """An object with all the policies that stand in it: what a watch tells of."""

    kind: str
    namespace: str
    name: str
    policies: tuple[CiliumPolicy, ...]
    uid: str = ""


@dataclass(frozen=True, slots=True)
class CidrGroup:
    """A CiliumCIDRGroup: blocks outside of the cluster under one name. An address by itself is a block of one."""

    name: str
    blocks: tuple[Network, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""
    place: Place = field(default=NOWHERE, compare=False, repr=False)
    namespace: str = field(default="", init=False)
