"""One packet through the policies, with reasons.

`judge` answers a flow on both ends, egress first, by asking each rule in turn: an independent reading of
the same rules that `decide` turns into sets, and much cheaper for one question. A test holds the two
against each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from outgate.model import CiliumPolicy, Direction, Pod, Service
from outgate.packets import Address, Protocol, TransportSet
from outgate.policy.decide import Policies
from outgate.policy.endpoints import LOOPBACK, TO_MANY, Endpoint
from outgate.policy.meeting import About, met
from outgate.policy.profile import PASSING_ICMP, REASONS, Profile
from outgate.policy.rules import Action, BlockMatch, NamedPort, Origin, PeerMatch, PodMatch, Rule, Verdict, named_apart
from outgate.policy.selection import resolve
from outgate.policy.tiers import Outcome, first
from outgate.records import dataclass

__all__ = ["Flow", "Judge", "Side", "Trace", "as_seen", "disputed_words", "judge", "matched", "unstoppable"]

_NETWORK_POLICY = "NetworkPolicy"
_GOVERNED = frozenset({Protocol.TCP, Protocol.UDP, Protocol.SCTP})


@dataclass(frozen=True, slots=True)
class Flow:
    """A new connection after service translation, which is how policy sees it unless the profile says otherwise.

    `coordinate` is a destination port, or ``type * 256 + code`` for ICMP. `dialled` is the address and port that
    the client used where that was a Service's; open points of the API hang on it. `service` is that Service, for
    those who know it: where the input gives it no address, the one that was dialled is a stand-in and tells nothing.
    """

    source: Endpoint
    destination: Endpoint
    protocol: int
    coordinate: int = 0
    dialled: tuple[Address, int] | None = None
    service: Service | None = None
    about: About | None = None
    """What the connection is about, where that is asked."""


@dataclass(frozen=True, slots=True)
class Side:
    """The verdict of one end."""

    direction: Direction
    verdict: Verdict
    isolated: bool
    decided_by: Origin | None
    reason: str
    isolated_by: tuple[Origin, ...] = ()
    outcome: Outcome | None = None
    """What the policies said; None where they were not asked."""

    @property
    def conditional(self) -> tuple[Rule, ...]:
        """The rules that allow it on a condition above TCP, of which one must be met; none where nothing is asked."""
        return self.outcome.conditional if self.outcome is not None else ()

    @property
    def decided_by_network_policy(self) -> bool:
        """Whether what decided is a NetworkPolicy, which leaves open what others say."""
        isolating = {one.kind for one in self.isolated_by} if self.outcome is not None and not self.outcome.rule else ()
        named = self.decided_by is not None and self.decided_by.kind == _NETWORK_POLICY
        return named and all(kind == _NETWORK_POLICY for kind in isolating)


@dataclass(frozen=True, slots=True)
class Trace:
    """The verdict of a flow. `specified` is False where the API leaves it to the network plugin."""

    flow: Flow
    egress: Side
    ingress: Side
    specified: bool
    open_points: tuple[str, ...] = ()
    """What the verdict would depend on, in words; empty where it is specified."""

    @property
    def verdict(self) -> Verdict:
        """Allowed only if both ends allow it."""
        both = self.egress.verdict.allows and self.ingress.verdict.allows
        return Verdict.ALLOW if both else Verdict.DENY


class Judge:
    """Answers flows for one snapshot, under its profile and, where a flow touches them, the open points."""

    def __init__(self, policies: Policies) -> None:
        self.policies = policies
        self._readings: dict[Profile, Policies] = {policies.profile: policies}

    def judge(self, flow: Flow) -> Trace:
        """The verdict on both ends, and whether the API specifies it."""
        egress, ingress = _side(self.policies, flow, Direction.EGRESS), _side(self.policies, flow, Direction.INGRESS)
        verdict = egress.verdict.allows and ingress.verdict.allows
        points = tuple(dict.fromkeys(self._open_points(flow, egress, ingress, verdict)))
        return Trace(flow, egress, ingress, not points, points)

    def _open_points(self, flow: Flow, egress: Side, ingress: Side, verdict: bool) -> Iterator[str]:
        # A side that no policy decided (not isolated, or exempt) is open to no reading.
        sides = (egress, ingress)
        judged = any(side.decided_by is not None for side in sides)
        by_network_policy = any(side.decided_by_network_policy for side in sides)
        if by_network_policy and flow.protocol not in _GOVERNED:
            # concept page: "[...] for other protocols (such as ARP or ICMP) is undefined"
            yield "NetworkPolicy defines TCP, UDP and SCTP alone; other protocols are up to the network plugin"
        if judged and flow.destination.address in TO_MANY:
            yield "NetworkPolicy does not speak of multicast and broadcast; they are up to the network plugin"
        for side in sides:
            yield from _disputes(side)
        for profile, words in _readings_touched(self.policies.profile, flow) if self._leaves_open(flow) else ():
            if self._allows(flow, profile) != verdict:
                yield words

    def _leaves_open(self, flow: Flow) -> bool:
        """Whether anything but Cilium's policies speaks of an end: those have one meaning, which is Cilium's."""
        kinds: list[bool] = []
        for direction, end in ((Direction.EGRESS, flow.source), (Direction.INGRESS, flow.destination)):
            about = self.policies.selection.about(end.pod, direction) if end.pod is not None else ()
            kinds += (isinstance(one, CiliumPolicy) for one in about)
        return not kinds or not all(kinds)

    def verdicts(self, flow: Flow) -> tuple[bool, bool]:
        """Whether the sender's end lets a flow out, and the other end in; without asking what else it may hang on."""
        egress, ingress = (_side(self.policies, flow, direction).verdict.allows for direction in Direction)
        return egress, ingress

    def _allows(self, flow: Flow, profile: Profile) -> bool:
        other = self._readings.get(profile)
        if other is None:
            other = self._readings[profile] = Policies(self.policies.snapshot, profile)
        return all(_side(other, flow, direction).verdict.allows for direction in Direction)

    def why_otherwise(self, flow: Flow, other: Profile) -> tuple[str, ...]:
        """Why another profile judges a flow otherwise, in words; empty where it does not.

        The reasons are the points that turn the verdict each by itself, or all in which the two differ where none does.
        """
        mine = self.policies.profile
        verdict = self._allows(flow, mine)
        if self._allows(flow, other) == verdict:
            return ()
        differing = mine.differing(other)
        turned = {name: dataclasses.replace(mine, **{name: getattr(other, name)}) for name in differing}
        alone = [name for name in differing if self._allows(flow, turned[name]) != verdict]
        return tuple(dict.fromkeys(REASONS[name] for name in alone or differing))


