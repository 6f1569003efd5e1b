"""Verdict = brute force: random clusters, random assertions, and what the slow evaluator says of single packets."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from outgate.analysis.assertion_words import read_ends, read_ports
from outgate.analysis.assertions import KIND, read
from outgate.analysis.ends import Places
from outgate.analysis.lookup import Lookup
from outgate.analysis.roll import numbers
from outgate.analysis.verdicts import Outcome, evaluate
from outgate.errors import InputError, InvalidInput
from outgate.model import Document, Place, Snapshot
from outgate.packets import AddressSet, Packet, Protocol
from outgate.policy import Judge, Policies
from outgate.testing import random_cluster, snapshot_of
from tests.laws.assertions import Meaning, random_assertion, random_destination
from tests.laws.reference import Reference
from tests.laws.traffic import Traffic

SEEDS = st.integers(0, 2**32 - 1)
GOVERNED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
ENDS = (
    "203.0.113.20",
    "203.0.113.1",
    "198.51.100.7",
    "10.1.0.9",
    "10.9.9.9",
    "2001:db8:1::20",
    "fd00:1::9",
    "100::ffff",
)
PORTS = (0, 1, 52, 53, 54, 79, 80, 81, 82, 443, 8080, 8081, 65535)
CASES = 4
"""Assertions for each cluster: making the cluster is most of the work."""


def packets(snapshot: Snapshot, chance: random.Random) -> Iterator[Packet]:
    """Packets that the rules make a difference of, and some between any ends on any port."""
    yield from (one for one in Traffic(snapshot, chance.randrange(2**32)).packets(120) if one.protocol in GOVERNED)
    known = [address for pod in snapshot.endpoints for address in pod.addresses]
    known += [address for node in snapshot.nodes.values() for address in node.addresses]
    known += [ipaddress.ip_address(one) for one in ENDS]
    for _ in range(120):
        source = chance.choice(known)
        destination = chance.choice([one for one in known if one.version == source.version])
        yield Packet(source, destination, int(chance.choice(GOVERNED)), chance.choice(PORTS))


def witness_of(outcome: Outcome) -> tuple[Packet, bool]:
    """The packet that proves a failure, and whether it should have been allowed."""
    assert outcome.failure is not None
    flow = outcome.failure.trace.flow
    packet = Packet(flow.source.address, flow.destination.address, flow.protocol, flow.coordinate)
    return packet, outcome.failure.wanted.allows


def passes(reference: Reference, packet: Packet) -> bool:
    """What the slow evaluator says."""
    ask = (packet.source, packet.destination, Protocol(packet.protocol).name, packet.coordinate)
    return reference.allows_egress(*ask) and reference.allows_ingress(*ask)


@given(SEEDS, st.booleans())
@example(2518, False)  # A port name `anywhere`, that host-network pods alone have.
def test_a_verdict_is_what_every_packet_says(seed: int, crowded: bool) -> None:
    """One packet that contradicts a green assertion, or none that proves a red one, and nobody may trust the tool."""
    chance = random.Random(seed)
    manifests = random_cluster(seed, crowded=crowded)
    snapshot = snapshot_of(manifests)
    judge = Judge(Policies(snapshot))
    reference = Reference(manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints})
    some = list(packets(snapshot, chance))
    for _ in range(CASES):
        written = random_assertion(chance, manifests)
        meaning = Meaning(written, reference)
        suite = {"apiVersion": "outgate.dev/v1", "kind": KIND, "assertions": [written]}
        try:
            (outcome,) = evaluate(judge, read([Document("test.yaml", suite)]))
        except InvalidInput as error:
            said = " ".join(one.message for one in error.errors)
            if "nothing to assert" in said:
                assert [one for one in some if meaning.wants(one) is not None] == [], (written, said)
            continue
        if outcome.holds:
            against = [one for one in some if meaning.wants(one) not in (None, passes(reference, one))]
            assert against == [], written
        else:
            packet, wanted = witness_of(outcome)
            assert passes(reference, packet) is not wanted, (written, packet)
            # What no policy can forbid counts where both ends were named one by one, and only there.
            named = not meaning.meets(packet) and meaning.names(packet)
            assert meaning.wants(packet) is wanted or named, (written, packet)


@given(SEEDS, st.booleans())
def test_a_destination_is_whoever_is_meant_by_it(seed: int, crowded: bool) -> None:
    """Also where an assertion fails anyway, and a packet that was left out would not be missed."""
    chance = random.Random(seed)
    manifests = random_cluster(seed, crowded=crowded)
    snapshot = snapshot_of(manifests)
    places = Places(Lookup(snapshot))
    reference = Reference(manifests, {pod.key: list(pod.addresses) for pod in snapshot.endpoints})
    place = Place(Document("test.yaml", {}))
    some = {(one.destination, one.protocol, one.coordinate): one for one in packets(snapshot, chance)}
    for _ in range(CASES // 2):
        written = random_destination(chance, manifests)
        errors: list[InputError] = []
        ports = read_ports(written["port"], place, None, errors)
        found = places.reached(read_ends(written["to"], place, errors), ports, errors)
        if any("no container port named" not in one.message for one in errors):
            # About nobody: such an assertion is refused, which others test.
            continue
        there = [
            (AddressSet.of(places.roll.ends[one].address for one in numbers(bits)), transports)
            for transports, bits in found.known.items()
        ]
        there += found.outside
        meaning = Meaning({**written, "deny": []}, reference)
        for (address, *transport), packet in some.items():
            reached = any(address in addresses and asked.contains(*transport) for addresses, asked in there)
            assert reached is meaning.reaches(written, packet), (written, packet)
