"""The orders of the DNS proxy, made of what the kernel has been given: who asks, for what, and through which door.

They are made after each change that the kernel has taken, so that every set and every door that they name is there.
What the agent knows of the cluster's own addresses is said with them: nodes as far as they are watched, their blocks of
pod addresses, what the settings name, and every pod that is outside of all that.
"""

from __future__ import annotations

from collections.abc import Iterable

from outgate.agent.desired import Desired
from outgate.host.name_orders import OrderMaking
from outgate.packets import AddressSet
from outgate.proxy.orders import Orders

__all__ = ["orders_of"]


def orders_of(desired: Desired, table: str, cluster: Iterable[str] = ()) -> Orders:
    """The orders. `table` is another one where learned addresses are to be put in again; `cluster` are blocks."""
    nodes = desired.world.nodes.values()
    blocks = dict.fromkeys((*cluster, *(str(block) for node in nodes for block in node.pod_cidrs)))
    made = OrderMaking(desired.classes)
    pods = made.pods(desired.askers())
    return Orders(
        table=table,
        cluster=(*blocks, *(_strays(desired, blocks) if pods else ())),
        nodes=tuple(sorted({str(one) for node in nodes for one in node.addresses})),
        sets=made.sorted_sets(),
        pods=pods,
    )


def _strays(desired: Desired, blocks: Iterable[str]) -> list[str]:
    """The addresses of pods that are in none of the blocks."""
    known = AddressSet.union_of(map(AddressSet.network, blocks))
    return [str(one) for one in sorted(desired.world.holders, key=lambda it: (it.version, int(it))) if one not in known]
