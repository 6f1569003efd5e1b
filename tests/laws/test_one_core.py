"""One core: what can-reach, list, diff, exposure, assertions and graph say of a cluster is one thing said in many ways.

Each is held to the list, and the list to the Decisions of both ends, on random clusters whose pods are dealt out to
workloads without regard to their labels. Where two of them differ on purpose, the reason stands here:

* **The node.** A node always reaches its own pods, whatever the policies say (types.go, NetworkPolicySpec.ingress). The
  list and the diff speak of pods wherever they run, so pairs that hang on a common node are asked of nobody here.
* **Itself.** A pod always reaches itself, and pairs of one workload are not on the list.
* **One address, several holders.** Two host-network pods of one node have one address, and no packet between them
  leaves the node.
* **An address that somebody has.** The parts outside speak of what is nobody's; can-reach looks who is there.
* **Several pods.** An edge of a graph leads to a whole workload and has what passes to each of its pods.
* **What is asked.** The list has parts of their own where not the same is asked of what passes, and lines for names.
* **Port 0.** Nobody can write it in an assertion, and rules that deny each port from 1 on leave it.
"""

from __future__ import annotations

import functools
import ipaddress
import operator
import random
from collections.abc import Iterator, Mapping

from hypothesis import given, settings

from outgate.analysis.assertions import KIND, read
from outgate.analysis.connections import External, connections
from outgate.analysis.diff import diff
from outgate.analysis.edges import Edge, Outside, egress_graph
from outgate.analysis.exposure import exposure
from outgate.analysis.groups import Group, workload_of
from outgate.analysis.lookup import AddressTarget, BlockTarget, NodeTarget, PodsTarget, Target
from outgate.analysis.reach import reach
from outgate.analysis.reachability import Question
from outgate.analysis.targets import ANY_TRANSPORT, TransportAsked
from outgate.analysis.verdicts import Outcome, evaluate
from outgate.model import Direction, Document, Pod, Snapshot
from outgate.packets import Address, AddressSet, PacketSet, TransportSet
from outgate.packets.addresses import Family
from outgate.policy import Judge, Policies, decide
from outgate.policy.endpoints import LOOPBACK, TO_MANY
from outgate.testing import random_cluster, snapshot_of
from tests.laws.test_cilium import drawn
from tests.laws.test_connections import PORTS, PROTOCOLS, SEEDS, owned
from tests.laws.test_tiers import tiered
from tests.laws.traffic import Traffic

# Each example asks every verb about every pair of pods.
EXAMPLES = settings.default.max_examples // 5 if settings.default is not None else 20
GOVERNED = TransportSet.governed()
NOTHING = TransportSet()
PORT_ZERO = functools.reduce(operator.or_, (TransportSet.ports(one, 0) for one in PROTOCOLS))
BLOCKS = tuple(map(ipaddress.ip_network, ("0.0.0.0/0", "::/0", "10.1.0.0/24", "203.0.113.0/25", "2001:db8::/47")))


class Core:
    """One cluster, and everything that may be asked about it."""

    def __init__(self, snapshot: Snapshot, seed: int) -> None:
        self.snapshot = snapshot
        self.policies = Policies(snapshot)
        self.judge = Judge(self.policies)
        self.found = connections(snapshot)
        self.group_of = {pod.key: group for group in self.found.groups.all for pod in group.pods}
        self.chance = random.Random(seed)
        addresses = [
            *(pod.addresses for pod in snapshot.endpoints),
            *(one.addresses for one in snapshot.nodes.values()),
        ]
        self.taken = AddressSet.of(address for many in addresses for address in many)
        ends = (one for one in Traffic(snapshot, seed).ends if one not in self.taken)
        self.outside = tuple(dict.fromkeys((*ends, *self.borders())))

    def borders(self) -> Iterator[Address]:
        """The addresses on both sides of each border of a rule's block that are nobody's."""
        for block in self.found.grid.lens.blocks:
            for network in map(ipaddress.ip_network, block.cidrs()):
                for there in (network.network_address, network.broadcast_address):
                    for step in (-1, 0, 1):
                        if 0 <= int(there) + step < 1 << there.max_prefixlen:
                            address = type(there)(int(there) + step)
                            if not AddressSet.of([address]) & (self.taken | LOOPBACK | TO_MANY):
                                yield address

    def pairs(self) -> Iterator[tuple[Pod, Pod, Mapping[Family, TransportSet]]]:
        """Every two pods of two workloads that have a family in common, with what the list says of each family."""
        for source in self.snapshot.endpoints:
            for destination in self.snapshot.endpoints:
                groups = self.group_of[source.key], self.group_of[destination.key]
                mine = dict(self.found.by_family(*groups))
                if mine and groups[0].workload != groups[1].workload and not tied(source, destination):
                    yield source, destination, mine

    def subjects(self) -> Iterator[Pod]:
        """The pods that policies may isolate."""
        return (pod for pod in self.snapshot.endpoints if not pod.host_network)

    def reached(self, source: Target, destination: Target, family: Family | None = None) -> TransportSet:
        """What can-reach says passes, where no port is asked."""
        answer = reach(self.judge, Question(source, destination, ANY_TRANSPORT, family))
        assert answer.ports is not None
        return answer.ports.everywhere

    def listed_outside(self, pod: Pod, direction: Direction, address: Address) -> TransportSet:
        """What the list says of an address outside."""
        parts = self.found.outside(self.group_of[pod.key], direction)
        return next((transports for part, transports in parts if address in part.addresses), NOTHING)


