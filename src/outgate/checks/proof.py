"""Not a check: packets that prove what a check says.

A witness is judged before it is shown: a packet that the policies would treat otherwise than the finding says is no
proof, and is left out.
"""

from __future__ import annotations

from outgate.analysis.groups import Group
from outgate.checks.finding import Witness
from outgate.checks.survey import Section, Survey
from outgate.model import Pod
from outgate.packets import AddressSet, IntervalSet, Packet, PacketSet, Protocol, TransportSet
from outgate.packets.special import INTERNET_V4, INTERNET_V6
from outgate.policy import Endpoint, Flow

__all__ = ["between_pods", "beyond", "dropped", "sample_outside"]

_WELL_KNOWN = TransportSet.ports(Protocol.TCP, IntervalSet.of((80, 80), (443, 443)))
_INTERNET = INTERNET_V4.addresses | INTERNET_V6.addresses


def beyond(survey: Survey, group: Group, packets: PacketSet, *, passes: bool = True) -> Witness | None:
    """One of these packets from a workload to an address outside; None where there is none that fares so."""
    pod = group.pods[0]
    families = AddressSet.union_of(AddressSet.whole(one.version) for one in pod.addresses)
    # A port that readers know says more than the lowest one.
    known = PacketSet.cube(families, _WELL_KNOWN)
    found = (packets & known).witness() or packets.restrict(families).witness()
    if found is None:
        return None
    address, protocol, coordinate = found
    source = Endpoint.of_pod(pod, address.version)
    if source is None:
        return None
    flow = Flow(source, Endpoint.at(survey.snapshot, address), protocol, coordinate)
    if survey.judge.verdicts(flow)[0] is not passes:
        return None
    return Witness(Packet(source.address, address, protocol, coordinate), str(group), str(address), passes)


def between_pods(survey: Survey, source: Pod, destination: Pod, protocol: Protocol, port: int) -> Witness | None:
    """A packet between two pods, and how it fares; None where they have no family in common."""
    for family in (4, 6):
        here, there = Endpoint.of_pod(source, family), Endpoint.of_pod(destination, family)
        if here is not None and there is not None:
            passes = all(survey.judge.verdicts(Flow(here, there, int(protocol), port)))
            packet = Packet(here.address, there.address, int(protocol), port)
            return Witness(packet, str(source), str(destination), passes)
    return None


def dropped(source: Pod, destination: Pod, protocol: Protocol, port: int) -> Witness | None:
    """A packet that is known not to arrive: sets of packets have shown it already. None without a common family."""
    for family in (4, 6):
        here, there = Endpoint.of_pod(source, family), Endpoint.of_pod(destination, family)
        if here is not None and there is not None:
            packet = Packet(here.address, there.address, int(protocol), port)
            return Witness(packet, str(source), str(destination), passes=False)
    return None


def sample_outside(survey: Survey, section: Section) -> Witness | None:
    """A packet to the internet that an egress rule lets out; None where it selects nobody or lets nothing there."""
    groups = survey.selected_groups(section.policy)
    if not groups or not section.counts:
        return None
    packets = survey.policies.packets_of(survey.rule_of(section)).restrict(_INTERNET)
    return beyond(survey, groups[0], packets)
