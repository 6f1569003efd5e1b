"""Exposure against the slow evaluator: random clusters, and pods that are made for the question.

The outside addresses of random clusters lie in documentation blocks, which are no part of the internet. Here they are
moved to blocks that are, so that rules open and close parts of it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outgate.analysis.exposure import Exposure, ExposureReport, Finding, exposure
from outgate.analysis.exposure_metadata import CLOUD_ADDRESSES
from outgate.analysis.exposure_outside import Share
from outgate.analysis.exposure_places import Reach
from outgate.model import Direction, NetworkPolicy, Pod, Snapshot
from outgate.packets import Address, Protocol, TransportSet
from outgate.policy import Origin
from outgate.testing import Manifest, namespace, pod, random_cluster, snapshot_of
from tests.laws.reference import Reference
from tests.laws.test_connections import PORTS, PROTOCOLS, SEEDS, owned, reference_of

_MOVED = (("203.0.113.", "8.8.113."), ("2001:db8:", "2600:db8:"))
_OUTSIDE = tuple(
    ipaddress.ip_address(text)
    for text in (
        *("8.8.112.255", "8.8.113.0", "8.8.113.15", "8.8.113.16", "8.8.113.20", "8.8.113.21", "8.8.113.31"),
        *("8.8.113.32", "8.8.113.127", "8.8.113.128", "8.8.113.255", "8.8.114.0", "1.0.0.0", "11.0.0.0", "9.9.9.9"),
        *("100.64.0.1", "172.16.0.1", "198.51.100.1", "239.0.0.1", "10.1.0.9", "10.1.0.100", "192.168.50.99"),
        *("2600:db8::", "2600:db8:1::20", "2600:db8:1:ffff::1", "2600:db8:2::", "2600:db9::", "2000::", "fd00:1::99"),
        *("64:ff9b::101:101", "fe80::1", "::2", "ffff::1"),
    )
)


def cluster(seed: int) -> list[Manifest]:
    """A random cluster whose rules speak of the internet."""
    text = json.dumps(random_cluster(seed))
    for documentation, real in _MOVED:
        text = text.replace(documentation, real)
    made: list[Manifest] = json.loads(text)
    return made


def with_pods(report: ExposureReport) -> Iterator[tuple[Exposure, Pod, Mapping[int, Address]]]:
    """Each pod that policies apply to, with its address of each family."""
    for one in report.workloads:
        for each in one.group.pods:
            if not each.host_network:
                yield one, each, {address.version: address for address in reversed(each.addresses)}


def ask(slow: Reference, source: Address, there: Address, transports: TransportSet) -> None:
    """Whether what is said to pass is what the slow evaluator lets pass, at every border of a rule."""
    for protocol in PROTOCOLS:
        for port in PORTS:
            expected = slow.allows_egress(source, there, protocol.name, port)
            assert transports.contains(protocol, port) == expected, (source, there, protocol.name, port)


@given(SEEDS)
def test_ranges_are_the_reference(seed: int) -> None:
    """An address outside is in one part of one range at most, with exactly the ports that pass to it."""
    manifests = cluster(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow = reference_of(manifests, snapshot)
    taken = {address for each in snapshot.endpoints for address in each.addresses}
    some = random.Random(seed).sample(_OUTSIDE, 5)
    for one, _, mine in with_pods(exposure(snapshot)):
        for there in (address for address in some if address.version in mine and address not in taken):
            found = [
                transports
                for each in one.standing.outside.ranges
                for addresses, transports in each.parts
                if there in addresses
            ]
            assert len(found) <= 1
            ask(slow, mine[there.version], there, found[0] if found else TransportSet())


@given(SEEDS)
def test_shares_are_what_they_are_called(seed: int) -> None:
    """Whole is every address, none is no address, and the rest is counted."""
    for one in exposure(owned(snapshot_of(cluster(seed)), seed)).workloads:
        for each in one.standing.outside.ranges:
            size, reached = each.range.addresses.size(), each.addresses.size()
            expected = {
                Share.WHOLE: reached == size,
                Share.MOST: size < 2 * reached < 2 * size,
                Share.SOME: 0 < 2 * reached <= size,
                Share.NONE: reached == 0,
            }
            assert [share for share, holds in expected.items() if holds] == [each.share]


@given(SEEDS)
def test_clouds_are_the_reference(seed: int) -> None:
    """Addresses of the table, and nodes: a miss here is a credential that somebody takes."""
    manifests = cluster(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow, report = reference_of(manifests, snapshot), exposure(snapshot)
    some = random.Random(seed).sample(CLOUD_ADDRESSES, 5)
    for one, _, mine in with_pods(report):
        clouds = {each.place.address: each.transports for each in one.standing.outside.clouds}
        for place in (each for each in some if each.address.version in mine):
            ask(slow, mine[place.address.version], place.address, clouds.get(place.address, TransportSet()))
        reached = set()
        for name, addresses in report.nodes.items():
            for there in (ipaddress.ip_address(network[0]) for network in addresses.networks()):
                if there.version in mine and anything(slow, mine[there.version], there, egress_alone=True):
                    reached.add(name)
        nodes = one.standing.outside.nodes
        if report.nodes:
            assert set(nodes.names) == reached
            assert nodes.reach is (Reach.YES if reached else Reach.NO)


def anything(slow: Reference, source: Address, there: Address, *, egress_alone: bool = False) -> bool:
    """Whether any port passes; at both ends, unless the other is no pod."""
    return any(
        slow.allows_egress(source, there, protocol.name, port)
        and (egress_alone or slow.allows_ingress(source, there, protocol.name, port))
        for protocol in PROTOCOLS
        for port in PORTS
    )


@given(SEEDS)
def test_namespaces_are_the_reference(seed: int) -> None:
    """A namespace is reached if a pod of it is; what hangs on a common node alone is left out, as in the list."""
    manifests = cluster(seed)
    snapshot = owned(snapshot_of(manifests), seed)
    slow = reference_of(manifests, snapshot)
    standings = {each.key: one.standing for one in exposure(snapshot).workloads for each in one.group.pods}
    sure: dict[tuple[str, str], set[str]] = {key: set() for key in standings}
    tied: dict[tuple[str, str], set[str]] = {key: set() for key in standings}
    coming: dict[tuple[str, str], set[str]] = {key: set() for key in standings}
    for source in snapshot.endpoints:
        for other in snapshot.endpoints:
            same_node = bool(source.node) and source.node == other.node
            pairs = [(a, b) for a in source.addresses for b in other.addresses if a.version == b.version]
            if source.namespace != other.namespace and any(anything(slow, *pair) for pair in pairs):
                by_node = same_node and (source.host_network or other.host_network)
                (tied if by_node else sure)[source.key].add(other.namespace)
                coming[other.key] |= set() if by_node else {source.namespace}
    for key, standing in standings.items():
        assert sure[key] <= set(standing.neighbours.reaches) <= sure[key] | tied[key], key
    for key, standing in standings.items():
        expected = {other[0] for other, one in standings.items() if key[0] in one.neighbours.reaches}
        assert coming[key] <= set(standing.neighbours.reached_from) <= expected


@given(SEEDS, st.randoms(use_true_random=False))
def test_openings_are_the_reference(seed: int, chance: random.Random) -> None:
    """A pod is made and asked about: it gets through if and only if an opening matches it, on exactly those ports."""
    manifests = cluster(seed)
    stranger, spaces = a_stranger(chance)
    snapshot = owned(snapshot_of(manifests), seed)
    report = exposure(snapshot)
    # The namespace of that name is replaced, as anybody may label one that he makes.
    names = {one["metadata"]["name"] for one in spaces}
    kept = [one for one in manifests if one["kind"] != "Namespace" or one["metadata"]["name"] not in names]
    after = [*kept, *spaces, stranger]
    labels = snapshot_of(after).namespace(stranger["metadata"]["namespace"]).labels
    slow = Reference(after, {each.key: list(each.addresses) for each in snapshot.endpoints})
    theirs = [ipaddress.ip_address(one["ip"]) for one in stranger["status"]["podIPs"]]
    for one, _, mine in with_pods(report):
        for there in (address for address in theirs if address.version in mine):
            here = mine[there.version]
            out = passed(one, Direction.EGRESS, labels, stranger, there)
            let_in = passed(one, Direction.INGRESS, labels, stranger, there)
            for protocol in PROTOCOLS:
                for port in PORTS:
                    expected = slow.allows_egress(here, there, protocol.name, port)
                    assert out.contains(protocol, port) == expected, (here, there, protocol.name, port)
                    expected = slow.allows_ingress(there, here, protocol.name, port)
                    assert let_in.contains(protocol, port) == expected, (there, here, protocol.name, port)


def a_stranger(chance: random.Random) -> tuple[Manifest, list[Manifest]]:
    """A pod that is in no random cluster, in one of its namespaces or a new one."""
    space = chance.choice(("alpha", "beta", "delta"))
    labels = {
        key: chance.choice(values) for key, values in {"app": ("web", "db", "", "new"), "tier": ("front", "x")}.items()
    }
    labels = {key: value for key, value in labels.items() if chance.random() < 0.7}
    ports = [
        {
            "name": chance.choice(("http", "dns", "web")),
            "containerPort": chance.choice((80, 53, 8081)),
            "protocol": word,
        }
        for word in ("TCP", "UDP")
    ]
    addresses = chance.choice((["10.1.0.13", "fd00:1::d"], ["8.8.113.20", "2600:db8:1::20"], ["10.9.9.9", "fd00:9::9"]))
    # Addresses that no pod of the cluster has: theirs end before .18.
    addresses = [one.replace("10.1.0.13", "10.1.0.200").replace("fd00:1::d", "fd00:1::c8") for one in addresses]
    spaces = [namespace(space, team=chance.choice(("red", "blue", "green")))] if chance.random() < 0.7 else []
    return pod(f"{space}/stranger", addresses, ports=ports, labels=labels), spaces


def passed(
    one: Exposure, direction: Direction, labels: Mapping[str, str], stranger: Mapping[str, Any], there: Address
) -> TransportSet:
    """What the openings let through to or from a pod."""
    found = TransportSet()
    for opening in one.standing.openings[direction]:
        if opening.matches(labels, stranger["metadata"]["labels"], [there]):
            found |= opening.transports
            for name in opening.names:
                for port in stranger["spec"]["containers"][0]["ports"]:
                    if (port["name"], port["protocol"]) == (name.name, name.protocol.name):
                        found |= TransportSet.ports(Protocol(name.protocol), port["containerPort"])
    return found


@given(SEEDS)
def test_no_opening_is_in_another(seed: int) -> None:
    """What another opening says already is noise."""
    for one in exposure(snapshot_of(cluster(seed))).workloads:
        for many in one.standing.openings.values():
            for place, opening in enumerate(many):
                assert not any(other.contains(opening) for at, other in enumerate(many) if at != place)


@given(SEEDS)
def test_without_the_rules_to_blame_it_is_closed(seed: int) -> None:
    """Blame is neither empty nor too little: take those rules away, and nothing of it is left."""
    snapshot = owned(snapshot_of(cluster(seed)), seed)
    for one in exposure(snapshot).workloads:
        standing = one.standing
        if not standing.isolated[Direction.EGRESS]:
            assert not any(each.origins for each in standing.outside.ranges)
            continue
        pods = {each.key for each in one.group.pods}
        for each in standing.outside.ranges:
            assert bool(each.origins) == bool(each.parts)
            if each.parts:
                left = exposure(snapshot.with_policies(without(snapshot, each.origins)))
                (after,) = {
                    id(x.standing): x.standing for x in left.workloads if pods & {p.key for p in x.group.pods}
                }.values()
                (same,) = [x for x in after.outside.ranges if x.range == each.range]
                assert same.share is Share.NONE


@given(SEEDS)
def test_each_rule_to_blame_for_a_namespace_would_do_alone(seed: int) -> None:
    """With all of them gone nothing is reached, and with one of them left something is."""
    snapshot = owned(snapshot_of(cluster(seed)), seed)
    report = exposure(snapshot)
    for one in report.workloads:
        blamed = one.standing.neighbours.out_by
        if blamed:
            key = one.group.pods[0].key
            assert not reached_by(snapshot.with_policies(without(snapshot, blamed)), key)
            for origin in blamed:
                assert reached_by(snapshot.with_policies(with_one(snapshot, origin)), key), str(origin)


def with_one(snapshot: Snapshot, origin: Origin) -> Iterator[NetworkPolicy]:
    """The policies with one egress rule among them."""
    for policy in snapshot.policies:
        mine = (policy.namespace, policy.name) == (origin.namespace, origin.name)
        kept = tuple(rule for index, rule in enumerate(policy.egress) if mine and index == origin.rule)
        yield dataclasses.replace(policy, egress=kept)


def reached_by(snapshot: Snapshot, key: tuple[str, str]) -> tuple[str, ...]:
    """The namespaces that the workload of a pod reaches."""
    (found,) = (one for one in exposure(snapshot).workloads if key in {each.key for each in one.group.pods})
    return found.standing.neighbours.reaches


def without(snapshot: Snapshot, origins: tuple[Origin, ...]) -> Iterator[NetworkPolicy]:
    """The policies, less some of their egress rules."""
    gone = {(origin.namespace, origin.name, origin.rule) for origin in origins}
    for policy in snapshot.policies:
        rules = enumerate(policy.egress)
        kept = tuple(rule for index, rule in rules if (policy.namespace, policy.name, index) not in gone)
        yield dataclasses.replace(policy, egress=kept)


@given(SEEDS)
def test_the_order_is_that_of_findings(seed: int) -> None:
    """No workload stands before one that has the first finding in which they differ."""
    report = exposure(owned(snapshot_of(cluster(seed)), seed))
    ranks = [[finding in one.standing.findings for finding in Finding] for one in report.workloads]
    assert ranks == sorted(ranks, reverse=True)
