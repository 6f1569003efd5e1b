"""Not a check: what a workload is known to need, and whether its policies let it get there.

A need is a few doors, of which one is enough: the endpoints of the API server, a proxy, an agent that hands out
credentials. A workload is barred where the policies at its own end let it through none of them, each judged by itself.
A name that nobody has resolved has no door; of such it can only be said that no rule speaks of its port at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from outgate.analysis.exposure_places import Door, doors_of, passage
from outgate.analysis.groups import Group
from outgate.analysis.routes import UNASSIGNED
from outgate.checks.edit import Edit
from outgate.checks.finding import Witness
from outgate.checks.survey import Isolated, Survey
from outgate.model import Direction, NetworkPolicy
from outgate.packets import Address, Packet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import Endpoint
from outgate.policy.rules import NamesMatch

__all__ = [
    "added_rule",
    "barred",
    "denied",
    "doors_at",
    "endpoint_of",
    "forbidden",
    "leaves",
    "narrowed",
    "opening",
    "rule_to",
    "speaks_of",
]

_SCHEMES = {"http": 80, "https": 443}


def doors_at(survey: Survey, address: Address, port: int, protocol: Protocol = Protocol.TCP) -> tuple[Door, ...]:
    """What answers at an address and a port: itself, or what the Service that has the address leads to."""
    service = survey.snapshot.service_of(address)
    if service is None:
        return (Door(Endpoint.at(survey.snapshot, address), protocol, port),)
    found = (door for door in doors_of(survey.snapshot, service) if door.protocol is protocol)
    return tuple(door for door in found if door.dialled == (address, port))


def denied(survey: Survey, group: Group, doors: Iterable[Door]) -> Witness | None:
    """A packet to one of these doors that is dropped on its way out; None where any door is open, or none is there."""
    shown = None
    for door, trace in passage(survey.judge, group.pods[0], doors):
        if trace.egress.verdict.allows:
            return None
        if shown is None:
            packet = Packet(trace.flow.source.address, door.end.address, int(door.protocol), door.port)
            shown = Witness(packet, str(group), str(door.end), passes=False)
    return shown


def forbidden(survey: Survey, group: Group, doors: Iterable[Door]) -> bool:
    """Whether a rule denies a workload all of these doors, so that one more that allows would be in vain.

    That no rule allows any, is another matter.
    """
    sides = [trace.egress for _, trace in passage(survey.judge, group.pods[0], doors)]
    denying = (side.outcome.rule for side in sides if side.outcome is not None and not side.verdict.allows)
    return bool(sides) and sum(rule is not None for rule in denying) == len(sides)


def barred(survey: Survey, needs: Callable[[Group], Iterable[Door]]) -> Iterator[Isolated]:
    """Those that policies isolate for egress, narrowed to the workloads that get through none of what they need."""
    yield from narrowed(survey, Direction.EGRESS, lambda _, group: denied(survey, group, needs(group)) is not None)


def narrowed(survey: Survey, direction: Direction, keeps: Callable[[Isolated, Group], bool]) -> Iterator[Isolated]:
    """Those that policies isolate in a direction, with some of their workloads; without those that have none left."""
    for whom in survey.isolated(direction):
        groups = tuple(group for group in whom.groups if keeps(whom, group))
        if groups:
            yield dataclasses.replace(whom, groups=groups)


def speaks_of(whom: Isolated, port: int, protocol: Protocol = Protocol.TCP) -> bool:
    """Whether any rule may let a packet to that port through, whoever is there. A port name may mean any number."""
    return any(
        rule.ports is None
        or rule.ports.numbers.contains(protocol, port)
        or any(name.protocol is protocol for name in rule.ports.names)
        for rule in whom.rules
    )


def leaves(survey: Survey, whom: Isolated, port: int) -> bool:
    """Whether any rule lets TCP to that port out to any address at all that is no pod's, be it that of a name."""
    wanted = TransportSet.ports(Protocol.TCP, port)
    return any(
        (bool(survey.grid.outside_of(rule)) or any(isinstance(one, NamesMatch) for one in rule.peers or ()))
        and (rule.ports is None or bool(rule.ports.numbers & wanted))
        for rule in whom.rules
    )


def rule_to(survey: Survey, doors: Iterable[Door]) -> dict[str, object] | None:
    """An egress rule by addresses that leads through these doors.

    None where the profile's blocks match no such end, or where what is dialled has no address yet.
    """
    profile = survey.policies.profile
    found: set[tuple[Address, int]] = set()
    for door in doors:
        if door.end.isolatable or not profile.block_matches(door.end.pod, on_node=door.end.on_node):
            return None
        judged = (door.end.address, door.port)
        if profile.before_translation and door.dialled is not None:
            judged = door.dialled
        if judged[0] in UNASSIGNED.values():
            return None
        found.add(judged)
    addresses = sorted({address for address, _ in found}, key=lambda one: (one.version, one))
    if not addresses:
        return None
    return {
        "to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}} for address in addresses],
        "ports": [{"protocol": "TCP", "port": port} for port in sorted({port for _, port in found})],
    }


def opening(survey: Survey, many: Iterable[Isolated], doors: Iterable[Door]) -> tuple[Edit, ...]:
    """One more egress rule that leads through these doors, for exactly these workloads.

    It goes into policies that select by labels, and nobody but them; nothing, where one of them has none such, or where
    it would be in vain for all of them.
    """
    everybody, ways = list(many), tuple(doors)
    rule = rule_to(survey, ways)
    if rule is None or all(forbidden(survey, group, ways) for one in everybody for group in one.groups):
        return ()
    wanted = {id(group) for one in everybody for group in one.groups}
    found: dict[str, NetworkPolicy] = {}
    for one in everybody:
        own = [
            policy
            for policy in one.own
            if policy.pods and all(id(group) in wanted for group in survey.selected_groups(policy))
        ]
        if not own:
            return ()
        found[str(own[0])] = own[0]
    return tuple(edit for policy in found.values() for edit in added_rule(policy, rule))


def added_rule(policy: NetworkPolicy, rule: dict[str, object]) -> tuple[Edit, ...]:
    """One more egress rule in a policy."""
    spec = policy.place / "spec"
    if policy.egress:
        return (Edit.add_item(spec / "egress", rule),)
    value = policy.place.document.value
    assert isinstance(value, dict)
    if "egress" in value.get("spec", {}):
        return (Edit.replace(spec / "egress", [rule]),)
    return (Edit.add_key(spec, "egress", [rule]),)


def endpoint_of(url: str) -> tuple[str, int]:
    """The host and the port that a URL names; 0 where it names none and its scheme has none of its own."""
    scheme, found, rest = url.partition("://")
    host = rest if found else scheme
    port = _SCHEMES.get(scheme.lower(), 0) if found else 0
    name, colon, number = host.rpartition(":")
    # The colons within the brackets of an IPv6 address end no host.
    if colon and number.isascii() and number.isdigit() and not (name.startswith("[") and not name.endswith("]")):
        host, port = name, int(number)
    return host.removeprefix("[").removesuffix("]").lower(), port if port in PORTS else 0