def core(seed: int) -> Core:
    """A random cluster: of three, one with policies of the whole cluster, and one with Cilium's."""
    match seed % 3:
        case 1:
            return Core(owned(snapshot_of(tiered(seed)), seed), seed)
        case 2:
            return Core(drawn(seed).snapshot(seed), seed)
    return Core(owned(snapshot_of(random_cluster(seed)), seed), seed)


def tied(source: Pod, destination: Pod) -> bool:
    """Whether the pods hang on one node, or have one address."""
    host = source.host_network or destination.host_network
    return (host and bool(source.node) and source.node == destination.node) or bool(
        set(source.addresses) & set(destination.addresses)
    )


def one_pod(pod: Pod) -> PodsTarget:
    """A pod as it is asked about."""
    return PodsTarget("Pod", pod.namespace, pod.name, (pod,))


def address_of(pod: Pod, family: Family) -> Address:
    """The address of a pod that has one."""
    return next(one for one in pod.addresses if one.version == family)


# ---- Decisions and can-reach -----------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_the_list_is_the_meeting_of_two_decisions(seed: int) -> None:
    """Of each pair, in each family: what the source's Decision lets out and the destination's lets in."""
    asked = core(seed)
    for source, destination, mine in asked.pairs():
        for family, listed in mine.items():
            here, there = address_of(source, family), address_of(destination, family)
            out, into = TransportSet.any(), TransportSet.any()
            # What is on the host network is its node: policies do not isolate it (A9, and the profile).
            if not source.host_network:
                out = decide(asked.policies, source, Direction.EGRESS).allowed().transports(there)
            if not destination.host_network:
                into = decide(asked.policies, destination, Direction.INGRESS).allowed().transports(here)
            assert listed == out & into, (str(source), str(destination), family)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_outside_is_the_decision(seed: int) -> None:
    """At each border of a rule, and everywhere else where nobody is."""
    asked = core(seed)
    nobody = AddressSet.any() - asked.taken - LOOPBACK
    for pod in asked.subjects():
        for direction in Direction:
            packets = decide(asked.policies, pod, direction).allowed()
            group = asked.group_of[pod.key]
            assert asked.found.grid.outside(group.identity, direction).restrict(nobody) == packets.restrict(nobody)
            for address in asked.outside:
                said = asked.listed_outside(pod, direction, address)
                assert said & GOVERNED == packets.transports(address) & GOVERNED, (str(pod), direction, address)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_can_reach_says_what_the_list_says(seed: int) -> None:
    """Without a port the whole set, and with one the verdict, at every border; also for a whole workload."""
    asked = core(seed)
    for source, destination, mine in asked.pairs():
        for family, listed in mine.items():
            assert asked.reached(one_pod(source), one_pod(destination), family) == listed
            for protocol in PROTOCOLS:
                port = asked.chance.choice(PORTS[1:])
                transport = TransportAsked(port, int(protocol))
                answer = reach(asked.judge, Question(one_pod(source), one_pod(destination), transport, family))
                assert bool(answer) == listed.contains(protocol, port), (str(source), str(destination), port)
    for group in asked.found.groups.all:
        for other in asked.found.groups.all:
            free = not any(tied(one, another) for one in group.pods for another in other.pods)
            if group.workload != other.workload and free:
                for family, listed in asked.found.by_family(group, other):
                    assert asked.reached(many_pods(group), many_pods(other), family) == listed


