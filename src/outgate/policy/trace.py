"""One packet through the policies, with reasons.

`judge` answers a flow on both ends, egress first, by asking each rule in turn: an independent reading of
the same rules that `decide` turns into sets, and much cheaper for one question. A test holds the two
against each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from outgate.model import Direction, Pod
from outgate.packets import Address, Protocol, TransportSet
from outgate.policy.decide import Policies
from outgate.policy.endpoints import LOOPBACK, TO_MANY, Endpoint
from outgate.policy.profile import Profile
from outgate.policy.rules import BlockMatch, NamedPort, Origin, PeerMatch, Rule, Verdict
from outgate.policy.selection import resolve

__all__ = ["Flow", "Judge", "Side", "Trace", "judge", "matched", "unstoppable"]

_GOVERNED = frozenset({Protocol.TCP, Protocol.UDP, Protocol.SCTP})


@dataclass(frozen=True, slots=True)
class Flow:
    """A new connection, as policy sees it: after service translation.

    `coordinate` is a destination port, or ``type * 256 + code`` for ICMP. `dialled` is the address and port that
    the client used where that was a Service's; open points of the API hang on it.
    """

    source: Endpoint
    destination: Endpoint
    protocol: int
    coordinate: int = 0
    dialled: tuple[Address, int] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """The verdict of one end."""

    direction: Direction
    verdict: Verdict
    isolated: bool
    decided_by: Origin | None
    reason: str
    isolated_by: tuple[Origin, ...] = ()


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
        points = tuple(point for point in self._open_points(flow, egress, ingress, verdict))
        return Trace(flow, egress, ingress, not points, points)

    def _open_points(self, flow: Flow, egress: Side, ingress: Side, verdict: bool) -> Iterator[str]:
        # A side that no policy decided (not isolated, or exempt) is open to no reading.
        judged = egress.decided_by is not None or ingress.decided_by is not None
        if judged and flow.protocol not in _GOVERNED:
            # concept page: "[...] for other protocols (such as ARP or ICMP) is undefined"
            yield "NetworkPolicy defines TCP, UDP and SCTP alone; other protocols are up to the network plugin"
        if judged and flow.destination.address in TO_MANY:
            yield "NetworkPolicy does not speak of multicast and broadcast; they are up to the network plugin"
        for profile, words in _readings_touched(self.policies.profile, flow):
            other = self._readings.get(profile)
            if other is None:
                other = self._readings[profile] = Policies(self.policies.snapshot, profile)
            sides = (_side(other, flow, direction) for direction in Direction)
            if all(side.verdict.allows for side in sides) != verdict:
                yield words


def judge(policies: Policies, flow: Flow) -> Trace:
    """One flow. Keep a `Judge` to ask many."""
    return Judge(policies).judge(flow)


def _readings_touched(profile: Profile, flow: Flow) -> Iterator[tuple[Profile, str]]:
    """The other readings of the open points that this flow touches, with the words for each."""
    turn = dataclasses.replace
    source, destination = flow.source, flow.destination
    if flow.dialled is not None:
        yield (
            turn(profile, blocks_see_service=not profile.blocks_see_service),
            "whether address blocks see the service address or the endpoint behind it is up to the network plugin",
        )
        if source.pod is not None and source.pod == destination.pod:
            yield (
                turn(profile, hairpin_exempt=not profile.hairpin_exempt),
                "whether policy applies to a pod that reaches itself through a Service is up to the network plugin",
            )
    if _is_own_node(source, destination):
        yield (
            turn(profile, own_node_exempt=not profile.own_node_exempt),
            "whether a pod may always reach its own node is read both ways by network plugins",
        )
    if any(end.pod is not None and end.pod.host_network for end in (source, destination)):
        # concept page: the behaviour "is undefined, but it should be limited to 2 possibilities": told apart and
        # treated as any pod, as subject and as peer alike, or not told apart from the node.
        other = not profile.host_network_selected
        yield (
            turn(profile, host_network_isolated=other, host_network_selected=other),
            "whether policies treat host-network pods as pods or as their node is up to the network plugin",
        )
    if any(end.pod is not None and not end.pod.addressed for end in (source, destination)):
        yield (
            turn(profile, stand_ins_in_blocks=not profile.stand_ins_in_blocks),
            "the input gives the pod no address, so whether an address block covers it is not known",
        )


def _is_own_node(source: Endpoint, destination: Endpoint) -> bool:
    if source.pod is None or (destination.pod is not None and not destination.pod.host_network):
        return False
    node = destination.node.name if destination.node is not None else ""
    if destination.pod is not None:
        node = destination.pod.node
    return bool(node) and node == source.pod.node


def _side(policies: Policies, flow: Flow, direction: Direction) -> Side:
    subject, peer = (
        (flow.source, flow.destination) if direction is Direction.EGRESS else (flow.destination, flow.source)
    )
    allow = Verdict.ALLOW
    pod = subject.pod
    if pod is None:
        return Side(direction, allow, False, None, f"{subject} is not a pod: no NetworkPolicy applies to it")
    isolation = policies.isolation(pod, direction)
    word = direction.value.lower()
    if not isolation.policies:
        what = "is on the host network, where policies do not apply" if pod.host_network else ""
        reason = f"{pod} {what}" if what else f"no policy selects {pod} for {word}"
        return Side(direction, allow, False, None, reason)
    isolating = isolation.origins
    exemption = _exemption(policies, subject, peer, flow.dialled is not None, direction)
    if exemption:
        return Side(direction, allow, True, None, exemption, isolating)
    for rule in isolation.rules:
        if _matches(policies, rule, peer, flow):
            return Side(direction, allow, True, rule.origin, f"allowed by {_cite(rule.origin)}", isolating)
    return Side(direction, Verdict.DENY, True, isolating[0], _refusal(pod, isolating, word), isolating)


def unstoppable(policies: Policies, source: Endpoint, destination: Endpoint) -> str:
    """Why no policy, whatever it says, can come between two ends; empty where one can."""
    for direction, subject, peer in (
        (Direction.EGRESS, source, destination),
        (Direction.INGRESS, destination, source),
    ):
        if subject.pod is not None and (subject.isolatable or policies.profile.host_network_isolated):
            reason = _exemption(policies, subject, peer, translated=False, direction=direction)
            if reason:
                return reason
    return ""


def _exemption(policies: Policies, subject: Endpoint, peer: Endpoint, translated: bool, direction: Direction) -> str:
    """Why policy does not stand between these two at all; empty where it does."""
    pod = subject.pod
    if pod is None:
        return ""
    # The address of a host-network pod is its node's and says nothing about which pod is meant.
    itself = peer.pod == pod if pod.host_network else peer.address in pod.addresses
    if itself and (not translated or policies.profile.hairpin_exempt):
        return "a pod always reaches itself"
    if direction is Direction.EGRESS and peer.address in LOOPBACK:
        return "loopback never leaves the pod, which always reaches itself"
    if not _is_own_node(subject, peer) or (peer.pod is not None and policies.profile.host_network_selected):
        return ""
    if direction is Direction.INGRESS:
        return f"{peer} is the node of {pod}, which may always reach it"
    return f"{peer} is the node of {pod}, which it may always reach" if policies.profile.own_node_exempt else ""


def _matches(policies: Policies, rule: Rule, peer: Endpoint, flow: Flow) -> bool:
    names = _names_count(policies.profile, rule.direction, flow.destination)
    translated = flow.dialled is not None and rule.direction is Direction.EGRESS
    if translated and policies.profile.blocks_see_service and flow.dialled is not None:
        return _matches_untranslated(policies, rule, peer, flow, flow.dialled, names=names)
    if not _ports_match(rule, flow, flow.coordinate, names=names):
        return False
    return rule.peers is None or any(_is_peer(policies, match, peer) for match in rule.peers)


def matched(policies: Policies, rule: Rule, peer: Endpoint, destination: Endpoint) -> TransportSet:
    """The transports with which a rule matches untranslated flows: `peer` is the end that the rule is about.

    This is `_matches` for all ports at once, and asks nothing of the pods that are not concerned.
    """
    if rule.peers is not None and not any(_is_peer(policies, match, peer) for match in rule.peers):
        return TransportSet()
    if rule.ports is None:
        return TransportSet.any()
    pod = destination.pod
    if not rule.ports.names or pod is None or not _names_count(policies.profile, rule.direction, destination):
        return rule.ports.numbers
    return rule.ports.numbers | resolve(rule.ports.names, pod)


def _is_peer(policies: Policies, match: PeerMatch, peer: Endpoint) -> bool:
    inside = isinstance(match, BlockMatch) and peer.address in match.addresses
    return policies.selection.is_peer(match, peer.pod, inside)


def _matches_untranslated(
    policies: Policies, rule: Rule, peer: Endpoint, flow: Flow, dialled: tuple[Address, int], *, names: bool
) -> bool:
    """As where address blocks are compared with what the client dialled; selectors still see the pod behind it."""
    behind = _ports_match(rule, flow, flow.coordinate, names=names)
    if rule.peers is None:
        return behind
    in_front = _ports_match(rule, flow, dialled[1], names=names)
    for match in rule.peers:
        if isinstance(match, BlockMatch):
            if in_front and dialled[0] in match.addresses:
                return True
        elif behind and policies.selection.is_peer(match, peer.pod, inside=False):
            return True
    return False


def _names_count(profile: Profile, direction: Direction, destination: Endpoint) -> bool:
    """Whether port names can be resolved on the destination: it must be a pod, and be seen as one."""
    pod = destination.pod
    if pod is None:
        return False
    return direction is Direction.INGRESS or not pod.host_network or profile.host_network_selected


def _ports_match(rule: Rule, flow: Flow, coordinate: int, *, names: bool) -> bool:
    if rule.ports is None:
        return True
    if rule.ports.numbers.contains(flow.protocol, coordinate):
        return True
    pod = flow.destination.pod
    return names and pod is not None and any(_names(pod, name, flow.protocol, coordinate) for name in rule.ports.names)


def _names(pod: Pod, wanted: NamedPort, protocol: int, number: int) -> bool:
    """Whether a container port of the pod has this name, protocol and number: what `resolve` says of one port."""
    return wanted.protocol == protocol and any(
        port.port == number and port.name == wanted.name and port.protocol == wanted.protocol.name for port in pod.ports
    )


def _cite(origin: Origin) -> str:
    place = str(origin.place)
    return f"{origin}" + (f" ({place})" if place else "")


def _refusal(subject: object, isolating: tuple[Origin, ...], word: str) -> str:
    names = ", ".join(origin.name for origin in isolating[:4]) + (", …" if len(isolating) > 4 else "")
    return f"{subject} is isolated for {word} by {names}, and no rule there allows it"
