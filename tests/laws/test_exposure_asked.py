"""What exposure says is asked, against the slow evaluator of Cilium's policies: random clusters, and pods made for it.

The evaluator answers of each packet whether it passes, does not, or passes on a condition alone. What the report says
is asked of a port has to be that, on every address outside, on nodes, between namespaces and of pods that do not exist.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.analysis.exposure import Exposure, exposure
from outgate.analysis.exposure_strangers import Opening
from outgate.analysis.on_condition import Asked, Conditional
from outgate.model import Direction, Snapshot
from outgate.model.cilium import ACCOUNT_LABEL
from outgate.packets import Address, Protocol, TransportSet
from outgate.testing import snapshot_of
from tests.laws.reference_cilium import Answer, CiliumReference
from tests.laws.test_cilium import EXAMPLES, SEEDS, drawn
from tests.laws.test_connections import PORTS, PROTOCOLS
from tests.laws.test_exposure import a_stranger, with_pods
from tests.laws.traffic import Traffic

POINTS = [(protocol, port) for protocol in PROTOCOLS for port in PORTS]


def is_asked(asked: Iterable[Conditional], protocol: Protocol, port: int) -> bool:
    """Whether something is asked of a port."""
    return any(one.transports.contains(protocol, port) for one in asked)


def said(transports: TransportSet, asked: Iterable[Conditional], protocol: Protocol, port: int) -> Answer:
    """What the report says of a port, in the words of the evaluator."""
    if not transports.contains(protocol, port):
        return Answer.DENIED
    return Answer.CONDITIONAL if is_asked(asked, protocol, port) else Answer.ALLOWED


def there(one: Exposure, address: Address) -> tuple[TransportSet, tuple[Conditional, ...]]:
    """What passes to an address outside, and what is asked of it."""
    found = [
        (transports, tuple(each.part for each in asked))
        for extent in one.standing.outside.ranges
        for addresses, transports, asked in extent.pieces
        if address in addresses
    ]
    assert len(found) <= 1, "pieces are disjoint"
    return found[0] if found else (TransportSet(), ())


@settings(max_examples=EXAMPLES // 3)
@given(SEEDS)
def test_outside_the_same_is_asked(seed: int) -> None:
    """Each address that a rule names is in one piece at most, and of each port that is said which passes openly."""
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow = cluster.reference(snapshot)
    inside = {address for each in snapshot.endpoints for address in each.addresses}
    inside |= {address for each in snapshot.nodes.values() for address in each.addresses}
    outside = [one for one in Traffic(snapshot, seed).ends if one not in inside and not one.is_loopback]
    some = random.Random(seed).sample(outside, min(12, len(outside)))
    for one, _, mine in with_pods(exposure(snapshot)):
        for address in (each for each in some if each.version in mine):
            passing = there(one, address)
            for protocol, port in POINTS:
                expected = slow.egress(mine[address.version], address, protocol.name, port)
                assert said(*passing, protocol, port) is expected, (mine, address, protocol, port)


@settings(max_examples=EXAMPLES // 3)
@given(SEEDS)
def test_of_nodes_the_same_is_asked(seed: int) -> None:
    """A port is open where it is to any node, and a node is reached openly where any port is."""
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow, report = cluster.reference(snapshot), exposure(snapshot)
    for one, _, mine in with_pods(report):
        nodes = one.standing.outside.nodes
        for name, addresses in report.nodes.items():
            answers = set()
            for address in (network[0] for network in addresses.networks()):
                for protocol, port in POINTS if address.version in mine else ():
                    expected = slow.egress(mine[address.version], address, protocol.name, port)
                    answers.add(expected)
                    asked = (each.part for each in nodes.asked if each.addresses is None or address in each.addresses)
                    if expected is not Answer.DENIED:
                        assert is_asked(asked, protocol, port) == (expected is Answer.CONDITIONAL), (name, port)
            assert (name in nodes.names) == bool(answers - {Answer.DENIED})


def around(snapshot: Snapshot, one: tuple[str, str], other: tuple[str, str]) -> Iterator[tuple[Address, Address]]:
    """The addresses by which two pods talk."""
    ends = {each.key: each for each in snapshot.endpoints}
    for here in ends[one].addresses:
        yield from ((here, there) for there in ends[other].addresses if there.version == here.version)


@settings(max_examples=EXAMPLES // 3)
@given(SEEDS)
def test_between_namespaces_the_same_is_asked(seed: int) -> None:
    """Of a namespace of which something is asked nothing passes openly; of another that is reached something does."""
    cluster = drawn(seed)
    snapshot = cluster.snapshot(seed)
    slow = cluster.reference(snapshot)
    pods = [each for each in snapshot.endpoints if not each.host_network]
    standings = {each.key: one.standing for one, each, _ in with_pods(exposure(snapshot))}
    for source in pods:
        near = standings[source.key].neighbours
        asked = {name for one in near.reaches_for for name in one.namespaces}
        assert asked <= set(near.reaches)
        for other in (each for each in pods if each.namespace != source.namespace):
            answers = {
                (slow.egress(*pair, protocol.name, port), slow.ingress(*pair, protocol.name, port))
                for pair in around(snapshot, source.key, other.key)
                for protocol, port in POINTS
            }
            passes = {both for both in answers if Answer.DENIED not in both}
            if (Answer.ALLOWED, Answer.ALLOWED) in passes:
                assert other.namespace not in asked, (source.key, other.key)
                back = standings[other.key].neighbours.reached_for
                assert not any(source.namespace in one.namespaces for one in back)


def openly(openings: Iterable[Opening], protocol: Protocol, port: int) -> bool:
    """Whether any of them opens a port without asking anything."""
    return any(said(one.transports, one.asked, protocol, port) is Answer.ALLOWED for one in openings)


@settings(max_examples=EXAMPLES // 3)
@given(SEEDS, st.randoms(use_true_random=False))
def test_a_new_pod_gets_no_more_than_is_said(seed: int, chance: random.Random) -> None:
    """A pod is made: what passes is in an opening that matches it, and what passes openly in one that asks nothing."""
    cluster = drawn(seed)
    stranger, spaces = a_stranger(chance)
    snapshot = cluster.snapshot(seed)
    names = {one["metadata"]["name"] for one in spaces}
    kept = [one for one in cluster.manifests if one["kind"] != "Namespace" or one["metadata"]["name"] not in names]
    after = [*kept, *spaces, stranger]
    made = snapshot_of(after)
    labels = made.namespace(stranger["metadata"]["namespace"]).labels
    slow = CiliumReference(after, {each.key: list(each.addresses) for each in made.endpoints}, {})
    name = stranger["metadata"]["namespace"], stranger["metadata"]["name"]
    (theirs,) = [each for each in made.endpoints if each.key == name]
    called = {**theirs.labels, ACCOUNT_LABEL: theirs.hints.account}
    without_names = dataclasses.replace(snapshot, learned=())
    for one, _, mine in with_pods(exposure(without_names)):
        for address in (each for each in theirs.addresses if each.version in mine):
            for direction in Direction:
                matching = [
                    each for each in one.standing.openings[direction] if each.matches(labels, called, theirs.addresses)
                ]
                named = {
                    (mine_too.protocol, mine_too.port)
                    for each in matching
                    for name in each.names
                    for mine_too in theirs.ports
                    if (mine_too.name, mine_too.protocol) == (name.name, name.protocol.name)
                }
                for protocol, port in POINTS:
                    ask = protocol.name, port
                    if ask in named:
                        continue
                    expected = (
                        slow.egress(mine[address.version], address, *ask)
                        if direction is Direction.EGRESS
                        else slow.ingress(address, mine[address.version], *ask)
                    )
                    if expected is Answer.ALLOWED:
                        assert openly(matching, protocol, port), (direction, ask)
                    elif expected is Answer.CONDITIONAL:
                        assert any(each.transports.contains(protocol, port) for each in matching), (direction, ask)


def test_the_evaluator_meets_conditions() -> None:
    """Otherwise these laws would hold of nothing: of some seeds something is asked in each of the four ways."""
    found = {"outside": 0, "nodes": 0, "namespaces": 0, "new pods": 0}
    asked: list[Asked] = []
    for seed in range(60):
        for one in exposure(drawn(seed).snapshot(seed)).workloads:
            outside = one.standing.outside
            asked += (each for extent in outside.ranges for each in extent.asked)
            found["outside"] += any(extent.asked for extent in outside.ranges)
            found["nodes"] += bool(outside.nodes.asked)
            found["namespaces"] += bool(one.standing.neighbours.reaches_for)
            found["new pods"] += any(each.asked for many in one.standing.openings.values() for each in many)
    assert min(found.values()) > 3, found
    assert any(one.addresses is not None for one in asked)