def judge(policies: Policies, flow: Flow) -> Trace:
    """One flow. Keep a `Judge` to ask many."""
    return Judge(policies).judge(flow)


def _readings_touched(profile: Profile, flow: Flow) -> Iterator[tuple[Profile, str]]:
    """The other readings of the open points that this flow touches, with the words for each."""
    turn = dataclasses.replace
    source, destination = flow.source, flow.destination
    if flow.dialled is not None:
        name = "before_translation" if profile.before_translation else "blocks_see_service"
        yield turn(profile, **{name: not getattr(profile, name)}), REASONS[name]
        if source.pod is not None and source.pod == destination.pod:
            for exempt in (True, False):
                other = turn(profile, hairpin_exempt=exempt, hairpin_ingress_exempt=False)
                if other != profile:
                    yield other, REASONS["hairpin_exempt"]
    if _is_own_node(source, destination):
        yield turn(profile, own_node_exempt=not profile.own_node_exempt), REASONS["own_node_exempt"]
    if any(end.pod is not None and end.pod.host_network for end in (source, destination)):
        # concept page: the behaviour "is undefined, but it should be limited to 2 possibilities": told apart and
        # treated as any pod, as subject and as peer alike, or not told apart from the node.
        apart = not profile.host_network_isolated
        yield (
            turn(profile, host_network_isolated=apart, host_network_selected=apart),
            REASONS["host_network_isolated"],
        )
    if profile.icmp_passes and PASSING_ICMP.contains(flow.protocol, flow.coordinate):
        yield turn(profile, icmp_passes=False), REASONS["icmp_passes"]
    if any(end.pod is not None and not end.pod.addressed for end in (source, destination)):
        for name in ("stand_ins_in_blocks", "stand_ins_out_of_blocks"):
            yield turn(profile, **{name: not getattr(profile, name)}), REASONS[name]


