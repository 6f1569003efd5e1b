"""What of the addresses that a workload reaches it reaches only on a condition: a request, a question, a server's name.

The conditional part is what no rule lets through that asks for nothing (`outgate.policy.tiers.partition`). Addresses
are told apart by what is asked there, and of each part all rules count that speak of it: they are alternatives.

Two things follow from it. Words say of every port what is asked. And the order of the report must not take a workload
that may ask one host for one that reaches everything: what passes openly is told apart from what passes only if it is
chosen. A condition that any request of HTTP meets, or any question of DNS, chooses nothing (`Conditional.chooses`).
"""

from __future__ import annotations

from collections.abc import Callable

from outgate.analysis.on_condition import Asked, Conditional, apart, by_rules
from outgate.model import Direction
from outgate.packets import AddressSet, PacketSet, TransportSet
from outgate.policy.grid import Grid
from outgate.policy.rules import Rule
from outgate.policy.tiers import partition
from outgate.records import dataclass

__all__ = ["NOTHING_ASKED", "AskedThere", "asked_there"]


@dataclass(frozen=True, slots=True)
class AskedThere:
    """What egress policies ask of packets to addresses. `extents`: the packets that each rule with conditions means."""

    packets: PacketSet = PacketSet.none()
    """All that passes only on a condition."""
    extents: tuple[tuple[Rule, PacketSet], ...] = ()

    def of(self, packets: PacketSet) -> tuple[Asked, ...]:
        """What is asked of some packets; `addresses` is None where it is asked at all of these that have the ports."""
        found: dict[object, tuple[PacketSet, dict[Rule, None]]] = {}
        for addresses, transports in (self.packets & packets) if self.packets else ():
            for some, mine in apart(addresses, transports, self.extents):
                for part, rules in by_rules(transports, mine):
                    # What another rule asks as well is the same, wherever it is written.
                    key = frozenset(rule.conditions for rule in rules)
                    known, all_rules = found.get(key, (PacketSet.none(), {}))
                    together = known | PacketSet.cube(some, part)
                    found[key] = together, all_rules | dict.fromkeys(rules)
        return tuple(
            Asked(Conditional(Direction.EGRESS, part, tuple(rules)), _unless_all(addresses, part, packets))
            for together, rules in found.values()
            for addresses, part in together
        )

    def chosen(self, packets: PacketSet) -> PacketSet:
        """Of some packets those that do not pass openly."""
        return PacketSet.union_of(
            (packets.addresses() if one.addresses is None else one.addresses, one.part.transports)
            for one in self.of(packets)
            if one.part.chooses
        )


def _unless_all(addresses: AddressSet, part: TransportSet, packets: PacketSet) -> AddressSet | None:
    others = (there - addresses for there, transports in packets if transports & part)
    return addresses if any(others) else None


NOTHING_ASKED = AskedThere()


def asked_there(grid: Grid, number: int, everything: PacketSet, extent: Callable[[Rule], PacketSet]) -> AskedThere:
    """What is asked of packets of an identity. `extent`: those that a rule speaks of; it costs nothing without any."""
    if not grid.has_conditions:
        return NOTHING_ASKED
    standing = grid.standing(grid.keys[Direction.EGRESS][number], Direction.EGRESS)
    extents = tuple((rule, extent(rule)) for rule in standing.rules if rule.conditions is not None)
    if not extents:
        return NOTHING_ASKED
    found = PacketSet.union_of(
        cube
        for packets, verdict, rule in partition(standing, everything, extent)
        if verdict.allows and rule is not None and rule.conditions is not None
        for cube in packets
    )
    return AskedThere(found, extents)