def many_pods(group: Group) -> PodsTarget:
    """A group as it is asked about."""
    return PodsTarget(group.kind, group.namespace, group.name, group.pods)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_can_reach_outside_says_what_the_list_says(seed: int) -> None:
    """Single addresses at some of the borders, and whole blocks, both ways."""
    asked = core(seed)
    for pod in asked.subjects():
        for address in asked.chance.sample(asked.outside, min(20, len(asked.outside))):
            if address.version not in {one.version for one in pod.addresses}:
                continue
            for direction in Direction:
                source, destination = _ends(one_pod(pod), AddressTarget((address,)), direction)
                listed = asked.listed_outside(pod, direction, address)
                assert asked.reached(source, destination) & GOVERNED == listed & GOVERNED, (
                    str(pod),
                    direction,
                    address,
                )
        for block in BLOCKS:
            if block.version in {one.version for one in pod.addresses}:
                _ask_block(asked, pod, BlockTarget(block))


def _ends(subject: Target, peer: Target, direction: Direction) -> tuple[Target, Target]:
    return (subject, peer) if direction is Direction.EGRESS else (peer, subject)


def _ask_block(asked: Core, pod: Pod, block: BlockTarget) -> None:
    beyond = AddressSet.network(block.network) - asked.taken - LOOPBACK
    for direction in Direction:
        source, destination = _ends(one_pod(pod), block, direction)
        answer = reach(asked.judge, Question(source, destination, ANY_TRANSPORT, block.network.version))
        assert answer.ports is not None
        assert answer.ports.by_address is not None
        packets = asked.found.grid.outside(asked.group_of[pod.key].identity, direction)
        assert answer.ports.by_address.restrict(beyond) == packets.restrict(beyond), (str(pod), direction, str(block))


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_nodes_are_addresses_like_any_other(seed: int) -> None:
    """To a node: the part of the list that its address is in, in can-reach and in exposure, own node or not."""
    asked = core(seed)
    report = exposure(asked.snapshot)
    nodes = {pod.key: one.standing.outside.nodes for one in report.workloads for pod in one.group.pods}
    held = {one for pod in asked.subjects() for one in pod.addresses}
    for pod in asked.subjects():
        reached: set[str] = set()
        for node in asked.snapshot.nodes.values():
            for address in node.addresses:
                if address in held or address.version not in {one.version for one in pod.addresses}:
                    continue
                listed = asked.listed_outside(pod, Direction.EGRESS, address) & GOVERNED
                flows = asked.reached(one_pod(pod), NodeTarget(node), address.version) & GOVERNED
                assert flows == listed, (str(pod), str(address))
                reached |= {node.name} if listed else set()
        assert reached <= set(nodes[pod.key].names)


# ---- diff ------------------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES // 2)
@given(SEEDS, SEEDS)
def test_a_diff_turns_one_list_into_the_other(seed: int, other: int) -> None:
    """Against the cluster without policies, and against one with others: every pair, and every border outside."""
    asked = core(seed)
    stranger = snapshot_of(random_cluster(other)).policies
    kept = asked.snapshot.policies[: other % (len(asked.snapshot.policies) + 1)]
    changed = {one.name: one for one in (*kept, *stranger)}.values()
    for policies in ((), changed):
        before = Core(asked.snapshot.with_policies(policies), seed)
        for old, new in ((before, asked), (asked, before)):
            _ask_diff(old, new)


def _ask_diff(old: Core, new: Core) -> None:
    found = diff(old.snapshot, new.snapshot)
    piece_of = {pod.key: piece.group for piece in found.pieces for pod in piece.group.pods}
    shifts = {(one.source, one.destination): one.shift for one in found}
    after = {(a.key, b.key): mine for a, b, mine in new.pairs()}
    for source, destination, mine in old.pairs():
        theirs = after[source.key, destination.key]
        shift = shifts.get((piece_of[source.key], piece_of[destination.key]))
        told = {family: pair for family, *pair in shift.families} if shift is not None else {}
        for family in mine:
            pair = [mine[family] & GOVERNED, theirs[family] & GOVERNED]
            if shift is None:
                assert pair[0] == pair[1], (str(source), str(destination))
            else:
                assert pair == told.get(family, [shift.before, shift.after]), (str(source), str(destination))
    for pod in old.subjects():
        for direction in Direction:
            _ask_diff_outside(old, new, pod, direction, [one for one in found.changes if _outside_of(one, direction)])


def _outside_of(change: object, direction: Direction) -> bool:
    return isinstance(getattr(change, "destination" if direction is Direction.EGRESS else "source"), External)


