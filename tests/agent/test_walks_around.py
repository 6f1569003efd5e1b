"""Random walks with policies of Cilium's, and with what stands around pods: as in `tests.agent.test_walks`.

Nodes come, go, and take addresses that are outside a moment before; groups of blocks, Services and their slices change,
and the address of the API server. What a rule of a policy means changes with all of them, while the policy stays.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outgate.model import Snapshot
from outgate.packets import Packet, Protocol
from outgate.testing import Manifest, random_cluster, random_cluster_policies
from outgate.testing_cilium import cidr_group, random_cilium_policies
from tests.agent.test_walks import NODE, Now, Walk
from tests.laws.wider import widened
from tests.slices import endpoint_slice

OUTSIDE = ("203.0.113.20", "203.0.113.130", "2001:db8:1::20", "10.1.0.200")
BLOCKS = ("203.0.113.0/24", "203.0.113.128/25", "10.1.0.0/24", "2001:db8::/32")
MOST = 30
_CONDITIONS = ("rules", "serverNames", "toFQDNs")
"""What needs somebody who looks into packets, or names: there is nobody here."""


def surrounded(seed: int, policies: int | None = None) -> list[Manifest]:
    """A random cluster with what is around its pods; the policies of Cilium's of another seed where that is given.

    Of odd seeds these say more than are drawn elsewhere (`tests.laws.wider`).
    """
    chance = random.Random(seed)
    drawn = random_cilium_policies(seed if policies is None else policies, 4)
    plain = [one for one in drawn if not any(f'"{word}"' in json.dumps(one) for word in _CONDITIONS)]
    there = list(nodes(chance))
    names = {one["metadata"]["name"] for one in there}
    rest = [one for one in random_cluster(seed) if one["kind"] != "Node" or one["metadata"]["name"] not in names]
    whole = [*rest, *there, *plain, *random_cluster_policies(seed, seed % 3), *places(chance)]
    of = seed if policies is None else policies
    return widened(whole, of) if of % 2 else whole


def nodes(chance: random.Random) -> Iterator[Manifest]:
    """Those of the random cluster, which have more addresses at times, and one that is there at times."""
    for name, *addresses in (
        (NODE, "192.168.50.11", "fd00:50::11"),
        ("node-b", "192.168.50.12", "fd00:50::12"),
        ("node-c",),
    ):
        if name != "node-c" or chance.random() < 0.7:
            more = [chance.choice(OUTSIDE)] if name != NODE and chance.random() < 0.6 else []
            ends = [{"type": "InternalIP", "address": one} for one in (*addresses, *more)]
            metadata = {"name": name, "labels": {"zone": chance.choice("ab")}}
            yield {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"addresses": ends}}


def places(chance: random.Random) -> Iterator[Manifest]:
    """Groups of blocks, Services and their slices, and the API server's."""
    if chance.random() < 0.8:
        yield cidr_group("g", *chance.sample(BLOCKS, 2), **({"a": "b"} if chance.random() < 0.5 else {}))
    for space in ("alpha", "beta"):
        if chance.random() < 0.8:
            selector: dict[str, Any] = {"selector": {"app": "db"}} if chance.random() < 0.5 else {}
            metadata = {"name": "web", "namespace": space, "labels": {"app": chance.choice(("web", "db"))}}
            spec = {"clusterIP": "None", "ports": [{"port": 80}], **selector}
            yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        yield _slice(space, "web", chance.choice(OUTSIDE))
    if chance.random() < 0.8:
        yield _slice("default", "kubernetes", chance.choice(OUTSIDE))


def _slice(space: str, name: str, address: str) -> Manifest:
    return endpoint_slice(f"{space}/{name}", address, name=f"{name}-1")


class Surrounded(Walk):
    """A walk on which nodes go, too."""

    nodes_go = True

    def _at_rest(self, snapshot: Snapshot) -> None:
        super()._at_rest(snapshot)
        now = self.model(self.player)
        for pod in now.snapshot.endpoints:
            for source in pod.addresses if pod.node == NODE else ():
                for target in map(ipaddress.ip_address, OUTSIDE):
                    if source.version == target.version:
                        self._begins(now, Packet(source, target, Protocol.TCP, 80))

    def _begins(self, now: Now, packet: Packet) -> None:
        # Nobody answers an ICMP of the other family, and rules about its types are of one.
        if packet.protocol != (Protocol.ICMP if packet.source.version == 6 else Protocol.ICMPV6):
            super()._begins(now, packet)


def walk(seed: int, *, faults: bool) -> None:
    """To three clusters, the last two with the same policies of Cilium's."""
    one = Surrounded(seed, faults=faults)
    one.to(surrounded(seed))
    one.to(surrounded(seed + 1))
    one.to(surrounded(seed + 2, policies=seed + 1))


@settings(max_examples=8)
@given(st.integers(0, 1 << 32))
def test_a_walk_without_faults(seed: int) -> None:
    """What a rule means is asked anew whenever something else may be meant."""
    walk(seed, faults=False)


@settings(max_examples=8)
@given(st.integers(0, 1 << 32))
def test_a_walk_with_refusals_deaths_and_strangers(seed: int) -> None:
    """The kernel refuses, the agent dies, somebody changes the table."""
    walk(seed, faults=True)


def test_walks_find_rules_that_are_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that keeps what it made of a policy and its rules, whatever became of the nodes, must be found out."""
    monkeypatch.setattr("outgate.nft.classes.looks_outside", lambda _: False)
    found = 0
    for seed in range(MOST):
        with contextlib.suppress(AssertionError):
            walk(seed, faults=False)
            continue
        found += 1
        break
    assert found > 0
