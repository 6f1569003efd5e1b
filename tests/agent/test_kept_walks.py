"""Random walks where policies keep what is live: what goes on against the policy, goes on for its own ends alone.

Held against the model after every step, as in `tests.agent.test_walks`. A connection that is allowed is never cut. One
that is not may go on only if its ends are the pods that it was let pass for, none of them is isolated by a policy that
cuts, and nobody has seen it cut since it was allowed last.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.agent.trust import Sweep, Trust
from outgate.model import Direction
from outgate.nft.evaluate import Fate
from outgate.packets import Address, Packet
from outgate.policy.established import ESTABLISHED
from outgate.testing import Manifest
from tests.agent.player import established, fate, swept
from tests.agent.test_walks import NODE, Live, Now, Walk, cluster


class KeptWalk(Walk):
    """A walk of an agent that may be asked to keep."""

    def __init__(self, seed: int, *, faults: bool) -> None:
        super().__init__(seed, faults=faults)
        self.owners: dict[int, tuple[object, object]] = {}
        """Of each connection, by its identity, whose it was when it was allowed last; nobody's once it was cut."""
        self.kept = 0
        self.player.sweep = self._sweep
        self.player.options = dataclasses.replace(self.player.options, keep=self.chance.random() < 0.3)
        self.player.start()

    def _sweep(self, what: Sweep) -> None:
        now = Now(self.player)
        for flow in self.flows:
            flow.mark = swept(what, now.header(flow.packet), flow.mark)

    def _ends(self, packet: Packet) -> tuple[object, object]:
        return self._owner(packet.source), self._owner(packet.destination)

    def _owner(self, address: Address) -> object:
        world = self.player.state.world
        return tuple((key, world.is_local(key)) for key in world.holders.get(address, ()))

    def _cuts(self, now: Now, packet: Packet) -> bool:
        """Whether a pod of this node that the packet is of is isolated by a policy that cuts."""
        pods = filter(None, map(now.pod_at, (packet.source, packet.destination)))
        return any(self._says_cut(now, pod) for pod in pods if pod.node == NODE)

    def _says_cut(self, now: Now, pod: Any) -> bool:
        selection, default = now.policies.selection, "keep" if self.player.options.keep else "cut"
        some = [one for way in Direction for one in (*selection.ruling(pod, way), *selection.governing(pod, way))]
        return any(one.annotations.get(ESTABLISHED, default) != "keep" for one in some)

    def _goes_on(self, now: Now, flow: Live) -> None:
        found, ends = now.expected(flow.packet), self._ends(flow.packet)
        was = self.owners.setdefault(id(flow), ends)
        if was != ends:
            self.owners[id(flow)] = ("nobody", "nobody")
        if found is None or self._leads_nowhere(now, flow.packet):
            return
        hook, may = found
        header = now.header(flow.packet, flow.mark)
        ways = (established(header), *((established(header, reply=True),) if hook == "forward" else ()))
        outcomes = [fate(now.evaluator, hook, one) for one in ways]
        passes = {outcome.fate is Fate.ACCEPT for outcome in outcomes}
        assert len(passes) == 1, f"one way: {flow.packet}"
        if may:
            assert passes == {True}, f"live, {flow.packet}: cut for nothing"
            self.owners[id(flow)] = ends
        elif passes == {True}:
            assert was == ends, f"live, {flow.packet}: is another's now, or was cut"
            assert not self._cuts(now, flow.packet), f"live, {flow.packet}: is to be cut"
            self.kept += 1
        else:
            self.owners[id(flow)] = ("nobody", "nobody")
        if passes == {True}:
            flow.mark = self.chance.choice(outcomes).mark

    def _begins(self, now: Now, packet: Packet) -> None:
        before = len(self.flows)
        super()._begins(now, packet)
        for flow in self.flows[before:]:
            self.owners[id(flow)] = self._ends(packet)


def annotated(manifests: list[Manifest], chance: random.Random) -> list[Manifest]:
    """The same, of which policies say that they keep, or cut."""
    made = []
    for one in manifests:
        word = chance.choice(("keep", "keep", "keep", "cut", ""))
        if word and one["kind"].endswith("Policy"):
            metadata = one["metadata"]
            said = {**(metadata.get("annotations") or {}), ESTABLISHED: word}
            one = {**one, "metadata": {**metadata, "annotations": said}}  # noqa: PLW2901 - the same object, annotated
        made.append(one)
    return made


def walked(seed: int, *, faults: bool) -> KeptWalk:
    """A walk through three clusters."""
    walk = KeptWalk(seed, faults=faults)
    for number in range(3):
        walk.to(annotated(cluster(seed + number), walk.chance))
    return walk


@settings(max_examples=12)
@given(st.integers(0, 1 << 32), st.booleans())
def test_what_is_kept_is_kept_for_its_ends(seed: int, faults: bool) -> None:
    """A connection that somebody else can take over is a hole that no policy shows."""
    walked(seed, faults=faults)


def test_something_is_kept() -> None:
    """A walk that keeps nothing would show nothing."""
    assert sum(walked(seed, faults=False).kept for seed in range(8)) > 0


def test_walks_find_who_doubts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent for which an address is always the same pod's must be found out."""
    monkeypatch.setattr(Trust, "doubt", lambda *_: None)
    with pytest.raises(AssertionError, match=r"^(live|one way)"):
        any(walked(seed, faults=False) is None for seed in range(60))