def _ask_diff_outside(old: Core, new: Core, pod: Pod, direction: Direction, changes: list[object]) -> None:
    near, far = ("source", "destination")[:: 1 if direction is Direction.EGRESS else -1]
    mine = [one for one in changes if pod.key in {each.key for each in getattr(one, near).pods}]
    borders = tuple(dict.fromkeys((*old.outside, *new.outside)))
    for address in new.chance.sample(borders, min(40, len(borders))):
        pair = [one.listed_outside(pod, direction, address) & GOVERNED for one in (old, new)]
        said = [one.shift for one in mine if address in getattr(one, far).addresses]  # type: ignore[attr-defined]
        assert len(said) <= 1
        if said:
            assert pair == [said[0].before, said[0].after], (str(pod), direction, address)
        else:
            assert pair[0] == pair[1], (str(pod), direction, address)


# ---- exposure --------------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_exposure_says_what_the_list_says(seed: int) -> None:
    """Ranges are the parts outside, namespaces are the ends of the lines, and isolation is the Decision's."""
    asked = core(seed)
    pods = asked.snapshot.endpoints
    for one in exposure(asked.snapshot).workloads:
        standing, group = one.standing, asked.group_of[one.group.pods[0].key]
        assert group.workload == one.group.workload
        packets = _governed(asked.found.grid.outside(group.identity, Direction.EGRESS))
        for each in standing.outside.ranges:
            assert PacketSet.union_of(each.parts) == packets.restrict(each.range.addresses)
        for direction in Direction:
            # What denies beside those that isolate, is named by its rule.
            isolating = {(one.namespace, one.name) for one in standing.isolated[direction] if one.rule is None}
            deciding = asked.policies.isolation(group.pods[0], direction).policies
            assert isolating == {(policy.namespace, policy.name) for policy in deciding}
        others = [(pod, asked.group_of[pod.key]) for pod in pods if pod.namespace != group.namespace]
        reaches = {pod.namespace for pod, each in others if asked.found.between(group, each) & GOVERNED}
        from_them = {pod.namespace for pod, each in others if asked.found.between(each, group) & GOVERNED}
        assert set(standing.neighbours.reaches) == reaches
        assert set(standing.neighbours.reached_from) == from_them


def _governed(packets: PacketSet) -> PacketSet:
    return PacketSet.union_of((addresses, transports & GOVERNED) for addresses, transports in packets)


# ---- graph -----------------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_edges_are_lines_of_the_list(seed: int) -> None:
    """An edge has what passes to each pod of the other workload, by either family; outside, the very same parts."""
    asked = core(seed)
    for pod in asked.snapshot.endpoints:
        picture = egress_graph(asked.judge, one_pod(pod))
        edges = [one for one in picture.edges if isinstance(one.destination, PodsTarget)]
        for edge in edges:
            _ask_edge(asked, pod, edge)
        outside = [(one.destination, one) for one in picture.edges if isinstance(one.destination, Outside)]
        drawn = {there.addresses: one.transports for there, one in outside if one.allowed and not there.name}
        if not pod.host_network:
            # The list has parts of their own where not the same is asked of what passes.
            parts = asked.found.outside(asked.group_of[pod.key], Direction.EGRESS)
            listed = PacketSet.union_of((part.addresses, transports) for part, transports in parts)
            assert PacketSet.union_of(drawn.items()) == listed


def _ask_edge(asked: Core, pod: Pod, edge: Edge) -> None:
    assert isinstance(edge.destination, PodsTarget)
    ends = edge.destination.pods
    if workload_of(ends[0]) == workload_of(pod) or any(tied(pod, one) for one in ends):
        return
    source, passing = asked.group_of[pod.key], TransportSet.any()
    for one in ends:
        passing &= asked.found.between(source, asked.group_of[one.key])
    assert edge.transports & GOVERNED == passing & GOVERNED, (str(pod), str(edge.destination))


# ---- assertions ------------------------------------------------------------------------------------------------------


def spelled(transports: TransportSet) -> list[str]:
    """Ports as a file of assertions has them; port 0, which nobody can write alone, is left out."""
    return [
        protocol.name if (low, high) == (0, 65535) else f"{max(low, 1)}-{high}/{protocol.name}"
        for protocol in PROTOCOLS
        for low, high in transports.of(protocol)
        if high
    ]