def as_seen(policies: Policies, flow: Flow, direction: Direction) -> Flow:
    """The flow as the policies of one end see it: egress perhaps before the translation of what was dialled."""
    if flow.dialled is None or direction is Direction.INGRESS or not policies.profile.before_translation:
        return flow
    address, port = flow.dialled
    there = Endpoint.at(policies.snapshot, address)
    return dataclasses.replace(flow, destination=there, coordinate=port, dialled=None)


def _is_own_node(source: Endpoint, destination: Endpoint) -> bool:
    if source.pod is None or (destination.pod is not None and not destination.pod.host_network):
        return False
    node = destination.node.name if destination.node is not None else ""
    if destination.pod is not None:
        node = destination.pod.node
    return bool(node) and node == source.pod.node


def _side(policies: Policies, flow: Flow, direction: Direction) -> Side:
    if flow.dialled is not None:
        flow = as_seen(policies, flow, direction)
    subject, peer = (
        (flow.source, flow.destination) if direction is Direction.EGRESS else (flow.destination, flow.source)
    )
    allow = Verdict.ALLOW
    pod = subject.pod
    if pod is None:
        return Side(direction, allow, False, None, f"{subject} is not a pod: no NetworkPolicy applies to it")
    isolation = policies.isolation(pod, direction)
    word = direction.value.lower()
    if not isolation.governed:
        what = "is on the host network, where policies do not apply" if pod.host_network else ""
        reason = f"{pod} {what}" if what else f"no policy selects {pod} for {word}"
        return Side(direction, allow, False, None, reason)
    isolating = isolation.origins
    isolated = bool(isolation.policies)
    exemption = _exemption(policies, flow, subject, peer, direction)
    above = isolation.admin or isolation.baseline
    if exemption and above and flow.dialled is not None and _is_itself(pod, peer):
        # network-policy-api, "Hairpin": what a Service sends back to the pod is subject to policies of the cluster.
        isolation = dataclasses.replace(isolation, policies=(), origins=(), rules=(), denials=())
    elif exemption:
        return Side(direction, allow, isolated, None, exemption, isolating)
    found = first(isolation, lambda rule: _matches(policies, rule, peer, flow))
    if flow.about is not None:
        found = met(found, flow.about)
    if found.conditional and not found.verdict.allows:
        origin = found.conditional[0].origin
        reason = f"{flow.about} is not what {', '.join(_cite(rule.origin) for rule in found.conditional)} allows"
    elif found.rule is not None:
        origin, reason = found.rule.origin, _said(found.rule)
    elif found.verdict.allows:
        origin, reason = None, f"no rule for {word} of the policies that select {pod} matches"
    else:
        origin, reason = isolating[0], _refusal(pod, isolating, word)
    reason = "".join(f"passed on by {_cite(one.origin)}; " for one in found.passed) + reason
    return Side(direction, found.verdict, isolated, origin, reason, isolating, found)


def _said(rule: Rule) -> str:
    """What a rule that decides says, with its place."""
    return f"{'denied' if rule.action is Action.DENY else 'allowed'} by {_cite(rule.origin)}"


def unstoppable(policies: Policies, source: Endpoint, destination: Endpoint) -> str:
    """Why no policy, whatever it says, can come between two ends; empty where one can."""
    flow = Flow(source, destination, int(Protocol.TCP), 1)
    for direction, subject, peer in (
        (Direction.EGRESS, source, destination),
        (Direction.INGRESS, destination, source),
    ):
        if subject.pod is not None and (subject.isolatable or policies.profile.host_network_isolated):
            reason = _exemption(policies, flow, subject, peer, direction)
            if reason:
                return reason
    return ""


