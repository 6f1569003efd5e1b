"""From policies to a ruleset: what one node's kernel must hold.

    packet of a local pod ──► forward ─► est: judged under the current policies already? accept
                                      ├► original direction: egress (by source), ingress (by destination)
                                      ├► reply direction: the same questions, mirrored
                                      └► stamp: write the epoch into the connection mark, accept
                          ──► input   ─► the same egress questions for what the pod sends to its own node

The source or destination address leads in one lookup to the chain of the pod's policy class, shared by
all pods that the same policies select. A chain that is left by `return` has allowed the packet on that
end; a denied packet never comes back. Only a packet that both ends allowed reaches `stamp`, so the mark
says "judged, and allowed, under epoch N"; a change that tightens anything raises the epoch, and each live
connection is judged again by its next packet, whichever side sends it. Where a policy keeps what is live, some
get the number of the new epoch unasked (`outgate.nft.trust`).

What cannot be said here is refused by the rooms above; nothing is approximated. The traffic that the node
itself opens to its pods (kubelet probes) does not pass these hooks: types.go, NetworkPolicySpec.ingress,
allows it "if the traffic source is the pod's local node".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outgate.model import Direction, Node
from outgate.nft.asking import ASKERS, DOORS, asker_keys, asking_sets, door_of
from outgate.nft.classes import Classes
from outgate.nft.frame import DISPATCHES, LINKS, UNKNOWN, Dispatch, frame, link_set
from outgate.nft.lines import View
from outgate.nft.members import Members
from outgate.nft.objects import Judgement, NftSet, Ruleset, SetKey, goto
from outgate.nft.options import Options
from outgate.nft.redirects import CATCHES, catch_map, with_proxy
from outgate.nft.trust import DISTRUSTED, distrusted_set
from outgate.policy import Origin, Policies

__all__ = ["Compiled", "compile_node"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A ruleset, and the policies and rules behind the names in it."""

    ruleset: Ruleset
    index: Mapping[str, tuple[Origin, ...]]
    """Chain name → where it comes from: one rule for ``r_…``, the isolating policies for ``d_…`` and ``w_…``."""
    members: Mapping[str, Members] = field(default_factory=dict)
    """Name of a peer set → who is in it."""


def compile_node(policies: Policies, node: str, options: Options | None = None) -> Compiled:
    """The ruleset of one node, by name. A node without pods gets the empty frame."""
    return _Compiler(policies, node, options or Options()).compile()


class _Compiler:
    def __init__(self, policies: Policies, node: str, options: Options) -> None:
        self.policies = policies
        self.node = policies.snapshot.nodes.get(node) or Node(node)
        self.options = options
        self.classes = Classes(policies, options)
        self.registry = self.classes.registry
        here = (pod for pod in policies.snapshot.endpoints if pod.node == node and not pod.host_network)
        self.local = tuple(pod for pod in here if pod.addressed)

    def compile(self) -> Compiled:
        for dispatch in DISPATCHES:
            self._dispatch_map(dispatch)
        linked = bool(self.options.interfaces and self.options.interface_prefix)
        if linked:
            self._link_sets()
        if self.options.names:
            self._asking_sets()
        if self.options.believing:
            self._distrusted_sets()
        chains = frame(self.options, self.node, linked=linked)
        if self.classes.catching:
            self._catch_maps()
            chains = with_proxy(chains, self.options)
        for chain in chains:
            self.registry.chains[chain.name] = chain
        ruleset = Ruleset(
            dict(sorted(self.registry.chains.items())),
            dict(sorted(self.registry.sets.items())),
        )
        return Compiled(ruleset, self.classes.index, self.registry.members)

    def _dispatch_map(self, dispatch: Dispatch) -> None:
        elements: dict[SetKey, Judgement | None] = {}
        for pod in self.local:
            for address in (one for one in pod.addresses if one.version == dispatch.view.family):
                # Two pods that claim one address: whose packet it is cannot be told, so it is closed until one is gone.
                contested = address in self.policies.snapshot.contested
                way = goto(UNKNOWN) if contested else self.classes.way(pod, dispatch.view)
                elements[((int(address), int(address)),)] = way
        self.registry.add_set(NftSet(dispatch.name, dispatch.key, elements, is_map=True))

    def _catch_maps(self) -> None:
        """Whose connections are caught."""
        for family in CATCHES:
            elements: dict[SetKey, Judgement | None] = {
                ((int(address), int(address)),): way
                for pod in self.local
                for address in pod.addresses
                if address.version == family and address not in self.policies.snapshot.contested
                if (way := self.classes.catch(pod, family)) is not None
            }
            self.registry.add_set(catch_map(family).holding(elements))

    def _link_sets(self) -> None:
        """Which address belongs to which interface."""
        for family in LINKS:
            elements: dict[SetKey, Judgement | None] = {
                (name, (int(address), int(address))): None
                for pod in self.local
                if (name := self.options.interfaces.get(pod.key))
                for address in pod.addresses
                if address.version == family
            }
            self.registry.add_set(link_set(family).holding(elements))

    def _distrusted_sets(self) -> None:
        """Whose live connections are judged anew in each epoch: those of pods of this node."""
        contested = self.policies.snapshot.contested
        for family in DISTRUSTED:
            elements: dict[SetKey, Judgement | None] = {
                ((int(address), int(address)),): None
                for pod in self.local
                for address in pod.addresses
                if address.version == family and (address in contested or self.classes.cuts(pod))
            }
            self.registry.add_set(distrusted_set(family).holding(elements))

    def _asking_sets(self) -> None:
        """Whose questions go to the DNS proxy, and under which class's policies it asks them."""
        filled: dict[str, dict[SetKey, Judgement | None]] = {one.name: {} for one in asking_sets()}
        for pod in self.local:
            for address in pod.addresses:
                part = self.classes.part(pod, View(Direction.EGRESS, address.version))
                if part.asks and address not in self.policies.snapshot.contested:
                    for way in part.doors:
                        door = door_of(way.chain)
                        filled[DOORS[address.version]][((door, door),)] = way
                    for key in asker_keys(address):
                        filled[ASKERS[address.version]][key] = None
        for one in asking_sets():
            self.registry.add_set(one.holding(filled[one.name]))
