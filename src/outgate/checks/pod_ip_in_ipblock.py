"""The addresses of pods in an address block.

What it does:
    Finds address blocks within the networks of pods, and such as name the address of a single pod. Blocks that are
    much wider (10.0.0.0/8) are left out. In policies of Cilium's such a block matches none of these pods, be it to
    allow or to deny. In those of the whole cluster a network of pods may be meant, and only single pods are named.

Why it matters:
    A pod has its address until it restarts. And whether a block matches a pod at all depends on the network plugin:
    with Cilium it does not.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock: {cidr: 10.244.0.9/32}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: to-db, namespace: shop}
    spec:
      podSelector:
        matchLabels: {app: web}
      policyTypes: [Egress]
      egress:
        - to:
            - podSelector:
                matchLabels: {app: db}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: db, namespace: shop, labels: {app: db}}
    spec:
      containers:
        - {name: main, image: app, ports: [{containerPort: 8080}]}
    status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where a range of addresses is set apart for some pods, and the network plugin is known to match blocks with pods.

References:
    - https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-ipblock-selectors
    - https://docs.cilium.io/en/stable/security/policy/language/#cidr-based
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.checks.check import Check
from outgate.checks.clauses import clauses
from outgate.checks.finding import Finding, Severity
from outgate.checks.survey import Survey, some, subject_of
from outgate.checks.written import Written
from outgate.model import BlockPeer, CiliumPolicy, Direction, Place, Pod
from outgate.model.cilium import GroupPeer
from outgate.model.objects import Network
from outgate.packets import AddressSet
from outgate.policy import Action

__all__ = ["CHECK"]


def _find(survey: Survey) -> Iterator[Finding]:
    networks = AddressSet.union_of(
        AddressSet.network(one) for node in survey.snapshot.nodes.values() for one in node.pod_cidrs
    )
    yield from _of_sections(survey, networks)
    for clause in clauses(survey):
        for cidr, place in _blocks(survey, clause):
            pods = _holders(survey, cidr)
            # ClusterNetworkPolicyEgressPeer.networks matches pods as well: a network of theirs may be meant.
            whole = isinstance(clause.policy, CiliumPolicy) and AddressSet.network(cidr) <= networks
            if cidr.prefixlen and (pods or whole):
                yield _of_clause(clause, cidr, place, pods)


def _blocks(survey: Survey, clause: Written) -> Iterator[tuple[Network, Place]]:
    """The blocks that a rule names, those of groups among them, each with the place where the rule names it."""
    for peer in clause.peers:
        if isinstance(peer, BlockPeer):
            yield peer.cidr, peer.place
        elif isinstance(peer, GroupPeer):
            for group in survey.snapshot.cidr_groups:
                if peer.groups.matches(group.labels) if peer.groups is not None else group.name == peer.name:
                    yield from ((cidr, peer.place) for cidr in group.blocks)


def _of_clause(clause: Written, cidr: Network, place: Place, pods: list[Pod]) -> Finding:
    what = f"the address of {some(pods)}" if pods else "within a network of pods"
    if isinstance(clause.policy, CiliumPolicy):
        side = "to" if clause.direction is Direction.EGRESS else "from"
        does = "denies none of them" if clause.action is Action.DENY else "allows none of them"
        what += f": Cilium knows pods by their labels alone, so this {does}"
        advice = f"select pods by label, in {side}Endpoints"
    else:
        advice = "select pods by label: a pod has its address until it restarts"
    words = f"{clause} names {cidr}, {what}"
    return Finding(CHECK.name, CHECK.severity, words, subject_of(clause.policy), place, help=advice)


def _of_sections(survey: Survey, networks: AddressSet) -> Iterator[Finding]:
    for section in survey.sections():
        for peer in section.rule.peers if section.counts else ():
            if not isinstance(peer, BlockPeer) or peer.cidr.prefixlen == 0:
                continue
            pods = _holders(survey, peer.cidr)
            if not pods and not AddressSet.network(peer.cidr) <= networks:
                continue
            yield Finding(
                CHECK.name,
                CHECK.severity,
                f"{section} names {peer.cidr}, "
                + (f"the address of {some(pods)}" if pods else "within a network of pods"),
                subject_of(section.policy),
                peer.place,
                help="select pods by label: addresses change, and not every network plugin matches blocks with pods",
            )


def _holders(survey: Survey, cidr: Network) -> list[Pod]:
    """The pods that have the one address of a block."""
    if cidr.num_addresses > 1:
        return []
    holders = survey.snapshot.owners_of(cidr.network_address)
    return [pod for pod in holders if pod.addressed and not pod.host_network]


CHECK = Check("pod-ip-in-ipblock", Severity.ERROR, _find, __doc__)
