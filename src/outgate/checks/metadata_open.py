"""A metadata service within a wide rule.

What it does:
    Finds egress rules for address blocks, or for nobody in particular, that let workloads reach the metadata service
    of a cloud on the ports that it has. It names the addresses, and which clouds they are of. Of Cilium's policies that
    is also `toEntities: [world]`, of those of the whole cluster a rule that accepts; what is denied before does not
    count.

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

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES, CloudAddress, CloudUse, opened
from outgate.analysis.groups import Group
from outgate.checks.check import Check
from outgate.checks.clauses import allowances, opened_by, opened_to
from outgate.checks.finding import Finding, Severity
from outgate.checks.proof import beyond
from outgate.checks.survey import Section, Survey, some, subject_of
from outgate.checks.written import Written
from outgate.model import BlockPeer, ClusterPolicy, NetworkPolicy, Place
from outgate.model.cilium import EntityPeer
from outgate.packets import AddressSet, PacketSet
from outgate.policy.requests import Request, lets_request
from outgate.policy.rules import Conditions

__all__ = ["CHECK", "metadata_within"]

_NEEDED = ("EKS Pod Identity agent", "WireServer")
"""What workloads are meant to reach, and what has a check of its own (azure-wireserver)."""


_PATHS = (
    "/",
    "/latest/meta-data/",
    "/latest/api/token",
    "/metadata/instance",
    "/computeMetadata/v1/",
    "/opc/v2/instance/",
)
"""What is asked for there: by AWS and its likes, Azure, Google and Oracle."""
_PLACES = tuple(
    one for one in CLOUD_ADDRESSES if one.use is CloudUse.METADATA and not any(what in _NEEDED for _, what in one.what)
)
_WANTED = PacketSet.union_of((AddressSet.of((one.address,)), one.ports) for one in _PLACES)
"""What such a service is asked by, on the ports that it has."""


def _find(survey: Survey) -> Iterator[Finding]:
    for written in allowances(survey):
        packets, groups = opened_by(survey, written, _WANTED, _may_ask)
        places = _metadata_of(packets)
        if places:
            yield _finding(survey, written, places, groups)


def _finding(
    survey: Survey, written: Written, places: tuple[CloudAddress, ...], groups: Mapping[Group, PacketSet]
) -> Finding:
    first = places[0]
    shown = PacketSet.cube(AddressSet.of((first.address,)), first.ports)
    group = next((one for one, packets in groups.items() if packets & shown), None)
    who = some(list(groups)) if groups else survey.whom(written.policy)
    blocks = some([f"{one.address}/{one.address.max_prefixlen}" for one in places], 9)
    if isinstance(written.policy, NetworkPolicy):
        advice = f"except {blocks} in this rule"
    elif isinstance(written.policy, ClusterPolicy):
        # ClusterNetworkPolicyEgressPeer.networks: a block has no exceptions there, and rules have an order.
        advice = f"a rule before this one that denies {blocks}"
    else:
        # An entity has no exceptions, and a denial is before every allowance.
        advice = f"egressDeny with toCIDR {blocks}, or except them in toCIDRSet"
    return Finding(
        CHECK.name,
        CHECK.severity,
        f"{written} lets {who} reach the metadata service at "
        f"{some([place.address for place in places], 2)} ({some(_clouds(places))})",
        subject_of(written.policy),
        _peer_place(written.peers, first) or written.place,
        (),
        beyond(survey, group, groups[group] & shown) if group is not None else None,
        advice,
    )


def _may_ask(asked: Conditions | None) -> bool:
    """Whether a request for credentials may meet what a rule asks for. No such service speaks TLS or answers for DNS.

    Whom a request is for and its headers are the pod's own choice; its method and path are the service's.
    """
    if asked is None:
        return True
    entries = [dataclasses.replace(one, host="", headers=()) for one in asked.http]
    wanted = (Request(method, path, "metadata") for method in ("GET", "PUT") for path in _PATHS)
    return bool(entries) and any(lets_request(entries, one) is not False for one in wanted)


def metadata_within(survey: Survey, section: Section) -> tuple[CloudAddress, ...]:
    """The metadata services that one rule opens, on ports that they have, to any workload that it is about."""
    packets, _ = opened_to(survey, section.policy, survey.rule_of(section), _WANTED)
    return _metadata_of(packets)


def _metadata_of(packets: PacketSet) -> tuple[CloudAddress, ...]:
    return tuple(one.place for one in opened(packets) if one.exposes_metadata and one.place in _PLACES)


def _peer_place(peers: Iterable[object], where: CloudAddress) -> Place | None:
    for peer in peers:
        if isinstance(peer, BlockPeer) and where.address in AddressSet.network(peer.cidr):
            return peer.place
        if isinstance(peer, EntityPeer) and peer.name in {"all", "world"}:
            return peer.place
    return None


def _clouds(places: Iterable[CloudAddress]) -> list[str]:
    return list(dict.fromkeys(cloud for place in places for cloud in place.providers))


CHECK = Check("metadata-open", Severity.WARNING, _find, __doc__)
