"""The proof of Cilium's policies can fail: each deliberate mistake about them is caught.

Every mistake is one that a reader of the API could make, or that would open a node.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outgate.model import CiliumPolicy, Direction, LabelSelector
from outgate.model.cilium import CiliumRule
from outgate.nft import lines as lines_module
from outgate.nft.tier_lines import TierLines
from outgate.packets import AddressSet, Protocol, TransportSet
from outgate.packets.transport import PORTS
from outgate.policy import Action, BlockMatch, PodMatch, Rule
from outgate.policy import cilium_rules as rules_module
from outgate.policy import selection as selection_module
from outgate.policy.decide import Policies
from outgate.policy.names import Pattern
from outgate.policy.places import ANYWHERE, Places, Standpoint
from outgate.policy.selection import Selection
from outgate.policy.tiers import Isolation
from tests.laws.test_cilium import CiliumExamination, drawn

CLUSTERS = 300
Patch = Callable[[pytest.MonkeyPatch], None]


def on_isolation(patch: pytest.MonkeyPatch, change: Callable[[Isolation], Isolation]) -> None:
    """Change what stands for a pod, for every reading at once."""
    proper = Policies.isolation
    patch.setattr(Policies, "isolation", lambda self, pod, direction: change(proper(self, pod, direction)))


def on_rules(patch: pytest.MonkeyPatch, change: Callable[[Rule], Rule]) -> None:
    """Change every rule of Cilium's policies."""
    proper = rules_module.cilium_rules

    def wrong(policy: CiliumPolicy, direction: Direction, places: Places, standpoint: Standpoint) -> Iterator[Rule]:
        return map(change, proper(policy, direction, places, standpoint))

    patch.setattr(selection_module, "cilium_rules", wrong)