def _exemption(policies: Policies, flow: Flow, subject: Endpoint, peer: Endpoint, direction: Direction) -> str:
    """Why policy does not stand between these two at all; empty where it does."""
    pod, profile = subject.pod, policies.profile
    if pod is None:
        return ""
    if _is_itself(pod, peer) and (flow.dialled is None or _hairpin_exempt(profile, direction)):
        return "a pod always reaches itself"
    if direction is Direction.EGRESS and peer.address in LOOPBACK:
        return "loopback never leaves the pod, which always reaches itself"
    if profile.icmp_passes and PASSING_ICMP.contains(flow.protocol, flow.coordinate):
        return f"{profile.name} lets echo requests and ICMP errors pass whatever the policies say"
    if not _is_own_node(subject, peer) or (peer.pod is not None and profile.host_network_isolated):
        return ""
    if direction is Direction.INGRESS:
        return f"{peer} is the node of {pod}, which may always reach it"
    return f"{peer} is the node of {pod}, which it may always reach" if profile.own_node_exempt else ""


def _is_itself(pod: Pod, peer: Endpoint) -> bool:
    # The address of a host-network pod is its node's and says nothing about which pod is meant.
    return peer.pod == pod if pod.host_network else peer.address in pod.addresses


def _hairpin_exempt(profile: Profile, direction: Direction) -> bool:
    return profile.hairpin_exempt or (profile.hairpin_ingress_exempt and direction is Direction.INGRESS)


def _matches(policies: Policies, rule: Rule, peer: Endpoint, flow: Flow) -> bool:
    profile = policies.profile
    if rule.direction is Direction.EGRESS:
        if flow.dialled is not None and profile.blocks_see_service:
            return _matches_untranslated(policies, rule, peer, flow, flow.dialled)
        if profile.before_translation and _covers_service(policies, rule, flow):
            return True
        if profile.names_need_selectors and rule.ports is not None and rule.ports.names:
            return _matches_by_kind(policies, rule, peer, flow)
    if not _ports_match(policies, rule, flow, flow.coordinate):
        return False
    return rule.peers is None or any(_is_peer(policies, match, peer) for match in rule.peers)


def matched(policies: Policies, rule: Rule, peer: Endpoint, destination: Endpoint) -> TransportSet:
    """The transports with which a rule matches untranslated flows: `peer` is the end that the rule is about.

    This is `_matches` for all ports at once, and asks nothing of the pods that are not concerned.
    """
    egress, profile = rule.direction is Direction.EGRESS, policies.profile
    found = _opened_at_service(policies, rule, destination) if egress and profile.before_translation else TransportSet()
    matches = None if rule.peers is None else [match for match in rule.peers if _is_peer(policies, match, peer)]
    if matches is not None and not matches:
        return found
    if rule.ports is None:
        return TransportSet.any()
    found |= rule.ports.numbers
    beside_a_selector = matches is not None and any(isinstance(match, PodMatch) for match in matches)
    if not rule.ports.names or (egress and profile.names_need_selectors and not beside_a_selector):
        return found
    pods = policies.selection.seen_at(destination.pod, destination.address)
    if not egress and destination.pod is not None:
        pods = (destination.pod,)
    for pod in pods:
        found |= resolve(rule.ports.names, pod)
    return found


def _opened_at_service(policies: Policies, rule: Rule, destination: Endpoint) -> TransportSet:
    """What the selectors of a rule open where the destination is the cluster address of a Service."""
    service = policies.snapshot.service_of(destination.address)
    if service is None or destination.address not in service.cluster_ips:
        return TransportSet()
    selectors = (match for match in rule.peers or () if isinstance(match, PodMatch))
    covered = any(policies.selection.services.covers(match, service) for match in selectors)
    return policies.selection.services.opened(service, rule.ports) if covered else TransportSet()


