"""Questions that name a name: what a pod would be told, and whether it can ask at all.

A rule about names opens the addresses that a pod was told for them. So a question about ``api.example.com`` is judged
as if its pods had asked for that name, and had been answered with the addresses that are known for it. Those that may
ask nobody for it (`outgate.analysis.learning`) have not been told: the rule opens nothing for them, and a note says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from outgate.analysis.learning import Learning, Way, exactly
from outgate.analysis.lookup import AddressTarget, NameTarget, PodsTarget, ServiceTarget, Target
from outgate.analysis.opened import names_of
from outgate.model import Direction, Learned, NamePeer, Pod, Snapshot
from outgate.model.cilium import NameMatch
from outgate.model.objects import CLUSTER_DOMAIN
from outgate.model.services import endpoint_addresses
from outgate.packets import Address
from outgate.packets.special import NEVER_NAMED
from outgate.policy import Judge, Policies, Trace
from outgate.policy.names import Dialect, Pattern
from outgate.policy.rules import NamesMatch, Rule

__all__ = [
    "asked_name",
    "cannot_ask",
    "cannot_resolve",
    "having_asked",
    "having_asked_for",
    "kept_out",
    "not_meant",
    "patterns_of",
    "shared_addresses",
    "told",
    "who_cannot_ask",
]


def having_asked(judge: Judge, source: Target, destination: Target) -> Judge:
    """The judge of a cluster whose pods have asked for the name in question; the same one where there is none."""
    policies = judge.policies
    name, addresses = _answered(policies.snapshot, destination)
    # No name is none that a pattern means, though `*` matches the empty word.
    if not (name and isinstance(source, PodsTarget)):
        return judge
    if not any(one.matches(name) for one in patterns_of(policies.snapshot)):
        return judge
    learning = Learning(judge)
    return told(judge, {pod.key: addresses for pod in source.pods if learning.of(pod, name) is not Way.NOWHERE}, name)


def told(judge: Judge, answers: Mapping[tuple[str, str], tuple[Address, ...]], *names: str) -> Judge:
    """The judge of a cluster whose pods (by namespace and name) have been told these addresses for some names."""
    policies = judge.policies
    learned = [Learned(key, name, addresses) for key, addresses in answers.items() for name in names]
    if not learned:
        return judge
    snapshot = dataclasses.replace(policies.snapshot, learned=(*policies.snapshot.learned, *learned))
    return Judge(Policies(snapshot, policies.profile))


def _answered(snapshot: Snapshot, destination: Target) -> tuple[str, tuple[Address, ...]]:
    """The name that is asked for where that is what is dialled, and what the answer is."""
    match destination:
        case AddressTarget(addresses=addresses, name=name):
            return name, addresses
        case PodsTarget(asked=name, pods=pods) if name:
            return name, tuple(address for pod in pods for address in pod.addresses)
        case ServiceTarget(service=service) if service.headless:
            return destination.name, endpoint_addresses(snapshot, service)
    # The name of any other Service leads to an address that no packet is judged by: another takes its place.
    return "", ()


def asked_name(snapshot: Snapshot, destination: Target) -> str:
    """The name that a pod asks for to reach something; empty where that teaches it nothing that a rule could use."""
    return destination.name if isinstance(destination, NameTarget) else _answered(snapshot, destination)[0]


def having_asked_for(snapshot: Snapshot, names: Mapping[str, Sequence[Address]]) -> Snapshot:
    """A cluster whose pods have asked for some names, each for those that it may ask the cluster DNS for.

    The same one where no policy has a rule about names.
    """
    if not names or not _speaks_of_names(snapshot):
        return snapshot
    learning = Learning(Judge(Policies(snapshot)))
    learned = (
        Learned(pod.key, name, tuple(addresses))
        for pod in snapshot.endpoints
        for name, addresses in names.items()
        if addresses and not pod.host_network and learning.of(pod, name) is Way.CLUSTER
    )
    return dataclasses.replace(snapshot, learned=(*snapshot.learned, *learned))


def shared_addresses(snapshot: Snapshot, names: Mapping[str, Sequence[Address]]) -> Iterator[str]:
    """What a rule about one name opens of another: those behind one address, as a content network has them.

    Told apart they are by what is asked there alone: the name in the first message of TLS, or the host of a request.
    """
    if not _speaks_of_names(snapshot):
        return
    behind: dict[Address, list[str]] = {}
    for name, addresses in names.items():
        for address in addresses:
            behind.setdefault(address, []).append(name)
    for address, many in behind.items():
        if len(many) > 1:
            listed = f"{', '.join(many[:-1])} and {many[-1]}"
            yield (
                f"{listed} have one address, {address}: a rule about one of them opens the others too; "
                "serverNames, or rules about the host, tell them apart"
            )


def patterns_of(snapshot: Snapshot) -> Iterator[Pattern]:
    """The patterns of all rules whose peers are names."""
    peers = (peer for one in snapshot.every_policy for rule in one.rules(Direction.EGRESS) for peer in rule.peers or ())
    for peer in peers:
        if isinstance(peer, NamePeer):
            yield from (Pattern(text, Dialect.NETWORK_POLICY) for text in peer.names)
        elif isinstance(peer, NameMatch):
            yield from (Pattern(text, Dialect.CILIUM) for text in peer.texts)


def _speaks_of_names(snapshot: Snapshot) -> bool:
    return any(True for _ in patterns_of(snapshot))


def cannot_ask(learning: Learning, trace: Trace, name: str) -> Iterator[str]:
    """What keeps a name from being known, where a rule about names lets the flow through, or would."""
    pod = trace.flow.source.pod
    if pod is None or not (_named(trace) or not trace.egress.verdict.allows):
        return
    if not trace.egress.verdict.allows and learning.of(pod, name) is Way.NOWHERE:
        trace = told(learning.judge, {pod.key: (trace.flow.destination.address,)}, name).judge(trace.flow)
    yield from _hindrance(learning, pod, name, _named(trace))


def cannot_resolve(judge: Judge, trace: Trace, name: str) -> Iterator[str]:
    """That a pod reaches a Service by its address alone, since it may ask nobody for the name."""
    pod = trace.flow.source.pod
    if pod is not None and Learning(judge, heard_alone=False).of(pod, name) is Way.NOWHERE:
        yield f"{pod} may not ask any DNS server for {name}: it reaches that by its address alone"


def who_cannot_ask(learning: Learning, source: Target, name: str) -> Iterator[str]:
    """The same where no flow is asked about: of the first pod that a rule opens the name for, and that may not ask."""
    for pod in source.pods if isinstance(source, PodsTarget) else ():
        rules = learning.judge.policies.isolation(pod, Direction.EGRESS).every_rule()
        rule = next((one for one in rules if any(pattern.matches(name) for pattern in names_of(one))), None)
        said = tuple(_hindrance(learning, pod, name, rule)) if rule is not None else ()
        if said:
            yield from said
            return


def _hindrance(learning: Learning, pod: Pod, name: str, rule: Rule | None) -> Iterator[str]:
    if rule is None:
        return
    heard = learning.heard_alone
    by = " by a rule with rules.dns" if heard else ""
    match learning.of(pod, name):
        case Way.UNKNOWN:
            yield f"{name} is known to {pod} once it has asked for it{by}, and no cluster DNS is in the input"
        case Way.ELSEWHERE:
            yield (
                f"{pod} may not ask the cluster DNS for {name}{by}; {rule.origin} opens it if another resolver tells it"
            )
        case Way.BESIDE:
            yield (
                f"no rule with rules.dns is about questions of {pod} for {name}: {rule.origin} opens it only while a "
                f"pod on the same node has asked, as {learning.teacher((exactly(name),))} may, wherever that runs now"
            )
        case Way.NOWHERE if heard and learning.lists(pod, name):
            yield (
                f"no question of {pod} for {name} gets through and is heard by Cilium, though rules.dns are about "
                f"some: it never learns it, and {rule.origin} opens nothing"
            )
        case Way.NOWHERE if heard:
            yield (
                f"no rule with rules.dns lets {pod} ask for {name}: Cilium never learns it, and {rule.origin} opens "
                "nothing"
            )
        case Way.NOWHERE:
            yield f"{pod} may not ask any DNS server for {name}: it never learns it, and {rule.origin} opens nothing"


def _named(trace: Trace) -> Rule | None:
    """The rule that lets the flow out, if it is about names."""
    outcome = trace.egress.outcome
    rule = outcome.rule if outcome is not None and outcome.verdict.allows else None
    about_names = rule is not None and any(isinstance(peer, NamesMatch) for peer in rule.peers or ())
    return rule if about_names else None


def not_meant(snapshot: Snapshot, destination: Target) -> Iterator[str]:
    """That no rule is about the name that is asked for: it may be mistyped, or a rule has the name behind an alias."""
    if not isinstance(destination, AddressTarget | NameTarget) or not destination.name:
        return
    patterns = tuple(patterns_of(snapshot))
    name, behind = destination.name, destination.alias_of
    if any(one.matches(name) for one in patterns):
        return
    if behind and any(one.matches(behind) for one in patterns):
        yield f"rules about {behind} are not about {name}: what a name opens is opened for the one that is asked for"
    elif isinstance(destination, NameTarget):
        yield f"no rule is about the name {name}: what is said holds for any other outside of the cluster"


def kept_out(judge: Judge, trace: Trace, name: str) -> Iterator[str]:
    """Why a rule about a name does not open the address that the name leads to.

    ``toFQDNs`` and ``domainNames`` are about what is outside of the cluster, and the DNS proxy keeps out what no
    stranger's name is to open (`outgate.packets.special.NEVER_NAMED`).
    """
    source, there = trace.flow.source, trace.flow.destination
    if source.pod is None or trace.egress.verdict.allows:
        return
    peers = (
        peer
        for rule in judge.policies.isolation(source.pod, Direction.EGRESS).every_rule()
        for peer in rule.peers or ()
    )
    patterns = (one for peer in peers if isinstance(peer, NamesMatch) for one in peer.patterns)
    if not any(pattern.matches(name) for pattern in patterns):
        return
    if there.pod is not None or there.node is not None:
        whose = "no name opens an address of the cluster"
        if name.endswith(f".{CLUSTER_DOMAIN}") and there.node is None:
            whose = "no name of Cilium's rules opens an address of the cluster"
        yield f"{name} leads to {there}, and {whose}"
    elif there.address in NEVER_NAMED:
        words = "loopback, link-local, multicast, reserved and metadata addresses stay closed"
        yield f"no name opens {there.address}: {words}"