def on_peers(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """Change every peer of these rules."""

    def changed(rule: Rule) -> Rule:
        peers = None if rule.peers is None else tuple(map(change, rule.peers))
        return dataclasses.replace(rule, peers=peers)

    on_rules(patch, changed)


def always(value: object) -> Callable[..., Any]:
    """A function that answers one thing, whatever it is asked."""
    return lambda *_, **__: value


def denials_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What is allowed passes, whatever is denied."""
    on_isolation(patch, lambda one: dataclasses.replace(one, denials=()))


def denials_allow(patch: pytest.MonkeyPatch) -> None:
    """A rule of ``egressDeny`` is read as one of ``egress``."""
    on_rules(patch, lambda rule: dataclasses.replace(rule, action=Action.ACCEPT))


def an_empty_rule_is_everything(patch: pytest.MonkeyPatch) -> None:
    """``egress: [{}]`` as NetworkPolicy has it."""
    empty = property(lambda self: self.peers is not None and not self.peers)
    patch.setattr(CiliumRule, "matches_nothing", empty)


def blocks_are_pods_too(patch: pytest.MonkeyPatch) -> None:
    """A block covers whoever has an address in it, as for NetworkPolicy."""
    on_peers(patch, lambda one: dataclasses.replace(one, outside=False) if isinstance(one, BlockMatch) else one)


def everything_isolates(patch: pytest.MonkeyPatch) -> None:
    """``enableDefaultDeny`` is not read."""
    proper = Selection.network_policies
    patch.setattr(Selection, "selecting", lambda self, *of: (*proper(self, *of), *self.of_cilium(*of)))


def nothing_isolates(patch: pytest.MonkeyPatch) -> None:
    """Nobody is denied by default."""
    patch.setattr(Selection, "selecting", Selection.network_policies)


def everybody_stands_together(patch: pytest.MonkeyPatch) -> None:
    """``host`` is no pod's own node, and nobody was told anything."""
    patch.setattr(Selection, "standpoint", always(ANYWHERE))


def ones_own_node_is_a_node(patch: pytest.MonkeyPatch) -> None:
    """``toNodes`` means the local node as well."""
    proper = Places.labelled
    patch.setattr(Places, "labelled", lambda self, nodes, **_: proper(self, nodes))


def the_api_server_is_nowhere(patch: pytest.MonkeyPatch) -> None:
    """The entity is nobody, nor is it of the cluster."""
    patch.setattr(Places, "api_server", AddressSet())


def answers_are_for_everybody(patch: pytest.MonkeyPatch) -> None:
    """What one pod was told opens the same for another."""

    def wrong(self: Places, _standpoint: Standpoint, patterns: tuple[Pattern, ...]) -> AddressSet:
        meant = (one for one in self.snapshot.learned if any(pattern.matches(one.name) for pattern in patterns))
        return AddressSet.of(address for one in meant for address in one.addresses)

    patch.setattr(Places, "told", wrong)


def services_are_their_slices(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks a Service for its selector."""

    def wrong(peer: Any, places: Places) -> Iterator[BlockMatch]:
        for one in places.services(peer.namespace, peer.name, peer.services):
            yield BlockMatch(places.endpoints(one.namespace, one.name), outside=True)

    patch.setattr(rules_module, "_service", wrong)


def peers_of_every_namespace(patch: pytest.MonkeyPatch) -> None:
    """A selector without a namespace is not kept to the policy's own."""

    def wide(one: Any) -> Any:
        return (
            dataclasses.replace(one, namespace=None, namespaces=LabelSelector()) if isinstance(one, PodMatch) else one
        )

    on_peers(patch, wide)


def accounts_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    """A selector by account means every pod."""
    patch.setattr(selection_module, "has_account", always(True))


def conditions_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A rule about requests lets everything through."""
    on_rules(patch, lambda rule: dataclasses.replace(rule, conditions=None))


def conditions_come_first(patch: pytest.MonkeyPatch) -> None:
    """A plain allowance does not make those of others void."""
    on_isolation(
        patch,
        lambda one: dataclasses.replace(one, rules=tuple(sorted(one.rules, key=lambda rule: rule.conditions is None))),
    )


def every_port_is_every_protocol(patch: pytest.MonkeyPatch) -> None:
    """ANY with port 0 means ICMP too."""
    governed = TransportSet.governed()

    def wide(rule: Rule) -> Rule:
        every = rule.ports is not None and rule.ports.numbers >= governed
        return dataclasses.replace(rule, ports=None) if every else rule

    on_rules(patch, wide)


def ports_are_tcp(patch: pytest.MonkeyPatch) -> None:
    """A port without a protocol is one of TCP, as for NetworkPolicy."""
    patch.setattr(rules_module, "_ANY", rules_module._ANY[:1])


def types_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Rules about ICMP let every message through."""
    every = TransportSet.ports(Protocol.ICMP, PORTS) | TransportSet.ports(Protocol.ICMPV6, PORTS)
    patch.setattr(rules_module, "_icmp", always(every))


def nobody_asks_who_is_inside(patch: pytest.MonkeyPatch) -> None:
    """The kernel takes a block as it stands: a mistake of its rules alone."""

    def wrong(*given: Any) -> Iterator[Any]:
        return lines_module._block_lines(*given, outside=True)

    patch.setattr(lines_module, "_outside_lines", wrong)


def conditions_open_where_nothing_isolates(patch: pytest.MonkeyPatch) -> None:
    """The kernel closes what nobody can look into by isolation alone."""
    patch.setattr(TierLines, "_looked_into", always(()))


MISTAKES: list[Patch] = [
    denials_are_forgotten,
    denials_allow,
    an_empty_rule_is_everything,
    blocks_are_pods_too,
    everything_isolates,
    nothing_isolates,
    everybody_stands_together,
    ones_own_node_is_a_node,
    the_api_server_is_nowhere,
    answers_are_for_everybody,
    services_are_their_slices,
    peers_of_every_namespace,
    accounts_are_not_asked,
    conditions_are_forgotten,
    conditions_come_first,
    every_port_is_every_protocol,
    ports_are_tcp,
    types_are_not_compared,
    nobody_asks_who_is_inside,
    conditions_open_where_nothing_isolates,
]


def first_complaint(clusters: int) -> Any:
    """The property of `test_cilium`, on the same clusters each time."""
    for seed in range(clusters):
        for complaint in CiliumExamination(drawn(seed), seed).disagreements(40):
            return complaint
    return None


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_mistake_is_caught(mistake: Patch) -> None:
    """A mistake that lives is a hole in the proof."""
    with pytest.MonkeyPatch.context() as patch:
        mistake(patch)
        assert first_complaint(CLUSTERS) is not None, mistake.__doc__


def test_nothing_stays_broken() -> None:
    """After all of them the same clusters give no complaint."""
    assert first_complaint(20) is None
