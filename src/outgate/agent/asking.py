"""Pods of this node that ask for names: what `outgate.nft.asking` needs of them, kept up to date as they come and go.

A pod whose class uses names has elements in the set of askers, as it has them in others (`askers`). The door by which
the proxy asks in its stead belongs to its class (`doors`): it is there while any pod of the class is.

The sets and chains stand only while some policy names names (`uses_names`), and only where the agent has a proxy: a
table without is what it was before there were names.
"""

from __future__ import annotations

from collections.abc import Iterable

from outgate.model import ClusterPolicy, Direction, Pod
from outgate.model.cilium import CiliumPolicy, NameMatch
from outgate.nft.asking import ASKERS, DOORS, asker_keys, door_of
from outgate.nft.classes import Classes
from outgate.nft.lines import View
from outgate.nft.objects import Judgement, SetKey
from outgate.nft.placement import Elements
from outgate.packets import Address
from outgate.policy.cluster_rules import looks_at_names

__all__ = ["askers", "doors", "uses_names"]


def uses_names(policies: Iterable[ClusterPolicy | CiliumPolicy]) -> bool:
    """Whether any of the policies speaks of names: of those behind which a pod may talk, or that it may ask for."""
    return any(map(_names, policies))


def _names(policy: ClusterPolicy | CiliumPolicy) -> bool:
    if isinstance(policy, ClusterPolicy):
        return looks_at_names(policy)
    rules = policy.rules(Direction.EGRESS)
    return any(
        any(isinstance(peer, NameMatch) for peer in rule.peers or ()) or any(entry.dns for entry in rule.ports)
        for rule in rules
    )


def askers(classes: Classes, pod: Pod, address: Address) -> Elements:
    """What the address of a pod of this node, which is its alone, has in the sets of askers."""
    if not classes.part(pod, View(Direction.EGRESS, address.version)).asks:
        return {}
    return {(ASKERS[address.version], key): None for key in asker_keys(address)}


def doors(classes: Classes, places: Iterable[tuple[Pod, Address]]) -> dict[str, dict[SetKey, Judgement | None]]:
    """The content of the maps of doors, for the pods of this node and addresses that are theirs alone."""
    found: dict[str, dict[SetKey, Judgement | None]] = {name: {} for name in DOORS.values()}
    for pod, address in places:
        part = classes.part(pod, View(Direction.EGRESS, address.version))
        for way in part.doors:
            door = door_of(way.chain)
            found[DOORS[address.version]][((door, door),)] = way
    return found