def verdicts(asked: Core, written: list[dict[str, object]]) -> tuple[Outcome, ...]:
    """What becomes of some assertions."""
    if not written:
        return ()
    suite = {"apiVersion": "outgate.dev/v1", "kind": KIND, "assertions": written}
    return evaluate(asked.judge, read([Document("test.yaml", suite)]))


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_assertions_made_of_the_list_hold_and_their_opposites_fail(seed: int) -> None:
    """Pair by pair: what passes by every family is allowed, what passes by none is denied, and not the other way."""
    asked = core(seed)
    true: list[dict[str, object]] = []
    false: list[dict[str, object]] = []
    pairs = list(asked.pairs())
    for source, destination, mine in asked.chance.sample(pairs, min(6, len(pairs))):
        everywhere, somewhere = GOVERNED, NOTHING
        for listed in mine.values():
            everywhere, somewhere = everywhere & listed, somewhere | (listed & GOVERNED)
        for transports, verb, opposite in ((everywhere, "allow", "deny"), (GOVERNED - somewhere, "deny", "allow")):
            ports = spelled(transports)
            if ports:
                entry = {"to": f"{destination.namespace}/{destination.name}", "port": ports}
                true.append({"from": f"{source.namespace}/{source.name}", verb: entry})
                false.append({"from": f"{source.namespace}/{source.name}", opposite: entry})
    assert [one.assertion for one in verdicts(asked, true) if not one.holds] == []
    assert [one.assertion for one in verdicts(asked, false) if one.holds] == []


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_only_the_list_holds_and_less_of_it_fails(seed: int) -> None:
    """`only` with every line of a pod holds; with the lines outside, or those inside, left out it does not."""
    asked = core(seed)
    subjects = list(asked.subjects())
    for pod in asked.chance.sample(subjects, min(3, len(subjects))):
        group = asked.group_of[pod.key]
        # A workload and itself are not on the list.
        own = [{"to": f"{one.namespace}/{one.name}"} for one in _own(asked, pod)]
        inside, parts = _lines(asked, group), _parts(asked, group)
        subject = f"{pod.namespace}/{pod.name}"
        written: list[dict[str, object]] = [{"from": subject, "only": [*own, *inside, *parts.values()]}]
        # Addresses that are nobody's are on no line inside; a part that somebody has all of may be. Assertions speak of
        # families that both ends have.
        mine = AddressSet.union_of(AddressSet.whole(one.version) for one in pod.addresses)
        free = mine - asked.taken - LOOPBACK - TO_MANY
        outside = [entry for part, entry in parts.items() if part.addresses & free]
        if outside:
            written.append({"from": subject, "only": [*own, *inside]})
        whole, *less = verdicts(asked, written)
        assert whole.holds or _is_unwritable(whole), (subject, whole.failure)
        assert not any(one.holds for one in less), subject
        denied: list[dict[str, object]] = [{"from": subject, "deny": entry} for entry in outside]
        assert not any(one.holds for one in verdicts(asked, denied)), subject


def _is_unwritable(one: Outcome) -> bool:
    """Whether what is left out is port 0 alone, or stands under a name."""
    assert one.failure is not None
    return bool(one.failure.name) or all(transports <= PORT_ZERO for _, transports in one.failure.packets)


def _own(asked: Core, pod: Pod) -> list[Pod]:
    return [one for one in asked.snapshot.endpoints if one.key != pod.key and workload_of(one) == workload_of(pod)]


def _lines(asked: Core, group: Group) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for other in asked.snapshot.endpoints:
        there = asked.group_of[other.key]
        ports = spelled(asked.found.between(group, there))
        if there.workload != group.workload and ports:
            lines.append({"to": f"{other.namespace}/{other.name}", "port": ports})
    return lines


def _parts(asked: Core, group: Group) -> dict[External, dict[str, object]]:
    # Both families, also of a pod that has one: its policies say something of each.
    return {
        part: {"to": list(part.addresses.cidrs()), "port": spelled(transports)}
        for part, transports in asked.found.outside(group, Direction.EGRESS)
        if spelled(transports)
    }


# ---- the proof can fail ----------------------------------------------------------------------------------------------


def test_the_clusters_have_what_is_asked_about() -> None:
    """If the random clusters had no pairs, no families and no parts outside, everything above would hold of nothing."""
    many = [core(seed) for seed in range(30)]
    mine = [listed for one in many for _, _, listed in one.pairs()]
    assert sum(len(set(one.values())) > 1 for one in mine) > 3
    assert any(NOTHING != one & GOVERNED != GOVERNED for each in mine for one in each.values())
    parts = [one.found.outside(group, Direction.EGRESS) for one in many for group in one.found.groups.all]
    assert any(len(one) > 1 for one in parts)
    assert any(group.split for one in many for group in one.found.groups.all)
