"""Can SRC reach a name that nobody gave an address for?

Manifests say which names a policy opens, not where they lead. What a pod may send to a name depends on the address all
the same: a denial of a block may stand before the rule about the name, and another rule may open the block without it.
So every address that the name may have is asked about, each as if the pod had been told just that one:

    * all of both families, without those that no name opens (`outgate.packets.special.NEVER_NAMED`);
    * cut by the blocks of every rule that speaks of the pods. The addresses of one part are in the same blocks, so that
      no rule tells them apart, and one of them that is nobody's in the cluster stands for all.

The answer is Allow only if it is for all of them, and is divided otherwise, as that about a block is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from outgate.analysis.blocks import rule_beyond
from outgate.analysis.flows import Aim, echo, ends, families_of
from outgate.analysis.lookup import AddressTarget, NameTarget, PodsTarget
from outgate.analysis.ports import PairPorts, pair_ports
from outgate.analysis.reach_ports import divided
from outgate.analysis.reachability import Question, Reachability
from outgate.errors import UsageError
from outgate.model import Direction, Pod, Snapshot
from outgate.packets import Address, AddressSet, PacketSet, Protocol, TransportSet
from outgate.packets.addresses import FAMILIES, Family
from outgate.packets.packetset import Cube
from outgate.packets.special import NEVER_NAMED
from outgate.policy import Endpoint, Judge

__all__ = ["Standing", "flows_to_name", "parts", "ports_of_name", "standing"]

Standing = Mapping[Address, AddressSet]
"""Addresses that a name may have, each with those that are treated like it. They are disjoint."""


def standing(judge: Judge, question: Question, name: NameTarget) -> tuple[Standing, AddressTarget]:
    """The parts of all addresses that a name may have, and the name with one address of each.

    Raises UsageError where no pod is asked about: what names open, they open for pods.
    """
    source = question.source
    if not isinstance(source, PodsTarget):
        raise UsageError(
            f"{name} has no address in the input, and policies open names for pods alone",
            hint=f"name a pod as the source, or give --dns-name {name}=ADDRESS",
        )
    owned: Family | None = {int(Protocol.ICMP): 4, int(Protocol.ICMPV6): 6}.get(question.transport.protocol or 0)
    asked = question.family or owned
    found = parts(judge, source.pods, (families_of(source) or set(FAMILIES)) if asked is None else {asked})
    return found, AddressTarget(tuple(found), name.name)


def parts(judge: Judge, pods: Iterable[Pod], families: Iterable[Family]) -> Standing:
    """All addresses that a name may have, cut so that no rule of some pods tells those of one part from each other."""
    blocks = dict.fromkeys(
        rule_beyond(judge.policies, rule, pod)[0]
        for pod in pods
        for rule in judge.policies.isolation(pod, Direction.EGRESS).every_rule()
    )
    whole = AddressSet.union_of(AddressSet.whole(family) for family in families) - NEVER_NAMED
    found = [whole.only(4), whole.only(6)]
    for block in blocks:
        found = [piece for part in found for piece in (part & block, part - block) if piece]
    inside = _of_the_cluster(judge.policies.snapshot)
    return {outside.lowest(): part for part in found if (outside := part - inside)}


def _of_the_cluster(snapshot: Snapshot) -> AddressSet:
    services = (one for service in snapshot.services for one in (*service.cluster_ips, *service.external_ips))
    pods = (address for pod in snapshot.endpoints for address in pod.addresses)
    return AddressSet.of((*pods, *services, *(one for node in snapshot.nodes.values() for one in node.addresses)))


def flows_to_name(judge: Judge, question: Question, standing: Standing) -> Iterator[tuple[Endpoint, Aim, AddressSet]]:
    """One flow for each pod and part, for the port that is asked about. Raises UsageError for a port by its name."""
    port, protocol = question.transport.port, question.transport.protocol
    if isinstance(port, str):
        raise UsageError(f"{question.destination} is no pod: the name of a port means nothing there")
    number = int(Protocol.TCP) if protocol is None else protocol
    for address, part in standing.items():
        aim = Aim(Endpoint(address), number, port if port is not None else echo(number))
        for source in ends(judge.policies.snapshot, question.source, address.version):
            yield source, aim, part


def ports_of_name(judge: Judge, question: Question, standing: Standing) -> Reachability:
    """Where no port is asked: what passes for each address that the name may have."""
    pairs: list[PairPorts] = []
    cubes: list[Cube] = []
    asked = question.transport.protocol
    for address, part in standing.items():
        passing = TransportSet.any() if asked is None else TransportSet.protocol(asked)
        for source in ends(judge.policies.snapshot, question.source, address.version):
            pairs.append(replace(pair_ports(judge, source, Endpoint(address)), addresses=part))
            passing &= pairs[-1].allowed
        cubes.append((part, passing))
    return divided(judge, question, tuple(pairs), AddressSet.union_of(standing.values()), PacketSet.union_of(cubes))