def _is_peer(policies: Policies, match: PeerMatch, peer: Endpoint) -> bool:
    selection = policies.selection
    if isinstance(match, BlockMatch):
        return selection.is_peer(match, peer.pod, peer.address in match.addresses, on_node=peer.on_node)
    if selection.by_address:
        return any(selection.is_peer(match, pod, inside=False) for pod in selection.seen_at(peer.pod, peer.address))
    return selection.is_peer(match, peer.pod, inside=False)


def _matches_untranslated(
    policies: Policies, rule: Rule, peer: Endpoint, flow: Flow, dialled: tuple[Address, int]
) -> bool:
    """As where address blocks are compared with what the client dialled; selectors still see the pod behind it."""
    behind = _ports_match(policies, rule, flow, flow.coordinate)
    if rule.peers is None:
        return behind
    in_front = _ports_match(policies, rule, flow, dialled[1])
    for match in rule.peers:
        if isinstance(match, BlockMatch):
            if in_front and dialled[0] in match.addresses:
                return True
        elif behind and _is_peer(policies, match, peer):
            return True
    return False


def _matches_by_kind(policies: Policies, rule: Rule, peer: Endpoint, flow: Flow) -> bool:
    """As where a port name counts beside a selector alone; numbers count beside a block, or anybody, as ever."""
    by_number = _ports_match(policies, rule, flow, flow.coordinate, names=False)
    if rule.peers is None:
        return by_number
    by_name = _ports_match(policies, rule, flow, flow.coordinate)
    return any(
        (by_name if isinstance(match, PodMatch) else by_number) and _is_peer(policies, match, peer)
        for match in rule.peers
    )


def _covers_service(policies: Policies, rule: Rule, flow: Flow) -> bool:
    """Whether a selector of the rule stands for the Service whose address is the destination."""
    services, address = policies.selection.services, flow.destination.address
    service = flow.service or policies.snapshot.service_of(address)
    # External addresses of a Service are nobody's as far as selectors go.
    if (
        service is None
        or address in service.external_ips
        or (service.cluster_ips and address not in service.cluster_ips)
    ):
        return False
    return services.opened(service, rule.ports).contains(flow.protocol, flow.coordinate) and any(
        services.covers(match, service) for match in rule.peers or () if isinstance(match, PodMatch)
    )


def _ports_match(policies: Policies, rule: Rule, flow: Flow, coordinate: int, *, names: bool = True) -> bool:
    ports = rule.ports
    if ports is None:
        return True
    if ports.numbers.contains(flow.protocol, coordinate):
        return True
    if not ports.names or not names:
        return False
    # Port names are resolved on the destination, if that is a pod and is seen as one.
    end = flow.destination
    pods = policies.selection.seen_at(end.pod, end.address)
    if rule.direction is Direction.INGRESS and end.pod is not None:
        pods = (end.pod,)
    return any(_names(pod, name, flow.protocol, coordinate) for pod in pods for name in ports.names)


def _names(pod: Pod, wanted: NamedPort, protocol: int, number: int) -> bool:
    """Whether a container port of the pod has this name, protocol and number: what `resolve` says of one port."""
    return wanted.protocol == protocol and any(
        port.port == number and port.name == wanted.name and port.protocol == wanted.protocol.name for port in pod.ports
    )


def _disputes(side: Side) -> Iterator[str]:
    if side.outcome is not None and side.outcome.disputed:
        yield disputed_words(side.outcome.disputed)


def disputed_words(rules: Iterable[Rule]) -> str:
    """ClusterNetworkPolicySpec.Priority: where policies of one priority overlap, "the behavior is undefined"."""
    names = ", ".join(dict.fromkeys(str(rule.origin) for rule in rules))
    return f"{names} have the same tier and priority and say different things; the API does not say which counts"


def _cite(origin: Origin) -> str:
    place = str(origin.place)
    return f"{origin}" + (f" ({place})" if place else "")


def _refusal(subject: object, isolating: tuple[Origin, ...], word: str) -> str:
    every = named_apart(isolating)
    names = ", ".join(every[:4]) + (", …" if len(every) > 4 else "")
    return f"{subject} is isolated for {word} by {names}, and no rule there allows it"
