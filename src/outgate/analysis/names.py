"""Questions that name a name: what a pod would be told, and whether it can ask at all.

A rule about names opens the addresses that a pod was told for them. So a question about ``api.example.com`` is judged
as if its pods had asked for that name, and had been answered with the addresses that are known for it. That they can
ask is another matter, which decides whether the rule ever opens anything: where they cannot, a note says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from outgate.analysis.exposure_places import Found, Place, cluster_dns, passage
from outgate.analysis.lookup import AddressTarget, NameTarget, PodsTarget, ServiceTarget, Target
from outgate.model import Direction, Learned, NamePeer, Pod, Snapshot
from outgate.model.cilium import NameMatch
from outgate.model.objects import CLUSTER_DOMAIN
from outgate.model.services import endpoints
from outgate.packets import Address
from outgate.packets.special import NEVER_NAMED
from outgate.policy import Judge, Policies, Trace
from outgate.policy.meeting import About, met
from outgate.policy.names import Dialect, Pattern
from outgate.policy.rules import NamesMatch

__all__ = [
    "asked_name",
    "cannot_ask",
    "having_asked",
    "having_asked_for",
    "kept_out",
    "not_meant",
    "patterns_of",
    "shared_addresses",
    "ways_to_ask",
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
    learned = (Learned(pod.key, name, addresses) for pod in source.pods)
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
            ends = (end.addresses for end in endpoints(snapshot, service))
            return destination.name, tuple(address for many in ends for address in many)
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
    servers = cluster_dns(snapshot)
    if servers.found is Found.UNKNOWN:
        return snapshot
    judge = Judge(Policies(snapshot))
    learned = list(snapshot.learned)
    for pod in snapshot.endpoints:
        passing = [] if pod.host_network else ways_to_ask(judge, pod, servers)
        for name, addresses in names.items():
            if addresses and any(_may_ask(one, name) for one in passing):
                learned.append(Learned(pod.key, name, tuple(addresses)))
    return dataclasses.replace(snapshot, learned=tuple(learned))


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


def cannot_ask(judge: Judge, trace: Trace, name: str) -> Iterator[str]:
    """What keeps a name from being known, where a rule about names lets the flow through."""
    pod, outcome = trace.flow.source.pod, trace.egress.outcome
    rule = outcome.rule if outcome is not None else None
    if pod is None or rule is None or not any(isinstance(peer, NamesMatch) for peer in rule.peers or ()):
        return
    servers = cluster_dns(judge.policies.snapshot)
    if servers.found is Found.UNKNOWN:
        yield f"{name} is known to {pod} once it has asked for it, and no cluster DNS is in the input"
        return
    passing = ways_to_ask(judge, pod, servers)
    if not passing:
        yield f"{pod} may not ask the cluster DNS, so that it never learns {name}, and the rule opens nothing"
    elif not any(_may_ask(one, name) for one in passing):
        yield f"{pod} may not ask the cluster DNS for {name}, so that the rule opens nothing"


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


def ways_to_ask(judge: Judge, pod: Pod, servers: Place) -> list[Trace]:
    """The ways on which a pod reaches the cluster DNS."""
    return [trace for _, trace in passage(judge, pod, servers.doors) if trace.verdict.allows]


def _may_ask(trace: Trace, name: str) -> bool:
    """Whether a question for a name passes: where rules say which may be asked, one of them has to mean it."""
    outcome = trace.egress.outcome
    return outcome is None or not outcome.conditional or met(outcome, About(question=name)).verdict.allows
