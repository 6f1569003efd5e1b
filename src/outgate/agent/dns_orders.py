"""The orders of the DNS proxy, made of what the kernel has been given: who asks, for what, and through which door.

They are made after each change that the kernel has taken, so that every set and every door that they name is there.
What the agent knows of the cluster's own addresses is said with them: nodes as far as they are watched, their blocks of
pod addresses, what the settings name, and every pod that is outside of all that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import msgspec

from outgate.agent.attribution import short_policies
from outgate.agent.desired import Desired
from outgate.host.name_orders import OrderMaking
from outgate.model import Direction, Pod
from outgate.packets import AddressSet
from outgate.proxy.orders import Account, Orders
from outgate.report.terms import origin_json

__all__ = ["orders_of"]


def orders_of(desired: Desired, table: str, cluster: Iterable[str] = ()) -> Orders:
    """The orders. `table` is another one where learned addresses are to be put in again; `cluster` are blocks."""
    nodes = desired.world.nodes.values()
    blocks = dict.fromkeys((*cluster, *(str(block) for node in nodes for block in node.pod_cidrs)))
    made, accounts = OrderMaking(desired.classes, partial(_like, desired)), _Accounts(desired)
    pods = made.pods(desired.askers())
    whose = {"/".join((pod.namespace, pod.name, pod.uid)): pod for pod, _ in desired.askers()}
    pods = tuple(msgspec.structs.replace(one, account=accounts.of(whose[one.key])) for one in pods)
    return Orders(
        table=table,
        cluster=(*blocks, *(_strays(desired, blocks) if pods else ())),
        nodes=tuple(sorted({str(one) for node in nodes for one in node.addresses})),
        sets=made.sorted_sets(),
        pods=pods,
        node=desired.world.node,
        accounts=tuple(accounts.made),
        resets=desired.options.reject,
    )


def _like(desired: Desired, pod: Pod) -> Pod:
    """The pod of its kind by which its class is known (`agent.world.Kind.example`)."""
    return desired.world.pods[pod.key].kind.example


class _Accounts:
    """What the log says of pods; those of a workload have one account, nearly always."""

    def __init__(self, desired: Desired) -> None:
        self._desired, self._policies = desired, desired.classes.policies
        self.made: list[Account] = []
        self._places: dict[tuple[object, ...], int] = {}

    def of(self, pod: Pod) -> int:
        """Which account is a pod's."""
        isolation = self._policies.isolation(_like(self._desired, pod), Direction.EGRESS)
        listing = (rule for rule in isolation.rules if rule.conditions is not None and rule.conditions.dns)
        rules = tuple(dict.fromkeys(str(rule.origin) for rule in listing))
        workload = (pod.owner.kind, pod.owner.name) if pod.owner is not None else None
        key = workload, isolation.origins, rules
        if key not in self._places:
            self._places[key] = len(self.made)
            origins = tuple(origin_json(one) or {} for one in isolation.origins)
            self.made.append(Account(workload, short_policies(isolation.origins) or "", origins, rules))
        return self._places[key]


def _strays(desired: Desired, blocks: Iterable[str]) -> list[str]:
    """The addresses of pods that are in none of the blocks."""
    known = AddressSet.union_of(map(AddressSet.network, blocks))
    return [str(one) for one in sorted(desired.world.holders, key=lambda it: (it.version, int(it))) if one not in known]
