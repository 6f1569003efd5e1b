"""Random walks where policies are audited, two pods claim an address, lists are late and objects cannot be read.

What may pass under an audited policy is told from the model without it (`outgate.policy.mode`): it isolates nobody and
denies nothing, and what it allows beside one that is enforced stays allowed. Whatever came before, an agent that rests
has what one has that was never told anything else: so nobody profits from an address that was claimed twice for a time,
nor from a policy that could not be read.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import (
    BlockPeer,
    CiliumPolicy,
    ClusterPolicy,
    ClusterRule,
    Direction,
    NetworkPolicy,
    Pod,
    Policy,
    Snapshot,
)
from outgate.model.cluster_policy import UnknownPeer
from outgate.nft.classes import Classes
from outgate.packets import Packet
from outgate.policy import Endpoint, Flow, Judge, Mode, Policies
from outgate.policy.mode import ANNOTATION, mode_of
from outgate.testing import Manifest
from tests.agent.player import Player, differences
from tests.agent.test_walks import NODE, Now
from tests.agent.test_walks_around import Surrounded, surrounded
from tests.agent.words import Happening

_UNREAD = ("NetworkPolicy", "Node", "CiliumCIDRGroup", "Service", "CiliumNetworkPolicy", "ClusterNetworkPolicy")
_WORDS = ("", "", "audit", "audit", "enforce", "strange")
_EVERYBODY = tuple(BlockPeer(ipaddress.ip_network(one)) for one in ("0.0.0.0/0", "::/0"))
MOST = 30


class Watched(Now):
    """What the model says where some policies are only watched."""

    def __init__(self, player: Player) -> None:
        super().__init__(player)
        enforced = [one for one in self.snapshot.policies if not self._is_audited(one)]
        self.isolating = Policies(self._under(enforced, ()))
        self.all_allowed: list[Judge] = []
        self.nobody_isolates: list[Judge] = []
        # Whom a rule passes on that is not known: nobody, or everybody.
        for passing in ((), _EVERYBODY):
            above = [self._without_denials(one, passing) for one in self.snapshot.cluster_policies]
            admin = [one for one in above if one.tier == "Admin"]
            self.all_allowed.append(Judge(Policies(self._under(self.snapshot.policies, above))))
            self.nobody_isolates.append(Judge(Policies(self._under(enforced, admin))))

    def expected(self, packet: Packet) -> tuple[str, bool] | None:
        """The same for each end by itself."""
        found = super().expected(packet)
        if found is None:
            return None
        start, end = (Endpoint.at(self.snapshot, one) for one in (packet.source, packet.destination))
        flow = Flow(start, end, packet.protocol, packet.coordinate)
        pods = (
            (self.pod_at(packet.source), Direction.EGRESS),
            (self.pod_at(packet.destination), Direction.INGRESS),
        )
        return found[0], all(self._may(flow, pod, way) for pod, way in pods if pod is not None and pod.node == NODE)

    def _may(self, flow: Flow, pod: Pod, direction: Direction) -> bool:
        """Beside one that isolates, what any rule allows; under audited ones alone, what nobody denies above."""
        judges = self.all_allowed
        if not self.isolating.selection.selecting(pod, direction) and self.policies.selection.selecting(pod, direction):
            judges = self.nobody_isolates
        return all(one.verdicts(flow)[direction is Direction.INGRESS] for one in judges)

    def _is_audited(self, one: Policy) -> bool:
        space = self.snapshot.namespace(one.namespace) if one.namespace else None
        return mode_of(one, space, Mode.ENFORCE) is Mode.AUDIT

    def _without_denials(self, one: ClusterPolicy, passing: tuple[BlockPeer, ...]) -> ClusterPolicy:
        if not self._is_audited(one):
            return one

        def left(rules: Iterable[ClusterRule]) -> Iterator[ClusterRule]:
            for rule in rules:
                if rule.action == "Pass" and _is_unknown(one, rule):
                    yield dataclasses.replace(rule, peers=passing, ports=())
                elif rule.action != "Deny":
                    yield rule

        return dataclasses.replace(one, egress=tuple(left(one.egress)), ingress=tuple(left(one.ingress)))

    def _of_cilium(self, one: CiliumPolicy) -> CiliumPolicy:
        if not self._is_audited(one):
            return one
        return dataclasses.replace(one, isolates=type(one.isolates)(), egress_deny=(), ingress_deny=())

    def _under(self, policies: Iterable[NetworkPolicy], above: Iterable[ClusterPolicy]) -> Snapshot:
        of_cilium = tuple(map(self._of_cilium, self.snapshot.cilium_policies))
        return dataclasses.replace(
            self.snapshot.with_policies(policies), cluster_policies=tuple(above), cilium_policies=of_cilium
        )


def _is_unknown(policy: ClusterPolicy, rule: ClusterRule) -> bool:
    """Whether it is not known whom a rule means."""
    return any(isinstance(one, UnknownPeer) for one in (policy.subject, *rule.peers))


class WatchedWalk(Surrounded):
    """A walk among audited policies, of which an agent rests like one that was never told anything else."""

    model = Watched

    def _fault(self) -> None:
        super()._fault()
        match self.chance.random():
            case dice if dice < 0.15:
                kind = self.chance.choice(_UNREAD)
                name = self.chance.choice(sorted(self.player.ledger[kind].keys() - {NODE}) or ["alpha/none"])
                self.player.tell(self.player.events(Happening("", "broken", kind, name)))
            case dice if dice < 0.25:
                self.player.events(Happening("", "wait", "list", "*"))
            case dice if dice < 0.5 and self.player.waiting is not None:
                self.player.tell(self.player.events(Happening("", "come", "list", "*")))

    def _at_rest(self, snapshot: Snapshot) -> None:
        if self.player.waiting is not None and not self.player.state.settled:
            return  # it waits for a list, and leaves the kernel as it is
        super()._at_rest(snapshot)
        if self.player.waiting is None:
            assert differences(self.player.end(), self.player.scratch()) == []


def watched(seed: int, policies: int | None = None) -> list[Manifest]:
    """A cluster whose policies and namespaces say that they are audited, and where two pods may have one address."""
    chance, made = random.Random(seed), []
    for one in surrounded(seed, policies):
        word = chance.choice(_WORDS) if one["kind"].endswith("Policy") or one["kind"] == "Namespace" else ""
        said = {"annotations": {ANNOTATION: word}} if word else {}
        made.append({**one, "metadata": one["metadata"] | said})
    # An address of the node's own is no pod's: only the kubelet says where a pod is, and it does not say that.
    on_wires = (one for one in made if one["kind"] == "Pod" and not one["spec"].get("hostNetwork"))
    pods = [one for one in on_wires if one["status"].get("podIPs")]
    if len(pods) > 1 and chance.random() < 0.6:
        one, other = chance.sample(pods, 2)
        one["status"] = one["status"] | {key: other["status"][key] for key in ("podIP", "podIPs")}
    return made


def walk(seed: int, *, faults: bool) -> None:
    """To three clusters, the last two with the same policies of Cilium's."""
    one = WatchedWalk(seed, faults=faults)
    one.to(watched(seed))
    one.to(watched(seed + 1))
    one.to(watched(seed + 2, policies=seed + 1))


@settings(max_examples=8)
@given(st.integers(0, 1 << 32), st.booleans())
def test_a_walk_among_audited_policies(seed: int, faults: bool) -> None:
    """An audited policy that stops somebody, or one that is enforced and does not, would be found."""
    walk(seed, faults=faults)


def test_walks_find_who_enforces_what_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that takes the policy's own word for nothing."""
    monkeypatch.setattr(Classes, "mode", lambda *_: Mode.ENFORCE)
    with pytest.raises(AssertionError, match="should True"):
        _walks()


def _walks() -> None:
    for seed in range(MOST):
        walk(seed, faults=False)
