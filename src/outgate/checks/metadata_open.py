"""A metadata service within a wide rule.

What it does:
    Finds egress rules for address blocks, or for nobody in particular, that let workloads reach the metadata service
    of a cloud on the ports that it has. It names the addresses, and which clouds they are of.

Why it matters:
    Whoever may send a packet to 169.254.169.254 may ask for the credentials of the machine. A rule for "the internet"
    contains that address, also one that leaves out the private networks, and contains those of other clouds, some of
    which are public or in ranges that nobody thinks of.

Example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]
          ports:
            - {protocol: TCP, port: 80}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

Fixed example:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: internet, namespace: shop}
    spec:
      podSelector: {}
      policyTypes: [Egress]
      egress:
        - to:
            - ipBlock:
                cidr: 0.0.0.0/0
                except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16, 192.0.0.0/24]
          ports:
            - {protocol: TCP, port: 80}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: main, image: app}]}

When to ignore:
    Where the machines are of no cloud, or their metadata service is closed to pods by other means (on AWS, a hop
    limit of 1), and that is tested.

References:
    - https://attack.mitre.org/techniques/T1552/005/
    - https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

from collections.abc import Iterator

from outgate.analysis.exposure_metadata import CloudAddress, opened
from outgate.checks.check import Check
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.model import BlockPeer, Direction, Place
from outgate.packets import AddressSet, PacketSet, TransportSet

__all__ = ["CHECK", "metadata_within"]

_NEEDED = ("EKS Pod Identity agent", "WireServer")
"""What workloads are meant to reach, and what has a check of its own (azure-wireserver)."""


def _find(survey: Survey) -> Iterator[Finding]:
    for section in survey.sections(Direction.EGRESS):
        places = metadata_within(survey, section) if section.counts else ()
        if not places:
            continue
        first = places[0]
        groups = survey.selected_groups(section.policy)
        packets = PacketSet.cube(AddressSet.of((first.address,)), first.ports)
        clouds = dict.fromkeys(cloud for place in places for cloud in place.providers)
        yield Finding(
            CHECK.name,
            CHECK.severity,
            f"{section} lets {survey.whom(section.policy)} reach the metadata service at "
            f"{some([place.address for place in places], 2)} ({some(list(clouds))})",
            subject_of(section.policy),
            _place(section, first),
            (),
            beyond(survey, groups[0], packets) if groups else None,
            f"except {some([f'{one.address}/{one.address.max_prefixlen}' for one in places], 9)} in this rule",
        )


def metadata_within(survey: Survey, section: Section) -> tuple[CloudAddress, ...]:
    """The metadata services that one rule opens, on ports that they have."""
    rule = survey.rule_of(section)
    ports = TransportSet.any() if rule.ports is None else rule.ports.numbers
    packets = PacketSet.cube(survey.grid.outside_of(rule), ports)
    groups = survey.selected_groups(section.policy) if survey.snapshot.cluster_policies else ()
    if groups:
        # What a policy of the whole cluster denies all of them, this rule does not open.
        passing = PacketSet.none()
        for group in groups:
            passing |= survey.grid.outside(group.identity, Direction.EGRESS)
        packets = packets & passing
    return tuple(
        one.place
        for one in opened(packets)
        if one.exposes_metadata
        and one.transports & one.place.ports
        and not any(what in _NEEDED for _, what in one.place.what)
    )


def _place(section: Section, where: CloudAddress) -> Place:
    for peer in section.rule.peers:
        if isinstance(peer, BlockPeer) and where.address in AddressSet.network(peer.cidr):
            return peer.place
    return section.place


CHECK = Check("metadata-open", Severity.WARNING, _find, __doc__)
